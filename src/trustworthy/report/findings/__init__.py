"""The kinds of finding of an audit, in the order of the page. A new kind is one file here and one name in `KINDS`.

A page is drawn from what was saved: no module here imports torch or an algorithm but inside `measure`.
"""

from __future__ import annotations

from trustworthy.report import formatting
from trustworthy.report.finding import Finding
from trustworthy.report.findings import (
    accuracy,
    calibration,
    certificate,
    conformal,
    corruptions,
    defense,
    diagnosis,
    disagreement,
    distortion,
    exchange,
    explanation,
    ood,
    pictures,
    poisoning,
    randomness,
    robustness_curve,
    saliency,
    scores,
    selective,
    temperature,
    transfer,
)
from trustworthy.report.kind import Kind, Rule

KINDS: tuple[Kind, ...] = (
    defense.KIND, accuracy.KIND, robustness_curve.LINF, robustness_curve.L2, randomness.KIND, certificate.KIND,
    distortion.KIND, exchange.KIND, pictures.KIND, corruptions.KIND, transfer.KIND, poisoning.KIND, diagnosis.KIND,
    calibration.KIND, temperature.KIND, scores.KIND, selective.KIND, conformal.KIND, disagreement.KIND, ood.KIND,
    explanation.KIND, saliency.KIND,
)  # fmt: skip
BY_NAME: dict[str, Kind] = {kind.name: kind for kind in reversed(KINDS)}
"""By the name in `findings.json`; the first of those that share one."""
OF_FINDING: dict[str, Kind] = {name: kind for kind in KINDS for name in kind.findings}
"""By the name of a finding: the kind that measures it."""
RULES: dict[str, Rule] = {
    name: judged.rule for kind in KINDS for name, judged in kind.findings.items() if judged.rule is not None
}
"""Every threshold of the report, by the name of the finding. What is not here is information."""


def value(finding: Finding) -> str:
    """The value of a finding as its kind is usually written: a percentage where it is a share, else with its unit."""
    kind = BY_NAME.get(finding.kind)
    if kind is not None and kind.written is not None and finding.value is not None:
        return kind.written(finding)
    if is_percentage(finding):
        return formatting.percent(finding.value)
    text = formatting.score(finding.value)
    return text if text == formatting.NOTHING or not finding.unit else f"{text}\u00a0{finding.unit}"


def interval(finding: Finding) -> str:
    """The interval of a finding, "" where it has none."""
    if finding.interval is None:
        return ""
    low, high = finding.interval
    if is_percentage(finding):
        return formatting.percents(low, high)
    return f"{formatting.score(low)} to {formatting.score(high)}"


def counted(finding: Finding) -> str:
    """How many examples a value rests on; "" if unsaid."""
    n = finding.conditions.get("n")
    return "" if n is None else f"n\u00a0=\u00a0{formatting.number(n)}"


def beside(finding: Finding) -> str:
    """What stands beside every value: its interval, n, and how many of the right examples were tried if not all."""
    few = f"{formatting.number(tried(finding))} tried" if tried(finding) is not None else ""
    return ", ".join(filter(None, (interval(finding), counted(finding), few)))


def tried(finding: Finding) -> int | None:
    """How many of the right examples a value rests on; None where it was all of them."""
    few, right = (finding.conditions.get(key, 0) for key in ("attacked", "right"))
    return few if few < right else None


def is_percentage(finding: Finding) -> bool:
    """Whether the value is a share without a unit; not that of a kind which this version does not know."""
    return finding.kind in BY_NAME and BY_NAME[finding.kind].judged(finding.name).share and not finding.unit
