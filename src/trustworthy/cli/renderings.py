"""Options that write an audit in other forms: one declaration for each command that has them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_PANEL = "Renderings"
Junit = Annotated[
    Path | None,
    typer.Option(metavar="FILE", rich_help_panel=_PANEL, help="Test results: JUnit XML, a case for each finding."),
]
Sarif = Annotated[
    Path | None,
    typer.Option(metavar="FILE", rich_help_panel=_PANEL, help="Limits that fail, and worries: SARIF 2.1.0."),
]
Markdown = Annotated[
    Path | None, typer.Option(metavar="FILE", rich_help_panel=_PANEL, help="Markdown in short, for a pull request.")
]
Card = Annotated[
    Path | None,
    typer.Option(metavar="FILE", rich_help_panel=_PANEL, help="Hugging Face model card with model-index; one model."),
]
AnnexIv = Annotated[
    Path | None,
    typer.Option(
        "--annex-iv", metavar="FILE", rich_help_panel=_PANEL,
        help="Findings by Article 15 and Annex IV of Regulation (EU) 2024/1689, in Markdown.",
    ),
]  # fmt: skip


def wanted(
    junit: Path | None, sarif: Path | None, markdown: Path | None, card: Path | None, annex_iv: Path | None
) -> dict[str, Path]:
    """Files that were asked for, by the name of the rendering."""
    files = {"junit": junit, "sarif": sarif, "markdown": markdown, "card": card, "annex_iv": annex_iv}
    return {name: path for name, path in files.items() if path is not None}
