"""The benchmark of uncertainty: every method trained under every seed, on every trial of a suite, and judged."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
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
from trustworthy.uncertainty import Method

MODELS = "models"
OnProgress = Callable[[str, float], None]
"""Called with what is running and the share of all that is done, from 0 to 1."""


@dataclass(frozen=True, eq=False, kw_only=True)
class _Job:
    """One method, under one seed, on one trial; `share` of all the work, from `begin` on."""

    trial: Trial
    name: str
    method: Method
    seed: int
    begin: float
    share: float

    @property
    def key(self) -> str:
        return f"{self.trial.name}-{self.name}-{self.seed}"


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
    chosen = _suite(suite, sizes, {"data": data, "average": average})
    folder, where = None if out is None else Path(out), device_of(device)
    jobs = _jobs(chosen, names, seeds, sizes)
    store = Parts(folder, Run, "benchmark (data, method, sizes or versions differ)")
    with alone(folder, "benchmark"):
        pieces = [_piece(job, sizes, folder, where, on_progress or (lambda what, share: None)) for job in jobs]
        measured = list(study(pieces, store))
        record = BenchmarkRecord(
            suite=chosen.name, title=chosen.title, created=datetime.now(UTC).isoformat(timespec="seconds"),
            command=command, fingerprint=digest([piece.mark for piece in pieces]),
            conditions=_plain(sizes)
            | {"device": str(where), "data": {trial.name: trial.fingerprint for trial in chosen.trials}},
            metrics={name: asdict(metric) for name, metric in METRICS.items() if _has(measured, name)},
            trials={trial.name: _told(trial) for trial in chosen.trials},
            methods=names, seeds=list(range(seeds)), runs=[run for run, _ in measured],
            notes=chosen.notes, wall_time=time.perf_counter() - begun,
        )  # fmt: skip
        if folder is not None:
            saved.write(folder, record, _pictures(chosen, jobs, [arrays for _, arrays in measured]))
    return record


def _sizes(profile: str | Profile, epochs: int | None) -> Profile:
    sizes = profile if isinstance(profile, Profile) else checks.choice("profile", profile, PROFILES)
    if epochs is None:
        return sizes
    checks.integer("epochs", epochs, at_least=1)
    return replace(sizes, epochs=epochs, row_epochs=epochs)


def _suite(suite: str | os.PathLike[str] | Suite, profile: Profile, options: dict[str, Any]) -> Suite:
    """The suite by its name, or of the pairs in a folder."""
    given = {name: value for name, value in options.items() if value is not None}
    if given and suite != "classification":
        raise InvalidInput(
            f"{' and '.join(given)} is for the suite classification, got suite {str(suite)!r}; leave it out."
        )
    if isinstance(suite, Suite):
        return suite
    if (make := SUITES.get(str(suite))) is not None:
        return make(profile, **given)
    if Path(suite).is_dir():
        return folder_suite(suite, profile)
    raise InvalidInput(
        f"suite must be {', '.join(SUITES)} or a folder that holds source/ and target/ with images of equal names, got "
        f"{str(suite)!r}."
    )


def _jobs(suite: Suite, names: Sequence[str], seeds: int, profile: Profile) -> list[_Job]:
    """Seeds outermost, so that an interrupted benchmark has all methods under its first seeds."""
    of_trial = {trial.name: methods_of(names, profile, trial) for trial in suite.trials}
    wanted = [
        (trial, name, method, seed)
        for seed in range(seeds)
        for trial in suite.trials
        for name, method in of_trial[trial.name].items()
    ]
    work = np.array([method.passes * len(trial.data[0]) for trial, _, method, _ in wanted])
    begin = np.concatenate([[0.0], np.cumsum(work)]) / work.sum()
    return [
        _Job(trial=trial, name=name, method=method, seed=seed, begin=float(start), share=float(end - start))
        for (trial, name, method, seed), start, end in zip(wanted, begin, begin[1:], strict=False)
    ]


def _piece(job: _Job, profile: Profile, folder: Path | None, device: torch.device, tell: OnProgress) -> Piece[Any]:
    mark = digest(job.trial.fingerprint, repr(job.method), job.seed, profile.draws, versions(), str(device))
    say = partial(tell, f"{job.trial.title}: {job.name}, seed {job.seed}")

    def at(begin: float, end: float, share: float) -> None:
        say(job.begin + job.share * (begin + (end - begin) * share))

    measure = partial(_measured, job, profile, folder, device, partial(at, 0.0, 0.9), partial(at, 0.9, 1.0))
    return Piece(job.key, mark, measure, partial(at, 0.0, 1.0))


def _measured(
    job: _Job, profile: Profile, folder: Path | None, device: torch.device, training: Any, judging: Any
) -> tuple[Run, Arrays]:
    """Train and judge; a training that diverges is what is recorded of it."""
    about: dict[str, Any] = {
        "trial": job.trial.name, "method": job.name, "seed": job.seed, "settings": repr(job.method),
        "network": repr(job.trial.recipe(0.0)), "preprocessing": job.trial.preprocessing, "device": str(device),
    }  # fmt: skip
    try:
        kept = None if folder is None else folder / MODELS / job.key
        trained = fitted(job.trial, job.name, job.method, job.seed, kept, device, training)
    except TrainingDiverged as error:
        warn(f"{job.name} failed on {job.trial.title} under seed {job.seed}: {error}")
        return Run(**about, failed=str(error)), {}
    members = members_of(trained.model)
    found = judge(
        job.trial, trained.model, draws=profile.draws, batch_size=profile.batch_size, device=device, seed=job.seed,
        tell=judging,
    )  # fmt: skip
    run = Run(
        **about, members=members or profile.draws, fixed=members is not None, weights=trained.weights,
        parameters=sum(weight.numel() for weight in trained.model.parameters()),
        training_seconds=trained.seconds, passes=trained.passes / job.method.epochs,
        prediction_seconds=found.seconds, tests=found.tests,
    )  # fmt: skip
    return run, found.arrays if job.seed == 0 else {}


def _has(measured: Sequence[tuple[Run, Arrays]], metric: str) -> bool:
    return any(metric in scores.values for run, _ in measured for scores in run.tests.values())


def _told(trial: Trial) -> TrialRecord:
    if not isinstance(trial, ImageTrial):
        about = {name: f"{len(rows.x):,} rows" for name, rows in trial.tests.items()}
        return TrialRecord(title=trial.title, says=trial.says, tests=about)
    about = {}
    for name, pairs in trial.tests.items():
        foreign = "" if pairs.masks is None else f", {pairs.masks.mean():.1%} of the pixels foreign"
        about[name] = f"{len(pairs)} fields of {pairs.source.shape[2]} × {pairs.source.shape[3]} pixels{foreign}"
    return TrialRecord(title=trial.title, says=trial.says, tests=about, shown=list(trial.shown))


def _pictures(suite: Suite, jobs: Sequence[_Job], arrays: Sequence[Arrays]) -> Arrays:
    """What the page shows: of each shown test the fields, what is foreign in them, and what each method says."""
    found: Arrays = {}
    for trial in suite.trials:
        for name in trial.shown if isinstance(trial, ImageTrial) else ():
            assert isinstance(trial, ImageTrial)
            pairs = trial.tests[name]
            fields = pairs.take(pictured(pairs))
            place = f"{trial.name}/{name}"
            found |= {f"{place}/source": fields.source, f"{place}/target": fields.target}
            if fields.masks is not None:
                found[f"{place}/mask"] = fields.masks
    for job, own in zip(jobs, arrays, strict=True):
        for key, array in own.items():
            test, role = key.rsplit("/", 1)
            found[f"{job.trial.name}/{test}/{role}/{job.name}"] = array
    return found


def _plain(profile: Profile) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(profile).items()}
