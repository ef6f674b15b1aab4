"""`trustworthy render`: the page and other forms of a saved audit, without measuring again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trustworthy.cli import options
from trustworthy.cli.audit import finish, show


def render(
    given: Annotated[list[str], typer.Argument(metavar="DIR", help="Folder of a finished audit: its --out.")],
    fail_under: options.FailUnder = None,
    baseline: options.Baseline = None,
    strict: options.Strict = False,
    junit: options.Junit = None,
    sarif: options.Sarif = None,
    markdown: options.Markdown = None,
    card: options.Card = None,
    annex_iv: options.AnnexIv = None,
) -> None:
    """Draw report.html again from a saved audit, and write it in other forms; nothing is measured."""
    from trustworthy.report import gate, pairing, saved
    from trustworthy.report.render import render as draw
    from trustworthy.report.renderings import check

    # In `--fail-under a=1 b=2` the shell's second limit arrives beside the folder.
    limits = [text for text in given if fail_under and "=" in text and not Path(text).is_dir()]
    folders = [Path(text) for text in given if text not in limits]
    if len(folders) != 1:
        raise typer.BadParameter(f"one folder is needed, got {len(folders)}.", param_hint="DIR")
    (folder,) = folders
    parsed, files = (
        gate.parse_limits([*(fail_under or []), *limits]),
        options.wanted(junit, sarif, markdown, card, annex_iv),
    )
    earlier = pairing.load(baseline) if baseline else None
    record = saved.read(folder).record
    check(files, record.names)
    draw(folder)
    show(record, folder)
    finish(record, folder, parsed, files, strict=strict, baseline=baseline, earlier=earlier)
