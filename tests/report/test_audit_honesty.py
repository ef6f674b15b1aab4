"""What an audit must not say: another model's numbers, praise for the useless, blame for the robust."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from report.small_audit import audited, images, linear_of, table, values
from trustworthy import audit
from trustworthy.core.errors import TrustworthyWarning
from trustworthy.report.finding import Omission
from trustworthy.report.findings import KINDS
from trustworthy.report.gate import Limit, judge
from trustworthy.report.plan import make_plan
from trustworthy.report.rows import draw_examples, read_data
from trustworthy.report.settings import PROFILES
from trustworthy.report.summary import summarize

pytestmark = pytest.mark.usefixtures("_undrawn")


def found(record, name):
    return next(finding for finding in record.findings if finding.name == name)


class Tempered(nn.Module):
    """A linear model whose temperature is no weight, and whose gradient can be hidden behind a steep tanh."""

    def __init__(self, temperature=1.0, steep=None):
        super().__init__()
        self.inner, self.temperature, self.steep = linear_of(table()[0]), temperature, steep

    def forward(self, x):
        logits = self.inner(x)
        if self.steep:
            logits = logits.detach() + 1e-6 * torch.tanh(self.steep * logits)
        return logits / self.temperature


OTHERS = {
    "temperature": (Tempered(1.0), Tempered(0.02), "uncertainty.nll"),
    "masked gradient": (Tempered(), Tempered(steep=1e4), "robustness.linf.accuracy"),
    "scale of a function": (lambda z: linear_of(table()[0]).eval()(z), lambda z: 50 * linear_of(table()[0]).eval()(z),
                            "uncertainty.nll"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*holds parts of another audit")
@pytest.mark.parametrize("case", OTHERS)
def test_another_model_in_the_same_folder_gets_its_own_numbers(case, tmp_path):
    first, second, name = OTHERS[case]
    step = {"uncertainty.nll": "uncertainty.scores", "robustness.linf.accuracy": "robustness.linf"}[name]
    before = audited({"model": first}, table(), step, out=tmp_path / "out")
    resumed = audited({"model": second}, table(), step, out=tmp_path / "out")
    alone = audited({"model": second}, table(), step, out=tmp_path / "alone")
    assert found(alone, name).value != found(before, name).value  # else the test could not fail
    assert values(resumed) == values(alone)


def test_another_estimator_with_the_same_predictions_has_another_fingerprint():
    x, y = table()
    models = [LogisticRegression(C=c).fit(x, y) for c in (1.0, 1.0 + 1e-4)]
    assert (models[0].predict(x) == models[1].predict(x)).all()
    prints = [audited({"model": m}, (x, y), "accuracy").models[0]["fingerprint"] for m in models]
    assert prints[0] != prints[1]


@pytest.mark.parametrize("profile", ["quick", *(pytest.param(p, marks=pytest.mark.slow) for p in PROFILES[1:])])
def test_every_profile_attacks_a_model_of_two_classes(profile):
    x, y = table(30)
    kinds = [kind for kind in KINDS if kind.step in {"robustness.linf", "robustness.distortion"}]
    record = audit(linear_of(x), (x, y), plan=make_plan(profile, {"rows": 12}, kinds=kinds), kinds=kinds)
    assert 0.0 <= found(record, "robustness.linf.accuracy").value <= 1.0


def test_a_constant_model_is_not_called_robust():
    x, y = table()
    y[:40], y[40:] = 0, 1

    def constant(z):
        return torch.stack([2 + 0 * z[:, 0], 0 * z[:, 0]], 1)

    record = audited(constant, (x, y), "accuracy", "robustness.linf")
    assert found(record, "accuracy").verdict == "worry"
    assert found(record, "robustness.linf.accuracy").verdict == "information"


def test_a_model_that_nothing_breaks_is_good_and_passes_the_gate():
    x, y = images()

    def unbreakable(z):
        score = 1e3 * (z[..., :4].flatten(1).mean(1) - z[..., 4:].flatten(1).mean(1) - 0.15)
        return torch.stack([0 * score, score], 1)

    changes = {"attacks": {"l2": 1e-4}, "distortion": {"largest": 5.0}}
    record = audited(unbreakable, (x, y), "robustness.distortion", **changes)
    claim = found(record, "robustness.l2.distortion")
    assert claim.value is None
    assert claim.verdict == "good"
    assert claim.conditions["at_least"] == pytest.approx(5e-4)
    within, beyond = judge(record, [Limit("robustness.l2.distortion", value) for value in (4e-4, 1e-3)])
    assert (within.status, beyond.status) == ("holds", "cannot tell")
    assert beyond.phrase == "robustness.l2.distortion is at least 0.0005, the largest tried, which does not reach 0.001"


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))])
def test_a_model_of_pure_noise_is_audited_to_the_end(seed):
    x, y = images(12)
    record = audited(lambda z: torch.randn(len(z), 2) + 0 * z.flatten(1)[:, :2], (x, y), seed=seed)
    accuracy = found(record, "accuracy").value
    curves = [finding for finding in record.findings if finding.kind == "robustness_curve"]
    assert all(curve.series["worst"][0] == accuracy for curve in curves)


def test_accuracy_is_that_of_the_classes_as_they_are():
    x, y = np.zeros((1000, 3), np.float32), np.zeros(1000, np.int64)
    x[:, 0], y[:24] = np.linspace(-1, 1, 1000), 1

    def constant(z):
        return torch.stack([2 + 0 * z[:, 0], 0 * z[:, 0]], 1)

    record = audited(constant, (x, y), "accuracy", rows=250)
    assert found(record, "accuracy").value == pytest.approx(0.976, abs=0.003)


def test_the_gate_gives_the_reason_of_the_step_that_measures_the_finding():
    from report.test_gate import record as made

    omissions = [
        Omission(model="m", part="robustness.corruptions", reason="corruptions are for images."),
        Omission(model="m", part="robustness.l2", reason="the plan skips it."),
        Omission(model="all models", part="robustness.transfer", reason="the plan skips this."),
    ]
    audited = made(("m", "accuracy", 0.9), omissions=omissions)
    outcomes = judge(audited, [Limit("robustness.l2.accuracy", 0.5), Limit("robustness.transfer", 0.5)])
    assert [outcome.phrase for outcome in outcomes] == [
        "robustness.l2.accuracy was not measured: the plan skips it",
        "robustness.transfer was not measured: the plan skips this",
    ]


def test_features_that_float32_does_not_resolve_are_named():
    x, y = table()
    x = x.astype(np.float64)
    x[:, 2] = 1.7e9 + np.linspace(0, 400, len(x))
    with pytest.warns(TrustworthyWarning, match=r"features \[2\] vary by less"):
        draw_examples(read_data((x, y)), 10, seed=0)


class Fragile(nn.Module):
    """Right on the images as they are; what moves them makes it raise, or answer NaN."""

    def __init__(self, how):
        super().__init__()
        self.how, self.seen = how, {row.tobytes() for row in images()[0]}

    def forward(self, x):
        rows = [row.tobytes() in self.seen for row in x.detach().numpy()]
        if not all(rows) and self.how == "raises":
            raise ValueError("never seen such an image")
        score = 10 * (x[..., :4].flatten(1).mean(1) - x[..., 4:].flatten(1).mean(1)) - 1.5
        score = torch.where(torch.tensor(rows), score, torch.nan)
        return torch.stack([torch.zeros_like(score), score], dim=1)


@pytest.mark.parametrize("how", ["raises", "NaN"])
def test_a_model_that_breaks_in_the_midst_is_a_worry_and_the_rest_is_measured(how, tmp_path):
    steps = ("accuracy", "robustness.corruptions", "uncertainty.scores")
    record = audited(Fragile(how), images(), *steps, out=tmp_path)
    scores = {f"uncertainty.{name}" for name in ("nll", "brier", "auroc", "aupr")}
    assert {f.name for f in record.findings} == {"accuracy", "accuracy.balanced", *scores}
    (failed,) = record.omissions
    assert (failed.part, failed.failed) == ("robustness.corruptions", True)
    assert {"raises": "raised ValueError", "NaN": "returned NaN"}[how] in failed.reason
    lines = {line.property: line for line in summarize(record)}
    assert lines["robustness"].verdicts == ("worry",)
    page = (tmp_path / "report.html").read_text()
    assert page.count(failed.reason) == 2  # in the answer, and among what was left out
    (short,) = judge(record, [Limit("robustness.corruptions", 0.1)])
    assert short.phrase == f"robustness.corruptions was not measured: {failed.reason.rstrip('.')}"
    assert [p.name for p in (tmp_path / "parts").glob("*corruptions*")] == []  # the next audit tries it again
