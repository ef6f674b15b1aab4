"""Findings sorted by what Regulation (EU) 2024/1689 asks to be written down: Article 15, Annex IV points 2(g) and 3.

It says what was measured and leaves visibly empty what was not; whether a provision is met is not for a program to say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from trustworthy.report import findings
from trustworthy.report.finding import AuditRecord, Finding
from trustworthy.report.findings import KINDS, OF_FINDING
from trustworthy.report.formatting import words
from trustworthy.report.gate import Outcome
from trustworthy.report.render import versions
from trustworthy.report.renderings.text import code, document, escaped, numbers, table
from trustworthy.report.summary import model_names

PROVIDER = "the provider"


@dataclass(frozen=True)
class Provision:
    """A place of the Regulation.

    asks : what it asks, in our words.
    steps : kinds of finding that speak to it, by their step of the plan.
    open : what no kind of finding speaks to.
    """

    place: str
    topic: str
    asks: str
    steps: tuple[str, ...] = ()
    open: tuple[str, ...] = ()


PROVISIONS = (
    Provision(
        "Article 15(1)", "accuracy, robustness and cybersecurity over the lifecycle",
        "A level of accuracy, robustness and cybersecurity that is appropriate, and steady over the lifecycle.",
        ("accuracy", "robustness.linf", "robustness.l2"),
        ("Which level is appropriate for the intended purpose", "Steadiness over the lifecycle, after deployment"),
    ),
    Provision(
        "Article 15(3)", "declared levels and metrics",
        "The levels of accuracy, and the metrics they are measured in, stand in the instructions for use.",
        ("accuracy", "uncertainty.scores", "uncertainty.calibration", "uncertainty.temperature"),
        ("The instructions for use themselves",),
    ),
    Provision(
        "Article 15(4)", "errors, faults and inconsistencies",
        "Resilience to errors, faults and inconsistencies of the system or its surroundings; backup and fail-safe "
        "plans; no harmful feedback where a system goes on learning.",
        ("robustness.corruptions", "robustness.exchange", "uncertainty.selective", "uncertainty.ood"),
        ("Backup and fail-safe plans of the system around the model",
         "Feedback loops of a system that goes on learning"),
    ),
    Provision(
        "Article 15(5)", "adversarial examples (model evasion)",
        "Measures against inputs that are made to mislead the model.",
        ("robustness.linf", "robustness.l2", "robustness.randomness", "robustness.certificate",
         "robustness.distortion", "robustness.exchange",
         "robustness.pictures", "robustness.transfer", "robustness.defenses", "evaluation.diagnosis"),
        ("Measures to prevent, detect and answer such inputs in operation",),
    ),
    Provision(
        "Article 15(5)", "data poisoning", "Measures against a manipulated training set.", ("robustness.poisoning",),
        ("Measures to prevent and detect a manipulated training set",),
    ),
    Provision(
        "Article 15(5)", "model poisoning", "Measures against manipulated components that were trained before.",
        open=("Manipulated pre-trained components",),
    ),
    Provision(
        "Article 15(5)", "confidentiality attacks and model flaws",
        "Measures against attacks on confidentiality, and against flaws of the model.",
        open=("Confidentiality attacks, such as membership inference and model extraction (outside of what is audited)",
              "Flaws of the model that no finding here names"),
    ),
    Provision(
        "Annex IV, point 2(g)", "validation and testing",
        "How the system was validated and tested: the data and what characterises them, the metrics of accuracy and "
        "robustness, possible discriminatory effects, and dated and signed test reports.",
        ("accuracy", "robustness.linf", "robustness.l2", "robustness.corruptions", "uncertainty.scores",
         "uncertainty.calibration", "evaluation.diagnosis"),
        ("Possible discriminatory effects", "Origin and collection of the test data",
         "Signature of the persons responsible, and date"),
    ),
    Provision(
        "Annex IV, point 3", "capabilities, limits, oversight",
        "Capabilities and limits of performance, also for groups of persons; foreseeable unintended outcomes and "
        "sources of risk; human oversight, and help to interpret outputs; specifications of the input data.",
        ("accuracy", "uncertainty.selective", "uncertainty.conformal", "uncertainty.disagreement", "uncertainty.ood",
         "interpretation", "interpretation.explanation"),
        ("Accuracy for persons or groups of persons on which the system is meant to be used",
         "Foreseeable unintended outcomes, and risks to health, safety and fundamental rights",
         "Measures of human oversight", "Specifications of the input data"),
    ),
)  # fmt: skip
_TITLES = {kind.step: "; ".join(judged.title for judged in kind.findings.values()) for kind in KINDS}
_PROOFS = {"certified": "proved", "certificate": "proof", "certify": "prove"}
_LEAD = """\
This appendix sorts what an audit measured by places of Regulation (EU) 2024/1689. It is no legal assessment and does \
not say whether any of them is met. What each place asks is put in a few words of ours: the text of the Regulation \
counts. A line with — is empty. The conditions of every finding are at the end."""


def annex_iv(record: AuditRecord, outcomes: Sequence[Outcome]) -> str:
    """An appendix to a technical file: each provision with the findings that speak to it, and what is still empty."""
    return document([
        f"# Measurements by provision: {escaped(record.title)}",
        _LEAD,
        _conditions(record),
        "## Overview",
        table(["provision", "about", "findings", "empty places"], (_overview(record, each) for each in PROVISIONS)),
        *(part for provision in PROVISIONS for part in _section(record, provision)),
        *_others(record),
        "## Limits that were set, and findings worse than in an earlier audit",
        _limits(outcomes),
        "## Findings in words, and their conditions",
        _in_words(record),
    ])  # fmt: skip


def _conditions(record: AuditRecord) -> str:
    data = {key: record.data[key] for key in ("name", "rows", "available", "shape", "units") if key in record.data}
    facts = {
        "date of the audit": record.created,
        "models": words(model_names(record)),
        "test data": words(data),
        "seed": record.seed,
        "versions": words(versions(record)),
    }
    return "\n".join(f"- {key}: {escaped(content)}" for key, content in facts.items())


def _section(record: AuditRecord, provision: Provision) -> list[str]:
    found = _found(record, provision)
    empty = "\n".join(f"- {text}" for text in _empty(record, provision))
    return [f"## {provision.place}: {provision.topic}", provision.asks, _measured(record, found), empty]


def _others(record: AuditRecord) -> list[str]:
    """Findings of kinds that this version does not know."""
    found = [finding for finding in record.findings if finding.name not in OF_FINDING]
    return ["## Findings that no provision above names", _measured(record, found)] if found else []


def _measured(record: AuditRecord, found: Sequence[Finding]) -> str:
    shown = [finding.model_copy(update={"title": _neutral(finding.title)}) for finding in found]
    return numbers(shown, named=len(model_names(record)) > 1, verdicts=False)


def _in_words(record: AuditRecord) -> str:
    """What each finding says, and all that it was measured under."""
    rows = (
        [*(escaped(_neutral(text)) for text in (f.title, f.statement, words(f.conditions))), code(f.model)]
        for f in record.findings
    )
    return table(["finding", "what it says", "conditions", "model"], rows) if record.findings else "None."


def _limits(outcomes: Sequence[Outcome]) -> str:
    """Metric, threshold and what was found; a finding goes by its title, whose words can be chosen."""
    rows = []
    for outcome in outcomes:
        name, found = outcome.limit.finding, outcome.finding
        title = _neutral(OF_FINDING[name].findings[name].title)
        value = f"{findings.value(found)} ({findings.beside(found)})" if found else "not measured"
        rows.append([escaped(title), code(outcome.model), escaped(outcome.limit.bound), escaped(value), outcome.status])
    return table(["finding", "model", "limit", "found", "the limit"], rows) if rows else "None."


def _overview(record: AuditRecord, provision: Provision) -> list[str]:
    count = len(_found(record, provision))
    return [provision.place, provision.topic, str(count or "—"), str(len(_empty(record, provision)) or "")]


def _found(record: AuditRecord, provision: Provision) -> list[Finding]:
    return [f for f in record.findings if f.name in OF_FINDING and OF_FINDING[f.name].step in provision.steps]


def _empty(record: AuditRecord, provision: Provision) -> list[str]:
    """What is to be filled in: kinds that were not measured, and what no kind speaks to."""
    present = {OF_FINDING[finding.name].step for finding in _found(record, provision)}
    lines = []
    for step in provision.steps:
        left = [omission for omission in record.omissions if omission.part == step]
        reasons = [f"of {code(o.model)}: {escaped(_neutral(o.reason)).rstrip('.')}" for o in left]
        if reasons or step not in present:
            why = f" ({'; '.join(reasons)})" if reasons else ""
            lines.append(_open(_neutral(_TITLES[step]), why))
    return [*lines, *map(_open, provision.open)]


def _open(what: str, why: str = "") -> str:
    return f"{what}: — not measured by this audit{why}; to be filled in by {PROVIDER}."


def _neutral(text: str) -> str:
    """Text in which what is proved of a model does not sound like a seal on the product."""
    return re.sub("certified|certificate|certify", lambda found: _cased(found[0]), text, flags=re.IGNORECASE)


def _cased(word: str) -> str:
    proof = _PROOFS[word.lower()]
    return proof.capitalize() if word[0].isupper() else proof
