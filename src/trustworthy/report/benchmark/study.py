"""The benchmark of uncertainty: every method trained under every seed, on every trial of a suite, and judged."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trustworthy.core import checks
from trustworthy.core.digest import digest
from trustworthy.core.errors import InvalidInput, TrainingDiverged, warn
from trustworthy.core.protocols import members_of
from trustworthy.core.record import versions
from trustworthy.core.study import Arrays, Parts, Piece, alone, study
from trustworthy.report.audit import device_of
from trustworthy.report.benchmark import saved
from trustworthy.report.benchmark.judging import judge, pictured
from trustworthy.report.benchmark.meaning import METRICS
from trustworthy.report.benchmark.profiles import PROFILES, Profile
from trustworthy.report.benchmark.record import BenchmarkRecord, Run, TrialRecord
from trustworthy.report.benchmark.suites import SUITES, Suite, folder_suite
from trustworthy.report.benchmark.training import fitted, known_methods, methods_of
from trustworthy.report.benchmark.trials import ImageTrial, Trial
from trustworthy.training.weights import model_tensors
from trustworthy.uncertainty import Method

MODELS = "models"
TRAINING = 0.9
"""Share of the work of a run that is its training; the rest is judging."""
OnProgress = Callable[[str, float], None]
"""Called with what is running and the share of all that is done, from 0 to 1."""


def run(
    suite: str | os.PathLike[str] | Suite = "cells",
    out: str | os.PathLike[str] | None = None,
    *,
    methods: Sequence[str] | None = None,
    seeds: int = 3,
    profile: str | Profile = "small",
    epochs: int | None = None,
    data: str | None = None,
    average: str | None = None,
    device: str | torch.device | None = None,
    command: str = "",
    on_progress: OnProgress | None = None,
) -> BenchmarkRecord:
    """Train each method under each seed on each trial of a suite, and judge its uncertainty.

    Parameters
    ----------
    suite : "cells", "pairs", "classification", a folder with `source`, `target` and perhaps `mask`, or a `Suite`.
    out : folder of `benchmark.json`, `results.csv`, the figures, `report.html` and the trained models; a benchmark that
        was interrupted goes on where it stopped. None writes nothing.
    methods : names of `trustworthy.uncertainty.METHODS`, and "single" for one network; None for all.
    seeds : how often each method is trained, under the seeds 0, 1, ...; the data are the same.
    profile : a name of `PROFILES`, or sizes of one's own.
    epochs : of a training, for those of the profile.
    data, average : of a classification: a set of images by name (digits), and what is averaged over the members.
    device : None for a GPU where there is one.

    Raises
    ------
    InvalidInput, DataError, CheckpointError : the message says what is wrong and what to do.
    """
    begun = time.perf_counter()
    checks.integer("seeds", seeds, at_least=1)
    sizes, names = _sizes(profile, epochs), known_methods(methods)
    chosen = _suite(suite, sizes, data=data, average=average)
    folder, where = None if out is None else Path(out), device_of(device)
    jobs = [
        _Job(trial=trial, name=name, method=method, seed=seed, draws=sizes.draws, folder=folder, device=where)
        for seed in range(seeds)  # outermost: an interrupted benchmark has all methods under its first seeds
        for trial in chosen.trials
        for name, method in methods_of(names, sizes, trial).items()
    ]
    pieces = _pieces(jobs, on_progress or (lambda what, share: None))
    store = Parts(folder, Run, "benchmark (data, method, sizes or versions differ)")
    with alone(folder, "benchmark"):
        measured = list(study(pieces, store))
        runs = [run for run, _ in measured]
        scored = {name for run in runs for scores in run.tests.values() for name in scores.values}
        record = BenchmarkRecord(
            suite=chosen.name, title=chosen.title, created=datetime.now(UTC).isoformat(timespec="seconds"),
            command=command, fingerprint=digest([piece.mark for piece in pieces]),
            conditions=asdict(sizes)
            | {"device": str(where), "data": {trial.name: trial.fingerprint for trial in chosen.trials}},
            metrics={name: asdict(metric) for name, metric in METRICS.items() if name in scored},
            trials={
                trial.name: TrialRecord(title=trial.title, says=trial.says, tests=trial.about, shown=list(trial.shown))
                for trial in chosen.trials
            },
            methods=names, seeds=list(range(seeds)), runs=runs, notes=chosen.notes,
            wall_time=time.perf_counter() - begun,
        )  # fmt: skip
        if folder is not None:
            saved.write(folder, record, _pictures(chosen.trials, jobs, [arrays for _, arrays in measured]))
    return record


def _sizes(profile: str | Profile, epochs: int | None) -> Profile:
    sizes = profile if isinstance(profile, Profile) else checks.choice("profile", profile, PROFILES)
    if epochs is None:
        return sizes
    checks.integer("epochs", epochs, at_least=1)
    return replace(sizes, epochs=epochs, row_epochs=epochs)


def _suite(suite: str | os.PathLike[str] | Suite, profile: Profile, **options: str | None) -> Suite:
    """The suite by its name, or of the pairs in a folder."""
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if given and suite != "classification":
        raise InvalidInput(
            f"{' and '.join(given)} is for the suite classification, got suite {str(suite)!r}; leave it out."
        )
    if isinstance(suite, Suite):
        return suite
    if str(suite) in SUITES:
        return SUITES[str(suite)](profile, **given)
    if Path(suite).is_dir():
        return folder_suite(suite, profile)
    raise InvalidInput(
        f"suite must be {', '.join(SUITES)} or a folder that holds source/ and target/ with images of equal names, got "
        f"{str(suite)!r}."
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class _Job:
    """One method, under one seed, on one trial. folder : of all models. draws : of what draws anew."""

    trial: Trial
    name: str
    method: Method
    seed: int
    draws: int
    folder: Path | None
    device: torch.device

    @property
    def key(self) -> str:
        return f"{self.trial.name}-{self.name}-{self.seed}"

    @property
    def mark(self) -> str:
        """Of everything that the run depends on."""
        device = str(self.device)
        return digest(self.trial.fingerprint, repr(self.method), self.seed, self.draws, versions(), device)

    def run(self, tell: Callable[[float], None]) -> tuple[Run, Arrays]:
        """Train and judge; a training that diverges is what is recorded of it."""
        trial, method, seed, device = self.trial, self.method, self.seed, self.device
        about: dict[str, Any] = {
            "trial": trial.name, "method": self.name, "seed": seed, "settings": repr(method),
            "network": repr(trial.recipe(0.0)), "preprocessing": trial.preprocessing, "device": str(device),
        }  # fmt: skip
        kept = None if self.folder is None else self.folder / MODELS / self.key
        try:
            model, cost = fitted(trial, self.name, method, seed, kept, device, lambda share: tell(TRAINING * share))
        except TrainingDiverged as error:
            warn(f"{self.name} failed on {trial.title} under seed {seed}: {error}")
            return Run(**about, failed=str(error)), {}
        found = judge(
            trial, model, draws=self.draws, batch_size=method.batch_size, device=device, seed=seed,
            tell=lambda share: tell(TRAINING + (1.0 - TRAINING) * share),
        )  # fmt: skip
        members = members_of(model)
        record = Run(
            **about, members=members or self.draws, fixed=members is not None, weights=digest(model_tensors(model)),
            parameters=sum(weight.numel() for weight in model.parameters()),
            training_seconds=cost["seconds"], passes=cost["passes"] / method.epochs,
            prediction_seconds=found.seconds, tests=found.tests,
        )  # fmt: skip
        return record, found.arrays if seed == 0 else {}


def _pieces(jobs: Sequence[_Job], tell: OnProgress) -> list[Piece[Any]]:
    """A piece for each job, which tells the share of all work that is done: passes over the data times rows."""
    work = np.cumsum([0.0, *(job.method.passes * len(job.trial.train) for job in jobs)])

    def piece(job: _Job, begin: float, end: float) -> Piece[Any]:
        def share_of_all(share: float) -> None:
            tell(f"{job.trial.title}: {job.name}, seed {job.seed}", float(begin + share * (end - begin)))

        return Piece(job.key, job.mark, lambda: job.run(share_of_all), share_of_all)

    return [piece(*given) for given in zip(jobs, work[:-1] / work[-1], work[1:] / work[-1], strict=True)]


def _pictures(trials: Sequence[Trial], jobs: Sequence[_Job], arrays: Sequence[Arrays]) -> Arrays:
    """What the page shows: of each shown test the fields, what is foreign in them, and what each method says."""
    found: Arrays = {}
    images = [(trial, name) for trial in trials if isinstance(trial, ImageTrial) for name in trial.shown]
    for trial, name in images:
        fields = trial.tests[name].take(pictured(trial.tests[name]))
        roles = {"source": fields.source, "target": fields.target, "mask": fields.masks}
        found |= {f"{trial.name}/{name}/{role}": array for role, array in roles.items() if array is not None}
    return found | {
        f"{job.trial.name}/{key}/{job.name}": array
        for job, own in zip(jobs, arrays, strict=True) for key, array in own.items()
    }  # fmt: skip
