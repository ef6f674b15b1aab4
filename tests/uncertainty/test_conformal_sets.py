"""Sets of classes: coverage over many calibrations, marginal and by class, and what the sets are made of."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from scipy.special import softmax

from trustworthy.core.errors import InvalidInput, MissingPackage
from trustworthy.core.predictive import Predictive
from trustworthy.uncertainty.conformal import calibrate_sets, sets

KINDS = [("aps", True), ("aps", False), ("lac", True)]


def sample(n, random, classes=4, wrong=2.0):
    """Probabilities of a model that is too sure by the factor `wrong` in its logits, and rare last classes."""
    logits = 1.5 * random.normal(size=(n, classes)) - 0.7 * np.arange(classes)
    y = (softmax(logits, 1).cumsum(1) < random.random((n, 1))).sum(1)
    return softmax(wrong * logits, 1), np.minimum(y, classes - 1)


def coverages(repetitions, n, by_class, score, randomized, level=0.9):
    """Mean coverage over repetitions, of all new rows or of those of each class."""
    random, held = np.random.default_rng(0), []
    for seed in range(repetitions):
        calibrated = calibrate_sets(
            *sample(n, random), level=level, score=score, randomized=randomized, by_class=by_class, seed=seed
        )
        p, y = sample(2000, random)
        covered = calibrated(p).covered(y)
        held.append([covered[y == k].mean() for k in range(p.shape[1])] if by_class else [covered.mean()])
    return np.mean(held, 0), np.std(held, 0) / np.sqrt(repetitions)


@pytest.mark.parametrize(
    ("score", "randomized", "repetitions"),
    [("aps", True, 30), ("lac", True, 30), *(pytest.param(*kind, 200, marks=pytest.mark.slow) for kind in KINDS)],
)
def test_sets_hold_the_class_as_often_as_was_promised(score, randomized, repetitions):
    mean, error = coverages(repetitions, 100, False, score, randomized)
    assert mean > 0.9 - 4 * error
    if randomized:  # exactly so, up to 1 / (n + 1)
        assert mean < 0.9 + 1 / 101 + 4 * error


@pytest.mark.parametrize(("score", "randomized"), KINDS)
@pytest.mark.parametrize("repetitions", [15, pytest.param(200, marks=pytest.mark.slow)])
def test_sets_by_class_hold_each_class_which_marginal_ones_do_not(score, randomized, repetitions):
    mean, error = coverages(repetitions, 600, True, score, randomized)
    assert (mean > 0.9 - 4 * error).all()
    if randomized:
        assert (mean < 0.9 + 0.03 + 4 * error).all()
    random = np.random.default_rng(0)
    marginal = calibrate_sets(*sample(600, random), score=score, randomized=randomized)
    p, y = sample(4000, random)
    assert marginal(p).covered(y)[y == 3].mean() < 0.87


def test_adaptive_sets_take_the_likeliest_classes_and_grow_with_doubt():
    p, y = sample(500, np.random.default_rng(0))
    for by_class in (False, True):
        found = calibrate_sets(p, y, randomized=False, by_class=by_class)(p)
        assert found.size.min() >= 1
        assert found.size[p.max(1) < 0.6].mean() > found.size[p.max(1) > 0.9].mean()
    marginal = calibrate_sets(p, y)(p).members
    assert_array_equal(np.where(marginal, p, 1).min(1) >= np.where(marginal, 0, p).max(1), True)


def test_a_set_by_class_is_each_classes_own_threshold():
    """With one quantile for all classes the scores computed here are those of MAPIE."""
    random = np.random.default_rng(0)
    p, y = sample(300, random)
    new = sample(200, random)[0]
    aps = pytest.importorskip("mapie.conformity_scores").APSConformityScore()
    aps.set_external_attributes(classes=np.arange(4), random_state=np.random.RandomState(0))
    theirs = aps.get_conformity_scores(y, p, y_enc=y)[:, 0]
    u = np.random.RandomState(0).uniform(size=300)
    ours = sets.SCORES["aps"](p, 1 - u)[np.arange(300), y]
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
    # By hand, with u = 0: a class is in where what is likelier than it gathers less than the quantile of its class.
    calibrated = calibrate_sets(p, y, by_class=True, randomized=False, score="lac")
    lowest = [np.sort(p[y == k, k])[::-1][int(np.ceil(((y == k).sum() + 1) * 0.9)) - 1] for k in range(4)]
    assert_array_equal(calibrated(new).members, new >= lowest)


def test_a_posterior_is_asked_by_its_prediction_and_a_seed_repeats():
    random = np.random.default_rng(0)
    logits, y = torch.tensor(random.normal(size=(3, 90, 4))), random.integers(0, 4, 90)
    predictive = Predictive(logits)
    first, second = (calibrate_sets(given, y, seed=5)(given) for given in (predictive, predictive.probabilities))
    assert_array_equal(first.members, second.members)
    assert first.level == 0.9
    assert not np.array_equal(first.members, calibrate_sets(predictive, y, seed=6)(predictive).members)


def test_sets_of_many_classes_are_made_in_parts(monkeypatch):
    p, y = sample(400, np.random.default_rng(0))
    whole = calibrate_sets(p, y)(p).members
    monkeypatch.setattr(sets, "CHUNK", 64)
    assert_array_equal(calibrate_sets(p, y)(p).members, whole)


@pytest.mark.parametrize(
    ("rows", "settings", "said"),
    [
        (9, {}, "level=0.9 needs at least 10 calibration rows, got 9"),
        (99, {"level": 0.99}, "needs at least 100 calibration rows"),
        (9, {"level": 0.1, "score": "lac"}, "needs at least 10 calibration rows"),
        (40, {"by_class": True}, r"10 calibration rows of each class \(here of class \d\)"),
        (40, {"score": "asp"}, "did you mean 'aps'"),
        (40, {"level": 1.0}, "level must be < 1"),
    ],
)
def test_refuses_too_few_rows_and_says_how_many(rows, settings, said):
    with pytest.raises(InvalidInput, match=said):
        calibrate_sets(*sample(rows, np.random.default_rng(0)), **settings)


def test_two_classes_are_for_lac_and_other_rows_must_have_as_many():
    p, y = sample(40, np.random.default_rng(0), classes=2)
    with pytest.raises(InvalidInput, match="take score='lac'"):
        calibrate_sets(p, y)
    calibrated = calibrate_sets(p, y, score="lac")
    with pytest.raises(InvalidInput, match="must have 2 classes"):
        calibrated(np.ones((1, 3)) / 3)
    assert calibrate_sets(p, y, level=0.5, by_class=True)(p).covered(y).any()


def test_without_mapie_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mapie.classification", None)
    with pytest.raises(MissingPackage, match=r"trustworthy\[conformal\]"):
        calibrate_sets(*sample(40, np.random.default_rng(0)))
