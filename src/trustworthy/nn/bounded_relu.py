"""A ReLU that is bounded above, so that no perturbation grows beyond it on its way through a network."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.nn.replace import replaced


class BoundedReLU(nn.Module):
    """min(max(x, 0), high), entry by entry; the gradient is 0 at both bounds, as that of a ReLU is at 0.

    Parameters
    ----------
    high : the bound, > 0, in the units of the input.

    References
    ----------
    Zantedeschi, Nicolae and Rawat (2017), Efficient defenses against adversarial attacks.
    """

    def __init__(self, high: float = 1.0) -> None:
        super().__init__()
        self.high = checks.real("high", high, above=0)

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return nn.functional.hardtanh(x, 0.0, self.high)  # torch.clamp has gradient 1 at its bounds

    def extra_repr(self) -> str:
        return f"high={self.high}"


def bound_relu(model: nn.Module, *, high: float = 1.0) -> nn.Module:
    """A copy of `model` with `BoundedReLU(high)` in the place of every `nn.ReLU`, and of `nn.ReLU6`, bounded by 6.

    Found are modules alone: what a forward pass calls as a function (`torch.relu`) stays as it is.

    Raises
    ------
    InvalidInput : high is not > 0, or `model` has no such module.
    """
    BoundedReLU(high)  # checks it
    if not any(isinstance(module, nn.ReLU | nn.ReLU6) for module in model.modules()):
        raise InvalidInput(
            f"model must have an nn.ReLU to bound, and {type(model).__name__} has none; a ReLU that its forward pass "
            "calls as a function (torch.relu, nn.functional.relu) is not found: make it a module, self.act = nn.ReLU()."
        )
    return replaced(model, lambda name, module: BoundedReLU(high) if isinstance(module, nn.ReLU | nn.ReLU6) else None)
