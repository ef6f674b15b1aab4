"""Options that several commands have: one declaration for each, so that they read and are told the same everywhere."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    str,
    typer.Option(
        metavar="NAME|FILE|FOLDER",
        help="Data set of `trustworthy data list`; a file .csv, .tsv, .parquet, .feather or .npz, or x.npy,y.npy; a "
        "folder of pictures.",
    ),
]
Label = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Column of the labels; guessed where only one can be it.")
]
Drop = Annotated[list[str] | None, typer.Option(metavar="COLUMN,...", help="Columns to leave out, such as an index.")]
Size = Annotated[int | None, typer.Option(metavar="N", help="Side in pixels that pictures are brought to.")]
Trust = Annotated[
    bool, typer.Option("--trust", help="Read model files that can run code: pickle, joblib, TorchScript, .pt2.")
]
Plan = Annotated[Path | None, typer.Option(metavar="plan.toml", help="Changes to the profile.")]
Seed = Annotated[int, typer.Option(metavar="N", help="Seed of all randomness.")]
Device = Annotated[str | None, typer.Option(metavar="D", help="cpu, cuda, ...; default: a GPU if there is one.")]
Threads = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Processor threads; default: OMP_NUM_THREADS, else the cores that are idle."),
]
FailUnder = Annotated[
    list[str] | None,
    typer.Option(metavar="FINDING=VALUE...", help="Exit with code 1 if a finding is worse than this; one or more."),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Exit with code 1, not 3, where an interval has the limit inside.")
]
Baseline = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE|DIR",
        help="findings.json of an earlier audit, or its folder; exit with code 1 if a finding got worse by more "
        "than the interval of the difference.",
    ),
]

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


def columns_of(texts: list[str] | None) -> list[str]:
    """Columns of several options, each a list with commas; a name that has one itself stands in double quotes."""
    return [column for columns in csv.reader(texts or []) for column in columns]


def words(*texts: str) -> list[str]:
    """Words of several options, each a list with commas."""
    return [word for text in texts for word in text.replace(",", " ").split()]
