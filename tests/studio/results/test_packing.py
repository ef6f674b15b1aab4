"""Names and cells that are safe wherever a person opens them."""

import pytest

from trustworthy.studio.training.packing import LONGEST, cell, folder_name


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "a\\b\\CON.tif", "Zellkörper 1.tif", "細胞.tif", "x" * 300, "<b>.png", ""],
    ids=["traversal", "backslashes", "umlaut", "chinese", "long", "markup", "empty"],
)
def test_folders_have_plain_names(name):
    made = folder_name(7, name)
    assert made.startswith("0007")
    assert len(made) <= LONGEST + 5
    assert made.replace("-", "").isalnum()
    assert made.isascii()


def test_equal_names_have_different_folders():
    assert folder_name(1, "a/well.b.tif") == "0001-well-b"
    assert folder_name(1, "a/well.tif") != folder_name(2, "b/well.tif")


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@a", "\t=1"], ids=["equals", "plus", "minus", "at", "tab"])
def test_no_cell_is_a_formula(name):
    assert cell(name) == f"'{name}"


def test_numbers_stay_numbers():
    assert [cell(-0.5), cell(None), cell("a=b"), cell(1 / 3)] == ["-0.5", "", "a=b", "0.333333"]
