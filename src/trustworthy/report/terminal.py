"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


def table(title: str, first: str, columns: Sequence[str], caption: str = "") -> Table:
    """A table without rows: names in its `first` column, numbers in the others; neither names nor heads are cut."""
    from rich import box  # only where it is shown: it takes a while to import
    from rich.table import Table
    from rich.text import Text

    shown = Table(
        title=Text(title), caption=Text(caption) if caption else None, box=box.SIMPLE_HEAD, pad_edge=False,
        collapse_padding=True, title_justify="left", caption_justify="left", header_style="bold",
    )  # fmt: skip
    shown.add_column(first, no_wrap=True)
    for head in columns:
        shown.add_column(head, justify="right", min_width=max(map(len, head.split())))
    return shown
