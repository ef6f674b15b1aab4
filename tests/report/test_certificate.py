"""What is proved lies below what attacks leave, and is what a closed form says where there is one."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from torch import nn

from report.small_audit import audited, images, linear_of, table
from trustworthy.datasets import Dataset
from trustworthy.nn.backbones import SmallConvNet
from trustworthy.report.render import render

pytestmark = pytest.mark.usefixtures("_undrawn")

STEPS = ("accuracy", "robustness.linf", "robustness.l2", "robustness.certificate")


def split(name, x, y, train):
    return Dataset(
        name=name, task="classification", x_train=x[:train], y_train=y[:train], x_test=x[train:], y_test=y[train:]
    )


def wine():
    x, y = load_wine(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return split("wine", x[order], y[order].astype(np.int64), 100)


def digits(test=40):
    x, y = load_digits(return_X_y=True)
    x, y = (x / 16).astype(np.float32).reshape(-1, 1, 8, 8), y.astype(np.int64)
    return split("digits", x[: 400 + test], y[: 400 + test], 400)


def small_net(data, *, seed=0, hidden=24):
    """A ReLU network of the data, trained for a moment."""
    from trustworthy.training import fit

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        features = int(np.prod(data.x_train.shape[1:]))
        model = nn.Sequential(nn.Flatten(), nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, data.n_classes))
    x = data.x_train.astype(np.float32)
    fit(model, (x, data.y_train), epochs=15, batch_size=32, seed=seed)
    return model


def found(record, name):
    return next((finding for finding in record.findings if finding.name == name), None)


def standardised_table():
    """The table of the other tests, each feature with mean 0 and deviation 1 over its rows."""
    x, y = table()
    return ((x - x.mean(0)) / x.std(0)).astype(np.float32), y


RADII = {"attacks": {"linf": 0.1, "l2": 0.2, "tried": [
    {"name": "PGD", "steps": 10}, {"name": "SquareAttack", "steps": 50}]},
    "linf": {"multiples": [0.5, 1.0, 2.0, 4.0]}, "l2": {"multiples": [0.5, 1.0, 2.0, 4.0]}}  # fmt: skip


def check_order(record, norm):
    """Certified below attacked below clean, at every radius of the attacked curve; something of each is seen."""
    certified, attacked = found(record, f"robustness.{norm}.certified"), found(record, f"robustness.{norm}.accuracy")
    proved = dict(zip(certified.series["eps"], certified.series["certified"], strict=True))
    clean = certified.series["clean"]
    assert certified.conditions["n"] == attacked.conditions["n"]
    assert certified.conditions["units"] == attacked.conditions["units"]
    assert attacked.series["worst"][0] == clean
    assert len(set(attacked.series["eps"]) & set(proved)) == 5
    for eps, worst in zip(attacked.series["eps"], attacked.series["worst"], strict=True):
        assert proved[eps] <= worst <= clean, eps
    assert certified.value > 0.0
    assert list(proved.values()) == sorted(proved.values(), reverse=True)
    return certified


MODELS = {
    "wine, 1-NN": lambda: (KNeighborsClassifier(1), wine(), ("linf", "l2")),
    "wine, scaled 1-NN": lambda: (make_pipeline(StandardScaler(), KNeighborsClassifier(1)), wine(), ("linf", "l2")),
    "wine, scaled 5-NN": lambda: (make_pipeline(StandardScaler(), KNeighborsClassifier(5)), wine(), ("l2",)),
    "digits, 1-NN": lambda: (KNeighborsClassifier(1), digits(), ("linf", "l2")),
    "digits, 3-NN": lambda: (KNeighborsClassifier(3), digits(), ("l2",)),
}


QUICK = ("wine, scaled 1-NN", "digits, 3-NN")


@pytest.mark.parametrize(
    "case", [case if case in QUICK else pytest.param(case, marks=pytest.mark.slow) for case in MODELS]
)
def test_neighbors_are_certified_below_what_attacks_leave(case):
    model, data, norms = MODELS[case]()
    model.fit(data.x_train.reshape(len(data.x_train), -1), data.y_train)
    record = audited(model, data, *STEPS, **RADII, rows=8 if case in QUICK else 20)
    for norm in ("linf", "l2"):
        assert (found(record, f"robustness.{norm}.certified") is not None) == (norm in norms)
    # Only where an attack searches in the norm: labels alone are attacked in l2, probabilities by SquareAttack too.
    for norm in norms:
        certified = check_order(record, norm)
        # Of a table the nearest such point may lie outside the ranges, or between two steps.
        assert certified.series["exact"] == (case == "digits, 1-NN")


@pytest.mark.parametrize("data", [wine, pytest.param(digits, marks=pytest.mark.slow)])
def test_a_relu_network_is_certified_below_what_attacks_leave(data):
    data = data()
    if data.name == "wine":  # in standard deviations of each feature, which the network takes as they are
        center, spread = data.x_train.mean(0), data.x_train.std(0)
        scaled = ((data.x_train - center) / spread, (data.x_test - center) / spread)
        data = Dataset(**{**vars(data), "x_train": scaled[0], "x_test": scaled[1]})
    record = audited(small_net(data), data, *STEPS, **RADII, rows=30)
    for norm in ("linf", "l2"):
        assert "CROWN" in check_order(record, norm).series["method"]


@pytest.mark.filterwarnings("ignore:all .* labels of arrays are the same")
def test_a_network_that_pools_in_its_own_forward_pass_is_certified():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = SmallConvNet(image_size=8, width=1)
    x = digits(8).x_test
    y = net.eval()(torch.from_numpy(x)).argmax(1).numpy()
    record = audited(net, (x, y), "robustness.certificate")
    for norm in ("linf", "l2"):
        assert "CROWN" in found(record, f"robustness.{norm}.certified").series["method"]


def test_a_linear_model_is_certified_up_to_its_margin_in_standard_deviations():
    x, y = table()
    layer = nn.Linear(5, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.0] * 5, [1.0, 0.1, -0.05, 0.02, 0.03]]))
        layer.bias.copy_(torch.tensor([0.0, -3.3]))
    record = audited(nn.Sequential(layer), (x, y), "robustness.certificate")
    weight = layer.weight[1].detach().numpy() * x.std(axis=0)
    score = layer(torch.from_numpy(x)).detach().numpy()[:, 1]
    for norm, dual in (("linf", 1), ("l2", 2)):
        series = found(record, f"robustness.{norm}.certified").series
        margin = np.where(y == 1, score, -score) / np.linalg.norm(weight, ord=dual)
        assert series["certified"][1:] == [pytest.approx((margin > eps).mean()) for eps in series["eps"][1:]]
        assert series["clean"] == pytest.approx((margin > 0).mean())


def test_one_neighbour_is_certified_up_to_the_plane_between_two_rows():
    rows = np.array([[0.0, 0.0], [4.0, 1.0]])
    queries = np.array([[1.5, 0.9], [2.4, 0.1], [0.3, 0.2], [1.9, 0.2], [3.9, 1.1]])
    spread, normal = rows.std(axis=0), rows[1] - rows[0]  # features of deviation 2 and 0.5
    side = (queries - rows.mean(axis=0)) @ normal
    y = np.concatenate([[0, 1], side > 0]).astype(np.int64)
    data = split("plane", np.concatenate([rows, queries]).astype(np.float32), y, 2)
    radii = {
        "attacks": {"linf": 0.2, "l2": 0.2, "decision_rows": 0},
        "certificate": {"multiples": [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 4.0]},
    }
    record = audited(KNeighborsClassifier(1).fit(rows, y[:2]), data, "robustness.certificate", **radii)
    for norm, dual in (("linf", 1), ("l2", 2)):
        series = found(record, f"robustness.{norm}.certified").series
        lower = np.abs(side) / np.linalg.norm(normal * spread, ord=dual)
        assert series["certified"] == [pytest.approx((lower > eps).mean()) for eps in series["eps"]]
        assert len(set(series["certified"])) > 2


def test_a_tie_that_two_searches_break_otherwise_is_not_certified(monkeypatch):
    from trustworthy.neighbors import NearestNeighborVerifier

    x, y = standardised_table()
    model = KNeighborsClassifier(1).fit(x, y)
    whole = found(audited(model, (x, y), "robustness.certificate"), "robustness.l2.certified")
    predict = NearestNeighborVerifier.predict
    monkeypatch.setattr(NearestNeighborVerifier, "predict", lambda self, z: np.where(z[:, 0] > 0, -1, predict(self, z)))
    fewer = found(audited(model, (x, y), "robustness.certificate"), "robustness.l2.certified")
    assert 0.0 < fewer.series["certified"][1] < whole.series["certified"][1]


def test_smoothing_is_another_finding_and_only_where_the_plan_asks_for_it():
    x, y = images()
    from report.small_audit import Halves

    changes = {"certificate": {"smoothing": 60}, "attacks": {"l2": 0.2}}
    record = audited(Halves(), (x, y), "robustness.certificate", seed=1, **changes)
    (finding,) = record.findings
    assert finding.name == "robustness.l2.smoothed"
    assert not finding.headline
    assert "of the smoothed predictions" in finding.statement
    series = finding.series
    largest = 0.2 * 2.1  # sigma times the quantile of alpha ** (1 / n)
    assert all(share == 0.0 for eps, share in zip(series["eps"], series["certified"], strict=True) if eps > largest)
    assert series["certified"][1] > 0.0
    again = audited(Halves(), (x, y), "robustness.certificate", seed=1, **changes)
    assert again.findings[0].series == series


def repeated():
    x, y = standardised_table()
    return np.concatenate([x, x[:1]]), np.append(y, 1 - y[0])


CANNOT = {
    "a function": (lambda x, y: lambda z: linear_of(x).eval()(z), "a function whose parts cannot be seen"),
    "an unknown layer": (lambda x, y: nn.Sequential(nn.Linear(5, 2), nn.Tanh()), "got torch.tanh"),
    "a wide network": (lambda x, y: nn.Sequential(nn.Linear(5, 400), nn.ReLU(), nn.Linear(400, 2)), "has 400"),
    "a stochastic network": (
        lambda x, y: nn.Sequential(nn.Linear(5, 2), Noise()), "answers differently each time",
    ),
    "a forest": (lambda x, y: RandomForestClassifier(3, random_state=0).fit(x, y), "not RandomForestClassifier"),
    "weights": (lambda x, y: KNeighborsClassifier(3, weights="distance").fit(x, y), "weights='distance'"),
    "a metric": (lambda x, y: KNeighborsClassifier(3, p=1).fit(x, y), "metric 'manhattan'"),
    "an even vote": (lambda x, y: KNeighborsClassifier(4).fit(x, y), "n_neighbors must be odd"),
    "another scaler": (
        lambda x, y: make_pipeline(MinMaxScaler(), KNeighborsClassifier(1)).fit(x, y), "not MinMaxScaler",
    ),
    "another classifier in a pipeline": (
        lambda x, y: make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y), "not LogisticRegression",
    ),
    "contradictory rows": (lambda x, y: KNeighborsClassifier(1).fit(*repeated()), "repeated with another class"),
}  # fmt: skip


class Noise(nn.Module):
    """Logits with noise."""

    def forward(self, z):
        return z + torch.randn_like(z)


@pytest.mark.parametrize("case", CANNOT)
def test_what_cannot_be_certified_says_why(case):
    x, y = standardised_table()
    build, reason = CANNOT[case]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        record = audited(build(x, y), (x, y), "robustness.certificate")
    assert record.findings == []
    (omission,) = record.omissions
    assert omission.part == "robustness.certificate"
    assert reason in omission.reason


def test_the_page_shows_the_proof_beside_the_attacks_and_progress_is_told(tmp_path):
    x, y = standardised_table()
    model = KNeighborsClassifier(1).fit(x[:40], y[:40])
    told = []
    record = audited(model, (x, y), *STEPS[1:], out=tmp_path, attacks={"decision_rows": 40})
    page = render(tmp_path).read_text()
    assert page.count("proved: no attack can take more") == 1  # in the legend of the curves in l2
    assert "Certified accuracy, linf" in page
    assert "model, proved: " in page
    certified = found(record, "robustness.l2.certified")
    assert certified.statement in page

    from report.small_audit import plan_of
    from trustworthy.report.audit import audit
    from trustworthy.report.findings.certificate import KIND

    audit(model, (x, y), plan=plan_of([KIND], attacks={"decision_rows": 40}), kinds=[KIND],
          on_progress=lambda *given: told.append(given[2]))  # fmt: skip
    assert told == sorted(told)
    assert len(told) > 4
    assert told[-1] == 1.0


@pytest.mark.parametrize("as_read", [str, bool, float])
def test_a_neighbour_is_certified_where_the_data_write_labels_otherwise(as_read):
    x, y = table()
    model = KNeighborsClassifier(1).fit(x[:30], y[:30])
    expected = found(audited(model, (x, y), "robustness.certificate"), "robustness.l2.certified")
    record = audited(model, (x, y.astype(as_read)), "robustness.certificate")
    assert found(record, "robustness.l2.certified").series == expected.series


@pytest.mark.filterwarnings("ignore:model. the output is one logit")
def test_a_network_of_one_logit_is_not_certified_as_if_it_had_two():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(5, 1))
    (omission,) = audited(net, table(), "robustness.certificate").omissions
    assert omission.reason == "linear bounds certify networks that return one logit for each class, this one does not."
