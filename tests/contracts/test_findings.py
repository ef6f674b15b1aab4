"""What every kind of finding keeps to, from an example: measured, saved, judged, gated, drawn, documented."""

import json
import math
import subprocess
import sys
from collections import ChainMap
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from markupsafe import Markup

from contracts.examples import EXAMPLES
from contracts.test_numbers import check_numbers
from report.small_audit import Halves, audited, images, table
from report.synthetic_audit import finding, save
from trustworthy.report.audit import audit
from trustworthy.report.finding import ALL_MODELS, AuditRecord, Finding, Omission
from trustworthy.report.findings import BY_NAME, KINDS, OF_FINDING
from trustworthy.report.gate import GATED, Limit, judge, parse_limits
from trustworthy.report.kind import NotApplicable
from trustworthy.report.panel import Panel
from trustworthy.report.plan import Plan, make_plan
from trustworthy.report.render import build, environment, render
from trustworthy.report.saved import read
from trustworthy.report.settings import PROFILES, Section
from trustworthy.report.subject import examine
from trustworthy.report.summary import PROPERTIES

DOCS = Path(__file__).parents[2] / "docs"
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.step)
FORBIDDEN = ("torch", *(f"trustworthy.{name}" for name in (
    "attacks", "certify", "datasets", "graphs", "metrics", "neighbors", "nn", "training", "uncertainty")))  # fmt: skip


def example_of(kind):
    """The example as a saved finding of the model "m", and its arrays."""
    name, value, series, arrays = EXAMPLES[kind.step]
    keys = {role: f"{kind.name}/{role}" for role in arrays}
    judged = kind.judged(name)
    given = {"series": series, "arrays": keys, "statement": "What the example says.", "headline": judged.headline}
    given |= {"higher_is_better": judged.higher_is_better}
    made = finding("m", kind.property, kind.name, name, judged.title, value, **given)
    return made, {keys[role]: array for role, array in arrays.items()}


def saved(folder, *kinds):
    """The examples of these kinds as a saved audit, and its record."""
    made, arrays = zip(*map(example_of, kinds), strict=True)
    record = AuditRecord(
        title="T", created="2026-05-04T09:30:00+00:00", models=[{"name": "m"}], data={"units": "pixels"}, plan={},
        seed=0, wall_time=1.0, findings=made,
    )  # fmt: skip
    return save(folder, record, dict(ChainMap(*arrays))), record


def test_names_steps_and_sections_are_one_each():
    assert len({kind.step for kind in KINDS}) == len(KINDS)
    assert len({kind.section for kind in KINDS}) == len(KINDS)
    assert not {kind.section for kind in KINDS} & set(Plan.model_fields)
    assert sum(len(kind.findings) for kind in KINDS) == len(OF_FINDING)
    for kind in KINDS:  # kinds of one name are drawn by the first
        assert kind.series is BY_NAME[kind.name].series
        assert kind.draw is BY_NAME[kind.name].draw


@every_kind
def test_its_declaration_is_whole(kind):
    assert kind.property in PROPERTIES
    assert kind.step.startswith(kind.property) or kind.step == "accuracy"  # an omission explains its property
    assert set(kind.settings) == set(PROFILES)
    assert len({type(section) for section in kind.settings.values()}) == 1
    assert all(isinstance(section, Section) for section in kind.settings.values())
    assert all(judged.title for judged in kind.findings.values())
    assert EXAMPLES[kind.step][0] in kind.findings


@every_kind
def test_its_series_is_checked(kind):
    _, _, series, arrays = EXAMPLES[kind.step]
    read = kind.series.model_validate(series)
    assert kind.series.roles <= arrays.keys()
    required = [key for key, field in kind.series.model_fields.items() if field.is_required()]
    assert set(required) <= set(series)
    for key in required:
        with pytest.raises(ValueError, match="Field required"):
            kind.series.model_validate({k: item for k, item in series.items() if k != key})
    for key in [k for k in (*kind.series.aligned[1:], *kind.series.binned) if series.get(k)]:
        short = [] if isinstance(series[key], list) else {next(iter(series[key])): [0.0]}
        if key in required or short:
            with pytest.raises(ValueError, match="must have"):
                kind.series.model_validate({**series, key: short})
    assert read == kind.series.model_validate(json.loads(read.model_dump_json()))


@every_kind
def test_the_page_shows_it_alone(kind, tmp_path):
    folder, record = saved(tmp_path, kind)
    built = build(read(folder))
    (panels,) = [card for section in built["sections"] for card in section.cards]
    assert panels
    assert all(isinstance(panel, Panel) and panel.title and panel.blocks for panel in panels)
    assert all(isinstance(block, Markup) for panel in panels for block in panel.blocks)
    page = environment().get_template("report.html.j2").render(built)
    (made,) = record.findings
    for text in (made.title, made.statement):
        assert text in page
    assert page == render(folder).read_text()
    assert "nan" not in page.split("<main>")[1].split("data:image")[0].lower().split()


@every_kind
def test_it_survives_json(kind, tmp_path):
    made, _ = example_of(kind)
    assert Finding.model_validate_json(made.model_dump_json()) == made
    assert "NaN" not in json.dumps(json.loads(made.model_dump_json()))


@every_kind
def test_a_verdict_changes_at_its_thresholds(kind):
    for judged in kind.findings.values():
        if (rule := judged.rule) is None:
            continue
        better = 1e-9 if rule.good > rule.worry else -1e-9
        assert rule.good != rule.worry
        assert rule(rule.good) == "good"
        assert rule(rule.good - better) == rule(rule.worry + better) == "attention"
        assert rule(rule.worry) == "worry"
        assert rule(None) == rule(math.nan) == "information"
        assert rule.judged


@every_kind
def test_the_gate_reads_what_has_a_better_and_a_worse(kind, tmp_path):
    for name, judged in kind.findings.items():
        assert (name in GATED) == (judged.higher_is_better is not None)
        assert judged.rule is None or judged.higher_is_better is not None
        if name not in GATED:
            continue
        assert parse_limits([f"{name}=0.5"]) == [Limit(name, 0.5)]
        made, _ = example_of(kind)
        _, record = saved(tmp_path, kind)
        told = {"name": name, "interval": None, "higher_is_better": judged.higher_is_better}
        for value, better in ((0.4, False), (0.6, True)):
            found = [made.model_copy(update={**told, "value": value})]
            (outcome,) = judge(record.model_copy(update={"findings": found}), [Limit(name, 0.5)])
            assert outcome.status == ("holds" if better == judged.higher_is_better else "fails")
        reason = Omission(model="m", part=kind.step, reason="of the weather.")
        empty = record.model_copy(update={"findings": [], "omissions": [reason]})
        (outcome,) = judge(empty, [Limit(name, 0.5)])
        assert (outcome.status, outcome.phrase) == ("fails", f"{name} was not measured: of the weather")


@every_kind
def test_the_guide_names_it(kind):
    rows = [line for line in (DOCS / "findings.md").read_text().splitlines() if line.startswith(f"| `{kind.name}` |")]
    (row,) = rows
    assert all(f"`{name}`" in row for name in kind.findings)
    assert [key for key in (*kind.series.model_fields, *EXAMPLES[kind.step][3]) if f"`{key}`" not in row] == []
    assert f"`{kind.step}`" in (DOCS / "plan.md").read_text()


def test_the_guide_names_no_other():
    text = (DOCS / "findings.md").read_text().split("## Kinds")[1].split("## When")[0]
    named = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    assert named == list(dict.fromkeys(kind.name for kind in KINDS))


def test_drawing_imports_neither_torch_nor_an_algorithm(tmp_path):
    """But for what matplotlib makes of a figure, which is none of ours."""
    saved(tmp_path, *KINDS)
    code = (
        "import sys\nfrom trustworthy.report.render import render\nfrom trustworthy.report.gate import GATED\n"
        "from trustworthy.report import renderings, saved\n"
        "from matplotlib.backends.backend_svg import FigureCanvasSVG\n"
        "FigureCanvasSVG.print_svg = lambda canvas, stream, **given: stream.write('<svg viewBox=\"0 0 1 1\"></svg>')\n"
        f"folder = {str(tmp_path)!r}\nrender(folder)\n"
        "record = saved.read(folder).record\nrenderings.markdown(record, [], '')\n"
        "for name in ('junit', 'sarif', 'card', 'annex_iv'): getattr(renderings, name)(record, [])\n"
        f"print([name for name in {FORBIDDEN} if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def whole():
    """Every kind measured: on two models of images, and on a model without gradients of a table."""
    quick = {
        "attacks": {"linf": 0.05, "l2": 0.2, "tried": [{"name": "PGD", "steps": 2}]},
        "distortion": {"rows": 4, "attack": {"name": "PGD", "steps": 2}, "bisections": 2},
        "corruptions": {"rows": 2},
        "diagnosis": {"rows": 2, "queries": 2},
        "pictures": {"shown": 1},
        "poisoning": {"rows": 12, "labelled": 4, "flips": 1},
    }
    of_images = audited({"a": Halves(), "b": Halves()}, images(12), **quick)
    rows, labels = table(20)
    return of_images, audited(lambda z: torch.stack([0 * z[:, 0], z[:, 0].detach() - 3], 1), (rows, labels))


def test_what_is_measured_is_declared_and_keeps_to_its_contract(whole):
    measured = [found for record in whole for found in record.findings]
    left_out = [omission for record in whole for omission in record.omissions]
    assert {OF_FINDING[f.name].step for f in measured} | {o.part for o in left_out} == {kind.step for kind in KINDS}
    for found in measured:
        kind = OF_FINDING[found.name]
        judged = kind.findings[found.name]
        assert (found.kind, found.property) == (kind.name, kind.property)
        assert (found.title, found.headline) == (judged.title, judged.headline)
        assert found.higher_is_better == judged.higher_is_better
        assert found.verdict == "information" or judged.rule is not None
        assert kind.series.roles <= found.arrays.keys()
        kind.series.model_validate(json.loads(found.model_dump_json())["series"])
    for omission in left_out:
        assert omission.reason.endswith(".")
    # Whatever is not measured in either audit needs another model; what that is tested beside its kind.
    elsewhere = {"robustness.certificate", "robustness.randomness", "robustness.defenses", "uncertainty.disagreement",
                 "uncertainty.temperature"}  # fmt: skip
    assert {kind.step for kind in KINDS} - {OF_FINDING[f.name].step for f in measured} == elsewhere


def test_numbers_of_images_and_of_several_models_say_their_n_and_how_far_they_may_be_off(whole):
    assert ALL_MODELS in {found.model for record in whole for found in record.findings}
    for record in whole:
        for found in record.findings:
            check_numbers(found)


@every_kind
def test_a_part_is_kept_unless_its_own_settings_change(kind, tmp_path, monkeypatch):
    """Changing every other section leaves the mark of the part as it is; each of its own keys changes it."""
    x, y = images(8)
    models = {"a": Halves(), "b": Halves()}
    calls = []

    def count(case, settings):
        calls.append(settings)
        raise NotApplicable("counted.")

    counted = tuple(replace(other, measure=count, depends=None) for other in KINDS)
    mine = tuple(other for other in counted if other.step == kind.step)
    plan = make_plan(kinds=counted)

    def run(changed):
        calls.clear()
        audit(models, (x, y), tmp_path, plan=changed, kinds=mine)
        return len(calls)

    subjects = {}

    def examined_once(name, *given, **options):
        if name not in subjects:
            subjects[name] = examine(name, *given, **options)
        return subjects[name]

    monkeypatch.setattr("trustworthy.report.audit.examine", examined_once)
    monkeypatch.setattr("trustworthy.report.audit.render", lambda folder: None)
    monkeypatch.setattr("trustworthy.core.study.Parts._warn", lambda self, message: None)
    assert run(plan) > 0
    assert run(plan) == 0
    thorough = make_plan("thorough", kinds=counted)
    others = {other.section: dict(thorough)[other.section] for other in counted
              if other.step != kind.step and other.section in dict(thorough)}  # fmt: skip
    assert run(plan.model_copy(update=others)) == 0
    assert (run(plan.model_copy(update={"attacks": thorough.attacks})) > 0) == kind.attacks
    for key, value in dict(plan.of(mine[0])).items():
        other = value + 1 if isinstance(value, int | float) else [*value, value[0]] if isinstance(value, list) else None
        other = thorough.attacks.decision if other is None else other
        section = plan.of(mine[0]).model_copy(update={key: other})
        assert run(plan.model_copy(update={kind.section: section})) > 0, key


def test_plans_differ_by_profile_and_every_section_is_a_kind_s():
    plans = [make_plan(profile) for profile in PROFILES]
    assert len({plan.model_dump_json(exclude={"profile"}) for plan in plans}) == 3
    sections = {name for name, value in dict(make_plan()).items() if isinstance(value, Section)}
    assert sections == {"attacks", *(kind.section for kind in KINDS if dict(kind.settings["quick"]))}
