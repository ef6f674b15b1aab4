"""Figures and pictures: what is drawn is what was measured, in the colours of the page."""

from __future__ import annotations

import base64
import functools
import io
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.image import imread

from trustworthy.report import plots
from trustworthy.report.findings.calibration import Calibration
from trustworthy.report.findings.distortion import Distortion
from trustworthy.report.findings.robustness_curve import RobustnessCurve
from trustworthy.report.findings.selective import RiskCoverage
from trustworthy.report.findings.temperature import Tempered
from trustworthy.report.plots import Style

CURVE = RobustnessCurve(
    eps=[0.0, 0.1, 0.2], worst=[1.0, 0.5, 0.0], low=[0.9, 0.4, 0.0], high=[1.0, 0.6, 0.1],
    attacks={"PGD": [1.0, 0.5, 0.25], "$x_1$ <b>": [1.0, 0.75, 0.5]}, headline_eps=0.1,
)  # fmt: skip
HISTOGRAM = Distortion(edges=[0.0, 1.0, 2.0, 3.0], counts=[10, 40, 20], quartiles=[0.5, 1.5, 2.5])
CALIBRATION = Calibration(
    edges=[0.0, 0.5, 0.75, 1.0],
    confidence=[float("nan"), 0.6, 0.9],
    accuracy=[float("nan"), 0.4, 0.8],
    count=[0, 30, 60],
)
RISK = RiskCoverage(
    coverage=[0.25, 0.5, 1.0], risk=[0.0, 0.1, 0.4], threshold=0.7, target_risk=0.1, coverage_at_threshold=0.5
)
TEMPERED = Tempered.model_validate({
    "temperature": 2.0, "ece_stated": 0.2, "ece_scaled": 0.1, "nll_stated": 0.9, "nll_scaled": 0.5,
    "stated": [{"confidence": 0.9, "accuracy": 0.5, "n": 40}],
    "scaled": [{"confidence": 0.5, "accuracy": 0.25, "n": 10}, {"confidence": 1.0, "accuracy": 0.75, "n": 30}],
})  # fmt: skip


def curve(name: str = "c", series: RobustnessCurve = CURVE) -> str:
    return str(
        plots.robustness_curve(name, [('a "quoted" <model>', Style(1), series), ("b", Style(2), series)], "linf")
    )


FIGURES = {
    "curve": curve,
    "risk": lambda: str(plots.risk_coverage("r", [("a", Style(1), RISK)])),
    "distortion": lambda: str(plots.distortion("d", Style(3), HISTOGRAM, "l2")),
    "reliability": lambda: str(plots.reliability("k", Style(4), CALIBRATION)),
    "tempered": lambda: str(plots.tempered("t", [("a", Style(1), TEMPERED)])),
}


@functools.cache
def drawn(figure: str) -> str:
    return FIGURES[figure]()


def paths(svg: str, colour: str) -> list[np.ndarray]:
    """Points of every path drawn in the CSS variable `colour`, in page coordinates (y downwards)."""
    found = re.findall(rf'<path d="([^"]+)"[^>]*style="[^"]*var\(--{colour}\)', svg)
    return [np.array(re.findall(r"[ML] ?([\d.-]+) ([\d.-]+)", d), dtype=float) for d in found]


@pytest.mark.parametrize("figure", FIGURES)
def test_svg_is_well_formed_and_has_only_the_page_s_colours(figure: str) -> None:
    svg = drawn(figure)
    root = ElementTree.fromstring(svg.replace("<svg ", '<svg xmlns:xlink="http://www.w3.org/1999/xlink" ', 1))
    assert root.attrib["role"] == "img"
    assert len(root.attrib["aria-label"]) > 40
    assert not re.search(r"#[0-9a-f]{6}\b", svg)
    assert "var(--ink)" in svg
    assert "font-family" not in svg
    assert "DejaVu" not in svg


@pytest.mark.parametrize("figure", FIGURES)
def test_ids_carry_the_name_and_are_all_used(figure: str) -> None:
    svg = drawn(figure)
    ids = re.findall(r' id="([^"]+)"', svg)
    assert set(ids) == set(re.findall(r"(?:href=\"#|url\(#)([^\")]+)", svg))
    assert all(re.fullmatch(r"[crdkt]-\d+", name) for name in ids)
    assert len(ids) == len(set(ids))


def test_same_figure_under_two_names_shares_no_id() -> None:
    first, second = curve("one"), curve("two")
    assert not set(re.findall(r' id="([^"]+)"', first)) & set(re.findall(r' id="([^"]+)"', second))
    assert first.replace("one-", "two-") == second


def test_curve_is_drawn_through_the_measured_points() -> None:
    bold = next(p for p, d in _strokes(drawn("curve"), "series-1") if "stroke-width: 2.2" in d)
    x, y = bold.T
    np.testing.assert_allclose(np.diff(x), x[1] - x[0], rtol=1e-5)  # equal steps of eps
    np.testing.assert_allclose(np.diff(y), y[1] - y[0], rtol=1e-5)  # equal falls of accuracy, downwards
    assert y[2] > y[0]


def test_curve_names_its_numbers_for_those_who_do_not_see_it() -> None:
    assert "a &#34;quoted&#34; &lt;model&gt;, worst case: 100.0% at 0, 50.0% at 0.1, 0.0% at 0.2." in drawn("curve")
    assert ">eps 0.1<" in drawn("curve")


def test_each_attack_keeps_its_dashes() -> None:
    assert plots.attack_names([CURVE, RobustnessCurve(eps=[0.0], worst=[1.0], attacks={"Square": [1.0]})]) == [
        "PGD", "$x_1$ <b>", "Square",
    ]  # fmt: skip
    thin = [
        d for _, d in _strokes(drawn("curve"), "series-1") if "stroke-width: 2.2" not in d and "stroke-dasharray" in d
    ]
    assert len({re.search(r"stroke-dasharray: ([\d., ]+)", d)[1] for d in thin}) == 2  # type: ignore[index]
    assert plots.dashes_of(0) != plots.dashes_of(1)


def test_a_single_attack_is_the_worst_case_and_has_no_line_of_its_own() -> None:
    alone = curve(series=CURVE.model_copy(update={"attacks": {"PGD": [1.0, 0.5, 0.0]}}))
    assert len(_strokes(alone, "series-1")) == 1
    assert len(_strokes(drawn("curve"), "series-1")) == 3


def test_bars_are_as_high_as_the_counts() -> None:
    bars = [p for p in paths(drawn("distortion"), "series-3") if len(p) == 4]
    heights = np.array([np.ptp(bar[:, 1]) for bar in bars])
    np.testing.assert_allclose(heights / heights[0], [1.0, 4.0, 2.0], rtol=1e-4)
    assert ">median 1.5<" in drawn("distortion")


def test_axes_of_two_models_can_be_shared() -> None:
    alone = paths(drawn("distortion"), "series-3")
    shared = paths(str(plots.distortion("d", Style(3), HISTOGRAM, "l2", right=6.0, top=80)), "series-3")
    np.testing.assert_allclose(np.ptp(shared[0][:, 1]) / np.ptp(alone[0][:, 1]), 0.5, rtol=0.02)
    np.testing.assert_allclose(np.ptp(shared[0][:, 0]) / np.ptp(alone[0][:, 0]), 0.5, rtol=0.02)


def test_reliability_leaves_empty_bins_out_and_counts_the_others() -> None:
    expected = "Reliability diagram. confidence 60%: accuracy 40% of 30; confidence 90%: accuracy 80% of 60."
    assert f'aria-label="{expected}"' in drawn("reliability")
    bars = [p for p in paths(drawn("reliability"), "series-4") if len(p) == 4]
    counts = np.array([np.ptp(bar[:, 1]) for bar in bars[-3:]])
    np.testing.assert_allclose(counts / counts[1], [0.0, 1.0, 2.0], atol=1e-4)


def test_risk_coverage_without_a_threshold_draws_no_ring() -> None:
    bare = RISK.model_copy(update={"threshold": None, "coverage_at_threshold": None, "target_risk": None})
    without = str(plots.risk_coverage("r", [("a", Style(1), bare)]))
    assert "a: no threshold reaches the accepted error rate." in without
    assert drawn("risk").count("<use") > without.count("<use")
    assert ">accepted: 10.0%<" in drawn("risk")
    assert "50.0% kept above the threshold" in drawn("risk")


def test_figures_of_nothing_but_missing_numbers() -> None:
    nan = float("nan")
    assert "<svg" in curve(series=RobustnessCurve(eps=[0.0, 1.0], worst=[nan, nan]))
    empty = Distortion(edges=[0.0, 1.0], counts=[0], quartiles=[nan, nan, nan])
    assert "median –" in str(plots.distortion("d", Style(1), empty, "l2"))
    unfilled = Calibration(edges=[0.0, 1.0], confidence=[nan], accuracy=[nan], count=[0])
    assert "<svg" in str(plots.reliability("k", Style(1), unfilled))
    unsure = RISK.model_copy(update={"risk": [nan, nan, nan], "threshold": None, "coverage_at_threshold": None})
    assert "no threshold reaches" in str(plots.risk_coverage("r", [("a", Style(1), unsure)]))


def test_a_median_beyond_the_last_edge_is_still_in_the_figure() -> None:
    far = HISTOGRAM.model_copy(update={"quartiles": [1.0, 4.0, 5.0]})
    svg = str(plots.distortion("d", Style(3), far, "l2"))
    bars = paths(svg, "series-3")
    line = next(p for p in paths(svg, "ink") if len(p) == 2 and np.ptp(p[:, 0]) == 0)
    assert line[0, 0] > max(bar[:, 0].max() for bar in bars)


def _strokes(svg: str, colour: str) -> list[tuple[np.ndarray, str]]:
    found = re.findall(rf'<path d="([^"]+)"[^>]*style="([^"]*stroke: var\(--{colour}\)[^"]*)"', svg)
    return [(np.array(re.findall(r"[ML] ?([\d.-]+) ([\d.-]+)", d), dtype=float), look) for d, look in found]


# --- pictures --------------------------------------------------------------------------------------------------------


def pixels(uri: str) -> np.ndarray:
    prefix = "data:image/png;base64,"
    assert uri.startswith(prefix)
    return imread(io.BytesIO(base64.b64decode(uri[len(prefix) :])), format="png")[..., :3]


def test_a_grey_picture_keeps_its_pixels() -> None:
    image = np.linspace(0, 1, 12).reshape(1, 3, 4)
    np.testing.assert_allclose(pixels(plots.picture_png(image)), np.repeat(image[0][..., None], 3, -1), atol=1 / 255)


def test_a_colour_picture_keeps_its_channels() -> None:
    image = np.random.default_rng(0).random((3, 5, 4))
    np.testing.assert_allclose(pixels(plots.picture_png(image)), image.transpose(1, 2, 0), atol=1 / 255)


def test_other_numbers_of_channels_are_averaged_and_bad_values_clipped() -> None:
    image = np.stack([np.full((2, 2), 0.2), np.full((2, 2), 0.6)])
    np.testing.assert_allclose(pixels(plots.picture_png(image)), 0.4, atol=1 / 255)
    wild = np.array([[[-1.0, 2.0, np.nan]]])
    np.testing.assert_allclose(pixels(plots.picture_png(wild))[0, :, 0], [0.0, 1.0, 0.0], atol=1 / 255)


def test_integer_pixels_are_accepted() -> None:
    np.testing.assert_allclose(pixels(plots.picture_png(np.array([[[0, 1]]], dtype=np.uint8)))[0, :, 0], [0.0, 1.0])


def test_difference_is_amplified_around_the_middle() -> None:
    original = np.full((1, 1, 3), 0.5)
    adversarial = original + np.array([[[-0.1, 0.0, 0.1]]])
    blue, white, vermilion = pixels(plots.difference_png(original, adversarial, 5.0))[0]
    np.testing.assert_allclose(blue, np.array([0x00, 0x72, 0xB2]) / 255, atol=1e-6)
    np.testing.assert_allclose(white, 1.0, atol=0.01)
    np.testing.assert_allclose(vermilion, np.array([0xD5, 0x5E, 0x00]) / 255, atol=1e-6)
    colour = np.repeat(original, 3, axis=0)
    shown = pixels(plots.difference_png(colour, colour + 0.05, 5.0))
    np.testing.assert_allclose(shown, 0.75, atol=1 / 255)


def test_saliency_is_scaled_to_its_own_maximum() -> None:
    weak, strong = (pixels(plots.saliency_png(scale * np.array([[0.0, 1.0], [-1.0, 0.5]]))) for scale in (1e-9, 1e3))
    np.testing.assert_array_equal(weak, strong)
    np.testing.assert_array_equal(weak[0, 1], weak[1, 0])  # the size of the influence, not its sign
    assert weak[0, 1].sum() > weak[1, 1].sum() > weak[0, 0].sum()
    assert np.isfinite(pixels(plots.saliency_png(np.zeros((2, 2))))).all()


@pytest.mark.parametrize(("size", "shown"), [(8, 8), (128, 128), (129, 65), (224, 112), (1000, 125)])
def test_large_pictures_are_thinned(size: int, shown: int) -> None:
    assert pixels(plots.picture_png(np.zeros((1, 4, size)))).shape[1] == shown
    assert pixels(plots.saliency_png(np.zeros((size, 4)))).shape[0] == shown


def test_what_a_temperature_makes_of_the_confidence_is_in_bold() -> None:
    (line,) = [p for p, d in _strokes(drawn("tempered"), "series-1") if "stroke-width: 2.2" in d]
    rising = (line[1, 1] - line[0, 1]) / (line[1, 0] - line[0, 0])
    (diagonal,) = paths(drawn("tempered"), "muted")[:1]
    assert rising == pytest.approx((diagonal[1, 1] - diagonal[0, 1]) / (diagonal[1, 0] - diagonal[0, 0]), rel=1e-3)
    assert "a: Reliability diagram. confidence 50%: accuracy 25% of 10" in drawn("tempered")
