"""What every number of an audit keeps to: it says how many examples it rests on and how far it may be off."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from rich.console import Console
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from report.small_audit import audited
from trustworthy.datasets import Dataset
from trustworthy.report import findings
from trustworthy.report.case import Case
from trustworthy.report.summary import summary_table

pytestmark = pytest.mark.usefixtures("_undrawn")

QUICK = {
    "attacks": {
        "tried": [{"name": "PGD", "steps": 3}, {"name": "SquareAttack", "steps": 5}],
        "decision": {"name": "BoundaryAttack", "steps": 10},
        "linf": 0.2,
        "l2": 0.5,
    },
    "linf": {"multiples": [2.0]},
    "l2": {"multiples": [2.0]},
    "certificate": {"multiples": [0.5, 2.0]},
    "exchange": {"rows": 8, "queries": 30},
    "distortion": {"rows": 8, "attack": {"name": "PGD", "steps": 3}, "bisections": 3},
    "corruptions": {"rows": 4},
    "poisoning": {"rows": 30, "labelled": 8, "flips": 1},
    "interpretation": {"images": 2, "repeats": 1},
}


def cancer(rows=None):
    x, y = load_breast_cancer(return_X_y=True)
    x, y = x[:, :6].astype(np.float32), y.astype(np.int64)
    return Dataset(name="cancer", task="classification", x_train=x[:300], y_train=y[:300], x_test=x[300:][:rows],
                   y_test=y[300:][:rows], class_names=("malignant", "benign"))  # fmt: skip


def small_net(data):
    """A ReLU network that asks to which class's mean a row is nearer, in deviations of each feature."""
    from trustworthy.nn import Normalize

    mean, spread = data.x_train.mean(0), data.x_train.std(0)
    means = [((data.x_train[data.y_train == label]).mean(0) - mean) / spread for label in (0, 1)]
    scale, first, last = Normalize(torch.from_numpy(mean), torch.from_numpy(spread)), nn.Linear(6, 2), nn.Linear(2, 2)
    with torch.no_grad():
        way = torch.from_numpy(means[1] - means[0])
        first.weight.copy_(torch.stack([-way, way]) / 2)
        first.bias.copy_(torch.tensor([1.0, -1.0]) * float(way @ torch.from_numpy(means[0] + means[1])) / 4)
        last.weight.copy_(torch.eye(2))
        last.bias.zero_()
    return nn.Sequential(scale, first, nn.ReLU(), last)


def fitted(estimator):
    return lambda data: estimator().fit(data.x_train, data.y_train)


def boosted(data):
    lightgbm = pytest.importorskip("lightgbm")
    return lightgbm.LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1).fit(data.x_train, data.y_train)


def constant(data):
    return lambda x: 0 * x[:, :2] + torch.tensor([-1.0, 1.0])


ZOO = {
    "tree": fitted(lambda: DecisionTreeClassifier(random_state=0)),
    "forest": fitted(lambda: RandomForestClassifier(5, random_state=0)),
    "boosted": boosted,
    "1-NN": fitted(lambda: make_pipeline(StandardScaler(), KNeighborsClassifier(1))),
    "5-NN": fitted(lambda: make_pipeline(StandardScaler(), KNeighborsClassifier(5))),
    "net": small_net,
    "constant": constant,
}
SLOW = {"forest", "boosted", "1-NN", "5-NN"}
"""Asked through the same door as the tree."""


@pytest.fixture(scope="module")
def of_the_net(tmp_path_factory):
    """The record of the audit of the network, and its folder."""
    data, folder = cancer(40), tmp_path_factory.mktemp("net")
    return audited({"net": small_net(data)}, data, out=folder, **QUICK), folder


@pytest.fixture(scope="module", params=[pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in ZOO])
def record(request):
    if request.param == "net":
        return request.getfixturevalue("of_the_net")[0]
    data = cancer(40)
    return audited({request.param: ZOO[request.param](data)}, data, **QUICK)


def check_numbers(found):
    """n, and an interval around the value that is no point, or why there is none."""
    assert found.conditions["n"] >= 1
    if found.value is None:
        return
    if found.interval is None:
        assert found.conditions["no_interval"]
    else:
        low, high = found.interval
        assert low <= found.value <= high
        assert low < high


def test_every_number_says_its_n_and_how_far_it_may_be_off(record):
    for found in record.findings:
        check_numbers(found)


def test_nothing_stands_under_attack_that_was_wrong_before(record):
    named = {found.name: found for found in record.findings}
    accuracy = named["accuracy"].value
    seen = [found for found in named.values() if found.kind in {"robustness_curve", "certificate"}]
    assert seen
    for found in seen:
        curves = found.series.get("attacks", {}) | {"worst": found.series.get("worst") or found.series["certified"]}
        for curve in curves.values():
            assert all(value <= accuracy for value in curve), found.name
            assert curve == sorted(curve, reverse=True)
        bands = zip(*(found.series.get(key, ()) for key in ("low", "worst", "high")), strict=True)
        assert all(low <= value <= high and low < high for low, value, high in bands)


def test_a_model_that_guesses_is_not_praised_for_robustness(record):
    named = {found.name: found for found in record.findings}
    if named["accuracy"].verdict == "worry":
        judged = {
            found.verdict for found in named.values() if found.property == "robustness" and found.name != "accuracy"
        }
        assert judged == {"information"}
        assert "hardly better than guessing" in named["robustness.l2.accuracy"].statement
    else:
        assert record.models[0]["name"] != "constant"


def test_the_page_and_the_terminal_show_n_beside_every_value(of_the_net):
    made, folder = of_the_net
    page, console = (folder / "report.html").read_text(), Console(width=10_000, no_color=True)
    with console.capture() as capture:
        console.print(summary_table(made))
    for found in made.findings:
        assert findings.counted(found).startswith("n\u00a0=\u00a0")
        beside = findings.beside(found)
        if found.headline:
            assert f"({beside})" in capture.get(), found.name
            assert f'<span class="interval">{beside}</span>' in page, found.name
        assert findings.counted(found) in page, found.name


@pytest.mark.parametrize(("right", "stands"), [(0.9, 0.95), (0.6, 0.5)])
def test_the_interval_of_what_stands_covers_as_often_as_it_says(right, stands):
    """Of 60 rows some are right; of these 12 are attacked. The truth is the product of the two probabilities."""
    random = np.random.default_rng(0)
    inside = 0
    for _ in range(1000):
        correct = random.uniform(size=60) < right
        holds = random.uniform(size=min(12, correct.sum())) < stands
        case = SimpleNamespace(correct=correct, accuracy=correct.mean(), level=0.9)
        value, (low, high) = Case.standing(case, holds)
        assert low < high
        assert low <= value <= high
        assert value <= correct.mean()
        inside += low <= right * stands <= high
    assert inside / 1000 >= 0.9


def test_where_every_right_row_was_attacked_the_interval_is_that_of_one_share():
    from trustworthy.metrics import proportion_interval

    case = SimpleNamespace(correct=np.arange(20) < 12, accuracy=0.6, level=0.95)
    assert Case.standing(case, np.arange(12) < 9) == (9 / 20, proportion_interval(9, 20))
