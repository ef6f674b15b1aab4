"""From a saved audit to one self-contained page; nothing is measured here, and no algorithm is imported."""

from __future__ import annotations

import os
from pathlib import Path

import jinja2

from trustworthy.core.files import atomic_write
from trustworthy.report import findings, formatting, markup, page
from trustworthy.report.saved import read

REPORT = "report.html"


def render(folder: str | os.PathLike[str]) -> Path:
    """Write `report.html` beside the findings that it shows.

    The page holds its style, figures and pictures, asks no network for anything, and is the same for the same findings.

    Parameters
    ----------
    folder : where an audit saved `findings.json` and `arrays.npz` (docs/findings.md).

    Returns
    -------
    Path of the page; a page that was there before is replaced at once or not at all.

    Raises
    ------
    DataError : the findings or arrays are missing, broken or of another version.
    """
    html = _environment().get_template("report.html.j2").render(page.build(read(folder)))
    target = Path(folder) / REPORT
    with atomic_write(target) as stream:
        stream.write(html)
    return target


def _environment() -> jinja2.Environment:
    loader = jinja2.PackageLoader("trustworthy.report")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    environment.trim_blocks = environment.lstrip_blocks = True
    for name in ("percent", "number", "duration", "flat"):
        environment.filters[name] = getattr(formatting, name)
    environment.globals["m"] = markup
    environment.filters |= {"value": findings.value, "interval": findings.interval}
    return environment
