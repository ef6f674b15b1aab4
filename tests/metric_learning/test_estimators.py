"""What every learner owes: scikit-learn's contract, one linear map, determinism, and messages."""

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from trustworthy.core.errors import InvalidInput
from trustworthy.metric_learning import ARML, ITML, LFDA, LMNN, NCA

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # quick fits stop early
LEARNERS = [NCA, LMNN, ITML, LFDA, ARML]
QUICK = {ITML: {"max_iter": 50}, ARML: {"epochs": 80, "learning_rate": 0.02}, LMNN: {"max_iter": 40}}


@pytest.mark.usefixtures("_as_users_call_it")
@parametrize_with_checks([ITML(max_iter=50)])
def test_scikit_learn_accepts_it(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.usefixtures("_as_users_call_it")
@parametrize_with_checks([NCA(), LMNN(), LFDA(), ARML(epochs=20)])
def test_scikit_learn_accepts_the_others(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def noisy():
    """Two features that tell three classes, and eighteen of noise in which the Euclidean distance drowns."""
    rng = np.random.default_rng(0)
    y = np.arange(240) % 3
    means = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
    return np.c_[means[y] + 0.5 * rng.normal(size=(240, 2)), 2 * rng.normal(size=(240, 18))], y


def seeded(learner, **options):
    return learner(random_state=0, **{**QUICK.get(learner, {}), **options})


@pytest.mark.parametrize("learner", LEARNERS)
def test_it_finds_the_features_that_matter_among_noise(noisy, learner):
    X, y = noisy
    nearest = KNeighborsClassifier(1)
    euclidean = cross_val_score(nearest, X, y, cv=3).mean()
    learned = cross_val_score(make_pipeline(seeded(learner), nearest), X, y, cv=3).mean()
    assert euclidean < 0.65
    assert learned > euclidean + 0.1


@pytest.mark.parametrize("learner", LEARNERS)
def test_wine_is_told_apart_better_or_as_well(learner):
    X, y = load_wine(return_X_y=True)
    nearest = KNeighborsClassifier(1)
    euclidean, learned = (
        cross_val_score(make_pipeline(StandardScaler(), *steps, nearest), X, y, cv=4).mean()
        for steps in ([], [seeded(learner)])
    )
    assert learned >= euclidean - 0.006  # a row of 178


@pytest.mark.parametrize("learner", LEARNERS)
def test_map_matrix_and_transform_agree(noisy, learner):
    X, y = noisy
    fitted = seeded(learner).fit(X, y)
    metric = fitted.get_mahalanobis_matrix()
    np.testing.assert_allclose(metric, fitted.components_.T @ fitted.components_)
    a, b = fitted.transform(X[:2])
    np.testing.assert_allclose((a - b) @ (a - b), (X[0] - X[1]) @ metric @ (X[0] - X[1]))
    assert np.isrealobj(fitted.components_)
    assert fitted.components_.dtype == np.float64
    assert list(fitted.get_feature_names_out()[:1]) == [f"{learner.__name__.lower()}0"]


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_seed_fixes_it_and_labels_may_be_words(noisy, learner):
    X, y = noisy
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first = seeded(learner).fit(X, y)
    second = seeded(learner).fit(X, np.array(["a", "b", "c"])[y])
    np.testing.assert_array_equal(first.components_, second.components_)
    assert second.classes_.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


@pytest.mark.usefixtures("_as_users_call_it")
@pytest.mark.parametrize("learner", [NCA, LMNN, LFDA, ARML])
def test_a_lower_rank(noisy, learner):
    X, y = noisy
    assert seeded(learner, n_components=2).fit(X, y).transform(X).shape == (240, 2)
    for wrong in (0, 21, 1.5):
        with pytest.raises(InvalidInput, match="n_components"):
            learner(n_components=wrong).fit(X, y)


@pytest.mark.parametrize("learner", LEARNERS)
def test_seven_points_of_the_plane(learner):
    X = np.array([[-1.2, 0.9], [-0.4, 0.6], [0.5, 0.8], [1.3, 0.5], [-0.9, -0.5], [0.1, -0.4], [1.0, -0.7]])
    metric = seeded(learner).fit(X, [1, 1, 1, 1, 0, 0, 0]).get_mahalanobis_matrix()
    assert np.isfinite(metric).all()
    assert np.linalg.eigvalsh(metric).min() >= -1e-9 * np.abs(metric).max()
    assert metric[1, 1] > metric[0, 0]  # the height alone tells the classes apart


@pytest.mark.parametrize("learner", LEARNERS)
def test_one_class_is_refused(learner):
    with pytest.raises(InvalidInput, match="one class, 7"):
        learner().fit(np.eye(4), [7, 7, 7, 7])


@pytest.mark.parametrize("learner", [NCA, LMNN, ITML, LFDA])
def test_a_class_of_one_row_is_borne(learner):
    X = np.r_[np.random.default_rng(0).normal(size=(12, 3)), [[5.0, 5.0, 5.0]]]
    assert np.isfinite(seeded(learner).fit(X, [0, 1] * 6 + [2]).components_).all()


@pytest.mark.parametrize("learner", LEARNERS)
def test_nan_is_refused(learner):
    with pytest.raises(ValueError, match="NaN"):
        learner().fit(np.array([[0.0, np.nan], [1.0, 0.0], [2.0, 1.0], [3.0, 1.0]]), [0, 0, 1, 1])


@pytest.mark.usefixtures("_as_users_call_it")
@pytest.mark.parametrize(
    ("learner", "argument", "value"),
    [
        (NCA, "init", "lad"), (NCA, "init", np.eye(2)), (NCA, "max_iter", 0), (NCA, "tol", -1.0),
        (LMNN, "n_neighbors", 0), (LMNN, "regularization", 1.5), (LMNN, "max_iter", -1), (LMNN, "tol", -1.0),
        (LMNN, "init", "pca"), (ITML, "bounds", (2.0, 1.0)), (ITML, "bounds", 3.0), (ITML, "bounds", (0.0, 1.0)),
        (ITML, "gamma", 0.0), (ITML, "max_iter", 0), (ITML, "n_constraints", 0), (ITML, "tol", "x"),
        (LFDA, "embedding", "weightedd"), (LFDA, "n_neighbors", 0), (LFDA, "regularization", -1.0),
    ],
)  # fmt: skip
def test_a_bad_argument_is_named(noisy, learner, argument, value):
    with pytest.raises(InvalidInput, match=argument):
        learner(**{argument: value}).fit(*noisy)
