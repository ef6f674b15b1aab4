import errno
import hashlib
import io
import os
from datetime import timedelta

import numpy as np
import pytest
import tifffile
from sqlalchemy import update

from trustworthy.core.errors import DataError, InvalidInput, UnknownName
from trustworthy.studio.db.tables import Image, Project, Upload, now
from trustworthy.studio.images.probing import Prober
from trustworthy.studio.intake import uploads
from trustworthy.studio.intake.adding import statistics_of
from trustworthy.studio.storage import DiskFull, Storage

from .conftest import PROJECT, tiff


def _begun(intake, size, name="a.tif"):
    with intake.database.session() as session:
        return uploads.begin(session, intake.storage, intake.settings, PROJECT, name, size)


def _append(intake, upload, offset, content):
    return uploads.append(intake.database, intake.storage, upload, offset, io.BytesIO(content))


def _finish(intake, upload):
    return uploads.finish(intake.database, intake.storage, intake.settings, upload.id)


def test_an_upload_goes_on_where_it_stopped_and_becomes_the_same_file(intake):
    content = tiff()
    upload = _begun(intake, len(content))
    assert _append(intake, upload, 0, content[:50]) == 50
    with pytest.raises(InvalidInput, match="offset must be 50"):
        _append(intake, upload, 0, content[:50])
    with pytest.raises(InvalidInput, match="50 of"):
        _finish(intake, upload)
    assert uploads.received(intake.storage, upload) == 50
    assert _append(intake, upload, 50, content[50:]) == len(content)
    (image,) = _finish(intake, upload).images
    assert (image.name, image.bytes, image.sha256) == ("a.tif", len(content), hashlib.sha256(content).hexdigest())
    assert intake.storage.image(PROJECT, image.id, ".tif").read_bytes() == content
    assert intake.rows(Upload) == []
    with pytest.raises(UnknownName, match="no upload"):
        _finish(intake, upload)
    assert len(intake.files()) == 3


def test_the_same_image_twice_is_one(intake):
    first, second = intake.upload("a.tif", tiff()), intake.upload("a.tif", tiff())
    assert first.images[0].id == second.images[0].id
    assert len(intake.rows(Image)) == 1
    assert len(intake.files()) == 3


@pytest.mark.parametrize(
    ("name", "size", "role", "words"),
    [
        ("a", 0, "any", "is empty"),
        ("a", 2**40, "any", "bytes"),
        ("a", 1, "spy", "role must be"),
        ("..", 1, "any", "name"),
    ],
)
def test_what_cannot_be_uploaded_is_said_before_a_byte_is_sent(intake, name, size, role, words):
    with pytest.raises(InvalidInput, match=words), intake.database.session() as session:
        uploads.begin(session, intake.storage, intake.settings, PROJECT, name, size, role)
    with pytest.raises(UnknownName, match="no project"), intake.database.session() as session:
        uploads.begin(session, intake.storage, intake.settings, "b" * 32, "a", 1)
    assert intake.rows(Upload) == intake.files() == []


def test_more_than_announced_is_refused_and_leaves_nothing(intake):
    upload = _begun(intake, 10)
    with pytest.raises(DataError, match="larger than the 10 bytes"):
        _append(intake, upload, 0, bytes(11))
    assert intake.rows(Upload) == intake.files() == []


def test_what_is_no_image_leaves_nothing(intake):
    with pytest.raises(DataError, match="no image"):
        intake.upload("a.tif", b"hello")
    assert intake.rows(Upload) == intake.rows(Image) == intake.files() == []


def test_a_disk_without_room_is_told_before_and_on_the_way(intake, monkeypatch):
    upload = _begun(intake, 100)
    _append(intake, upload, 0, bytes(50))
    monkeypatch.setattr(Storage, "free", property(lambda self: 49))
    with pytest.raises(DiskFull, match="of the disk may be used"):
        _append(intake, upload, 50, bytes(50))
    assert intake.rows(Upload) == intake.files() == []
    with pytest.raises(DiskFull, match="of the disk may be used"):
        _begun(intake, 50)


@pytest.mark.parametrize("moment", ["chunk", "statistics"])
def test_a_disk_that_fills_leaves_nothing(intake, monkeypatch, moment):
    upload = _begun(intake, len(tiff()))

    room = iter([None] if moment == "statistics" else [])  # for the thumbnail, which comes before the statistics

    def full(*unused):
        if next(room, full) is full:
            raise OSError(errno.ENOSPC, "No space left on device")

    if moment == "statistics":
        _append(intake, upload, 0, tiff())
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match="the disk is full"):
        _append(intake, upload, 0, tiff()) if moment == "chunk" else _finish(intake, upload)
    assert intake.rows(Upload) == intake.rows(Image) == intake.files() == []


def test_a_project_that_went_away_meanwhile_leaves_nothing(intake, monkeypatch):
    upload = intake.upload("a.tif", tiff(), finish=False)
    prepared = uploads._prepared

    def without(*given):
        try:
            return prepared(*given)
        finally:
            with intake.database.session() as session:
                session.delete(session.get(Project, PROJECT))

    monkeypatch.setattr(uploads, "_prepared", without)
    with pytest.raises(UnknownName, match="no upload"):
        _finish(intake, upload)
    assert intake.rows(Image) == []
    assert [file for file in intake.files() if "images" in file or "previews" in file] == []


def test_what_nobody_went_on_with_is_removed(intake, monkeypatch):
    left, kept = _begun(intake, 10), _begun(intake, 10)
    _append(intake, left, 0, b"abc")
    _append(intake, kept, 0, b"abc")
    orphan = intake.storage.image(PROJECT, "c" * 32, ".tif")
    orphan.write_bytes(b"abc")
    with intake.database.session() as session:
        session.execute(update(Upload).filter_by(id=left.id).values(created=now() - timedelta(days=uploads.DAYS + 1)))
        uploads.clean_up(session, intake.storage, PROJECT)
        assert orphan.is_file()
        monkeypatch.setattr(uploads.time, "time", lambda: now().timestamp() + 86400 * (uploads.DAYS + 1))
        uploads.clean_up(session, intake.storage, PROJECT)
    assert intake.files() == [f"uploads/{kept.id}.part"]


@pytest.mark.parametrize("convert", ["two images", "damaged"])
def test_each_image_of_a_file_of_a_microscope_is_one_of_the_project(intake, monkeypatch, convert):
    def converted(self, file, folder):
        for number in range(2):
            (folder / f"{number}").write_bytes(tiff(number))
        if convert == "damaged":
            raise DataError("damaged")
        return [(f"well {number}", folder / f"{number}") for number in range(2)]

    monkeypatch.setattr(Prober, "convert", converted)
    if convert == "damaged":
        with pytest.raises(DataError, match="damaged"):
            intake.upload("dapi.lif", b"\x70\0\0\0")
    else:
        intake.upload("dapi.lif", b"\x70\0\0\0")
    names = [(image.name, image.role) for image in intake.rows(Image)]
    assert names == ([] if convert == "damaged" else [("dapi.lif/well 0", "target"), ("dapi.lif/well 1", "target")])
    assert len(intake.files()) == 3 * len(names)
    assert not any(intake.storage.upload("0" * 32).parent.iterdir())


def test_any_size_and_number_of_bits_is_taken_as_it_is(intake):
    sizes = {
        "1.tif": ((1, 1), "uint16"),
        "333.tif": ((333, 333), "uint8"),
        "rgb.tif": ((7, 5, 3), "uint8"),
        "16.tif": ((7, 5), "uint16"),
    }
    for name, (shape, dtype) in sizes.items():
        stream = io.BytesIO()
        tifffile.imwrite(stream, np.ones(shape, dtype), photometric="rgb" if len(shape) == 3 else "minisblack")
        intake.upload(name, stream.getvalue())
    found = {
        image.name: (tuple(image.description["shape"]), image.description["dtype"]) for image in intake.rows(Image)
    }
    assert found == sizes
    assert [statistics_of(intake.storage, image).constant for image in intake.rows(Image)] == [True] * 4
