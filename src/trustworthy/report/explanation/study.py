"""Explanations of some predictions by several methods, each judged by how robust the prediction is to what it names."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import softmax

from trustworthy.core import checks
from trustworthy.core.digest import digest
from trustworthy.core.record import versions
from trustworthy.core.seeds import torch_generator
from trustworthy.core.study import Arrays, Parts, Piece, alone, study
from trustworthy.explain import Comparison, Criterion, Explainer, RandomOrder, compare
from trustworthy.models import load_model
from trustworthy.report.audit import device_of
from trustworthy.report.explanation import page, telling
from trustworthy.report.explanation.inquiry import Inquiry, inquire
from trustworthy.report.explanation.methods import ABOUT, CRITERIA, RANDOM, chosen, judges
from trustworthy.report.explanation.pieces import Part, kept, restored
from trustworthy.report.explanation.questions import strengths
from trustworthy.report.explanation.record import SAVED, ExplanationRecord, Row

OnProgress = Callable[[str, float], None]
"""Called with what is running and the share of all that is done, from 0 to 1."""
LIKELIEST = 3
"""Classes whose probabilities are told."""


def run(
    model: Any,
    data: Any,
    out: str | os.PathLike[str] | None = None,
    *,
    rows: Sequence[int] | None = None,
    methods: Sequence[str] | None = None,
    criteria: Sequence[str] = CRITERIA,
    target: str | int | None = None,
    groups: Any = None,
    norm: str = "l2",
    steps: int = 100,
    random_orders: int = 3,
    draws: int = 10,
    seed: int = 0,
    device: str | torch.device | None = None,
    trust: bool = False,
    title: str = "",
    command: str = "",
    on_progress: OnProgress | None = None,
    **given: Any,
) -> ExplanationRecord:
    """Explain why `model` predicts what it does on some rows, by several methods, and say which of them to trust.

    Parameters
    ----------
    model, data : as `trustworthy.report.audit.audit` takes them, or the path of a model.
    out : folder of `explanation.json`, `arrays.npz` and `report.html`; what was interrupted goes on where it stopped.
        None writes nothing.
    rows : numbers of test rows, from 0; None for six over the classes that the model reads rightly. What is explained
        is the prediction, also where it is wrong.
    methods : names of `trustworthy.explain.METHODS`; None for those that fit the model and the data.
    criteria : names of `trustworthy.explain.CRITERIA`; the first decides which method to trust.
    target : class (name or number) against which the prediction is explained; None for all others.
    groups : what a feature is, see `trustworthy.explain.as_groups`, and "superpixels:64" of images; None for pixels,
        columns and words, and superpixels of images above 64 pixels a side.
    norm : of a change, "l2" or "linf".
    steps : of the search for one smallest change.
    random_orders : by which it is told what chance reaches, at least 2.
    draws : of a stochastic model, averaged in every answer.
    trust : read a model file that can run code.
    given : `label`, `drop`, `train` and `size` of `datasets.read`.

    Raises
    ------
    InvalidInput, DataError : the message says what is wrong and what to do.
    """
    begun = time.perf_counter()
    checks.integer("seed", seed, at_least=0)
    checks.integer("steps", steps, at_least=1)
    checks.integer("draws", draws, at_least=1)
    checks.integer("random_orders", random_orders, at_least=2)
    folder, where = None if out is None else Path(out), device_of(device)
    loaded = load_model(model, trust=trust) if isinstance(model, str | os.PathLike) else model
    asked = inquire(
        loaded, data, rows=rows, target=target, groups=groups, norm=norm, steps=steps, draws=draws, seed=seed,
        device=where, **given,
    )  # fmt: skip
    used, columns = chosen(methods, asked), judges(criteria, asked)
    store = Parts(folder, Part, "explanation (model, data, rows, methods, seed or version differ)")
    with alone(folder, "explanation"):
        pieces = _pieces(asked, used, columns, random_orders, seed, on_progress or (lambda what, share: None))
        found = restored(asked, columns, dict(zip([*used, RANDOM], study(pieces, store), strict=True)))
        size = _distances(asked, seed)
        record = ExplanationRecord(
            title=title or f"{asked.subject.name} on {asked.looked.name}", command=command,
            created=datetime.now(UTC).isoformat(timespec="seconds"), seed=seed,
            fingerprint=digest([piece.mark for piece in pieces]), model=asked.subject.described(),
            data=asked.looked.described(), kind=asked.looked.domain.kind, norm=norm, units=asked.looked.domain.units,
            unit=asked.looked.domain.unit, draws=asked.subject.draws, rows=_rows(asked, size),
            methods=telling.methods(asked, used, found), criteria=telling.criteria(found),
            **telling.features(asked), conditions={"steps": steps, "random_orders": random_orders,
            "attack": repr(asked.robustness.attack), "device": str(where)}, wall_time=time.perf_counter() - begun,
        )  # fmt: skip
        if folder is not None:
            SAVED.write(folder, record, _arrays(asked, used, found))
            page.render(folder)
    return record


def _pieces(
    asked: Inquiry, used: Mapping[str, Explainer], columns: Mapping[str, Criterion], orders: int, seed: int,
    tell: OnProgress,
) -> list[Piece[tuple[Part, Arrays]]]:  # fmt: skip
    """A piece for each method and one for random orders; the share of all that is done counts judgements."""
    settings = [f"{name}: {criterion!r}" for name, criterion in columns.items()]
    background = digest(asked.background.cpu())
    work = np.cumsum([0.0, *(2.0 for _ in used), float(orders)])

    def piece(name: str, method: Explainer, begin: float, end: float) -> Piece[tuple[Part, Arrays]]:
        title = ABOUT[name].title if name in ABOUT else name

        def share_of_all(share: float) -> None:
            tell(title.lower() if name == RANDOM else title, begin + share * (end - begin))

        def measure() -> tuple[Part, Arrays]:
            found = compare(
                {name: method}, asked.model, asked.x, asked.y, criteria=columns, groups=asked.groups,
                target=asked.target, generator=torch_generator(seed, "explain", device=asked.device),
                random_orders=orders if name == RANDOM else 0, advance=share_of_all,
            )  # fmt: skip
            return kept(found)

        count = orders if name == RANDOM else 0
        mark = digest(asked.fingerprint, name, repr(method), settings, background, count, seed, versions())
        return Piece(name, mark, measure, share_of_all)

    shares = zip(work[:-1] / work[-1], work[1:] / work[-1], strict=True)
    methods = [*used.items(), (RANDOM, RandomOrder())]
    return [
        piece(name, method, float(begin), float(end))
        for (name, method), (begin, end) in zip(methods, shares, strict=True)
    ]


def _distances(asked: Inquiry, seed: int) -> np.ndarray:
    """The smallest change of all features together that changes each prediction; infinite where none was found."""
    groups, n = asked.groups, len(asked.x)
    free = groups.free(groups.present.expand(n, -1)[:, None]).expand(n, 1, *asked.x.shape[1:])
    given = {"target": asked.target, "generator": torch_generator(seed, "distance", device=asked.device)}
    found = asked.robustness(asked.model, asked.x, asked.y, free, **given)
    return found.size[:, 0].double().cpu().numpy()


def _rows(asked: Inquiry, size: np.ndarray) -> list[Row]:
    examples, name = asked.examples, asked.class_name
    probabilities = softmax(asked.subject.predictive.logits.numpy()[asked.places], axis=1)
    told = []
    for place, (row, y, label) in enumerate(zip(examples.rows, asked.y.tolist(), examples.y.tolist(), strict=True)):
        target = None if asked.target is None else int(asked.target[place])
        likely = list(np.argsort(-probabilities[place], kind="stable")[:LIKELIEST])
        shown = likely if target is None or target in likely else [*likely, target]
        told.append(Row(
            row=int(row), label=name(label), prediction=name(y), right=y == label,
            target=None if target is None else name(target),
            probabilities={} if asked.subject.gives != "probabilities" else {
                name(int(each)): float(probabilities[place, each]) for each in shown
            },
            distance=float(size[place]) if np.isfinite(size[place]) else None,
            words=asked.words[place] if asked.words else [],
        ))  # fmt: skip
    return told


def _arrays(asked: Inquiry, used: Mapping[str, Explainer], found: Comparison) -> Arrays:
    """What the page draws and what is there to go on with."""
    domain = asked.looked.domain
    base = asked.baseline
    baseline = base if isinstance(base, torch.Tensor) else torch.full_like(asked.x[0], base)
    arrays = {
        "inputs": asked.examples.x, "baseline": domain.as_given(baseline[None])[0],
        "present": asked.groups.present.expand(len(asked.x), -1),
    }  # fmt: skip
    for method, results in found.results.items():
        first = next(iter(results.values())).attribution
        shown = strengths(first, signed=used[method].ranks == "size")
        arrays |= {f"{method}/scores": first.scores, f"{method}/order": first.order, f"{method}/shown": shown}
        arrays[f"{method}/map"] = asked.groups.spread(shown)
        if first.error is not None:
            arrays[f"{method}/error"] = first.error
        arrays |= {
            f"{method}/{name}": result.judged.curve.value for name, result in results.items() if result.judged.curve
        }
    return {key: value.detach().cpu().numpy() for key, value in arrays.items()}
