import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile

from trustworthy.core.errors import DataError, InvalidInput
from trustworthy.studio.images.reading import open_image

IMAGE = np.random.default_rng(0).integers(0, 999, (4, 2, 16, 20)).astype("uint16")


def _saved(file, array, **options):
    tifffile.imwrite(file, array, **{"photometric": "minisblack"} | options)
    return file


@pytest.mark.parametrize(
    ("shape", "options", "axes", "guessed"),
    [
        ((16, 20), {"metadata": None}, "YX", False),
        ((4, 16, 20), {"metadata": None}, "ZYX", True),
        ((4, 16, 20), {}, "ZYX", True),
        ((4, 2, 16, 20), {}, "ZTYX", True),
        ((4, 2, 16, 20), {"metadata": {"axes": "TCYX"}}, "TCYX", False),
        ((4, 2, 16, 20), {"metadata": {"axes": "ZCYX"}, "imagej": True}, "ZCYX", False),
        ((4, 2, 16, 20), {"metadata": {"axes": "ZCYX"}, "ome": True}, "ZCYX", False),
        ((4, 16, 20), {"metadata": {"axes": "TYX"}, "compression": "zlib", "byteorder": ">"}, "TYX", False),
        ((2, 16, 20, 3), {"metadata": {"axes": "TYXS"}, "photometric": "rgb", "compression": "lzw"}, "TYXS", False),
        (
            (2, 3, 16, 20),
            {"metadata": {"axes": "TSYX"}, "photometric": "rgb", "planarconfig": "separate"},
            "TSYX",
            False,
        ),
        ((16, 20, 2), {"metadata": {"axes": "YXC"}, "byteorder": ">"}, "YXC", False),
    ],
)
def test_axes_are_those_of_the_file_and_a_guess_says_so(tmp_path, shape, options, axes, guessed):
    array = np.resize(IMAGE, shape)
    with open_image(_saved(tmp_path / "a", array, **options)) as image:
        about = image.description
        assert (about.axes, about.shape, about.dtype, about.guessed) == (axes, shape, "uint16", guessed)
        planes = np.stack([image.plane(index) for index in range(about.planes)])
        assert image.plane(0).dtype.isnative
    canonical = array.transpose([axes.index(axis) for axis in "TZCSYX" if axis in axes])
    np.testing.assert_array_equal(planes, canonical.reshape(planes.shape))
    assert planes.dtype == np.uint16


def test_a_person_may_call_the_axes_otherwise(tmp_path):
    file = _saved(tmp_path / "a", IMAGE[:, 0], metadata=None, compression="zlib")
    with open_image(file) as image:
        wanted = image.description.called("cyx")
    with open_image(file, wanted) as image:
        np.testing.assert_array_equal(image.plane(0), IMAGE[:, 0])
        with pytest.raises(InvalidInput, match="index must be 0 to 0"):
            image.plane(1)
    with pytest.raises(DataError, match="it was changed"), open_image(_saved(tmp_path / "b", IMAGE[0]), wanted):
        pass


def test_sizes_of_pixels_are_in_micrometres(tmp_path):
    told = {"spacing": 2.0, "unit": "nm", "axes": "ZYX"}
    file = _saved(tmp_path / "a", IMAGE[:, 0], imagej=True, resolution=(0.1, 0.2), metadata=told)
    with open_image(file) as image:
        assert image.description.pixel_size == pytest.approx({"X": 0.01, "Y": 0.005, "Z": 0.002})
    told = {"PhysicalSizeX": 3.0, "PhysicalSizeXUnit": "mm", "axes": "CYX", "Channel": {"Name": ["GFP", "DAPI"]}}
    with open_image(_saved(tmp_path / "b", IMAGE[0], ome=True, metadata=told)) as image:
        assert image.description.pixel_size == {"X": 3000.0}
        assert image.description.channel_names == ("GFP", "DAPI")


@pytest.mark.parametrize(("dtype", "shape"), [("uint8", (7, 9)), ("uint16", (7, 9)), ("uint16", (7, 9, 3))])
def test_a_png_keeps_its_bits_and_its_colours(tmp_path, dtype, shape):
    array = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    clear = np.concatenate([np.atleast_3d(array), np.full((7, 9, 1), 5, dtype)], axis=2)
    for number, given in enumerate((array, clear)):
        (tmp_path / f"{number}").write_bytes(imagecodecs.png_encode(given))
        with open_image(tmp_path / f"{number}") as image:
            assert image.description.shape == shape
            np.testing.assert_array_equal(image.plane(0), array.reshape(7, 9, -1).transpose(2, 0, 1))


def test_a_png_with_a_palette_shows_its_colours(tmp_path):
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    parts = {"IHDR": struct.pack(">IIBBBBB", 1, 1, 8, 3, 0, 0, 0), "PLTE": bytes([9, 8, 7]), "tRNS": b"\x05"}
    parts |= {"IDAT": zlib.compress(b"\0\0"), "IEND": b""}
    body = b"".join(chunk(name.encode(), part) for name, part in parts.items())
    (tmp_path / "a").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    with open_image(tmp_path / "a") as image:
        assert image.plane(0).ravel().tolist() == [9, 8, 7]


@pytest.mark.parametrize(
    ("head", "words"),
    [(b"", "empty"), (b"\xff\xd8\xff\xe0", "JPEG"), (b"<svg>", "SVG"), (b"hello", "no image"), (b"PK\3\4", "zip")],
)
def test_what_is_no_image_is_named(tmp_path, head, words):
    (tmp_path / "a.tif").write_bytes(head)
    with pytest.raises(DataError, match=words), open_image(tmp_path / "a.tif"):
        pass
