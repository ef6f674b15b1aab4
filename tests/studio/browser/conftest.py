"""A studio on a port of its own, and Chromium, at the width of a desk or a phone, that writes down whom it asks."""

import base64
import json
import shutil
import threading
from urllib.parse import urlsplit

import pytest

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--lang=en-GB",
)  # fmt: skip
REPLACED = ("htmx:sendAbort", "htmx:afterRequest")
"""What htmx says of a request that a newer one has taken the place of."""
SIZES = {"desk": (1280, 900), "phone": (390, 844)}


def pytest_collection_modifyitems(items):
    """What asks a browser is marked so, and is skipped where there is none."""
    for item in items:
        if "browser" in item.path.parts:
            item.add_marker("browser")
            if not (CHROMIUM and DRIVER):
                item.add_marker(pytest.mark.skip(reason="no Chromium: apt-get install chromium chromium-driver"))


class Browser:
    """A driver of Selenium, and what the tests of pages ask of it."""

    def __init__(self, profile):
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        self.driver, self.base = webdriver.Chrome(options, Service(DRIVER)), ""
        self.faults, self.asked, self.scripted = [], set(), True

    def enter(self, link):
        """Come in by the link of a studio."""
        parts = urlsplit(link)
        self.base = f"{parts.scheme}://{parts.netloc}"
        self.driver.get("about:blank")
        self.driver.get_log("performance")  # what the browser's own first page has asked is none of ours
        self.driver.get(link)

    def become(self, size):
        """A desk or a phone."""
        width, height = SIZES[size]
        told = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == "phone"}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", told)

    def scripts(self, on):
        """Whether pages may run scripts; those of the driver do, but no timer, which axe-core wants."""
        self.scripted = on
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not on})

    def dark(self, dark):
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def open(self, path):
        self.driver.get(self.base + path)

    def find(self, css):
        return self.driver.find_element("css selector", css)

    def fill(self, **fields):
        for name, text in fields.items():
            self.find(f"[name={name}]").send_keys(text)

    def set(self, **fields):
        """Numbers in the place of what the fields hold."""
        for name, number in fields.items():
            self.find(f"[name={name}]").clear()
            self.find(f"[name={name}]").send_keys(str(number))

    def press(self, words):
        """The button or the link that says so."""
        self.click(self.driver.find_element("xpath", f"//main//*[self::button or self::a][contains(., '{words}')]"))

    def click(self, found):
        """An element, once it is in the middle of the window and nothing lies over it."""
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", found)
        found.click()

    def wait(self, seconds, met):
        """Until `met(browser)` is true, whatever is replaced while it is asked; its value."""
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.support.ui import WebDriverWait

        patient = WebDriverWait(self.driver, seconds, 0.1, [StaleElementReferenceException])
        return patient.until(lambda driver: met(self))

    @property
    def text(self):
        return self.find("body").text

    @property
    def path(self):
        return urlsplit(self.driver.current_url).path

    def look(self):
        """At the page: whom it has asked, what its console says, what spills over the edge, what axe-core finds."""
        from axe_core_python.selenium import Axe

        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.asked.add(message["params"]["request"]["url"])
        told = [line["message"] for line in self.driver.get_log("browser")]
        self.faults += [f"{self.path}: {words}" for words in told if not any(quiet in words for quiet in REPLACED)]
        root = "document.documentElement"
        if self.driver.execute_script(f"return {root}.scrollWidth > {root}.clientWidth"):
            self.faults.append(f"{self.path}: wider than the window")
        for fault in Axe().run(self.driver)["violations"] if self.scripted else ():
            if fault["impact"] in ("serious", "critical"):
                where = "; ".join(node["html"][:120] for node in fault["nodes"])
                self.faults.append(f"{self.path}: {fault['id']}, {fault['help']}: {where}")

    def elsewhere(self):
        """Addresses of other hosts that were asked."""
        own = ("data:", "blob:", "about:", self.base + "/")
        return sorted(url for url in self.asked if not url.startswith(own))

    def screenshot(self, file):
        """Of the whole page."""
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
        file.write_bytes(base64.b64decode(shot["data"]))


@pytest.fixture
def browser(tmp_path):
    browser = Browser(tmp_path / "profile")
    yield browser
    browser.driver.quit()


@pytest.fixture
def link(app, settings):
    """That opens the pages of a studio, served from this process; no worker runs its jobs."""
    import waitress

    from trustworthy.studio.web.auth import new_link

    app.config["WTF_CSRF_ENABLED"] = True
    server = waitress.create_server(app, host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield new_link(settings.model_copy(update={"port": server.effective_port}))
    server.close()
    server.task_dispatcher.shutdown()
    thread.join(10)
