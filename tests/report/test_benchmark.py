"""The benchmark from data to a record: tiny fields, tiny networks, one or two epochs."""

import json
import shutil
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from trustworthy.core.errors import InvalidInput, TrainingDiverged, TrustworthyWarning
from trustworthy.datasets.pairs import ImagePairs
from trustworthy.models import load_model
from trustworthy.report.benchmark import judging, page, run, scores, suites, training
from trustworthy.report.benchmark.meaning import CLEAN
from trustworthy.report.benchmark.profiles import PROFILES
from trustworthy.report.benchmark.study import MODELS
from trustworthy.report.benchmark.suites import Suite, classification_suite, pairs_trial
from trustworthy.training.weights import model_tensors

TINY = replace(
    PROFILES["smoke"], side=16, tiles=6, width=2, epochs=1, row_epochs=1, rows=40, row_tests=20, severities=(3,),
    corruptions=("contrast",),
)  # fmt: skip


def pairs(count: int = 43, side: int = 16, struck: int = 3) -> ImagePairs:
    """Images and their mirror images; in some a square does not belong there."""
    random = np.random.default_rng(0)
    source = random.normal(size=(count, 1, side, side)).astype(np.float32)
    masks = np.zeros((count, side, side), dtype=bool)
    masks[:struck, 2:7, 3:8] = True
    names = tuple(f"field {number}" for number in range(count))
    return ImagePairs(name="mirrors", source=source, target=source[..., ::-1].copy(), names=names, masks=masks)


@pytest.fixture(scope="module")
def suite():
    return Suite(name="mirrors", title="mirrors", trials=[pairs_trial(pairs(), TINY, name="mirrors")])


@pytest.fixture(scope="module")
def ran(suite, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ran")
    told = []
    record = run(
        suite, folder, methods=["single", "naive"], seeds=1, profile=TINY, on_progress=lambda *t: told.append(t)
    )
    return folder, record, told


@pytest.fixture
def undrawn(monkeypatch):
    """No page, which takes longer than all else."""
    monkeypatch.setattr(page, "render", lambda folder: folder)


def test_a_trial_of_own_pairs_trains_on_clean_ones_and_tests_all_that_are_struck(suite):
    (trial,) = suite.trials
    struck = {f"field {number}" for number in range(3)}
    assert set(trial.tests["foreign"].names) == struck
    fitted = [set(part.names) for part in (trial.calibration, trial.tests[CLEAN])]
    fitted.append({name.partition("/")[0] for name in trial.train.names})
    assert not fitted[0] & fitted[1]
    assert not any(struck & names for names in fitted)
    assert [len(names) for names in fitted[:2]] == [10, 10]


def test_each_run_records_what_another_needs_to_agree(ran):
    folder, record, _ = ran
    saved = json.loads((folder / "benchmark.json").read_text())
    single, naive = record.runs
    assert (single.members, naive.members, single.passes, naive.passes) == (1, 2, 1.0, 2.0)
    assert "NaiveEnsemble" in naive.settings
    assert "normalised by the training images: source (mean " in naive.preprocessing
    assert saved["runs"][1]["versions"]["torch"] == torch.__version__
    assert "positive" in saved["metrics"]["auroc"]["says"].lower()
    network = load_model(folder / MODELS / "mirrors-naive-0").model
    assert training.digest(model_tensors(network)) == naive.weights


def test_scores_are_those_of_the_kept_model(ran, suite):
    folder, record, _ = ran
    (trial,) = suite.trials
    model = load_model(folder / MODELS / "mirrors-naive-0").model
    test = trial.tests["foreign"]
    with torch.no_grad():
        members = [draw(torch.from_numpy(test.source)) for draw in model.draws(2)]
    mean, std = torch.stack(members).mean(0).numpy(), torch.stack(members).std(0, correction=0).numpy()
    found = judging.scores.joined(
        judging.scores.correlation(mean, test.target), judging.scores.detection(std[:, 0], test.masks)
    )
    values = record.runs[1].tests["foreign"].values
    for name, value in found.values.items():
        assert values[name] == pytest.approx(value, abs=1e-5), name
    assert record.runs[0].tests["foreign"].values["partial_auroc"] == pytest.approx(0.02)  # one network knows nothing


def test_what_a_prediction_takes_is_without_scores_and_calibration(suite, monkeypatch):
    clock = [0.0]

    class Slow(torch.nn.Module):
        def forward(self, x):
            clock[0] += len(x)
            return x

    monkeypatch.setattr(judging, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    monkeypatch.setattr(
        judging.scores, "errors", lambda *maps: clock.append(clock.pop() + 1000.0) or scores.Scores(values={})
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrustworthyWarning)  # one network has no spread
        found = judging.judge(
            suite.trials[0], Slow(), draws=1, batch_size=4, device=torch.device("cpu"), seed=0, tell=lambda share: None
        )
    assert found.seconds == 1.0


def test_a_rerun_agrees_to_the_bit_and_takes_what_was_kept(ran, suite, tmp_path, monkeypatch, undrawn):
    folder, record, told = ran
    anew = run(suite, methods=["naive"], seeds=1, profile=TINY).runs[0]
    old = record.runs[1]
    assert (anew.weights, anew.tests) == (old.weights, old.tests)
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    monkeypatch.setattr(training.Method, "fit", lambda *a, **k: pytest.fail("was trained again"))
    again = run(suite, folder, methods=["single", "naive"], seeds=1, profile=TINY)
    assert again.runs == record.runs
    shutil.copytree(folder / MODELS, tmp_path / MODELS)  # without the scores: they are measured with the kept weights
    other = run(suite, tmp_path, methods=["naive"], seeds=1, profile=TINY).runs[0]
    assert (other.tests, other.passes, other.training_seconds) == (old.tests, old.passes, old.training_seconds)


def test_images_in_other_units_are_trained_anew(ran, suite, tmp_path, undrawn):
    folder, record, _ = ran
    shutil.copytree(folder / MODELS, tmp_path / MODELS)
    doubled = [replace(trial, **{part: in_double(getattr(trial, part)) for part in ("train", "calibration")},
                       tests={name: in_double(test) for name, test in trial.tests.items()})
               for trial in suite.trials]  # fmt: skip
    other = run(replace(suite, trials=doubled), tmp_path, methods=["single"], seeds=1, profile=TINY).runs[0]
    assert other.tests[CLEAN].values["mae"] == pytest.approx(2 * record.runs[0].tests[CLEAN].values["mae"], rel=1e-5)


def test_a_model_that_another_device_trained_is_not_taken_for_one_of_this(ran, suite, tmp_path, monkeypatch):
    def diverge(*given, **options):
        raise TrainingDiverged("trained again")

    shutil.copytree(ran[0] / MODELS, tmp_path / MODELS)
    monkeypatch.setattr(training.Method, "fit", diverge)
    with pytest.warns(TrustworthyWarning, match="trained again"):
        run(suite, tmp_path, methods=["single"], seeds=1, profile=TINY, device="cpu:0")


def in_double(part):
    """The same images in units of half the size: normalised, they are the same to the bit."""
    return replace(part, source=2 * part.source, target=2 * part.target)


def test_a_trial_is_told_apart_by_its_name_and_its_pictures(suite):
    (trial,) = suite.trials
    assert replace(trial, shown=[CLEAN]).fingerprint != trial.fingerprint
    with pytest.raises(InvalidInput, match="trials must have different names, got mirrors, mirrors"):
        replace(suite, trials=[trial, trial])


def test_what_was_interrupted_goes_on_to_the_same_numbers(suite, tmp_path, undrawn):
    given = {"methods": ["single", "naive"], "seeds": 1, "profile": replace(TINY, epochs=2)}

    def interrupt(what, done):
        if done > 0.6:  # in the first of the two networks of the ensemble
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(suite, tmp_path, **given, on_progress=interrupt)
    assert list((tmp_path / MODELS).glob("*/checkpoints"))  # it was interrupted in training
    resumed, whole = run(suite, tmp_path, **given).runs, run(suite, **given).runs
    for one, other in zip(resumed, whole, strict=True):
        assert (one.weights, one.tests, one.passes) == (other.weights, other.tests, other.passes)
    assert not list((tmp_path / MODELS).glob("*/checkpoints"))


def test_other_settings_are_trained_anew(ran, suite, tmp_path, undrawn):
    folder, record, _ = ran
    shutil.copytree(folder, tmp_path / "out")
    with pytest.warns(TrustworthyWarning, match="parts of another benchmark"):
        longer = run(suite, tmp_path / "out", methods=["single"], seeds=1, profile=TINY, epochs=2)
    assert longer.runs[0].weights != record.runs[0].weights


def test_a_training_that_diverges_is_recorded(suite, monkeypatch):
    def diverge(*given, **options):
        raise TrainingDiverged("the loss became nan")

    monkeypatch.setattr(training.Method, "fit", diverge)
    with pytest.warns(TrustworthyWarning, match="single failed on mirrors under seed 0"):
        record = run(suite, methods=["single"], seeds=1, profile=TINY)
    assert (record.runs[0].failed, record.runs[0].tests) == ("the loss became nan", {})


def test_classes_are_judged_clean_corrupted_and_where_they_are_new():
    suite = classification_suite(TINY, held_out=2)
    (trial,) = suite.trials
    assert trial.classes == 8
    assert trial.train.y.max() == 7
    assert list(trial.tests) == [CLEAN, "contrast 3", "new classes", "noise"]
    (run_,) = run(suite, methods=["single"], seeds=1, profile=TINY).runs
    assert {"accuracy", "nll", "ece", "brier", "auroc_wrong"} == set(run_.tests["contrast 3"].values)
    assert set(run_.tests["noise"].values) == {"auroc_foreign"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"suite": "cell"}, "suite must be cells, pairs, classification or a folder"),
        ({"suite": "cells", "data": "digits"}, "data is for the suite classification"),
        ({"profile": "medium"}, "unknown profile 'medium'"),
        ({"seeds": 0}, "seeds must be >= 1"),
        ({"epochs": 0}, "epochs must be >= 1"),
        ({"methods": ["naiv"]}, "unknown method 'naiv'; did you mean 'naive'"),
        ({"methods": []}, "methods must name at least one"),
        ({"suite": "classification", "data": "breast-cancer"}, "data must be a set of images with classes"),
        ({"suite": "classification", "average": "means"}, "unknown average 'means'"),
    ],
)
def test_mistakes_are_told_before_anything_is_trained(given, says, suite, monkeypatch):
    monkeypatch.setattr(training.Method, "fit", lambda *a, **k: pytest.fail("was trained"))
    with pytest.raises(InvalidInput, match=says):
        run(**({"suite": suite, "profile": TINY} | given))


def test_few_pairs_train_without_conformal_maps_and_too_few_are_told():
    trial = pairs_trial(pairs(8, struck=0), TINY, name="mirrors")
    assert trial.calibration is None
    assert trial.says.startswith("6 pairs train, 2 test; too few for conformal maps, which need 9")
    with pytest.raises(InvalidInput, match="at least 4 pairs without anything foreign"):
        pairs_trial(pairs(5, struck=2), TINY, name="mirrors")


def test_what_is_pasted_has_something_on_it(monkeypatch):
    seen = []
    monkeypatch.setattr(suites, "paste", lambda test, found, count: seen.append(found) or test)
    foreign = pairs(4, side=32, struck=0)
    foreign.source[..., 10:] *= 1e-3  # most places are empty
    pairs_trial(pairs(8, struck=0), TINY, name="mirrors", foreign=foreign)
    assert seen[0].source.std(axis=(1, 2, 3)).min() > 0.5


def test_a_constant_target_is_told_by_its_name(suite):
    (trial,) = suite.trials
    target = trial.tests[CLEAN].target.copy()
    target[3] = 0.5
    with pytest.warns(TrustworthyWarning, match="one value everywhere"):
        spoilt = replace(trial.tests[CLEAN], target=target)
    says = f"every image of the test 'clean', got one value everywhere in '{spoilt.names[3]}':"
    with pytest.raises(InvalidInput, match=says):
        replace(trial, tests={CLEAN: spoilt})


def test_images_that_are_foreign_everywhere_are_told_before_training(suite):
    (trial,) = suite.trials
    test = trial.tests["foreign"]
    with pytest.raises(InvalidInput, match="masks must leave out some pixels of the test 'foreign'"):
        replace(trial, tests={"foreign": replace(test, masks=np.ones_like(test.masks))})


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::trustworthy.core.errors.TrustworthyWarning"
)  # four epochs teach little: it is told
@pytest.mark.parametrize("name", ["cells", "classification"])
def test_a_suite_runs_with_all_methods(name, tmp_path):
    record = run(name, tmp_path, seeds=1, profile="smoke")
    assert not [run for run in record.runs if run.failed]
    assert len(record.runs) == len(record.methods) * len(record.trials)
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_suites_are_called_by_the_names_of_the_command():
    assert list(suites.SUITES) == ["cells", "pairs", "classification"]
