"""The Pointwise Attack: the fewest columns by brute force, values that a column can take, queries, what is held."""

import functools
import itertools

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from trustworthy.attacks import PGD, PointwiseAttack, robustness_curve
from trustworthy.core.errors import InvalidInput, UnknownName

MISSING = 2.0**40


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def fewest_columns(predict, x, y, values):
    """Fewest columns that must take one of their `values` before the prediction is not y; inf where all may."""
    for count in range(1, len(x) + 1):
        for columns in itertools.combinations(range(len(x)), count):
            taken = np.array(list(itertools.product(*(values[column] for column in columns))))
            points = np.repeat(x[None], len(taken), axis=0)
            points[:, columns] = taken
            if (predict(points) != y).any():
                return count
    return np.inf


MODELS = {
    "tree": DecisionTreeClassifier(max_depth=5, random_state=0),
    "forest": RandomForestClassifier(10, max_depth=5, random_state=0),
    "linear": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
}


def quick(model):
    """What a fitted model predicts, without the checks that scikit-learn makes at each of many thousand calls."""
    if isinstance(model, Pipeline):
        slope = model[-1].coef_ / model[0].scale_
        offset = model[-1].intercept_ - slope @ model[0].mean_
        scores = lambda z: z @ slope.T + offset  # noqa: E731
        return lambda z: (scores(z)[:, 0] > 0).astype(int) if len(slope) == 1 else scores(z).argmax(1)
    trees = getattr(model, "estimators_", [model])
    return lambda z: sum(tree.tree_.predict(z.astype(np.float32)) for tree in trees).argmax(1)


@pytest.mark.parametrize(("seed", "columns", "count"), [(5, 5, 12), pytest.param(7, 7, 30, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("name", "load"),
    [
        ("tree", load_wine),
        ("linear", load_breast_cancer),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                ("tree", load_breast_cancer),
                ("forest", load_breast_cancer),
                ("forest", load_wine),
                ("linear", load_wine),
            )
        ),
    ],
)
def test_finds_as_few_columns_as_a_search_of_all_subsets(name, load, seed, columns, count):
    """Never fewer, and as few in all rows but one of 252; the values are three quantiles of each column."""
    x, y = load(return_X_y=True)
    random = np.random.default_rng(seed)
    x = x[:, random.choice(x.shape[1], columns, replace=False)]
    model = MODELS[name].fit(x, y)
    predict = quick(model)
    values = np.quantile(x, (0.3, 0.5, 0.7), axis=0).T
    rows = random.choice(np.flatnonzero(predict(x) == y), count, replace=False)
    attack = PointwiseAttack(bounds=None, starts=np.array(list(_pool(values, random))), spread=x.std(0), queries=500)
    result = attack(predict, x[rows], y[rows], generator=seeded())
    truth = np.array([fewest_columns(predict, x[row], y[row], values) for row in rows])
    assert len(set(truth)) > 1
    assert (result.distance >= truth).all()
    assert (result.distance > truth).sum() <= 1
    assert_array_equal(predict(x), model.predict(x))
    assert_array_equal(model.predict(result.adversarial) != y[rows], result.success)


def _pool(values, random, count=200):
    for _ in range(count):
        yield [random.choice(seen) for seen in values]


def test_a_changed_quantity_ends_at_the_boundary():
    x, y = load_breast_cancer(return_X_y=True)
    predict = quick(MODELS["linear"].fit(x, y))
    rows = np.flatnonzero(predict(x) == y)[:20]
    result = PointwiseAttack(bounds=None, starts=x, spread=x.std(0), queries=300)(
        predict, x[rows], y[rows], generator=seeded()
    )
    alone = result.distance == 1
    assert alone.sum() > 5
    for row, point in zip(x[rows][alone], result.adversarial[alone], strict=True):
        nearer = point + (row - point) * 0.02  # of a way that was halved ten times
        assert predict(nearer[None]) != predict(point[None])


def mixed(n=400):
    """Amount, age (whole, some missing), city of six, member (boolean), region that nobody may change."""
    random = np.random.default_rng(0)
    amount, age = random.normal(100, 30, n), random.integers(18, 80, n).astype(float)
    city, member, region = random.integers(0, 6, n), random.integers(0, 2, n), random.integers(0, 3, n)
    score = (amount - 100) / 30 + (age - 49) / 18 + np.array([-2, -1, 0, 0, 1, 2])[city] + member + 3.0 * (region == 2)
    x = np.column_stack([amount, np.where(random.uniform(size=n) < 0.15, MISSING, age), city, member, region])
    return x.astype(float), (score > 1.0).astype(np.int64)


@functools.cache
def forest():
    """Ten shallow trees that know `mixed`."""
    return RandomForestClassifier(10, max_depth=4, random_state=0).fit(*mixed())


STEP = np.array([0.0, 1.0, np.inf, np.inf, np.inf])
SPREAD = np.array([30.0, 18.0, 1.0, 1.0, 1.0])


@pytest.mark.parametrize("queries", [20, 400])
def test_every_value_is_one_that_its_column_can_take(queries):
    x, y = mixed()
    predict = quick(RandomForestClassifier(20, random_state=0).fit(x, y))
    rows = np.flatnonzero(predict(x) == y)[:40]
    free = (x[rows] != MISSING) & (np.arange(5) != 4)
    attack = PointwiseAttack(bounds=None, starts=x, missing=MISSING, step=STEP, spread=SPREAD, queries=queries)
    result = attack(predict, x[rows], y[rows], free=free, generator=seeded())
    after = result.adversarial
    assert result.success.mean() > 0.5
    assert_array_equal(predict(after) != y[rows], result.success)
    assert_array_equal(after[~free], x[rows][~free])  # missing values and the region stay
    assert_array_equal(after == MISSING, x[rows] == MISSING)  # and nothing else becomes missing
    assert_array_equal(after[:, 1], after[:, 1].round())
    for column in (2, 3):
        assert np.isin(after[:, column], np.unique(x[:, column])).all()
    moved = after != x[rows]
    assert moved[:, 0].any()
    assert moved[:, 1].any()
    assert moved[:, 2].any()
    assert_array_equal(result.distance[result.success], moved.sum(1)[result.success])
    assert result.queries.max() <= queries + 1


def test_nothing_becomes_missing_though_that_would_serve():
    starts = np.array([[MISSING, 1.0], [2.0, MISSING], [MISSING, 3.0]])
    attack = PointwiseAttack(bounds=None, starts=starts, missing=MISSING, step=[np.inf, 0.0], queries=50)
    result = attack(lambda z: (z == MISSING).any(1).astype(int), np.ones((1, 2)), np.zeros(1, int), generator=seeded())
    assert not result.success.any()


@pytest.mark.parametrize(("stretch", "excess"), [(0.0, 0.05), pytest.param(0.25, 0.1, marks=pytest.mark.slow)])
def test_of_a_linear_model_nearly_as_few_columns_as_the_closed_form(stretch, excess):
    """The fewest are those that gain most, which are at the largest or the smallest value of their column."""
    x, y = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000)).fit(x, y)
    pool = x.clip(*np.quantile(x, (stretch, 1 - stretch), axis=0))
    rows = np.random.default_rng(0).choice(np.flatnonzero(model.predict(x) == y), 40, replace=False)
    margin = model.decision_function(x[rows])[:, None]
    slope = -np.sign(margin) * model[-1].coef_ / model[0].scale_
    gains = np.maximum(slope * (pool.min(0) - x[rows]), slope * (pool.max(0) - x[rows]))
    truth = 1 + (np.cumsum(-np.sort(-gains), axis=1) < abs(margin)).sum(axis=1)
    attack = PointwiseAttack(bounds=None, starts=pool, spread=x.std(0), queries=500)
    result = attack(quick(model), x[rows], y[rows], generator=seeded())
    assert truth.max() > 5
    assert (result.distance >= truth).all()
    assert_array_equal((result.distance == 1), truth == 1)
    assert result.distance.mean() <= (1 + excess) * truth.mean()


def test_what_one_category_decides_is_found_and_costs_one():
    """Of the categories that change the answer all count the same; the quantity, which changes nothing, stays."""
    x = np.array([[0.0, 5.0], [1.0, 6.0], [2.0, 7.0], [3.0, 8.0]])
    attack = PointwiseAttack(bounds=None, starts=x, step=[np.inf, 0.0], queries=10)
    result = attack(lambda z: (z[:, 0] == 3).astype(int), x[:3], np.zeros(3, int), generator=seeded())
    assert_array_equal(result.adversarial, [[3.0, 5.0], [3.0, 6.0], [3.0, 7.0]])
    assert_array_equal(result.distance, [1, 1, 1])


def test_a_whole_number_stops_at_the_last_step_that_serves():
    x = np.arange(0.0, 41.0, 10.0)[:, None]
    attack = PointwiseAttack(bounds=None, starts=x, step=[1.0])
    result = attack(lambda z: (z[:, 0] > 22.5).astype(int), x[:2], np.zeros(2, int), generator=seeded())
    assert_array_equal(result.adversarial, [[23.0], [23.0]])


def test_two_columns_that_only_serve_together_are_found():
    starts = torch.rand(200, 20, generator=seeded(1)).numpy()
    x = np.full((4, 20), 0.05, np.float32)
    result = PointwiseAttack(starts=starts, queries=400)(
        lambda z: ((z[:, 3] > 0.6) & (z[:, 17] > 0.6)).astype(int), x, np.zeros(4, int), generator=seeded()
    )
    assert_array_equal(result.distance, [2, 2, 2, 2])
    assert_array_equal(np.flatnonzero((result.adversarial != x)[0]), [3, 17])


def test_a_batch_is_a_loop_over_its_examples():
    x, y = mixed()
    predict = quick(forest())
    attack = PointwiseAttack(bounds=None, starts=x, missing=MISSING, step=STEP, spread=SPREAD, queries=150)
    free = (x[:12] != MISSING) & (np.arange(5) != 0) & (np.arange(5) != 4)
    together = attack(predict, x[:12], y[:12], free=free, generator=seeded())
    assert (together.distance > 1).any()
    for i in range(0, 12, 3):
        alone = attack(predict, x[i : i + 1], y[i : i + 1], free=free[i : i + 1], generator=seeded())
        assert_array_equal(alone.adversarial[0], together.adversarial[i])
        assert alone.queries[0] == together.queries[i]


@pytest.mark.parametrize("queries", [1, 2, 7, 50])
def test_asks_no_more_than_its_queries_and_one(queries):
    x, y = mixed()
    model = forest()
    result = PointwiseAttack(bounds=None, starts=x, queries=queries)(quick(model), x[:30], y[:30], generator=seeded())
    assert result.queries.max() <= queries + 1
    assert queries < 50 or result.queries.max() > 0.9 * queries
    assert_array_equal(model.predict(result.adversarial) != y[:30], result.success)


def test_its_curve_counts_columns():
    x, y = mixed()
    attack = PointwiseAttack(bounds=None, starts=x, queries=100)
    curve = robustness_curve(quick(forest()), attack, x[:30], y[:30], [1, 2, 3])
    assert curve.norm == "l0"
    assert (np.diff(curve.accuracy) <= 0).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"norm": "l1"}, "norm must be 'l0' for PointwiseAttack, got 'l1'"),
        ({"queries": 0}, "queries must be >= 1"),
        ({"step": [1.0]}, r"step must be numbers >= 0, of the shape of an example, \(5,\), got shape \(1,\)"),
        ({"step": [0.0, -1.0, 0, 0, 0]}, "and the value -1"),
        ({"spread": [1.0, 0.0, 1, 1, 1]}, r"spread must be numbers > 0 and finite, .* and the value 0"),
        ({"starts": np.zeros((3, 4))}, r"starts must have shape \(any, 5\)"),
    ],
)
def test_refuses_nonsense(wrong, message):
    x, y = mixed(4)
    with pytest.raises(InvalidInput, match=message):
        PointwiseAttack(bounds=None, **wrong)(lambda z: np.zeros(len(z), int), x, y)


def test_no_budget_is_a_number_of_columns():
    with pytest.raises(UnknownName, match="unknown norm 'l0'"):
        PGD(norm="l0", eps=1.0)
