"""docs/reproduction.md from claims and committed records; nothing is measured here."""

from __future__ import annotations

from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path

from reproduce import claim as claims
from reproduce.claim import Claim, Rule
from reproduce.plots import draw
from reproduce.store import Cell, best
from reproduce.verdict import VERDICTS, Judged, compare, judge
from trustworthy.core.files import atomic_write
from trustworthy.core.record import Record

PICTURES = Path("images") / "reproduction"
RULES = {
    "relative": "within {tolerance:.0%} of the printed number",
    "exact": "equal to the printed number",
    "mean": "means of two samples ({points} points printed) that differ by no more than samples do, at 99 %",
    "splits": "a mean over random splits from which one more split may differ as much, at 99 %",
    "binomial": "shares of two samples ({points} points printed) that differ by no more than samples do, at 99 %",
    "at-most": "no larger than printed",
    "ordering": "only the order among the methods is judged",
}
HEAD = """# Reproduction of the dissertation

Written by `python -m reproduce render` from `reproduce/ch*/claims` and `reproduce/ch*/records`; do not edit.
`python -m reproduce run table-3.1 --scale small` measures again what a record holds, `--scale paper` takes the
dissertation's setting, `--scale smoke` a few points in seconds. A finished cell is not measured twice.

**match**: the measured number counts as the printed one by the rule named under each title (half a unit of the last
printed digit is always allowed), or a sentence holds wherever it was measured. **trend**: the number differs, but every
order among the methods that the dissertation states for it holds (a sentence: at no less than half of the places).
**off**: neither. **not run**: not measured at a recorded scale, with the reason where there is one.
"""


def render(docs: Path, root: Path = claims.HERE) -> Path:
    """Write docs/reproduction.md and its pictures; the same records give the same bytes."""
    sections, summary, total = [], [], Counter[str]()
    for claim, folder in claims.every(root):
        cells = best(folder / "records", claim.name)
        records = {record.name: record for _, cell in cells.values() for record in cell.records()}
        judged = judge(claim, records)
        pictures = draw(claim, records, docs / PICTURES)
        total.update(row.verdict for row in judged)
        summary.append(_summary(claim, judged))
        sections.append(_section(claim, cells, records, judged, pictures))
    line = ", ".join(f"{total[verdict]} {verdict}" for verdict in VERDICTS)
    table = _table(["", *VERDICTS], summary)
    page = docs / "reproduction.md"
    with atomic_write(page) as stream:
        stream.write("\n".join([HEAD, f"**{sum(total.values())} claims: {line}.**\n", table, *sections]))
    return page


def verdicts(claim: Claim, folder: Path) -> list[Judged]:
    """Everything judged of one table or figure, from its records in `folder`."""
    cells = best(folder / "records", claim.name)
    records = {record.name: record for _, cell in cells.values() for record in cell.records()}
    return judge(claim, records)


def _summary(claim: Claim, judged: list[Judged]) -> list[str]:
    count = Counter(row.verdict for row in judged)
    anchor = f"[{_number(claim)}](#{claim.name.replace('.', '-')})"
    return [f"{anchor} {claim.title}", *(str(count[verdict] or "") for verdict in VERDICTS)]


def _section(
    claim: Claim,
    cells: dict[str, tuple[str, Cell]],
    records: dict[str, Record],
    judged: list[Judged],
    pictures: list[Path],
) -> str:
    parts = [f"\n({claim.name.replace('.', '-')})=\n## {_number(claim)}: {claim.title}\n", claim.shows.strip() + "\n"]
    numbers = [row for row in judged if row.claimed is not None]
    if numbers:
        parts.append("Rule: " + "; ".join(_rule(claim, rule) for rule in claim.rules) + ".\n")
        parts.append(_curves(claim, numbers) if any("@" in row.name for row in numbers) else _numbers(claim, numbers))
    parts += [f"![{_number(claim)}, {path.stem}]({PICTURES.as_posix()}/{path.name})\n" for path in pictures]
    if claim.comparisons:
        values = {name: record.value for name, record in records.items() if record.value is not None}
        parts.append("\n".join(_sentence(entry, values) for entry in claim.comparisons) + "\n")
    parts.append(_extra(claim, records))
    parts.append(_notes(claim))
    parts.append(_conditions(cells))
    return "\n".join(part for part in parts if part)


def _number(claim: Claim) -> str:
    return claim.name.replace("-", " ").capitalize()


def _rule(claim: Claim, rule: Rule) -> str:
    where = "" if rule.applies == "*" else f"`{rule.applies}`: "
    kind = "exact" if rule.kind == "relative" and not rule.tolerance else rule.kind
    return where + RULES[kind].format(tolerance=rule.tolerance, points=rule.points)


def _sentence(entry: claims.Comparison, values: dict[str, float]) -> str:
    verdict, held, places = compare(entry, values)
    return f"- {entry.text} **{verdict}**" + (f" (holds at {held} of {places})" if places > 1 else "")


def _numbers(claim: Claim, judged: list[Judged]) -> str:
    """One row a number."""
    body = [[row.name, _printed(claim, row), _value(row.record), _interval(row.record), row.verdict] for row in judged]
    return _table(["", "printed", "measured", "95 % interval", "verdict"], body)


def _printed(claim: Claim, row: Judged) -> str:
    spread = claim.spread(row.name)
    return f"{row.claimed:g}" + ("" if spread is None else f" ± {spread:g}")


def _curves(claim: Claim, judged: list[Judged]) -> str:
    """One row a curve and one table a data set: printed / measured at each place, with what is no match marked."""
    parts = []
    groups: dict[str, dict[str, list[Judged]]] = {}
    for row in judged:
        curve = row.name.partition("@")[0]
        groups.setdefault(curve.partition(".")[0], {}).setdefault(curve.partition(".")[2], []).append(row)
    for head, curves in groups.items():
        named = {name: {row.name.partition("@")[2]: row for row in rows} for name, rows in curves.items()}
        places = [
            at for at in (f"{place:g}" for place in claim.axis[head]) if any(at in rows for rows in named.values())
        ]
        body = [[name, *(_pair(rows[at]) if at in rows else "" for at in places)] for name, rows in named.items()]
        parts.append(f"**{head}**, printed / measured; {claim.axis_label}:\n\n" + _table(["", *places], body))
    marks = "*t*: trend, **x**: off, no mark: match, –: not run."
    return "\n".join([*parts, marks + "\n"])


def _pair(row: Judged) -> str:
    mark = {"match": "", "trend": " *t*", "off": " **x**", "not run": ""}[row.verdict]
    return f"{_plain(row.claimed)} / {_value(row.record)}{mark}"


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _value(record: Record | None) -> str:
    if record is None or record.value is None:
        return "–"
    if abs(record.value) >= 1000:
        return f"{record.value:.0f}"
    return f"{record.value:.3f}" if abs(record.value) >= 0.1 or record.value == 0 else f"{record.value:.3g}"


def _interval(record: Record | None) -> str:
    return "" if record is None or record.interval is None else f"{record.interval[0]:.3f} – {record.interval[1]:.3f}"


def _extra(claim: Claim, records: dict[str, Record]) -> str:
    """Measured numbers of which nothing is printed, curves left to the picture."""
    printed = claim.printed()
    rows = [record for name, record in records.items() if name not in printed and "@" not in name]
    if not rows:
        return ""
    rows = [row for row in rows if row.value is not None]
    body = [[row.name, _value(row), _interval(row), row.unit] for row in sorted(rows, key=lambda row: row.name)]
    return "Measured besides:\n\n" + _table(["", "measured", "95 % interval", "unit"], body) if rows else ""


def _notes(claim: Claim) -> str:
    return "\n".join(f"- `{name}`: {text.strip()}" for name, text in claim.notes.items()) + "\n" if claim.notes else ""


def _conditions(cells: dict[str, tuple[str, Cell]]) -> str:
    """When and how it was measured, one line a scale; what was not run, with its reason."""
    if not cells:
        return "Not measured yet.\n"
    lines = []
    for scale in sorted({scale for scale, _ in cells.values()}):
        done = [cell for at, cell in cells.values() if at == scale and cell.finished]
        if done:
            seeds = ", ".join(sorted({str(cell.common["seed"]) for cell in done}))
            spent = sum(cell.common["wall_time"] for cell in done)
            used = sorted(
                {f"{k} {v}" for cell in done for k, v in cell.common["versions"].items() if k in ("numpy", "scipy")}
            )
            lines.append(
                f"Scale {scale}: {len(done)} cells, seed {seeds}, {spent:,.0f} s on one thread, {', '.join(used)}."
            )
    for name, (_, cell) in cells.items():
        if not cell.finished:
            lines.append(f"Not run, {name}: {cell.common['conditions']['reason']}")
    return "  \n".join(lines) + "\n"


def _table(head: list[str], body: list[list[str]]) -> str:
    rule = [":--", *("--:" for _ in head[1:])]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, rule, *body]) + "\n"


def explained(claim: Claim, name: str) -> str | None:
    """The note on a number, if there is one."""
    return next((text for pattern, text in claim.notes.items() if fnmatchcase(name, pattern)), None)
