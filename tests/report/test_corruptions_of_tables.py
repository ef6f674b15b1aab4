"""Tables under corruptions: what is measured, what a model refuses, and which column hurts most."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch import nn

from report.small_audit import audited, linear_of, table
from trustworthy.report import corrupted
from trustworthy.report.audit import audit
from trustworthy.report.findings import corruptions
from trustworthy.report.findings.corruptions import Corruptions
from trustworthy.report.render import render

pytestmark = pytest.mark.usefixtures("_undrawn")

STEP = "robustness.corruptions"
ALL = ["missing_values", "swapped_rows", "gaussian_noise", "drift", "unit_slip", "unseen_category"]
NUMBERS, WORDS = ["age", "rooms"], ["sex", "port", "alone"]


def passengers(n=100, gaps=True):
    """A frame of numbers, whole numbers, words, a dtype of categories and truth values, and who survived."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": random.normal(35.0, 14.0, n).clip(1.0),
            "rooms": random.integers(1, 9, n),
            "sex": random.choice(["female", "male"], n),
            "port": pd.Categorical(random.choice(["C", "Q", "S"], n)),
            "alone": random.random(n) < 0.5,
        }
    )
    alive = (frame["sex"] == "female") ^ (random.random(n) < 0.1) | (frame["age"] < 14)
    if gaps:
        frame.loc[random.random(n) < 0.2, "age"] = np.nan
    return frame, np.where(alive, "yes", "no")


def pipeline(**unknown):
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = make_column_transformer((numbers, NUMBERS), (OneHotEncoder(**unknown), WORDS))
    return make_pipeline(columns, LogisticRegression())


def boosted():
    return HistGradientBoostingClassifier(max_iter=15, max_leaf_nodes=7, categorical_features="from_dtype")


def measured(model, data, **changes):
    return audited(model, data, STEP, **{"corruptions": {"rows": 0, "severities": [1, 5]}, **changes}).findings


def of_columns(finding):
    return {row["name"]: row["accuracy"] for row in finding.series["per_column"]}


def check_value(finding):
    series = Corruptions.model_validate(finding.model_dump(mode="json")["series"])
    kept = np.array(series.accuracy)[~np.isnan(series.accuracy)]
    assert finding.value == pytest.approx(kept.mean())
    return dict(zip(series.names, series.accuracy, strict=True))


def test_the_column_that_a_model_looks_at_is_the_one_that_hurts(tmp_path):
    x, _ = table(80)
    y = (x[:, 0] > 3.0).astype(np.int64)

    def threshold(z):
        return torch.stack([0 * z[:, 0], z[:, 0].detach() - 3.0], 1)

    (found,) = measured(threshold, (x, y))
    hurt, *others = found.series["per_column"]
    assert hurt["name"] == "feature 0"
    assert all(set(row["accuracy"].values()) == {1.0} for row in others)
    positive = x[:, 0] > 0
    right = {
        "×1000": (positive & (y == 1)) | (~positive & (y == 0)),
        "+3 sd": (x[:, 0] + 3 * x[:, 0].std() > 3) == y,
    }
    for done, kept in right.items():
        assert hurt["accuracy"][done] == pytest.approx(kept.mean())
    assert f"A unit slip costs most in feature 0 ({hurt['accuracy']['×1000']:.1%} at ×1000)." in found.statement
    by_name = check_value(found)
    assert by_name["drift"][1] < by_name["drift"][0] <= 1.0
    assert (
        f"the hardest is {min(ALL[1:5], key=lambda name: np.mean(by_name[name])).replace('_', ' ')} ("
        in found.statement
    )


def test_a_slip_that_costs_nothing_is_not_called_costly():
    x, y = table(40)
    blind = linear_of(x)
    with torch.no_grad():
        blind.weight.copy_(torch.zeros(5))
        blind.bias = 2.0
    (found,) = measured(blind, (x, y))
    assert "A unit slip costs no accuracy (×1000 in any one column)." in found.statement


def test_a_network_is_never_shown_what_is_missing(tmp_path):
    seen = []

    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(5, 2)

        def forward(self, x):
            seen.append((len(x), bool(x.isfinite().all())))
            return self.linear(x)

    audited(Watched(), table(40), STEP, out=tmp_path, batch=7, corruptions={"rows": 0, "severities": [1, 5]})
    assert all(finite and size <= 7 for size, finite in seen)
    page = render(tmp_path).read_text()
    assert '<td class="muted" colspan="3">shown to estimators alone</td>' in page
    assert "Refused" not in page


def test_equal_models_are_shown_equal_rows_and_the_same_seed_gives_the_same():
    data = table(40)
    first, second = measured({"a": linear_of(data[0]), "b": linear_of(data[0])}, data)
    assert first.series == second.series
    assert measured(linear_of(data[0]), data)[0].series == first.series
    assert measured(linear_of(data[0]), data, seed=1)[0].series != first.series


@pytest.mark.parametrize("model", [pipeline(handle_unknown="ignore"), boosted()], ids=["pipeline", "boosted"])
def test_who_takes_gaps_and_new_categories_is_shown_them(model):
    x, y = passengers()
    x = x.astype({"sex": "category"}) if isinstance(model, HistGradientBoostingClassifier) else x
    (found,) = measured(model.fit(x, y), (x, y))
    by_name = check_value(found)
    assert list(by_name) == ALL
    assert not np.isnan([*by_name.values()]).any()
    assert found.series["left_out"] == {}
    assert "Refused" not in found.statement
    everywhere = {"swapped", "missing"}
    assert {name: accuracy.keys() - everywhere for name, accuracy in of_columns(found).items()} == {
        "age": {"+3 sd", "×1000"}, "rooms": {"+3 sd", "×1000"},
        "sex": {"unseen"}, "port": {"unseen"}, "alone": set(),
    }  # fmt: skip
    assert found.series["per_column"][0]["name"] == "sex"
    assert of_columns(found)["sex"]["unseen"] < found.series["clean"] - 0.2


def test_what_raises_on_a_new_category_refuses_it(tmp_path):
    x, y = passengers()
    (found,) = audited(
        pipeline().fit(x, y), (x, y), STEP, out=tmp_path, corruptions={"rows": 0, "severities": [1, 5]}
    ).findings
    by_name = check_value(found)
    assert np.isnan(by_name["unseen_category"]).all()
    assert not np.isnan([by_name[name] for name in ALL[:-1]]).any()  # gaps in numbers are taken
    assert "Over 5 corruptions" in found.statement
    assert (
        "Refused, and not counted: missing values in 'alone', 'sex', 'port' (Found unknown categories"
        in found.statement
    )
    assert "; unseen category (Found unknown categories ['unseen'] in column 0 during transform)." in found.statement
    assert "Left out" not in found.statement
    assert found.series["left_out"].keys() == {"unseen_category"}
    columns = of_columns(found)
    assert "missing" in columns["age"]
    assert "missing" not in columns["sex"]
    assert not any("unseen" in accuracy for accuracy in columns.values())
    assert '<td class="muted" colspan="3">refused</td>' in render(tmp_path).read_text()


def test_a_model_that_takes_no_gaps_refuses_them_once_and_what_changes_nothing_is_left_out():
    x, y = table(40)
    (found,) = measured(make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y), (x, y))
    assert "Refused, and not counted: missing values (Input X contains NaN)." in found.statement
    assert "Left out, as it changes nothing here: unseen category." in found.statement
    assert found.series["left_out"] == {"missing_values": "refused: Input X contains NaN"}


def test_what_raises_on_numbers_breaks_and_does_not_refuse():
    class Brittle(LogisticRegression):
        def predict_proba(self, x):
            if np.abs(x).max() > 500:
                raise ValueError("out of range")
            return super().predict_proba(x)

    x, y = table(40)
    record = audited(Brittle().fit(x, y), (x, y), STEP)
    (failed,) = record.omissions
    assert failed.failed
    assert "out of range" in failed.reason


def test_a_model_that_warns_of_new_categories_is_not_heard(recwarn):
    x, y = passengers(gaps=False)
    model = pipeline(handle_unknown="warn").fit(x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        (found,) = measured(model, (x, y))
    assert not np.isnan(check_value(found)["unseen_category"]).any()
    assert [str(warning.message) for warning in recwarn if "unknown" in str(warning.message)] == []


def test_of_a_wide_table_the_columns_whose_shuffling_costs_most_are_kept(monkeypatch):
    monkeypatch.setattr(corrupted, "COLUMNS", 2)
    monkeypatch.setattr(corrupted, "_VALUES", 450)  # two copies of the rows at once
    x, y = table(45)
    weight = torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0])
    model = linear_of(x)
    with torch.no_grad():
        model.weight.copy_(weight)
        model.bias = -6.0
    y = (x[:, 0] + x[:, 3] > 6.0).astype(np.int64)
    (found,) = measured(model, (x, y))
    assert {row["name"] for row in found.series["per_column"]} == {"feature 0", "feature 3"}


def test_rows_that_nothing_changes_are_not_judged():
    data = pd.DataFrame({"flag": np.zeros(12, bool)}), np.arange(12) % 2
    (omission,) = audited(lambda z: torch.cat([z, 0 * z + 0.5], 1).detach(), data, STEP).omissions
    assert omission.reason == "no corruption changes these rows."
    assert not omission.failed


def test_the_severities_are_written_out():
    assert corrupted.amounts([1, 5])["missing_values"] == "2 to 30% of the cells"
    assert corrupted.amounts([2])["unit_slip"] == "×30.48, one column a row"
    assert list(corrupted.amounts([1])) == list(ALL)
    assert corruptions.KIND.settings["quick"].severities == [1, 3, 5]


def test_progress_goes_from_nothing_to_all():
    told = []
    x, y = table(20)
    audit(linear_of(x), (x, y), kinds=[corruptions.KIND], profile="quick", on_progress=lambda *at: told.append(at[-1]))
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert 0.5 in told
