"""`from_file`: what it accepts, and what it says of the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trustworthy.core.errors import DataError, InvalidInput
from trustworthy.datasets import from_file

X = np.linspace(0.0, 1.0, 12).reshape(3, 1, 2, 2)
Y = np.array([0, 2, 1], dtype=np.uint8)


def save(folder: Path, **arrays: object) -> Path:
    file = folder / "mine.npz"
    np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]
    return file


def test_images_with_a_training_set(tmp_path: Path) -> None:
    file = save(tmp_path, x_test=X, y_test=Y, x_train=X[:2], y_train=Y[:2], class_names=np.array(["a", "b", "c"]))
    found = from_file(file)
    assert (found.name, found.source, found.class_names, found.n_classes) == ("mine", str(file), ("a", "b", "c"), 3)
    np.testing.assert_array_equal(found.x_test, X.astype(np.float32))
    np.testing.assert_array_equal(found.y_test, [0, 2, 1])
    assert (found.y_test.dtype, len(found.y_train), found.shape) == (np.int64, 2, (1, 2, 2))


def test_a_table_of_integers_without_a_training_set(tmp_path: Path) -> None:
    found = from_file(str(save(tmp_path, x=np.arange(6).reshape(3, 2), y=Y)))
    assert found.x_test.dtype == np.float64
    assert found.x_train.shape == (0, 2)
    assert (len(found.y_train), found.n_classes) == (0, 3)


def test_names_of_classes_are_numbered(tmp_path: Path) -> None:
    labels, more = np.array(["dog", "cat", "dog"]), np.array(["cow", "cat", "dog"])
    found = from_file(save(tmp_path, x_test=X, y_test=labels, x_train=X, y_train=more))
    assert found.class_names == ("cat", "cow", "dog")
    assert (found.y_test.tolist(), found.y_train.tolist()) == ([2, 0, 2], [1, 0, 2])
    ordered = from_file(save(tmp_path, x=X, y=labels, class_names=np.array(["dog", "cow", "cat"])))
    assert ordered.class_names == ("dog", "cow", "cat")
    assert ordered.y_test.tolist() == [0, 2, 0]


@pytest.mark.parametrize(
    ("labels", "codes", "values"),
    [
        ([-1, 1, 1], [0, 1, 1], (-1, 1)),
        ([0.0, 1.0, 1.0], [0, 1, 1], (0, 1)),
        ([True, False, True], [1, 0, 1], (False, True)),
        (np.eye(3, dtype=int)[[0, 2, 1]], [0, 2, 1], (0, 1, 2)),
        ([7, 3, 7], [1, 0, 1], (3, 7)),
    ],
)
def test_labels_of_any_type_are_numbered(tmp_path: Path, labels: object, codes: list[int], values: object) -> None:
    found = from_file(save(tmp_path, x=X, y=np.array(labels)))
    assert (found.y_test.tolist(), found.class_values) == (codes, values)
    assert found.class_names == tuple(map(str, found.class_values))


def test_names_of_numbers_stay_with_their_numbers(tmp_path: Path) -> None:
    found = from_file(save(tmp_path, x=X, y=np.array([2, 0, 2]), class_names=np.array(["a", "b", "c"])))
    assert (found.y_test.tolist(), found.class_names, found.class_values) == ([2, 0, 2], ("a", "b", "c"), ())


def test_missing_values_of_a_table_are_kept_and_infinite_ones_refused(tmp_path: Path) -> None:
    table = np.array([[1.0, np.nan], [2.0, 3.0], [4.0, 5.0]])
    np.testing.assert_array_equal(from_file(save(tmp_path, x=table, y=Y)).x_test, table)
    table[0, 1] = np.inf
    with pytest.raises(InvalidInput, match="x must be finite, but row 0"):
        from_file(save(tmp_path, x=table, y=Y))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file"):
        from_file(tmp_path / "absent.npz")
