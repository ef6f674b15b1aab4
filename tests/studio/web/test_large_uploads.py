"""Memory of the web process while much arrives."""

import http.client
import re
import shutil
import subprocess
import sys
import urllib.parse
from pathlib import Path

import psutil
import pytest
import tifffile

from trustworthy.studio.db.tables import Image, Project
from trustworthy.studio.intake.uploads import CHUNK
from trustworthy.studio.web.auth import new_link

PROJECT = "a" * 32
SERVE = """
import sys, waitress
from trustworthy.studio.settings import Settings
from trustworthy.studio.web.app import create_app
server = waitress.create_server(create_app(Settings(data_dir=sys.argv[1], free_bytes=0)), host="127.0.0.1", port=0)
print(server.effective_port, flush=True)
server.run()
"""
MB = 2**20


def peak(process):
    """Resident memory at most so far, in MB."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1]) / 1024


@pytest.fixture
def server(settings, database):
    with database.session() as session:
        session.add(Project(id=PROJECT, name="wells"))
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVE, str(settings.data_dir)], stdout=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    with process:
        shutil.rmtree(settings.data_dir / "projects")  # gigabytes that pytest would keep


@pytest.fixture
def ask(settings, server):
    """Ask the server as a browser does that has come in by a link."""
    connection = http.client.HTTPConnection("127.0.0.1", int(server.stdout.readline()), timeout=600)
    kept = {}

    def ask(method, path, body=None, **headers):
        connection.request(method, path, body, {**kept, **headers})
        answer = connection.getresponse()
        text = answer.read().decode()
        assert answer.status < 400, text
        if "Set-Cookie" in answer.headers:
            kept["Cookie"] = answer.headers["Set-Cookie"].split(";")[0]
        return text

    ask("GET", "/enter?" + urllib.parse.urlsplit(new_link(settings)).query)
    text = ask("GET", f"/projects/{PROJECT}/data")
    kept["X-CSRFToken"] = re.search(r'name="csrf_token" value="([^"]+)"', text)[1]
    yield ask
    connection.close()


def _form(file, boundary):
    yield f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="form.tif"\r\n\r\n'.encode()
    with file.open("rb") as stream:
        while block := stream.read(MB):
            yield block
    yield f"\r\n--{boundary}--\r\n".encode()


@pytest.mark.slow
def test_memory_of_the_web_process_is_flat_under_two_gigabytes(ask, server, database, tmp_path):
    large, form = tmp_path / "large.tif", tmp_path / "form.tif"
    tifffile.memmap(large, shape=(32, 2**13, 2**12), dtype="uint16", metadata={"axes": "ZYX"}, bigtiff=True)
    tifffile.memmap(form, shape=(2**13, 2**14), dtype="uint16")
    urls = f"/projects/{PROJECT}/uploads"
    size = large.stat().st_size
    assert size > 2**31
    body = urllib.parse.urlencode({"name": "large.tif", "size": size})
    text = ask("POST", urls, body, **{"Content-Type": "application/x-www-form-urlencoded"})
    url = f"{urls}/{re.search('[0-9a-f]{32}', text)[0]}"
    before = peak(server)
    with large.open("rb") as stream:
        for offset in range(0, size, CHUNK):
            ask("PATCH", url, stream.read(CHUNK), **{"Upload-Offset": str(offset)})
    ask("POST", f"{url}/finish")
    chunks = peak(server)
    length = sum(len(part) for part in _form(Path("/dev/null"), "xyz")) + form.stat().st_size
    headers = {"Content-Type": "multipart/form-data; boundary=xyz", "Content-Length": str(length)}
    ask("POST", f"/projects/{PROJECT}/data", _form(form, "xyz"), **headers)
    plain = peak(server)
    figures = f"{before:.0f} MB before, {chunks:.0f} after 2 GB in chunks, {plain:.0f} after 256 MB by the form"
    assert plain - before < 64, figures
    children = [child.memory_info().rss / MB for child in psutil.Process(server.pid).children()]
    assert sum(children) < 2048
    with database.reading() as session:
        assert sorted(image.name for image in session.query(Image)) == ["form.tif", "large.tif"]
