"""Each corruption of tables against its definition: which cells it strikes, and what becomes of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from trustworthy.core.errors import InvalidInput, UnknownName
from trustworthy.datasets.columns import columns_of, decode, encode
from trustworthy.datasets.corruptions import TABLE_CORRUPTIONS, corrupt_table

N = 400
SEVERITIES = range(1, 6)
random = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "length": random.normal(20.0, 3.0, N),
        "count": random.permutation(N),
        "flag": random.random(N) < 0.5,
        "word": random.choice(["a", "b"], N),
        "size": pd.Categorical(random.choice(["low", "high"], N), ["low", "high"], ordered=True),
    }
)
COLUMNS = columns_of(FRAME)
X = encode(FRAME, COLUMNS)
SCALE = np.nanstd(X, axis=0)
NUMBERS, CATEGORIES = [0, 1], [3, 4]


def corrupted(name, severity=3, seed=1, x=X, scale=SCALE, **given):
    return corrupt_table(x, COLUMNS, name, severity, np.random.default_rng(seed), scale=scale, **given)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_the_shares_are_exact(severity):
    share = (0.02, 0.05, 0.1, 0.2, 0.3)[severity - 1]
    missing = np.isnan(corrupted("missing_values", severity))
    assert missing.sum() == round(share * X.size)
    assert missing.any(axis=0).all()
    unseen = corrupted("unseen_category", severity)
    assert (unseen != X).sum() == (unseen[:, CATEGORIES] == 2.0).sum() == round(share * N * 2)
    moved = corrupted("swapped_rows", severity)[:, 1] != X[:, 1]  # a column of values that are all different
    assert 0.6 * share < moved.mean() < 1.4 * share


@pytest.mark.parametrize("severity", SEVERITIES)
def test_a_swap_keeps_what_is_in_a_column(severity):
    np.testing.assert_array_equal(np.sort(corrupted("swapped_rows", severity), axis=0), np.sort(X, axis=0))
    whole = corrupted("swapped_rows", severity, among=[1])
    assert (whole[:, 1] != X[:, 1]).all()  # none keeps its own
    np.testing.assert_array_equal(np.sort(whole, axis=0), np.sort(X, axis=0))


@pytest.mark.parametrize("severity", SEVERITIES)
def test_drift_and_slip_strike_one_number_of_each_row_exactly(severity):
    for name in ("drift", "unit_slip"):
        out = corrupted(name, severity)
        level = TABLE_CORRUPTIONS[name].levels[severity - 1]
        wanted = X + level * SCALE if name == "drift" else level * X
        wanted[:, 1] = X[:, 1] + np.round(level * SCALE[1]) if name == "drift" else np.floor(wanted[:, 1] + 0.5)
        struck = out != X
        assert (struck[X[:, 1] != 0].sum(axis=1) == 1).all()  # zero is zero in any unit
        assert not struck[:, 2:].any()
        np.testing.assert_allclose(out[struck], wanted[struck], rtol=1e-12)
        assert 0.4 < struck[:, 0].mean() < 0.6


def test_drift_of_a_column_moves_its_mean_by_so_many_standard_deviations():
    out = corrupted("drift", 5, among=[0])
    assert (out - X)[:, 0].mean() == pytest.approx(3.0 * SCALE[0], rel=1e-12)
    np.testing.assert_array_equal(out[:, 1:], X[:, 1:])


def test_the_slips_are_units():
    ratio = [corrupted("unit_slip", severity, among=[0])[:, 0] / X[:, 0] for severity in SEVERITIES]
    np.testing.assert_allclose(ratio, np.repeat([[10.0], [30.48], [100.0], [304.8], [1000.0]], N, axis=1))


@pytest.mark.parametrize("severity", SEVERITIES)
def test_noise_has_the_scale_of_its_column_and_leaves_whole_numbers_whole(severity):
    noise = corrupted("gaussian_noise", severity) - X
    level = (0.05, 0.1, 0.2, 0.3, 0.5)[severity - 1]
    np.testing.assert_allclose(noise[:, NUMBERS].std(axis=0), level * SCALE[NUMBERS], rtol=0.1)
    assert abs(noise[:, 0].mean()) < 4 * level * SCALE[0] / np.sqrt(N)
    assert not noise[:, 2:].any()
    assert decode(X + noise, COLUMNS).dtypes.equals(FRAME.dtypes)


def test_what_is_unseen_is_a_new_word_in_the_frame():
    frame = decode(corrupted("unseen_category", 5, among=CATEGORIES), COLUMNS)
    assert set(frame["word"]) == set(frame["size"]) == {"unseen"}
    assert list(frame["size"].cat.categories) == ["low", "high", "unseen"]
    assert frame["size"].cat.ordered
    assert frame["word"].dtype == FRAME["word"].dtype


def test_a_missing_whole_number_or_truth_value_is_what_pandas_has():
    frame = decode(corrupted("missing_values", 5, among=[1, 2]), COLUMNS)
    assert frame["count"].dtype == np.float64
    assert frame[["count", "flag"]].isna().all(axis=None)


@pytest.mark.parametrize("name", TABLE_CORRUPTIONS)
def test_every_corruption_is_drawn_from_its_generator_and_leaves_its_input_and_what_is_missing(name):
    x = X.copy()
    x[::3, :] = np.nan
    before = x.copy()
    np.testing.assert_array_equal(corrupted(name, x=x), corrupted(name, x=x))
    assert not np.array_equal(corrupted(name), corrupted(name, seed=2))
    np.testing.assert_array_equal(x, before)
    out = corrupted(name, x=x)
    if name in ("gaussian_noise", "drift", "unit_slip"):
        assert np.isnan(out[::3]).all()
    elif name == "swapped_rows":
        np.testing.assert_array_equal(np.isnan(out).sum(axis=0), np.isnan(x).sum(axis=0))


@pytest.mark.parametrize("name", TABLE_CORRUPTIONS)
def test_what_has_no_such_column_or_no_row_stays_as_it_is(name):
    flags = columns_of(FRAME[["flag"]])
    given = {"scale": SCALE[2:3], "generator": np.random.default_rng(0)}
    out = corrupt_table(X[:, 2:3], flags, name, 5, **given)
    assert np.array_equal(out, X[:, 2:3]) == (name not in ("missing_values", "swapped_rows"))
    assert corrupt_table(X[:0, 2:3], flags, name, 5, **given).shape == (0, 1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"severity": 6}, "severity must be"),
        ({"among": [2]}, r"among must be numbers, which are \[0, 1\], got \[2\]"),
        (
            {"x": X[:, :3], "scale": SCALE[:3]},
            r"x must have shape \(n, 5\) and scale \(5,\).*got \(400, 3\) and \(3,\)",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(given, message):
    with pytest.raises(InvalidInput, match=message):
        corrupted("drift", **given)


def test_a_corruption_of_images_is_none_of_tables():
    with pytest.raises(UnknownName, match="unknown corruption of tables 'fog'"):
        corrupted("fog")
