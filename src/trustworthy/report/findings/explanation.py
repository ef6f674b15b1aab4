"""How much of the robustness of predictions the features carry that an explanation puts first."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from markupsafe import Markup
from pydantic import Field

from trustworthy.core.errors import TrustworthyWarning
from trustworthy.report import formatting, plots
from trustworthy.report.finding import Number, Series, null_where_nan
from trustworthy.report.findings.pictures import spread_over_classes
from trustworthy.report.kind import Judged, Kind, Measured, NotApplicable, Rule
from trustworthy.report.markup import element, image
from trustworthy.report.panel import Item, Panel, Shown, row, table
from trustworthy.report.settings import Count, Section, in_profiles

if TYPE_CHECKING:
    from trustworthy.report.case import Case

HELD = 0.2
"""Share of the features that is held."""
NAMED = 3


class Settings(Section):
    """Predictions of `images` examples are explained; `coalitions` of features are tried in each step of Greedy-AS,
    `steps` taken in a search for a smallest change, and `orders` drawn that know nothing."""

    images: Count
    coalitions: Count
    steps: Count
    orders: Count


class Explanation(Series):
    """Explained examples: the smallest change of all features, and with the first fifth of an explanation held.

    random : the latter with a random fifth held, mean of the orders. top : names of the first features of each.
    """

    aligned: ClassVar = ("label", "whole", "held", "random")

    label: list[str | int]
    whole: list[Number]
    held: list[Number]
    random: list[Number]
    method: str = ""
    feature: str = "feature"
    top: list[list[str]] = Field(default_factory=list)


def measure(case: Case, settings: Settings) -> Measured:
    """Explain some right predictions, hold the first fifth of the features, and search how far the rest must move."""
    import torch

    from trustworthy.explain import RandomOrder
    from trustworthy.report.explanation.questions import features_of, robustness_of, strengths

    if not case.subject.gives_scores:
        raise NotApplicable("the explanations of an audit need scores, and the model gives labels alone.")
    rows = spread_over_classes(case, settings.images)
    if not len(rows):
        raise NotApplicable("the model classifies no example correctly.")
    domain, others = case.examples.domain, case.attacked[1]
    robustness = robustness_of(case.subject, domain, "l2", settings.steps, others)
    model = _in_parts(case.attacked[0], case.batch)
    rows, whole = _changeable(case, model, robustness, rows)
    _, x, y = case.attacked_at(rows)
    groups, feature = features_of(None, domain, x)
    title, method = _method(case, settings, robustness, others)
    with warnings.catch_warnings():  # a model that draws may flip in one search and not in the next: held is then inf
        warnings.simplefilter("ignore", TrustworthyWarning)
        said = None if case.subject.is_random else y  # asked again it may say another class, which is explained then
        found = method(model, x, said, groups=groups, generator=case.generator("explanation"))
    case.advance(0.5)
    draws = case.generator("explanation", "orders")
    blind = [RandomOrder()(model, x, y, groups=groups, generator=draws).top(HELD) for _ in range(settings.orders)]
    sets = torch.stack([found.top(HELD), *blind], dim=1)
    free = (groups.free(found.present[:, None]) & ~groups.free(sets)).expand(*sets.shape[:2], *x.shape[1:])
    size = robustness(model, x, y, free, generator=case.generator("explanation", "changes")).size.double().cpu().numpy()
    whole = np.minimum(whole, size.min(axis=1))
    held, random = size[:, 0], size[:, 1:]
    carried, by_chance = _carried(whole, held), _carried(whole[:, None], random).mean(axis=1)
    value, chance, grows = float(carried.mean()), float(by_chance.mean()), _grows(whole, held, domain.unit)
    excess = case.interval("explanation beyond chance", np.mean, carried - by_chance)
    shown = domain.kind == "image"
    keys = {role: f"{case.subject.name}/explained_{role}" for role in ("image", "scores")} if shown else {}
    finding = case.finding(
        "interpretation.explanation", value, arrays=keys, judged=None if excess is None else excess[0],
        interval=case.interval("explanation", np.mean, carried, most=1.0),
        conditions={"n": len(rows), "random": chance, "method": repr(method), "norm": "l2"},
        statement=f"The fifth of the {feature}s that {title} puts first carries {value:.0%} of the robustness of "
        f"{_predictions(len(rows))}, a random fifth {chance:.0%}{grows}.",
        series={
            "label": [case.examples.class_name(label) for label in y.tolist()], "method": title, "feature": feature,
            "whole": null_where_nan(whole), "held": null_where_nan(held),
            "random": null_where_nan(random.mean(axis=1)), "top": _top(case, found),
        },
    )  # fmt: skip
    marked = groups.spread(strengths(found, signed=method.ranks == "size"))
    arrays = {keys["image"]: x, keys["scores"]: marked} if shown else {}
    return Measured([finding], {key: each.float().cpu().numpy() for key, each in arrays.items()})


def _changeable(case: Case, model: Any, robustness: Any, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows whose prediction some change flips, and the length of the smallest that was found."""
    import torch

    _, x, y = case.attacked_at(rows)
    free = torch.ones(len(x), 1, *x.shape[1:], dtype=torch.bool, device=x.device)
    if case.free is not None:
        free &= case.free[torch.from_numpy(rows).to(x.device), None]
    size = robustness(model, x, y, free, generator=case.generator("explanation", "whole")).size[:, 0]
    size = size.double().cpu().numpy()
    known = np.isfinite(size)
    if not known.any():
        raise NotApplicable("no change was found that flips any of the predictions that were to be explained.")
    return rows[known], size[known]


def _method(case: Case, settings: Settings, robustness: Any, others: Any) -> tuple[str, Any]:
    """What it is called, and the method: Greedy-AS by gradients, SHAP where there are none."""
    from trustworthy.explain import GreedyAS, KernelSHAP
    from trustworthy.report.explanation.questions import baseline_of

    if case.subject.gives_gradients:
        given = {"coalitions": settings.coalitions, "until": HELD, "share": HELD / 2}
        return "Greedy-AS", GreedyAS(robustness=robustness, eot=case.subject.draws, **given)
    baseline = baseline_of(case.examples.domain, others)
    return "SHAP", KernelSHAP(baseline=baseline, eot=case.subject.draws)


def _in_parts(model: Any, batch: int) -> Any:
    """The model, shown no more than `batch` examples at once."""
    import torch

    from trustworthy.core.protocols import Wrapped, as_posterior

    return Wrapped(as_posterior(model), lambda predictor, x: torch.cat([predictor(some) for some in x.split(batch)]))


def _carried(whole: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Share of the robustness that is held: of a linear model that of its squared weights; 1 where nothing is left.

    Nothing is held where no distance is left to either, as of a model that draws and was caught flipping by itself.
    """
    whole = np.broadcast_to(whole, held.shape)
    return 1.0 - np.divide(whole, held, out=np.ones_like(held), where=held > 0) ** 2


def _predictions(count: int) -> str:
    return f"{count} prediction{'s' * (count > 1)}"


def _grows(whole: np.ndarray, held: np.ndarray, unit: str) -> str:
    """From what the smallest change grows where the features are held; nothing where most have none any more."""
    after = float(np.median(held))
    return "" if np.isinf(after) else (
        f": the smallest change that flips them grows from {formatting.number(float(np.median(whole)))} to "
        f"{formatting.number(after)}{f' {unit}' if unit else ''} (medians)"
    )  # fmt: skip


def _top(case: Case, found: Any) -> list[list[str]]:
    """The first columns of the rows of a table, with their values."""
    if case.examples.domain.kind != "table":
        return []
    names = case.examples.labelled_features
    return [[names[feature] for feature in order[:NAMED]] for order in found.order.tolist()]


def draw(shown: Shown) -> list[Panel]:
    """Maps or rows of each model."""
    return [
        Panel(group.title, _lead(group.items[0]), [element("div", *map(_model, group.items), look="explanations")])
        for group in shown.groups
    ]


def _lead(item: Item) -> str:
    s = item.series
    maps = " Orange: what the method puts first." if "scores" in item.arrays else ""
    return (
        f"{s.method or 'A method'} puts {s.feature}s in order; the first fifth is held, and the smallest change of the "
        "others that flips the prediction is searched (l2). What is carried is 1 - (smallest change of all / of the "
        f"others)²: of a linear model the share of its squared weights.{maps} The command trustworthy explain "
        "compares methods."
    )


def _model(item: Item) -> Markup:
    shown = _pictures(item) if "image" in item.arrays else _rows(item)
    return element("div", item.head, item.statement(), shown, style="margin-top: 1.1rem")


def _pictures(item: Item) -> Markup:
    places = range(len(item.series.label))
    return element("div", *(_picture(item, place) for place in places), look="examples small")


def _rows(item: Item) -> Markup:
    s = item.series
    head = ["class", "all may change", "first fifth held", "random fifth held", *["put first"] * bool(s.top)]
    rows = [
        row(str(label), [_length(s.whole[i]), _length(s.held[i]), _length(s.random[i]), *_names(s.top, i)])
        for i, label in enumerate(s.label)
    ]
    return table("Smallest changes that flip the prediction", head, rows, f"Explained rows, {item.model}")


def _picture(item: Item, place: int) -> Markup:
    s, label = item.series, item.series.label[place]
    given = image(plots.picture_png(item.arrays["image"][place]), f"example of {label}")
    marked = image(plots.scores_png(item.arrays["scores"][place]), f"scores of {s.method} at each pixel")
    caption = Markup("<b>{}</b>: {} → {}").format(label, _length(s.whole[place]), _length(s.held[place]))
    return element("figure", element("div", given, marked, look="pair"), element("figcaption", caption))


def _names(top: list[list[str]], place: int) -> list[Markup]:
    return [element("td", ", ".join(top[place]), look="text")] if top else []


def _length(value: float) -> str:
    return "none found" if np.isnan(value) else formatting.number(value)


KIND = Kind(
    name="explanation", step="interpretation.explanation", property="interpretation", series=Explanation,
    measure=measure, draw=draw, cost=1,
    findings={
        "interpretation.explanation": Judged(
            "What the shown features carry",
            Rule("share of the robustness that they carry beyond a random fifth, low end of its interval", 0.2, 0.0),
            share=True, higher_is_better=True, headline=True,
        ),
    },
    settings=in_profiles(Settings, images=(4, 8, 20), coalitions=(100, 200, 1000), steps=(50, 100, 200),
                         orders=(3, 5, 10)),
)  # fmt: skip
