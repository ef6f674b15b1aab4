"""Kinds of the uncertainty section: a temperature, foreign rows, disagreement of members, conformal sets."""

import numpy as np
import pytest
import torch
from torch import nn

from report.small_audit import Halves, audited, images, linear_of, table
from trustworthy.core import seeds
from trustworthy.core.errors import MissingPackage
from trustworthy.metrics import auroc, fpr_at_recall
from trustworthy.nn.ensemble import Ensemble

pytestmark = pytest.mark.usefixtures("_undrawn")


def signs(n=80, wrong=4):
    """One feature of +-1, and a label that it decides but for every `wrong`-th row."""
    x = np.where(np.arange(n) % 2, 1.0, -1.0).astype(np.float32)[:, None]
    return x, ((x[:, 0] > 0) ^ (np.arange(n) // 2 % wrong == 0)).astype(np.int64)


class Steep(nn.Module):
    """Logits 0 and `slope` times the first feature; its loss is least at another slope."""

    def __init__(self, slope=6.0):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, x):
        return torch.stack([torch.zeros(len(x)), self.slope * x[:, 0]], 1)


def only(record):
    (found,) = record.findings
    return found


def reason(record):
    (omission,) = record.omissions
    assert not omission.failed
    return omission.reason


def test_the_temperature_of_equal_margins_makes_confidence_the_accuracy_of_the_rows_it_is_fitted_on():
    x, y = signs()
    found = only(audited(Steep(), (x, y), "uncertainty.temperature"))
    fitted, shown = np.array_split(seeds.numpy_generator(0, "temperature").permutation(80), 2)
    right = (x[:, 0] > 0) == y
    accuracy = right[fitted].mean()
    assert found.series["temperature"] == pytest.approx(6.0 / np.log(accuracy / (1 - accuracy)), rel=1e-6)
    assert found.value == pytest.approx(abs(accuracy - right[shown].mean()), abs=1e-9)
    stated = 1 / (1 + np.exp(-6.0))
    assert found.series["ece_stated"] == pytest.approx(stated - right[shown].mean(), abs=1e-6)
    for name, confidence in (("stated", stated), ("scaled", accuracy)):
        (all_alike,) = found.series[name]
        assert all_alike == {
            "confidence": pytest.approx(confidence), "accuracy": pytest.approx(right[shown].mean()), "n": 40,
        }  # fmt: skip
    assert "overconfident" in found.statement


@pytest.mark.filterwarnings("ignore:all 40 labels of arrays are the same")
def test_rows_of_one_class_have_no_temperature_and_a_perfect_model_has_no_bound():
    x, y = signs(wrong=10**6)
    one = y == 1
    assert "at least two classes" in reason(audited(Steep(), (x[one], y[one]), "uncertainty.temperature"))
    assert "has no bound" in reason(audited(Steep(), (x[2:], y[2:]), "uncertainty.temperature"))


class Votes(nn.Module):
    """Votes for class 1 where the feature exceeds a place."""

    def __init__(self, place):
        super().__init__()
        self.place = nn.Parameter(torch.tensor(place))

    def forward(self, x):
        return torch.stack([self.place - x[:, 0], x[:, 0] - self.place], 1)


def test_members_against_the_vote_are_counted_and_their_disagreement_ranks_the_errors(tmp_path):
    x = np.linspace(-3.0, 3.0, 61, dtype=np.float32)[:, None]
    y = (x[:, 0] > 0.45).astype(np.int64)
    members = [Votes(place) for place in (-1.03, 0.02, 1.01)]
    found = only(audited(Ensemble(members), (x, y), "uncertainty.disagreement", out=tmp_path))
    votes = np.stack([x[:, 0] > place for place in (-1.03, 0.02, 1.01)])
    p = 1 / (1 + np.exp(-2 * (x[:, 0] - np.array([[-1.03], [0.02], [1.01]]))))
    ensemble = p.mean(0) > 0.5
    against, right = (votes != ensemble).sum(0), ensemble == (y == 1)
    assert found.series["most"] == [0, 1, 2]
    assert found.series["right"] == [int((right & (against == k)).sum()) for k in range(3)]
    assert found.series["wrong"] == [int((~right & (against == k)).sum()) for k in range(3)]
    assert found.series["disagreeing"] == pytest.approx(against.mean() / 3)

    def entropy(q):
        return -(q * np.log(q) + (1 - q) * np.log1p(-q))

    information = entropy(p.mean(0)) - entropy(p).mean(0)
    assert found.value == pytest.approx(auroc(information, ~right))
    assert found.series["information_wrong"] == pytest.approx(information[~right].mean(), abs=1e-5)
    assert 'aria-label="Disagreement, model"' in (tmp_path / "report.html").read_text()


class Torn(nn.Module):
    """Half sure of a class of its own, and nearly as much of class 2."""

    def __init__(self, own):
        super().__init__()
        self.own = nn.Parameter(torch.eye(3)[own])

    def forward(self, x):
        p = 0.1 + 0.4 * self.own + 0.3 * torch.eye(3)[2]
        return p.log() + 0.0 * x[:, :1]


def test_all_members_may_be_against_what_they_say_together():
    x, y = np.arange(12.0, dtype=np.float32)[:, None], np.arange(12) % 3
    found = only(audited(Ensemble([Torn(0), Torn(1)]), (x, y), "uncertainty.disagreement"))
    assert found.series["most"] == [0, 1, 2]
    assert (found.series["right"], found.series["wrong"]) == ([0, 0, 4], [0, 0, 8])


def test_a_single_predictor_has_no_members():
    assert "single predictor" in reason(audited(Halves(), images(), "uncertainty.disagreement"))


def test_the_cost_of_an_ensemble_stands_against_that_of_one_member():
    models = {"one": Steep(), "six": Ensemble([Steep() for _ in range(6)])}
    one, six = only(audited(models, signs(), "robustness.defenses")).series["models"]
    assert (one["draws"], one["parameters"], one.get("single")) == (1, 1, None)
    assert (six["draws"], six["parameters"]) == (6, 6)
    assert six["single"] > 0


class Blank(nn.Module):
    """Sure of pictures that are smooth to both sides, unsure of noise: the logit falls with the mean difference."""

    def forward(self, x):
        rough = (x[..., 1:] - x[..., :-1]).abs().flatten(1).mean(1)
        return torch.stack([torch.zeros(len(x)), 4.0 * torch.exp(-20.0 * rough)], 1)


def test_noise_is_foreign_to_smooth_pictures():
    x = np.linspace(0.0, 1.0, 30, dtype=np.float32)[:, None, None, None] * np.ones((1, 1, 8, 8), np.float32)
    found = only(audited(Blank(), (x, np.arange(30) % 2), "uncertainty.ood", ood={"sets": ["noise", "shuffled"]}))
    (noise,) = found.series["foreign"]
    assert (noise["name"], noise["entropy"], noise["entropy_fpr"], found.value) == ("noise", 1.0, 0.0, 1.0)
    assert "information" not in noise
    assert found.verdict == "good"
    assert found.series["left_out"] == {}


def test_a_linear_model_is_surest_far_away_and_the_set_told_apart_worst_is_the_value():
    x, y = table()
    found = only(audited(linear_of(x), (x, y), "uncertainty.ood"))
    shuffled, far = found.series["foreign"]
    assert (shuffled["name"], far["name"]) == ("shuffled", "far")
    assert found.value == far["entropy"] < 0.1 < shuffled["entropy"]
    assert far["entropy_fpr"] > 0.9
    assert found.conditions["foreign"] == "far"
    assert found.verdict == "worry"


def test_another_data_set_is_scored_by_entropy_and_by_information(tmp_path):
    x, y = images(40)
    np.savez(tmp_path / "inverted.npz", x=1.0 - x, y=y)
    members = [Halves(), nn.Sequential(Halves(), nn.Linear(2, 2))]
    with torch.no_grad():
        members[1][1].weight.copy_(0.1 * torch.eye(2))
        members[1][1].bias.zero_()
    ensemble, sets = Ensemble(members), [str(tmp_path / "inverted.npz"), "wine", "no-such-set"]
    found = only(audited(ensemble, (x, y), "uncertainty.ood", ood={"sets": sets, "rows": 0}))
    (theirs,) = found.series["foreign"]

    def scores(x):
        with torch.no_grad():
            p = torch.stack([member(torch.from_numpy(x)).softmax(1).double() for member in members])
        entropy = -(p.mean(0) * p.mean(0).log()).sum(1)
        return entropy.numpy(), (entropy + (p * p.log()).sum(2).mean(0)).numpy()

    truth = np.arange(80) >= 40
    for name, ours, foreign in zip(("entropy", "information"), scores(x), scores(1.0 - x), strict=True):
        both = np.r_[ours, foreign]
        assert theirs[name] == pytest.approx(auroc(both, truth), abs=0.01)
        assert theirs[f"{name}_fpr"] == pytest.approx(fpr_at_recall(both, truth), abs=0.03)
    assert "shape (13,)" in found.series["left_out"]["wine"]
    assert "cannot be read" in found.series["left_out"]["no-such-set"]


def test_sets_hold_the_true_class_as_often_as_asked_for_and_are_as_large_as_they_must():
    pytest.importorskip("mapie")
    x, y = signs(n=200)
    found = only(audited(Steep(), (x, y), "uncertainty.conformal"))
    # Three quarters of the rows are right: only sets of both classes hold nine tenths of them.
    assert (found.value, found.series["coverage"]) == (2.0, 1.0)
    assert found.series["counts"] == [0, 0, 100]
    assert [each["n"] for each in found.series["per_class"]] == [
        int((y[np.array_split(seeds.numpy_generator(0, "conformal").permutation(200), 2)[1]] == k).sum())
        for k in (0, 1)
    ]
    less = only(audited(Steep(), (x, y), "uncertainty.conformal", conformal={"level": 0.5}))
    assert less.value == 1.0
    assert less.series["coverage"] == pytest.approx(0.75, abs=0.1)


def test_without_the_package_or_with_too_few_rows_it_says_what_to_do(monkeypatch):
    x, y = signs()
    assert "needs at least 10 calibration rows, got 6" in reason(
        audited(Steep(), (x[:12], y[:12]), "uncertainty.conformal")
    )

    def absent(module, purpose):
        raise MissingPackage(f"{purpose} needs mapie (absent): pip install 'trustworthy[conformal]'")

    monkeypatch.setattr("trustworthy.uncertainty.conformal.sets.required", absent)
    assert "pip install 'trustworthy[conformal]'" in reason(audited(Steep(), (x, y), "uncertainty.conformal"))
