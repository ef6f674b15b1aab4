"""An audit measures what it says: closed forms on linear models, and the record it leaves."""

import json

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from report.small_audit import SMALL, Halves, Linear, audited, images, linear_of, table, values
from trustworthy import metrics
from trustworthy.core.errors import TrustworthyWarning
from trustworthy.report.finding import AuditRecord
from trustworthy.report.render import render

pytestmark = pytest.mark.usefixtures("_undrawn")


def by_name(record, model="model"):
    return {finding.name: finding for finding in record.findings if finding.model == model}


@pytest.fixture(scope="module")
def of_table(tmp_path_factory):
    x, y = table()
    folder = tmp_path_factory.mktemp("table")
    return x, y, folder, audited(linear_of(x), (x, y), out=folder, seed=3)


@pytest.fixture(scope="module")
def of_images(tmp_path_factory):
    x, y = images()
    folder = tmp_path_factory.mktemp("images")
    return x, y, folder, audited({"halves": Halves()}, (x, y), out=folder, seed=3, attacks={"linf": 0.05, "l2": 0.2})


@pytest.mark.parametrize(("norm", "dual"), [("linf", 1), ("l2", 2)])
def test_robust_accuracy_of_a_linear_model_is_the_share_beyond_its_margin(of_table, norm, dual):
    x, y, _, record = of_table
    model = linear_of(x).eval()
    finding = by_name(record)[f"robustness.{norm}.accuracy"]
    weight = model.weight.detach().numpy() * x.std(axis=0)
    score = model(torch.from_numpy(x)).detach().numpy()[:, 1]
    margin = np.where(y == 1, score, -score) / np.linalg.norm(weight, ord=dual)
    assert finding.series["eps"] == [0.0, 0.25, 0.5, 1.0]
    assert finding.series["worst"] == [pytest.approx((margin > eps).mean()) for eps in finding.series["eps"]]
    assert finding.value == pytest.approx((margin > 0.5).mean())
    assert 0.0 < finding.value < (margin > 0).mean()
    assert finding.interval[0] <= finding.value <= finding.interval[1]


def test_median_distortion_of_a_linear_model_is_its_median_margin(of_table):
    x, y, _, record = of_table
    model = linear_of(x).eval()
    finding = by_name(record)["robustness.l2.distortion"]
    weight = model.weight.detach().numpy() * x.std(axis=0)
    score = model(torch.from_numpy(x)).detach().numpy()[:, 1]
    margin = np.where(y == 1, score, -score) / np.linalg.norm(weight)
    expected = np.quantile(margin[margin > 0], 0.5, method="inverted_cdf")
    assert finding.value == pytest.approx(expected, rel=0.01)
    assert sum(finding.series["counts"]) + finding.series["unbroken"] == (margin > 0).sum()


def test_accuracy_and_uncertainty_are_the_metrics_of_the_logits(of_table):
    x, y, _, record = of_table
    with torch.no_grad():
        p = linear_of(x).eval()(torch.from_numpy(x)).double().softmax(1).numpy()
    found = by_name(record)
    assert found["accuracy"].value == metrics.accuracy(p, y)
    assert found["uncertainty.ece"].value == pytest.approx(metrics.ece(p, y), abs=1e-6)
    assert found["uncertainty.nll"].value == pytest.approx(metrics.nll(p, y), rel=1e-5)
    assert found["uncertainty.brier"].value == pytest.approx(metrics.brier(p, y), rel=1e-5)
    per_class = {row["class"]: row for row in found["accuracy"].series["per_class"]}
    assert per_class["1"]["n"] == (y == 1).sum()
    assert per_class["1"]["accuracy"] == pytest.approx((p.argmax(1) == y)[y == 1].mean())


def test_importance_names_the_feature_that_decides(of_table):
    series = by_name(of_table[-1])["interpretation.importance"].series
    assert np.argmax(series["importance"]) == 0
    assert series["features"][0] == "feature 0"


def test_saliency_of_a_linear_image_model_is_its_weight(of_images):
    _, _, folder, record = of_images
    finding = by_name(record, "halves")["interpretation.saliency"]
    with np.load(folder / "arrays.npz") as arrays:
        maps = arrays[finding.arrays["saliency"]]
    # The logit of class 1 has slope 10 / 32 in every pixel, that of class 0 has none.
    expected = [10 / 32 if label == "1" else 0.0 for label in finding.series["label"]]
    assert_close(torch.from_numpy(maps.mean(axis=(1, 2))), torch.tensor(expected))
    assert finding.value == pytest.approx(6 / 64)


def test_pictures_are_the_examples_within_the_radius(of_images):
    x, _, folder, record = of_images
    finding = by_name(record, "halves")["robustness.linf.pictures"]
    with np.load(folder / "arrays.npz") as arrays:
        before, after = (arrays[finding.arrays[role]] for role in ("original", "adversarial"))
    assert all(any(np.array_equal(image, row) for row in x) for image in before)
    assert np.abs(after - before).max() <= 0.05 + 1e-6
    assert after.min() >= 0.0
    assert after.max() <= 1.0
    with torch.no_grad():
        seen = Halves()(torch.from_numpy(after)).argmax(1)
    assert finding.series["adversarial_prediction"] == [str(int(label)) for label in seen]


def test_broken_examples_are_shown_first(of_table):
    finding = by_name(of_table[-1])["robustness.linf.pictures"]
    attacked = finding.conditions["n"]
    assert attacked == 4 * SMALL["pictures"]["shown"]
    broken = round(finding.value * attacked)
    assert 0 < broken < attacked
    shown = [a != b for a, b in zip(finding.series["label"], finding.series["adversarial_prediction"], strict=True)]
    assert sum(shown) == min(broken, len(shown))


def test_pictures_of_a_table_are_in_its_own_units(of_table):
    x, _, folder, record = of_table
    finding = by_name(record)["robustness.linf.pictures"]
    with np.load(folder / "arrays.npz") as arrays:
        before, after = (arrays[finding.arrays[role]] for role in ("original", "adversarial"))
    assert all(np.isclose(x, row, atol=1e-4).all(axis=1).any() for row in before)
    assert np.abs((after - before) / x.std(axis=0)).max() == pytest.approx(0.5, rel=1e-3)


def test_corruptions_are_measured_on_images_and_tables(of_images, of_table):
    finding = by_name(of_images[-1], "halves")["robustness.corruptions"]
    assert np.shape(finding.series["accuracy"]) == (15, 1)
    assert finding.value == pytest.approx(np.mean(finding.series["accuracy"]))
    of_rows = by_name(of_table[-1])["robustness.corruptions"]
    assert np.shape(of_rows.series["accuracy"]) == (6, 1)
    assert len(of_rows.series["per_column"]) == 5


def test_the_folder_holds_the_record_and_the_page(of_images):
    _, _, folder, record = of_images
    saved = AuditRecord.model_validate_json((folder / "findings.json").read_text())
    assert saved == AuditRecord.model_validate_json(record.model_dump_json())
    assert (folder / "report.html").read_text() == render(folder).read_text()
    assert all(finding.seed == 3 and finding.versions and finding.conditions["n"] for finding in saved.findings)
    assert "NaN" not in json.dumps(json.loads((folder / "findings.json").read_text()))


def test_same_seed_same_numbers_and_nothing_of_the_caller_is_touched(of_table):
    x, y, _, record = of_table
    model = linear_of(x).train()
    mean, state = model.norm.running_mean.clone(), torch.get_rng_state()
    numpy_state = np.random.get_state()[1].copy()  # noqa: NPY002
    again = audited(model, (x, y), "accuracy", "robustness.l2", "evaluation.diagnosis", seed=3)
    assert len(again.findings) == 4
    assert values(again).items() <= values(record).items()  # whatever else is measured beside it
    assert model.training
    assert model.noise.training
    assert_close(model.norm.running_mean, mean)
    assert model.weight.grad is None
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_a_stochastic_model_is_measured_reproducibly_and_diagnosed():
    x, y = table(20)

    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = linear_of(x)

        def forward(self, x):
            return self.inner(x) + torch.randn(len(x), 2)

    steps = ("accuracy", "uncertainty.calibration", "robustness.linf", "interpretation", "evaluation.diagnosis")
    first, second = (audited(Noisy(), (x, y), *steps, seed=5) for _ in range(2))
    assert values(first) == values(second)
    once = audited(Noisy(), (x, y), "evaluation.diagnosis", seed=5, draws=1)
    for record, passed in ((first, True), (once, False)):
        checks = {c["name"]: c["passed"] for c in by_name(record)["evaluation.diagnosis"].series["checks"]}
        assert checks["randomised_output"] is passed


def test_probabilities_are_warned_of_and_read_as_logarithms():
    x, y = table()
    inner, steps = linear_of(x), ("accuracy", "uncertainty.calibration", "robustness.linf")
    with pytest.warns(TrustworthyWarning, match="model: outputs are probabilities; .*: remove the final softmax"):
        found = by_name(audited(nn.Sequential(inner, nn.Softmax(1)), (x, y), *steps))
    expected = by_name(audited(inner, (x, y), *steps))
    assert found.keys() == expected.keys()
    for name, finding in found.items():
        assert finding.value == pytest.approx(expected[name].value, abs=1e-6)


def test_a_saturated_softmax_is_found_by_the_diagnosis():
    x, y = table()
    steep = linear_of(x)
    with torch.no_grad():
        steep.weight *= 1e3
    steep.bias *= 1e3
    with pytest.warns(TrustworthyWarning, match="gradients vanish where a softmax is saturated"):
        record = audited(nn.Sequential(steep, nn.Softmax(1)), (x, y), "evaluation.diagnosis")
    checks = by_name(record)["evaluation.diagnosis"].series["checks"]
    assert "zero_gradients" in [check["name"] for check in checks if check["passed"] is False]


def test_several_models_are_compared_and_transfer_is_measured():
    x, y = table()
    weak, strong = linear_of(x), linear_of(x)
    record = audited({"weak": weak, "strong": strong}, (x, y), "accuracy", "robustness.transfer")
    (transfer,) = (finding for finding in record.findings if finding.kind == "transfer")
    assert transfer.model == "all models"
    assert transfer.value == pytest.approx(1.0)  # the same model twice: examples transfer entirely
    assert [model["name"] for model in record.models] == ["weak", "strong"]
    assert by_name(record, "weak").keys() == by_name(record, "strong").keys()


def test_models_that_look_at_different_features_do_not_share_adversarial_examples():
    x, _ = table()
    x = x - 3.0
    first, second = Linear(torch.eye(5)[0]), Linear(torch.eye(5)[1])
    y = (x[:, 0] > 0).astype(np.int64)
    both = y == (x[:, 1] > 0)
    record = audited({"first": first, "second": second}, (x[both], y[both]), "robustness.transfer")
    (transfer,) = (finding for finding in record.findings if finding.kind == "transfer")
    assert transfer.value == 0.0
    assert np.diag(transfer.series["affinity"]).tolist() == [1.0, 1.0]


def test_a_skipped_step_is_an_omission_and_a_limit_draws_in_proportion():
    x, y = table(60)
    record = audited(linear_of(x), (x, y), "accuracy", "robustness.l2", skip=["robustness.l2"], rows=20)
    assert "robustness.l2.accuracy" not in by_name(record)
    assert {omission.part for omission in record.omissions} >= {"robustness.l2"}
    rows = by_name(record)["accuracy"].series["per_class"]
    assert [row["n"] for row in rows] == [round(20 * share) for share in (1 - y.mean(), y.mean())]


def test_a_model_that_is_always_wrong_is_not_attacked():
    x, _ = table()
    with torch.no_grad():
        opposite = 1 - linear_of(x).eval()(torch.from_numpy(x)).argmax(1).numpy()
    record = audited(linear_of(x), (x, opposite))
    found = by_name(record)
    assert found["accuracy"].value == 0.0
    assert found["accuracy"].verdict == "worry"
    attacked = {name for name in found if name.startswith(("robustness", "evaluation"))}
    assert attacked == {"robustness.corruptions"}  # which attack nothing
    assert {omission.part for omission in record.omissions} >= {"robustness.linf", "evaluation.diagnosis"}
