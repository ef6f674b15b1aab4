"""The audit: every kind of finding on every model, saved as it goes."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ConfigDict, Field

from trustworthy.core import checks
from trustworthy.core.digest import digest
from trustworthy.core.errors import InvalidInput, ModelContractError
from trustworthy.core.record import Frozen, versions
from trustworthy.core.study import Parts, Piece, alone, study
from trustworthy.datasets import Dataset
from trustworthy.models import LoadedModel
from trustworthy.report import per_row
from trustworthy.report.case import Case
from trustworthy.report.columns import with_categories
from trustworthy.report.finding import ALL_MODELS, AuditRecord, Finding, Omission
from trustworthy.report.findings import KINDS
from trustworthy.report.kind import Kind, Measured, NotApplicable
from trustworthy.report.plan import Plan, make_plan
from trustworthy.report.render import render
from trustworthy.report.rows import Examples, draw_examples, inputs_of, read_data
from trustworthy.report.saved import write
from trustworthy.report.subject import Subject, examine
from trustworthy.report.texts import embedded

OnProgress = Callable[[str, str, float], None]
"""Called with the model, the step and the share of the step that is done, from 0 to 1."""
AT_ONCE = 2**22
"""Numbers that a model is shown at once at most: 27 pictures of 224 pixels a side, 21 texts of 512 tokens."""
_Left = tuple["Part", dict[str, np.ndarray]]


def audit(
    model: Any,
    data: Any,
    out: str | Path | None = None,
    *,
    label: str | None = None,
    train: Any = None,
    drop: Collection[str] = (),
    group: str | None = None,
    size: int | None = None,
    profile: str | None = None,
    plan: Plan | dict[str, Any] | str | Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    title: str = "",
    command: str = "",
    on_progress: OnProgress | None = None,
    kinds: Sequence[Kind] = KINDS,
) -> AuditRecord:
    """Measure how far one or several models can be depended on.

    Parameters
    ----------
    model : a module or callable from tensors, or from NumPy arrays, to logits, a posterior of them (`draws` and
        `modules`), a fitted scikit-learn classifier, or a dict of them by name. Of a stochastic model the plan's
        `draws` are averaged; or what `models.load_model` gives.
        Where a model raises in the midst, that part is marked as failed, and the rest measured.
    data : name of a data set, a file, folder, frame or pair (x, y) as `datasets.read` takes them, or a `Dataset`.
        Images lie in [0, 1].
    label, train, drop, size : see `datasets.read`.
    group : column that says which rows belong together (site, patient, camera): accuracy is shown for each group, and
        its interval allows for rows of one group being alike; all other intervals treat rows as independent. The column
        is an input only of models that were fitted with it by name.
    out : folder for `findings.json`, `arrays.npz`, `report.html` and, where pyarrow is installed, `rows.parquet`; None
        writes nothing. An audit that was interrupted goes on where it stopped if it is started again with the same
        arguments. One audit at a time.
    profile, plan : "quick", "standard" or "thorough", and what to change of it (docs/plan.md).
    limit : test rows, in place of the plan's; 0 for all.
    seed : source of all randomness.
    device : where the models run, modules are moved there; None for the GPU where there is one.
    title, command : shown in the report.
    on_progress : told what is running.
    kinds : kinds of finding to measure.

    Raises
    ------
    InvalidInput, DataError : what was given cannot be audited; the message says why and what to do.

    Cost: the profile "standard" takes well under a minute for a small model.
    """
    begun = time.perf_counter()
    checks.integer("seed", seed, at_least=0)
    limits = {} if limit is None else {"rows": checks.integer("limit", limit, at_least=0)}
    chosen = plan if isinstance(plan, Plan) else make_plan(profile, plan, kinds=kinds)
    if not all(kind.section in dict(chosen) for kind in kinds if dict(kind.settings["standard"])):
        raise InvalidInput("plan must be made for the kinds of this audit; pass them to make_plan(..., kinds=...) too.")
    chosen = chosen.model_copy(update=limits)
    where = device_of(device)
    named = dict(model) if isinstance(model, Mapping) else {"model": model}
    if not named:
        raise InvalidInput("model must hold at least one model, got none.")
    given: Any = {"label": label, "train": train, "drop": drop, "group": group, "size": size}
    bare = {name: each.model if isinstance(each, LoadedModel) else each for name, each in named.items()}
    dataset = inputs_of(read_data(data, chosen.rows, seed, **given), bare)
    dataset, columns = with_categories(dataset, chosen.columns, bare.values())
    examples = embedded(draw_examples(dataset, chosen.rows, seed, columns), bare)
    chosen = chosen.model_copy(update={"batch": at_once(chosen.batch, examples)})
    folder = None if out is None else Path(out)
    with alone(folder, "audit"):
        asked: Any = {"batch": chosen.batch, "seed": seed, "device": where, "draws": chosen.draws}
        subjects = [examine(name, each, examples, **asked) for name, each in named.items()]
        frame = {"examples": examples, "seed": seed, "device": where}
        frame |= {key: getattr(chosen, key) for key in ("batch", "resamples", "level")}
        run = _Run(frame, chosen, dataset, on_progress or (lambda model, step, share: None))
        store = _Lasting(folder, Part, "audit (model, data, plan, seed or version differ)")
        left = list(study(run.pieces(subjects, kinds), store))
        record = AuditRecord(
            title=title or f"Trust report: {', '.join(named)} on {examples.name}", command=command,
            created=datetime.now(UTC).isoformat(timespec="seconds"), seed=seed, wall_time=time.perf_counter() - begun,
            models=[subject.described() for subject in subjects], data=examples.described(), plan=chosen.model_dump(),
            findings=[finding for part, _ in left for finding in part.findings],
            omissions=[part.omission for part, _ in left if part.omission],
        )  # fmt: skip
        if folder is not None:
            columns = {subject.name: per_row.answered(subject, examples) for subject in subjects}
            for part, arrays in left:
                for column, key in part.rows.items():
                    columns[part.model][column] = arrays.pop(key)
            per_row.write(folder, record, columns)
            write(folder, record, {name: array for _, arrays in left for name, array in arrays.items()})
            render(folder)
    return record


class Part(Frozen):
    """What one kind left of one model, or of all: findings or an omission.

    rows : key of the array of each column of `rows.parquet`, of the model `model`.
    """

    model_config = ConfigDict(ser_json_inf_nan="constants")

    findings: list[Finding] = Field(default_factory=list)
    omission: Omission | None = None
    model: str = ""
    rows: dict[str, str] = Field(default_factory=dict)


class _Lasting(Parts[Part]):
    """Parts, but for those that failed: the next audit tries them again."""

    def save(self, key: str, mark: str, record: _Left) -> None:
        """Keep a part that did not fail."""
        if not (record[0].omission and record[0].omission.failed):
            super().save(key, mark, record)


@dataclass(frozen=True)
class _Run:
    """What one audit measures; `frame` is what every case shares."""

    frame: dict[str, Any]
    plan: Plan
    dataset: Dataset
    tell: OnProgress

    def pieces(self, subjects: Sequence[Subject], kinds: Sequence[Kind]) -> Iterator[Piece[_Left]]:
        """Every kind on every model, cheap ones first; then what compares models, then what judges the data."""
        ordered = sorted(kinds, key=lambda kind: kind.cost)
        for place, subject in enumerate(subjects):
            for kind in ordered:
                if kind.about == "model":
                    yield self._piece(f"{place}-{kind.step}", kind, subject.name, [self._case(kind, subject)])
        for about in ("models", "data")[len(subjects) < 2 :]:
            for kind in ordered:
                if kind.about == about:
                    cases = [self._case(kind, subject) for subject in subjects]
                    yield self._piece(f"all-{kind.step}", kind, ALL_MODELS, cases)

    def _case(self, kind: Kind, subject: Subject) -> Case:
        return Case(
            kind=kind, subject=subject, attacks=self.plan.attacks if kind.attacks else None,
            dataset=self.dataset if kind.about == "data" else None,
            advance=partial(self.tell, subject.name, kind.step), **self.frame,
        )  # fmt: skip

    @cached_property
    def _shared(self) -> str:
        """Digest of what every part depends on."""
        rest = {key: str(item) for key, item in self.frame.items() if key != "examples"}
        return digest({"data": self.frame["examples"].described(), "frame": rest, "versions": versions()})

    def _piece(self, key: str, kind: Kind, model: str, cases: list[Case]) -> Piece[_Left]:
        about = [f"{case.subject.name} {case.subject.fingerprint}" for case in cases]
        if kind.depends is not None:
            about = [kind.depends(cases, self.plan.of(kind))]
        mark = digest({
            "step": kind.step, "skipped": kind.step in self.plan.skip, "settings": self.plan.of(kind).model_dump(),
            "attacks": self.plan.attacks.model_dump() if kind.attacks else None, "models": [model, *about],
            "draws": [case.subject.draws for case in cases], "shared": self._shared,
        })  # fmt: skip
        return Piece(key, mark, partial(self._measured, kind, model, cases), partial(self.tell, model, kind.step))

    def _measured(self, kind: Kind, model: str, cases: list[Case]) -> _Left:
        begun = time.perf_counter()
        try:
            if kind.step in self.plan.skip:
                raise NotApplicable("the plan skips it.")
            measured: Measured = kind.measure(cases[0] if kind.about == "model" else cases, self.plan.of(kind))
        except NotApplicable as reason:
            return Part(omission=Omission(model=model, part=kind.step, reason=str(reason))), {}
        except (ModelContractError, RuntimeError, MemoryError) as error:  # the model, or what torch makes of it
            said = textwrap.shorten(str(error), 300).rstrip(".") or type(error).__name__
            return Part(omission=Omission(model=model, part=kind.step, reason=f"{said}.", failed=True)), {}
        seconds = time.perf_counter() - begun
        timed = [finding.model_copy(update={"wall_time": seconds}) for finding in measured.findings]
        rows = {column: f"{model}/rows/{kind.step}/{column}" for column in measured.rows}
        arrays = measured.arrays | {rows[column]: values for column, values in measured.rows.items()}
        return Part(findings=timed, model=model, rows=rows), arrays


def at_once(batch: int, examples: Examples) -> int:
    """The batch of the plan, or as many examples as hold `AT_ONCE` numbers: gradients take memory by the input."""
    return min(batch, max(1, AT_ONCE // examples.x[0].numel()))


def device_of(device: str | torch.device | None) -> torch.device:
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        said = textwrap.shorten(str(error).splitlines()[0], 100)
        here = "cpu or cuda" if torch.cuda.is_available() else "cpu"
        raise InvalidInput(
            f"device must be one that torch can use here, such as {here}, got {device!r} ({said})"
        ) from error
    return chosen
