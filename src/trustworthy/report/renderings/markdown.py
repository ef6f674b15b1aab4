"""An audit in short, for a pull request or the summary of a job: Markdown as GitHub and GitLab read it."""

from __future__ import annotations

from collections.abc import Sequence

from trustworthy.report.finding import AuditRecord
from trustworthy.report.gate import Limit, Outcome, Status
from trustworthy.report.renderings.text import code, document, escaped, left_out, line, numbers, table
from trustworthy.report.summary import conclusion, model_names, summarize

WORST_FIRST: tuple[Status, ...] = ("fails", "cannot tell", "holds")


def markdown(record: AuditRecord, outcomes: Sequence[Outcome], report: str) -> str:
    """The verdict on each model, the gate, the headline findings; what was left out is folded away.

    report : path of the page.
    """
    headlines = [finding for about in summarize(record) for row in about.claims for finding in row if finding]
    failed = [omission for omission in record.omissions if omission.failed]
    omitted = [omission for omission in record.omissions if not omission.failed]
    rows = escaped(f"{record.data.get('rows', '?')} rows of {record.data.get('name', '?')}")
    return document([
        f"## {escaped(record.title)}",
        _verdicts(record),
        gate(outcomes),
        f"**Failed**, because the model raised or answered NaN:\n\n{left_out(failed)}" if failed else "",
        numbers(headlines, named=len(model_names(record)) > 1) or "No headline finding was measured.",
        _folded(f"Left out ({len(omitted)})", left_out(omitted)) if omitted else "",
        f"Measured on {rows} with seed {record.seed}, {line(record.created)}. Full report: {code(report)}",
    ])  # fmt: skip


def gate(outcomes: Sequence[Outcome]) -> str:
    """A table of limits, the worst first; "" where there are none."""
    ordered = sorted(outcomes, key=lambda outcome: WORST_FIRST.index(outcome.status))
    rows = ([_status(o.status), _limit(o.limit), escaped(o.phrase)] for o in ordered)
    return table(["gate", "limit", "found"], rows) if outcomes else ""


def _limit(limit: Limit) -> str:
    return code(f"{limit.finding}{' ' if limit.earlier else '='}{limit.bound}")


def _status(status: Status) -> str:
    return status if status == "holds" else f"**{status}**"


def _verdicts(record: AuditRecord) -> str:
    lines = summarize(record)
    said = (conclusion(lines, place) for place in range(len(model_names(record))))
    named = zip(model_names(record), said, strict=True)
    return "\n".join(f"- {code(name)}: **{verdict or 'not measured'}**. {words}" for name, (verdict, words) in named)


def _folded(summary: str, content: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{content}\n\n</details>"
