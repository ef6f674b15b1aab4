"""What does a certificate of a nearest neighbour cost beside the distances alone, and beside general QP solvers?

Sections, each timed in turn over several rounds, on the real sets, in one run:

exact        exact l2 certificates of 1-NN on MNIST and Fashion-MNIST (60,000 x 784), milliseconds a query, and ratio
             to a plain float32 product of the queries with the training set;
bound        the lower bound of K-NN, K = 11 and 15, beside the same product;
growth       exact certificates over the number of rows and of features;
solvers      the quadratic programmes of one tenth of MNIST, solved by the library's active set and greedy coordinate
             ascent and by osqp, scs, ecos, cvxopt, quadprog and daqp (Figure 3.5); needs the extra `peers`;
all          every one of the 10,000 test images of both sets, on all cores: seconds, and certified errors.

`python benchmarks/neighbors.py [SECTION ...] [--out FILE]`; without sections, all but `all`.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from joblib import cpu_count
from threadpoolctl import threadpool_limits

from trustworthy import datasets
from trustworthy.core.record import Record
from trustworthy.neighbors import NearestNeighborVerifier, active_set, greedy_coordinate_ascent

RECORD = Path(__file__).parent / "records" / "neighbors.json"
SEED, ROUNDS, QUERIES = 42, 5, 200
RADII = {"mnist": [0.0, 0.5, 1.0, 1.5, 2.0, 2.5], "fashion-mnist": [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]}


def load(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Flat float32 images in [0, 1]; the test set shuffled."""
    data = datasets.load(name)
    order = np.random.default_rng(SEED).permutation(len(data.x_test))
    flat = [np.ascontiguousarray(np.asarray(x, np.float32).reshape(len(x), -1)) for x in (data.x_train, data.x_test)]
    return flat[0], np.asarray(data.y_train), flat[1][order], np.asarray(data.y_test)[order]


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def alternate(*works: Callable[[], object], rounds: int = ROUNDS) -> list[list[float]]:
    """Times of the works, done one after the other in every round, after one untimed call of each."""
    for work in works:
        work()
    return [list(column) for column in zip(*([seconds(work) for work in works] for _ in range(rounds)), strict=True)]


def against_product(
    name: str, verifier: NearestNeighborVerifier, run: Callable, x: np.ndarray, queries: np.ndarray, **said: Any
) -> Record:
    """Time of `run` a query, and the median ratio to the product of the same queries with the training set."""
    began = time.perf_counter()
    product = np.empty((len(queries), len(x)), np.float32)
    floor, ours = alternate(lambda: np.matmul(queries, x.T, out=product), run)
    ratios = sorted(mine / least for least, mine in zip(floor, ours, strict=True))
    each = 1e3 / len(queries)
    return Record(
        name=name,
        value=statistics.median(ours) * each,
        interval=(min(ours) * each, max(ours) * each),
        level=1.0,
        unit="milliseconds a query, median of the rounds; the interval is the lowest and highest",
        conditions={
            "rows": len(x),
            "features": x.shape[1],
            "queries": len(queries),
            "rounds": ROUNDS,
            "threads": 1,
            "product_milliseconds": round(statistics.median(floor) * each, 3),
            "ratio_to_product": round(statistics.median(ratios), 3),
            "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            **said,
        },
        seed=SEED,
        wall_time=time.perf_counter() - began,
    )


def exact() -> Iterator[Record]:
    for name in ("mnist", "fashion-mnist"):
        x, y, queries, labels = load(name)
        queries, labels = queries[:QUERIES], labels[:QUERIES]
        verifier = NearestNeighborVerifier().fit(x, y)
        run = lambda: verifier.exact(queries, labels)  # noqa: B023, E731
        yield against_product(f"neighbors.exact.{name}", verifier, run, x, queries)


def bound() -> Iterator[Record]:
    x, y, queries, labels = load("mnist")
    queries, labels = queries[:1000], labels[:1000]
    for k in (1, 11, 15):
        verifier = NearestNeighborVerifier(n_neighbors=k).fit(x, y)
        run = lambda: verifier.lower_bound(queries, labels)  # noqa: B023, E731
        yield against_product(f"neighbors.lower_bound.mnist.{k}", verifier, run, x, queries, n_neighbors=k)


def growth() -> Iterator[Record]:
    x, y, queries, labels = load("mnist")
    queries, labels = queries[:QUERIES], labels[:QUERIES]
    sizes = [(n, 784) for n in (1000, 4000, 16000, 60000)] + [(16000, d) for d in (16, 64, 256)]
    for n, d in sizes:
        # Strides over the rows of pixels keep a smaller picture of the whole image.
        columns = np.linspace(0, 783, d).astype(int)
        rows, few = np.ascontiguousarray(x[:n, columns]), np.ascontiguousarray(queries[:, columns])
        verifier = NearestNeighborVerifier().fit(rows, y[:n])
        run = lambda: verifier.exact(few, labels)  # noqa: B023, E731
        yield against_product(f"neighbors.exact.growth.{n}x{d}", verifier, run, rows, few)


def _daqp(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    import daqp

    n = len(q)
    return daqp.solve(p, q, np.empty((0, n)), np.full(n, 1e30), np.zeros(n), np.zeros(n, np.int32))[0]


def _quadprog(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    import quadprog

    return quadprog.solve_qp(p + 1e-9 * np.trace(p) / len(q) * np.eye(len(q)), -q, np.eye(len(q)), np.zeros(len(q)))[0]


def _cvxopt(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    import cvxopt

    n = len(q)
    eye = cvxopt.spmatrix(-1.0, range(n), range(n))
    found = cvxopt.solvers.qp(
        cvxopt.matrix(p), cvxopt.matrix(q), eye, cvxopt.matrix(0.0, (n, 1)), options={"show_progress": False}
    )
    return np.ravel(found["x"])


def _osqp(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    import osqp
    from scipy import sparse

    n = len(q)
    solver = osqp.OSQP()
    solver.setup(
        sparse.triu(p, format="csc"),
        q,
        sparse.eye(n, format="csc"),
        np.zeros(n),
        np.full(n, np.inf),
        verbose=False,
        eps_abs=1e-6,
        eps_rel=1e-6,
        max_iter=20000,
    )
    return solver.solve().x


def _cone(a: np.ndarray, b: np.ndarray) -> tuple[Any, ...]:
    """min t with (t, delta) in the second-order cone and a delta + b >= 0, as ecos and scs take it."""
    from scipy import sparse

    m, d = a.shape
    linear = sparse.hstack([sparse.csc_matrix((m, 1)), -a])
    cone = -sparse.eye(d + 1)
    return (
        np.r_[1.0, np.zeros(d)],
        sparse.vstack([linear, cone]).tocsc(),
        np.r_[b, np.zeros(d + 1)],
        {"l": m, "q": [d + 1]},
    )


def _ecos(a: np.ndarray, b: np.ndarray) -> float:
    import ecos

    c, g, h, dims = _cone(a, b)
    return ecos.solve(c, g, h, dims, verbose=False)["x"][0]


def _scs(a: np.ndarray, b: np.ndarray) -> float:
    import scs

    c, g, h, dims = _cone(a, b)
    return scs.solve({"A": g, "b": h, "c": c}, dims, verbose=False, eps_abs=1e-5, eps_rel=1e-5)["x"][0]


def solvers() -> Iterator[Record]:
    """The subproblem of the nearest row of another class, with all rows of the own class as constraints."""
    x, y, queries, labels = load("mnist")
    x, y = x[::10].astype(np.float64), y[::10]
    programmes = []
    for query, label in zip(queries[:10].astype(np.float64), labels, strict=False):
        distances = ((query - x) ** 2).sum(1)
        if y[distances.argmin()] != label:
            continue
        own = y == label
        j = np.flatnonzero(~own)[distances[~own].argmin()]
        programmes.append((x[j] - x[own], (distances[own] - distances[j]) / 2))
    duals = {
        "active_set": lambda p, q: active_set(p, q).x,
        "greedy_coordinate_ascent": lambda p, q: greedy_coordinate_ascent(p, q).x,
        "daqp": _daqp,
        "quadprog": _quadprog,
        "cvxopt": _cvxopt,
        "osqp": _osqp,
    }
    best = None
    for name, solve in {**duals, "ecos": _ecos, "scs": _scs}.items():
        times, products, sizes, failed = [], [], [], ""
        for a, b in programmes:
            began = time.perf_counter()
            try:
                gram = a @ a.T if name in duals else a
                products.append(time.perf_counter() - began)
                size = np.linalg.norm(a.T @ solve(gram, b)) if name in duals else solve(gram, b)
            except Exception as error:  # a peer may fail in any way; that is then its result
                failed = f"{type(error).__name__}: {error}"
                break
            times.append(time.perf_counter() - began)
            sizes.append(float(size))
        best = best or sizes
        error = max((abs(mine / true - 1) for mine, true in zip(sizes, best, strict=False)), default=None)
        yield Record(
            name=f"neighbors.solver.{name}",
            value=None if failed else 1e3 * statistics.median(times),
            unit="milliseconds a programme, median",
            conditions={
                "programmes": len(programmes),
                "constraints": int(np.mean([len(b) for _, b in programmes])),
                "features": 784,
                "of_which_the_gram_matrix": 1e3 * statistics.median(products),
                "worst_relative_difference": error,
                **({"failed": failed} if failed else {}),
            },
            seed=SEED,
            wall_time=sum(times),
        )


@contextmanager
def watched_memory() -> Iterator[list[float]]:
    """Largest memory in MiB of this process and its children together, shared pages counted once; after the block."""
    peak, done = [0.0], threading.Event()

    def watch() -> None:
        this = psutil.Process()
        while not done.wait(0.25):
            with suppress(psutil.Error):
                used = sum(p.memory_full_info().pss for p in [this, *this.children(recursive=True)])
                peak[0] = max(peak[0], used / 2**20)

    thread = threading.Thread(target=watch)
    thread.start()
    yield peak
    done.set()
    thread.join()


def every() -> Iterator[Record]:
    for name, radii in RADII.items():
        x, y, queries, labels = load(name)
        verifier = NearestNeighborVerifier(n_jobs=-1).fit(x, y)
        with watched_memory() as peak:
            began = time.perf_counter()
            found = verifier.exact(queries, labels)
            took = time.perf_counter() - began
        yield Record(
            name=f"neighbors.exact.all.{name}",
            value=took,
            unit="seconds for all 10,000 test images on all cores",
            conditions={
                "processes": cpu_count(),
                "certified_error": dict(zip(map(str, radii), found.error_at(radii).tolist(), strict=True)),
                "peak_memory_mib_of_all_processes": round(peak[0]),
            },
            seed=SEED,
            wall_time=took,
        )


SECTIONS = {"exact": exact, "bound": bound, "growth": growth, "solvers": solvers, "all": every}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--out", type=Path, default=RECORD)
    asked = parser.parse_args()
    kept = {r["name"]: r for r in json.loads(asked.out.read_text())} if asked.out.exists() else {}
    with threadpool_limits(1):
        for section in asked.sections or [name for name in SECTIONS if name != "all"]:
            for record in SECTIONS[section]():
                ratio = record.conditions.get("ratio_to_product")
                value = "failed" if record.value is None else f"{record.value:9.3f}"
                print(f"{record.name:42} {value}  {'' if ratio is None else f'{ratio:6.2f} x the product'}", flush=True)
                kept[record.name] = record.model_dump(mode="json")
                asked.out.parent.mkdir(exist_ok=True)
                asked.out.write_text(json.dumps(list(kept.values()), indent=2) + "\n")


if __name__ == "__main__":
    main()
