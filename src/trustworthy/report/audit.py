"""The audit: every step of the plan on every model, saved as it goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.record import versions
from trustworthy.datasets import Dataset
from trustworthy.report.examples import Examples
from trustworthy.report.finding import AuditRecord, Omission
from trustworthy.report.plan import Plan
from trustworthy.report.profiles import make_plan
from trustworthy.report.render import REPORT, render
from trustworthy.report.rows import draw_examples, read_data
from trustworthy.report.steps import (
    ALL_MODELS,
    POISONING,
    STEPS,
    TRANSFER,
    Case,
    Measured,
    NotApplicable,
    drawn_rows,
    poisoning,
    transfer,
)
from trustworthy.report.store import Part, Store, explained, fingerprint
from trustworthy.report.subject import Subject, examine

OnProgress = Callable[[str, str, float], None]
"""Called with the model, the step and the share of the step that is done, from 0 to 1."""


def audit(
    model: Any,
    data: Any,
    out: str | Path | None = None,
    *,
    profile: str | None = None,
    plan: Plan | dict[str, Any] | str | Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    title: str = "",
    command: str = "",
    sources: Mapping[str, str] | None = None,
    on_progress: OnProgress | None = None,
) -> AuditRecord:
    """Measure how far one or several models can be depended on.

    Parameters
    ----------
    model : a module or callable from tensors to logits, a fitted scikit-learn classifier, or a dict of them by name.
    data : name of a data set, path of an .npz file, a `Dataset`, or a pair (x, y). Images lie in [0, 1].
    out : folder for `findings.json`, `arrays.npz` and `report.html`; None writes nothing. An audit that was
        interrupted goes on where it stopped if it is started again with the same arguments.
    profile, plan : "quick", "standard" or "thorough", and what to change of it (docs/plan.md).
    limit : test rows, in place of the plan's; 0 for all.
    seed : source of all randomness.
    device : where the models run, modules are moved there; None for the GPU where there is one.
    title, command, sources : shown in the report; `sources` says where each model came from.
    on_progress : told what is running.

    Raises
    ------
    InvalidInput, DataError : what was given cannot be audited; the message says why and what to do.

    Cost: the profile "standard" takes well under a minute for a small model.
    """
    begun = time.perf_counter()
    checks.integer("seed", seed, at_least=0)
    limits = {} if limit is None else {"rows": checks.integer("limit", limit, at_least=0)}
    chosen = plan.model_copy(update=limits) if isinstance(plan, Plan) else make_plan(profile, plan, **limits)
    where = _device(device)
    dataset = read_data(data)
    examples = draw_examples(dataset, chosen.rows, seed)
    named = dict(model) if isinstance(model, Mapping) else {"model": model}
    if not named:
        raise InvalidInput("model must hold at least one model, got none.")
    subjects = [
        examine(
            name,
            m,
            examples,
            batch=chosen.batch,
            seed=seed,
            device=where,
            draws=chosen.draws,
            source=(sources or {}).get(name, ""),
        )
        for name, m in named.items()
    ]
    run = _Run(examples, chosen, seed, where, Store(None if out is None else Path(out)), on_progress)
    for place, subject in enumerate(subjects):
        run.all_steps(place, subject)
    if len(subjects) > 1:
        run.transfer(subjects)
    run.poisoning(subjects, dataset)
    record = AuditRecord(
        title=title or f"Trust report: {', '.join(named)} on {examples.name}",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        models=[subject.described() for subject in subjects],
        data=examples.described(),
        plan=chosen.model_dump(),
        seed=seed,
        wall_time=time.perf_counter() - begun,
        findings=[finding for part in run.parts for finding in part.findings],
        omissions=[part.omission for part in run.parts if part.omission],
    )
    run.store.finish(record, run.arrays)
    if out is not None:
        with explained(Path(out) / REPORT):
            render(out)
    return record


class _Run:
    """The steps of one audit, and what they have left so far."""

    def __init__(
        self, examples: Examples, plan: Plan, seed: int, device: torch.device, store: Store, tell: OnProgress | None
    ) -> None:
        self.examples, self.plan, self.seed, self.device, self.store = examples, plan, seed, device, store
        self.tell: OnProgress = tell or (lambda model, step, share: None)
        self.parts: list[Part] = []
        self.arrays: dict[str, np.ndarray] = {}

    def all_steps(self, place: int, subject: Subject) -> None:
        """Every step on one model."""
        for name, step in STEPS.items():
            case = self._case(subject, name)
            self._step(f"{place}-{name}", name, subject.name, [subject.fingerprint], partial(step, case))

    def transfer(self, subjects: list[Subject]) -> None:
        """The step that is about all models together."""
        cases = [self._case(subject, TRANSFER) for subject in subjects]
        marks = [f"{subject.name} {subject.fingerprint}" for subject in subjects]
        self._step(f"all-{TRANSFER}", TRANSFER, ALL_MODELS, marks, partial(transfer, cases))

    def poisoning(self, subjects: list[Subject], dataset: Dataset) -> None:
        """The step that is about the data."""
        cases = [self._case(subject, POISONING) for subject in subjects]
        rows = drawn_rows(cases, dataset)
        mark = rows if isinstance(rows, str) else rows.fingerprint
        self._step(f"all-{POISONING}", POISONING, ALL_MODELS, [mark], partial(poisoning, cases, rows))

    def _case(self, subject: Subject, step: str) -> Case:
        return Case(
            subject=subject,
            examples=self.examples,
            plan=self.plan,
            seed=self.seed,
            device=self.device,
            advance=lambda share: self.tell(subject.name, step, share),
        )

    def _step(self, key: str, name: str, model: str, about: list[str], measure: Callable[[], Measured]) -> None:
        mark = fingerprint(
            step=name,
            models=[model, *about],
            data=self.examples.described(),
            plan=self.plan.model_dump(),
            seed=self.seed,
            device=str(self.device),
            versions=versions(),
        )
        self.tell(model, name, 0.0)
        kept = self.store.load(key, mark)
        if kept is None:
            kept = self._measured(name, model, mark, measure)
            self.store.save(key, *kept)
        self.tell(model, name, 1.0)
        self.parts.append(kept[0])
        self.arrays |= kept[1]

    def _measured(self, name: str, model: str, mark: str, measure: Callable[[], Measured]) -> tuple[Part, dict]:
        begun = time.perf_counter()
        try:
            if name in self.plan.skip:
                raise NotApplicable("the plan skips it.")
            measured = measure()
        except NotApplicable as reason:
            return Part(fingerprint=mark, omission=Omission(model=model, part=name, reason=str(reason))), {}
        seconds = time.perf_counter() - begun
        timed = [finding.model_copy(update={"wall_time": seconds}) for finding in measured.findings]
        return Part(fingerprint=mark, findings=timed), measured.arrays


def _device(device: str | torch.device | None) -> torch.device:
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise InvalidInput(f"device must be one that torch can use here, got {device!r}: {error}") from error
    return chosen
