"""What do label propagation and the poisoning of its labels cost, beside the plainest code that does the same?

Sections, on one thread, on real data:

greedy   30 flips of 1,000 labels by the greedy search (20 Newsgroups, computers against science), beside NumPy that
         works out all scores anew for each candidate, one by one or in one product, beside NumPy that keeps margins,
         beside the released method, and beside 30 passes over the effects;
closed   `LabelPropagation.fit` on digits, 10 % and 50 % labelled, beside `scipy.linalg.solve`, a bare Cholesky factor
         and scikit-learn's iteration;
growth   dense graphs of 2,000 to 15,170 rows of mnist17 and a k-nearest graph of the 60,000 images of MNIST, each in a
         process of its own: seconds and peak memory;
widths   sparse graphs of 8,000 to 10⁶ rows of two classes, 1 % labelled, ten neighbours each: a fit with a given width
         and one that chooses it, which share the search for neighbours; each size in a process of its own;
attacks  the searches, the certificates and the trust region, with 1,000 labels.

Contenders take turns in each round; a ratio is the median over rounds of the ratio within a round, in processor seconds
and by the clock. `python benchmarks/graphs.py [--only SECTION ...] [--rounds 5] [--rows ROWS ...] [--out FILE]`, where
rows are the sizes of `widths`.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import statistics
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from scipy import linalg, sparse
from sklearn.datasets import load_digits, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.semi_supervised import LabelPropagation as Iterated
from threadpoolctl import threadpool_limits

from trustworthy import datasets
from trustworthy.core.record import Record
from trustworthy.graphs import LabelPropagation, affinity
from trustworthy.graphs import poisoning as attack
from trustworthy.graphs.poisoning import search

RECORD = Path(__file__).parent / "records" / "graphs.json"
SEED, LABELLED, FLIPS, NEWS_GAMMA, DIGITS_GAMMA = 0, 1000, 30, 10.0, 2.0
SIZES = (2000, 4000, 8000, 15170)
CASES: list[tuple[str, int, dict[str, Any]]] = [("mnist17", rows, {"gamma": 0.02}) for rows in SIZES]
CASES += [("mnist17", SIZES[-1], {"gamma": 0.6, "solver": solver}) for solver in ("cholesky", "elimination")]
CASES += [("mnist", 60000, {"gamma": 0.02, "n_neighbors": 10})]
DRAWN = {8000: (20, 8), 60000: (20, 8), 235000: (20, 8), 10**6: (5, 3)}
"""Features and informative features of `widths` by rows; beyond 15 features all pairs of rows are compared, which takes
hours for a million."""


class Spent(NamedTuple):
    """Seconds of the processor and by the clock."""

    cpu: float
    wall: float


def spent(work: Callable[[], object]) -> Spent:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Spent(time.process_time() - cpu, time.perf_counter() - wall)


def alternate(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[Spent]]:
    """Times of the works, done one after the other in every round, after one untimed call of each."""
    for work in works.values():
        work()
    times = [[spent(work) for work in works.values()] for _ in range(rounds)]
    return {name: list(column) for name, column in zip(works, zip(*times, strict=True), strict=True)}


def record(name: str, times: list[Spent], base: list[Spent] | None = None, parts: int = 1, **said: Any) -> Record:
    """Median processor seconds, and median ratios to `base`; what was timed is one of so many equal parts."""
    cpu, wall = (parts * statistics.median(getattr(t, clock) for t in times) for clock in ("cpu", "wall"))
    if base is not None:
        for clock in ("cpu", "wall"):
            ratios = [parts * getattr(t, clock) / getattr(b, clock) for t, b in zip(times, base, strict=True)]
            said[f"{clock}_ratio"] = round(statistics.median(ratios), 3)
    conditions = {"rounds": len(times), "threads": 1, "load_average": round(os.getloadavg()[0], 2)}
    return Record(
        name=f"graphs.{name}",
        value=cpu,
        interval=(parts * min(t.cpu for t in times), parts * max(t.cpu for t in times)),
        level=1.0,
        unit="processor seconds, median of the rounds; the interval is the lowest and highest",
        conditions=conditions | {"wall_seconds": wall} | said,
        seed=SEED,
        wall_time=sum(t.wall for t in times),
    )


def shuffled(name: str) -> tuple[Any, np.ndarray]:
    """Both parts of a set, in one random order; images flat."""
    data = datasets.load(name)
    stack = sparse.vstack if sparse.issparse(data.x_train) else np.concatenate
    rows: Any = stack([data.x_train, data.x_test])
    y = np.concatenate([data.y_train, data.y_test])
    order = np.random.default_rng(SEED).permutation(len(y))
    return (rows.tocsr() if sparse.issparse(rows) else rows.reshape(len(y), -1))[order], y[order]


def labelled_first(y: np.ndarray, count: int) -> np.ndarray:
    return np.where(np.arange(len(y)) < count, y, -1)


@functools.cache
def news() -> tuple[attack.PoisoningProblem, np.ndarray, np.ndarray]:
    """A problem, its margins and its effects."""
    X, y = shuffled("newsgroups-comp-sci")
    hidden = labelled_first(y, LABELLED)
    p = attack.PoisoningProblem.of(LabelPropagation(gamma=NEWS_GAMMA), X, hidden, truth=y[LABELLED:])
    return p, *p.margins(p.operator, p.aim)


def naive_step(p: attack.PoisoningProblem) -> int:
    """The first flip: all scores anew for each candidate, and a count of the errors."""
    errors = np.zeros(len(p.values), np.int64)
    for label in range(len(errors)):
        changed = p.values.copy()
        changed[label] *= -1.0
        errors[label] = np.count_nonzero(p.truth * (p.operator @ changed) <= 0.0)
    return int(errors.argmax())


def released_step(p: attack.PoisoningProblem) -> int:
    """The same by the objective of the code released with the dissertation; -1 where no flip improves it."""
    delta = np.ones(len(p.values))
    chosen, best = -1, -0.5 * np.linalg.norm(np.sign(p.operator @ (p.values * delta)) - p.truth) ** 2
    for label in range(len(delta)):
        delta[label] *= -1.0
        objective = -0.5 * np.linalg.norm(np.sign(p.operator @ (p.values * delta)) - p.truth) ** 2
        if objective < best:
            chosen, best = label, objective
        delta[label] *= -1.0
    return chosen


def product_step(p: attack.PoisoningProblem) -> int:
    """The same by one product with the labels of all candidates."""
    scores = p.operator @ (p.values[:, None] * (1.0 - 2.0 * np.eye(len(p.values))))
    return int(np.count_nonzero(p.truth[:, None] * scores <= 0.0, axis=0).argmax())


def margin_step(margin: np.ndarray, effect: np.ndarray) -> int:
    """The same from margins that are kept."""
    return int(np.count_nonzero(margin[:, None] <= effect, axis=0).argmax())


def greedy(rounds: int) -> Iterator[Record]:
    """A step costs the same wherever it is on the path, so the plain contenders do the first one and are multiplied."""
    p, margin, effect = news()
    rng = np.random.default_rng(SEED)
    path, stops = (find(margin, effect, FLIPS, rng) for find in (attack.Greedy(), attack.ReleasedGreedy()))
    flat = effect.ravel()
    works: dict[str, Callable[[], Any]] = {
        "ours": lambda: attack.Greedy()(margin, effect, FLIPS, rng),
        "pass": lambda: flat @ flat,
        "margins": lambda: margin_step(margin, effect),
        "product": lambda: product_step(p),
        "naive": lambda: naive_step(p),
        "released": lambda: released_step(p),
    }
    firsts = {name: work() for name, work in works.items() if name not in ("ours", "pass")}
    assert len(set(firsts.values())) == 1, f"the contenders differ in the first label: {firsts}"
    times = alternate(works, rounds)
    shape = {"unlabelled": len(margin), "labelled": LABELLED, "flips": FLIPS, "gamma": NEWS_GAMMA}
    for name in works:
        flips = stops if name == "released" else path
        parts = 1 if name == "ours" else len(flips)
        said = shape | {"times_one_step": parts, "flipped": len(flips), "broken": search.broken(margin, effect, flips)}
        yield record(f"greedy.{name}", times[name], times["ours"], parts, **said)


def accuracy(labels: np.ndarray, truth: np.ndarray, rows: Any) -> float:
    return round(float(np.mean(labels[rows] == truth[rows])), 4)


def by_solve(system: np.ndarray, pull: np.ndarray) -> np.ndarray:
    return linalg.solve(system, pull, assume_a="pos", overwrite_a=True, check_finite=False)


def by_factor(system: np.ndarray, pull: np.ndarray) -> np.ndarray:
    factor = linalg.cho_factor(system.T, lower=True, overwrite_a=True, check_finite=False)
    return linalg.cho_solve(factor, pull, check_finite=False)


def bare(solve: Callable[..., np.ndarray], X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Labels by eq. (1.1), and nothing besides."""
    known = y >= 0
    n, rows = np.count_nonzero(~known), np.concatenate([X[~known], X[known]])
    squares = np.einsum("ij,ij->i", rows, rows)
    weights = rows[:n] @ rows.T
    weights *= 2.0
    weights -= squares
    weights -= squares[:n, None]
    weights *= DIGITS_GAMMA
    np.exp(weights, out=weights)
    system = -weights[:, :n]
    system[np.diag_indices(n)] += weights.sum(axis=1)
    labels = y.copy()
    labels[~known] = solve(system, weights[:, n:] @ np.eye(10)[y[known]]).argmax(axis=1)
    return labels


def closed(rounds: int) -> Iterator[Record]:
    pixels, truth = load_digits(return_X_y=True)
    X = pixels / 16
    ours = LabelPropagation(gamma=DIGITS_GAMMA)
    theirs = Iterated(kernel="rbf", gamma=DIGITS_GAMMA, max_iter=1000)
    for share in (0.1, 0.5):
        y = np.where(np.random.default_rng(SEED).random(len(truth)) < share, truth, -1)
        works: dict[str, Callable[[], Any]] = {
            "solve": functools.partial(bare, by_solve, X, y),
            "factor": functools.partial(bare, by_factor, X, y),
            "ours": lambda y=y: ours.fit(X, y).transduction_,
            "scikit-learn": lambda y=y: theirs.fit(X, y).transduction_,
        }
        times = alternate(works, rounds)
        said = {"rows": len(y), "labelled": int((y >= 0).sum()), "gamma": DIGITS_GAMMA}
        for name, work in works.items():
            right = accuracy(work(), truth, y < 0)
            yield record(f"closed.digits.{share}.{name}", times[name], times["solve"], accuracy=right, **said)


def case(name: str, rows: int, settings: dict[str, Any]) -> Record:
    """One fit, as the only work of this process; the search for neighbours is timed inside it."""
    X, truth = shuffled(name)
    X, truth = X[:rows].astype(np.float64), truth[:rows]
    known, searches, find = 100 if name == "mnist17" else 600, [], affinity.near_distances

    def timed(*given: Any) -> Any:
        graph: list[Any] = []
        searches.append(spent(lambda: graph.append(find(*given))))
        return graph[0]

    learner = LabelPropagation(**settings)
    said = settings | {"rows": rows, "features": X.shape[1], "labelled": known, "gib_before": memory("VmRSS")}
    with threadpool_limits(1), mock.patch.object(affinity, "near_distances", timed):
        times = [spent(lambda: learner.fit(X, labelled_first(truth, known)))]
    said |= {"peak_gib": memory("VmHWM"), "accuracy": accuracy(learner.transduction_, truth, slice(known, None))}
    said |= {f"search_{clock}_seconds": getattr(found, clock) for found in searches for clock in Spent._fields}
    return record(".".join(["growth", name, str(rows), *map(str, settings.values())]), times, **said)


def chosen(rows: int, features: int, informative: int) -> list[Record]:
    """Two fits, as the only work of this process; the search for neighbours counts for both."""
    X, truth = make_classification(rows, features, n_informative=informative, random_state=3)
    known = np.random.default_rng(SEED).permutation(rows)[: rows // 100]
    y = np.full(rows, -1)
    y[known] = truth[known]
    said = {"rows": rows, "features": features, "labelled": len(known), "n_neighbors": 10}
    said["gib_before"] = memory("VmRSS")
    near: list[Any] = []
    fits: dict[str, Spent] = {}
    found = []
    with threadpool_limits(1):
        search = spent(lambda: near.append(affinity.near_distances(X, 10)))
        with mock.patch.object(affinity, "near_distances", return_value=near[0]):
            for name, settings in (("given", {"gamma": 0.05}), ("chosen", {})):
                learner = LabelPropagation(n_neighbors=10, **settings)
                rest = spent(lambda learner=learner: learner.fit(X, y))
                fits[name] = Spent(search.cpu + rest.cpu, search.wall + rest.wall)
                said |= {"gamma": learner.gamma_, "peak_gib": memory("VmHWM"), "search_wall_seconds": search.wall}
                right = accuracy(learner.transduction_, truth, y < 0)
                found.append(record(f"widths.{rows}.{name}", [fits[name]], [fits["given"]], accuracy=right, **said))
    return found


def memory(kind: str) -> float:
    """GiB that this process holds (VmRSS) or has held at most (VmHWM, which leaves out the parent's)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith(kind)) / 2**20, 2)


def growth(rounds: int) -> Iterator[Record]:
    """Once each, whatever the rounds."""
    for given in CASES:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            yield pool.submit(case, *given).result()


def widths(rounds: int, sizes: Collection[int]) -> Iterator[Record]:
    """Once each, whatever the rounds."""
    for rows in sizes:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            yield from pool.submit(chosen, rows, *DRAWN[rows]).result()


def attacks(rounds: int) -> Iterator[Record]:
    p, margin, effect = news()
    shape = {"unlabelled": len(margin), "labelled": LABELLED, "flips": FLIPS, "gamma": NEWS_GAMMA}
    rngs = {name: np.random.default_rng(SEED) for name in attack.METHODS}
    for name in ("greedy", "relaxed", "probabilistic", "local-search"):
        work = functools.partial(attack.METHODS[name], margin, effect, FLIPS, rngs[name])
        broken = search.broken(margin, effect, work())
        yield record(f"attacks.{name}", alternate({name: work}, rounds)[name], broken=broken, **shape)
    certify = {
        "certified_errors": lambda: attack.certified_errors(margin, effect, range(FLIPS + 1)),
        "certify_flips": lambda: attack.certify_flips(p.operator, p.values),
    }
    bound = round(float(certify["certified_errors"]()[-1]) * len(margin))
    for name, times in alternate(certify, rounds).items():
        yield record(f"attacks.{name}", times, most_broken=bound, **shape)
    yield from trust_region(p, rounds)


def trust_region(p: attack.PoisoningProblem, rounds: int) -> Iterator[Record]:
    """Labels taken as real numbers, moved by a change of length 3; the Hessian is timed apart."""
    residual, radius = p.operator @ p.values - p.truth, 3.0
    hessian, gradient = -(p.operator.T @ p.operator), -(p.operator.T @ residual)
    works: dict[str, Callable[[], Any]] = {
        "hessian": lambda: p.operator.T @ p.operator,
        "exact": lambda: attack.minimize_in_ball(hessian, gradient, radius),
        "algorithm-1": lambda: attack.algorithm_1(hessian, gradient, radius),
    }
    for name, times in alternate(works, rounds).items():
        said = {} if name == "hessian" else {"objective": works[name]().value}
        yield record(f"attacks.trust-region.{name}", times, labelled=LABELLED, radius=radius, **said)


SECTIONS: dict[str, Callable[..., Iterator[Record]]] = {
    "greedy": greedy,
    "closed": closed,
    "growth": growth,
    "widths": widths,
    "attacks": attacks,
}


def shown(found: Record) -> str:
    said = found.conditions
    columns = [f"{found.value:10.4f}{said['wall_seconds']:10.4f}"]
    for key in ("cpu_ratio", "wall_ratio", "peak_gib"):
        columns.append(f"{said[key]:11.2f}" if key in said else f"{'':11}")
    return f"{found.name:40}" + "".join(columns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", nargs="+", type=int, choices=DRAWN, default=list(DRAWN))
    parser.add_argument("--out", type=Path, default=RECORD)
    asked = parser.parse_args()
    kept = {r["name"]: r for r in json.loads(asked.out.read_text())} if asked.out.exists() else {}
    print(f"{'':40}{'cpu s':>10}{'wall s':>10}{'cpu ratio':>11}{'wall ratio':>11}{'peak GiB':>11}")
    warnings.simplefilter("ignore", ConvergenceWarning)
    with threadpool_limits(1):
        for section in asked.only:
            given = {"sizes": asked.rows} if section == "widths" else {}
            for found in SECTIONS[section](asked.rounds, **given):
                print(shown(found), flush=True)
                kept[found.name] = found.model_dump(mode="json")
                asked.out.parent.mkdir(exist_ok=True)
                asked.out.write_text(json.dumps(list(kept.values()), indent=2) + "\n")


if __name__ == "__main__":
    main()
