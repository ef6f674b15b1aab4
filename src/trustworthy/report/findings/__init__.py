"""The kinds of finding of an audit, in the order of the page. A new kind is one file here and one name in `KINDS`.

A page is drawn from what was saved: no module here imports torch or an algorithm but inside `measure`.
"""

from __future__ import annotations

from trustworthy.report.finding import Finding
from trustworthy.report.findings import (
    accuracy,
    calibration,
    certificate,
    corruptions,
    diagnosis,
    distortion,
    pictures,
    poisoning,
    robustness_curve,
    saliency,
    scores,
    selective,
    transfer,
)
from trustworthy.report.kind import Kind, Rule, interval_of, value_of

KINDS: tuple[Kind, ...] = (
    accuracy.KIND,
    robustness_curve.LINF,
    robustness_curve.L2,
    certificate.KIND,
    distortion.KIND,
    pictures.KIND,
    corruptions.KIND,
    transfer.KIND,
    poisoning.KIND,
    diagnosis.KIND,
    calibration.KIND,
    scores.KIND,
    selective.KIND,
    saliency.KIND,
)
BY_NAME: dict[str, Kind] = {kind.name: kind for kind in reversed(KINDS)}
"""By the name in `findings.json`; the first of those that share one."""
OF_FINDING: dict[str, Kind] = {name: kind for kind in KINDS for name in kind.findings}
"""By the name of a finding: the kind that measures it."""
RULES: dict[str, Rule] = {
    name: judged.rule for kind in KINDS for name, judged in kind.findings.items() if judged.rule is not None
}
"""Every threshold of the report, by the name of the finding. What is not here is information."""


def kind_of(finding: Finding) -> Kind | None:
    """The kind that draws a finding; None for one that this version does not know."""
    return BY_NAME.get(finding.kind)


def value(finding: Finding) -> str:
    """The value of a finding as text."""
    return value_of(finding, kind_of(finding))


def interval(finding: Finding) -> str:
    """The interval of a finding as text, "" where it has none."""
    return interval_of(finding, kind_of(finding))
