"""A model card with `model-index`, the README.md of a repository on the Hugging Face Hub; no number in it is typed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trustworthy.core.errors import InvalidInput
from trustworthy.report.finding import ALL_MODELS, AuditRecord, Finding
from trustworthy.report.formatting import words
from trustworthy.report.gate import Outcome
from trustworthy.report.render import versions
from trustworthy.report.renderings.markdown import gate
from trustworthy.report.renderings.text import block, document, escaped, left_out, line, numbers
from trustworthy.report.summary import QUESTIONS, summarize

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

_TASKS = {1: "tabular-classification", 2: "text-classification", 3: "image-classification"}
"""Of the Hub, by the number of dimensions of an example."""
_SCOPE = """\
- An attack that fails proves nothing: accuracy under attack is an upper bound of the worst case.
- The numbers speak of the rows that were audited; an interval says how far they carry to other rows of the same \
source, and nothing about another source.
- Nothing was checked but what is listed here."""


def check_models(names: Sequence[str]) -> None:
    """Refuse a card for several models: a repository on the Hub holds one."""
    if len(names) != 1:
        raise InvalidInput(
            f"--card describes one model, the audit is of {len(names)} ({', '.join(names)}); leave it out, or audit "
            "each model into a folder of its own."
        )


def card(record: AuditRecord, outcomes: Sequence[Outcome]) -> str:
    """The card of the one model of an audit: what was asked, what was measured, its limits, and how to repeat it.

    Raises
    ------
    InvalidInput : the audit is of several models.
    """
    from huggingface_hub import ModelCard, ModelCardData  # only where it is asked for: it takes a while to import

    check_models(record.names)
    name, task = line(record.names[0]), _TASKS.get(len(record.data.get("shape", [])))
    results = [_result(record, finding, task or "classification") for finding in record.findings]
    data = ModelCardData(
        model_name=name, pipeline_tag=task, tags=["trustworthy"], eval_results=[r for r in results if r] or None
    )
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{_body(record, outcomes)}"))


def _result(record: AuditRecord, finding: Finding, task: str) -> EvalResult | None:
    """One metric of the index; None where there is no number, or it is of the data."""
    from huggingface_hub import EvalResult

    if finding.model == ALL_MODELS or finding.value is None or not math.isfinite(finding.value):
        return None
    about: dict[str, Any] = {"interval": list(finding.interval or []), "level": finding.level, "unit": finding.unit}
    about |= {"n": finding.conditions.get("n"), "seed": finding.seed}
    dataset = line(record.data.get("name", "data"))
    return EvalResult(
        task_type=task, dataset_type=dataset, dataset_name=dataset, metric_type=line(finding.name),
        metric_name=line(finding.title), metric_value=finding.value,
        metric_args={key: content for key, content in about.items() if content not in (None, "", [])},
    )  # fmt: skip


def _body(record: AuditRecord, outcomes: Sequence[Outcome]) -> str:
    own = [finding for finding in record.findings if finding.model != ALL_MODELS]
    about_data = [finding for finding in record.findings if finding.model == ALL_MODELS]
    intended = "\n".join(f"- {line.property}: {QUESTIONS[line.property]}" for line in summarize(record))
    written = f"Written by trustworthy from an audit of {line(record.created)}; no number here was typed."
    return document([
        f"# {escaped(record.names[0])}",
        written,
        "## Intended checks",
        intended,
        gate(outcomes) or "No limit was set.",
        "## What was measured",
        numbers(own, named=False) or "Nothing.",
        _statements(own),
        "Of the data, not of this model:" if about_data else "",
        numbers(about_data, named=False),
        _statements(about_data),
        "## Limits",
        _SCOPE,
        left_out(record.omissions),
        "## How to reproduce",
        _reproduction(record),
    ])  # fmt: skip


def _statements(found: Sequence[Finding]) -> str:
    return "\n".join(f"- {escaped(finding.title)}: {escaped(finding.statement)}" for finding in found)


def _reproduction(record: AuditRecord) -> str:
    """Command, seed and versions; of the data and the model their fingerprints, no place where they lie."""
    devices = dict.fromkeys(finding.device for finding in record.findings)
    facts = {
        "seed": record.seed,
        "profile": record.plan.get("profile"),
        "data": words({key: record.data[key] for key in ("name", "rows", "fingerprint") if key in record.data}),
        "model": words({key: record.models[0][key] for key in ("kind", "fingerprint") if key in record.models[0]}),
        "device": words(list(devices)),
        "versions": words(versions(record)),
    }
    told = "\n".join(f"- {key}: {escaped(content)}" for key, content in facts.items() if content not in (None, ""))
    command = block(record.command) if record.command else "The audit was started from Python."
    return f"{command}\n\n{told}"
