"""Attacks on nearest neighbours: closed forms, the printed algorithms, the exact optimum, and one contract for all."""

import dataclasses

import numpy as np
import pytest

from reference import exhaustive_knn, exhaustive_neighbors, knn_attacks
from reference.seeds import seeds
from trustworthy.core.errors import InvalidInput, UnknownName
from trustworthy.neighbors.attacks import ATTACKS, Mean, NaiveM, NeighborAttack, QPGreedy, QPTopM, Substitute
from trustworthy.neighbors.exact import exact_one
from trustworthy.neighbors.geometry import Geometry
from trustworthy.neighbors.query import Query

ONE = [QPTopM(), QPTopM(m=1), Substitute(), Substitute(shrink=False, step_size=0.01, temperature=0.1)]
ANY = [QPGreedy(), QPGreedy(near="pivot", n_constraints=3), NaiveM(m=3), NaiveM(m=1), Mean()]


def problem(seed, *, n=30, d=4, classes=3, rank=None, grid=False):
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 3, (n, d)) / 2 if grid else rng.random((n, d))
    root = None if rank is None else rng.normal(size=(rank, d))
    geometry = Geometry(points, np.arange(n) % classes, root)
    queries = rng.random((6, d))
    queries[0] = rng.integers(0, 2, d)  # on the bounds in every coordinate
    return geometry, queries


def run(attack, geometry, queries, codes, n_neighbors=1, bounds=None):
    return attack(geometry, queries, codes, n_neighbors=n_neighbors, bounds=bounds)


def sizes(*arguments, **options):
    return np.linalg.norm(run(*arguments, **options), axis=1)


def metric_of(geometry):
    return np.eye(geometry.points.shape[1]) if geometry.root is None else geometry.root.T @ geometry.root


@pytest.mark.parametrize("attack", [QPTopM(), QPGreedy(), NaiveM(), Mean(), Substitute()])
def test_two_points_are_parted_half_way(attack):
    geometry = Geometry(np.array([[0.0, 0.0], [2.0, 3.0]]), np.array([0, 1]))
    found = run(attack, geometry, np.zeros((1, 2)), np.array([0]))
    np.testing.assert_allclose(found, [[1.0, 1.5]], rtol=1e-7)


@pytest.mark.parametrize("attack", [QPGreedy(), NaiveM(m=1)])
def test_three_neighbours_on_a_line_change_where_the_second_of_each_class_tie(attack):
    # I = {0}, J = {1, 1.1}: 1.1 has to be nearer than -0.1, which is so from 0.5 on.
    points = np.array([[0.0], [-0.1], [-0.2], [1.0], [1.1], [1.3]])
    geometry = Geometry(points, np.array([0, 0, 0, 1, 1, 1]))
    np.testing.assert_allclose(sizes(attack, geometry, np.zeros((1, 1)), np.array([0]), 3), 0.5, rtol=1e-7)


def test_without_shrinking_the_substitute_stops_after_whole_steps():
    geometry = Geometry(np.array([[0.0], [1.0]]), np.array([0, 1]))
    attack = Substitute(step_size=0.2, shrink=False)
    np.testing.assert_allclose(run(attack, geometry, np.array([[0.0]]), np.array([0])), [[0.6]], rtol=1e-12)
    few = dataclasses.replace(attack, steps=2)
    assert np.isnan(run(few, geometry, np.array([[0.0]]), np.array([0]))).all()
    enough = dataclasses.replace(attack, steps=3)
    np.testing.assert_allclose(run(enough, geometry, np.array([[0.0]]), np.array([0])), [[0.6]], rtol=1e-12)


@pytest.mark.parametrize("rank", [None, 2])
def test_a_step_of_the_substitute_follows_the_gradient_of_the_soft_rule(rank):
    geometry, queries = problem(0, rank=rank)
    codes, metric = geometry.predict(queries, 1), metric_of(geometry)
    attack = Substitute(steps=1, step_size=1e-3, temperature=0.3, shrink=False)
    for query, code in zip(queries, codes, strict=True):
        loss = [
            knn_attacks.soft_loss(geometry.points, geometry.labels, query + move, code, 0.3, metric)
            for move in 1e-5 * np.vstack([np.eye(4), -np.eye(4)])
        ]
        gradient = np.subtract(loss[:4], loss[4:])
        step = attack._step(knows(geometry, query, code), query, *screen(geometry, query))
        np.testing.assert_allclose(step, 1e-3 * gradient / np.linalg.norm(gradient), rtol=1e-4, atol=1e-8)


def screen(geometry, query):
    coarse, error = geometry.coarse_distances(query[None])
    return coarse[0], float(error[0])


def knows(geometry, query, code):
    return Query.alone(geometry, query, int(code), 1, None)


@pytest.mark.parametrize("seed", seeds(4, 12))
@pytest.mark.parametrize("rank", [None, 2])
def test_all_programmes_are_the_exact_radius(seed, rank):
    geometry, queries = problem(seed, rank=rank, grid=seed % 3 == 0)
    geometry = geometry.without_duplicates()
    codes = geometry.predict(queries, 1)
    for bounds in (None, (0.0, 1.0)):
        exact = exact_one(geometry, queries, codes, bounds=bounds)
        np.testing.assert_allclose(sizes(QPTopM(m=99), geometry, queries, codes, bounds=bounds), exact.upper, rtol=1e-7)


@pytest.mark.parametrize("seed", seeds(1, 4))
@pytest.mark.parametrize("near", ["test", "pivot"])
@pytest.mark.parametrize("rank", [None, 2])
@pytest.mark.parametrize("n_neighbors", [1, 3, 5])
def test_qp_greedy_is_algorithm_6(seed, near, rank, n_neighbors):
    geometry, queries = problem(seed, rank=rank)
    codes, metric = geometry.predict(queries, n_neighbors), metric_of(geometry)
    found = sizes(QPGreedy(min_trials=99, near=near), geometry, queries, codes, n_neighbors)
    for size, query, code in zip(found, queries, codes, strict=True):
        true = knn_attacks.qp_greedy(geometry.points, geometry.labels, query, code, n_neighbors, metric, near=near)
        np.testing.assert_allclose(np.nan_to_num(size, nan=np.inf), true, rtol=1e-6)


@pytest.mark.parametrize("n_neighbors", [1, 3, 5])
@pytest.mark.parametrize("rank", [None, 2])
def test_naive_bisects_towards_clusters(n_neighbors, rank):
    for seed in range(2):
        geometry, queries = problem(seed, rank=rank)
        codes, metric = geometry.predict(queries, n_neighbors), metric_of(geometry)
        for m in (1, 4):
            found = np.nan_to_num(sizes(NaiveM(m=m), geometry, queries, codes, n_neighbors), nan=np.inf)
            args = (geometry.points, geometry.labels)
            true = [
                knn_attacks.naive(*args, query, code, n_neighbors, metric, m)
                for query, code in zip(queries, codes, strict=True)
            ]
            np.testing.assert_allclose(found, true, rtol=1e-9, atol=1e-11)


def test_mean_bisects_towards_the_nearest_mean_of_another_class():
    geometry, queries = problem(4)
    codes, metric = geometry.predict(queries, 3), metric_of(geometry)
    means = np.array([geometry.points[geometry.labels == c].mean(axis=0) for c in range(3)])
    for size, query, code in zip(sizes(Mean(), geometry, queries, codes, 3), queries, codes, strict=True):
        ends = np.array([means[c] - query for c in range(3) if c != code])
        end = ends[np.linalg.norm(ends, axis=1).argmin()]
        true = knn_attacks.bisected(geometry.points, geometry.labels, query, code, end, 3, metric)
        np.testing.assert_allclose(np.nan_to_num(size, nan=np.inf), true, rtol=1e-9)


@pytest.mark.parametrize("seed", seeds(2, 4))
@pytest.mark.parametrize("bounds", [None, (0.0, 1.0)])
def test_no_attack_beats_the_optimum(seed, bounds):
    for n_neighbors, attacks in ((1, ONE + ANY), (3, ANY)):
        geometry, queries = problem(seed, n=9, d=2, classes=2 + seed % 2)
        codes = geometry.predict(queries, n_neighbors)
        args = (geometry.points, geometry.labels)
        for query, code in zip(queries[:3], codes, strict=False):
            if n_neighbors == 1:
                least = exhaustive_neighbors.minimal(*args, query, code, bounds=bounds)
            else:
                least = exhaustive_knn.minimal(*args, query, code, n_neighbors, bounds=bounds)
            for attack in attacks:
                size = sizes(attack, geometry, query[None], np.array([code]), n_neighbors, bounds)[0]
                assert np.isnan(size) or size >= least * (1 - 1e-7) - 1e-12, attack


@pytest.mark.parametrize("attack", ONE + ANY, ids=repr)
@pytest.mark.parametrize("n_neighbors", [1, 3, 5])
def test_contract(attack, n_neighbors):
    if n_neighbors > 1 and attack in ONE:
        with pytest.raises(InvalidInput, match="n_neighbors=1"):
            run(attack, *problem(0), np.zeros(6, np.int64), n_neighbors)
        return
    successes = total = 0
    for seed in (1, 2, 5):
        options = {"rank": [None, 2, 4][seed % 3], "grid": seed > 3}
        geometry, queries = problem(seed, **options)
        if n_neighbors == 1:
            geometry = geometry.without_duplicates()
        voted = geometry.predict(queries, n_neighbors)
        codes = voted.copy()
        codes[1], codes[2] = (voted[1] + 1) % 3, -1
        for bounds in (None, (0.0, 1.0)):
            found = run(attack, geometry, queries, codes, n_neighbors, bounds)
            np.testing.assert_array_equal(found[1:3], 0.0)
            hit = np.isfinite(found).all(axis=1)
            assert np.isnan(found[~hit]).all()
            moved = queries[hit] + found[hit]
            assert (geometry.predict(moved, n_neighbors) != codes[hit]).all()
            if bounds is not None:
                assert moved.min() >= 0.0
                assert moved.max() <= 1.0
            one_by_one = [
                run(attack, geometry, queries[k : k + 1], codes[k : k + 1], n_neighbors, bounds)[0] for k in (0, 4)
            ]
            # Rounding may differ with the size of a product, which only screens.
            np.testing.assert_allclose(found[[0, 4]], one_by_one, rtol=1e-8, atol=1e-10)
            successes, total = successes + hit.sum(), total + len(hit)
    assert successes > 0.5 * total


def test_a_perturbation_is_no_longer_than_it_has_to_be():
    geometry, queries = problem(7, n=60)
    for n_neighbors, attacks in ((1, [QPTopM(), Substitute()]), (3, [QPGreedy(), NaiveM(), Mean()])):
        codes = geometry.predict(queries, n_neighbors)
        for attack in attacks:
            found = run(attack, geometry, queries, codes, n_neighbors)
            hit = np.isfinite(found).all(axis=1)
            before = geometry.predict(queries[hit] + found[hit] * (1 - 1e-6), n_neighbors)
            # A programme's plane may be crossed where the vote has changed before; a bisection ends at a change.
            assert (before == codes[hit]).mean() >= (0.5 if attack == QPGreedy() else 1.0), attack


def test_what_does_not_change_the_vote_is_a_failure():
    geometry = Geometry(np.array([[0.0], [1.0]]), np.array([0, 1]))

    class Given(NeighborAttack):
        def find(self, queries):
            assert len(queries) == 4
            return [None if step is None else np.full(1, step) for step in (0.4, 0.6, None, 0.9)]

    found = run(Given(), geometry, np.zeros((5, 1)), np.array([0, 0, 1, 0, 0]), bounds=(0.0, 0.55))
    np.testing.assert_array_equal(found, [[np.nan], [0.55], [0.0], [np.nan], [0.55]])


@pytest.mark.parametrize("rank", [None, 2])
def test_the_end_of_a_bisection_survives_rounding(rank):
    for seed in range(8):
        geometry, queries = problem(seed, rank=rank)
        codes = geometry.predict(queries, 1)
        found = run(NaiveM(m=1), geometry, queries, codes)
        assert np.isfinite(found).all()
        alone = [geometry.predict(moved[None], 1)[0] for moved in queries + found]
        assert (np.array(alone) != codes).all()


def test_classes_with_fewer_rows_than_a_cluster_are_left_out():
    points = np.array([[0.0], [0.1], [0.2], [1.0], [1.1], [0.4]])
    geometry = Geometry(points, np.array([0, 0, 0, 1, 1, 2]))
    found = run(QPGreedy(), geometry, np.array([[0.0]]), np.array([0]), 3)
    assert geometry.predict(found, 3) == [1]


def test_the_registry_holds_frozen_values_that_name_their_options():
    assert {"qp-top-m", "qp-greedy", "naive-m", "mean", "substitute"} <= set(ATTACKS)
    for kind in ATTACKS.values():
        attack = kind()
        assert attack == kind()
        for name in (field.name for field in dataclasses.fields(attack)):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(attack, name, 1)


@pytest.mark.usefixtures("_as_users_call_it")
@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: QPTopM(m=0), "m must be >= 1"),
        (lambda: NaiveM(m=1.5), "m must be a whole number"),
        (lambda: QPGreedy(min_trials=0), "min_trials must be >= 1"),
        (lambda: QPGreedy(min_trials=9, max_trials=8), "max_trials must be >= 9"),
        (lambda: QPGreedy(n_constraints=0), "n_constraints must be >= 1"),
        (lambda: Substitute(step_size=0), "step_size must be > 0"),
        (lambda: Substitute(temperature=-1), "temperature must be > 0"),
        (lambda: Substitute(steps=0), "steps must be >= 1"),
        (lambda: Substitute(shrink=1), "shrink must be True or False"),
    ],
)
def test_bad_options_say_what_was_expected(build, message):
    with pytest.raises(InvalidInput, match=message):
        build()


def test_an_unknown_place_is_named():
    with pytest.raises(UnknownName, match="did you mean 'pivot'"):
        QPGreedy(near="pivots")
