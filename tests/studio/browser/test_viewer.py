"""The viewer and the control panel, as scripts make them: what moves together, and what is kept in step."""

import numpy as np
import pytest

from studio.fakes import arrays
from studio.viewer.finished import finished, project_with_pairs
from trustworthy.studio.training.estimating import Estimate
from trustworthy.studio.training.record import load_result
from trustworthy.studio.web.pages import train

pytestmark = pytest.mark.slow
PAINTED = """
return Object.fromEntries([...document.querySelectorAll("[data-role]:not([hidden])")].map((figure) => {
  const canvas = figure.querySelector("canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return [figure.dataset.role, data.reduce((sum, value) => (sum * 31 + value) | 0, 7)];
}));
"""
MOVED = """
const slider = document.querySelector(arguments[0]);
slider.value = arguments[1];
slider.dispatchEvent(new Event("input", { bubbles: true }));
"""


@pytest.fixture
def project(database):
    with database.session() as session:
        return project_with_pairs(session)


@pytest.fixture
def job(database, storage, project):
    """With a mask that is neither empty nor full."""
    images = {f"well {n}.tif": arrays(n, size=48, planes=3) for n in range(3)}
    with database.session() as session:
        job = finished(session, storage, project, images=images)
    assert all(0 < image.untrusted < 1 for image in load_result(storage.result(job.id)).images)
    return job


@pytest.fixture
def seen(browser, job, link):
    """A browser that looks at an image of a job."""
    browser.enter(link)
    browser.become("desk")
    browser.open(f"/jobs/{job.id}/results/001-image")
    browser.wait(10, lambda b: b.find("[data-status]").text == "Plane 1 of 3")
    return browser


def changed(browser, act):
    """Roles whose picture is another one after it."""
    before = settled(browser)
    act()
    after = settled(browser)
    return {role for role in before if before[role] != after[role]}


def settled(browser):
    """What is painted, once two looks a moment apart see the same."""
    last = None

    def still(browser):
        nonlocal last
        last, before = browser.driver.execute_script(PAINTED), last
        return last == before and last

    return browser.wait(10, still)


ALL = {"source", "target", "prediction", "uncertainty", "error", "compare"}


def test_keys_and_wheel_move_all_pictures_together(seen):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
    from selenium.webdriver.common.keys import Keys

    whole, group = settled(seen), seen.find("[data-panels]")
    assert set(whole) == ALL
    assert changed(seen, lambda: group.send_keys("++")) == ALL
    assert "Zoom 2.25 times" in seen.text
    assert changed(seen, lambda: group.send_keys(Keys.ARROW_RIGHT)) == ALL
    assert changed(seen, lambda: seen.press("Whole image")) == ALL
    assert settled(seen) == whole
    canvas = seen.find("[data-role=target] canvas")
    wheel = ActionChains(seen.driver).move_to_element(canvas)
    wheel = wheel.scroll_from_origin(ScrollOrigin.from_element(canvas), 0, -400)
    assert changed(seen, wheel.perform) == ALL
    assert "Zoom 2.226 times" in seen.text
    assert "about" in seen.find("[data-role=uncertainty] [data-value]").text  # the value under the pointer


def test_a_pinch_zooms_the_pictures_and_not_the_page(seen):
    seen.become("phone")
    seen.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
    canvas = seen.find("[data-role=source] canvas")
    seen.driver.execute_script("arguments[0].scrollIntoView({ block: 'center' })", canvas)
    frame = seen.driver.execute_script("return arguments[0].getBoundingClientRect().toJSON()", canvas)
    x, y = frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2

    def touch(kind, *places):
        points = [{"x": place, "y": y, "id": number} for number, place in enumerate(places)]
        seen.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def pinch():
        touch("touchStart", x - 10, x + 10)
        for apart in range(20, 60, 10):
            touch("touchMove", x - apart, x + apart)
        touch("touchEnd")

    asked = "return getComputedStyle(arguments[0]).touchAction"  # what the page does with a finger
    assert seen.driver.execute_script(asked, canvas) == "pan-y"
    assert changed(seen, pinch) == ALL
    assert seen.driver.execute_script(asked, canvas) == "none"
    assert "Zoom" in seen.find("[data-status]").text


def test_contrast_mask_planes_and_divider(seen):
    def moved(css, value):
        return changed(seen, lambda: seen.driver.execute_script(MOVED, css, value))

    assert moved("[data-role=uncertainty] [data-white]", 100) == {"uncertainty"}
    assert moved("[data-role=target] [data-white]", 150) == {"target", "prediction", "compare"}
    told = [seen.find(f"[data-role={role}] [data-high-told]").text for role in ("target", "prediction")]
    values = [float(text.replace(",", "")) for text in told]
    np.testing.assert_allclose(*values, rtol=0.01)  # one grey, one number
    assert changed(seen, seen.find("[data-masked]").click) == {"prediction", "compare"}
    assert moved("[data-divider]", 90) == {"compare"}
    assert moved("[data-planes]", 3) == ALL
    assert seen.find("[data-status]").text == "Plane 3 of 3"


def test_results_and_models_are_fit_for_everybody(browser, link, project, job):
    browser.enter(link)
    browser.driver.get_log("browser")
    for size, dark in (("desk", True), ("phone", False)):
        browser.become(size)
        browser.dark(dark)
        for path in (f"/jobs/{job.id}/results", f"/jobs/{job.id}/results/001-image", "/models", f"/models/{job.id}"):
            browser.open(path)
            browser.look()
    assert browser.faults == []
    assert browser.elsewhere() == []


def test_sliders_and_boxes_say_the_same_and_the_estimate_follows(browser, link, project, monkeypatch):
    def estimate(settings, *others):
        return Estimate(seconds=60 * settings.epochs, memory_bytes=1, disk_bytes=1, patches=1, steps=1)

    monkeypatch.setattr(train, "estimate", estimate)
    browser.enter(link)
    for size, dark in (("desk", False), ("phone", True)):
        browser.become(size)
        browser.dark(dark)
        browser.open(f"/projects/{project.id}/train")
        browser.wait(10, lambda b: "about 1 h 40 min" in b.text)
        slider, box = browser.find("[data-slider=epochs]"), browser.find("#epochs")
        slider.send_keys("\ue012" * 40)  # to the left
        assert box.get_attribute("value") == slider.get_attribute("aria-valuetext") == "60"
        browser.wait(10, lambda b: "about 1 h 0 min" in b.text)
        box.clear()
        box.send_keys("20\t")
        assert slider.get_attribute("value") == "20"
        browser.wait(10, lambda b: "about 20 min" in b.text)
        browser.look()
    assert browser.faults == []
