"""The shapes of things that users bring: no wrapper class is needed to use the library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from torch import Tensor

Classifier: TypeAlias = Callable[[Tensor], Tensor]
"""A batch (batch, *shape) in, logits (batch, classes) out; images lie in [0, 1], normalisation is a layer inside."""

AnyClassifier: TypeAlias = Callable[[Any], Any]
"""As `Classifier`, or a callable on NumPy arrays that returns scores (batch, classes) or labels (batch,)."""
