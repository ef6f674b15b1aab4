"""A curve of poisoning in words: one sentence, and a table for the terminal."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from trustworthy.report import formatting
from trustworthy.report.poisoning.record import Poisoning, PoisoningRecord

MOST = 0.9
"""Share of the damage of all budgets that the budget named in the answer does, where none ruins the learner."""


def answer(curve: Poisoning, splits: int = 1) -> str:
    """The damage of the budget that tells most, and what none of its size can exceed."""
    place, means = telling(curve), f" (means over {splits} splits)" if splits > 1 else ""
    error, bound, clean = (_error(curve, value) for value in (curve.error[place], curve.bound[place], curve.clean))
    useless = f" Even without an attack the learner is {_no_better(curve)}." if curve.clean >= curve.guess else ""
    if curve.budgets[place] == 0.0:
        return f"Without an attack the error is {clean}{means}; no other budget was asked for.{useless}"
    subject, size = _subject(curve, place)
    ceiling = f"no {size} can do worse" if error == bound else f"no attack with {size} can pass {bound}"
    if curve.error[place] <= curve.clean:
        return f"No attack with {size} was found that raises the error above {clean}; {ceiling}{means}.{useless}"
    ruined = f", {_no_better(curve)}" if _ruined(curve) and curve.error[place] >= curve.guess else ""
    return f"{subject} the error from {clean} to {error}{ruined}; {ceiling}{means}.{useless}"


def telling(curve: Poisoning) -> int:
    """Place of the smallest budget that makes the learner no better than a guess, or does nine tenths of the damage.

    The last one where nothing does any.
    """
    error = np.asarray(curve.error)
    damage = error - curve.clean
    if damage.max() <= 0.0:
        return len(damage) - 1
    return int(np.argmax(error >= curve.guess if _ruined(curve) else damage >= MOST * damage.max()))


def _ruined(curve: Poisoning) -> bool:
    return curve.clean < curve.guess <= max(curve.error)


def _subject(curve: Poisoning, place: int) -> tuple[str, str]:
    """What is done to the labels with its verb, and the size of the budget."""
    budget = curve.budgets[place]
    if not curve.flips:
        share = formatting.number(budget / math.sqrt(curve.labelled))
        moved = f"Moving the {curve.labelled} known labels by {share} of their range (root mean square) takes"
        return moved, "change this large"
    size = "1 flip" if budget == 1.0 else f"{int(budget)} flips"
    changed = formatting.number(curve.changed[place] if curve.changed else budget)  # an attack need not use its budget
    if changed == "1":
        return f"1 flipped label of {curve.labelled} takes", size
    return f"{changed} flipped labels of {curve.labelled} take", size


def _no_better(curve: Poisoning) -> str:
    """What an error that tells nothing is to be compared with."""
    blind = "guessing the commonest known class" if curve.flips else "answering with the mean known label"
    return f"no better than always {blind} ({_error(curve, curve.guess)})"


def table(record: PoisoningRecord) -> Table:
    """Errors against budgets, the baselines, what no attack can exceed, and how far the attack is from it."""
    curve, splits = record.curve(), record.splits
    size = "flips: labels changed" if curve.flips else "rms: budget / sqrt(labels)"
    caption = f"{size}; bound: no attack can pass it; gap: bound - attacked."
    left: Any = {"title_justify": "left", "caption_justify": "left", "header_style": "bold", "padding": (0, 1, 0, 0)}
    shown = Table(title=_title(record), caption=caption, box=box.SIMPLE_HEAD, pad_edge=False, **left)
    for name in ("budget", "flips" if curve.flips else "rms", "clean", "attacked", *curve.baselines, "bound", "gap"):
        shown.add_column(name, justify="right", no_wrap=True)
    for place, budget in enumerate(curve.budgets):
        points = [split.points[place] for split in splits]
        size = np.mean([len(p.flipped) for p in points]) if curve.flips else budget / math.sqrt(curve.labelled)
        spread = f" ± {_error(curve, float(np.std([p.error for p in points])))}" if len(points) > 1 else ""
        errors = [column[place] for column in curve.baselines.values()]
        bound, error = curve.bound[place], _error(curve, curve.error[place]) + spread
        others = [_error(curve, value) for value in (*errors, bound, bound - curve.error[place])]
        row = formatting.number(budget), formatting.number(float(size)), _error(curve, curve.clean), error
        shown.add_row(*row, *others)
    return shown


def _title(record: PoisoningRecord) -> str:
    about = record.conditions
    gammas = ", ".join(dict.fromkeys(f"{split.gamma:.3g}" for split in record.splits))
    what = f"{about['classes'][0]} or {about['classes'][1]}" if record.classifies else "regression"
    error = "share of wrong predictions" if record.classifies else "RMSE, of the range of the labels"
    return (
        f"Label propagation on {about['data']} ({what}): {about['labelled']:,} of {about['rows']:,} rows labelled, "
        f"gamma {gammas}; error: {error}"
    )


def _error(curve: Poisoning, value: float) -> str:
    return formatting.percent(value) if curve.flips else f"{value:.3f}"
