"""What a perturbation of a table is: ranges, whole steps, what is held, and what the plan says of each column."""

import json
import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from torch import nn

from report.small_audit import audited, images, linear_of, plan_of, table
from trustworthy import audit
from trustworthy.core.errors import InvalidInput, TrustworthyWarning
from trustworthy.datasets import Dataset
from trustworthy.report.columns import ColumnPlan, with_categories
from trustworthy.report.findings import KINDS
from trustworthy.report.plan import make_plan
from trustworthy.report.rows import draw_examples, read_data

pytestmark = pytest.mark.usefixtures("_undrawn")


@cache
def passengers():
    """A frame of codes, words, ages with gaps, fares, counts and truth values, and whether each survived."""
    rng, n = np.random.default_rng(0), 90
    frame = pd.DataFrame({
        "pclass": rng.integers(1, 4, n), "sex": rng.choice(["male", "female"], n),
        "age": np.round(rng.normal(30, 14, n).clip(1, 80)), "fare": np.round(rng.gamma(2, 15, n), 2),
        "siblings": rng.poisson(0.5, n), "alone": rng.random(n) < 0.5,
    })  # fmt: skip
    frame.loc[::9, "age"] = np.nan
    score = 2.0 * (frame.sex == "female") + 0.05 * frame.fare - 0.03 * frame.age.fillna(30) - 0.5 * frame.pclass
    return frame, np.where(score + 0.3 * rng.normal(size=n) > 0.5, "yes", "no")


def pipeline():
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    prepared = make_column_transformer(
        (OneHotEncoder(), ["pclass", "sex"]), (numbers, ["age", "fare", "siblings"]), remainder="passthrough"
    )
    return make_pipeline(prepared, LogisticRegression())


@cache
def fitted():
    return pipeline().fit(*passengers())


def drawn(data, models=(), **plans):
    """Examples of `data` under what a plan says of its columns."""
    given = {name: ColumnPlan(**plan) for name, plan in plans.items()}
    return draw_examples(*(lambda found: (found[0], 0, 0, found[1]))(with_categories(read_data(data), given, models)))


def kinds(examples):
    return {feature.name: feature.kind for feature in examples.features}


def test_columns_are_guessed_from_dtypes_and_from_the_encoders_of_a_pipeline():
    guessed = {"pclass": "integer", "sex": "category", "age": "integer", "fare": "numeric", "siblings": "integer",
               "alone": "boolean"}  # fmt: skip
    assert kinds(drawn(passengers())) == guessed
    known = drawn(passengers(), [fitted()])
    assert kinds(known) == {**guessed, "pclass": "category"}
    assert known.columns[0].categories == (1, 2, 3)
    pd.testing.assert_frame_equal(known.decode(known.x), passengers()[0])
    assert kinds(drawn(passengers(), [fitted()], pclass={"kind": "integer"})) == guessed
    assert kinds(drawn(passengers(), siblings={"kind": "category"}))["siblings"] == "category"
    with pytest.raises(InvalidInput, match=r"pclass\.step has no sense .* leave it out, or say kind = 'numeric'"):
        drawn(passengers(), [fitted()], pclass={"step": 1})


def test_the_encoders_of_a_search_and_those_behind_an_imputer_are_found():
    search = GridSearchCV(pipeline(), {"logisticregression__C": [1.0]}, cv=2).fit(*passengers())
    assert kinds(drawn(passengers(), [search]))["pclass"] == "category"
    x, y = passengers()[0][["pclass", "siblings"]].to_numpy(), passengers()[1]
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    behind = make_pipeline(SimpleImputer(), encoder, LogisticRegression()).fit(x, y)
    assert set(kinds(drawn((x, y), [behind])).values()) == {"category"}
    assert set(kinds(drawn((x, y), [LogisticRegression().fit(x, y)])).values()) == {"integer"}


WRONG = {
    "absent": ({"agee": {}}, "plan key columns names no column, got 'agee'; did you mean 'age'"),
    "range too narrow": (
        {"age": {"range": [2.0, 90.0]}},
        r"plan key columns\.age\.range must hold the values of all rows, got \[2\.0, 90\.0\], but row \d+ has 1; widen",
    ),
    "range of words": ({"sex": {"range": [0, 1]}}, r"columns\.sex\.range has no sense for a column of categories"),
    "step of truth values": ({"alone": {"step": 1}}, r"columns\.alone\.step has no sense .* got 1\.0; leave it out"),
    "unit of words": ({"sex": {"unit": "m"}}, r"columns\.sex\.unit has no sense"),
    "range of codes": ({"pclass": {"kind": "category", "range": [1, 3]}}, r"pclass\.range .* or say kind = 'numeric'"),
    "moves and does not": ({"fare": {"immutable": True, "step": 1}}, r"columns\.fare\.step says how an immutable"),
    "numbers of words": ({"sex": {"kind": "numeric"}}, r"columns\.sex\.kind must be 'category' .* got 'numeric'"),
    "fractions": ({"fare": {"kind": "integer"}}, r"columns\.fare\.kind must be 'numeric' .* but row 0 has .*; leave"),
    "nothing left": (
        {name: {"immutable": True} for name in ("pclass", "sex", "age", "fare", "siblings", "alone")},
        "makes all 6 columns immutable",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("plans", "message"), WRONG.values(), ids=WRONG)
def test_what_contradicts_the_data_is_refused(plans, message):
    with pytest.raises(InvalidInput, match=message):
        drawn(passengers(), **plans)


def test_words_that_a_model_encodes_are_not_said_to_be_numbers():
    x, y = passengers()
    encoded = make_column_transformer((OneHotEncoder(), ["sex"]), remainder="drop")
    model = make_pipeline(encoded, LogisticRegression()).fit(x, y)
    with pytest.raises(InvalidInput, match=r"columns\.sex\.range has no sense .* leave it out\.$"):
        drawn((x, y), [model], sex={"range": [0, 1]})


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"range": 30}, r"columns\.age\.range must be the lowest and the highest value, .* got 30\."),
        (
            {"range": [0]},
            r"columns\.age\.range must be the lowest and the highest value, such as \[0, 120\], got \[0\]",
        ),
        ({"rang": [0, 1]}, r"unknown plan key 'columns\.age\.rang'; did you mean 'columns\.age\.range'"),
        ({"range": [3, 3]}, r"columns\.age\.range must have its lowest value below its highest; .* got \[3, 3\]"),
        ({"range": [0, float("nan")]}, r"columns\.age\.range must have its lowest value below its highest"),
        ({"step": 0}, r"columns\.age\.step must be greater than 0, got 0"),
        ({"step": float("inf")}, r"columns\.age\.step must be a finite number"),
        ({"kind": "fixed"}, r"columns\.age\.kind must be 'numeric', 'integer' or 'category', got 'fixed'"),
    ],
)
def test_a_wrong_section_is_told_before_anything_is_read(section, message):
    with pytest.raises(InvalidInput, match=message):
        make_plan(None, {"columns": {"age": section}})


def test_a_plan_file_has_a_table_for_each_column(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text('[columns.name]\nrange = [0, inf]\nunit = "m"\n[columns."mean radius"]\nimmutable = true\n')
    columns = make_plan(None, path).columns
    assert columns["name"] == ColumnPlan(range=(0.0, np.inf), unit="m")
    assert columns["mean radius"].immutable


def test_pictures_have_no_columns():
    with pytest.raises(InvalidInput, match=r"plan key columns\.age .* holds none; leave the section"):
        audited(nn.Identity(), images(), "accuracy", columns={"age": {"immutable": True}})


def test_columns_of_arrays_go_by_their_names_or_numbers(tmp_path):
    x, y = table()
    np.savez(tmp_path / "some.npz", x=x, y=y)
    assert drawn(str(tmp_path / "some.npz"), **{"feature 3": {"unit": "kg"}}).labelled_features[3] == "feature 3 (kg)"
    named = Dataset(name="n", task="classification", x_train=x[:0], y_train=y[:0], x_test=x, y_test=y,
                    feature_names=tuple("abcde"))  # fmt: skip
    assert drawn(named, d={"immutable": True}).domain.immutable.tolist() == [False, False, False, True, False]


def test_a_range_holds_training_and_test_rows_and_says_which_one_it_does_not():
    x, y = table()
    data = Dataset(name="n", task="classification", x_train=x[:30], y_train=y[:30], x_test=x[30:], y_test=y[30:])
    (first, *_) = drawn(data).features
    assert (first.low, first.high, first.given) == (x[:, 0].min(), x[:, 0].max(), False)
    assert x[:30, 0].min() > x[30:, 0].min()
    lower = int((x[30:, 0] < x[:30, 0].min()).argmax())
    with pytest.raises(InvalidInput, match=rf"but row {lower} has"):
        drawn(data, **{"feature 0": {"range": [float(x[:30, 0].min()), 99.0]}})
    with pytest.raises(InvalidInput, match=rf"but training row {x[:30, 0].argmax()} has"):
        drawn(data, **{"feature 0": {"range": [-99.0, float(x[:30, 0].max()) - 1e-3]}})


def test_inputs_keep_their_values_on_the_way_through_the_attacked_units():
    """Codes of categories to the last digit, whole numbers as whole numbers, gradients as if nothing were rounded."""
    examples = drawn(passengers(), [fitted()])
    domain = examples.domain
    z = domain.attacked(examples.x).requires_grad_()
    back = domain.as_given(z)
    exact = [feature.kind != "numeric" for feature in examples.features]
    assert torch.equal(back[:, exact].nan_to_num(nan=-1.0), examples.x[:, exact].nan_to_num(nan=-1.0))
    back[:, 2:5].nansum().backward()
    missing = examples.x[:, 2].isnan()
    assert torch.allclose(z.grad[~missing, 2], domain.spread[2])
    assert torch.allclose(z.grad[:, 4], domain.spread[4])


def test_codes_of_categories_survive_the_attacked_units():
    """Whatever their mean and deviation, which do not divide and multiply back to the last digit."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"c{k}": rng.choice(list("abcdefghi")[:k], 200) for k in range(2, 10)})
    examples = drawn((frame, rng.integers(0, 2, 200)))
    pd.testing.assert_frame_equal(
        examples.decode(examples.domain.as_given(examples.domain.attacked(examples.x))), frame
    )


def moved_pictures(record_folder):
    arrays = np.load(record_folder / "arrays.npz")
    return arrays["model/original"], arrays["model/adversarial"]


def test_an_audit_moves_columns_as_they_may_move(tmp_path):
    columns = {"age": {"range": [0, 120], "unit": "years"}, "siblings": {"immutable": True}, "fare": {"step": 0.05}}
    changes = {"rows": 16, "pictures": {"shown": 2}, "distortion": {"rows": 4}, "columns": columns}
    steps = ("robustness.pictures", "robustness.distortion", "interpretation")
    record = audited(fitted(), passengers(), *steps, out=tmp_path, **changes)
    assert not [omission for omission in record.omissions if omission.failed]
    before, after = moved_pictures(tmp_path)
    _pclass, _sex, age, fare, *held = np.nan_to_num(after - before, nan=0.0).T
    assert age.any()
    assert fare.any()
    assert (age == np.round(age)).all()
    np.testing.assert_allclose(fare / 0.05, np.round(fare / 0.05), atol=1e-6)
    assert not np.any([_pclass, _sex, *held])
    assert (np.isnan(after) == np.isnan(before)).all()
    assert after[:, 3].min() >= passengers()[0].fare.min() - 1e-9
    assert after[:, 3].max() <= passengers()[0].fare.max() + 1e-9
    said = {column["name"]: column for column in record.data["columns"]}
    assert said["age"] == {
        "name": "age", "kind": "integer", "immutable": False, "range": [0.0, 120.0], "range_is": "given", "step": 1.0,
        "standard_deviation": pytest.approx(passengers()[0].age.std(ddof=0)), "unit": "years",
    }  # fmt: skip
    assert said["pclass"] == {"name": "pclass", "kind": "category", "immutable": False}
    assert record.data["units"].endswith("within observed or given ranges, categories and immutable columns held")
    page = (tmp_path / "report.html").read_text()
    assert "columns.age.unit" in page
    assert "columns.age.step" not in page
    row = '<th scope="row">{}</th><td>{}</td><td>{}</td>'
    assert row.format("age", "numeric, whole steps of 1", "from 0 to 120 years (given)") in page
    assert row.format("siblings", "immutable", "from 0 to 3 (observed)") in page
    assert row.format("alone", "truth value, held", "") in page
    assert page.count("age (years)") >= 2  # among the importances, and where a row is shown before and after
    assert json.loads((tmp_path / "findings.json").read_text())["plan"]["columns"]["age"]["unit"] == "years"


def test_the_page_lists_a_hundred_columns(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 103)).astype(np.float32), np.tile([0, 1], 6)
    record = audited(lambda z: z[:, :2], (x, y), "accuracy", out=tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert len(record.data["columns"]) == 103
    assert "feature 99" in page
    assert "feature 100" not in page
    assert "and 3 more columns, in findings.json" in page


@pytest.mark.filterwarnings("ignore:.*holds parts of another audit")
def test_another_plan_of_a_column_is_another_audit(tmp_path):
    free, held = (
        audited(linear_of(table()[0]), table(), "robustness.linf", out=tmp_path, columns=columns).findings[0]
        for columns in ({}, {"feature 0": {"immutable": True}})
    )
    assert held.value > free.value
    alone = audited(linear_of(table()[0]), table(), "robustness.linf", columns={"feature 0": {"immutable": True}})
    assert alone.findings[0].series == held.series


@cache
def tumours():
    x, y = load_breast_cancer(return_X_y=True)
    return x.astype(np.float32), y.astype(np.int64)


def network(x):
    """A ReLU network of rows in their own units, which the rows of a table teach it to standardise."""
    from trustworthy.nn import Normalize

    with torch.random.fork_rng():
        torch.manual_seed(0)
        mean, std = torch.from_numpy(x.mean(0)), torch.from_numpy(x.std(0))
        return nn.Sequential(Normalize(mean, std), nn.Linear(x.shape[1], 8), nn.ReLU(), nn.Linear(8, 2))


def trained():
    x, y = tumours()
    net = network(x)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(torch.from_numpy(x)), torch.from_numpy(y)).backward()
        optimizer.step()
    return net.eval()


def test_real_rows_stay_inside_what_was_observed_and_certificates_stay_below(tmp_path):
    x, y = tumours()
    steps = ("robustness.linf", "robustness.certificate", "robustness.pictures", "robustness.transfer",
             "evaluation.diagnosis")  # fmt: skip
    models = {"model": trained(), "other": trained()}
    columns = {"feature 0": {"immutable": True}, "feature 3": {"range": [0.0, 4000.0]}}
    chosen = [kind for kind in KINDS if kind.step in steps]
    plan = plan_of(chosen, rows=20, columns=columns, pictures={"shown": 5}, attacks={"linf": 2.0})
    record = audit(models, (x, y), tmp_path, plan=plan, kinds=chosen)
    assert record.omissions == []
    before, after = moved_pictures(tmp_path)
    assert (before[:, 0] == after[:, 0]).all()
    low, high = x.min(0), x.max(0)
    low[3], high[3] = 0.0, 4000.0
    rounding = 1e-5 * np.abs(x).max(0)
    assert (after >= low - rounding).all()
    assert (after <= high + rounding).all()
    assert (np.isclose(after, low, rtol=1e-5) | np.isclose(after, high, rtol=1e-5))[after != before].mean() > 0.1
    found = {(finding.name, finding.model): finding for finding in record.findings}
    proved = found["robustness.linf.certified", "model"].series
    attacked = found["robustness.linf.accuracy", "model"].series
    worst = dict(zip(attacked["eps"], attacked["worst"], strict=True))
    shared = [(eps, share) for eps, share in zip(proved["eps"], proved["certified"], strict=True) if eps in worst]
    assert len(shared) >= 3
    assert all(share <= worst[eps] for eps, share in shared)
    checked = {check["name"] for check in found["evaluation.diagnosis", "model"].series["checks"]}
    assert "unbounded_survives" not in checked  # what is immutable may well decide
    assert "black_box_wins" in checked


def test_an_observed_range_weakens_the_attack_and_a_wider_one_gives_back_the_whole_ball():
    """Rows at the ends of their range, and a model that errs beyond them alone."""
    x = np.tile(np.array([[0.0], [1.0]], np.float32), (20, 1))
    y = np.tile(np.array([0, 1]), 20)

    def wrong_outside(x):
        off = x - 0.5
        return torch.cat([0 * off, off * (0.7 - off.abs())], 1)

    wide = {"feature 0": {"kind": "numeric", "range": [-9.0, 9.0]}}
    narrow = {"feature 0": {"kind": "numeric"}}
    changes = {"attacks": {"linf": 0.9}, "linf": {"multiples": [1.0]}}
    values = [
        audited(wrong_outside, (x, y), "robustness.linf", columns=columns, **changes).findings[0].value
        for columns in (narrow, wide)
    ]
    assert values == [1.0, 0.0]


def test_where_every_step_is_longer_the_radius_is_the_shortest_step():
    x, y = passengers()[0][["pclass", "siblings"]].to_numpy(), passengers()[1]
    domain = drawn((x, y)).domain
    steps = 1.0 / x.std(0)
    for norm in ("linf", "l2"):
        assert steps.min() <= domain.headline(norm) <= 1.1 * steps.min()
    assert drawn((x, y), **{"feature 0": {"kind": "numeric"}}).domain.headline("linf") == 0.1
    held = drawn((x, y), **{"feature 1": {"immutable": True}}).domain
    assert 1.0 <= held.headline("linf") * x[:, 0].std() <= 1.1


def test_a_column_of_one_value_is_held():
    x, y = table()
    x[:, 2] = 5.0
    examples = drawn((x, y))
    assert examples.domain.immutable.tolist() == [False, False, True, False, False]
    assert examples.described()["columns"][2]["range"] == [5.0, 5.0]
    with warnings.catch_warnings():
        warnings.simplefilter("error", TrustworthyWarning)
        assert not examples.domain.free(examples.x)[:, 2].any()
    assert drawn((x, y), **{"feature 2": {"range": [0.0, 9.0]}}).domain.immutable is None
