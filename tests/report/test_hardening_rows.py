"""Which rows a hardening trains on, chooses the epoch by, and audits."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from trustworthy import datasets
from trustworthy.core.errors import InvalidInput
from trustworthy.report.hardening.rows import MOST, apart, parts, read_parted, split, told


def patients(n=80, site="abcdefgh"):
    """Rows of sites that alternate, with two quantities of different spread and a truth value."""
    random = np.random.default_rng(0)
    table = pd.DataFrame({"dose": random.normal(size=n) * 1000, "age": random.integers(20, 90, n)})
    return table.assign(smoker=random.random(n) < 0.5, site=list(site) * (n // len(site)), ill=["no", "yes"] * (n // 2))


def rows_of(x):
    return {tuple(row) for row in np.asarray(x, np.float64).reshape(len(x), -1).tolist()}


def test_a_set_with_its_own_test_rows_keeps_them():
    found, published = read_parted("digits"), datasets.load("digits")
    assert np.array_equal(found.x_test, published.x_test)
    assert np.array_equal(found.x_train, published.x_train)


def test_rows_of_one_source_are_split_by_the_seed_with_the_classes_in_proportion():
    x, y = np.arange(400.0).reshape(200, 2), np.repeat([0, 1], [150, 50])
    found, other = read_parted((x, y)), read_parted((x, y), seed=1)
    assert (len(found.y_train), len(found.y_test), found.available) == (150, 50, 50)
    assert np.bincount(found.y_train).tolist() == [112, 38]
    assert rows_of(found.x_train) | rows_of(found.x_test) == rows_of(x)
    assert not rows_of(found.x_train) & rows_of(found.x_test)
    assert np.array_equal(found.x_test, x[found.rows])
    assert np.array_equal(found.y_test, y[found.rows])
    assert not np.array_equal(found.rows, other.rows)
    assert np.array_equal(found.rows, read_parted((x, y)).rows)
    assert "Rows split at random (seed 1), classes in proportion; a quarter is audited." in other.provenance


def test_groups_are_never_split():
    found = read_parted(patients(), label="ill", group="site")
    kept = set(found.groups)
    assert len(kept) == 2
    assert len(found.y_test) == 20
    site = [column.name for column in found.columns].index("site")
    names = found.columns[site].categories
    assert {names[int(code)] for code in found.x_train[:, site]} == set("abcdefgh") - kept
    with pytest.raises(InvalidInput, match="two groups or more, and all rows have 'a'; leave it out"):
        read_parted(patients(site="aa"), label="ill", group="site")


def test_training_rows_that_are_given_leave_all_of_the_others_to_the_audit():
    table = patients().drop(columns="site")
    found = read_parted(table[:30], train=table[30:], label="ill")
    assert (len(found.y_test), len(found.y_train)) == (30, 50)


def test_three_parts_share_no_row_and_are_in_the_units_of_the_attacks():
    dataset = read_parted(patients(), label="ill", drop=["site"])
    found = parts(dataset, {}, nn.Linear(3, 2), seed=0)
    (x, y), (chosen, labels) = found.train, found.validation
    assert (len(x), len(chosen), len(dataset.y_test)) == (51, 9, 20)
    assert told(dataset) == "51 rows to train on, 9 to choose the epoch by, 20 to audit"
    assert told(dataset, 20).endswith(", 20 to audit")
    assert told(dataset, 15).endswith(", 15 of 20 to audit")
    given = found.domain.as_given(torch.cat([x, chosen]))
    assert np.allclose(np.sort(given[:, 0]), np.sort(dataset.x_train[:, 0]))
    assert rows_of(x).isdisjoint(rows_of(chosen))
    both = torch.cat([x, chosen])
    assert torch.allclose(both[:, :2].mean(0), torch.zeros(2, dtype=both.dtype), atol=1e-9)
    assert torch.allclose(both[:, :2].std(0, correction=0), torch.ones(2, dtype=both.dtype))
    assert set(both[:, 2].tolist()) == {0.0, 1.0}  # a truth value is no quantity
    assert torch.cat([y, labels]).bincount().tolist() == np.bincount(dataset.y_train).tolist()
    assert found.fingerprint == parts(dataset, {}, nn.Linear(3, 2), seed=0).fingerprint
    assert found.fingerprint != parts(dataset, {}, nn.Linear(3, 2), seed=1).fingerprint


def test_whole_labels_are_the_columns_of_the_network_in_every_part():
    x, y = np.random.default_rng(0).normal(size=(40, 2)), np.repeat([3, 8], 20)
    found = parts(read_parted((x, y)), {}, nn.Linear(2, 9), seed=0)
    assert set(found.train[1].tolist()) == set(found.validation[1].tolist()) == {3, 8}
    assert found.classes == 9


def test_the_rows_that_choose_the_epoch_are_few_of_many():
    x, y = np.zeros((10 * MOST, 1)), np.arange(10 * MOST) % 2
    whole = split(datasets.read((x, y)), 0)
    assert told(whole) == "6,500 rows to train on, 1,000 to choose the epoch by, 2,500 to audit"
    assert apart(np.zeros(3, np.int64), 0.01, 0, "few").sum() == 1


def test_words_gaps_and_a_single_row_are_refused_before_any_training():
    table = patients()
    with pytest.raises(
        InvalidInput, match=r"the network takes numbers, and the columns 'site' hold words.*--drop site"
    ):
        parts(read_parted(table, label="ill"), {}, nn.Linear(4, 2), seed=0)
    table.loc[7, "dose"] = np.nan
    with pytest.raises(InvalidInput, match="x must be finite"):
        parts(read_parted(table, label="ill", drop=["site"]), {}, nn.Linear(3, 2), seed=0)
    with pytest.raises(InvalidInput, match="got 1; give more rows"):
        apart(np.zeros(1, np.int64), 0.25, 0, "one")
