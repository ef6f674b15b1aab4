"""What an audit has to complain of, as a log of static analysis: SARIF 2.1.0 (OASIS standard, errata 01)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from trustworthy.core.digest import digest
from trustworthy.report.finding import ALL_MODELS, AuditRecord
from trustworthy.report.findings import OF_FINDING
from trustworthy.report.gate import Outcome
from trustworthy.report.render import versions
from trustworthy.report.renderings.text import line

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
FAILED = "failed"
"""Rule of parts in which the model raised or answered NaN."""


@dataclass
class _Complaint:
    """Something said of one model under one rule."""

    rule: str
    model: str
    about: str = ""
    level: str = "warning"
    said: list[str] = field(default_factory=list)


def sarif(record: AuditRecord, outcomes: Sequence[Outcome]) -> str:
    """A rule for each finding complained of, a result for each model: limits that fail (errors), worries (warnings).

    The fingerprint of a result is a hash of the finding, the model's name and the name of the data, so that it stays
    the same when the number changes, on another machine, and in another order of the models.
    """
    complaints = _complaints(record, outcomes)
    rules = sorted({complaint.rule for complaint in complaints})
    driver = {"name": "trustworthy", "rules": [_rule(rule) for rule in rules]}
    if version := versions(record).get("trustworthy"):
        driver["version"] = version
    results = [_result(record, complaint, rules.index(complaint.rule)) for complaint in complaints]
    run = {"tool": {"driver": driver}, "results": results}
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1, ensure_ascii=False) + "\n"


def _complaints(record: AuditRecord, outcomes: Sequence[Outcome]) -> list[_Complaint]:
    """One for each finding and model, whatever limits it fails and however it is judged."""
    complaints: dict[tuple[str, str], _Complaint] = {}
    for outcome in outcomes:
        if outcome.status == "fails":
            key = outcome.limit.finding, outcome.model
            complaint = complaints.setdefault(key, _Complaint(*key, level="error"))
            failed = f"Worse than {outcome.limit.earlier}" if outcome.limit.earlier else "Limit not met"
            complaint.said.append(f"{failed}: {outcome.phrase}.")
    for finding in record.findings:
        key = finding.name, finding.model
        if finding.verdict == "worry":
            complaints.setdefault(key, _Complaint(*key))
        if key in complaints:
            complaints[key].said.append(finding.statement or f"{finding.title}: a worry.")
    failed = [
        _Complaint(FAILED, o.model, o.part, "error", [f"{o.part} failed: {o.reason}"])
        for o in record.omissions
        if o.failed
    ]
    return [*complaints.values(), *failed]


def _rule(name: str) -> dict[str, Any]:
    if name == FAILED:
        about = "A part of the audit in which the model raised an error or answered NaN."
        return {"id": name, "shortDescription": {"text": "Failed part"}, "help": {"text": about}}
    if name not in OF_FINDING:  # of a version that knows more kinds
        return {"id": line(name), "shortDescription": {"text": line(name)}, "help": {"text": line(name)}}
    kind = OF_FINDING[name]
    judged, told = kind.findings[name], [sys.modules[kind.measure.__module__].__doc__ or ""]
    if (rule := judged.rule) is not None:
        told.append(f"Judged by the {rule.judged}: good from {rule.good:g} on, a worry from {rule.worry:g} on.")
    if judged.higher_is_better is not None:
        told.append(f"{'Higher' if judged.higher_is_better else 'Lower'} is better; `--fail-under {name}=` limits it.")
    return {
        "id": name, "shortDescription": {"text": judged.title}, "fullDescription": {"text": told[0]},
        "help": {"text": "\n".join(told)}, "properties": {"tags": [kind.property]},
    }  # fmt: skip


def _result(record: AuditRecord, complaint: _Complaint, place: int) -> dict[str, Any]:
    parts = [complaint.rule, complaint.about, complaint.model, str(record.data.get("name"))]
    mark = digest([part.encode("utf-8", "replace").decode() for part in parts])
    return {
        "ruleId": line(complaint.rule), "ruleIndex": place, "level": complaint.level,
        "message": {"text": _message([f"{complaint.model}:", *complaint.said])},
        "locations": _locations(record, complaint.model),
        # GitHub looks at the first alone, and without it takes a hash of the file's line.
        "partialFingerprints": {"primaryLocationLineHash": f"{mark}:1", "trustworthy/v1": mark},
    }  # fmt: skip


def _message(texts: Iterable[str]) -> str:
    """Text in which braces are no placeholders and brackets no links (sections 3.11.5 and 3.11.6 of the standard)."""
    return line(" ".join(texts)).replace("{", "{{").replace("}", "}}").replace("](", "] (")


def _locations(record: AuditRecord, model: str) -> list[dict[str, Any]]:
    """Files of the models that a result speaks of, and their names; 10 at most, as many as GitHub takes."""
    spoken = [each for each in record.models if model in (str(each.get("name")), ALL_MODELS)][:10]
    locations = []
    for each in spoken or [{"name": model}]:
        name = line(each.get("name"))
        location: dict[str, Any] = {"logicalLocations": [{"name": name, "fullyQualifiedName": name}]}
        if file := _file(str(each.get("source") or "")):
            # A model is no line of its file, but services refuse an alert that has none.
            place = {"artifactLocation": {"uri": _uri(file)}, "region": {"startLine": 1}}
            location["physicalLocation"] = place
        locations.append(location)
    return locations


def _file(source: str) -> str:
    """The file or folder of `path` or `path/to/file.py:factory`; "" for `package.module:factory`."""
    module, colon, _ = source.rpartition(":")
    if not colon:
        return source
    return module if module.endswith(".py") else ""


def _uri(path: str) -> str:
    safe = path.encode("utf-8", "replace")
    return ("file://" if path.startswith("/") else "") + quote(str(PurePosixPath(safe.decode())))
