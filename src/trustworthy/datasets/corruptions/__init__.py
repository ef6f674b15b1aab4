"""The fifteen corruptions of images by Hendrycks and Dietterich, and six of tables, at five severities."""

from __future__ import annotations

from trustworthy.datasets.corruptions.apply import CORRUPTIONS, corrupt
from trustworthy.datasets.corruptions.tables import TABLE_CORRUPTIONS, corrupt_table

__all__ = ["CORRUPTIONS", "TABLE_CORRUPTIONS", "corrupt", "corrupt_table"]
