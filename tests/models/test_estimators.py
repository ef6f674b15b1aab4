"""Real classifiers of scikit-learn, LightGBM and XGBoost: their scores say what the classifier itself says."""

import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, StackingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators

from trustworthy.core.errors import InvalidInput, ModelContractError
from trustworthy.models import EstimatorScores, adapt

X, Y = load_iris(return_X_y=True)
ROWS = torch.from_numpy(X)
SOME = slice(0, 150, 2)
# Those that need other estimators, or several labels a row, are tried below.
COMPOSED = {
    "ClassifierChain", "FixedThresholdClassifier", "MultiOutputClassifier", "OneVsOneClassifier", "OneVsRestClassifier",
    "OutputCodeClassifier", "SelfTrainingClassifier", "StackingClassifier", "TunedThresholdClassifierCV",
    "VotingClassifier",
}  # fmt: skip
PLAIN = [kind for name, kind in all_estimators("classifier") if name not in COMPOSED]


def fitted(kind, x, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fits that have not converged, and of what scikit-learn will drop
        known = kind().get_params()
        wanted = {"random_state": 0, "n_estimators": 5, "max_iter": 20, "Cs": 2, "cv": 2}
        return kind(**{name: value for name, value in wanted.items() if name in known}).fit(x, y)


def test_there_are_as_many_classifiers_as_are_promised():
    assert len(PLAIN) + len(COMPOSED) - 2 >= 36


@pytest.mark.filterwarnings("ignore:Class PassiveAggressiveClassifier:FutureWarning")
@pytest.mark.parametrize("kind", PLAIN, ids=lambda kind: kind.__name__)
def test_scores_name_the_class_that_the_classifier_predicts(kind):
    x, rows = X[SOME], ROWS[SOME]
    model = fitted(kind, x, Y[SOME])
    scores = EstimatorScores(model)
    answer = scores(rows)
    differing = scores.disagreements(rows)
    assert (kind.__name__ == "NearestCentroid") == (differing > 0)  # its predict does not follow its own probabilities
    assert answer.shape == (75, 3)
    assert answer.isfinite().all()
    assert answer.float().isfinite().all()
    assert (answer.argmax(1).numpy() != model.predict(x)).sum() == differing
    if hasattr(model, "predict_proba"):
        np.testing.assert_allclose(answer.softmax(1), model.predict_proba(x), atol=1e-12)
    again = EstimatorScores(pickle.loads(pickle.dumps(model)))
    assert torch.equal(again(rows), answer)


@pytest.mark.parametrize("name", sorted(COMPOSED - {"MultiOutputClassifier", "ClassifierChain"}))
def test_composed_classifiers(name):
    kind = dict(all_estimators("classifier"))[name]
    base = LogisticRegression(max_iter=1000)
    two = name in {"FixedThresholdClassifier", "TunedThresholdClassifierCV"}
    x, y = (X[:100], Y[:100]) if two else (X, Y)
    if name == "SelfTrainingClassifier":
        y = np.where(np.arange(len(y)) % 3 == 0, -1, y)
    parts = [("a", base), ("b", DecisionTreeClassifier(max_depth=2, random_state=0))]
    few = {"StackingClassifier": {"cv": 2}, "TunedThresholdClassifierCV": {"cv": 2, "thresholds": 9}}
    model = kind(parts if name in {"StackingClassifier", "VotingClassifier"} else base, **few.get(name, {})).fit(x, y)
    assert EstimatorScores(model)(torch.from_numpy(x)).argmax(1).tolist() == model.predict(x).tolist()


@pytest.mark.parametrize(
    "model",
    [
        GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [1, 2]}),
        GridSearchCV(SVC(decision_function_shape="ovo"), {"C": [1.0]}),
        StackingClassifier([("tree", DecisionTreeClassifier(max_depth=2, random_state=0)), ("svc", LinearSVC())]),
        make_pipeline(StandardScaler(), RandomForestClassifier(10, random_state=0)),
    ],
    ids=["grid search", "one against one", "stacking", "pipeline"],
)
def test_searches_stacks_and_pipelines_in_a_file(model, tmp_path):
    joblib.dump(model.fit(X, Y), tmp_path / "m.joblib")
    adapted = adapt(joblib.load(tmp_path / "m.joblib"), ROWS)
    assert torch.equal(adapted.model(ROWS), adapt(model, ROWS).model(ROWS))
    assert adapted.model(ROWS).argmax(1).tolist() == model.predict(X).tolist()


def test_one_against_one_is_read_as_votes_and_said_so():
    adapted = adapt(SVC(decision_function_shape="ovo").fit(X, Y), ROWS)
    assert adapted.gives == "labels"
    assert "votes" in adapted.notes[-1]


@pytest.mark.parametrize("as_read", [str, float, bool])
def test_labels_that_a_file_writes_otherwise_are_those_of_the_model(as_read):
    x, y = X[:100], (Y[:100] > 0).astype(int)
    for model in (LinearSVC().fit(x, y), SVC().fit(x, y), DecisionTreeClassifier(max_depth=1).fit(x, y)):
        adapted = adapt(model, ROWS[:100], classes=[as_read(label) for label in (1, 0)])
        assert (1 - adapted.model(ROWS[:100]).argmax(1)).tolist() == model.predict(x).tolist()


def test_margins_are_logits_of_two_and_of_more_classes():
    two = LinearSVC().fit(X[:100], Y[:100])
    scores = EstimatorScores(two)(ROWS[:100])
    np.testing.assert_allclose(scores[:, 1] - scores[:, 0], two.decision_function(X[:100]))
    adapted = adapt(SGDClassifier(random_state=0).fit(X, Y), ROWS)
    assert adapted.gives == "scores"
    assert "margins" in adapted.notes[0]


def test_where_predict_and_probabilities_disagree_it_is_said():
    class Contrary(ClassifierMixin, BaseEstimator):
        classes_ = np.array([0, 1])

        def predict(self, x):
            return (x[:, 0] > 0).astype(int)

        def predict_proba(self, x):
            return np.tile([0.2, 0.8], (len(x), 1))

    x = torch.tensor([[-1.0], [-2.0], [3.0]])
    adapted = adapt(Contrary(), x)
    assert adapted.notes[0] == (
        "the highest of predict_proba is another class than that of predict in 2 of 3 rows, so it is not used"
    )
    assert adapted.gives == "labels"
    assert adapted.model(x).argmax(1).tolist() == [0, 0, 1]


def people(n=120):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({
        "age": rng.integers(18, 90, n).astype(float), "income": rng.lognormal(10, 1, n),
        "city": pd.Categorical(rng.choice(["Bern", "Rome", "Oslo"], n)),
    })  # fmt: skip
    frame.loc[::9, "income"] = np.nan
    return frame, np.where(frame["age"] + 10 * (frame["city"] == "Rome") > 50, "yes", "no")


def decoder(frame):
    """Rows of codes back to a frame with the types of `frame`."""

    def decode(x):
        rows = pd.DataFrame(x.detach().numpy(), columns=frame.columns)
        for name in frame.select_dtypes("category"):
            rows[name] = pd.Categorical.from_codes(rows[name].astype(int), dtype=frame[name].dtype)
        return rows

    codes = frame.assign(**{name: frame[name].cat.codes for name in frame.select_dtypes("category")})
    return torch.tensor(codes.to_numpy(float)), decode


def test_a_pipeline_on_a_frame_with_text_labels_and_missing_values():
    frame, y = people()
    model = make_pipeline(
        ColumnTransformer([
            ("number", make_pipeline(SimpleImputer(), StandardScaler()), ["age", "income"]),
            ("name", OneHotEncoder(handle_unknown="ignore"), ["city"]),
        ]),
        LogisticRegression(),
    ).fit(frame, y)  # fmt: skip
    x, decode = decoder(frame)
    adapted = adapt(model, x, classes=["yes", "no"], columns=list(frame.columns), decode=decode)
    assert adapted.classes == ("yes", "no")
    probability = adapted.model(x).softmax(1)
    np.testing.assert_allclose(probability, model.predict_proba(frame)[:, ::-1], atol=1e-12)
    assert adapted.notes == ()


def test_a_decoded_frame_is_put_in_the_order_of_the_model_and_checked():
    frame, y = people()
    model = HistGradientBoostingClassifier(max_iter=10, categorical_features="from_dtype").fit(frame, y)
    turned = frame[["city", "age", "income"]]
    x, decode = decoder(turned)
    scores = EstimatorScores(model, columns=list(turned.columns), decode=decode)
    np.testing.assert_allclose(scores(x).softmax(1), model.predict_proba(frame), atol=1e-12)
    with pytest.raises(InvalidInput, match="the data lack 'age'"):
        EstimatorScores(model, columns=["city", "income"], decode=decode)
    of_arrays = HistGradientBoostingClassifier(max_iter=10).fit(frame[["age", "income"]].to_numpy(), y)
    x, decode = decoder(frame[["age", "income"]])
    scores = EstimatorScores(of_arrays, columns=["age", "income"], decode=decode)  # without a warning on names
    np.testing.assert_allclose(scores(x).softmax(1), of_arrays.predict_proba(frame[["age", "income"]].to_numpy()))


def test_histogram_boosting_takes_categories_and_missing_values():
    frame, y = people()
    model = HistGradientBoostingClassifier(max_iter=10, categorical_features="from_dtype").fit(frame, y)
    x, decode = decoder(frame)
    scores = EstimatorScores(model, decode=decode)(x)
    np.testing.assert_allclose(scores.softmax(1), model.predict_proba(frame), atol=1e-12)


@pytest.mark.parametrize("package", ["lightgbm.LGBMClassifier", "xgboost.XGBClassifier", "catboost.CatBoostClassifier"])
@pytest.mark.parametrize("named", [False, True])
def test_boosting_libraries_through_their_interface(package, named, tmp_path):
    module, _, name = package.partition(".")
    kind = getattr(pytest.importorskip(module, reason=f"{module} is not installed"), name)
    options = {
        "lightgbm": {"n_jobs": 1, "verbose": -1},
        "xgboost": {"n_jobs": 1},
        "catboost": {"thread_count": 1, "verbose": 0, "allow_writing_files": False},
    }
    names = ["sepal length", "sepal width", "petal length", "petal width"]
    table = pd.DataFrame(X, columns=names) if named else X
    model = kind(n_estimators=5, **options[module]).fit(table, Y)
    joblib.dump(model, tmp_path / "m.joblib")
    adapted = adapt(joblib.load(tmp_path / "m.joblib"), ROWS, columns=names)
    np.testing.assert_allclose(adapted.model(ROWS).softmax(1), model.predict_proba(table), atol=1e-6)
    assert not adapted.model.warnings.counts


def test_names_are_given_to_a_model_that_was_fitted_with_them_in_its_own_order():
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = LogisticRegression(max_iter=1000).fit(frame, Y)
    scores = EstimatorScores(model, columns=list("dcba"))
    np.testing.assert_allclose(scores(ROWS.flip(1)).softmax(1), model.predict_proba(frame), atol=1e-12)
    assert not scores.warnings.counts


class Nagging(ClassifierMixin, BaseEstimator):
    classes_ = np.array([0, 1])

    def predict(self, x):
        warnings.warn("nag", UserWarning, stacklevel=2)
        return np.zeros(len(x), int)


def test_a_warning_is_shown_once_and_counted():
    scores = EstimatorScores(Nagging())
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        for _ in range(1000):
            scores(ROWS[:2])
    assert len(shown) == 1
    assert scores.warnings.counts == {"UserWarning: nag": 1000}
    with pytest.raises(UserWarning, match="nag"):  # the filters of the user hold
        EstimatorScores(Nagging())(ROWS[:2])


@pytest.mark.parametrize(
    ("of_model", "of_data"),
    [
        (["a", "b"], ["b", "a"]),
        ([0, 1], ["1", "0"]),
        (["0", "1"], [1, 0]),
        ([False, True], [True, False]),
        ([0, 1], [True, False]),
        (["False", "True"], [True, False]),
        ([3.0, 7.0], [7, 3]),
        ([3, 7, 20], [20, 3]),
    ],
)
def test_labels_are_matched_by_name(of_model, of_data):
    known = np.array(of_model)
    model = LogisticRegression(max_iter=1000).fit(X[: 50 * len(known)], known[Y[: 50 * len(known)]])
    scores = EstimatorScores(model, classes=of_data)
    assert len(scores.classes) == len(known)
    assert scores.classes[: len(of_data)] == of_data
    columns = [[str(one) for one in model.classes_.tolist()].index(name_in(model.classes_, label)) for label in of_data]
    np.testing.assert_allclose(
        scores(ROWS).softmax(1)[:, : len(of_data)], model.predict_proba(X)[:, columns], atol=1e-12
    )


def name_in(classes, label):
    return next(str(one) for one in classes.tolist() if str(one) == str(label) or one == label)


def test_a_label_that_the_model_never_saw_shows_both_lists_and_the_remedy_works():
    model = LogisticRegression(max_iter=1000).fit(X, np.array(["setosa", "versicolor", "virginica"])[Y])
    with pytest.raises(InvalidInput, match=r"never seen the labels 'rose' .*model: 'setosa', .*data: 'setosa', 'rose'"):
        EstimatorScores(model, classes=["setosa", "rose"])
    assert EstimatorScores(model, classes=["setosa"]).classes == ["setosa", "versicolor", "virginica"]


def test_words_for_the_numbers_of_a_label_encoder_are_refused_with_these_numbers():
    model, words = LogisticRegression(max_iter=1000).fit(X, Y), ["versicolor", "virginica", "setosa"]
    with pytest.raises(
        InvalidInput, match=r"LabelEncoder.* gives 'setosa', 'versicolor', 'virginica' the numbers 0 to 2"
    ):
        EstimatorScores(model, classes=words)
    with pytest.raises(InvalidInput, match=r"or leave those rows out\.$"):
        EstimatorScores(model, classes=words[:2])


def test_two_labels_that_are_one_class_are_refused():
    with pytest.raises(InvalidInput, match="two labels of the data are one class"):
        EstimatorScores(LogisticRegression(max_iter=1000).fit(X, Y), classes=[0, "0", 1])


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("abc", r"the data lack 'd'\. Columns of the model: 'a', 'b', 'c', 'd'; of the data: 'a', 'b', 'c'\."),
        ("abcde", r"has never seen 'e'\..*add --drop e\."),
        ("abce", r"the data lack 'd'; the model has never seen 'e'\."),
    ],
)
def test_columns_that_differ_show_both_lists(columns, said):
    model = LogisticRegression(max_iter=1000).fit(pd.DataFrame(X, columns=list("abcd")), Y)
    with pytest.raises(InvalidInput, match=said):
        EstimatorScores(model, columns=list(columns))


def test_a_number_of_columns_that_differs_is_said():
    model = LogisticRegression(max_iter=1000).fit(X, Y)
    with pytest.raises(InvalidInput, match=r"fitted on 4 columns, the data have 3 \('a', 'b', 'c'\)"):
        EstimatorScores(model, columns=list("abc"))
    with pytest.raises(InvalidInput, match="fitted on 4 columns, the data have 3"):
        EstimatorScores(model)(ROWS[:, :3])


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (LogisticRegression(), "call fit in the factory or before saving"),
        (LinearRegression().fit(X, Y), "predicts numbers"),
        (MultiOutputClassifier(DecisionTreeClassifier()).fit(X, np.stack([Y, Y], 1)), r"estimators_\[0\]"),
        (DecisionTreeClassifier().fit(X[:50], Y[:50]), "has seen only the class 0"),
    ],
)
def test_what_is_no_classifier_is_said(model, said):
    with pytest.raises(ModelContractError, match=said):
        EstimatorScores(model)


def test_an_error_of_the_model_says_where_it_came_from():
    model = DecisionTreeClassifier(random_state=0).fit(X, Y)
    infinite = ROWS.clone()
    infinite[0, 0] = torch.inf
    with pytest.raises(
        ModelContractError, match=r"predict of DecisionTreeClassifier raised ValueError on 150 rows: Input"
    ):
        adapt(model, infinite)


def test_what_the_messages_advise_can_be_done():
    EstimatorScores(LogisticRegression(max_iter=1000).fit(X, Y))
    several = MultiOutputClassifier(DecisionTreeClassifier()).fit(X, np.stack([Y, Y], 1))
    EstimatorScores(several.estimators_[0])


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("lightgbm.LGBMClassifier", {"verbose": -1}), ("xgboost.XGBClassifier", {"enable_categorical": True})],
)
def test_what_a_booster_saw_as_categories_it_gets_as_categories(kind, settings, tmp_path):
    package, name = kind.split(".")
    boosting = pytest.importorskip(package, reason=f"{package} is not installed")
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"dose": rng.normal(size=200), "place": rng.choice(["home", "ward", "icu"], 200)})
    y = ((table["place"] == "icu") | (table["dose"] > 1)).astype(int)
    model = getattr(boosting, name)(n_estimators=20, n_jobs=1, random_state=0, **settings)
    model.fit(table.astype({"place": "category"}), y)
    joblib.dump(model, tmp_path / "model.joblib")
    few = table.iloc[5:45]
    scores = EstimatorScores(
        joblib.load(tmp_path / "model.joblib"), columns=["dose", "place"], decode=lambda x: few.iloc[: len(x)]
    )(torch.zeros(len(few), 2, dtype=torch.float64))
    expected = model.predict_proba(few.astype({"place": "category"}))
    np.testing.assert_allclose(scores.exp(), expected, rtol=1e-6)
