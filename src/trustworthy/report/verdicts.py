"""When a number is good, deserves attention or is a worry: every threshold of the report, in one table."""

from __future__ import annotations

from dataclasses import dataclass

from trustworthy.report.finding import Verdict


@dataclass(frozen=True)
class Rule:
    """What is judged, and from where on it is good or a worry; between the two it deserves attention."""

    judged: str
    good: float
    worry: float

    def __call__(self, quantity: float | None) -> Verdict:
        """Verdict on `quantity`; a quantity that could not be measured is only information."""
        if quantity is None or quantity != quantity:
            return "information"
        sign = 1.0 if self.good > self.worry else -1.0
        if sign * quantity >= sign * self.good:
            return "good"
        return "worry" if sign * quantity <= sign * self.worry else "attention"


RULES: dict[str, Rule] = {
    "accuracy": Rule("share of the error of always guessing the commonest class that the model removes", 0.9, 0.5),
    "robustness.linf.accuracy": Rule("accuracy at the headline radius, divided by the clean accuracy", 0.8, 0.4),
    "robustness.l2.accuracy": Rule("accuracy at the headline radius, divided by the clean accuracy", 0.8, 0.4),
    "robustness.l2.distortion": Rule("median minimal perturbation, divided by the headline radius", 2.0, 1.0),
    "robustness.corruptions": Rule("mean accuracy under corruptions, divided by the clean accuracy", 0.9, 0.7),
    "robustness.transfer": Rule("largest affinity rho (eq. 2.26) between two different models", 0.2, 0.6),
    "uncertainty.ece": Rule("expected calibration error", 0.03, 0.10),
    "uncertainty.aurc": Rule("share of predictions that can be answered at the target error rate", 0.9, 0.5),
    "evaluation.diagnosis": Rule("failed checks of the evaluation", 0.0, 2.0),
}
"""By name of finding. Findings that are not here are information. docs/plan.md shows the same table."""


def verdict(name: str, quantity: float | None) -> Verdict:
    """Verdict on `quantity` by the rule of the finding `name`."""
    return RULES[name](quantity)
