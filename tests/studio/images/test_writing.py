import numpy as np
import pytest
import tifffile

from trustworthy.core.errors import InvalidInput
from trustworthy.studio.images.description import Description
from trustworthy.studio.images.reading import open_image
from trustworthy.studio.images.writing import write_image


def _like(axes, shape, **known):
    names = tuple("abc"[: shape[axes.index("C")]]) if "C" in axes and axes[-1] != "C" else ()
    sizes = {axis: size for axis, size in {"X": 0.1, "Y": 0.2, "Z": 1.5}.items() if axis in axes}
    return Description(axes=axes, shape=shape, dtype="uint8", pixel_size=sizes, channel_names=names, **known)


@pytest.mark.parametrize(
    ("axes", "shape", "dtype"),
    [
        ("YX", (8, 9), "uint8"),
        ("YX", (1, 1), "uint16"),
        ("CYX", (3, 8, 9), "int16"),
        ("YXC", (8, 9, 2), "float32"),
        ("YXS", (8, 9, 3), "uint8"),
        ("SYX", (3, 8, 9), "uint16"),
        ("ZCYX", (1, 2, 8, 9), "int16"),
        ("CZYX", (2, 4, 8, 9), "float32"),
        ("TCYX", (5, 2, 8, 9), "uint8"),
        ("ZTYX", (2, 3, 8, 9), "uint16"),
        ("CYXS", (2, 8, 9, 3), "int16"),
        ("TZCYX", (1, 1, 1, 8, 9), "float32"),
    ],
)
def test_an_image_comes_back_with_its_axes_singletons_pixel_size_and_names(tmp_path, axes, shape, dtype):
    like = _like(axes, shape)
    size = (like.planes, like.channels, like.height, like.width)
    planes = np.random.default_rng(0).integers(0, 250, size).astype(dtype)
    write_image(tmp_path / "a.tif", iter(planes), like, dtype)
    with open_image(tmp_path / "a.tif") as image:
        assert image.description == Description(**{**like.model_dump(), "dtype": dtype})
        np.testing.assert_array_equal([image.plane(index) for index in range(like.planes)], planes)
    with tifffile.TiffFile(tmp_path / "a.tif") as other:
        lengths = dict(zip(other.series[0].axes, other.series[0].shape, strict=True))
        assert other.series[0].kind == "ome"
        for axis, length in lengths.items():
            assert like.length("C" if axis == "S" and "S" not in axes else axis) == length
        stored = other.series[0].asarray()
    order = [axis for axis in "TZCSYX" if axis in lengths]
    canonical = stored.transpose([[*lengths].index(axis) for axis in order])
    np.testing.assert_array_equal(canonical.reshape(size), planes)


def test_numbers_are_rounded_and_cut_off_where_the_type_ends(tmp_path):
    plane = np.array([[[-3.0, 1.4, 1.6, 7e4]]])
    write_image(tmp_path / "a.tif", [plane], Description(axes="YX", shape=(1, 4), dtype="uint16"), "uint16")
    assert tifffile.imread(tmp_path / "a.tif").tolist() == [[0, 1, 2, 65535]]


@pytest.mark.parametrize("planes", [[], [np.zeros((1, 4, 5))], [np.zeros((1, 5, 4))] * 2, [np.zeros((1, 4, 5))] * 3])
def test_planes_that_do_not_fit_are_refused_and_leave_nothing(tmp_path, planes):
    with pytest.raises(InvalidInput, match="planes must be 2"):
        write_image(tmp_path / "a.tif", planes, Description(axes="ZYX", shape=(2, 4, 5), dtype="uint8"), "uint8")
    assert list(tmp_path.iterdir()) == []
