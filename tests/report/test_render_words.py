"""How numbers are written, which findings make the summary, and the same summary in the terminal."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from report.synthetic_audit import finding, image_audit
from trustworthy.report import findings, formatting, summary
from trustworthy.report.finding import AuditRecord, Finding, Omission
from trustworthy.report.findings import corruptions
from trustworthy.report.panel import Group
from trustworthy.report.plots import Style
from trustworthy.report.render import build
from trustworthy.report.saved import read
from trustworthy.report.summary import summary_table


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "–"), (math.nan, "–"), (True, "yes"), (False, "no"), (18378, "18,378"), (2.0, "2"), (0.123456, "0.123"),
     (1234.5, "1,234"), (1e9, "1,000,000,000"), (math.inf, "inf"), (-math.inf, "-inf"), ("words", "words")],
)  # fmt: skip
def test_number(value: Any, expected: str) -> None:
    assert formatting.number(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "–"),
        (math.nan, "–"),
        (0.0, "0.000"),
        (0.0812, "0.081"),
        (0.00123, "0.0012"),
        (-0.5, "-0.500"),
        (3.14159, "3.142"),
    ],
)
def test_score(value: float | None, expected: str) -> None:
    assert formatting.score(value) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (4320, "1 h 12 min")],
)
def test_duration(seconds: float, expected: str) -> None:
    assert formatting.duration(seconds).replace("\u00a0", " ") == expected


def test_values_and_intervals_are_written_as_their_kind_asks() -> None:
    share = finding("m", "robustness", "corruptions", "c", "C", 0.8733, interval=(0.8, 0.9))
    assert (findings.value(share), findings.interval(share)) == ("87.3%", "80.0 to 90.0%")
    bits = finding("m", "uncertainty", "score", "n", "N", 0.21, unit="nats", interval=(0.1, 0.3))
    assert (findings.value(bits), findings.interval(bits)) == ("0.210\u00a0nats", "0.100 to 0.300")
    assert findings.value(finding("m", "evaluation", "diagnosis", "d", "D", 2.0)) == "2 failed"
    assert findings.value(finding("m", "evaluation", "diagnosis", "d", "D", None)) == "–"
    assert findings.interval(finding("m", "evaluation", "diagnosis", "d", "D", 1.0)) == ""


def test_settings_become_rows() -> None:
    plan = {"attacks": [{"name": "PGD", "steps": 20}], "linf": {"eps": 0.1, "skip": []}, "empty": {}}
    assert formatting.flat(plan) == [
        ("attacks", "name PGD, steps 20"), ("linf.eps", "0.1"), ("linf.skip", "none"), ("empty", ""),
    ]  # fmt: skip


def record(findings: list[Finding], **rest: Any) -> AuditRecord:
    content: dict[str, Any] = {
        "title": "T",
        "created": "yesterday",
        "data": {},
        "plan": {},
        "seed": 0,
        "wall_time": 1.0,
    }
    return AuditRecord(**content | {"models": [{"name": "a"}, {"name": "b"}], "findings": findings} | rest)


def claim(model: str, name: str, verdict: Any, headline: bool = True) -> Finding:
    return finding(model, "robustness", "score", name, name, 0.5, headline=headline, verdict=verdict)


def test_the_worst_news_of_any_model_comes_first_and_names_stay_aligned() -> None:
    findings = [
        claim("a", "y", "attention"), claim("a", "x", "good"), claim("a", "z", "worry", headline=False),
        claim("b", "y", "good"), claim("b", "x", "worry"), claim("b", "w", "information"),
    ]  # fmt: skip
    line = summary.summarize(record(findings))[0]
    assert [[f.name if f else None for f in row] for row in line.claims] == [["x", "x"], ["y", "y"], [None, "w"]]
    assert line.verdicts == ("attention", "worry")


def test_why_a_property_was_not_measured() -> None:
    omissions = [
        Omission(model="a", part="evaluation.diagnosis", reason="skipped"),
        Omission(model="b", part="uncertainty.scores", reason="other"),
    ]
    lines = {line.property: line for line in summary.summarize(record([], omissions=omissions))}
    assert lines["evaluation"].missing == (("skipped",), ())
    assert lines["evaluation"].verdicts == (None, None)
    assert summary.conclusion(list(lines.values()), 0) == (
        None, "Not measured: robustness, uncertainty, interpretation, evaluation.",
    )  # fmt: skip


def test_a_model_that_the_list_forgot_has_a_column() -> None:
    assert summary.model_names(record([claim("c", "x", "good"), claim("d", "x", "good", headline=False)])) == [
        "a",
        "b",
        "c",
    ]


def test_date_that_is_none_is_shown_as_it_is(tmp_path: Path) -> None:
    audit = read(image_audit(tmp_path))
    for created, shown in (("2026-05-04T09:30:00+00:00", "4 May 2026, 09:30"), ("yesterday", "yesterday")):
        dated = type(audit)(audit.record.model_copy(update={"created": created}), [])
        assert build(dated)["created"] == shown


def test_versions_of_a_resumed_audit_are_all_named(tmp_path: Path) -> None:
    audit = read(image_audit(tmp_path))
    audit.record.findings[0].versions["torch"] = "1.0"
    assert build(type(audit)(audit.record, []))["versions"]["torch"].startswith("1.0 and ")


def test_conditions_that_all_findings_share_are_said_once(tmp_path: Path) -> None:
    same = [
        claim(model, "x", "good").model_copy(update={"conditions": {"n": 5, "eps": e}})
        for model, e in (("a", 1), ("b", 2))
    ]
    audit = read(image_audit(tmp_path))
    built = build(type(audit)(record(same), []))
    assert built["shared_conditions"] == {"n": 5}
    assert [own for _, own in built["own_conditions"]] == [{"eps": 1}, {"eps": 2}]


@pytest.mark.usefixtures("_undrawn_here")
def test_figures_list_the_models_in_the_order_of_the_audit(tmp_path: Path) -> None:
    audit = read(image_audit(tmp_path))
    turned = type(audit)(audit.record, audit.entries[::-1])
    cards = [card for section in build(turned)["sections"] for card in section.cards]
    texts = ["".join(map(str, (block for panel in card for block in panel.blocks))) for card in cards]
    found = [re.findall(r'<span class="model">.*?<span>(.*?)</span>', text) for text in texts]
    names = [list(dict.fromkeys(each)) for each in found if len(set(each)) > 1]
    assert names == [["plain", "adversarially trained"]] * len(names)
    assert len(names) >= 8


def test_mean_and_columns_pass_over_what_was_not_measured() -> None:
    assert corruptions.mean([0.5, math.nan, 1.0]) == 0.75
    assert math.isnan(corruptions.mean([math.nan]))
    assert corruptions.columns([(1.0, 2.0), (3.0, 4.0)]) == [(1.0, 3.0), (2.0, 4.0)]


def test_norm_of_a_name() -> None:
    assert Group("", "robustness.l2.distortion", "", []).norm == "l2"
    assert Group("", "robustness.corruptions", "", []).norm == ""


def test_looks_differ_by_more_than_colour() -> None:
    looks = [Style(place) for place in range(1, 9)]
    assert len({look.marker for look in looks}) == len({look.variable for look in looks}) == 8
    assert Style(9).marker == Style(1).marker


def printed(record: AuditRecord, width: int) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width).print(summary_table(record))
    return stream.getvalue()


def test_summary_in_the_terminal(tmp_path: Path) -> None:
    text = printed(read(image_audit(tmp_path, models=("[red]a", "b"))).record, 160)
    assert text.count("[red]a") == 2  # in the title and over its column: a name is not markup
    assert "✗ worry Accuracy under linf attack at eps 0.1: 10.1% (7.1 to 13.1%)" in text
    assert "Confidence can be taken at its word." in text
    assert max(map(len, printed(read(tmp_path).record, 80).splitlines())) <= 80


def test_terminal_says_what_was_not_measured() -> None:
    omitted = [Omission(model="a", part="evaluation.diagnosis", reason="no gradients")]
    text = printed(record([claim("b", "x", "good")], omissions=omitted), 120)
    assert "not measured; no gradients" in text


def told(name: str, verdict: Any, about: Any = "robustness", **rest: Any) -> Finding:
    return finding("a", about, "score", name, name, 0.5, headline=True, verdict=verdict, **rest)


def test_the_three_lines_that_matter_are_the_worst_news_of_different_properties() -> None:
    findings = [
        told("u", "information"), told("v", "worry"), told("w", "worry"), told("x", "attention", "uncertainty"),
        told("y", "worry", "evaluation"), told("z", "good", "interpretation"),
    ]  # fmt: skip
    only = {"models": [{"name": "a"}]}
    lines = [line for _, line in summary.foremost(record(findings, **only))]
    assert lines == ["✗ worry v: 0.500", "✗ worry y: 0.500", "✗ worry w: 0.500"]
    lines = [line for _, line in summary.foremost(record(findings[:1] + findings[3:], **only))]
    assert lines == ["✗ worry y: 0.500", "! attention x: 0.500", "✓ good z: 0.500"]
    assert summary.foremost(record(findings[:1], **only)) == []


def test_a_line_that_matters_has_one_clause_and_the_model_where_there_are_several() -> None:
    said = "Half (linf, to 0.5; or so) breaks at 0.1, it seems; so it is. Beware."
    (line,) = summary.foremost(record([told("w", "worry", statement=said)]))
    assert line == ("bold red", "✗ worry w of a: 0.500. Half breaks at 0.1, it seems.")


def test_what_failed_is_among_the_lines_that_matter_once() -> None:
    failed = Omission(model="all models", part="robustness.transfer", reason="no gradients.", failed=True)
    lines = summary.foremost(record([told("v", "worry")], omissions=[failed]))
    assert [line for _, line in lines] == ["✗ worry robustness.transfer failed: no gradients.", "✗ worry v of a: 0.500"]


def held(model: str, value: float | None, low: float, high: float, kind: str = "robustness_curve") -> Finding:
    name = "robustness.linf." + ("randomness" if kind == "randomness" else "accuracy")
    return finding(model, "robustness", kind, name, "T", value, interval=None if value is None else (low, high))


def test_the_most_robust_model_is_named_with_those_that_may_be_as_robust() -> None:
    curves = [held("plain", 0.5, 0.4, 0.6), held("rse", 0.9, 0.85, 0.95), held("hard", 0.8, 0.7, 0.88)]
    stochastic = held("rse", 0.6, 0.4, 0.75, "randomness")
    told = summary.most_robust(record([*curves, stochastic]))
    assert told == "Most accurate under attack (linf): hard, 80.0%; by their intervals rse (60.0%) may be as accurate."
    assert summary.most_robust(record([curves[0], curves[2]])).endswith(
        "hard, 80.0%, beyond the intervals of the others."
    )
    doubted = told_of_check("rse", "attention"), told_of_check("hard", "good")
    assert summary.most_robust(record([*curves, *doubted])).endswith(
        "The attacks on rse failed a check, and may be weaker than they look."
    )


def told_of_check(model: str, verdict: Any) -> Finding:
    return finding(model, "evaluation", "diagnosis", "evaluation.diagnosis", "T", 0.0, verdict=verdict)


def test_a_single_model_is_not_called_the_most_robust() -> None:
    assert summary.most_robust(record([held("plain", 0.5, 0.4, 0.6), held("odd", None, 0.0, 0.0)])) == ""
