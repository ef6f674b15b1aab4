"""What only a browser can tell: that pages fit, ask nobody else, and can be read and used by everybody."""


def test_a_project_by_hand_and_by_keyboard(browser, link):
    """At both widths, in both colours; nothing is asked of another host, and axe-core finds no serious fault."""
    from selenium.webdriver.common.keys import Keys

    browser.enter(link)
    browser.look()
    browser.press("Create a project")
    browser.fill(name="Wells 3" + Keys.TAB, description="HeLa, 20x" + Keys.TAB, email="a@b.edu" + Keys.ENTER)
    assert browser.path.endswith("/data")
    browser.look()
    browser.open(browser.path.removesuffix("/data"))
    assert "Wells 3" in browser.text
    assert "UTC" not in browser.find("time").text  # it is in the visitor's zone
    assert browser.find("html").get_attribute("data-bs-theme") == "light"
    browser.become("phone")
    browser.dark(True)
    browser.wait(10, lambda b: b.find("html").get_attribute("data-bs-theme") == "dark")
    browser.look()
    assert browser.faults == []
    assert browser.elsewhere() == []
    assert browser.base + "/static/studio.css" in browser.asked
