"""One saved audit, many renderings: each says what the record says, and holds whatever a name holds."""

import html
import json
import re
from collections import Counter
from xml.etree import ElementTree as ET

import pytest
import yaml
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from report.synthetic_audit import finding, image_audit
from trustworthy.core.errors import DataError, InvalidInput
from trustworthy.report.finding import AuditRecord, Omission
from trustworthy.report.findings import KINDS, OF_FINDING
from trustworthy.report.gate import Limit, judge
from trustworthy.report.renderings import annex_iv, card, junit, markdown, sarif, write
from trustworthy.report.renderings.annex_iv import PROVISIONS
from trustworthy.report.renderings.text import line
from trustworthy.report.saved import read

HOSTILE = "<script>alert(1)</script> | `x` [a](b) *b* {0}\n---\n# $x$ @team \x00\x1b[2J\ufffe\u202e ü \\| é"
FORBIDDEN = re.compile(r"complian|certif", re.IGNORECASE)


def record(*found, models=("m",), omissions=(), **changes):
    given = {
        "title": "T", "created": "2026-05-04T09:30:00+00:00", "models": [{"name": name} for name in models],
        "data": {"name": "digits", "rows": 9, "shape": [1, 8, 8]}, "plan": {"profile": "quick"}, "seed": 7,
        "wall_time": 4.0, "findings": list(found), "omissions": list(omissions),
    }  # fmt: skip
    return AuditRecord(**given | changes)


def accuracy(value=0.9, model="m", **changes):
    given = {"interval": (0.8, 0.95), "verdict": "good", "higher_is_better": True, "headline": True}
    given |= {"conditions": {"n": 50}, "statement": "Nine in ten."}
    return finding(model, "robustness", "accuracy", "accuracy", "Accuracy on clean examples", value, **given | changes)


def ece(value=0.2, model="m", **changes):
    given = {"verdict": "worry", "higher_is_better": False, "headline": True, "statement": "Too sure of itself."}
    return finding(model, "uncertainty", "calibration", "uncertainty.ece", "Calibration", value, **given | changes)


def hostile():
    """An audit in which every text that a user or a model gives is hostile."""
    found = [accuracy(model=HOSTILE, statement=HOSTILE, conditions={"n": 50, "attacks": [HOSTILE]}), ece(model=HOSTILE)]
    left = [Omission(model=HOSTILE, part="robustness.linf", reason=HOSTILE, failed=True)]
    models = [{"name": HOSTILE, "source": f"{HOSTILE}.joblib", "kind": HOSTILE}]
    return record(*found, models=(), omissions=left, title=HOSTILE, command=f"audit '{HOSTILE}'\n```\n# no",
                  data={"name": HOSTILE, "rows": 9}).model_copy(update={"models": models})  # fmt: skip


def page(text):
    return MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)


def cells(text):
    """Number of cells of every row of every table."""
    rows = re.findall(r"<tr>(.*?)</tr>", page(text), re.DOTALL)
    return [len(re.findall(r"<t[dh][ >]", row)) for row in rows]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return read(image_audit(tmp_path_factory.mktemp("images"))).record


def suite(*given):
    (found,) = ET.fromstring(junit(*given))
    return found


def test_junit_has_a_case_for_each_finding_and_model_with_its_numbers(images):
    found = suite(images, [])
    cases = {(case.get("classname"), case.get("name")): case for case in found.iter("testcase")}
    assert {(f"{f.property}/{f.model}", f.name) for f in images.findings} <= cases.keys()
    assert int(found.get("tests")) == len(cases) == len(images.findings) + len(images.omissions)
    case = cases["robustness/plain", "robustness.linf.accuracy"]
    saved = next(f for f in images.findings if f.name == "robustness.linf.accuracy" and f.model == "plain")
    told = {each.get("name"): each.get("value") for each in case.iter("property")}
    assert float(told["value"]) == saved.value
    assert tuple(map(float, told["interval"].split(" to "))) == saved.interval
    assert told["seed"] == "7"
    assert float(case.get("time")) == saved.wall_time
    shared = {each.get("name"): each.get("value") for each in found.find("properties")}
    assert shared["version.trustworthy"] == saved.versions["trustworthy"]
    assert shared["command"] == images.command


def test_junit_tells_failures_errors_and_skips_apart():
    left = [
        Omission(model="m", part="robustness.corruptions", reason="a table."),
        Omission(model="m", part="robustness.linf", reason="it raised.", failed=True),
    ]
    given = record(accuracy(0.9), ece(0.2), finding("m", "uncertainty", "score", "uncertainty.nll", "NLL", None),
                   omissions=left)  # fmt: skip
    limits = [Limit("accuracy", 0.99), Limit("accuracy", 0.5), Limit("uncertainty.ece", 0.1)]
    limits += [Limit("robustness.corruptions", 0.5), Limit("uncertainty.aurc", 0.1)]
    found = suite(given, judge(given, limits))
    results = {case.get("name"): next((e.tag, e.get("message")) for e in [*case[::-1], ET.Element("passed")]
               if e.tag in ("failure", "error", "skipped", "passed")) for case in found.iter("testcase")}  # fmt: skip
    tags = {name: tag for name, (tag, _) in results.items()}
    assert tags == {
        "accuracy": "failure", "uncertainty.ece": "failure", "uncertainty.nll": "skipped",
        "robustness.corruptions": "failure", "robustness.linf": "error", "uncertainty.aurc": "failure",
    }  # fmt: skip
    assert results["uncertainty.ece"][1] == "uncertainty.ece is 0.2, above 0.1"
    assert "a table" in results["robustness.corruptions"][1]
    counts = Counter(tags.values())
    given = [int(found.get(key)) for key in ("failures", "errors", "skipped")]
    assert given == [counts["failure"], counts["error"], counts["skipped"]]
    near = suite(record(accuracy(0.9)), judge(record(accuracy(0.9)), [Limit("accuracy", 0.85)]))
    assert [child.tag for child in near.find("testcase")] == ["properties", "skipped", "system-out"]


ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {"name", "time", "tests", "failures", "errors", "skipped", "timestamp"},
    "testcase": {"name", "classname", "time"}, "property": {"name", "value"}, "properties": set(), "system-out": set(),
    "failure": {"message"}, "error": {"message"}, "skipped": {"message"},
}  # fmt: skip
INSIDE = {
    "testsuites": {"testsuite"}, "testsuite": {"properties", "testcase"}, "properties": {"property"},
    "testcase": {"properties", "failure", "error", "skipped", "system-out"},
}  # fmt: skip


@pytest.mark.parametrize("which", ["images", "hostile"])
def test_junit_has_the_elements_and_attributes_that_jenkins_declares(which, images):
    """Those of junit-10.xsd of Jenkins, and properties of a test case, which pytest writes too."""
    given = images if which == "images" else hostile()
    root = ET.fromstring(junit(given, judge(given, [Limit("accuracy", 0.99), Limit("uncertainty.ece", 0.1)])))
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.keys()) <= ATTRIBUTES[element.tag]
        assert {child.tag for child in element} <= INSIDE.get(element.tag, set())
        if (seconds := element.get("time")) is not None:
            assert re.fullmatch(r"[0-9]+\.[0-9]{3}", seconds)
    if which == "hostile":
        assert "<script>alert(1)</script> | `x`" in root[0].get("name")
        assert "\ufffd" in root[0].get("name")


def log(*given):
    content = json.loads(sarif(*given))
    (run,) = content["runs"]
    return content, run["tool"]["driver"], run["results"]


def test_sarif_holds_limits_that_fail_and_worries_alone():
    found = [accuracy(0.9), ece(0.2, "a"), ece(0.01, "b", verdict="attention"), accuracy(0.4, "b", verdict="worry")]
    left = [Omission(model="a", part="robustness.linf", reason="it raised.", failed=True),
            Omission(model="a", part="robustness.l2", reason="skipped.")]  # fmt: skip
    given = record(*found, models=("a", "b"), omissions=left)
    limits = [Limit("accuracy", 0.99), Limit("uncertainty.ece", 0.1), Limit("uncertainty.aurc", 0.1)]
    _, driver, results = log(given, judge(given, limits))
    said = {(r["ruleId"], r["message"]["text"].partition(":")[0]): r["level"] for r in results}
    assert said == {
        ("accuracy", "m"): "error", ("accuracy", "b"): "error", ("uncertainty.ece", "a"): "error",
        ("uncertainty.aurc", "a"): "error", ("uncertainty.aurc", "b"): "error", ("failed", "a"): "error",
    }  # fmt: skip
    assert [driver["rules"][r["ruleIndex"]]["id"] for r in results] == [r["ruleId"] for r in results]
    (first,) = [r for r in results if r["ruleId"] == "uncertainty.ece"]
    assert first["message"]["text"].endswith("above 0.1. Too sure of itself.")
    _, driver, results = log(given, [])
    assert [(r["ruleId"], r["level"]) for r in results] == [
        ("uncertainty.ece", "warning"), ("accuracy", "warning"), ("failed", "error"),
    ]  # fmt: skip
    helped = {rule["id"]: rule["help"]["text"] for rule in driver["rules"]}
    assert "expected calibration error: good from 0.03 on, a worry from 0.1 on" in helped["uncertainty.ece"]
    assert "`--fail-under accuracy=`" in helped["accuracy"]
    near = record(accuracy(0.9))
    assert log(near, judge(near, [Limit("accuracy", 0.85)]))[2] == []


def test_sarif_fingerprints_know_finding_model_and_data_alone():
    def marks(*found, models=("a", "b"), **changes):
        results = log(record(*found, models=models, **changes), [])[2]
        return {(r["ruleId"], r["message"]["text"][:1]): r["partialFingerprints"] for r in results}

    first = marks(ece(0.2, "a"), ece(0.3, "b"), accuracy(0.1, "a", verdict="worry"))
    assert len({mark["trustworthy/v1"] for mark in first.values()}) == 3
    again = marks(accuracy(0.2, "a", verdict="worry"), ece(0.5, "b", seed=1), ece(0.6, "a", device="cuda"),
                  models=("b", "a"), created="later", seed=3)  # fmt: skip
    assert again == first
    assert marks(ece(0.2, "a"), data={"name": "other"})["uncertainty.ece", "a"] != first["uncertainty.ece", "a"]
    # Printed here, so that a change of the hash is noticed: it would close and open every alert.
    assert first["uncertainty.ece", "a"]["trustworthy/v1"] == "30fb506b332e444d6326737f61c03327"


@pytest.mark.parametrize(
    ("source", "uri"),
    [
        ("models/a b.joblib", "models/a%20b.joblib"), ("./models/net.py:build", "models/net.py"),
        ("/data/é.onnx", "file:///data/%C3%A9.onnx"), ("folder", "folder"), ("package.module:build", None), ("", None),
    ],
)  # fmt: skip
def test_sarif_points_at_the_file_of_the_model(source, uri):
    given = record(ece()).model_copy(update={"models": [{"name": "m", "source": source}]})
    (result,) = log(given, [])[2]
    (location,) = result["locations"]
    assert location["logicalLocations"][0]["name"] == "m"
    assert location.get("physicalLocation", {}).get("artifactLocation", {}).get("uri") == uri


@pytest.mark.parametrize("which", ["images", "hostile", "empty"])
def test_sarif_has_what_its_schema_requires(which, images):
    """Required properties and types of SARIF 2.1.0, written out from the standard for what we write."""
    given = {"images": images, "hostile": hostile(), "empty": record()}[which]
    content, driver, results = log(given, judge(given, [Limit("accuracy", 0.99), Limit("uncertainty.ece", 0.1)]))
    assert content["version"] == "2.1.0"
    assert content.keys() == {"$schema", "version", "runs"}
    assert driver.keys() <= {"name", "version", "rules"}
    assert driver["name"] == "trustworthy"
    assert len({rule["id"] for rule in driver["rules"]}) == len(driver["rules"])
    for rule in driver["rules"]:
        assert rule.keys() <= {"id", "shortDescription", "fullDescription", "help", "properties"}
        assert all(isinstance(rule[key]["text"], str) for key in ("shortDescription", "help"))
    assert results
    for result in results:
        assert result.keys() == {"ruleId", "ruleIndex", "level", "message", "locations", "partialFingerprints"}
        assert result["level"] in ("error", "warning")
        assert result["message"].keys() == {"text"}
        assert not {"{", "}"} & set(re.sub(r"\{\{|\}\}", "", result["message"]["text"]))
        assert "](" not in result["message"]["text"]
        assert all(isinstance(mark, str) for mark in result["partialFingerprints"].values())
        assert 1 <= len(result["locations"]) <= 10
        for location in result["locations"]:
            assert location.keys() <= {"physicalLocation", "logicalLocations"}
            uri = location.get("physicalLocation", {}).get("artifactLocation", {}).get("uri", "")
            assert re.fullmatch(r"[A-Za-z0-9._~/%:-]*", uri)
            assert location.get("physicalLocation", {}).get("region", {"startLine": 1}) == {"startLine": 1}


def test_a_worry_about_all_models_points_at_each():
    found = finding("all models", "robustness", "transfer", "robustness.transfer", "Transfer", 0.9, verdict="worry")
    (result,) = log(record(found, models=("a", "b")), [])[2]
    assert [each["logicalLocations"][0]["name"] for each in result["locations"]] == ["a", "b"]


def test_markdown_shows_the_gate_first_then_headlines_and_folds_the_rest():
    left = [Omission(model="a", part="robustness.linf", reason="it raised.", failed=True),
            Omission(model="a", part="robustness.l2", reason="the plan skips it.")]  # fmt: skip
    given = record(accuracy(0.9, "a"), accuracy(0.4, "b", interval=None), ece(0.2, "b"),
                   ece(0.02, "a", headline=False), models=("a", "b"), omissions=left)  # fmt: skip
    text = markdown(given, judge(given, [Limit("accuracy", 0.5), Limit("accuracy", 0.85)]), "out/report.html")
    order = ["- `a`: **worry**.", "- `b`: **worry**.", "| **fails** | `accuracy=0.5` | accuracy of b is 0.4",
             "| **fails** | `accuracy=0.85` | accuracy of b", "| **cannot tell** | `accuracy=0.85` | accuracy of a",
             "| holds | `accuracy=0.5` |", "**Failed**", "- `robustness.linf` of `a`: it raised.",
             "| finding | model | value | 95% interval | n | verdict |",
             "| Accuracy on clean examples | `a` | 90.0% | 80.0 to 95.0% | 50 | good |",
             "| Accuracy on clean examples | `b` | 40.0% | – | 50 | good |",
             "| Calibration | `b` | 0.200 | – | – | **worry** |",
             "<details><summary>Left out (1)</summary>", "- `robustness.l2` of `a`: the plan skips it.", "</details>",
             "Measured on 9 rows of digits with seed 7", "`out/report.html`"]  # fmt: skip
    places = [text.index(each) for each in order]
    assert places == sorted(places)
    assert text.count("| Calibration | `b`") == 1
    assert "| Calibration | `a`" not in text
    assert "| model |" not in markdown(record(accuracy()), [], "r")
    assert "| 50, 20 tried |" in markdown(record(accuracy(conditions={"n": 50, "right": 40, "attacked": 20})), [], "r")


@pytest.mark.parametrize(
    "render", [lambda *a: markdown(*a, "a|b.html"), card, annex_iv], ids=["markdown", "card", "annex"]
)
def test_hostile_names_stay_text_in_their_cell(render):
    given = hostile()
    text = render(given, judge(given, [Limit("accuracy", 0.99), Limit("uncertainty.aurc", 0.1)]))
    body = text.split("\n---\n", 1)[1] if text.startswith("---\n") else text
    shown = page(body)
    assert "&lt;script&gt;" in shown
    assert (
        re.findall(r"<(?!/?(?:h[1-6]|p|ul|li|table|thead|tbody|tr|t[hd]|code|strong|em|pre|details|summary)\b)", shown)
        == []
    )
    assert re.search("[\x00-\x09\x0b-\x1f\ufffe\u202e]", text) is None
    assert "@team" not in re.sub(r"<code>.*?</code>", "", shown, flags=re.DOTALL)
    assert "<em>b</em>" not in shown
    assert "<a " not in shown
    assert "<h1>no</h1>" not in shown
    assert f"<code>{html.escape(line(HOSTILE), quote=False)}</code>" in shown
    widths = {tuple(cells(table)) for table in re.findall(r"(?:^\|.*\n)+", body, re.MULTILINE)}
    assert all(len(set(each)) == 1 for each in widths)
    assert len(widths) > 0
    assert "ü \\| é" in shown


def test_a_card_says_what_the_record_says_and_the_hub_reads_it():
    of_data = finding("all models", "robustness", "poisoning", "robustness.poisoning", "Poison", 0.6)
    left = [Omission(model="m", part="robustness.l2", reason="the plan skips it.")]
    command = "trustworthy audit m.joblib --data d.csv"
    given = record(accuracy(0.9), ece(None), of_data, omissions=left, command=command)
    given = given.model_copy(update={"models": [{"name": "m", "source": "/home/me/m.joblib", "fingerprint": "abc"}]})
    text = card(given, judge(given, [Limit("accuracy", 0.5)]))
    read_back = ModelCard(text).data
    (result,) = read_back.eval_results
    assert (result.task_type, result.dataset_name, result.metric_type) == ("image-classification", "digits", "accuracy")
    assert result.metric_value == 0.9
    assert result.metric_args == {"interval": [0.8, 0.95], "level": 0.95, "n": 50, "seed": 7}
    assert (read_back.model_name, read_back.pipeline_tag) == ("m", "image-classification")
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["model-index"][0]["results"][0]["metrics"][0]["value"] == 0.9
    parts = ["## Intended checks", "| holds | `accuracy=0.5` |", "80.0 to 95.0% | 50", "Of the data, not of this model"]
    parts += ["the plan skips it", f"```\n{command}\n```", "- seed: 7", "fingerprint abc"]
    for part in [*parts, f"trustworthy {given.findings[0].versions['trustworthy']}"]:
        assert part in text
    assert "/home" not in text
    assert "No limit was set." in card(given, [])


@pytest.mark.parametrize(
    ("shape", "task"), [([30], "tabular"), ([64, 384], "text"), ([3, 32, 32], "image")], ids=["table", "text", "image"]
)
def test_a_card_names_the_task_of_the_hub(shape, task):
    given = record(accuracy(0.9), models=("m",), data={"name": "d", "rows": 9, "shape": shape})
    assert ModelCard(card(given, [])).data.pipeline_tag == f"{task}-classification"


def test_a_card_is_of_one_model():
    with pytest.raises(InvalidInput, match=r"--card describes one model, the audit is of 2 \(a, b\); leave it out"):
        card(record(models=("a", "b")), [])


def test_every_kind_has_its_provision():
    named = {step for provision in PROVISIONS for step in provision.steps}
    assert named == {kind.step for kind in KINDS}
    of = {(provision.place, provision.topic.split()[0]): provision.steps for provision in PROVISIONS}
    assert "robustness.corruptions" in of["Article 15(4)", "errors,"]
    assert {"robustness.linf", "robustness.certificate"} <= set(of["Article 15(5)", "adversarial"])
    assert of["Article 15(5)", "data"] == ("robustness.poisoning",)
    assert of["Article 15(5)", "model"] == of["Article 15(5)", "confidentiality"] == ()


def test_the_appendix_shows_what_is_there_and_what_is_not(images):
    text = annex_iv(images, judge(images, [Limit("robustness.l2.certified", 0.5)]))
    for provision in PROVISIONS:
        own = text.split(f"## {provision.place}: {provision.topic}\n")[1].split("\n## ")[0]
        shown = [f for f in images.findings if f.name in OF_FINDING and OF_FINDING[f.name].step in provision.steps]
        assert all(f"| {f.title} | `{f.model}` |" in own for f in shown)
        for step in set(provision.steps) - {OF_FINDING[f.name].step for f in shown}:
            kind = next(kind for kind in KINDS if kind.step == step)
            titles = "; ".join(judged.title.replace("Certified", "Proved") for judged in kind.findings.values())
            assert f"- {titles}: — not measured by this audit; to be filled in by the provider." in own
        assert all(f"- {each}: — not measured by this audit; to be filled in by" in own for each in provision.open)
    assert "| Article 15(5) | model poisoning | — | 1 |" in text
    assert "| Proved accuracy, l2 | `plain` | 0.5 | not measured | fails |" in text
    reason = Omission(model="m", part="robustness.corruptions", reason="the data are a table.")
    assert "— not measured by this audit (of `m`: the data are a table); to be" in annex_iv(
        record(omissions=[reason]), []
    )


def test_the_appendix_never_says_that_a_law_is_met_or_a_product_sealed(images):
    of_all = [
        finding(
            "m", kind.property, kind.name, name, judged.title, 0.5, statement=judged.rule.judged if judged.rule else ""
        )
        for kind in KINDS
        for name, judged in kind.findings.items()
    ]
    left = [Omission(model="m", part="robustness.certificate", reason="Certified are others, no certificate knows it.")]
    given = record(*of_all, omissions=left)
    for each in (images, given, record()):
        limits = [Limit(name, 0.5) for name in ("robustness.l2.certified", "accuracy")]
        assert FORBIDDEN.findall(annex_iv(each, judge(each, limits))) == []
    text = annex_iv(given, [])
    assert "Proved accuracy, linf" in text
    assert "Proved are others, no proof knows it" in text


def test_findings_of_a_newer_version_are_in_every_rendering():
    new = finding("m", "robustness", "tomorrow", "robustness.tomorrow", "Tomorrow", 0.5, verdict="worry", headline=True)
    given = record(new)
    assert "## Findings that no provision above names\n\n| finding" in annex_iv(given, [])
    for text in (junit(given, []), sarif(given, []), markdown(given, [], "r"), card(given, [])):
        assert "omorrow" in text


@pytest.mark.parametrize("render", [junit, sarif, lambda *a: markdown(*a, "r"), card, annex_iv])
def test_no_findings_and_no_numbers_are_rendered_too(render):
    assert render(record(), [])
    nothing = record(accuracy(None, interval=None), ece(float("nan"), interval=(float("nan"), 0.2)))
    text = render(nothing, judge(nothing, [Limit("accuracy", 0.5), Limit("uncertainty.ece", 0.5)]))
    assert re.search(r"\bNaN\b|\.nan\b|\bNone\b", text) is None


def test_files_are_written_whole_and_strict_counts_what_cannot_be_told(tmp_path):
    given = record(accuracy(0.9))
    outcomes = judge(given, [Limit("accuracy", 0.85)])
    files = {name: tmp_path / "new" / name for name in ("junit", "sarif", "markdown", "card", "annex_iv")}
    write(tmp_path / "out", given, outcomes, files)
    assert files["junit"].read_text() == junit(given, outcomes)
    assert str(tmp_path / "out" / "report.html") in files["markdown"].read_text()
    assert "<failure" not in files["junit"].read_text()
    write(tmp_path / "out", given, outcomes, files, strict=True)
    assert "<failure" in files["junit"].read_text()
    assert "**fails**" in files["markdown"].read_text()
    with pytest.raises(DataError, match="cannot write"):
        write(tmp_path, given, outcomes, {"junit": tmp_path / "new" / "junit" / "x"})
