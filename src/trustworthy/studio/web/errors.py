"""Errors as a person can read them: a page with the words and what to do, never a traceback."""

from __future__ import annotations

import errno
from typing import Any, TypeVar

from flask import Flask, render_template, request
from flask_wtf.csrf import CSRFError
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException, InternalServerError, NotFound, SecurityError

from trustworthy.core.errors import TrustworthyError
from trustworthy.studio.db.tables import Table
from trustworthy.studio.storage import DiskFull

Row = TypeVar("Row", bound=Table)
TITLES = {
    400: "That did not work", 403: "The door is closed", 404: "There is nothing here", 405: "That did not work",
    413: "That is too much at once", 500: "Something broke in the studio", 507: "The disk is full",
}  # fmt: skip
BROKEN = (
    "It is a fault of the studio and not yours. What you have uploaded and trained is safe. The words of the fault are "
    "in the window where the studio was started; whoever looks after it can report them."
)
FULL = "Nothing more can be written. Delete projects or jobs that are no longer needed, and try again."
EXPIRED = (
    "This form was open for too long, or belongs to another studio. Go back, load the page anew and send it again."
)


def found(session: Session, table: type[Row], row_id: str, project_id: str | None = None) -> Row:
    """The row of a table with this id, of this project. Raises NotFound, which becomes a page that says so."""
    row: Any = session.get(table, row_id)
    if row is None or (project_id and row.project_id != project_id):
        here = " in this project" if project_id else ""
        raise NotFound(f"There is no such {table.__name__.lower()}{here}; it may have been deleted.")
    return row


def in_words(error: TrustworthyError) -> str:
    """What an error says, without its number."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def handle_errors(app: Flask) -> None:
    """Make every error an answer in words."""

    @app.errorhandler(TrustworthyError)
    def refused(error: TrustworthyError) -> tuple[str, int]:
        return _answer(507 if isinstance(error, DiskFull) else 400, in_words(error))

    @app.errorhandler(OSError)
    def full(error: OSError) -> tuple[str, int]:
        """The server keeps large forms on the disk of temporary files before any page reads them."""
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise error
        return _answer(507, FULL)

    @app.errorhandler(HTTPException)
    def answered(error: HTTPException) -> tuple[str, int] | HTTPException:
        if error.code is None or error.code < 400:
            return error
        return _answer(error.code, str(error.description))

    app.register_error_handler(CSRFError, lambda error: _answer(400, EXPIRED))
    app.register_error_handler(InternalServerError, lambda error: _answer(500, BROKEN))
    app.register_error_handler(SecurityError, _misnamed)


def _misnamed(error: SecurityError) -> tuple[str, int]:
    return "This studio has another name: open it by the address that was printed where it was started.\n", 400


def _answer(code: int, words: str) -> tuple[str, int]:
    """A page for who looks at pages, the words alone for scripts."""
    if "text/html" in request.headers.get("Accept", "") and "HX-Request" not in request.headers:
        return render_template("error.html", title=TITLES.get(code, TITLES[400]), words=words, code=code), code
    return words + "\n", code
