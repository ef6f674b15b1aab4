import errno
import io
import stat
import zipfile

import pytest

from trustworthy.core.errors import DataError
from trustworthy.studio.db.tables import Image, Upload
from trustworthy.studio.images.probing import Prober
from trustworthy.studio.intake.archives import unpack
from trustworthy.studio.storage import DiskFull, Storage

from .conftest import PROJECT, tiff


def zipped(members, compression=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members.items() if isinstance(members, dict) else members:
            archive.writestr(name, content)
    return stream.getvalue()


def _link(name):
    member = zipfile.ZipInfo(name)
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


def _lying():
    """An archive whose headers say 1 of the 800 bytes that it holds."""
    content = zipped({"a.tif": bytes(800)}, zipfile.ZIP_DEFLATED)
    return content.replace((800).to_bytes(4, "little"), (1).to_bytes(4, "little"))


def _encrypted():
    content = bytearray(zipped({"a.tif": tiff()}))
    content[content.index(b"PK\1\2") + 8] |= 1
    return bytes(content)


BAD = {
    "traversal": (zipped({"a.tif": tiff(), "../../evil.tif": tiff()}), "leaves the folder"),
    "traversal of windows": (zipped({"..\\evil.tif": tiff()}), "leaves the folder"),
    "absolute": (zipped({"/etc/evil.tif": tiff()}), "leaves the folder"),
    "drive": (zipped({"C:evil.tif": tiff()}), "leaves the folder"),
    "link": (zipped([("a.tif", tiff()), (_link("b.tif"), "/etc/passwd")]), "a link"),
    "nested": (zipped({"a.tif": tiff(), "b.ZIP": b""}), "another archive"),
    "nested and renamed": (zipped({"a.tif": tiff(), "b.tif": zipped({"c.tif": tiff()})}), "another archive"),
    "many": (zipped({f"{number}.tif": b"" for number in range(10_000)}), "10,000 files"),
    "bomb": (zipped({"a.tif": bytes(20_000_000)}, zipfile.ZIP_DEFLATED), "would grow to 20.0 MB"),
    "lie": (_lying(), "damaged"),
    "encrypted": (_encrypted(), "in the archive is encrypted;"),
    "cut off": (zipped({"a.tif": tiff()})[:-30], "damaged"),
    "damaged": (zipped({"a.tif": tiff(), "b.tif": tiff(1)}).replace(tiff(1)[-40:], bytes(40)), "damaged"),
    "empty": (zipped({}), "no image that can be used"),
    "nothing usable": (zipped({"readme.txt": "hello"}), "readme.txt: the file is no image"),
}


@pytest.mark.parametrize("kind", BAD)
def test_an_archive_that_does_harm_is_refused_in_words_and_leaves_nothing(intake, kind):
    content, words = BAD[kind]
    with pytest.raises(DataError, match=words):
        intake.upload("a.zip", content)
    assert intake.rows(Image) == intake.rows(Upload) == intake.files() == []


def test_an_archive_that_does_not_fit_is_refused(intake, monkeypatch):
    upload = intake.upload("a.zip", zipped({"a.tif": bytes(100_000)}, zipfile.ZIP_DEFLATED), finish=False)
    monkeypatch.setattr(Storage, "free", property(lambda self: 99_999))
    with pytest.raises(DiskFull, match="unpacking the archive"):
        list(
            unpack(
                intake.storage.upload(upload.id), intake.storage, intake.settings.model_copy(update={"max_ratio": 1e9})
            )
        )


def test_every_image_of_an_archive_keeps_its_name_and_the_others_are_told(intake):
    long = "x" * 196 + ".tif"
    names = [
        "set/input/a.b.tif",
        "set/output/a.b.tif",
        "set/细胞 é.tif",
        f"set/{long}",
        "set/<script>alert(1)</script>.tif",
    ]
    members = {name: tiff(number) for number, name in enumerate(names)}
    others = {"set/notes.txt": "x", "set/cut.tif": tiff()[:-9], "__MACOSX/set/._a.tif": "x", "set/.DS_Store": "x"}
    arrived = intake.upload("a.zip", zipped({**members, **others, "set/input/": ""}))
    roles = ["source", "target", "any", "any", "any"]
    assert [(image.name, image.role) for image in arrived.images] == list(zip(names, roles, strict=True))
    assert [name for name, _ in arrived.refused] == ["set/notes.txt", "set/cut.tif"]
    stored = {
        image.name: intake.storage.image(PROJECT, image.id, image.suffix).read_bytes() for image in intake.rows(Image)
    }
    assert stored == members
    assert len(intake.files()) == 3 * len(names)


def test_names_in_utf_8_that_do_not_say_so_are_read(intake):
    silent = bytearray(zipped({"细.tif": tiff()}))
    for place in (silent.index(b"PK\3\4") + 7, silent.index(b"PK\1\2") + 9):
        silent[place] &= ~8
    assert [image.name for image in intake.upload("a.zip", bytes(silent)).images] == ["细.tif"]


def test_equal_names_in_one_archive_are_two_images(intake):
    with pytest.warns(UserWarning, match="Duplicate name"):
        content = zipped([("a.tif", tiff(1)), ("a.tif", tiff(2))])
    assert len(intake.upload("a.zip", content).images) == 2


def test_a_disk_that_fills_while_unpacking_leaves_nothing(intake, monkeypatch):
    looked = Prober.look

    def full(self, file, description=None):
        if sum(file.endswith(".tif") for file in intake.files()) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return looked(self, file, description)

    monkeypatch.setattr(Prober, "look", full)
    with pytest.raises(DiskFull, match="full"):
        intake.upload("a.zip", zipped({f"{number}.tif": tiff(number) for number in range(3)}))
    assert intake.rows(Image) == intake.rows(Upload) == intake.files() == []
