"""How few poisoned labels ruin a graph learner: the study behind `trustworthy poison`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from trustworthy import datasets
from trustworthy.core import checks
from trustworthy.core.digest import digest
from trustworthy.core.errors import InvalidInput
from trustworthy.core.progress import portion
from trustworthy.core.record import versions
from trustworthy.core.study import Arrays, Parts, Piece, Store, alone, study, writing
from trustworthy.graphs.poisoning import METHODS
from trustworthy.graphs.poisoning.problem import KNOWLEDGE
from trustworthy.graphs.poisoning.regression import SOLVERS
from trustworthy.report.poisoning.record import Point, PoisoningRecord, SplitRecord, mean_curve
from trustworthy.report.poisoning.rows import LabelledRows, draw
from trustworthy.report.poisoning.split import Protocol, Split
from trustworthy.report.poisoning.words import answer

FILE, FIGURE = "poisoning.json", "poisoning.svg"
OnProgress = Callable[[str, float], None]
"""Called with what is running and the share of it that is done, from 0 to 1."""


def poison(
    data: Any,
    out: str | Path | None = None,
    *,
    label: str | None = None,
    drop: Collection[str] = (),
    regression: bool = False,
    labelled: int = 100,
    budgets: Sequence[float] | None = None,
    gamma: float | None = None,
    method: str | None = None,
    classes: Sequence[str] | None = None,
    rows: int | None = None,
    n_neighbors: int | None = None,
    knowledge: str = "true",
    splits: int = 1,
    baselines: bool = True,
    seed: int = 0,
    command: str = "",
    on_progress: OnProgress | None = None,
) -> PoisoningRecord:
    """Measure how much damage poisoned labels do to label propagation on a data set.

    Parameters
    ----------
    data, label, drop : as `datasets.read` takes them: a name, a file or folder, a frame, a pair (x, y), a `Dataset`.
    regression : labels are numbers, whole ones too; else labels with fractions are, and all others are classes.
    out : folder for `poisoning.json` and `poisoning.svg`; a study that was interrupted goes on where it stopped.
    labelled : rows that keep their label, from 2 to all but one; the others are predicted, and the error is theirs.
    budgets : labels to flip, by default 0 to 10; or l2 norms of a change of real labels, which are brought to [0, 1],
        by default 0, 0.02, ... 0.18 times sqrt(labelled).
    gamma : width of the graph; None for the best by leaving each label out in turn.
    method : of the attack, by default "local-search", or "exact" for a regression.
    classes, rows : the two classes, by default the commonest, and how many rows are drawn; None for all.
    n_neighbors : for a sparse graph. knowledge : "true" or "estimated". baselines : attack random and central labels.
    splits : draws of the known labels; the curve is their mean.

    Raises
    ------
    InvalidInput, DataError : the message names the argument and says what to do.
    """
    begun = time.perf_counter()
    checks.integer("seed", seed, at_least=0)
    checks.integer("splits", splits, at_least=1)
    dataset = datasets.read(data, label=label, drop=drop, task="regression" if regression else None)
    drawn = draw(dataset, classes=classes, rows=rows, seed=seed)
    protocol = Protocol(
        labelled=labelled, gamma=gamma, n_neighbors=n_neighbors,
        method=method or ("local-search" if drawn.classifies else "exact"),
        knowledge=knowledge, baselines=baselines, seed=seed,
    )  # fmt: skip
    _check(drawn, protocol)
    chosen = _budgets(drawn, labelled, budgets)
    conditions = _conditions(drawn, protocol)
    mark = digest(drawn.fingerprint, conditions, seed, versions())
    folder = None if out is None else Path(out)
    store = Parts(folder, SplitRecord | Point, "study (data, learner, attack, seed or version differ)")

    def tell(number: int, what: str, share: float) -> None:
        if on_progress is not None:
            on_progress(f"split {number + 1} of {splits}, {what}" if splits > 1 else what, share)

    with alone(folder, "study"):
        measured = [
            _measured(Split(drawn, protocol, number), chosen, mark, store, partial(tell, number))  # one graph at a time
            for number in range(splits)
        ]
        curve = mean_curve(measured, classifies=drawn.classifies, labelled=labelled)
        record = PoisoningRecord(
            name="poisoning.error", value=curve.error[-1],
            unit="" if drawn.classifies else "of the range of the labels",
            conditions=conditions | {"splits": splits}, seed=seed, wall_time=time.perf_counter() - begun,
            created=datetime.now(UTC).isoformat(timespec="seconds"), command=command, fingerprint=mark,
            statement=answer(curve, splits), budgets=chosen, splits=measured,
        )  # fmt: skip
        if folder is not None:
            _write(folder, record)
    return record


def _measured(split: Split, budgets: Sequence[float], mark: str, store: Store[Any], tell: OnProgress) -> SplitRecord:
    """What is known of a split without an attack, and then an attack with each budget."""

    def begin() -> tuple[SplitRecord, Arrays]:
        if split.protocol.gamma is None:
            what = "choosing the width of the graph"
            tell(what, 0.0)
            split.gamma = split.chosen_gamma(partial(tell, what))
        tell(f"graph of width {split.gamma:.3g}", 0.0)
        return split.record(), {}

    key = f"split-{split.number}"
    record, _ = next(study([Piece(key, mark, begin)], store))
    split.gamma = record.gamma
    pieces = (
        Piece(
            f"{key}-budget-{budget!r}",
            mark,
            lambda budget=budget: (next(split.points([budget])), {}),
            portion(partial(tell, "attacks"), place, len(budgets)),
        )
        for place, budget in enumerate(budgets)
    )
    return record.model_copy(update={"points": [point for point, _ in study(pieces, store)]})


def _write(folder: Path, record: PoisoningRecord) -> None:
    """Write `poisoning.json`, and the curve as a picture of its own, light or dark as the viewer is."""
    from trustworthy.report.plots import Style, poisoning_curve, standalone

    figure = poisoning_curve("poisoning", Style(1), record.curve(), legend=True)
    for name, text in ((FILE, record.model_dump_json(indent=1)), (FIGURE, standalone(figure))):
        with writing(folder / name) as stream:
            stream.write(text)


def _check(rows: LabelledRows, protocol: Protocol) -> None:
    """Refuse what does not fit the rows before anything is measured."""
    if checks.integer("labelled", protocol.labelled, at_least=2) >= len(rows.y):
        raise InvalidInput(
            f"labelled must leave at least one of the {len(rows.y):,} rows"
            f"{f' of {rows.classes[0]} and {rows.classes[1]}' if rows.classifies else ''} without its label, got "
            f"{protocol.labelled}. Label fewer rows, or draw more of them where `rows` limits them."
        )
    if protocol.gamma is not None:
        checks.real("gamma", protocol.gamma, above=0.0)
    if protocol.n_neighbors is not None:
        checks.integer("neighbors", protocol.n_neighbors, at_least=1, at_most=len(rows.y) - 1)
    checks.choice("knowledge", protocol.knowledge, KNOWLEDGE)
    checks.choice("method", protocol.method, METHODS if rows.classifies else SOLVERS)


def _budgets(rows: LabelledRows, labelled: int, given: Sequence[float] | None) -> list[float]:
    """Ascending budgets, each once."""
    if given is None:
        if rows.classifies:
            return [float(flips) for flips in range(min(10, labelled) + 1)]
        return [float(f"{0.02 * step * math.sqrt(labelled):.6g}") for step in range(10)]
    if not len(given):
        raise InvalidInput("budget must be given at least once, got none.")
    if not rows.classifies:
        return sorted({checks.real("budget", budget, at_least=0.0) for budget in given})
    whole = [int(budget) if float(budget).is_integer() else budget for budget in given]
    flips = {checks.integer("budget", count, at_least=0) for count in whole}
    if max(flips) > labelled:
        raise InvalidInput(
            f"budget must be at most {labelled}, the number of labelled rows, got {max(flips)}. "
            "Flip fewer, or label more rows."
        )
    return sorted(map(float, flips))


def _conditions(rows: LabelledRows, protocol: Protocol) -> dict[str, Any]:
    """Everything that defines the measurement but the budgets, the splits and the seed."""
    labels: dict[str, Any] = {"classes": list(rows.classes)} if rows.classifies else {"range": list(rows.label_range)}
    return {
        "task": "classification" if rows.classifies else "regression",
        "data": rows.name,
        "part": rows.part,
        "rows": len(rows.y),
        "features": rows.x.shape[1],
        **labels,
        **{key: item for key, item in asdict(protocol).items() if key != "seed"},
    }
