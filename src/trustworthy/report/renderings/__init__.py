"""What a saved audit can be written as, beside the page: each a function from its record and the gate to text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from trustworthy.core.errors import InvalidInput
from trustworthy.core.study import writing
from trustworthy.report.finding import AuditRecord
from trustworthy.report.gate import Outcome
from trustworthy.report.render import REPORT
from trustworthy.report.renderings.annex_iv import annex_iv
from trustworthy.report.renderings.card import card, check_models
from trustworthy.report.renderings.junit import junit
from trustworthy.report.renderings.markdown import markdown
from trustworthy.report.renderings.sarif import sarif

__all__ = ["annex_iv", "card", "check", "junit", "markdown", "sarif", "write"]


def check(files: Mapping[str, Path], models: Sequence[str]) -> None:
    """Refuse files that could not be written, before anything is measured.

    Parameters
    ----------
    files : by the name of the rendering, where it goes.
    models : names of the audited models.

    Raises
    ------
    InvalidInput : two renderings share a file, one names what is not a file, or a card is asked for of several models.
    """
    for name, path in files.items():
        option = f"--{name.replace('_', '-')}"
        if path.is_symlink() or (path.exists() and not path.is_file()):  # a new file would take its place
            raise InvalidInput(f"{option} must name a file, got {path}, a folder, link or device; name another.")
        if [*files.values()].count(path) > 1:
            raise InvalidInput(f"{option} must have a file of its own, got {path} twice.")
    if "card" in files:
        check_models(models)


def write(
    folder: Path, record: AuditRecord, outcomes: Iterable[Outcome], files: Mapping[str, Path], *, strict: bool = False
) -> None:
    """Write renderings of the audit in `folder`, each at once or not at all.

    Parameters
    ----------
    files : by the name of the rendering, where it goes.
    strict : whether what cannot be told counts as a failure.

    Raises
    ------
    InvalidInput : a card is asked for of several models.
    DataError : a file cannot be written.
    """
    judged = [replace(o, status="fails") if strict and o.status == "cannot tell" else o for o in outcomes]
    renderings = {"junit": junit, "sarif": sarif, "card": card, "annex_iv": annex_iv}
    for name, path in files.items():
        page = str(folder / REPORT)
        text = markdown(record, judged, page) if name == "markdown" else renderings[name](record, judged)
        with writing(path) as stream:
            stream.write(text)
