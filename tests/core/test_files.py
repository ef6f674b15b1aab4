from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys

import pytest

from trustworthy.core.files import atomic_write


def test_writes_text_and_bytes_and_makes_the_folder(tmp_path):
    with atomic_write(tmp_path / "a" / "b.txt") as stream:
        stream.write("größer\n")
    with atomic_write(str(tmp_path / "c.bin"), "wb") as stream:
        stream.write(b"\x00\xff")
    assert (tmp_path / "a" / "b.txt").read_bytes() == "größer\n".encode()
    assert (tmp_path / "c.bin").read_bytes() == b"\x00\xff"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "c.bin"]


def test_the_old_content_stands_until_the_new_is_complete(tmp_path):
    target = tmp_path / "file"
    target.write_text("old")
    with atomic_write(target) as stream:
        stream.write("new")
        stream.flush()
        assert target.read_text() == "old"
    assert target.read_text() == "new"


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(failure), atomic_write(target) as stream:  # noqa: PT012
        stream.write("half of it")
        raise failure
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    target = tmp_path / "file"
    target.write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"), atomic_write(target) as stream:
        stream.write("new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    target = tmp_path / "file"
    target.write_text("old")
    code = (
        "import os, signal, sys; from trustworthy.core.files import atomic_write\n"
        "with atomic_write(sys.argv[1]) as stream:\n"
        "    stream.write('half'); stream.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(target)], check=False).returncode == -9
    assert target.read_text() == "old"


def test_two_writers_do_not_mix(tmp_path):
    target = tmp_path / "file"
    with atomic_write(target) as first, atomic_write(target) as second:
        first.write("aaaa")
        second.write("bb")
    assert target.read_text() == "aaaa"  # the first to open is the last to finish
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_the_file_has_the_permissions_of_any_new_file(tmp_path, mask):
    before = os.umask(mask)
    try:
        with atomic_write(tmp_path / "file") as stream:
            stream.write("x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~mask
