import pytest

from trustworthy.core.errors import InvalidInput
from trustworthy.studio.intake.adding import LONG, clean_name, role_of


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("source/a.tif", "source"),
        ("output/train/a.tif", "target"),
        ("input/DAPI/a.tif", "target"),
        ("A/1.tif", "source"),
        ("well_Brightfield_01.tif", "source"),
        ("well01-dapi.ome.tif", "target"),
        ("phase_and_dapi.tif", "any"),
        ("dapi/phase 1.tif", "target"),
        ("my inputs/1.tif", "source"),
        ("new/1.tif", "new"),
        ("new 1.tif", "any"),
        ("surface.tif", "any"),
        ("a/b.tif", "source"),
        ("a.tif", "any"),
    ],
)
def test_the_last_folder_that_tells_names_the_role_and_else_the_name_of_the_file(name, role):
    assert role_of(name) == role


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("C:\\data\\a.tif", "C:/data/a.tif"),
        ("/etc/./a.tif", "etc/a.tif"),
        ("../../a.tif", "a.tif"),
        ("a\x00\n\u202eb.tif", "ab.tif"),
        ("e\u0301.tif", "é.tif"),
        ("a\ud800.tif", "a?.tif"),
        (" a .tif ", "a .tif"),
    ],
    ids=range(7),
)
def test_a_name_is_text_and_never_a_path(given, shown):
    assert clean_name(given) == shown


@pytest.mark.parametrize("given", ["", "..", "\n", "x" * (LONG + 1)], ids=range(4))
def test_a_name_of_nothing_or_without_end_is_refused(given):
    with pytest.raises(InvalidInput, match="name of a file"):
        clean_name(given)
