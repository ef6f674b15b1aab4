"""g(f, x, S) of (7.1) from below: what no perturbation of a set of features can do, proved for small networks.

`Robustness` finds perturbations, and with them upper bounds; between the two lies what is not known.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from trustworthy.certify import certify_linear
from trustworthy.core.norms import Linf, Norm, as_norm
from trustworthy.core.threat import Bounds


def certified_robustness(
    model: nn.Module,
    x: Float[Tensor, "n *shape"],
    y: Int[Tensor, " n"],
    free: Bool[Tensor, "n k *shape"],
    *,
    norm: Norm = "l2",
    bounds: Bounds | None = (0.0, 1.0),
    method: str = "crown",
    tolerance: float = 1e-3,
) -> Float[Tensor, "n k"]:
    """Lower bounds of the robustness of `x` to perturbations within each of the masks `free`.

    Parameters
    ----------
    model, norm, bounds, method, tolerance : see `certify_linear`. The bounds narrow linf alone; in other norms what is
        proved holds inside of them too.
    y : the explained classes.
    free : coordinates that may change, for each coalition of features; as for `Robustness`.

    Returns
    -------
    float64; 0 where the prediction is not y to begin with; inf where nothing may change, and in linf where it is proved
    between the bounds. They are lower bounds for every target, too: who reaches one has changed the class.

    Cost: that of `certify_linear` for each coalition of each example.
    """
    n, k = free.shape[:2]
    lower, masks = x.new_full((n * k,), math.inf, dtype=torch.float64), free.flatten(0, 1)
    some = masks.flatten(1).any(1).nonzero().squeeze(1)
    if len(some):
        whose = some // k
        given = {"norm": norm, "bounds": bounds, "method": method, "tolerance": tolerance}
        found = certify_linear(model, x[whose], y[whose], free=masks[some], **given)
        lower[some] = torch.as_tensor(found.lower, device=x.device)
    if bounds is not None and isinstance(as_norm(norm), Linf):
        lower[lower >= bounds[1] - bounds[0]] = math.inf
    return lower.reshape(n, k)
