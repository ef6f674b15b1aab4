"""Files from a link: off unless enabled, from known hosts alone, never from a network that only the studio can reach.

The name of a host is resolved once, every address of it must be public, and the connection goes to that address: what
the name means a moment later (DNS rebinding) changes nothing. Redirections are followed to known hosts only.
"""

from __future__ import annotations

import email.message
import http.client
import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import cast
from urllib.parse import parse_qs, unquote, urljoin, urlsplit

from trustworthy.core.errors import DataError, InvalidInput
from trustworthy.studio.db.database import Database
from trustworthy.studio.intake import uploads
from trustworthy.studio.settings import Settings
from trustworthy.studio.storage import Storage

SECONDS = 3600.0
"""That a file may take to arrive."""
SILENCE = 30.0
"""Seconds without a byte after which a host is given up."""
REDIRECTIONS = 5
DRIVE = "https://drive.usercontent.google.com/download?id={}&export=download&confirm=t"
"""Where a share link of Google Drive has its file, without the page that asks whether one trusts it."""
_DRIVE_ID = re.compile(r"[\w-]{10,100}", re.ASCII)


def fetch(
    database: Database, storage: Storage, settings: Settings, project_id: str, link: str, role: str
) -> uploads.Arrived:
    """Make images of what a link leads to. See `uploads.finish`.

    Raises
    ------
    InvalidInput : links are not enabled, or this one is not https, not of a known host, or leads to a private network.
    DataError : nothing, a page, or too much came; nothing is left.
    """
    if not settings.links:
        raise InvalidInput(
            "links are not enabled in this studio; set links = true in its settings, or upload the file."
        )
    with _answer(direct(link), settings) as (response, address):
        size = _announced(response)
        name = _named(response, address)
        with database.session() as session:
            upload = uploads.begin(session, storage, settings, project_id, name, size, role)
        stream = _Timed(response, time.monotonic() + SECONDS)
        try:
            uploads.append(database, storage, upload, 0, stream)
            return uploads.finish(database, storage, settings, upload.id)
        except BaseException:
            with database.session() as session:
                uploads.abandon(session, storage, upload)
            raise


def direct(link: str) -> str:
    """The address of the file behind a share link of Google Drive; any other link as it is. Raises InvalidInput."""
    parts = urlsplit(link.strip())
    if parts.hostname != "drive.google.com":
        return link.strip()
    if "/folders/" in parts.path:
        raise InvalidInput(
            "the link leads to a folder of Google Drive; share a zip of it, and give the link to that file."
        )
    found = re.search(r"/file/d/([^/]+)", parts.path)
    number = found[1] if found else parse_qs(parts.query).get("id", [""])[0]
    if not _DRIVE_ID.fullmatch(number):
        raise InvalidInput("the link names no file of Google Drive; take the one that Share, Copy link gives.")
    return DRIVE.format(number)


@contextmanager
def _answer(address: str, settings: Settings) -> Iterator[tuple[http.client.HTTPResponse, str]]:
    """What comes at the end of all redirections."""
    for _ in range(REDIRECTIONS):
        host = _known_host(address, settings)
        try:
            connection = _connect(host, _public_address(host))
            try:
                parts = urlsplit(address)
                path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                connection.request(
                    "GET", path, headers={"User-Agent": "trustworthy-studio", "Accept-Encoding": "identity"}
                )
                response = connection.getresponse()
                if response.status not in (301, 302, 303, 307, 308):
                    yield response, address
                    return
                address = urljoin(address, response.headers.get("Location", ""))
            finally:
                connection.close()
        except (TimeoutError, ssl.SSLError, ConnectionError, http.client.HTTPException, socket.gaierror) as error:
            raise DataError(f"{host} did not send the file ({error}); try again later, or upload it.") from error
    raise DataError(f"the link leads from one address to the next, more than {REDIRECTIONS} times; upload the file.")


def _known_host(address: str, settings: Settings) -> str:
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise InvalidInput(f"the link is no address ({error}).") from error
    host = (parts.hostname or "").rstrip(".")
    known = any(host == each or host.endswith("." + each) for each in settings.link_hosts)
    if parts.scheme != "https" or port not in (None, 443) or parts.username is not None or not known:
        raise InvalidInput(
            f"link must begin with https:// and lead to {', '.join(settings.link_hosts)}, got {parts.scheme}://{host}; "
            "upload the file instead, or add the host to link_hosts in the settings."
        )
    return host


def _public_address(host: str) -> str:
    found = [str(info[4][0]) for info in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)]
    addresses = [ipaddress.ip_address(each) for each in found]
    if not found or not all(each.is_global and not each.is_multicast for each in addresses):
        raise InvalidInput(f"{host} is in a private network, from which no files are taken; upload the file instead.")
    return found[0]


def _connect(host: str, address: str) -> http.client.HTTPSConnection:
    """To one address, with the certificate of the host."""
    connection = http.client.HTTPSConnection(host, timeout=SILENCE)
    plain = socket.create_connection((address, 443), SILENCE)
    try:
        connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise
    return connection


def _announced(response: http.client.HTTPResponse) -> int:
    kind = response.headers.get_content_type()
    if response.status != 200 or kind == "text/html":
        came = "a page" if response.status == 200 else f"an answer {response.status}"
        raise DataError(
            f"the link leads to {came}, not to a file; "
            "look whether everybody who has it may open it, and whether it is that of one file."
        )
    if response.length is None:
        raise DataError("the host does not say how large the file is; upload it instead.")
    return response.length


def _named(response: http.client.HTTPResponse, address: str) -> str:
    told = cast("email.message.Message", response.headers).get_filename()
    return told or unquote(PurePosixPath(urlsplit(address).path).name) or "file"


class _Timed:
    """What is read from a host, until the time is over."""

    def __init__(self, response: http.client.HTTPResponse, until: float) -> None:
        self._response, self._until = response, until

    def read(self, size: int, /) -> bytes:
        if time.monotonic() > self._until:
            raise DataError(f"the file did not arrive within {SECONDS / 60:.0f} minutes; upload it instead.")
        return self._response.read(size)
