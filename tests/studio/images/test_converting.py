"""By stand-ins for the three libraries where they are not installed, and by files where they are."""

import struct
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from trustworthy.core.errors import DataError, MissingPackage
from trustworthy.studio.images.converting import convert
from trustworthy.studio.images.reading import open_image

ARRAY = np.arange(2 * 3 * 4 * 5, dtype="uint16").reshape(2, 3, 4, 5)
FIRST = {"czi": b"ZISRAWFILE", "nd2": b"\xda\xce\xbe\x0a", "lif": b"\x70\0\0\0"}
ZEN = """<I><Dimensions><Channels><Channel Name="phase"/><Channel Name="DAPI"/></Channels></Dimensions>
<Scaling><Items><Distance Id="X"><Value>1e-07</Value></Distance></Items></Scaling></I>"""


class File(SimpleNamespace):
    """What a library gives for an open file."""

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        pass


def _czi(**other):
    shape = (1, 1, *ARRAY.shape, 1)
    return File(**{"axes": "STCZYX0", "shape": shape, "dtype": ARRAY.dtype, "metadata": lambda: ZEN,
                   "asarray": lambda max_workers: ARRAY.reshape(shape)} | other)  # fmt: skip


def _nd2():
    channels = [SimpleNamespace(channel=SimpleNamespace(name=name)) for name in ("phase", "DAPI", "GFP")]
    return File(
        sizes={"P": 2, "C": 3, "Y": 4, "X": 5}, dtype=ARRAY.dtype, asarray=lambda position: ARRAY[position],
        voxel_size=lambda: SimpleNamespace(x=0.1, y=0.1, z=1.0), metadata=SimpleNamespace(channels=channels),
    )  # fmt: skip


def _lif():
    image = SimpleNamespace(
        path="wells/A1", dims=("Z", "Y", "X"), shape=ARRAY[0].shape, dtype=ARRAY.dtype, asarray=lambda: ARRAY[0],
        coords={"Y": np.arange(4) * 2e-7, "X": np.arange(5) * 1e-7},
    )  # fmt: skip
    return File(images=[image])


def _converted(tmp_path, monkeypatch, kind, file, limit=10**6):
    name, opened = {"czi": ("czifile", "CziFile"), "nd2": ("nd2", "ND2File"), "lif": ("liffile", "LifFile")}[kind]
    monkeypatch.setitem(sys.modules, name, SimpleNamespace(**{opened: lambda path: file}))
    (tmp_path / "a").write_bytes(FIRST[kind])
    (tmp_path / "out").mkdir()
    return convert(tmp_path / "a", tmp_path / "out", limit)


@pytest.mark.parametrize(
    ("kind", "file", "names", "axes", "names_of_channels", "pixel_size"),
    [
        ("czi", _czi(), [""], "CZYX", ("phase", "DAPI"), {"X": 0.1}),
        ("nd2", _nd2(), ["position 1", "position 2"], "CYX", ("phase", "DAPI", "GFP"), {"X": 0.1, "Y": 0.1}),
        ("lif", _lif(), [""], "ZYX", (), {"X": 0.1, "Y": 0.2}),
    ],
)
def test_images_of_a_microscope_become_ome_tiff(
    tmp_path, monkeypatch, kind, file, names, axes, names_of_channels, pixel_size
):
    done = _converted(tmp_path, monkeypatch, kind, file)
    assert [name for name, _ in done] == names
    for number, (_, path) in enumerate(done):
        with open_image(tmp_path / path) as image:
            about = image.description
            assert (about.axes, about.channel_names, about.pixel_size) == (axes, names_of_channels, pixel_size)
            planes = np.stack([image.plane(index) for index in range(about.planes)])
        wanted = {"czi": ARRAY.transpose(1, 0, 2, 3), "nd2": ARRAY[number][None], "lif": ARRAY[0][:, None]}[kind]
        np.testing.assert_array_equal(planes, wanted)


@pytest.mark.parametrize(
    ("file", "limit", "words"),
    [
        (_czi(axes="SHCZYX0", shape=(1, 9, *ARRAY.shape, 1)), 10**6, "the axes HCZYX"),
        (_czi(shape=(2, 1, *ARRAY.shape, 1)), 10**6, "2 scenes"),
        (_czi(), 100, "claims 2 x 3 x 4 x 5 pixels"),
    ],
)
def test_what_is_not_known_or_too_large_is_refused_before_it_is_decoded(tmp_path, monkeypatch, file, limit, words):
    with pytest.raises(DataError, match=words):
        _converted(tmp_path, monkeypatch, "czi", file, limit)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("kind", FIRST)
def test_a_library_that_is_not_installed_is_named(tmp_path, monkeypatch, kind):
    for name in ("czifile", "nd2", "liffile"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "a").write_bytes(FIRST[kind])
    with pytest.raises(MissingPackage, match=f"exported as OME-TIFF.* {kind.upper()} needs .*'trustworthy.bio.'"):
        convert(tmp_path / "a", tmp_path, 10**6)


def lif(arrays):
    """A collection of stacks of 16 bits, as version 2 of the format has it."""

    def block(head, data=b""):
        return struct.pack("<II", 0x70, len(head)) + head + data

    def text(words):
        return struct.pack("<BI", 0x2A, len(words)) + words.encode("utf-16-le")

    def image(number, array):
        sizes = [
            ("1", array.shape[2], 2),
            ("2", array.shape[1], 2 * array.shape[2]),
            ("3", array.shape[0], 2 * array[0].size),
        ]
        told = "".join(
            f'<DimensionDescription DimID="{axis}" NumberOfElements="{count}" Origin="0" Length="{(count - 1) * 1e-7}" '
            f'Unit="m" BitInc="0" BytesInc="{step}"/>'
            for axis, count, step in sizes
        )
        channel = (
            '<ChannelDescription DataType="0" ChannelTag="0" Resolution="16" NameOfMeasuredQuantity="" Min="0" Max="1"'
        )
        channel += ' Unit="" LUTName="Gray" IsLUTInverted="0" BytesInc="0" BitInc="0"/>'
        return (
            f'<Element Name="A{number}"><Data><Image><ImageDescription><Channels>{channel}</Channels>'
            f"<Dimensions>{told}</Dimensions></ImageDescription></Image></Data>"
            f'<Memory Size="{array.nbytes}" MemoryBlockID="MemBlock_{number}"/></Element>'
        )

    images = "".join(image(number, array) for number, array in enumerate(arrays))
    head = f'<Element Name="wells"><Children>{images}</Children></Element>'
    head = f'<LMSDataContainerHeader Version="2">{head}</LMSDataContainerHeader>'
    blocks = [
        block(struct.pack("<BQ", 0x2A, array.nbytes) + text(f"MemBlock_{number}"), array.tobytes())
        for number, array in enumerate(arrays)
    ]
    return block(text(head)) + b"".join(blocks)


def test_a_collection_of_leica_is_read_by_its_library(tmp_path):
    pytest.importorskip("liffile")
    (tmp_path / "a").write_bytes(lif([ARRAY[0], ARRAY[1]]))
    done = convert(tmp_path / "a", tmp_path, 10**6)
    assert [name for name, _ in done] == ["A0", "A1"]
    for number, (_, path) in enumerate(done):
        with open_image(tmp_path / path) as image:
            assert image.description.axes == "ZYX"
            assert image.description.pixel_size == {"X": 0.1, "Y": 0.1, "Z": 0.1}
            np.testing.assert_array_equal([image.plane(index)[0] for index in range(3)], ARRAY[number])
