import signal
import struct
import subprocess
import sys
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile

from trustworthy.core.errors import DataError
from trustworthy.studio.images import probing
from trustworthy.studio.images.probing import lent
from trustworthy.studio.images.reading import open_image
from trustworthy.studio.settings import Settings


@pytest.fixture(scope="module")
def prober():
    with lent(Settings(max_pixels=10**6)) as prober:
        yield prober


def tiff(side, compression=1, body=b"", count=None):
    """A TIFF of one strip that says what it likes."""
    tags = [(256, 4, side), (257, 4, side), (258, 3, 16), (259, 3, compression), (262, 3, 1), (273, 4, 200)]
    tags += [(277, 3, 1), (278, 4, side), (279, 4, len(body) if count is None else count)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    head = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4)
    return head.ljust(200, b"\0") + body


def png(side):
    """A square of nothing, of few bytes whatever its size."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(9))) + chunk(b"IEND", b"")


def test_statistics_are_those_of_all_planes_of_a_channel(tmp_path, prober):
    array = np.random.default_rng(0).normal(1000, 5, (3, 2, 90, 70)).astype("float32")
    array[:, 1] = 4
    array[1:, 0, :45] = 1200
    tifffile.imwrite(tmp_path / "a", array, metadata={"axes": "ZCYX"}, ome=True)
    found = prober.look(tmp_path / "a")
    first, second = found.statistics.channels
    values = array[:, 0].astype(float)
    assert (first.min, first.max, first.highest) == (values.min(), 1200, 1 / 3)
    assert (first.mean, first.std) == pytest.approx((values.mean(), values.std()), rel=1e-12)
    assert (first.dark, first.bright) == pytest.approx(np.quantile(values, [0.005, 0.995]), rel=1e-12)
    assert (second.min, second.max, second.std, second.constant, first.constant) == (4, 4, 0, True, False)
    assert found.statistics.constant
    assert imagecodecs.png_decode(found.thumbnail).shape == (90, 70)
    called = prober.look(tmp_path / "a", found.description.called("CZYX"))
    assert [channel.max for channel in called.statistics.channels] == [values[0].max(), 1200, 1200]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (tiff(200_000, body=bytes(222)), "422 bytes, and its pixels should reach to byte 80,000,000,"),
        (tiff(200_000, compression=8, body=zlib.compress(b"")), "claims 200,000 x 200,000 pixels"),
        (tiff(0), "damaged|claims"),
        (tiff(20, body=bytes(799)), "cut off"),
        (tiff(20, compression=8, body=zlib.compress(bytes(800))[:-4], count=900), "cut off"),
        (tiff(20, compression=8, body=b"\x78\x9cnonsense"), "damaged"),
        (tiff(20, compression=50_000, body=bytes(99)), "damaged"),
        (b"II*\0" + bytes(99), "damaged|cut off"),
        (png(200_000), "claims 200,000 x 200,000 pixels"),
        (png(100), "damaged"),
        (png(9)[:40], "damaged"),
        (png(9)[:20], "damaged"),
    ],
)
def test_an_image_that_lies_or_is_cut_off_is_refused_in_words(tmp_path, prober, body, words):
    (tmp_path / "a").write_bytes(body)
    with pytest.raises(DataError, match=words):
        prober.look(tmp_path / "a")


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_numbers_that_are_none_are_refused(tmp_path, prober, value):
    tifffile.imwrite(tmp_path / "a", np.array([[1, value]]))
    with pytest.raises(DataError, match="no numbers"):
        prober.look(tmp_path / "a")


def test_a_file_of_several_images_is_refused_and_its_thumbnail_is_none(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a") as file:
        file.write(np.zeros((90, 90), "uint8"))
        file.write(np.zeros((9, 9), "uint8"))
    with open_image(tmp_path / "a") as image:
        assert image.description.shape == (90, 90)
    with tifffile.TiffWriter(tmp_path / "b") as file:
        file.write(np.zeros((90, 90), "uint8"))
        file.write(np.zeros((80, 90), "uint8"))
    with pytest.raises(DataError, match="holds 2 images"), open_image(tmp_path / "b"):
        pass


def test_other_files_that_one_names_are_not_opened(tmp_path):
    array = np.arange(12, dtype="uint8").reshape(2, 2, 3)
    tifffile.imwrite(tmp_path / "secret.tif", array[0])
    told = '<UUID FileName="secret.tif">urn:uuid:1</UUID>'
    data = (
        f'<TiffData IFD="0" FirstZ="0" PlaneCount="1">{told}</TiffData>'
        + '<TiffData IFD="0" FirstZ="1" PlaneCount="1"/>'
    )
    pixels = 'ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="3" SizeY="2" SizeC="1" SizeZ="2" SizeT="1"'
    space = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
    ome = f'<?xml version="1.0"?><OME {space}><Image ID="Image:0"><Pixels {pixels}>{data}</Pixels></Image></OME>'
    tifffile.imwrite(tmp_path / "a.tif", array[1], description=ome, metadata=None)
    with open_image(tmp_path / "a.tif") as image:
        assert image.description.shape == (2, 3)
        assert image.plane(0).ravel().tolist() == array[1].ravel().tolist()


def test_a_process_that_dies_is_replaced(tmp_path, monkeypatch, prober):
    tifffile.imwrite(tmp_path / "a", np.zeros((2, 2), "uint8"))
    prober.look(tmp_path / "a")
    prober._child.send_signal(signal.SIGSTOP)  # it answers nobody, until its time is over
    monkeypatch.setattr(probing, "SECONDS", -1)
    with pytest.raises(DataError, match="memory and the time"):
        prober.look(tmp_path / "a")
    monkeypatch.setattr(probing, "SECONDS", 120)
    assert prober.look(tmp_path / "a").description.shape == (2, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seconds", "act", "code"), [(9, "bytearray(3 * 2**30)", 1), (1, "any(iter(int, 1))", -signal.SIGXCPU), (9, "1", 0)]
)
def test_memory_and_time_are_limited(seconds, act, code):
    limited = f"from {probing.__name__} import _limit; _limit({seconds}, 0); {act}"
    done = subprocess.run([sys.executable, "-c", limited], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert ("MemoryError" in done.stderr) == (code == 1)
