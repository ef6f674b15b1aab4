"""An explanation in words: which method to trust, what its features carry, why each prediction; a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trustworthy.report import formatting, terminal
from trustworthy.report.explanation.record import ExplanationRecord, Row, RuleRecord, Score
from trustworthy.report.formatting import all_of, percent

if TYPE_CHECKING:
    from rich.table import Table

HELD = 0.2
"""Share of the features of which sentences say what they carry."""
COMPLEMENT = "robustness-complement"
NAMED = 3
FEW = 5
"""Rows below which no lead is told from chance: an interval of so few resampled ones is too short."""


def number(value: float | None) -> str:
    """Three significant digits; whole from a hundred on."""
    return formatting.NOTHING if value is None else f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"


def answer(record: ExplanationRecord) -> list[str]:
    """Which method to trust and by what, what its features carry, and what the other criteria say."""
    first, *others = record.criteria
    return [trusted(record), *_carried(record), *_others(record, first, others), *_unusual(record)]


def ranked(record: ExplanationRecord, criterion: str) -> list[str]:
    """Methods from the best down."""
    sign = -1.0 if record.criteria[criterion].higher_is_better else 1.0
    return sorted(record.methods, key=lambda name: sign * record.methods[name].scores[criterion].mean)


def trusted(record: ExplanationRecord) -> str:
    """Which method is best by the first criterion, and whether chance explains its lead."""
    criterion = next(iter(record.criteria))
    about, order = record.criteria[criterion], ranked(record, criterion)
    scores = {name: record.methods[name].scores[criterion] for name in order}
    titles = {name: record.methods[name].title for name in order}
    best, by = order[0], _lower(about.title)
    chance = "" if about.chance is None else f"; a random order reaches {_span(about.chance)}"
    means = f"{number(scores[best].mean)}{chance}"
    if (n := len(record.rows)) < FEW:
        these = "On this row" if n == 1 else f"On these {n} rows"
        return (
            f"{these} {titles[best]} is best by {by} ({means}). So few say nothing sure about others: explain {FEW} or "
            "more to learn which method to trust for this model."
        )
    if not any(score.beyond_chance for score in scores.values()):
        told = " and ".join(titles.values()) if len(order) < 3 else "None of the methods"
        verb = "is not" if len(order) == 1 else "are not" if len(order) == 2 else "is"
        return (
            f"{told} {verb} better than a random order of the {record.feature}s by {by}, beyond chance "
            f"({means}): on these {len(record.rows)} rows no explanation here should be relied on."
        )
    tied = [name for name in order[1:] if scores[name].tied]
    if tied:
        names = all_of([titles[name] for name in (best, *tied)])
        return (
            f"{names} lead by {by} and cannot be told apart on these {len(record.rows)} rows "
            f"({', '.join(number(scores[name].mean) for name in (best, *tied))}{chance})."
        )
    if len(order) == 1:
        return f"{titles[best]} is better than chance by {by}: {means}."
    second = order[1]
    return (
        f"Trust {titles[best]} for this model: by {by} it leads {titles[second]} on the same rows by "
        f"{number(scores[second].behind)} ({_span(scores[second].behind_interval)}), which is beyond chance ({means})."
    )


def _span(ends: tuple[float, float] | None) -> str:
    return formatting.NOTHING if ends is None else f"{number(ends[0])} to {number(ends[1])}"


def _carried(record: ExplanationRecord) -> list[str]:
    """How much further the prediction must be pushed where the features of the best method are held."""
    about = record.criteria.get(COMPLEMENT)
    if about is None or not about.shares or about.shares[0] != 0.0 or HELD not in about.shares:
        return []
    best, place = ranked(record, COMPLEMENT)[0], about.shares.index(HELD)
    method = record.methods[best]
    curve = method.scores[COMPLEMENT].curve
    unit = f" {record.unit}" if record.unit else ""
    chance = f"; with a random fifth held, to {_span(about.chance_curve[place])}" if about.chance_curve else ""
    fixed = method.scores[COMPLEMENT].unbroken
    open_ones = (
        f" In {percent(fixed[place], 0)} of them nothing flips it any more: the longest way that there is was counted."
        if fixed and fixed[place]
        else ""
    )
    rows = "of this row" if len(record.rows) == 1 else f"mean of {len(record.rows)} rows"
    return [
        f"With the fifth of the {record.feature}s held that {method.title} puts first, the smallest change of the "
        f"others that flips the prediction grows from {number(curve[0])} to {number(curve[place])}{unit} ({rows}, "
        f"{record.norm}){chance}.{open_ones}"
    ]


def _others(record: ExplanationRecord, first: str, others: Sequence[str]) -> list[str]:
    leads = {name: ranked(record, name)[0] for name in (first, *others)}
    if len(record.methods) < 2 or not others:
        return []
    if len(set(leads.values())) == 1:
        return [f"It is the best by all {len(leads)} criteria."]
    said = [f"{record.methods[lead].title} by {_lower(record.criteria[name].title)}"
            for name, lead in leads.items() if name != first]  # fmt: skip
    return [f"Best by the other criteria: {all_of(said)}."]


def _lower(title: str) -> str:
    return title[0].lower() + title[1:]


def _unusual(record: ExplanationRecord) -> list[str]:
    """Misread rows, predictions that nothing changes, methods that are left out."""
    wrong = [row.row for row in record.rows if not row.right]
    fixed = [row.row for row in record.rows if row.distance is None]
    said = []
    if wrong:
        said.append(f"{_rows(wrong)} misread: what is explained is the prediction, which is wrong there.")
    if fixed:
        said.append(f"No change was found that flips the prediction of {_rows(fixed, verb=False)}.")
    return said + [f"{name} was left out: {why}" for name, why in record.left_out.items()]


def _rows(rows: Sequence[int], *, verb: bool = True) -> str:
    one = len(rows) == 1
    named = all_of([str(row) for row in rows[:5]]) if len(rows) <= 5 else f"{', '.join(map(str, rows[:5]))}, ..."
    start = f"{'Row' if one else 'Rows'} {named}" if verb else f"{'row' if one else 'rows'} {named}"
    return f"{start} {'is' if one else 'are'}" if verb else start


def why(record: ExplanationRecord, place: int, order: Sequence[int], curve: Sequence[float]) -> str:
    """Why this prediction, and not another or the target.

    order : features of this row by the best method, the most relevant first. curve : of this row and that method by the
    robustness of the rest; empty where it was not asked for.
    """
    row, best = record.rows[place], record.methods[ranked(record, next(iter(record.criteria)))[0]]
    other = "another class" if row.target is None else row.target
    start = f"Why {row.prediction}" + ("" if row.target is None else f" and not {row.target}") + "?"
    named = _named(record, row, order)
    above = f" Above all for {all_of(named)}, says {best.title}." if named else ""
    if row.distance is None:
        return f"{start}{above} No change was found that makes it {other}."
    unit = f" {record.unit}" if record.unit else ""
    held = ""
    if len(curve) and HELD in (shares := record.criteria[COMPLEMENT].shares):
        after = curve[shares.index(HELD)]
        held = f"; with the fifth of the {record.feature}s held that {best.title} puts first, {number(after)}"
    return f"{start}{above} The smallest change that makes it {other} has length {number(row.distance)}{unit}{held}."


def _named(record: ExplanationRecord, row: Row, order: Sequence[int]) -> list[str]:
    """The first features by name, where they have names."""
    if row.words:
        return [f"“{row.words[feature]}”" for feature in order[:NAMED] if feature < len(row.words)]
    if not record.features:
        return []
    place = record.rows.index(row)
    values = record.values[place] if record.values else []
    return [f"{record.features[f]}{f' ({values[f]})' if values else ''}" for f in order[:NAMED]]


def rule(record: ExplanationRecord, place: int, found: RuleRecord) -> str:
    """A rule of Anchors in a sentence; one that is empty is explained."""
    row = record.rows[place]
    stays = f"{percent(found.precision)} ({formatting.percents(*found.interval)})"
    drawn = "with words left out at random" if record.kind == "text" else "of what else may come"
    if not found.said:
        return (
            f"No rule is needed: {stays} {drawn} is read as {row.prediction} anyway, about as often as this class is "
            "predicted at all, so that no feature singles the row out."
        )
    if found.interval[1] < found.wanted:
        return (
            f"No short rule holds the prediction in {percent(found.wanted, 0)}: even if {all_of(found.said)}, it is "
            f"read as {row.prediction} in {stays} {drawn}."
        )
    if record.kind == "text":
        return f"With {all_of(found.said)} kept, it is read as {row.prediction} in {stays} {drawn}."
    applies = f"; the rule applies to {percent(found.coverage)}" + (" of the data" if record.kind == "table" else "")
    return f"If {all_of(found.said)}, it is read as {row.prediction} in {stays} {drawn}{applies}."


def tables(record: ExplanationRecord) -> list[Table]:
    """Methods by criteria, as means over the rows; the best of each column in bold, ties with it marked."""
    from rich.text import Text  # only where it is shown: it takes a while to import

    heads = [
        f"{about.title}\n{'higher' if about.higher_is_better else 'lower'} is better"
        for about in record.criteria.values()
    ]
    title = f"{record.title}: {len(record.rows)} rows explained"
    shown = terminal.table(title, "method", [*heads, "calls a row"])
    for method in record.methods.values():
        cells = [Text(_cell(score), "bold" if score.best else "") for score in method.scores.values()]
        shown.add_row(method.title, *cells, f"{method.calls:,.0f}")
    shown.add_row("random orders", *(_span(about.chance) for about in record.criteria.values()), "")
    return [shown]


def _cell(score: Score) -> str:
    return f"{number(score.mean)}{' ≈' if score.tied and not score.best else ''}"
