"""What the predictions depend on: gradient saliency of images, importances of the features of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Float
from markupsafe import Markup
from pydantic import Field

from trustworthy.core import seeds
from trustworthy.report import formatting, panel, plots
from trustworthy.report.finding import Number, Series
from trustworthy.report.kind import Judged, Kind, Measured, NotApplicable
from trustworthy.report.markup import bar, element, heading, image
from trustworthy.report.panel import Group, Item, Panel, Shown, note, row
from trustworthy.report.settings import Count, Section, in_profiles

if TYPE_CHECKING:
    from trustworthy.report.case import Case

FEATURES_SHOWN = 15


class Settings(Section):
    """Saliency maps of `images` examples; importances over `repeats` permutations of each feature."""

    images: Count
    repeats: Count


class Saliency(Series):
    """What the predictions depend on: maps over images, or one importance per feature of a table."""

    aligned: ClassVar = ("features", "importance")

    label: list[str | int] = Field(default_factory=list)
    prediction: list[str | int] = Field(default_factory=list)
    method: str = ""
    features: list[str] = Field(default_factory=list)
    importance: list[Number] = Field(default_factory=list)


def measure(case: Case, settings: Settings) -> Measured:
    """Saliency maps of a few images, or the importance of every feature of a table."""
    if case.examples.domain.kind == "image":
        return _saliency(case, settings.images)
    if case.examples.domain.kind == "text":
        raise NotApplicable("maps and importances are of pixels and columns, the data are texts.")
    return _importances(case, settings.repeats)


def _saliency(case: Case, images: int) -> Measured:
    """Gradient of the true class's score, averaged over the draws of a stochastic model as its probabilities are."""
    import torch

    from trustworthy.core.guard import undisturbed
    from trustworthy.core.predictive import pooled
    from trustworthy.core.protocols import drawn
    from trustworthy.report.findings.pictures import spread_over_classes

    if not case.subject.gives_gradients:
        raise NotApplicable("the model has no gradient with respect to its input.")
    rows = torch.from_numpy(spread_over_classes(case, images))
    if not len(rows):
        raise NotApplicable("the model classifies no example correctly.")
    x, y = case.examples.x[rows].to(case.device), case.examples.y[rows].to(case.device)
    gradients = []
    with undisturbed(case.subject.model, x, case.generator("saliency")):
        for inputs, labels in zip(x.split(case.batch), y.split(case.batch), strict=True):
            inputs = inputs.clone().requires_grad_()
            logits = pooled([predictor(inputs) for predictor in drawn(case.subject.model, case.subject.draws)])
            gradients += torch.autograd.grad(logits.gather(1, labels[:, None]).sum(), inputs)
    gradient = torch.cat(gradients)
    maps = gradient.abs().amax(1).cpu().double().numpy()
    shares = top_shares(maps)
    value = float(shares.mean()) if len(shares) else 0.0
    names = case.examples.class_name
    keys = {"image": f"{case.subject.name}/saliency_image", "saliency": f"{case.subject.name}/saliency"}
    finding = case.finding(
        "interpretation.saliency", value, arrays=keys, conditions={"n": len(rows)},
        interval=case.interval("saliency", np.mean, shares, most=1.0) if len(shares) else None,
        statement=f"In these {len(rows)} images the tenth of the pixels with the largest gradients carries "
        f"{value:.0%} of the saliency; a model that looks everywhere equally would have 10%.",
        series={
            "label": [names(label) for label in y.tolist()],
            "prediction": [names(int(case.predictions[row])) for row in rows.tolist()],
            "method": "gradient: largest |d logit of the true class / d pixel| over the channels",
        },
    )  # fmt: skip
    return Measured([finding], {keys["image"]: x.float().cpu().numpy(), keys["saliency"]: maps.astype(np.float32)})


def top_shares(maps: Float[np.ndarray, "n h w"]) -> Float[np.ndarray, " some"]:
    """Share of the saliency in the tenth of the pixels that has most, of each map that is not zero everywhere."""
    flat = -np.sort(-maps.reshape(len(maps), -1), axis=1)
    total = flat.sum(axis=1)
    top = flat[:, : max(1, round(0.1 * flat.shape[1]))].sum(axis=1)
    return top[total > 0] / total[total > 0]


def _importances(case: Case, repeats: int) -> Measured:
    """Loss of accuracy when one feature is shuffled over the examples (permutation importance)."""
    import torch

    x, name = case.examples.x, case.examples.feature_name
    right = np.zeros((len(x), x.shape[1]), dtype=np.int64)  # shuffles of a feature that leave an example right
    for column in range(x.shape[1]):
        for repeat in range(repeats):
            order = seeds.numpy_generator(case.seed, "importance", column, repeat).permutation(len(x))
            shuffled = x.clone()
            shuffled[:, column] = x[torch.from_numpy(order), column]
            right[:, column] += case.classify(shuffled) == case.labels
        case.advance((column + 1) / right.shape[1])
    lost = repeats * case.correct[:, None] - right  # counts, so that no loss is exactly 0
    importance = lost.sum(axis=0) / (repeats * len(x))
    top = np.argsort(-importance, kind="stable")[:3]
    named = ", ".join(f"{name(int(c))} ({importance[c]:.1%})" for c in top if importance[c] > 0.0)
    return Measured([case.finding(
        "interpretation.importance", float(importance.max()), conditions={"repeats": repeats},
        interval=case.interval("importance", np.mean, lost[:, top[0]] / repeats),
        statement=f"Shuffling one feature costs most accuracy for {named}." if named
        else "Shuffling any one feature costs no accuracy.",
        series={
            "method": f"permutation importance: accuracy lost when a feature is shuffled, mean of {repeats}; negative "
            "where shuffling helped, which is chance or a feature that misleads",
            "features": case.examples.labelled_features, "importance": importance.tolist(),
        },
    )])  # fmt: skip


def draw(shown: Shown) -> list[Panel]:
    """Maps or bars of each model."""
    return [Panel(group.title, _lead(group), [_models(group)]) for group in shown.groups]


def _lead(group: Group) -> str:
    first = group.items[0]
    lead = "How much the predictions move with each feature, on average."
    if first.arrays:
        lead = (
            "Where a small change of the input moves the prediction most. Dark: no influence; bright: the strongest of "
            "this picture."
        )
    return f"{lead} Method: {first.series.method}." if first.series.method else lead


def _models(group: Group) -> Markup:
    wide = bool(group.items[0].arrays)  # maps fill the page, bars need not
    return group.side_by_side(lambda item: [item.statement(), *_maps(item), *_bars(item)], wide=wide)


def _maps(item: Item) -> list[str]:
    s = item.series
    if not {"image", "saliency"} <= item.arrays.keys():
        return []
    shown = []
    for i, label in enumerate(s.label):
        caption = Markup("is <b>{}</b>").format(label)
        if s.prediction:
            caption += Markup(", read as <b>{}</b>").format(s.prediction[i])
        given = image(plots.picture_png(item.arrays["image"][i]), f"example of {label}")
        influence = image(plots.saliency_png(item.arrays["saliency"][i]), "map of influence on the prediction")
        pair = element("div", given, influence, look="pair")
        shown.append(element("figure", pair, element("figcaption", caption)))
    return [element("div", *shown, look="examples small")]


def _bars(item: Item) -> list[str]:
    ranked = ranked_features(item.series)
    if not ranked:
        return []
    shown = ranked[:FEATURES_SHOWN]
    longest = max((abs(share) for *_, share in shown), default=0.0) or 1.0
    lowest = min(0.0, shown[-1][2] / longest)
    rows = [row(name, [bar(share / longest, lowest), formatting.score(value)]) for name, value, share in shown]
    head = ["feature", heading("importance", span=2)]
    table = panel.bars(item, f"Importance of features, {item.model}", head, rows, headed=False)
    rest = len(ranked) - FEATURES_SHOWN
    least = f", down to {formatting.score(ranked[-1][1])}" if ranked[-1][1] < 0.0 else ""
    return [table, *([note(f"and {rest} less important features{least}")] if rest > 0 else [])]


def ranked_features(series: Saliency) -> list[tuple[str, float, float]]:
    """Features of a table, the most important first: (name, importance, importance / the largest size of one)."""
    largest = max((abs(value) for value in series.importance if value == value), default=0.0) or 1.0
    rows = [(n, v, v / largest) for n, v in zip(series.features, series.importance, strict=True) if v == v]
    return sorted(rows, key=lambda row: -row[2])


KIND = Kind(
    name="saliency", step="interpretation", property="interpretation", series=Saliency, measure=measure, draw=draw,
    findings={
        "interpretation.saliency": Judged("Where small changes move the predictions", share=True),
        "interpretation.importance": Judged("What the predictions depend on", share=True, headline=True),
    },
    settings=in_profiles(Settings, images=8, repeats=5),
)  # fmt: skip
