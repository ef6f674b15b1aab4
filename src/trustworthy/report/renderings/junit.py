"""An audit as test results: JUnit XML, as GitLab and Jenkins read it and pytest writes it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from xml.etree import ElementTree as ET

from trustworthy.report import findings, formatting
from trustworthy.report.finding import AuditRecord, Finding
from trustworthy.report.findings import OF_FINDING
from trustworthy.report.gate import Outcome, Status
from trustworthy.report.render import versions
from trustworthy.report.renderings.text import line
from trustworthy.report.summary import property_of

Result = Literal["error", "failure", "skipped"]
_RESULTS: tuple[Result, ...] = ("error", "failure", "skipped")
_OF_STATUS: dict[Status, Result] = {"fails": "failure", "cannot tell": "skipped"}


@dataclass
class _Case:
    """What is known of one finding, or of one part that left none; of its results the worst counts."""

    finding: Finding | None = None
    said: list[tuple[Result, str]] = field(default_factory=list)

    @property
    def result(self) -> Result | None:
        return next((result for result in _RESULTS if result in dict(self.said)), None)


def junit(record: AuditRecord, outcomes: Sequence[Outcome]) -> str:
    """A test case for each finding of each model; of `property/model` as a class, with its numbers as properties.

    A limit that fails is a failure. Skipped is what cannot be told, what has no value, and what was left out; a part in
    which the model raised or answered NaN is an error. A finding without a limit passes, whatever its verdict.
    """
    cases = _cases(record, outcomes)
    counts = {
        plural: str(sum(case.result == result for case in cases.values()))
        for plural, result in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
    }
    shared = {"name": line(record.title), "tests": str(len(cases)), "time": f"{record.wall_time:.3f}"}
    root = ET.Element("testsuites", shared | {key: counts[key] for key in ("failures", "errors")})
    suite = ET.SubElement(root, "testsuite", shared | counts | {"timestamp": line(record.created)})
    facts = {"command": record.command, "data": record.data.get("name", ""), "seed": record.seed}
    _properties(suite, facts | {f"version.{name}": text for name, text in versions(record).items()})
    for (group, name), case in cases.items():
        _write(suite, group, name, case)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _cases(record: AuditRecord, outcomes: Sequence[Outcome]) -> dict[tuple[str, str], _Case]:
    """Cases by class and name; those of a model and a name are one."""
    cases: dict[tuple[str, str], _Case] = {}
    for finding in record.findings:
        case = cases[f"{finding.property}/{finding.model}", finding.name] = _Case(finding)
        if _unknown(finding):
            case.said.append(("skipped", f"no value. {finding.statement}"))
    for omission in record.omissions:
        case = cases.setdefault((f"{property_of(omission.part)}/{omission.model}", omission.part), _Case())
        case.said.append(("error" if omission.failed else "skipped", omission.reason))
    for outcome in outcomes:
        about = OF_FINDING[outcome.limit.finding].property
        case = cases.setdefault((f"{about}/{outcome.model}", outcome.limit.finding), _Case(outcome.finding))
        if outcome.status in _OF_STATUS:
            case.said.append((_OF_STATUS[outcome.status], outcome.phrase))
    return cases


def _unknown(finding: Finding) -> bool:
    """Whether it has no number, not even one that the value is known to exceed."""
    absent = finding.value is None or math.isnan(finding.value)
    return absent and "at_least" not in finding.conditions


def _write(suite: ET.Element, group: str, name: str, case: _Case) -> None:
    finding = case.finding
    seconds = finding.wall_time if finding else 0.0
    told = {"classname": line(group), "name": line(name), "time": f"{seconds:.3f}"}
    element = ET.SubElement(suite, "testcase", told)
    if finding is not None:
        own = {"value": finding.value, "interval": finding.interval, "level": finding.level, "unit": finding.unit}
        own |= {"n": finding.conditions.get("n"), "verdict": finding.verdict, "seed": finding.seed}
        _properties(element, {key: text for key, text in own.items() if text not in (None, "")})
    if case.result is not None:
        messages = [line(text) for result, text in case.said if result == case.result]
        ET.SubElement(element, case.result, {"message": "; ".join(messages)})
    if finding is not None:
        shown = f"{findings.value(finding)} ({findings.beside(finding) or formatting.NOTHING}). {finding.statement}"
        ET.SubElement(element, "system-out").text = line(shown)


def _properties(parent: ET.Element, values: Mapping[str, object]) -> None:
    group = ET.SubElement(parent, "properties")
    for name, content in values.items():
        text = " to ".join(map(str, content)) if isinstance(content, tuple) else str(content)
        ET.SubElement(group, "property", {"name": line(name), "value": line(text)})
