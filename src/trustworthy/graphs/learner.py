"""What the graph learners share: rows and labels are checked, and what they are is told to scikit-learn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import ClassifierTags, RegressorTags, Tags
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from trustworthy.graphs.affinity import Rows, check_size
from trustworthy.graphs.labels import Labels, read_labels

NUMBERS = 2**24
"""Distances or kernel values of new rows that are held at a time."""


def classifies(learner: GraphLearner) -> bool:
    """Whether it has fitted classes, or is not fitted and may have."""
    return hasattr(learner, "classes_") or not (hasattr(learner, "gamma_") or learner.task == "regression")


class GraphLearner(BaseEstimator, ABC):
    """A learner of classes or of real numbers, as `task` and the labels say."""

    _sparse: ClassVar[bool] = False
    """Whether it takes CSR rows."""
    task: str

    def score(self, X: Rows, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Accuracy, or the coefficient of determination R² in regression, of `predict` on rows X with labels y."""
        check_is_fitted(self)
        measure = accuracy_score if hasattr(self, "classes_") else r2_score
        return float(measure(y, self.predict(X), sample_weight=sample_weight))

    @abstractmethod
    def predict(self, X: Rows) -> np.ndarray:
        """Labels (m,) of new rows X (m, features)."""

    def _told(self, X: Rows, y: ArrayLike) -> tuple[Rows, Labels]:
        """What `fit` learns from. Drops what another fit may have left and this one will not set."""
        rows, labels = self._rows(X, reset=True), read_labels(y, self.task)
        check_consistent_length(rows, labels.known)
        for name in [name for name in vars(self) if name.endswith("_") and not name.endswith("_in_")]:
            delattr(self, name)
        if labels.classes is not None:
            self.classes_ = labels.classes
        return rows, labels

    def _rows(self, X: Rows, *, reset: bool = False) -> Rows:
        if not reset:
            check_is_fitted(self)
        least = 2 if reset else 1
        form: dict[str, Any] = {"dtype": np.float64, "accept_sparse": "csr" if self._sparse else False, "order": "C"}
        rows: Any = validate_data(self, X, ensure_min_samples=least, reset=reset, **form)  # pyright: ignore[reportArgumentType]
        check_size(rows)
        return rows

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self._sparse
        tags.target_tags.required = True
        tags.estimator_type = "classifier" if classifies(self) else "regressor"
        tags.classifier_tags = ClassifierTags() if classifies(self) else None
        tags.regressor_tags = None if classifies(self) else RegressorTags()
        return tags
