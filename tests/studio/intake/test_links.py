import http.client
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from trustworthy.core.errors import DataError, InvalidInput
from trustworthy.studio.db.tables import Image, Upload
from trustworthy.studio.intake import links

from .conftest import PROJECT, tiff
from .test_archives import zipped

ANSWERS = {
    "/a.tif": (200, {"Content-Length": str(len(tiff()))}, tiff()),
    "/named": (
        200,
        {"Content-Length": str(len(tiff())), "Content-Disposition": 'attachment; filename="b.tif"'},
        tiff(),
    ),
    "/zip": (200, {"Content-Length": str(len(zipped({"../c.tif": tiff()})))}, zipped({"../c.tif": tiff()})),
    "/moved": (302, {"Location": "https://files.zenodo.org/a.tif", "Content-Length": "0"}, b""),
    "/away": (302, {"Location": "https://example.org/a.tif", "Content-Length": "0"}, b""),
    "/inside": (302, {"Location": "https://localhost/a.tif", "Content-Length": "0"}, b""),
    "/plain": (302, {"Location": "http://zenodo.org/a.tif", "Content-Length": "0"}, b""),
    "/round": (302, {"Location": "/round", "Content-Length": "0"}, b""),
    "/page": (200, {"Content-Length": "4", "Content-Type": "text/html; charset=utf-8"}, b"hall"),
    "/short": (200, {"Content-Length": "999"}, tiff()),
    "/endless": (200, {}, b"abc"),
    "/large": (200, {"Content-Length": str(2**60)}, b""),
}


class Host(BaseHTTPRequestHandler):
    def do_GET(self):
        code, headers, body = ANSWERS.get(self.path, (404, {"Content-Length": "0"}, b""))
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *unused):
        pass


@pytest.fixture(scope="module")
def port():
    server = HTTPServer(("127.0.0.1", 0), Host)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def fetch(intake, port, monkeypatch):
    """From a host that stands for all; only names and addresses are not what they would be."""
    monkeypatch.setattr(
        links, "_connect", lambda host, address: http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    )
    monkeypatch.setattr(links, "_public_address", lambda host: "1.1.1.1")
    settings = intake.settings.model_copy(update={"links": True})
    return lambda link: links.fetch(intake.database, intake.storage, settings, PROJECT, link, "any")


@pytest.mark.parametrize(("path", "name"), [("a.tif", "a.tif"), ("named", "b.tif"), ("moved", "a.tif")])
def test_a_file_from_a_known_host_becomes_an_image(intake, fetch, path, name):
    (image,) = fetch(f"https://zenodo.org/{path}").images
    assert (image.name, image.bytes) == (name, len(tiff()))


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("http://zenodo.org/a.tif", "must begin with https"),
        ("https://example.org/a.tif", "must begin with https"),
        ("https://evilzenodo.org/a.tif", "must begin with https"),
        ("https://zenodo.org@example.org/a.tif", "must begin with https"),
        ("https://zenodo.org:22/a.tif", "must begin with https"),
        ("https://zenodo.org:x/a.tif", "no address"),
        ("file:///etc/passwd", "must begin with https"),
        ("", "must begin with https"),
        ("https://zenodo.org/away", "example.org"),
        ("https://zenodo.org/inside", "localhost"),
        ("https://zenodo.org/plain", "http://zenodo.org"),
        ("https://zenodo.org/round", "more than 5 times"),
        ("https://zenodo.org/page", "a page"),
        ("https://zenodo.org/lost", "answer 404"),
        ("https://zenodo.org/short", "of 999 bytes"),
        ("https://zenodo.org/endless", "how large"),
        ("https://zenodo.org/large", "bytes"),
        ("https://zenodo.org/zip", "leaves the folder"),
    ],
    ids=range(18),
)
def test_other_links_are_refused_in_words_and_leave_nothing(intake, fetch, link, words):
    with pytest.raises((InvalidInput, DataError), match=words):
        fetch(link)
    assert intake.rows(Image) == intake.rows(Upload) == intake.files() == []


def test_links_are_off_unless_they_are_enabled(intake):
    with pytest.raises(InvalidInput, match="not enabled"):
        links.fetch(intake.database, intake.storage, intake.settings, PROJECT, "https://zenodo.org/a.tif", "any")


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fe80::1", "::ffff:127.0.0.1", "0.0.0.0"]
)
def test_a_name_that_means_a_private_address_is_refused(monkeypatch, address):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 443)) for each in ("1.1.1.1", address)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *unused, **options: found)
    with pytest.raises(InvalidInput, match="private network"):
        links._public_address("zenodo.org")
    del found[1]
    assert links._public_address("zenodo.org") == "1.1.1.1"


@pytest.mark.parametrize(
    "link",
    [
        "https://drive.google.com/file/d/1AbC-dEf_012345/view?usp=sharing",
        "https://drive.google.com/open?id=1AbC-dEf_012345",
    ],
    ids=["FILE", "OPEN"],
)
def test_a_share_link_of_google_drive_leads_to_its_file(link):
    assert links.direct(link) == links.DRIVE.format("1AbC-dEf_012345")


@pytest.mark.parametrize("path", ["drive/folders/1AbC-dEf_012345", "file/d/..%2F..%2Fetc/view", "file/d/a/view", ""])
def test_other_links_of_google_drive_are_refused(path):
    with pytest.raises(InvalidInput, match="Google Drive"):
        links.direct(f"https://drive.google.com/{path}")
