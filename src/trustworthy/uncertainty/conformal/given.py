"""What calibration needs: enough rows for its level, and a model's answers in the form that MAPIE asks."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput


def enough(rows: int, level: float, of: str = "") -> None:
    """Refuse fewer calibration rows than 1 / (1 - level) or 1 / level: they do not have the quantile of the scores."""
    checks.fraction("level", level)
    least = min(Decimal(str(level)), 1 - Decimal(str(level)))
    needed = math.ceil(1 / least)
    if rows < needed:
        raise InvalidInput(
            f"level={level:g} needs at least {needed} calibration rows{of}, got {rows}; give more, or ask for less."
        )


class AsEstimator:
    """Answers that are there already, in the form of the fitted estimators that MAPIE takes: its inputs are answers.

    classes : how many, where the inputs are probabilities. column : of the inputs that `predict` gives.
    """

    is_fitted = True

    def __init__(self, classes: int = 0, column: int = 0) -> None:
        self.classes_, self._column = np.arange(classes), column

    def fit(self, X: Any, y: Any) -> AsEstimator:
        """Asked for by scikit-learn's conventions, never called."""
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """One column of the answers."""
        return X[:, self._column]

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """The answers, where they are probabilities."""
        return X
