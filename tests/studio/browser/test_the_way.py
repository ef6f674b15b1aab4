"""The whole way of a biologist, from two folders of images to a map she can act on, in a studio as she starts it.

PICTURES=folder keeps a picture of each page, for people to look at.
"""

import io
import os
import re
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile

from trustworthy.datasets.synthetic import cells

MINUTE = 60


@pytest.fixture
def started(tmp_path):
    """The link that `trustworthy studio` prints."""
    command = [sys.executable, "-m", "trustworthy", "studio", "--no-open", "--port", "0", "--device", "cpu"]
    command += ["--data-dir", str(tmp_path / "studio")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield next(found[0] for line in process.stdout if (found := re.search(r"http://\S+", line)))
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture
def images(tmp_path):
    """Eight pairs of drawn cells of 96 x 96 pixels in two folders, and two images without targets; paths by role."""
    pairs = cells(10, size=96, density="dense", seed=3)
    (tmp_path / "images").mkdir()
    written = {"source": [], "target": [], "new": []}
    for number, (source, target) in enumerate(zip(pairs.source, pairs.target, strict=True)):
        for role, image in (("source", source), ("target", target)) if number < 8 else (("new", source),):
            file = tmp_path / "images" / f"well {number}_{role}.tif"
            tifffile.imwrite(file, (1000 + 20_000 * image[0]).astype(np.uint16))
            written[role].append(str(file))
    return written


class Person:
    """Who uses the studio, with or without scripts."""

    def __init__(self, browser, scripts, folder, seen):
        self.browser, self.scripts, self.folder, self.seen = browser, scripts, folder, seen

    def look(self, name):
        """At a page, as `Browser.look` does; its picture is kept where there is a folder for pictures."""
        self.browser.look()
        if self.folder:
            self.browser.screenshot(Path(self.folder) / f"{self.seen}-{name}.png")

    def upload(self, role, files):
        browser = self.browser
        browser.find("#files").send_keys("\n".join(files))
        browser.find(f"#role option[value={role}]").click()
        browser.press("Upload")
        browser.wait(MINUTE, lambda b: all(file.rsplit("/", 1)[-1] in b.find("#images").text for file in files))

    def until(self, words):
        """Wait for words on the page; without scripts, load it anew."""

        def met(browser):
            if not self.scripts:
                browser.driver.refresh()
            assert "FAILURE" not in browser.text, browser.text
            return words in browser.text

        self.browser.wait(5 * MINUTE, met)

    def take(self, words):
        """The bytes behind a link that says so."""
        driver = self.browser.driver
        link = driver.find_element("xpath", f"//main//a[contains(., '{words}')]").get_attribute("href")
        cookies = "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in driver.get_cookies())
        with urllib.request.urlopen(urllib.request.Request(link, headers={"Cookie": cookies})) as answer:
            return answer.read()


@pytest.fixture
def person(request, browser):
    size, scripts = request.param
    browser.become(size)
    browser.scripts(scripts)
    return Person(browser, scripts, os.environ.get("PICTURES"), size if scripts else "plain")


@pytest.mark.slow
@pytest.mark.parametrize(
    "person",
    [("desk", True), ("phone", True), ("desk", False)],
    indirect=True,
    ids=["desk", "phone", "without scripts"],
)
def test_from_images_to_maps_and_on_to_new_images(person, started, images):
    browser = person.browser
    browser.enter(started)
    person.look("1-home")
    browser.press("Create a project")
    browser.fill(name="Surface of MSC", description="Phase contrast, 20x")
    person.look("2-project")
    browser.press("Create the project")
    person.look("3-data")
    project = browser.path.split("/")[2]
    for role in ("source", "target"):
        person.upload(role, images[role])
    person.look("4-images")
    browser.press("Go on to the pairs")
    person.look("5-pairs")
    browser.press("Take these pairs")
    assert "8 pairs" in browser.text
    browser.press("Go on to the check")
    if not person.scripts and "Looking at the pairs" in browser.text:
        browser.press("Look at all now")
    browser.wait(MINUTE, lambda b: "Looking at the pairs" not in b.text)
    person.look("6-check")
    browser.press("Go on to the training")
    browser.set(epochs=10, members=2, batch_size=4)
    if person.scripts:
        browser.wait(MINUTE, lambda b: re.search(r"\d s|\d min", b.find("#estimate").text))
    person.look("7-train")
    browser.press("Start training")
    person.look("8-job")
    person.until("SUCCESS")
    person.look("9-done")
    browser.open(browser.path)
    browser.press("See the results")
    person.look("10-results")
    with zipfile.ZipFile(io.BytesIO(person.take("zip"))) as home:
        names = home.namelist()
        for wanted in ("metrics.csv", "report.html", "configuration.json", "prediction", "uncertainty", "mask"):
            assert any(wanted in name for name in names), (wanted, names)
    browser.click(browser.find("ol.results-images a"))
    person.look("11-viewer")
    browser.driver.back()
    browser.press("Apply the model to new images")
    person.look("12-model")
    model = browser.path
    browser.open(f"/projects/{project}/data")
    person.upload("new", images["new"])
    browser.open(model)
    browser.press("Predict")
    person.until("SUCCESS")
    browser.open(browser.path)
    browser.press("See the results")
    assert "The model was applied to 2 new images" in browser.text
    person.look("13-new")
    browser.dark(True)
    rooms = [f"/projects/{project}{room}" for room in ("", "/data", "/pairs", "/check", "/train")]
    for number, path in enumerate(
        (browser.path, model, "/", "/jobs", "/models", "/repository", "/system", "/help", "/settings", *rooms)
    ):
        browser.open(path)
        person.look(f"14-dark-{number}")
    assert not browser.faults, "\n".join(browser.faults)
    assert browser.elsewhere() == []


@pytest.mark.slow
@pytest.mark.parametrize("person", [("desk", True)], indirect=True, ids=["desk"])
def test_an_example_is_tried_with_one_click(person, started):
    """From the link to a finished result in under three minutes, on two processors."""
    begun = time.monotonic()
    browser = person.browser
    browser.enter(started)
    browser.press("Try an example")
    person.look("20-examples")
    browser.press("Try it")
    person.until("SUCCESS")
    browser.open(browser.path)
    browser.press("See the results")
    assert time.monotonic() - begun < 3 * MINUTE
    person.look("21-tried")
    assert "that it had not seen in training" in browser.text
    browser.click(browser.find("ol.results-images a"))
    person.look("22-viewer")
    assert not browser.faults, "\n".join(browser.faults)
    assert browser.elsewhere() == []
