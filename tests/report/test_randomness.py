"""What the audit says of the draws of a model: accuracy against their number, and whether they hide its gradients."""

import numpy as np
import pytest
import torch
from torch import nn

from attacks.masked_model import Shattered, examples
from report.small_audit import Halves, audited, images
from report.test_draws import TakeTurns, found, turns
from trustworthy.models import LoadedModel

pytestmark = pytest.mark.usefixtures("_undrawn")

STEP, NAME = "robustness.randomness", "robustness.linf.randomness"
MASKED = {"attacks": {"tried": [{"name": "PGD", "steps": 10}], "linf": 0.1}, "randomness": {"eot": [1, 32], "rows": 0}}


class Jittered(nn.Module):
    """A model that draws, and hides nothing: noise on the logits has no gradient."""

    def forward(self, x):
        return Halves()(x) + 0.3 * torch.randn(len(x), 2)


def masked(n=20):
    x, y = examples(n)
    return x.numpy(), y.numpy()


def told(record):
    return {omission.part: omission.reason for omission in record.omissions}


def test_masking_is_measured_and_said(tmp_path):
    pytest.importorskip("pyarrow")
    import pandas as pd

    finding = found(audited(Shattered(), masked(), STEP, out=tmp_path, **MASKED), NAME)
    single, many = finding.series["attacks"]
    assert (single["eot"], single["accuracy"], many["eot"], many["accuracy"]) == (1, 1.0, 32, 0.5)
    assert finding.value == 0.5
    assert finding.series["difference"] == 0.5
    assert finding.series["difference_low"] > 0.1
    assert finding.verdict == "worry"
    assert "the noise hides gradients" in finding.statement
    assert "single draws leaves 100.0%" in finding.statement
    assert finding.conditions["open"] == 0
    assert pd.read_parquet(tmp_path / "rows.parquet")["stands_eot"].mean() == 0.5


def test_a_model_that_hides_nothing_is_not_blamed():
    finding = found(audited(Jittered(), images(24), STEP, attacks={"linf": 0.02}, draws=4), NAME)
    assert finding.verdict == "good"
    assert finding.series["difference_low"] <= 0.0 <= finding.series["difference_high"]
    assert "no sign that the noise hides gradients" in finding.statement


def test_accuracy_against_draws_is_that_of_disjoint_groups():
    """Members that err in turn on a third of the rows each: alone 2/3 right, three together always."""
    record = audited(TakeTurns(), turns(), STEP, draws=3, randomness={"draws": [1, 3, 6], "eot": [1, 3]})
    series = found(record, NAME).series
    assert series["draws"] == [1, 3, 6]
    assert series["accuracy"] == pytest.approx([2 / 3, 1.0, 1.0])
    assert series["low"] == [pytest.approx(2 / 3), 1.0, None]
    assert series["high"] == [pytest.approx(2 / 3), 1.0, None]


def test_what_does_not_draw_or_has_no_gradient_is_left_out_in_words():
    assert "answers twice alike" in told(audited(Halves(), images(), STEP))[STEP]

    def hidden(z):
        return Jittered()(z).detach()

    assert "no gradients that draws could be averaged of" in told(audited(hidden, images(), STEP))[STEP]


def test_open_rows_widen_the_interval_of_the_curve():
    """Rows whose mean stays near the boundary: few fresh draws decide less than many, about the same accuracy."""
    x, y = images(24)
    steps, plan = ("robustness.linf",), {"linf": 0.04, "tried": [{"name": "PGD", "steps": 3}]}
    few, many = (
        found(audited(Jittered(), (x, y), *steps, attacks={**plan, "fresh": fresh}), "robustness.linf.accuracy")
        for fresh in (4, 200)
    )
    assert few.conditions["open"] > many.conditions["open"]
    assert f"{few.conditions['open']} rows are too close to call (4 draws)" in few.statement
    assert np.diff(few.interval) > np.diff(many.interval)
    assert many.conditions["fresh"] == 200


def test_models_stand_side_by_side_with_their_costs(tmp_path):
    trained = LoadedModel(
        model=Halves(), name="b", source="b", about={"training": {"method": "brelu", "seconds": 75.0, "epochs": 12}}
    )
    steps = ("robustness.linf", STEP, "robustness.defenses")
    record = audited({"a": Jittered(), "b": trained}, images(12), *steps, out=tmp_path, draws=3)
    noisy, fixed = found(record, "robustness.defenses").series["models"]
    assert (noisy["name"], noisy["draws"], noisy["parameters"], noisy.get("seconds")) == ("a", 3, 0, None)
    assert (fixed["name"], fixed["draws"], fixed["seconds"], fixed["epochs"]) == ("b", 1, 75.0, 12)
    assert noisy["milliseconds"] > 0
    page = (tmp_path / "report.html").read_text()
    assert page.index("Most accurate under attack (linf): ") < page.index("Models side by side")
    assert page.index("Models side by side") < page.index("Accuracy under attack, averaged over draws</h4>")
    table = page.split("Models side by side")[1].split("</table>")[0]
    for text in ("attacked, 8 draws averaged", "1\u00a0min 15\u00a0s", "12", "\u00a0ms"):
        assert text in table
    assert record.models[1]["training"]["method"] == "brelu"


def test_what_a_prediction_costs_is_told_of_a_model_that_guesses_too():
    guessing = {"a": lambda x: torch.zeros(len(x), 2), "b": Jittered()}
    statement = found(audited(guessing, images(), "accuracy", "robustness.defenses"), "robustness.defenses").statement
    assert statement.startswith("A prediction of ")
    assert "Not judged" not in statement


def test_fixed_models_of_unknown_training_have_no_table():
    left_out = told(audited({"a": Halves(), "b": Halves()}, images(), "accuracy", "robustness.defenses"))
    assert (
        "none of the models is stochastic, an ensemble, or says how it was trained" in left_out["robustness.defenses"]
    )
