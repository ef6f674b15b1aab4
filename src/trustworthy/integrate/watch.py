"""At which time a state stopped to be finite, found without asking for every state at every step."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor  # pyright: ignore[reportMissingImports]

from trustworthy.core.errors import IntegrationFailed

_EVERY = 16


def readable(x: Tensor) -> bool:
    """Can the numbers be looked at? Not inside of `torch.func` transforms, nor while a graph is compiled."""
    return not (is_functorch_wrapped_tensor(x) or torch.compiler.is_compiling())


class Watch:
    """Looks at one state in sixteen: what is not finite stays so, and the states since the last look are kept."""

    def __init__(self) -> None:
        self._since: list[tuple[float, Tensor]] = []

    def see(self, t: float, y: Tensor) -> None:
        self._since.append((t, y))
        if len(self._since) == _EVERY:
            self.look()

    def look(self) -> None:
        """Raise IntegrationFailed where the last state is not finite, and name the first such time."""
        if self._since and readable(self._since[-1][1]) and not _finite(self._since[-1][1]):
            first = next(t for t, y in self._since if not _finite(y))
            raise IntegrationFailed(
                f"the state became NaN or infinite at t = {first:.6g}; take more steps, a smaller diffusion or rate, "
                "float64, or terms that are finite there."
            )
        self._since.clear()


def _finite(y: Tensor) -> bool:
    y = y.detach()
    return math.isfinite(y.sum()) or bool(torch.isfinite(y).all())  # the sum is quicker, and may overflow
