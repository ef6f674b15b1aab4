"""Rows that belong together: accuracy of each group, the interval of all, and whose input the column is."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from report.small_audit import plan_of
from trustworthy import datasets
from trustworthy.core.errors import InvalidInput
from trustworthy.metrics import grouped_interval, proportion_interval
from trustworthy.report.audit import audit
from trustworthy.report.findings import KINDS

pytestmark = pytest.mark.usefixtures("_undrawn")

KIND = [kind for kind in KINDS if kind.step == "accuracy"]
SITES = np.repeat(["north", "south", "west"], [30, 20, 10])


def patients():
    """Sixty rows of three sites; the sign of `dose` is the label, but for every second row of the south."""
    random = np.random.default_rng(0)
    dose = random.normal(size=60)
    ill = (dose > 0) != ((SITES == "south") & (np.arange(60) % 2 == 0))
    return pd.DataFrame({"site": SITES, "dose": dose, "age": random.normal(size=60), "ill": np.where(ill, "yes", "no")})


def by_sign(columns=2):
    model = nn.Linear(columns, 2)
    with torch.no_grad():
        model.weight.zero_()
        model.bias.zero_()
        model.weight[1, 0] = 9.0
    return model


def accuracy(model, data, **given):
    record = audit(model, data, label="ill", plan=plan_of(KIND), kinds=KIND, **given)
    return record.findings[0], record


def test_the_accuracy_of_each_group_and_the_worst_of_them(tmp_path):
    table = patients()
    found, record = accuracy(by_sign(), table, group="site", out=tmp_path)
    rows = {row["name"]: row for row in found.series["per_group"]}
    assert next(iter(rows)) == "south"
    for name, n, right in (("north", 30, 30), ("south", 20, 10), ("west", 10, 10)):
        assert (rows[name]["n"], rows[name]["accuracy"]) == (n, right / n)
        assert (rows[name]["low"], rows[name]["high"]) == proportion_interval(right, n)
    assert (
        "Of the 3 groups by site the worst is south with 50.0% (27.2 to 72.8%, n = 20). The interval of the"
        in found.statement
    )
    assert found.interval == grouped_interval(np.arange(60) % 2 + (SITES != "south") > 0, SITES)
    assert found.interval[0] < proportion_interval(50, 60)[0] - 0.1
    assert record.data["groups"] == "3 of site"
    page = (tmp_path / "report.html").read_text()
    assert "Accuracy by site" in page
    assert "all other intervals of this report treat rows as independent" in page


def test_without_groups_nothing_changes():
    table = patients().drop(columns="site")
    found, record = accuracy(by_sign(), table)
    assert "per_group" not in found.series
    assert "groups" not in record.data
    assert found.interval == proportion_interval(50, 60)


def test_rows_that_are_drawn_keep_their_group():
    found, _ = accuracy(by_sign(), patients(), group="site", limit=30)
    assert sum(row["n"] for row in found.series["per_group"]) == 30
    assert {row["name"] for row in found.series["per_group"] if row["accuracy"] == 1.0} == {"north", "west"}


def test_a_group_may_be_missing_and_whole_numbers_are_written_as_such():
    table = patients().assign(site=np.repeat([1.0, np.nan, 3.0], 20))
    found, _ = accuracy(by_sign(), table, group="site")
    assert "so few groups tell little of others" in found.statement
    many, _ = accuracy(by_sign(), table.assign(site=np.arange(60) % 12), group="site")
    assert "so few groups" not in many.statement
    assert {row["name"] for row in found.series["per_group"]} == {"1", "(missing)", "3"}


def test_the_column_of_groups_is_an_input_of_models_that_were_fitted_with_it_by_name():
    table = patients().assign(site=np.repeat([1, 2, 3], 20))
    y = table["ill"]
    within, without = table[["site", "dose", "age"]], table[["dose", "age"]]
    knows, ignores = LogisticRegression().fit(within, y), LogisticRegression().fit(without, y)
    for model, x in ((knows, within), (ignores, without)):
        found, record = accuracy(model, table, group="site")
        assert found.value == pytest.approx(model.score(x, y))
        assert ("site' says which rows belong together and is no input" in record.data["provenance"]) == (x is without)
    assert accuracy({"a": ignores, "b": by_sign()}, table, group="site")[1].data["shape"] == [2]
    with pytest.raises(InvalidInput, match="'site', an input of knows and of no other model; audit models with other"):
        accuracy({"knows": knows, "ignores": ignores}, table, group="site")


def test_training_rows_need_no_groups():
    table = patients()
    found, record = accuracy(by_sign(), table, group="site", train=table.drop(columns="site"))
    assert len(found.series["per_group"]) == 3
    assert record.data["shape"] == [2]


def test_other_groups_are_another_audit(tmp_path):
    table = patients()
    accuracy(by_sign(), table, group="site", out=tmp_path)
    with pytest.warns(UserWarning, match="parts of another audit"):
        accuracy(by_sign(), table.assign(site=SITES[::-1]), group="site", out=tmp_path)
    assert json.loads((tmp_path / "findings.json").read_text())["findings"][0]["series"]["per_group"][0]["n"] < 60


def test_groups_of_a_data_set_at_hand_are_used():
    data = datasets.read(patients(), label="ill", group="site")
    found = audit(by_sign(), data, plan=plan_of(KIND), kinds=KIND).findings[0]
    assert (found.series["group"], len(found.series["per_group"])) == ("site", 3)
