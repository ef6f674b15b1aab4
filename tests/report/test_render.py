"""The page: complete, self-contained, well-formed, accessible, the same for the same findings."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from report.synthetic_audit import image_audit, table_audit
from trustworthy.report.render import render

VOID = frozenset({"meta", "img", "br", "link", "input", "hr"})


class Page(HTMLParser):
    """Elements and text of a page; fails on tags that do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes something else near {self.getpos()}"

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def values(self, attribute: str) -> list[str]:
        return [value for _, attributes in self.elements if (value := attributes.get(attribute)) is not None]

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = image_audit(tmp_path_factory.mktemp("images"))
    render(folder)
    return folder


@pytest.fixture(scope="module")
def page(images: Path) -> Page:
    return Page((images / "report.html").read_text(encoding="utf-8"))


def changed(folder: Path, change: Callable[[dict], object]) -> Path:
    record = json.loads((folder / "findings.json").read_text(encoding="utf-8"))
    change(record)
    (folder / "findings.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def test_says_every_finding_and_omission(page: Page, images: Path) -> None:
    record = json.loads((images / "findings.json").read_text(encoding="utf-8"))
    for finding in record["findings"]:
        assert finding["title"] in page.words
        assert finding["statement"] in page.words
    assert record["omissions"][0]["reason"] in page.words
    assert record["command"] in page.words
    for expected in ("4 May 2026, 09:30", "41 s", "10.1% 7.1 to 13.1% worry", "1 of 5 failed", "0.062 0.051 to 0.077"):
        assert expected in page.words.replace("\u00a0", " ")


def test_summary_has_a_line_per_property_and_a_column_per_model(page: Page, images: Path) -> None:
    html = (images / "report.html").read_text(encoding="utf-8")
    answer = Page(html[html.index('<table class="answer"') : html.index("</table>")] + "</table>")
    assert [a["role"] for _, a in answer.elements if a.get("role") in {"columnheader", "rowheader"}] == (
        ["columnheader"] * 2 + ["rowheader"] * 4
    )
    assert "Cause for worry: robustness. Needs attention: uncertainty. Good: evaluation." in answer.words
    order = [
        answer.words.index(name)
        for name in ("robustness Does", "uncertainty Does", "interpretation What", "evaluation Can")
    ]
    assert order == sorted(order)


def test_verdicts_are_told_by_word_and_shape(page: Page, images: Path) -> None:
    html = (images / "report.html").read_text(encoding="utf-8")
    pills = re.findall(r'<span class="verdict (\w+)">(<svg.*?</svg>)(\w[\w ]*)</span>', html, flags=re.DOTALL)
    shapes = {verdict: shape for verdict, shape, _ in pills}
    assert {verdict for verdict, _, _ in pills} >= {"good", "attention", "worry", "information"}
    assert all(word == verdict for verdict, _, word in pills if verdict != "none")
    assert len(set(shapes.values())) == len(shapes)
    assert not any("M5 10h10" in shape for verdict, shape in shapes.items() if verdict != "none")  # a bare dash


def test_loads_nothing(page: Page, images: Path) -> None:
    html = (images / "report.html").read_text(encoding="utf-8")
    targets = page.values("src") + page.values("href") + page.values("xlink:href")
    assert targets
    assert all(target.startswith(("#", "data:image/png;base64,")) for target in targets)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.elements}
    assert not re.search(r"url\((?!#)|@import|@font-face", html)
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in page.values("content")


def test_references_and_names_for_assistive_technology(page: Page) -> None:
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    internal = {t[1:] for t in page.values("href") if t.startswith("#")} | set(page.values("aria-labelledby"))
    internal |= set(re.findall(r"url\(#([^)]+)\)", " ".join(page.values("clip-path"))))
    assert internal <= set(ids)
    for tag, attributes in page.elements:
        if tag == "img":
            assert attributes.get("alt")
        if tag == "svg":
            assert attributes.get("aria-hidden") == "true" or attributes.get("aria-label")
    headers = [attributes for tag, attributes in page.elements if tag == "th"]
    assert all(attributes.get("scope") for attributes in headers)


def test_is_small(images: Path) -> None:
    assert (images / "report.html").stat().st_size < 1_500_000


@pytest.mark.usefixtures("_undrawn_here")
def test_is_the_same_every_time(tmp_path: Path) -> None:
    """Figures too: the page of each kind is drawn twice among the contracts."""
    folder = image_audit(tmp_path)
    assert render(folder).read_bytes() == render(folder).read_bytes()


@pytest.mark.usefixtures("_undrawn_here")
def test_a_table_shows_features_instead_of_pictures(tmp_path: Path) -> None:
    page = Page(render(table_audit(tmp_path)).read_text(encoding="utf-8"))
    assert "img" not in {tag for tag, _ in page.elements}
    assert "worst concave points" in page.words
    assert "and 15 less important features" in page.words
    assert "after the attack as benign" in page.words
    assert "the model is not a small network." in page.words
    assert "missing values 2 to 30% of the cells refused numbers gaussian noise 0.05 to 0.5 sd 95 90 92" in page.words
    assert "mean radius 90 50 mean texture 90 51" in page.words
    assert "The 20 columns after these" in page.words


@pytest.mark.usefixtures("_undrawn_here")
def test_names_cannot_become_markup(tmp_path: Path) -> None:
    hostile = '<script>alert("x")</script> & $x_1$ "></svg>'
    folder = image_audit(tmp_path, models=(hostile, "b</style>"))
    changed(folder, lambda record: record["findings"][1]["series"]["attacks"].update({"</ul><b>": [0.5] * 7}))
    html = render(folder).read_text(encoding="utf-8")
    page = Page(html)
    assert "<script" not in html
    assert hostile in page.words
    assert any(hostile in label for label in page.values("aria-label"))


@pytest.mark.usefixtures("_undrawn_here")
def test_numbers_that_could_not_be_measured(tmp_path: Path) -> None:
    def forget(record: dict) -> None:
        for finding in record["findings"]:
            finding["value"] = finding["interval"] = None
            finding["series"] = {
                key: [None] * len(item) if isinstance(item, list) and item and isinstance(item[0], float) else item
                for key, item in finding["series"].items()
                if key not in {"eps", "edges"}
            } | {key: item for key, item in finding["series"].items() if key in {"eps", "edges"}}
            if finding["kind"] == "corruptions":
                finding["series"]["accuracy"] = [[None] * 5] * 15
            if finding["kind"] == "risk_coverage":
                finding["series"] |= {"threshold": None, "coverage_at_threshold": None}

    page = Page(render(changed(image_audit(tmp_path, models=("plain",)), forget)).read_text(encoding="utf-8"))
    assert "nan" not in re.findall(r"[\w.]+", page.words.lower())
    assert "no threshold" in page.words


def test_nothing_measured_is_said(tmp_path: Path) -> None:
    def empty(record: dict) -> None:
        record["findings"] = []
        record["omissions"] = [{"model": "plain", "part": "evaluation.diagnosis", "reason": "the plan skips it."}]

    folder = changed(image_audit(tmp_path), empty)
    (folder / "arrays.npz").unlink()
    words = Page(render(folder).read_text(encoding="utf-8")).words
    assert "Not measured: robustness, uncertainty, interpretation, evaluation." in words
    assert "not measured the plan skips it." in words


@pytest.mark.usefixtures("_undrawn_here")
def test_an_unknown_kind_stays_in_the_summary_and_the_table(tmp_path: Path) -> None:
    def rename(record: dict) -> None:
        record["findings"][1] |= {"kind": "hologram", "title": "A hologram", "unit": "furlongs", "value": 12.5}

    words = Page(render(changed(table_audit(tmp_path), rename)).read_text(encoding="utf-8")).words
    assert words.count("A hologram") >= 2
    assert "12.500 furlongs" in words


@pytest.mark.usefixtures("_undrawn_here")
def test_photographs_are_thinned(tmp_path: Path) -> None:
    folder = image_audit(tmp_path, models=("m",))
    arrays = dict(np.load(folder / "arrays.npz"))
    noise = np.random.default_rng(0).random((6, 3, 224, 224), dtype=np.float32)
    arrays |= {"m/original": noise, "m/adversarial": noise, "m/image": noise[:4], "m/saliency": noise[:4, 0]}
    np.savez(folder / "arrays.npz", allow_pickle=False, **arrays)
    assert render(folder).stat().st_size < 1_500_000


# --- colours ---------------------------------------------------------------------------------------------------------


def themes() -> dict[str, dict[str, str]]:
    css = resources.files("trustworthy.report").joinpath("templates/style.css").read_text(encoding="utf-8")
    blocks = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
        for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    ]
    light, dark, paper = blocks
    return {"light": light, "dark": light | dark, "print": light | paper}


def luminance(colour: tuple[float, ...]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))


def contrast(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
def test_contrast(theme: str) -> None:
    colours = {name: rgb(value) for name, value in themes()[theme].items()}
    for ground in ("page", "paper"):
        for text in ("ink", "muted", "link", "good", "attention", "worry", "information"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        for place in range(1, 9):
            assert contrast(colours[f"series-{place}"], colours[ground]) >= 3.0 - 0.25 * (ground == "page"), place
    for verdict in ("good", "attention", "worry", "information"):
        assert contrast(colours[verdict], colours[f"{verdict}-bg"]) >= 4.5, verdict
    hottest = tuple(0.75 * h + 0.25 * p for h, p in zip(colours["heat"], colours["paper"], strict=True))
    assert contrast(colours["ink"], hottest) >= 4.5


def test_every_variable_is_defined(images: Path) -> None:
    html = (images / "report.html").read_text(encoding="utf-8")
    used = set(re.findall(r"var\(--([\w-]+)", unescape(html)))
    assert used - {"v", "from", "bar", "models"} <= set(themes()["light"])
