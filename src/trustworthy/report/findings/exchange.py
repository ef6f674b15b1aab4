"""Accuracy when a few columns of a row may take values that other rows have there, categories among them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int
from markupsafe import Markup
from pydantic import BaseModel, Field

from trustworthy.report import formatting, panel
from trustworthy.report.finding import Number, Series
from trustworthy.report.kind import Judged, Kind, Measured, NotApplicable, beyond
from trustworthy.report.markup import bar, element, heading
from trustworthy.report.panel import Item, Panel, Shown, note, row, table
from trustworthy.report.settings import Count, Rows, Section, in_profiles

if TYPE_CHECKING:
    from torch import Tensor

    from trustworthy.report.case import Case
    from trustworthy.report.rows import Examples

COUNTED = 8
"""Numbers of columns that the curve goes up to, at most."""
COLUMNS_SHOWN, EXAMPLES_SHOWN = 10, 2
_EXAMPLE = Markup("A row of <b>{}</b> is read as <b>{}</b> with")


class Settings(Section):
    """`rows` examples, the model being asked `queries` times about each."""

    rows: Rows
    queries: Count


class Decisive(BaseModel):
    """A column, and the share of the changed predictions for which it was exchanged."""

    name: str
    share: Number


class Exchanged(BaseModel):
    """A column of an example before and after, in the words of the data."""

    column: str
    before: str
    after: str


class Example(BaseModel):
    """A row whose prediction, which was right, changed with the columns `exchanged`."""

    label: str | int
    adversarial_prediction: str | int
    exchanged: list[Exchanged]


class Exchange(Series):
    """Accuracy against the number of exchanged columns with its exact band, which columns those were, and examples."""

    aligned: ClassVar = ("columns", "accuracy", "low", "high")

    columns: Annotated[list[int], Field(min_length=1)]
    accuracy: list[Number]
    low: list[Number] = Field(default_factory=list)
    high: list[Number] = Field(default_factory=list)
    decisive: list[Decisive] = Field(default_factory=list)
    examples: list[Example] = Field(default_factory=list)
    unbroken: int = 0
    queries: Number = np.nan


def measure(case: Case, settings: Settings) -> Measured:
    """Accuracy when one column, two, ... may take other seen values; the value is that of any one column.

    Rows are attacked in the units of the data, where codes of categories and whole numbers are exact.
    """
    import torch

    from trustworthy.attacks import PointwiseAttack
    from trustworthy.attacks.evaluate import attacked
    from trustworthy.report.domain import MISSING

    examples, domain = case.examples, case.examples.domain
    if domain.kind != "table" or domain.center is None or domain.spread is None:
        raise NotApplicable("the columns of tables are exchanged, and the data are no table.")
    rows = case.right("exchange", settings.rows, "change", numbers=False)
    free = _free(examples)[rows]
    if not free.any():
        raise NotApplicable("no column may change.")
    if free.shape[1] == 1:
        raise NotApplicable("the table has one column, and a row with the value of another row is that row.")
    plain = replace(domain, center=torch.zeros_like(domain.center), spread=torch.ones_like(domain.spread))
    x = plain.attacked(examples.x).to(case.device)
    attack = PointwiseAttack(
        bounds=None, starts=x, missing=MISSING, step=_steps(examples), spread=domain.spread, queries=settings.queries,
        eot=case.subject.draws,
    )  # fmt: skip
    some = free.any(axis=1)  # what has nothing free stands
    open_to, mask = torch.from_numpy(rows[some]), torch.from_numpy(free[some]).to(case.device)
    how = case.attacking("exchange", rows) | {"grid": plain.grid, "free": mask}
    y = examples.y[open_to].to(case.device)
    found = attacked(plain.asked(case.subject.model), attack, x[open_to.to(case.device)], y, **how)
    count = np.full(len(rows), np.inf)
    # A stochastic model that answers a right row otherwise this time needs no column: the smallest number breaks it.
    count[some] = np.maximum(found.distance.cpu().double().numpy(), 1.0)
    after = plain.as_given(found.adversarial).cpu()
    changed = (found.adversarial != x[open_to.to(case.device)]).cpu().numpy()
    most = int(min(max([1.0, *count[np.isfinite(count)]]), COUNTED))
    values, bands = zip(*(case.standing(count > k) for k in range(1, most + 1)), strict=True)
    low, high = zip(case.share(case.correct), *bands, strict=True)
    queries = float(found.queries.double().mean())
    changeable = "" if domain.immutable is None else " that may change"
    finding = case.finding(
        "robustness.exchange", values[0], interval=bands[0],
        statement=f"Giving any one column{changeable} a value that another row has there takes "
        f"{case.taken(values[0])}{case.tried(rows)}{_half(count)}.",
        series={
            "columns": list(range(most + 1)), "accuracy": [case.accuracy, *values], "low": low, "high": high,
            "decisive": _decisive(examples, changed), "unbroken": int(np.isinf(count).sum()), "queries": queries,
            "examples": _shown(case, open_to.numpy(), changed, after),
        },
        conditions={**case.counts(rows), "attacks": [repr(attack)], "norm": "l0", "eps": 1},
    )  # fmt: skip
    return Measured([finding], rows={"columns_exchanged": case.column(rows, count, wrong=0.0)})


def _free(examples: Examples) -> Bool[np.ndarray, "n d"]:
    """What may change: all that is there, but for immutable columns."""
    free = ~examples.x.isnan()
    immutable = examples.domain.immutable
    return (free if immutable is None else free & ~immutable).numpy()


def _steps(examples: Examples) -> Float[np.ndarray, " d"]:
    """By what each column can change: not at all between categories, quantities as the page says of them."""
    return np.array([feature.step if feature.is_quantity else np.inf for feature in examples.features])


def _half(count: Float[np.ndarray, " tried"]) -> str:
    """How many columns change half of the predictions."""
    median = float(np.quantile(count, 0.5, method="inverted_cdf"))
    if np.isinf(median):
        return "; more than half of the right predictions withstood all that was tried"
    return "" if median == 1.0 else f"; half of the right predictions change with {median:.0f} columns or fewer"


def _decisive(examples: Examples, changed: Bool[np.ndarray, "some d"]) -> list[dict[str, object]]:
    """The columns that were exchanged most often, of the rows whose prediction changed."""
    broken = changed[changed.any(axis=1)]
    share = broken.mean(axis=0) if len(broken) else np.zeros(changed.shape[1])
    order = np.argsort(-share, kind="stable")[:COLUMNS_SHOWN]
    return [{"name": examples.labelled_features[c], "share": float(share[c])} for c in order if share[c] > 0.0]


def _shown(
    case: Case, rows: Int[np.ndarray, " some"], changed: Bool[np.ndarray, "some d"], after: Tensor
) -> list[dict[str, object]]:
    """Examples with the fewest exchanged columns, of different classes where there are some."""
    from trustworthy.datasets.draw import turns

    name, labels = case.examples.class_name, case.labels[rows]
    count = np.where(changed.any(axis=1), changed.sum(axis=1), changed.shape[1] + 1)
    order = [int(i) for i in np.argsort(count, kind="stable") if changed[i].any()]
    chosen = [order[place] for place in np.argsort(turns(labels[order])[0], kind="stable")[:EXAMPLES_SHOWN]]
    misread = case.classify(after[chosen]) if chosen else []
    return [
        {
            "label": name(int(labels[i])), "adversarial_prediction": name(int(label)),
            "exchanged": [
                _exchanged(case.examples, int(c), float(case.examples.x[rows[i], c]), float(after[i, c]))
                for c in np.flatnonzero(changed[i])
            ],
        }
        for i, label in zip(chosen, misread, strict=True)
    ]  # fmt: skip


def _exchanged(examples: Examples, column: int, before: float, after: float) -> dict[str, str]:
    categories = examples.columns[column].categories if examples.columns else ()
    if categories:
        pair = [str(categories[int(code)]) for code in (before, after)]
    else:
        pair = [formatting.number(value) for value in (before, after)]
        digits = 4
        while pair[0] == pair[1] and digits < 18:
            pair, digits = [f"{value:.{digits}g}" for value in (before, after)], digits + 1
    return dict(zip(("column", "before", "after"), (examples.labelled_features[column], *pair), strict=True))


def draw(shown: Shown) -> list[Panel]:
    """For each model bars of the accuracy and of the columns, and examples."""
    lead = (
        "A row is changed by giving some of its columns values that other rows have there: another category, another "
        "number. Accuracy when so many columns may change, as far as an attack found a way. Missing values stay "
        "missing. Where a model depends on one column alone, and that column can be entered wrongly or at will, its "
        "predictions can be too."
    )
    return shown.panels(lead, _model)


def _model(item: Item) -> list[str]:
    s, percent = item.series, formatting.percent
    bands = [*map(formatting.percents, s.low, s.high)]
    rows = [
        row(str(k) if k else "none", [bar(value), percent(value), band])
        for k, value, band in zip(s.columns, s.accuracy, bands or [""] * len(s.columns), strict=True)
    ]
    head = ["columns changed", heading("accuracy", span=2), "interval"]
    blocks = [item.statement(), panel.bars(item, f"Accuracy by exchanged columns, {item.model}", head, rows)]
    if s.unbroken:
        verb = "row keeps its" if s.unbroken == 1 else "rows keep their"
        blocks.append(note(f"{formatting.number(s.unbroken)} right {verb} prediction whatever was tried."))
    if s.decisive:
        rows = [row(each.name, [bar(each.share), percent(each.share, 0)]) for each in s.decisive]
        head = ["column exchanged", heading("share of the changed predictions", span=2)]
        most = panel.bars(item, f"Columns that were exchanged most, {item.model}", head, rows)
        blocks.append(element("div", most, style="margin-top: .75rem"))
    return [*blocks, element("div", *map(_example, s.examples), look="examples rows")]


def _example(example: Example) -> Markup:
    said = _EXAMPLE.format(example.label, example.adversarial_prediction)
    rows = [row(each.column, [each.before, each.after]) for each in example.exchanged]
    shown = table("Columns before and after the exchange", ["column", "from", "to"], rows)
    return element("div", element("p", said), shown)


KIND = Kind(
    name="exchange", step="robustness.exchange", property="robustness", series=Exchange, cost=3,
    measure=measure, draw=draw,
    findings={
        "robustness.exchange": Judged(
            "Accuracy when any one column may take another seen value", share=True, higher_is_better=True,
            headline=True, rows=beyond("columns_exchanged"),
        )
    },
    settings=in_profiles(Settings, rows=(50, 200, 1000), queries=(200, 300, 2000)),
)  # fmt: skip
