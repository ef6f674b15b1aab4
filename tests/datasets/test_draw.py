"""Seeded splits: every row once, classes in proportion, the same with every version."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustworthy.core.errors import InvalidInput
from trustworthy.datasets.draw import sample_rows, seeded_split, shuffled, stratified_rows

labels = st.lists(st.integers(0, 3), min_size=2, max_size=60).map(lambda values: np.array(values, dtype=np.int64))


@given(labels, st.data())
def test_every_row_lands_in_one_part_and_classes_keep_their_share(y: np.ndarray, data: st.DataObject) -> None:
    test = data.draw(st.integers(1, len(y) - 1))
    content = seeded_split(np.arange(len(y)), y, test=test)
    train_rows, test_rows = np.asarray(content.x_train), np.asarray(content.x_test)
    assert len(test_rows) == test
    assert sorted([*train_rows, *test_rows]) == list(range(len(y)))
    np.testing.assert_array_equal(content.y_test, y[test_rows])
    sizes = np.bincount(y, minlength=4)
    seats = np.bincount(content.y_test, minlength=4)
    for giver in np.flatnonzero(seats):  # Sainte-Lague: moving a seat would not bring two classes nearer to proportion
        for taker in np.flatnonzero(seats < sizes):
            assert (seats[giver] - 0.5) / sizes[giver] <= (seats[taker] + 0.5) / sizes[taker] + 1e-12


@given(labels, st.integers(1, 80))
def test_sample_is_even_over_the_classes(y: np.ndarray, limit: int) -> None:
    rows = sample_rows(y, limit)
    assert len(rows) == min(limit, len(y))
    assert (np.diff(rows) > 0).all()
    counts, sizes = np.bincount(y[rows], minlength=4), np.bincount(y, minlength=4)
    spare = counts < sizes  # only classes that ran out may have fewer rows than another
    if spare.any():
        assert counts.max() - counts[spare].min() <= 1


def test_no_limit_keeps_every_row() -> None:
    np.testing.assert_array_equal(sample_rows(np.zeros(3, dtype=np.int64), None), [0, 1, 2])


def test_split_is_the_same_with_every_version() -> None:
    content = seeded_split(np.arange(8), np.array([0, 0, 0, 0, 1, 1, 1, 1]))
    np.testing.assert_array_equal(content.x_train, [7, 0, 5, 1, 3, 4])
    np.testing.assert_array_equal(content.x_test, [2, 6])


def test_regression_targets_are_split_at_random() -> None:
    content = seeded_split(np.arange(100), np.linspace(0.0, 1.0, 100))
    assert len(content.y_test) == 25
    assert 0.3 < content.y_test.mean() < 0.7
    rows = sample_rows(np.linspace(0.0, 1.0, 100), 10)
    assert len(set(rows)) == 10


def test_global_stream_is_left_alone() -> None:
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    seeded_split(np.arange(8), np.zeros(8, dtype=np.int64))
    shuffled(np.arange(8))
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_shuffled_keeps_the_rows() -> None:
    rows = shuffled(np.arange(20))
    assert sorted(rows) == list(range(20))
    assert list(rows) != list(range(20))


@pytest.mark.parametrize(
    ("rows", "test", "message"), [(1, None, "at least 2 rows"), (4, 4, "test must be <= 3, got 4")]
)
def test_impossible_splits_are_refused(rows: int, test: int | None, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        seeded_split(np.arange(rows), np.zeros(rows, dtype=np.int64), test=test)


def test_rows_are_drawn_in_proportion_and_by_the_seed() -> None:
    y = np.repeat([0, 1, 2], [50, 5, 20])
    rows = stratified_rows(y, 30, seed=0)
    assert np.bincount(y[rows]).tolist() == [20, 2, 8]
    assert (np.diff(rows) > 0).all()
    assert np.array_equal(rows, stratified_rows(y, 30, seed=0))
    assert not np.array_equal(rows, stratified_rows(y, 30, seed=1))
    assert np.array_equal(stratified_rows(y, 0, seed=0), np.arange(75))
    assert np.array_equal(stratified_rows(y, 100, seed=0), np.arange(75))
