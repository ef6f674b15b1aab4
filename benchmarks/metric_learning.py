"""What does ARML cost beside a literal run of Algorithm 7, and how much do the metrics withstand?

Sections, on one thread, in processor seconds:

digits     1,000 epochs on 1,297 x 64 digits, ours and a literal one (torch, full batch, all distances under the current
           M in every epoch, automatic differentiation), with exact certified errors of 1-NN on 500 test digits;
baselines  NCA, LMNN, ITML and LFDA on the same digits;
large      the same four on the first 5,000 rows of MNIST (5,000 x 784), certified on 300 test images;
mnist      ARML on all of MNIST (60,000 x 784), certified on 1,000 test images, beside the Euclidean metric.

`python benchmarks/metric_learning.py [SECTION ...] [--out FILE]`; without sections, all of them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

from trustworthy import datasets
from trustworthy.core.record import Record
from trustworthy.metric_learning import ARML, ITML, LFDA, LMNN, NCA
from trustworthy.neighbors.exact import exact_one
from trustworthy.neighbors.geometry import Geometry

RECORD = Path(__file__).parent / "records" / "metric_learning.json"
SEED = 42
DIGITS_RADII, MNIST_RADII = (0.0, 0.25, 0.5, 0.75, 1.0), (0.0, 0.5, 1.0, 1.5, 2.0, 2.5)
BASELINES = {"nca": NCA, "lmnn": LMNN, "itml": ITML, "lfda": LFDA}
Data = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def digits() -> Data:
    X, y = load_digits(return_X_y=True)
    x, queries, y, labels = train_test_split(X / 16, y, test_size=500, stratify=y, random_state=0)
    return x, y, queries, labels


def mnist(rows: int | None, queries: int) -> Data:
    """Flat images in [0, 1]; the test set shuffled."""
    data = datasets.load("mnist")
    order = np.random.RandomState(SEED).permutation(len(data.x_test))[:queries]
    flat = [np.ascontiguousarray(np.asarray(x, np.float32).reshape(len(x), -1)) for x in (data.x_train, data.x_test)]
    labels = [np.asarray(y).astype(np.int64) for y in (data.y_train, data.y_test)]
    return flat[0][:rows], labels[0][:rows], flat[1][order].astype(np.float64), labels[1][order]


def fitted(work: Callable[[], Any]) -> tuple[Any, float]:
    """What `work` returns, and its processor seconds."""
    began = time.process_time()
    found = work()
    return found, time.process_time() - began


def robustness(data: Data, root: np.ndarray | None, radii: tuple[float, ...]) -> dict[str, Any]:
    """Exact certified errors of 1-NN over the radii, and the mean radius."""
    x, y, queries, labels = data
    radius = exact_one(Geometry(x, y, root), queries, labels).upper
    return {
        "certified_error": {str(r): round(float((radius <= r).mean()), 4) for r in radii},
        "mean_radius": round(float(radius.mean()), 4),
    }


def record(name: str, seconds: float | None, data: Data, **said: Any) -> Record:
    shape = {"rows": len(data[0]), "features": data[0].shape[1], "test_rows": len(data[2]), "threads": 1}
    return Record(
        name=f"metric_learning.{name}",
        value=None if seconds is None else round(seconds, 3),
        unit="processor seconds to fit",
        conditions=shape | said,
        seed=SEED,
        wall_time=seconds or 0.0,
    )


def literal(x: np.ndarray, y: np.ndarray, epochs: int = 1000, near: int = 10) -> np.ndarray:
    """Algorithm 7 as it reads: all distances anew in every epoch, and the gradient by automatic differentiation."""
    rows, labels = torch.tensor(x, dtype=torch.float32), torch.tensor(y)
    same = labels[:, None] == labels[None]
    own, other = same & ~torch.eye(len(rows), dtype=torch.bool), ~same
    root = torch.eye(rows.shape[1], requires_grad=True)
    adam = torch.optim.Adam([root], lr=1e-3)
    generator = torch.Generator().manual_seed(SEED)
    every = torch.arange(len(rows))
    for _ in range(epochs):
        picked = []
        with torch.no_grad():
            mapped = rows @ root.T
            distances = torch.cdist(mapped, mapped)
            for mask in (own, other):
                nearest = distances.masked_fill(~mask, torch.inf).topk(near, largest=False).indices
                picked.append(rows[nearest[every, torch.randint(near, (len(rows),), generator=generator)]])
        metric = root.T @ root
        to_own, to_other, gap = rows - picked[0], rows - picked[1], picked[0] - picked[1]
        numerator = (to_other @ metric * to_other).sum(1) - (to_own @ metric * to_own).sum(1)
        length = (gap @ (metric.T @ metric) * gap).sum(1).clamp(min=1e-6).sqrt()
        loss = -(numerator / (2 * length)).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    return root.detach().double().numpy()


def against_literal() -> Iterator[Record]:
    data = digits()
    x, y = data[:2]
    ARML(epochs=2).fit(x, y)  # compiles
    yield record("digits.euclidean", None, data, **robustness(data, None, DIGITS_RADII))
    theirs, slow = fitted(lambda: literal(x, y))
    yield record("digits.literal", slow, data, **robustness(data, theirs, DIGITS_RADII))
    times = []
    for _ in range(5):
        ours, seconds = fitted(lambda: ARML(random_state=SEED).fit(x, y))
        times.append(seconds)
    quick = float(np.median(times))
    found = robustness(data, ours.components_, DIGITS_RADII)
    yield record("digits.arml", quick, data, ratio_to_literal=round(quick / slow, 4), **found)


def baselines() -> Iterator[Record]:
    data = digits()
    for name, learner in BASELINES.items():
        yield baseline(f"digits.{name}", learner, data, DIGITS_RADII)


def large() -> Iterator[Record]:
    data = mnist(5000, 300)
    for name, learner in BASELINES.items():
        yield baseline(f"mnist_5000.{name}", learner, data, MNIST_RADII)


def baseline(name: str, learner: type, data: Data, radii: tuple[float, ...]) -> Record:
    x, y = data[:2]
    learner(random_state=SEED).fit(x[:60], y[:60])  # compiles
    found, seconds = fitted(lambda: learner(random_state=SEED).fit(x, y))
    said = {key: getattr(found, key + "_") for key in ("n_iter", "converged") if hasattr(found, key + "_")}
    return record(name, seconds, data, **said, **robustness(data, found.components_, radii))


def whole_mnist() -> Iterator[Record]:
    data = mnist(None, 1000)
    yield record("mnist.euclidean", None, data, **robustness(data, None, MNIST_RADII))
    found, seconds = fitted(lambda: ARML(random_state=SEED).fit(*data[:2]))
    yield record("mnist.arml", seconds, data, learner=repr(found), **robustness(data, found.components_, MNIST_RADII))


SECTIONS = {"digits": against_literal, "baselines": baselines, "large": large, "mnist": whole_mnist}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--out", type=Path, default=RECORD)
    asked = parser.parse_args()
    kept = {r["name"]: r for r in json.loads(asked.out.read_text())} if asked.out.exists() else {}
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for section in asked.sections or SECTIONS:
            for found in SECTIONS[section]():
                seconds = "" if found.value is None else f"{found.value:.2f} s"
                ratio = found.conditions.get("ratio_to_literal")
                errors = " ".join(f"{e:.3f}" for e in found.conditions["certified_error"].values())
                beside = "" if ratio is None else f"  {ratio:.4f} of the literal one"
                print(f"{found.name:34} {seconds:>10}  {errors}{beside}", flush=True)
                kept[found.name] = found.model_dump(mode="json")
                asked.out.parent.mkdir(exist_ok=True)
                asked.out.write_text(json.dumps(list(kept.values()), indent=2) + "\n")


if __name__ == "__main__":
    main()
