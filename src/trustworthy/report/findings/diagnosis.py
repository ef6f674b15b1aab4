"""Whether the evaluation itself can be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel

from trustworthy.core.errors import NothingToAttackError
from trustworthy.report import formatting
from trustworthy.report.finding import Finding, Series, Verdict, null_where_nan
from trustworthy.report.kind import Judged, Kind, Measured, NotApplicable, Rule
from trustworthy.report.markup import element, icon
from trustworthy.report.panel import Item, Panel, Shown
from trustworthy.report.settings import Count, Rows, Section, in_profiles

if TYPE_CHECKING:
    from trustworthy.report.case import Case


class Settings(Section):
    """Examples on which the evaluation is questioned, and steps of the black-box rival."""

    rows: Rows
    queries: Count


class Check(BaseModel):
    """One question that the audit asks about itself; `passed` is None where it does not apply."""

    name: str
    passed: bool | None
    value: float | bool | str | None = None
    explanation: str = ""


class Diagnosis(Series):
    """Checks of whether the robustness numbers can be believed."""

    checks: list[Check]


def measure(case: Case, settings: Settings) -> Measured:
    """Signs that the attacks failed because of themselves, not because of the model."""
    from trustworthy.attacks import diagnose
    from trustworthy.attacks.diagnostics import ERROR_RATE

    if case.subject.hides_gradients:
        return Measured([_hidden(case)])
    if not case.subject.gives_gradients:
        raise NotApplicable("the checks question attacks by gradients, and the model has none.")
    rows = case.right("diagnosis", settings.rows, "attack")
    attack = case.pgd()
    try:
        how = case.attacking("diagnosis", rows)
        found = diagnose(*case.attacked_at(rows), attack=attack, queries=settings.queries, **how)
    except NothingToAttackError as error:  # a stochastic model that was right before and is not now
        raise NotApplicable(str(error)) from error
    names = [check.name.replace("_", " ") for check in found.failed]
    told = (
        f"{len(names)} of {len(found.checks)} checks failed: {', '.join(names)}" if names else "No check found a sign"
    )
    doubt = "the robustness above may be overstated." if names else "that the attacks were weaker than they look."
    checks = [
        {
            "name": check.name, "passed": check.passed, "value": null_where_nan([check.value])[0],
            "explanation": check.explanation,
        }
        for check in found.checks
    ]  # fmt: skip
    return Measured([case.finding(
        "evaluation.diagnosis", float(len(names)), judged=float(len(names)),
        statement=f"{told}{'; ' if names else ' '}{doubt}", series={"checks": checks},
        no_interval="it counts checks", conditions={
            "n": len(rows), "attacks": [repr(attack)], "queries": settings.queries, "error_rate": ERROR_RATE,
        },
    )])  # fmt: skip


def _hidden(case: Case) -> Finding:
    """The one check of a network whose gradients are cut off: nothing else can be questioned."""
    check = {
        "name": "no_gradient_reaches_the_input", "passed": False, "value": None,
        "explanation": "the model has weights, but its forward pass cuts the gradient off, so that it was attacked "
        "from outside only; remove no_grad, inference_mode, detach or NumPy from it and audit it again.",
    }  # fmt: skip
    return case.finding(
        "evaluation.diagnosis", 1.0, verdict="worry", series={"checks": [check]},
        statement="No gradient reaches the input: the accuracies under attack are those of attacks without gradients, "
        "and look better than they are.",
    )  # fmt: skip


def draw(shown: Shown) -> list[Panel]:
    """Every check of each model."""
    lead = (
        "Weak attacks make a model look robust. Each check asks for one sign of it; where one failed, read the "
        "accuracies under attack as too high."
    )
    return shown.panels(lead, _model)


def _model(item: Item) -> list[str]:
    return [item.statement(), element("ul", *map(_check, item.series.checks), look="checks")]


def _check(check: Check) -> str:
    verdicts: dict[bool | None, Verdict | None] = {None: None, True: "good", False: "worry"}
    verdict, look = verdicts[check.passed], verdicts[check.passed] or "information"
    word = {"good": "passed", "worry": "failed"}.get(look, "does not apply")
    tick = element("span", icon(verdict), element("span", f"{word}:", look="hidden"), look=f"tick {look}")
    said = [element("b", check.name.replace("_", " ")), " ", element("span", word, look=look)]
    if check.value is not None:
        said += [" ", element("span", f"({formatting.number(check.value)})", look="muted")]
    if check.explanation:
        said.append(element("p", check.explanation, look="capital"))
    return element("li", tick, element("div", *said))


def written(finding: Finding) -> str:
    """How many of the checks failed."""
    total = len(finding.series.get("checks", ()))
    return f"{finding.value:.0f} of {total} failed" if total else f"{finding.value:.0f} failed"


RULE = Rule("failed checks of the evaluation", 0.0, 2.0)
KIND = Kind(
    name="diagnosis", step="evaluation.diagnosis", property="evaluation", series=Diagnosis, attacks=True, cost=3,
    measure=measure, draw=draw, written=written,
    findings={
        "evaluation.diagnosis": Judged("Diagnosis of the attacks", RULE, higher_is_better=False, headline=True)
    },
    settings=in_profiles(Settings, rows=(20, 50, 300), queries=(100, 300, 1000)),
)  # fmt: skip
