"""A benchmark as it is saved, with invented numbers and pictures: what a page is drawn from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from trustworthy.report.benchmark import saved, scores
from trustworthy.report.benchmark.meaning import METRICS
from trustworthy.report.benchmark.record import BenchmarkRecord, Curve, Run, Scores, TrialRecord

METHODS = {
    "single": 1.0,
    "naive": 5.0,
    "snapshot": 1.0,
    "batch": 1.0,
    "fast": 1.25,
    "sgld": 1.2,
    "svi": 1.0,
    "mc-dropout": 1.0,
}
KINDS, STEPS = ("fog", "contrast"), (1, 3, 5)
CORRUPTED = [f"{kind} {step}" for kind in KINDS for step in STEPS]
DENSITIES = ("very sparse", "sparse", "dense", "very dense")
SIDE = 48


def disc(row: int, column: int, radius: float) -> np.ndarray:
    down, right = np.ogrid[:SIDE, :SIDE]
    return np.hypot(down - row, right - column) < radius


FOREIGN = np.stack([disc(16, 30, 7), disc(33, 14, 5)])


def uncertainty(random: np.random.Generator, quality: float) -> np.ndarray:
    return np.abs(random.normal(size=FOREIGN.shape)) + quality * FOREIGN


def errors(random: np.random.Generator, quality: float) -> Scores:
    x = np.linspace(0.0, 0.95, 20)
    curves = {"sparsification": Curve(x=x.tolist(), y=(0.05 * (1 - 0.2 * quality * x)).tolist()),
              "oracle": Curve(x=x.tolist(), y=(0.05 * (1 - x) ** 1.5).tolist())}  # fmt: skip
    values = {
        "mae": 0.05,
        "error_uncertainty": 0.2 * quality,
        "sparsification": 0.5 - 0.1 * quality,
        "coverage": 0.93,
        "width": 0.4,
    }
    return Scores(values=values, curves=curves)


def local(random: np.random.Generator, quality: float) -> dict[str, Scores]:
    pearson = Scores(values={"pearson": 0.9 + 0.01 * quality, "pearson_deviation": 0.03})
    found = scores.detection(uncertainty(random, quality), FOREIGN)
    hard = scores.detection(uncertainty(random, quality / 3), FOREIGN)
    own = errors(random, quality)
    return {"clean": scores.joined(pearson, own), "impurities": scores.joined(pearson, own, found),
            "second cell type": scores.joined(pearson, own, hard)}  # fmt: skip


def shift(random: np.random.Generator, quality: float) -> dict[str, Scores]:
    means = 0.97 - 0.03 * np.arange(4) * (3 - quality) + 0.005 * random.normal(size=4)
    return {
        density: Scores(values={"pearson": float(mean), "pearson_deviation": 0.02})
        for density, mean in zip(DENSITIES, means, strict=True)
    }


def classes(random: np.random.Generator, quality: float) -> dict[str, Scores]:
    labels = random.integers(4, size=200)

    def members(noise: float) -> np.ndarray:
        right = 3.0 * np.eye(4)[labels]
        return right + noise * (random.normal(size=(3, 200, 4)) * quality + random.normal(size=(200, 4)))

    own = members(1.0)
    tests = {"clean": scores.classes(own, labels)}
    for kind in KINDS:
        tests |= {f"{kind} {step}": scores.classes(members(1.0 + 0.4 * step), labels) for step in STEPS}
    return tests | {"noise": scores.foreign_rows(own, 2 * random.normal(size=(3, 100, 4)))}


TRIALS = {
    "local": (
        local,
        TrialRecord(
            title="Foreign pixels", says="Trained on clean fields.", shown=["impurities"],
            tests={"clean": "12 fields", "impurities": "12 fields, 3.1% foreign", "second cell type": "12 fields"},
        ),
    ),
    "shift-a": (
        shift,
        TrialRecord(
            title="Another density, model A", says="Trained on very sparse fields.",
            tests=dict.fromkeys(DENSITIES, "12 fields"),
        ),
    ),
    "digits": (
        classes,
        TrialRecord(
            title="digits", says="1,000 rows of 10 classes.",
            tests=dict.fromkeys(["clean", *CORRUPTED, "noise"], "400 rows"),
        ),
    ),
}  # fmt: skip


def benchmark(methods: dict[str, float] = METHODS, seeds: int = 2) -> BenchmarkRecord:
    random = np.random.default_rng(0)
    runs = [
        Run(trial=trial, method=method, seed=seed, settings=f"{method}()", network="UNet", preprocessing="none",
            members=5, fixed=method != "svi", weights=f"{place:032x}", passes=cost, training_seconds=10 * cost,
            prediction_seconds=0.01, tests=draw(random, 2.5 - 0.2 * place))
        for seed in range(seeds) for trial, (draw, _) in TRIALS.items()
        for place, (method, cost) in enumerate(methods.items())
    ]  # fmt: skip
    about = {"settings": "", "network": "", "preprocessing": ""}
    runs[-1] = Run(trial="digits", method=runs[-1].method, seed=seeds - 1, failed="the loss became nan", **about)
    known = {name for run in runs for each in run.tests.values() for name in each.values}
    return BenchmarkRecord(
        suite="cells", title="synthetic cells", created="2026-11-27T21:00:00+00:00",
        command="trustworthy benchmark uncertainty", fingerprint="0", conditions={"side": SIDE},
        metrics={name: asdict(metric) for name, metric in METRICS.items() if name in known},
        trials={name: trial for name, (_, trial) in TRIALS.items()}, methods=list(methods), seeds=list(range(seeds)),
        runs=runs, notes=["The cells are synthetic."], wall_time=700.0,
    )  # fmt: skip


def write(folder: Path, methods: dict[str, float] = METHODS) -> BenchmarkRecord:
    """Save it with pictures, and draw its page."""
    record, random = benchmark(methods), np.random.default_rng(1)
    place = "local/impurities"
    fields = random.normal(size=(2, 1, SIDE, SIDE)) + 2 * disc(24, 24, 15)
    arrays = {f"{place}/source": fields, f"{place}/target": fields**2, f"{place}/mask": FOREIGN}
    for rank, method in enumerate(methods):
        arrays[f"{place}/uncertainty/{method}"] = uncertainty(random, 2.5 - 0.2 * rank)
    saved.write(folder, record, arrays)
    return record
