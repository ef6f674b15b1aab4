"""The door, what is told to browsers beside every page, and how errors are answered."""

import stat
from urllib.parse import urlsplit

import pytest
from flask import abort

from trustworthy.core.errors import InvalidInput
from trustworthy.studio.storage import DiskFull
from trustworthy.studio.web import auth
from trustworthy.studio.web.app import create_app

HTML = {"Accept": "text/html,*/*"}


def path_of(link):
    parts = urlsplit(link)
    return f"{parts.path}?{parts.query}"


def test_a_link_opens_one_browser_once(app, settings):
    link = auth.new_link(settings)
    assert link.startswith("http://127.0.0.1:8420/enter?token=")
    assert stat.S_IMODE((settings.data_dir / auth.TOKEN).stat().st_mode) == 0o600
    first, second = app.test_client(), app.test_client()
    assert first.get("/").status_code == 403
    assert first.get("/enter?token=").status_code == 403
    assert first.get(path_of(link)).location == "/"
    assert first.get("/").status_code == 200
    answer = second.get(path_of(link), headers=HTML)
    assert answer.status_code == 403
    assert "opens one browser, once" in answer.text
    assert second.get("/").status_code == 403
    assert first.get(path_of(link)).status_code == 302, "who is inside may follow it again"


def test_a_browser_stays_inside_when_the_studio_starts_again(own_app, settings):
    client = own_app.test_client()
    client.get(path_of(auth.new_link(settings)))
    cookie = client.get_cookie("studio-8420")
    assert cookie.http_only
    assert cookie.same_site == "Lax"
    again = create_app(settings)
    other = again.test_client()
    other.set_cookie("studio-8420", cookie.value)
    assert other.get("/").status_code == 200
    again.extensions["studio"].database.close()


def test_every_page_is_behind_the_door(app):
    """Of all rooms, those to come too."""
    client = app.test_client()
    for rule in app.url_map.iter_rules():
        if rule.endpoint not in auth.OPEN:
            url = "/".join("0" * 32 if "<" in part else part for part in rule.rule.split("/"))
            for method in rule.methods - {"OPTIONS"}:
                assert client.open(url, method=method).status_code == 403, (method, url)


def test_answers_to_its_own_names(client):
    for host in ("127.0.0.1:8420", "localhost"):
        assert client.get("/favicon.ico", headers={"Host": host}).status_code == 302


def test_an_address_of_ipv6_has_its_link_and_is_answered(settings):
    settings = settings.model_copy(update={"host": "::1"})
    assert auth.new_link(settings).startswith("http://[::1]:8420/enter?token=")
    app = create_app(settings)
    told = [app.test_client().get("/favicon.ico", headers={"Host": h}).status_code for h in ("[::1]:8420", "[::2]")]
    app.extensions["studio"].database.close()
    assert told == [302, 400]


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "evil.example@localhost", "", "["]
)
def test_a_page_of_another_name_gets_nothing(client, host):
    answer = client.get("/", headers={"Host": host, **HTML})
    assert answer.status_code == 400
    assert "another name" in answer.text


def test_a_form_without_the_token_of_its_page_is_refused(client, app):
    app.config["WTF_CSRF_ENABLED"] = True
    answer = client.post("/projects/new", data={"name": "a"}, headers=HTML)
    assert answer.status_code == 400
    assert "load the page anew" in answer.text


def test_browsers_load_nothing_from_elsewhere(client):
    answer = client.get("/projects/new")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for word in ("http://", "https://", "style=", "onclick"):
        assert word not in answer.text


@pytest.fixture
def failing(own_app):
    """A client of an application that has a page which fails in the way that the address says."""

    @own_app.get("/fail/<way>")
    def fail(way):
        if way == "input":
            raise InvalidInput("epochs must be 10 to 200.")
        if way == "disk":
            raise DiskFull(28, "no room; delete a project.")
        if way == "gone":
            abort(410, "this is gone.")
        raise ZeroDivisionError("secret words")

    client = own_app.test_client()
    with client.session_transaction() as session:
        session[auth.ENTERED] = True
    return client


def test_errors_are_words(failing):
    told = {
        "input": (400, "epochs must be"),
        "disk": (507, "no room"),
        "gone": (410, "gone"),
        "other": (500, "not yours"),
    }
    for way, (code, words) in told.items():
        page, script = failing.get(f"/fail/{way}", headers=HTML), failing.get(f"/fail/{way}")
        assert page.status_code == script.status_code == code
        assert "<h1>" in page.text
        assert "<" not in script.text
        for answer in (page, script):
            assert words in answer.text
            assert "secret" not in answer.text
            assert "[Errno" not in answer.text
