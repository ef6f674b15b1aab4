"""What a hardening says in the terminal: one line for each network, and which epoch was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trustworthy.report import findings, formatting

if TYPE_CHECKING:
    from rich.table import Table

    from trustworthy.report.hardening.harden import Hardened


def table(hardened: Hardened) -> Table:
    """Accuracy, accuracy under attack, and the cost of each network."""
    raise NotImplementedError


def chosen_epochs(hardened: Hardened) -> list[str]:
    """Of each network that was trained: the epoch that its weights are of, and what was measured there and at the end."""
    return [f"{name}: {_epochs(loaded.about)}" for name, loaded in hardened.models.items() if loaded.about]


def _epochs(about: Mapping[str, Any]) -> str:
    best, last = about["best"], about["last"]
    measured = list(best)[-1]  # what it was chosen by
    what = measured.replace("_", " ")
    chosen = f"epoch {best['epoch']} of {about['epochs']}, {what} {formatting.percent(best[measured])}"
    rows = f"on the {about['rows_that_choose']:,} rows that choose"
    return f"{chosen} {rows}; after the last {formatting.percent(last[measured])}"
