"""The fifteen corruptions of Hendrycks and Dietterich, at five severities, for images of any size from 8 pixels."""

from __future__ import annotations

from trustworthy.datasets.corruptions.apply import CORRUPTIONS, corrupt

__all__ = ["CORRUPTIONS", "corrupt"]
