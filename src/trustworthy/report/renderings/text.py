"""Names and sentences of users and models as one safe line, and the parts of Markdown that the renderings share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from trustworthy.report import findings, formatting
from trustworthy.report.finding import Finding, Omission

# All but what XML 1.0 allows and a reader sees as it stands: marks that turn the direction of writing are not.
_UNSEEN = re.compile(
    "[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_MARKUP = re.compile(r"[\\`*_\[\]<>~$&]")


def line(text: object) -> str:
    """One line of characters that every format can hold; others become U+FFFD."""
    return _UNSEEN.sub("\ufffd", " ".join(str(text).split()))


def escaped(text: object) -> str:
    """One line that Markdown shows as it stands, and that calls nobody whose name follows an @."""
    return _MARKUP.sub(r"\\\g<0>", line(text)).replace("@", "@\u200b")


def code(text: object) -> str:
    """One line as a span of code, within as many backticks as it needs."""
    shown = line(text) or " "
    ticks = "`" * (_longest_ticks(shown) + 1)
    pad = " " if "`" in (shown[0], shown[-1]) else ""
    return f"{ticks}{pad}{shown}{pad}{ticks}"


def block(text: str) -> str:
    """Lines as a block of code."""
    fence = "`" * max(3, _longest_ticks(text) + 1)
    return "\n".join([fence, *map(line, text.splitlines()), fence])


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already; a bar in a cell stays in it."""
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def document(parts: Iterable[str]) -> str:
    """Paragraphs, those that are not empty, with a line between two."""
    return "\n\n".join(part for part in parts if part) + "\n"


def numbers(found: Sequence[Finding], *, named: bool, verdicts: bool = True) -> str:
    """A table of findings with value, interval and n; `named` adds the model, `verdicts` what is thought of them."""
    levels = "/".join(dict.fromkeys(f"{100 * f.level:g}%" for f in found))
    head = ["finding", *["model"] * named, "value", f"{levels} interval", "n", *["verdict"] * verdicts]
    rows = ([escaped(f.title), *[code(f.model)] * named, *_cells(f), *[_verdict(f)] * verdicts] for f in found)
    return table(head, rows) if found else ""


def left_out(omissions: Iterable[Omission]) -> str:
    """A list of parts and why they are not there."""
    return "\n".join(f"- {code(o.part)} of {code(o.model)}: {escaped(o.reason)}" for o in omissions)


def _cells(finding: Finding) -> tuple[str, str, str]:
    n, tried = formatting.number(finding.conditions.get("n")), findings.tried(finding)
    few = "" if tried is None else f", {tried} tried"
    return escaped(findings.value(finding)), findings.interval(finding) or formatting.NOTHING, f"{n}{few}"


def _verdict(finding: Finding) -> str:
    return "**worry**" if finding.verdict == "worry" else finding.verdict


def _longest_ticks(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
