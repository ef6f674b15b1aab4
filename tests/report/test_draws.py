"""A stochastic model is its mean: accuracy, calibration and attacks are those of the averaged probabilities."""

import numpy as np
import pytest
import torch
from scipy.special import expit
from torch import nn
from torch.testing import assert_close

from report.small_audit import Halves, audited, images, linear_of, table, values
from trustworthy.core.errors import ModelContractError
from trustworthy.nn import Ensemble
from trustworthy.report.rows import draw_examples, read_data
from trustworthy.report.subject import examine

pytestmark = pytest.mark.usefixtures("_undrawn")

SIGMA, SURE = 1.5, 2.0
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)


class NoisyLogit(nn.Module):
    """A linear model with Gaussian noise on its logit: its mean probability is a Gaussian integral."""

    def __init__(self, x):
        super().__init__()
        self.inner = linear_of(x)

    def forward(self, x):
        return self.inner(x) + SIGMA * torch.randn(len(x), 1) * torch.tensor([0.0, 1.0])


class NoisyWeight:
    """A posterior, not a module and not callable: a linear model with a Gaussian weight on its first feature."""

    def __init__(self, x):
        self.inner = linear_of(x)

    def draws(self, count, generator=None):
        for _ in range(count):
            shift = SIGMA * torch.randn((), generator=generator)
            yield lambda x, shift=shift: self.inner(x) + shift * (x[:, :1] - 3.0) * torch.tensor([0.0, 1.0])

    def modules(self):
        return self.inner.modules()


class TakeTurns:
    """Three members, each surely wrong on a third of the rows: feature 0 is the side, feature 1 whose turn it is."""

    def __init__(self, members=3):
        self.members = members

    def draws(self, count, generator=None):
        return (lambda x, k=k % self.members: self.answer(x, k) for k in range(count))

    def answer(self, x, k):
        score = SURE * x[:, 0] * torch.where(x[:, 1].round() == k, -1.0, 1.0)
        return torch.stack([-score / 2, score / 2], 1)

    def modules(self):
        return ()


def turns(n=60):
    y = np.arange(n) // 3 % 2
    x = np.stack([2.0 * y - 1.0, np.arange(n) % 3], axis=1).astype(np.float32)
    return x, y.astype(np.int64)


def subject_of(model, data, draws):
    examples = draw_examples(read_data(data), 0, 0)
    return examine("m", model, examples, batch=32, seed=0, device=torch.device("cpu"), draws=draws)


def found(record, name):
    return next(finding for finding in record.findings if finding.name == name)


@pytest.mark.parametrize("build", [NoisyLogit, NoisyWeight])
def test_mean_probabilities_are_the_gaussian_integral(build):
    x, y = table(30)
    draws = 1000
    subject = subject_of(build(x), (x, y), draws)
    with torch.no_grad():
        score = linear_of(x).eval()(torch.from_numpy(x))[:, 1].double().numpy()
    spread = SIGMA if build is NoisyLogit else SIGMA * np.abs(x[:, 0] - 3.0)
    nodes = expit(score[:, None] + np.multiply.outer(spread * np.ones(len(x)), NODES))
    mean = nodes @ WEIGHTS / WEIGHTS.sum()
    error = np.sqrt((nodes**2 @ WEIGHTS / WEIGHTS.sum() - mean**2) / draws)
    assert subject.is_random
    assert subject.predictive.members.shape == (draws, 30, 2)
    told = subject.predictive.probabilities[:, 1].numpy()
    assert (np.abs(told - mean) < 5.0 * error + 1e-6).all()
    decided = np.abs(mean - 0.5) > 5.0 * error
    assert (subject.logits.argmax(1)[decided] == (mean > 0.5)[decided]).all()


@pytest.mark.parametrize(("draws", "accuracy"), [(1, 2 / 3), (3, 1.0), (6, 1.0)])
def test_members_that_err_in_turn_are_right_together(draws, accuracy):
    record = audited(TakeTurns(), turns(), "accuracy", "uncertainty.calibration", "uncertainty.scores", draws=draws)
    confidence = expit(SURE) if draws == 1 else (2 * expit(SURE) + expit(-SURE)) / 3
    assert found(record, "accuracy").value == pytest.approx(accuracy)
    assert found(record, "uncertainty.ece").value == pytest.approx(abs(accuracy - confidence), abs=1e-6)
    brier = 2 * (accuracy * (1 - confidence) ** 2 + (1 - accuracy) * confidence**2)
    assert found(record, "uncertainty.brier").value == pytest.approx(brier)
    assert record.models[0]["draws"] == draws
    assert record.models[0]["is_random"] is True


def test_attacks_average_as_many_draws_and_the_diagnosis_does_not_mind():
    steps = ("robustness.linf", "robustness.distortion", "robustness.pictures", "evaluation.diagnosis")
    record = audited(TakeTurns(), turns(24), *steps, draws=3)
    assert len(record.findings) == 4
    for finding in record.findings:
        assert all("eot=3" in attack for attack in finding.conditions["attacks"])
        assert finding.conditions["draws"] == 3
    checks = {check["name"]: check["passed"] for check in found(record, "evaluation.diagnosis").series["checks"]}
    assert checks["randomised_output"] is True
    # The side is at -1 or 1, one standard deviation from where it changes; whose turn it is changes at 0.5 of 0.82.
    curve = dict(zip(*(found(record, "robustness.linf.accuracy").series[key] for key in ("eps", "worst")), strict=True))
    assert curve[0.25] == 1.0


def test_a_plan_that_names_the_draws_of_an_attack_is_followed():
    tried = [{"name": "PGD", "steps": 2, "eot": 1}]
    record = audited(TakeTurns(), turns(), "robustness.linf", draws=3, attacks={"tried": tried})
    assert "eot=1" in record.findings[0].conditions["attacks"][0]


def test_a_fixed_model_is_asked_once_whatever_the_plan_says():
    x, y = table()
    once, often = (audited(linear_of(x), (x, y), "accuracy", "robustness.linf", draws=draws) for draws in (1, 7))
    assert values(once) == values(often)
    assert often.models[0]["draws"] == 1
    assert often.models[0]["is_random"] is False
    assert "draws" not in often.findings[0].conditions
    assert not subject_of(TakeTurns(members=1), turns(), 4).is_random
    assert subject_of(TakeTurns(members=2), turns(), 4).draws == 4


def test_members_that_only_the_third_tells_apart_are_found():
    class Late(TakeTurns):
        def answer(self, x, k):
            return super().answer(x, k if k == 2 else 5)

    assert subject_of(Late(), turns(), 3).is_random


def test_saliency_is_that_of_the_averaged_probabilities(tmp_path):
    class Sum:
        def draws(self, count, generator=None):
            return (lambda x, scale=scale: scale * Halves()(x) for scale in (0.5, 1.5, 1.0)[:count])

        def modules(self):
            return ()

    x, y = images()
    record = audited(Sum(), (x, y), "interpretation", draws=2, out=tmp_path)
    (finding,) = record.findings
    with np.load(tmp_path / "arrays.npz") as arrays:
        shown, maps = (torch.from_numpy(arrays[finding.arrays[role]]) for role in ("image", "saliency"))
    inputs = shown.clone().requires_grad_()
    mean = (torch.softmax(0.5 * Halves()(inputs), 1) + torch.softmax(1.5 * Halves()(inputs), 1)) / 2
    labels = torch.tensor([int(label) for label in finding.series["label"]])
    (slope,) = torch.autograd.grad(mean.log().gather(1, labels[:, None]).sum(), inputs)
    assert_close(maps, slope.abs().amax(1))


def test_an_audit_of_a_posterior_goes_on_and_says_how_many_draws(tmp_path):
    steps = ("accuracy", "robustness.linf")
    first = audited(NoisyWeight(table()[0]), table(), *steps, out=tmp_path, draws=4)
    page = (tmp_path / "report.html").read_text()
    assert '<span class="muted">draws</span> 4' in page or "<dt>draws</dt><dd>4</dd>" in page
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "parts").glob("*.npz")}
    again = audited(NoisyWeight(table()[0]), table(), *steps, out=tmp_path, draws=4)
    assert values(again) == values(first)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "parts").glob("*.npz")} == before


class Broken(TakeTurns):
    def __init__(self, draws):
        super().__init__()
        self.draws = draws


def shapes(count, generator=None):
    return (lambda x, k=k: x[:, :1].repeat(1, 2 + k) for k in range(count))


def fewer(count, generator=None):
    return iter([lambda x: x[:, :2]])


def none_at_all(count, generator=None):
    return iter([])


def raising(count, generator=None):
    def predictor(x):
        raise RuntimeError("no such member")

    return (predictor for _ in range(count))


@pytest.mark.parametrize(
    ("draws", "message"),
    [
        (fewer, r"draws\(3\) of Broken gave 1 predictors; it must give exactly as many"),
        (none_at_all, r"draws\(1\) of Broken gave 0 predictors"),
        (shapes, r"must answer with one shape, got \(32, 2\) and \(32, 3\) and \(32, 4\)"),
        (raising, r"raised RuntimeError on a batch of shape \(32, 2\): no such member"),
    ],
)
def test_bad_posteriors(draws, message):
    with pytest.raises(ModelContractError, match=message):
        subject_of(Broken(draws), turns(), 3)


def test_draws_without_modules_is_no_posterior():
    class Half:
        def draws(self, count, generator=None):
            return (lambda x: x for _ in range(count))

    with pytest.raises(ModelContractError, match=r"or draws\(count, generator\) and modules\(\), got Half"):
        subject_of(Half(), turns(), 3)


class Turn(nn.Module):
    """One member of `TakeTurns`."""

    def __init__(self, turn):
        super().__init__()
        self.turn = turn

    def forward(self, x):
        return TakeTurns().answer(x, self.turn)


def test_an_ensemble_is_a_fixed_model_whose_draws_are_its_members():
    """Whatever number of draws is asked for: two of the three members would err on a third of the rows."""
    steps = ("accuracy", "robustness.certificate", "robustness.randomness")
    changes = {"certificate": {"smoothing": 60}, "attacks": {"l2": 0.02}}
    record = audited(Ensemble(map(Turn, range(3))), turns(), *steps, draws=2, **changes)
    assert (record.models[0]["is_random"], record.models[0]["draws"]) == (False, 3)
    assert found(record, "accuracy").value == 1.0
    assert found(record, "robustness.l2.smoothed").series["certified"][1] == 1.0
    assert [omission.part for omission in record.omissions] == ["robustness.randomness"]
    record = audited(Ensemble(map(Turn, range(3))), turns(), "robustness.certificate")
    (omission,) = record.omissions
    assert not omission.failed
    assert "not the mean of an ensemble" in omission.reason
