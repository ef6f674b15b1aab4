"""Columns that take other seen values: a rule whose every row is known, words of the data, what is held."""

import warnings
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier

from report.small_audit import Halves, audited, images
from trustworthy.datasets import read
from trustworthy.report.case import Case
from trustworthy.report.findings import exchange
from trustworthy.report.kind import NotApplicable
from trustworthy.report.rows import draw_examples
from trustworthy.report.subject import examine


class Rule:
    """Says yes to Rome, and to everybody older than 50; a missing age is not older."""

    feature_names_in_ = np.array(["city", "age", "income", "member"])
    classes_ = np.array(["no", "yes"])

    def predict(self, frame):
        return np.where((frame["city"] == "Rome") | (frame["age"] > 50), "yes", "no")


def people(n=30):
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "city": random.choice(["Oslo", "Paris", "Rome"], n),
            "age": np.where(random.uniform(size=n) < 0.2, np.nan, random.integers(18, 80, n)),
            "income": random.normal(40.0, 9.0, n),
            "member": random.integers(0, 2, n).astype(bool),
        }
    )
    return frame.assign(label=Rule().predict(frame))


PEOPLE = people()
ROME, OLD = PEOPLE["city"] == "Rome", PEOPLE["age"] > 50


@cache
def of_the_rule():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # votes of a model without probabilities
        record = audited(Rule(), PEOPLE, "robustness.exchange", exchange={"rows": 0, "queries": 60})
    (finding,) = record.findings
    return finding


def test_the_accuracy_that_is_left_is_that_of_the_rule():
    finding = of_the_rule()
    both = float((ROME & OLD).mean())  # two columns decide, and a single one does not
    assert 0.0 < both < 1.0
    assert finding.series["columns"] == [0, 1, 2]
    assert finding.series["accuracy"] == [1.0, both, 0.0]
    assert finding.value == both
    assert finding.interval[0] < both < finding.interval[1]
    assert finding.verdict == "information"
    assert finding.conditions["attacked"] == finding.conditions["right"] == len(PEOPLE)
    assert f"takes accuracy from 100.0% to {both:.1%}" in finding.statement
    assert {each["name"] for each in finding.series["decisive"]} == {"city", "age"}


def test_examples_speak_the_words_of_the_data():
    first, second = of_the_rule().series["examples"]
    assert {first["label"], second["label"]} == {"yes", "no"}
    for example in (first, second):
        assert example["adversarial_prediction"] != example["label"]
        (change,) = example["exchanged"]
        assert change["column"] in ("city", "age")
        if change["column"] == "city":
            assert {change["before"], change["after"]} <= {"Oslo", "Paris", "Rome"}
        else:
            assert (float(change["before"]) > 50) != (float(change["after"]) > 50)
            assert float(change["after"]) in (50.0, 51.0)  # as near as a whole number comes


def test_units_stand_beside_the_columns():
    case = case_of(Rule(), PEOPLE)
    in_years = [replace(each, unit="years" if each.name == "age" else "") for each in case.examples.features]
    found = measured(replace(case, examples=replace(case.examples, features=tuple(in_years)))).series
    names = {each["name"] for each in found["decisive"]}
    assert names >= {"age (years)"}
    assert {change["column"] for each in found["examples"] for change in each["exchanged"]} <= names


def case_of(model, data, immutable=None):
    """The model on all rows, with some columns immutable."""
    examples = draw_examples(read(data, seed=0), 0, 0)
    if immutable is not None:
        examples = replace(examples, domain=replace(examples.domain, immutable=torch.tensor(immutable)))
    given = {"batch": 64, "seed": 0, "device": torch.device("cpu")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        subject = examine("m", model, examples, **given)
    return Case(kind=exchange.KIND, subject=subject, examples=examples, resamples=10, level=0.95, **given)


def measured(case, rows=0, queries=60):
    return exchange.measure(case, exchange.Settings(rows=rows, queries=queries)).findings[0]


def test_immutable_columns_and_missing_values_stay():
    finding = measured(case_of(Rule(), PEOPLE, [True, False, False, False]))
    breakable = ~ROME & PEOPLE["age"].notna()
    assert finding.value == float((~breakable).mean())
    assert finding.series["unbroken"] == len(PEOPLE) - int(breakable.sum())
    assert [each["name"] for each in finding.series["decisive"]] == ["age"]
    assert finding.statement.startswith("Giving any one column that may change a value")


def test_rows_in_which_nothing_may_change_stand():
    finding = measured(case_of(Rule(), PEOPLE, [True, False, True, True]))
    stands = ROME | PEOPLE["age"].isna()
    assert finding.value == float(stands.mean())
    assert finding.series["accuracy"] == [1.0, finding.value]
    assert finding.series["unbroken"] == int(stands.sum())
    with pytest.raises(NotApplicable, match="no column may change"):
        measured(case_of(Rule(), PEOPLE, [True] * 4))


def test_a_table_of_categories_alone_is_audited():
    frame = PEOPLE.assign(age="young", income="some", member="no")
    frame["label"] = np.where(ROME, "yes", "no")

    class Capital(Rule):
        def predict(self, frame):
            return np.where(frame["city"] == "Rome", "yes", "no")

    finding = measured(case_of(Capital(), frame))
    assert finding.series["accuracy"] == [1.0, 0.0]


def test_an_array_with_gaps_keeps_whole_numbers_and_gaps():
    """Trees that take missing values, of columns without names; two more rows than are tried stay untried."""
    x, y = load_breast_cancer(return_X_y=True)
    x = np.column_stack([x[:, :4].round(2), (x[:, 4] > 0.1).astype(float)])
    x[np.random.default_rng(0).uniform(size=x.shape) < 0.1] = np.nan
    model = HistGradientBoostingClassifier(max_iter=10, random_state=0).fit(x[:300], y[:300])
    case, asked, predict = case_of(model, (x[300:400], y[300:400])), [], model.predict_proba
    model.predict_proba = lambda rows: (asked.append(rows), predict(rows))[1]
    finding = measured(case, rows=20, queries=80)
    assert exchange._steps(case.examples).tolist() == [0.0, 0.0, 0.0, 0.0, 1.0]
    seen = np.concatenate(asked)
    assert set(seen[:, 4][~np.isnan(seen[:, 4])]) == {0.0, 1.0}
    assert np.isnan(seen).any()
    assert np.nanmax(seen) < 1e6  # not the number that stands for a gap
    assert finding.conditions["attacked"] == 20
    assert finding.value <= finding.series["accuracy"][0] == model.score(x[300:400], y[300:400])
    assert (np.diff(finding.series["accuracy"]) <= 0).all()
    assert 1 < finding.series["queries"] <= 81


def test_the_only_column_is_not_exchanged_since_that_makes_another_row():
    rows = np.repeat([[0.0], [1.0]], 20, axis=0), np.repeat([0, 1], 20)
    with pytest.raises(NotApplicable, match="the table has one column"):
        measured(case_of(lambda x: torch.cat([0.5 - x, x - 0.5], 1), rows))


def test_pictures_have_no_columns():
    record = audited(Halves(), images(), "robustness.exchange")
    (omission,) = record.omissions
    assert omission.reason == "the columns of tables are exchanged, and the data are no table."


def test_coordinates_of_something_else_are_no_columns():
    """Embedded text has a mean and a spread too."""
    case = case_of(Rule(), PEOPLE)
    embedded = replace(case.examples, domain=replace(case.examples.domain, kind="image"))
    with pytest.raises(NotApplicable, match="the data are no table"):
        measured(replace(case, examples=embedded))
