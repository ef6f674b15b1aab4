"""From a saved explanation to one self-contained page. Nothing is measured here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from markupsafe import Markup

from trustworthy.core.study import Arrays, writing
from trustworthy.report import formatting, plots
from trustworthy.report.explanation.record import SAVED, CriterionRecord, ExplanationRecord, Score
from trustworthy.report.explanation.words import COMPLEMENT, HELD, answer, number, ranked, rule, why
from trustworthy.report.markup import element, image, model
from trustworthy.report.panel import details, legend, row, table
from trustworthy.report.plots.theme import Style
from trustworthy.report.render import environment

REPORT = "report.html"
Looks = Mapping[str, Style]
COLUMNS_SHOWN = 12
"""Columns of a table in a row's explanation."""
_WAY = {True: "higher is better", False: "lower is better"}
_METHODS = "grid methods"


def render(folder: str | os.PathLike[str]) -> Path:
    """Write `report.html` beside the explanation that it shows.

    Raises
    ------
    DataError : the explanation is missing or damaged, or the page cannot be written.
    """
    record, arrays = SAVED.read(folder)
    looks = {name: Style(place) for place, name in enumerate(record.methods, 1)}
    target = Path(folder) / REPORT
    page = environment().get_template("explanation.html.j2").render(
        record=record, answer=answer(record), scores=_scores(record, looks), curves=_curves(record, looks),
        explained=[_row(record, arrays, place, looks) for place in range(len(record.rows))],
        methods=_methods(record, arrays, looks), criteria=_criteria(record), baseline=_baseline(record, arrays),
        lead=_LEADS[record.kind],
    )  # fmt: skip
    with writing(target) as stream:
        stream.write(page)
    return target


_LEADS = {
    "image": "Maps: what speaks for the prediction is orange, what speaks against it is blue, each map up to its own "
    "largest score. Methods without a sign have orange alone, those that choose in steps by the place in the order.",
    "table": "A cell is the score of a column, orange where it speaks for the prediction and blue where it speaks "
    "against it, up to the largest of its method; beside it stands its place in the order.",
    "text": "Words for the prediction are orange, words against it blue, up to the largest score of a method.",
}  # fmt: skip


def _scores(record: ExplanationRecord, looks: Looks) -> Markup:
    """Methods by criteria."""
    heads = [
        element("th", about.title, Markup("<br>"), element("span", _WAY[about.higher_is_better], look="interval"),
                scope="col")
        for about in record.criteria.values()
    ]  # fmt: skip
    rows = [
        row(_head(record, name, look), [*(_cell(method.scores[criterion]) for criterion in record.criteria),
                                        f"{method.calls:,.0f}", formatting.duration(method.seconds)])
        for (name, look), method in zip(looks.items(), record.methods.values(), strict=True)
    ]  # fmt: skip
    chance = [
        formatting.NOTHING if about.chance is None else " to ".join(map(number, about.chance))
        for about in record.criteria.values()
    ]
    rows.append(row("random orders", [*chance, "", ""]))
    label = "Methods by criteria"
    return table(label, ["", *heads, "calls a row", "time a row"], rows, label, _METHODS)


def _cell(score: Score) -> Markup:
    value = element("b", number(score.mean)) if score.best else number(score.mean)
    marks = " ≈" * (score.tied and not score.best) + " ∅" * (score.beyond_chance is False)
    beside = "" if score.interval is None else f"{number(score.interval[0])} to {number(score.interval[1])}"
    return element("td", value, marks, *([Markup("<br>"), element("span", beside, look="interval")] if beside else []))


def _head(record: ExplanationRecord, name: str, look: Style) -> Markup:
    return element("th", model(record.methods[name].title, look), scope="row")


def _curves(record: ExplanationRecord, looks: Looks) -> Markup:
    """A figure for each criterion with curves, beside one another."""
    drawn = [_curve(record, name, about, looks) for name, about in record.criteria.items() if about.shares]
    if not drawn:
        return Markup("")
    methods = [(record.methods[name].title, look) for name, look in looks.items()]
    return element("div", *drawn, look="columns") + legend("Methods", methods, [("random orders", _SHADE)])


_SHADE = Markup(
    '<svg viewBox="0 0 44 18" aria-hidden="true"><path d="M0 2h44v14H0Z" fill="currentColor" opacity=".3"/></svg>'
)


def _curve(record: ExplanationRecord, name: str, about: CriterionRecord, looks: Looks) -> Markup:
    lines = [
        (record.methods[each].title, look, record.methods[each].scores[name].curve) for each, look in looks.items()
    ]
    what = (
        f"{record.norm} distance{f', {record.unit}' if record.unit else ''}" if "robustness" in name else "probability"
    )
    along = f"{record.feature}s, most relevant first"
    drawn = plots.subset_curves(
        name.replace(":", "-").replace("@", "-"), lines, about.shares, about.chance_curve, what, along
    )
    caption = f"{about.says.split('. ')[0].rstrip('.')}. {_WAY[about.higher_is_better].capitalize()}."
    return element("figure", element("h4", about.title), drawn, element("figcaption", caption))


def _row(record: ExplanationRecord, arrays: Arrays, place: int, looks: Looks) -> dict[str, object]:
    """What the page says of one row."""
    explained = record.rows[place]
    best = ranked(record, next(iter(record.criteria)))[0]
    curve = arrays[f"{best}/{COMPLEMENT}"][place].tolist() if f"{best}/{COMPLEMENT}" in arrays else []
    shown = {"image": _maps, "table": _columns, "text": _texts}[record.kind](record, arrays, place, looks)
    rules = [
        element("p", element("b", method.title), ": ", rule(record, place, method.rules[place]))
        for method in record.methods.values() if method.rules
    ]  # fmt: skip
    return {
        "title": f"Row {explained.row}", "said": f"is {explained.label}, read as {explained.prediction}",
        "why": why(record, place, _order(arrays, best, place), curve), "shown": shown, "rules": rules,
        "right": explained.right, "probabilities": explained.probabilities,
    }  # fmt: skip


def _order(arrays: Arrays, name: str, place: int) -> list[int]:
    """The features that the row has, the most relevant first."""
    present = arrays["present"][place]
    return [feature for feature in arrays[f"{name}/order"][place].tolist() if present[feature]]


def _maps(record: ExplanationRecord, arrays: Arrays, place: int, looks: Looks) -> Markup:
    label = record.rows[place].label
    shown = [element("figure", image(plots.picture_png(arrays["inputs"][place]), f"example of {label}"),
                     element("figcaption", "input"))]  # fmt: skip
    for name, look in looks.items():
        title = record.methods[name].title
        png = plots.scores_png(arrays[f"{name}/map"][place])
        caption = element("figcaption", model(title, look))
        shown.append(element("figure", image(png, f"scores of {title} at each pixel"), caption))
    return element("div", *shown, look="maps")


def _columns(record: ExplanationRecord, arrays: Arrays, place: int, looks: Looks) -> Markup:
    """Columns by methods, those first that are most relevant on the whole."""
    orders = {name: _order(arrays, name, place) for name in looks}
    ranks = {name: {feature: rank for rank, feature in enumerate(order, 1)} for name, order in orders.items()}
    best = ranked(record, next(iter(record.criteria)))[0]
    together = sorted(orders[best], key=lambda feature: ranks[best][feature])
    rows = []
    for feature in together[:COLUMNS_SHOWN]:
        value = record.values[place][feature] if record.values else ""
        cells = [_scored(arrays, name, place, feature, ranks[name][feature]) for name in looks]
        held = " (held)" if record.features[feature] in record.held else ""
        rows.append(row(f"{record.features[feature]}{held}", [value, *cells]))
    heads = [element("th", model(record.methods[name].title, look), scope="col") for name, look in looks.items()]
    label = f"Row {record.rows[place].row}: scores of the columns"
    rest = len(together) - COLUMNS_SHOWN
    more = element("p", f"and {rest} less relevant columns", look="muted") if rest > 0 else Markup("")
    return table(label, ["column", "value", *heads], rows, label, "grid heat scores") + more


def _scored(arrays: Arrays, name: str, place: int, feature: int, rank: int) -> Markup:
    score, size = _strength(arrays, name, place, feature)
    shade = "cell against" if size < 0 else "cell"
    return element("td", f"{score:.3g}", Markup("<br>"), element("span", f"({rank})", look="interval"), look=shade,
                   style=f"--v: {abs(size):.2f}")  # fmt: skip


def _strength(arrays: Arrays, name: str, place: int, feature: int) -> tuple[float, float]:
    """A score, and how strongly it is marked, from -1 to 1."""
    return float(arrays[f"{name}/scores"][place, feature]), float(arrays[f"{name}/shown"][place, feature])


def _texts(record: ExplanationRecord, arrays: Arrays, place: int, looks: Looks) -> Markup:
    """The words, shaded by their scores, once for each method."""
    shown = []
    for name, look in looks.items():
        words: list[str] = []
        for feature, word in enumerate(record.rows[place].words):
            score, size = _strength(arrays, name, place, feature)
            marked = element("span", word, look="cell against" if size < 0 else "cell", style=f"--v: {abs(size):.2f}",
                             title=f"{score:.3g}")  # fmt: skip
            words += [marked, " "]
        shown.append(element("h4", model(record.methods[name].title, look)) + element("p", *words, look="words"))
    return element("div", *shown)


def _methods(record: ExplanationRecord, arrays: Arrays, looks: Looks) -> Markup:
    """What each method does, with which settings, and how stable its ranks are."""
    told = []
    for name, look in looks.items():
        method = record.methods[name]
        stable = _stable(arrays, name)
        settings = element("dd", element("code", method.settings))
        said = f"{method.title}: {method.says}" if method.says else method.title
        told += [element("dt", model(said, look)), settings, *([element("dd", stable)] if stable else [])]
    return element("dl", *told, look="settings wide")


def _stable(arrays: Arrays, name: str) -> str:
    """How many of the first features are there whatever was drawn."""
    error = arrays.get(f"{name}/error")
    if error is None:
        return ""
    kept, wanted = 0, 0
    for place, present in enumerate(arrays["present"]):
        order = _order(arrays, name, place)
        top = max(1, int(HELD * int(present.sum()) + 0.5))
        if top >= len(order):
            continue
        scores, errors = np.abs(arrays[f"{name}/scores"][place]), error[place]
        next_one = order[top]
        gap = scores[order[:top]] - scores[next_one]
        kept += int((gap > 2.0 * np.hypot(errors[order[:top]], errors[next_one])).sum())
        wanted += top
    if not wanted:
        return ""
    return (
        f"The scores are sampled: of the first fifth of the features {formatting.percent(kept / wanted, 0)} lie more "
        "than two standard errors above the next one, and would be among the first whatever is drawn."
    )


def _criteria(record: ExplanationRecord) -> Markup:
    said = [
        element("dt", f"{about.title} ({_WAY[about.higher_is_better]})") + element("dd", about.says)
        for about in record.criteria.values()
    ]
    return element("dl", *said, look="settings")


def _baseline(record: ExplanationRecord, arrays: Arrays) -> Markup:
    """What a missing feature looks like."""
    said = element("p", f"A missing {record.feature}, for methods and criteria that leave some out: {record.baseline}.")
    if record.kind == "image":
        picture = image(plots.picture_png(arrays["baseline"]), f"the baseline: {record.baseline}")
        return said + element("div", element("figure", picture, element("figcaption", "baseline")), look="maps")
    if record.kind == "table" and record.values and len(record.features) == len(arrays["baseline"]):
        numbers = zip(record.features, arrays["baseline"].tolist(), strict=True)
        rows = [row(name, [formatting.number(float(value))]) for name, value in numbers]
        return said + details("The baseline of each column", table("Baseline", ["column", "baseline"], rows))
    return said
