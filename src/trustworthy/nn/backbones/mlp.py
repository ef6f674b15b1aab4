"""Multi-layer perceptron for tables and small images."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from trustworthy.core import checks


class MLP(nn.Module):
    """Linear layers with ReLU between them; an image is flattened first.

    Parameters
    ----------
    features : numbers in one example (for images: channels x height x width), >= 1.
    classes : number of logits, >= 2.
    hidden : width of each hidden layer, or of the only one; empty for a linear model.
    """

    def __init__(self, *, features: int, classes: int, hidden: Sequence[int] | int = (128, 128)) -> None:
        checks.integer("features", features, at_least=1)
        checks.integer("classes", classes, at_least=2)
        listed = [hidden] if isinstance(hidden, int) else hidden
        widths = [features, *(checks.integer("hidden", width, at_least=1) for width in listed)]
        layers: list[nn.Module] = [nn.Flatten()]
        for narrow, wide in pairwise(widths):
            layers += [nn.Linear(narrow, wide), nn.ReLU()]
        super().__init__()
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], classes))

    def forward(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch classes"]:
        return self.layers(x)
