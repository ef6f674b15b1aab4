"""Who may come in: whoever has opened a link that the studio printed, in the browser in which it was opened.

There is one person, on the machine where the studio runs. A link holds a token, as Jupyter's does, and opens the door
once; the browser then keeps a signed cookie. The name by which the studio is called is checked too: a page of another
host whose name was made to point here (DNS rebinding) gets nothing.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask, abort, redirect, request, session, url_for
from werkzeug.exceptions import SecurityError
from werkzeug.wrappers import Response

from trustworthy.core.files import atomic_write
from trustworthy.studio.settings import Settings
from trustworthy.studio.web.current import studio

TOKEN = "token"
ENTERED = "entered"
OPEN = frozenset({"enter", "favicon", "static", "bootstrap.static"})
"""Endpoints for everybody: the door, and files that are the same in every studio."""
STAY = timedelta(days=30)
"""Without a visit, after which a browser needs a new link: a night, or a long training, locks nobody out."""
NO_ENTRY = (
    "This studio is open to those who have its link. Use the link that was printed where the studio was started; it "
    "opens one browser, once. For another one, start the studio again, or make a link under Settings in a browser that "
    "is inside."
)


def new_link(settings: Settings) -> str:
    """A link that lets one browser in, once. It takes the place of one that nobody has used."""
    token = secrets.token_urlsafe(32)
    with atomic_write(settings.data_dir / TOKEN) as stream:
        Path(stream.name).chmod(0o600)
        stream.write(token)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}/enter?token={token}"


def guard(app: Flask, settings: Settings) -> None:
    """Let nobody in who has not come by a link, nor by a name that is not the studio's."""
    app.config.update(
        PERMANENT_SESSION_LIFETIME=STAY,
        SESSION_COOKIE_NAME=f"studio-{settings.port}",  # cookies know no ports: two studios would share one
    )

    names = {"localhost", "127.0.0.1", settings.host.lower()}

    @app.before_request
    def check() -> None:
        if urlsplit(f"//{request.host}").hostname not in names:  # TRUSTED_HOSTS of Flask knows no address of IPv6
            raise SecurityError
        if request.endpoint not in OPEN and not session.get(ENTERED):
            abort(403, NO_ENTRY)

    @app.get("/enter")
    def enter() -> Response:
        if not (session.get(ENTERED) or _used(request.args.get("token", ""))):
            abort(403, NO_ENTRY)
        session[ENTERED], session.permanent = True, True
        return redirect(url_for("projects.index"))


def _used(token: str) -> bool:
    """Whether this is the token of the link; then it is none any more."""
    file = studio().settings.data_dir / TOKEN
    known = file.read_text(encoding="utf-8") if file.is_file() else ""
    if not known or not secrets.compare_digest(known.encode(), token.encode()):
        return False
    file.unlink(missing_ok=True)
    return True
