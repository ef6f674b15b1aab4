"""What each defence bought and what it cost: several models in one table."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from markupsafe import Markup
from pydantic import BaseModel, Field

from trustworthy.report import formatting
from trustworthy.report.finding import ALL_MODELS, Series
from trustworthy.report.kind import Judged, Kind, Measured, NotApplicable
from trustworthy.report.panel import Item, Panel, Shown, row, table
from trustworthy.report.settings import Count, Section, in_profiles

if TYPE_CHECKING:
    from trustworthy.report.case import Case


class Settings(Section):
    """How often a prediction is timed."""

    repeats: Count


class Defended(BaseModel):
    """One model; `milliseconds` is the time of a prediction of one row, the mean of its `draws`, `single` that of one.

    The draws of an ensemble are its members.
    """

    name: str
    accuracy: float
    milliseconds: float
    draws: int = 1
    single: float | None = None
    parameters: int | None = None
    seconds: float | None = None
    epochs: float | None = None


class Defenses(Series):
    """All models of the audit, in its order."""

    models: Annotated[list[Defended], Field(min_length=1)]


def measure(cases: Sequence[Case], settings: Settings) -> Measured:
    """What a prediction of each model takes, and what is known of its training."""
    if not any(case.subject.draws > 1 or "training" in case.subject.origin for case in cases):
        raise NotApplicable("none of the models is stochastic, an ensemble, or says how it was trained.")
    models = [_defended(case, settings.repeats) for case in cases]
    slowest, fastest = (pick(models, key=lambda each: each["milliseconds"]) for pick in (max, min))
    ratio = slowest["milliseconds"] / fastest["milliseconds"]
    return Measured([cases[0].finding(
        "robustness.defenses", ratio, model=ALL_MODELS, series={"models": models},
        statement=f"A prediction of {slowest['name']} takes {ratio:.1f} times as long as one of {fastest['name']}.",
        no_interval="it is a ratio of two times on this machine",
    )])  # fmt: skip


def _defended(case: Case, repeats: int) -> dict[str, Any]:
    origin = case.subject.origin
    training = {key: origin.get("training", {}).get(key) for key in ("seconds", "epochs")}
    known = {key: value for key, value in training.items() if isinstance(value, int | float)}
    draws = case.subject.draws
    single = {"single": _milliseconds(case, repeats, 1)} if draws > 1 else {}
    return {
        "name": case.subject.name, "accuracy": case.accuracy, "draws": draws, "parameters": origin.get("parameters"),
        "milliseconds": _milliseconds(case, repeats, draws), **single, **known,
    }  # fmt: skip


def _milliseconds(case: Case, repeats: int, draws: int) -> float:
    """Median time of a prediction, the mean of some draws, for one row of a batch."""
    from trustworthy.core.predictive import predict

    x, taken = case.examples.x[: case.batch], []
    for _ in range(repeats):
        begun = time.perf_counter()
        predict(
            case.subject.model, x, draws=draws, batch_size=case.batch,
            generator=case.generator("defenses"), device=case.device,
        )  # fmt: skip
        taken.append(time.perf_counter() - begun)
    return 1000.0 * statistics.median(taken) / len(x)


def draw(shown: Shown) -> list[Panel]:
    """The table, with what other kinds measured of accuracy under attack."""
    lead = (
        "What each model holds and what it costs. Under attack is at the radius of the summary in linf: of a "
        "stochastic model by PGD with gradients of single draws, and with means of the most draws, which is the one "
        "that counts; of a fixed model the worst case of its curve."
    )
    return [
        Panel(group.title, lead, [block for item in group.items for block in _table(shown, item)])
        for group in shown.groups
    ]


def _table(shown: Shown, item: Item) -> list[Markup]:
    attacked, most = _attacked(shown), [each.series.attacks[-1].eot for each in _randomness(shown)]
    unknown = (formatting.NOTHING, formatting.NOTHING)
    rows = [row(each.name, _cells(each, attacked.get(each.name, unknown))) for each in item.series.models]
    averaged = f"{max(most)} draws averaged" if most else "draws averaged"
    head = ["model", "accuracy", "attacked, single draws", f"attacked, {averaged}", "training", "epochs",
            "prediction of a row", "against one draw", "draws or members", "parameters"]  # fmt: skip
    return [table("Models, what they hold and what they cost", head, rows, "Defences"), item.statement()]


def _cells(model: Defended, attacked: tuple[str, str]) -> list[str]:
    training = formatting.NOTHING if model.seconds is None else formatting.duration(model.seconds)
    return [
        formatting.percent(model.accuracy), *attacked, training,
        formatting.number(model.epochs), f"{formatting.number(model.milliseconds)}\u00a0ms",
        formatting.NOTHING if model.single is None else f"{formatting.number(model.milliseconds / model.single)}×",
        formatting.number(model.draws), formatting.number(model.parameters),
    ]  # fmt: skip


def _attacked(shown: Shown) -> dict[str, tuple[str, Markup]]:
    """By model, accuracy under attack by single draws, and by averaged ones with its interval."""
    curves = [item for group in shown.beside("robustness_curve") if group.norm == "linf" for item in group.items]
    told = {item.model: (formatting.NOTHING, item.measured) for item in curves}
    single = {item.model: formatting.percent(item.series.attacks[0].accuracy) for item in _randomness(shown)}
    return told | {item.model: (single[item.model], item.measured) for item in _randomness(shown)}


def _randomness(shown: Shown) -> list[Item]:
    return [item for group in shown.beside("randomness") for item in group.items]


KIND = Kind(
    name="defense", step="robustness.defenses", property="robustness", about="models", series=Defenses, measure=measure,
    draw=draw, findings={"robustness.defenses": Judged("Models side by side: what they hold, what they cost")},
    settings=in_profiles(Settings, repeats=(3, 5, 5)),
)  # fmt: skip
