"""Real models, as users have them: each is examined without an error or a flood, and heard as it speaks."""

import copy
import threading
import warnings
from functools import cache

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier, StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators
from torch import nn

from report.small_audit import audited, values
from report.toys import LOGIT, SIZE
from trustworthy.core.errors import InvalidInput, TrustworthyWarning
from trustworthy.models.outputs import _SAID
from trustworthy.report.audit import audit
from trustworthy.report.rows import draw_examples, read_data
from trustworthy.report.subject import examine

CPU = torch.device("cpu")
NAMES = ("setosa", "versicolor", "virginica")
FEATURES = ("sepal length", "sepal width", "petal length", "petal width")


@cache
def rows():
    """Every other flower in tenths, numbers that float32 holds: 75 rows, three classes."""
    x, y = load_iris(return_X_y=True)
    return np.round(x[::2] * 10).astype(np.float32), y[::2].astype(np.int64)


def examples_of(x, y):
    return draw_examples(read_data((x, y)), 0, seed=0)


def examined(model, x=None, y=None, name="model"):
    """The subject and the warnings that came of it."""
    given = rows()
    examples = examples_of(given[0] if x is None else x, given[1] if y is None else y)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        subject = examine(name, model, examples, batch=16, seed=0, device=CPU)
    return subject, [str(each.message) for each in caught]


def right(subject, y):
    return int((subject.logits.argmax(1) == y).sum())


class Locked(ClassifierMixin, BaseEstimator):
    """A classifier that holds what cannot be pickled."""

    def fit(self, x, y):
        self.lock, self.inner = threading.Lock(), GaussianNB().fit(x, y)
        self.classes_ = self.inner.classes_
        return self

    def predict(self, x):
        with self.lock:
            return self.inner.predict(x)

    def predict_proba(self, x):
        return self.inner.predict_proba(x)


LEFT_OUT = {
    "ClassifierChain", "MultiOutputClassifier",  # several labels at once
    "FixedThresholdClassifier", "TunedThresholdClassifierCV",  # two classes alone; the first is among the others below
}  # fmt: skip
OF_OTHERS = {
    "StackingClassifier": {"estimators": [("a", GaussianNB()), ("b", DecisionTreeClassifier(max_depth=1))], "cv": 2},
    "VotingClassifier": {"estimators": [("a", GaussianNB()), ("b", DecisionTreeClassifier(max_depth=1))]},
    **{name: {"estimator": LinearSVC(random_state=0)} for name in ("OneVsOneClassifier", "OneVsRestClassifier")},
    "OutputCodeClassifier": {"estimator": DecisionTreeClassifier(random_state=0)},
    "SelfTrainingClassifier": {"estimator": GaussianNB()},
}
SMALL = {
    "RandomForestClassifier": {"n_estimators": 3}, "ExtraTreesClassifier": {"n_estimators": 3},
    "GradientBoostingClassifier": {"n_estimators": 3}, "HistGradientBoostingClassifier": {"max_iter": 3},
    "BaggingClassifier": {"n_estimators": 3}, "AdaBoostClassifier": {"n_estimators": 3},
    "MLPClassifier": {"max_iter": 20}, "RadiusNeighborsClassifier": {"radius": 100.0},
    "LogisticRegressionCV": {"Cs": 2, "cv": 2}, "RidgeClassifierCV": {"alphas": [0.1, 1.0]},
    "GaussianProcessClassifier": {"optimizer": None}, "CategoricalNB": {"min_categories": 100},
    "NuSVC": {"nu": 0.3},
}  # fmt: skip
FAST = ("DecisionTreeClassifier", "KNeighborsClassifier", "NearestCentroid", "Perceptron")
ESTIMATORS = {name: kind for name, kind in all_estimators(type_filter="classifier") if name not in LEFT_OUT}


def fitted(name):
    kind = ESTIMATORS[name]
    given = {**OF_OTHERS.get(name, {}), **SMALL.get(name, {})}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = kind(**given)
        return model.set_params(**{key: 0 for key in model.get_params() if key == "random_state"}).fit(*rows())


def test_there_are_many_of_them():
    assert len(ESTIMATORS) >= 36


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in sorted(ESTIMATORS)]
)
def test_every_classifier_of_scikit_learn_is_heard_as_it_speaks(name):
    model, (x, y) = fitted(name), rows()
    subject, said = examined(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert right(subject, y) == round(model.score(x.astype(np.float64), y) * len(y))
    assert len(said) <= 1
    again, _ = examined(model, name="other")
    assert again.fingerprint == subject.fingerprint
    assert np.array_equal(again.logits, subject.logits)
    if hasattr(model, "predict_proba") and subject.gives == "probabilities":
        p = model.predict_proba(x.astype(np.float64))
        assert np.exp(subject.logits) == pytest.approx(np.maximum(p, np.finfo(np.float32).tiny), rel=1e-4)
    assert (subject.gives == "labels") <= (not hasattr(model, "predict_proba") or bool(said))


def grid(cv=2):
    return GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [1, 2]}, cv=cv)


def stack():
    models = [("tree", DecisionTreeClassifier(max_depth=1)), ("bayes", GaussianNB())]
    return StackingClassifier(models, LogisticRegression(), cv=2)


OTHERS = {
    "search": grid,
    "stack": stack,
    "lambda": lambda: make_pipeline(FunctionTransformer(lambda x: x / 10.0), GaussianNB()),
    "lock": Locked,
    "pairs of classes": lambda: SVC(decision_function_shape="ovo"),
    "scaled": lambda: make_pipeline(StandardScaler(), LinearSVC(random_state=0)),
    "even votes": lambda: KNeighborsClassifier(2),
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in ("search", "lambda") else pytest.mark.slow) for n in OTHERS]
)
def test_what_no_pickle_takes_is_examined_too(name):
    x, y = rows()
    model = OTHERS[name]().fit(x, y)
    subject, said = examined(model)
    assert right(subject, y) == round(model.score(x.astype(np.float64), y) * len(y))
    assert len(said) == (not hasattr(model, "predict_proba"))  # margins and votes are said to be no probabilities
    assert examined(model, name="other")[0].fingerprint == subject.fingerprint
    assert (subject.gives == "probabilities") == hasattr(model, "predict_proba")


def test_another_search_with_the_same_predictions_has_another_fingerprint():
    x, y = rows()
    shifted = FunctionTransformer(lambda x: x / 50.0 - 1.0)
    models = [make_pipeline(shifted, LogisticRegression(C=c)).fit(x, y) for c in (1.0, 1.01)]
    assert (models[0].predict(x) == models[1].predict(x)).all()
    assert len({examined(model)[0].fingerprint for model in models}) == 2


def test_tables_of_words_and_gaps_are_told_apart_by_what_a_model_says_of_other_rows():
    pd = pytest.importorskip("pandas")
    x, y = rows()
    table = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "word": np.where(x[:, 2] > np.median(x[:, 2]), "high", "low")})
    table.loc[::7, "a"] = np.nan
    coded = FunctionTransformer(lambda t: t.assign(word=t["word"] == "high").astype(float).fillna(0.0))
    models = [make_pipeline(coded, LogisticRegression(C=c, max_iter=1000)).fit(table, y) for c in (1.0, 1.01)]
    assert (models[0].predict(table) == models[1].predict(table)).all()
    examples = draw_examples(read_data((table, y)), 0, seed=0)
    given = {"batch": 16, "seed": 0, "device": torch.device("cpu")}
    assert len({examine("m", model, examples, **given).fingerprint for model in models}) == 2


def test_what_float32_cannot_tell_apart_is_as_predict_says():
    class Close(ClassifierMixin, BaseEstimator):
        classes_ = np.arange(3)

        def predict(self, x):
            return self.predict_proba(x).argmax(1)

        def predict_proba(self, x):
            assert x.dtype == np.float64
            return np.tile([0.5 - 1e-10, 0.5 + 1e-10, 0.0], (len(x), 1))

    subject, said = examined(Close())
    assert (subject.gives, said) == ("probabilities", [])
    assert (subject.logits.argmax(1) == 1).all()


def test_a_threshold_of_its_own_is_kept_and_said():
    x, y = rows()
    two = y < 2
    model = FixedThresholdClassifier(GaussianNB(), threshold=1e-200).fit(x[two], y[two])
    subject, said = examined(model, x[two], y[two])
    assert right(subject, y[two]) == round(model.score(x[two], y[two]) * two.sum())
    assert subject.gives == "labels"
    assert any("predict_proba is another class than that of predict" in message for message in said)


@pytest.fixture
def frame():
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(rows()[0].astype(np.float64), columns=list(FEATURES))  # the type that models are shown


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_pipeline(StandardScaler(), LogisticRegression()),
        pytest.param(
            lambda: make_pipeline(StandardScaler(), RandomForestClassifier(3, random_state=0)), marks=pytest.mark.slow
        ),
    ],
)
def test_a_pipeline_on_a_frame_with_names_of_classes(make, frame):
    x, y = rows()
    names = np.array(NAMES)[y]
    model = make().fit(frame, names)
    subject, said = examined(model, x, names)
    assert right(subject, y) == round(model.score(frame, names) * len(y))
    assert said == []


def test_columns_of_the_data_go_by_name_to_the_model(frame):
    x, y = rows()
    model = DecisionTreeClassifier(random_state=0).fit(frame[list(FEATURES[::-1])], y)
    data = read_data((x, y))
    for names, expected in ((FEATURES, model.score(frame[list(FEATURES[::-1])], y)), ((), None)):
        named = copy.copy(data)
        object.__setattr__(named, "feature_names", names)
        subject = examine("m", model, draw_examples(named, 0, seed=0), batch=99, seed=0, device=CPU)
        assert expected is None or right(subject, y) == round(expected * len(y))


@pytest.mark.parametrize("wanted", ["warning", "none"])
def test_warnings_of_a_library_come_once(wanted):
    x, y = rows()

    class Loud(GaussianNB):
        def predict_proba(self, x):
            if wanted == "warning":
                warnings.warn("be careful", UserWarning, stacklevel=1)
            return super().predict_proba(x)

    _, said = examined(Loud().fit(x, y))
    assert said == (["be careful"] if wanted == "warning" else [])


def test_labels_that_the_model_has_never_seen_are_refused_with_both_lists():
    x, y = rows()
    names = np.array(NAMES)[y]
    model = GaussianNB().fit(x[y < 2], names[y < 2])
    with pytest.raises(
        InvalidInput, match=r"the labels 'virginica' .*the model: 'setosa', 'versicolor'; .* data: 'setosa', "
    ):
        examined(model, x, names)
    subject, _ = examined(model, x[y < 2], names[y < 2])  # the remedy: these rows left out
    assert right(subject, y[y < 2]) == 50


def network(dtype=torch.float32):
    made = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) / 5)
        made[0].bias.copy_(-made[0].weight @ torch.from_numpy(rows()[0]).mean(0))
    return made.to(dtype).eval()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_a_network_is_asked_in_its_own_precision(dtype):
    x, _ = rows()
    model = network(dtype)
    y = model(torch.from_numpy(x).to(dtype)).argmax(1).numpy()
    subject, said = examined(model, x, y)
    assert (right(subject, y), said) == (len(y), [])
    assert subject.gives_gradients
    assert subject.model.draws(1) is not None


@pytest.mark.parametrize(
    "made", [torch.jit.script, pytest.param(torch.compile, marks=pytest.mark.slow)], ids=["script", "compile"]
)
@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning")
def test_a_network_made_faster_is_the_network(made):
    x, y = rows()
    inner = network()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            model = made(inner)
            model(torch.from_numpy(x[:2]))
        except RuntimeError as error:
            pytest.skip(f"torch cannot do it here: {error}")
    subject, _ = examined(model)
    assert right(subject, y) == right(examined(inner)[0], y)
    assert subject.gives_gradients


WEIGHT = np.random.default_rng(0).normal(size=(4, 3))
ARRAYS = {
    "scores": lambda a: np.asarray(a) @ WEIGHT,
    "only arrays": lambda a: np.einsum("nf,fc->nc", a.astype(np.float64), WEIGHT),
    "labels": lambda a: (np.asarray(a) @ WEIGHT).argmax(1),
    "writes": lambda a: np.multiply(a, 0.5, out=a) @ WEIGHT,
}


@pytest.mark.parametrize("name", ARRAYS)
def test_a_callable_on_arrays(name):
    x, _ = rows()
    y = (x @ WEIGHT).argmax(1)
    subject, said = examined(ARRAYS[name], x, y)
    assert right(subject, y) == len(y)
    assert subject.gives_scores == (name != "labels")
    assert said == ([] if name != "labels" else [f"model: {_SAID['labels']}."])


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
@pytest.mark.slow
def test_boosted_trees(name):
    library = pytest.importorskip(name)
    x, y = rows()
    kinds = {"lightgbm": "LGBMClassifier", "xgboost": "XGBClassifier"}
    quiet = {"lightgbm": {"verbose": -1}, "xgboost": {}}[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = getattr(library, kinds[name])(n_estimators=3, n_jobs=1, **quiet).fit(x, y)
    subject, said = examined(model)
    assert right(subject, y) == round(model.score(x, y) * len(y))
    assert len(said) <= 1
    assert examined(model, name="other")[0].fingerprint == subject.fingerprint


class InPlace(nn.Module):
    """Normalises the tensor that it is given, as many training scripts do."""

    def __init__(self, without_gradients):
        super().__init__()
        self.inner, self.without_gradients = network(), without_gradients

    def forward(self, x):
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.without_gradients):
            x -= 2.0
            x /= 1.1
            return self.inner(x)


class Honest(InPlace):
    def forward(self, x):
        return self.inner((x - 2.0) / 1.1)


@pytest.mark.filterwarnings("ignore:.*no gradient reaches")
@pytest.mark.parametrize("without_gradients", [True, False])
def test_a_model_that_writes_into_its_input_has_the_numbers_of_one_that_does_not(without_gradients):
    x, _ = rows()
    honest = Honest(without_gradients)
    y = honest(torch.from_numpy(x.copy())).argmax(1).numpy()
    before = x.copy()
    steps = ("accuracy", "robustness.linf")
    with pytest.warns(TrustworthyWarning, match="writes into its input.*x = x - mean"):
        record = audited(InPlace(without_gradients), (x, y), *steps, rows=15)
    assert np.array_equal(x, before)
    found = {f.name: f.value for f in record.findings}
    assert found["accuracy"] == 1.0
    if not without_gradients:
        assert found == {f.name: f.value for f in audited(honest, (x, y), *steps, rows=15).findings}


@pytest.mark.parametrize("hide", [torch.no_grad, pytest.param(torch.inference_mode, marks=pytest.mark.slow)])
def test_a_network_that_hides_its_gradients_is_a_worry(hide):
    x, _ = rows()
    inner = network()

    class Hidden(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            with hide():
                return self.inner(x)

    y = inner(torch.from_numpy(x)).argmax(1).numpy()
    with pytest.warns(TrustworthyWarning, match="no gradient reaches its input"):
        (found,) = audited(Hidden(), (x, y), "evaluation.diagnosis").findings
    assert found.verdict == "worry"
    assert [(c["name"], c["passed"]) for c in found.series["checks"]] == [("no_gradient_reaches_the_input", False)]
    few = {"attacks": {"tried": [{"name": "PGD", "steps": 1}]}, "diagnosis": {"rows": 2, "queries": 1}}
    (open_one,) = audited(inner, (x, y), "evaluation.diagnosis", **few).findings  # the remedy: without the block
    assert len(open_one.series["checks"]) > 1


def test_one_sigmoid_for_each_class_is_read_as_shares():
    x, y = rows()
    inner = network()
    with torch.no_grad():
        inner[2].weight *= 10
    with pytest.warns(
        TrustworthyWarning, match="do not sum to one.*a confidence is the share.*remove the final sigmoid"
    ):
        subject = examine("m", nn.Sequential(inner, nn.Sigmoid()), examples_of(x, y), batch=99, seed=0, device=CPU)
    p = torch.sigmoid(inner(torch.from_numpy(x))).detach().numpy()
    assert np.exp(subject.logits) == pytest.approx(p, rel=1e-5)


def test_streams_and_intervals_do_not_depend_on_the_name():
    x, y = rows()
    model = network()
    found = audit({"one": model, "two": model}, (x, y), kinds=(SIZE, LOGIT)).findings
    said = [f.model_dump(exclude={"model", "wall_time", "arrays"}) for f in sorted(found, key=lambda f: f.model)]
    assert said[0]["series"] or said[1]["series"]
    assert said[:2] == said[2:]


@pytest.mark.parametrize("make", ["network", *(pytest.param(m, marks=pytest.mark.slow) for m in ("search", "stack"))])
def test_equal_models_give_equal_numbers(make):
    x, y = rows()
    model = network() if make == "network" else OTHERS[make]().fit(x, y)
    steps = ("accuracy", "robustness.l2", "uncertainty.scores")
    few = {key: FEW[key] for key in ("rows", "attacks", "l2")}
    record = audited({"one": model, "two": model}, (x, y), *steps, **few)
    by_model = [{name: v for (m, name), v in values(record).items() if m == who} for who in ("one", "two")]
    for first, second in zip(*(found.values() for found in by_model), strict=True):
        assert {**first, "model": ""} == {**second, "model": ""}
    assert len({described["fingerprint"] for described in record.models}) == 1


FEW = {
    "rows": 15, "attacks": {"decision_rows": 3, "decision": {"name": "BoundaryAttack", "steps": 5}},
    "poisoning": {"rows": 12, "labelled": 6, "flips": 1}, "distortion": {"rows": 3, "bisections": 3},
    "linf": {"multiples": [1.0]}, "l2": {"multiples": [1.0]}, "diagnosis": {"rows": 2, "queries": 2},
    "exchange": {"rows": 3, "queries": 20},
}  # fmt: skip


def wholly(name):
    """A model, its data, and which parts cannot be measured."""
    x, y = rows()
    names = np.array(NAMES)[y]
    if name == "frame":
        pandas = pytest.importorskip("pandas")
        return make_pipeline(StandardScaler(), LogisticRegression()).fit(
            pandas.DataFrame(x, columns=list(FEATURES)), names
        ), names
    if name == "nearest":
        return KNeighborsClassifier(1).fit(x, names), names
    if name in ARRAYS:
        return ARRAYS[name], (x @ WEIGHT).argmax(1)
    if name in OTHERS:
        return OTHERS[name]().fit(x, y), y
    model = network(getattr(torch, name))
    return model, model(torch.from_numpy(x).to(getattr(torch, name))).argmax(1).numpy()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["labels", "frame", "nearest", "search", "lock", "pairs of classes", "scores", "float64", "bfloat16", "float16"],
)
def test_a_whole_audit_of_it_ends_without_a_failure_or_a_flood(name, tmp_path):
    model, y = wholly(name)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        record = audited(model, (rows()[0], y), out=tmp_path, **FEW)
    # A thousand times a number leaves what half precision can hold: the network answers NaN, which is a failure of it.
    overflows = {"robustness.corruptions"} if name == "float16" else set()
    assert {omission.part for omission in record.omissions if omission.failed} == overflows
    assert len(caught) <= 2
    found = {f.name: f.value for f in record.findings}
    assert {"accuracy", "robustness.l2.accuracy", "robustness.l2.distortion"} <= found.keys()
    assert (tmp_path / "report.html").exists()
    if name == "nearest":
        assert found["robustness.l2.certified"] >= 0.0
