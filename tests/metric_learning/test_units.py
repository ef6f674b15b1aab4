"""The units of X do not matter: common ones to any learner, those of single features to LFDA; idle fits say so."""

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trustworthy.core.errors import InvalidInput, TrustworthyWarning
from trustworthy.metric_learning import ARML, ITML, LFDA, LMNN, NCA
from trustworthy.metric_learning.mahalanobis import unit_of

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # quick fits stop early
POWERS = [(NCA, 1), (LMNN, 1), (LFDA, 1), (ITML, 0), (ARML, 0)]  # G of rows c X is G / c ** power
QUICK = {NCA: {"max_iter": 15}, LMNN: {"max_iter": 15}, ITML: {"max_iter": 5}, ARML: {"epochs": 40}, LFDA: {}}


@pytest.fixture(scope="module")
def wine():
    X, y = load_wine(return_X_y=True)
    return train_test_split(StandardScaler().fit_transform(X), y, test_size=60, stratify=y, random_state=0)


def quick(learner, **options):
    return learner(random_state=0, **{**QUICK[learner], **options})


@pytest.mark.parametrize(("learner", "power"), POWERS)
@pytest.mark.parametrize("scale", [2.0**-31, 2.0**29])
def test_a_power_of_two_changes_no_digit(wine, learner, power, scale):
    X, _, y, _ = wine
    base, scaled = (quick(learner).fit(c * X, y).components_ for c in (1.0, scale))
    np.testing.assert_array_equal(scaled * scale**power, base)


@pytest.mark.parametrize(("learner", "power"), POWERS)
@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_any_unit_gives_the_same_metric_and_predictions(wine, learner, power, scale):
    X, X_test, y, _ = wine
    base, scaled = (make_pipeline(quick(learner), KNeighborsClassifier(1)).fit(c * X, y) for c in (1.0, scale))
    expected, found = (model[0].get_mahalanobis_matrix() for model in (base, scaled))
    np.testing.assert_allclose(found * scale ** (2 * power), expected, atol=1e-4 * np.abs(expected).max())
    np.testing.assert_array_equal(scaled.predict(scale * X_test), base.predict(X_test))
    assert np.abs(expected / np.trace(expected) - np.eye(13) / 13).max() > 1e-3  # it did learn


@pytest.mark.parametrize("learner", [NCA, LMNN])
def test_a_start_is_given_in_the_units_of_x(wine, learner):
    X, _, y, _ = wine
    start = np.eye(13)[:4]
    base, scaled = (quick(learner, init=start / c).fit(c * X, y).components_ for c in (1.0, 64.0))
    np.testing.assert_array_equal(64.0 * scaled, base)
    assert base.shape == (4, 13)


def test_features_in_the_unit_interval_are_taken_as_they_are():
    rng = np.random.default_rng(0)
    X = rng.uniform(0.1, 0.9, size=(50, 3))
    X[:2, 1] = 0.0, 1.0
    assert unit_of(X) == 1.0
    assert unit_of(rng.permutation(X)) == 1.0
    np.testing.assert_allclose(unit_of(7e-9 * X), 7e-9)


def test_a_few_far_rows_do_not_set_the_unit():
    X = np.random.default_rng(0).normal(size=(200, 3))
    far = np.r_[X, [[1e6, 0.0, 0.0]]]
    assert unit_of(X) / 2 < unit_of(far) < 2 * unit_of(X)


def test_rare_features_have_a_unit():
    rare = np.zeros((30, 4))
    rare[[0, 1, 2, 3], range(4)] = 5.0
    assert unit_of(rare) == 5.0  # the typical row is that of zeros


@pytest.mark.parametrize("feature", [6, 12])
@pytest.mark.parametrize("factor", [1e4, 1e-4])
@pytest.mark.parametrize("extra", [0, 1])
def test_lfda_bears_one_feature_in_another_unit(feature, factor, extra):
    X, y = load_wine(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    X[:, feature] *= factor
    constant = np.full((len(X), extra), 3.0)
    free, ridged = (
        cross_val_score(make_pipeline(LFDA(regularization=ridge), KNeighborsClassifier(1)), rows, y, cv=4).mean()
        for ridge, rows in ((0.0, X), (1e-6, np.c_[X, constant]))
    )
    assert ridged == free > 0.9


def test_lfda_s_ridge_does_not_feel_the_unit_of_a_feature():
    X, y = load_wine(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    X[:, 0] *= 1e4
    ridged, free = (LFDA(regularization=ridge).fit(X, y).transform(X) for ridge in (1e-6, 0.0))
    np.testing.assert_allclose(np.abs(ridged), np.abs(free), atol=1e-3 * np.abs(free).max())


def test_nca_says_that_it_kept_its_start():
    X = np.r_[np.zeros((5, 2)), 100 * np.ones((5, 2))] + np.random.default_rng(0).normal(size=(10, 2))
    start = 10 * np.eye(2)  # the classes are so far apart that nothing is left to gain
    with pytest.warns(TrustworthyWarning, match=r"NCA learned nothing.* scale the features"):
        fitted = NCA(init=start).fit(X, [0] * 5 + [1] * 5)
    np.testing.assert_allclose(fitted.components_, start)


def test_lmnn_says_that_it_kept_its_start():
    X = np.r_[np.zeros((5, 2)), 100 * np.ones((5, 2))] + np.random.default_rng(0).normal(size=(10, 2))
    with pytest.warns(TrustworthyWarning, match=r"LMNN learned nothing.* `regularization`"):
        LMNN(init=np.eye(2), regularization=1.0).fit(X, [0] * 5 + [1] * 5)  # push alone, and no impostor


def test_itml_says_that_it_kept_the_euclidean_distance():
    X = np.r_[np.zeros((5, 2)), 100 * np.ones((5, 2))] + np.random.default_rng(0).normal(size=(10, 2))
    with pytest.warns(TrustworthyWarning, match=r"ITML learned nothing.* `bounds`"):
        fitted = ITML(bounds=(50.0, 1000.0)).fit(X, [0] * 5 + [1] * 5)
    np.testing.assert_array_equal(fitted.components_, np.eye(2))


def test_arml_says_that_no_triplet_pulls():
    X = np.repeat([[0.0] * 16, [1.0] * 16], 5, axis=0)  # margins of 2: the hinge is 0
    X += 0.01 * np.random.default_rng(0).uniform(size=X.shape)
    with pytest.warns(TrustworthyWarning, match=r"ARML learned nothing.* `loss`"):
        ARML(loss="hinge", epochs=3).fit(X, [0] * 5 + [1] * 5)


@pytest.mark.parametrize(("learner", "_"), POWERS)
def test_one_row_of_each_class_is_refused(learner, _):
    with pytest.raises(InvalidInput, match="4 rows of 4 classes"):
        learner().fit(np.random.default_rng(0).normal(size=(4, 2)), [0, 1, 2, 3])


@pytest.mark.parametrize(("learner", "_"), POWERS)
def test_equal_rows_are_refused(learner, _):
    with pytest.raises(InvalidInput, match="got 6 equal ones"):
        learner().fit(np.full((6, 2), 0.1), [0, 1] * 3)


@pytest.mark.parametrize(("learner", "_"), POWERS)
@pytest.mark.parametrize("size", [1e-200, 1e200, 1e308])
def test_ranges_whose_squares_are_no_numbers_are_refused(learner, _, size):
    with pytest.raises(InvalidInput, match="Take another unit"):
        learner().fit(size * np.array([[-1.0], [0.0], [0.5], [1.0]]), [0, 0, 1, 1])


@pytest.mark.parametrize(("learner", "_"), POWERS)
def test_constant_features_and_repeated_rows_are_borne(wine, learner, _):
    X, X_test, y, y_test = wine
    X, y = np.repeat(np.c_[X[:60], np.full(60, 7.0)], 2, axis=0), np.repeat(y[:60], 2)
    model = make_pipeline(quick(learner), KNeighborsClassifier(1)).fit(X, y)
    assert model.score(np.c_[X_test, np.full(60, 7.0)], y_test) > 0.85
