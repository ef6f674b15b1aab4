"""Certificates of small piecewise linear networks by linear bounds (CROWN) or intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from trustworthy.certify.network import Network, check_agreement
from trustworthy.certify.regions import Box, free_part, region_of
from trustworthy.certify.relaxation import METHODS, Bounded, batches
from trustworthy.certify.search import largest_proved
from trustworthy.certify.tracing import read
from trustworthy.core import checks
from trustworthy.core.certificate import Certificate
from trustworthy.core.errors import InvalidInput
from trustworthy.core.free import as_free
from trustworthy.core.guard import undisturbed
from trustworthy.core.inputs import Array, as_batch, as_labels, check_logits
from trustworthy.core.norms import Norm, Radius
from trustworthy.core.protocols import Classifier
from trustworthy.core.threat import Bounds, ThreatModel

_ROUNDING = 1e-9  # share of the largest logit that a margin must exceed: far above the rounding of float64


def linear_bounds(
    model: Classifier,
    x: Array,
    eps: Radius,
    *,
    norm: Norm = "linf",
    bounds: Bounds | None = None,
    method: str = "crown",
) -> tuple[Float[Tensor, "batch classes"], Float[Tensor, "batch classes"]]:
    """Lower and upper bounds of the logits over all inputs within `eps` of `x`.

    Parameters
    ----------
    model : a module whose forward pass, hooks included, computes of its input only linear layers, two-dimensional
        convolutions, average and max pooling, batch normalisation, ReLUs, leaky ReLUs, dropout, reshaping, sums and
        differences, and products with constants; its modules do not matter, only the torch functions that they call.
        It runs once on zeros to be read, is bounded in eval mode and left as it was.
    x : inputs (batch, *shape), floating, finite, and inside `bounds`.
    eps : radius >= 0 in the units of the input, or a tensor (batch,) with one radius per example.
    norm : "l1", "l2", "linf" or a norm object.
    bounds : (lowest, highest) value of a valid input, which narrows a linf ball; a ball in another norm is bounded
        whole, which holds inside the bounds too. None for no limits.
    method : "crown" (linear relaxation, never looser than intervals) or "interval".

    Returns
    -------
    (lower, upper), float64: the network is evaluated with its weights in float64, without directed rounding. The
    bounds are those of the function that the weights define; a model that computes in float32 adds its own rounding.

    Raises
    ------
    InvalidInput, ModelContractError
        Where an argument or the model breaks its contract; an operation that is not supported is named.
    """
    checks.choice("method", method, METHODS)
    threat = ThreatModel(norm, eps, bounds)
    inputs = as_batch(x, threat.bounds)
    network, _ = _read(model, inputs)
    radii = _radii(threat.eps, inputs)
    boxes = []
    with torch.no_grad():
        for rows in batches(network, _rows(inputs)):
            some = inputs[rows].double()
            found = Bounded(network, region_of(threat, some, radii[rows]), some, METHODS[method])
            boxes.append(found.box(network.output))
    return torch.cat([box.lower for box in boxes]), torch.cat([box.upper for box in boxes])


def certify_linear(
    model: Classifier,
    x: Array,
    y: Array,
    *,
    norm: Norm = "linf",
    bounds: Bounds | None = None,
    free: Array | None = None,
    method: str = "crown",
    tolerance: float = 1e-3,
    max_eps: float = 1e6,
) -> Certificate:
    """Radii within which no perturbation changes the prediction of a small piecewise linear network.

    `lower` is the largest radius at which the bounds of all margins z_y - z_k were proved positive; it is a proof, up
    to the rounding of float64, against which every margin keeps 1e-9 of the largest logit. Where the prediction is
    wrong, `lower` and `upper` are 0 and `exact` is True. `upper` is inf elsewhere: no perturbation is looked for.

    Parameters
    ----------
    model, x, norm, bounds, method : as in `linear_bounds`.
    y : true classes (batch,), integers.
    free : which coordinates of each example may change, boolean (batch, *shape), at least one in each; None for all.
    tolerance : width of the last bracket of the bisection, relative to its upper end, in (0, 1).
    max_eps : radius > 0 beyond which nothing is proved, in the units of the input.

    Raises
    ------
    InvalidInput, ModelContractError
        Where an argument or the model breaks its contract; an operation that is not supported is named.

    Notes
    -----
    About log2(1 / tolerance) + 3 evaluations of the bounds. One takes, with "crown", a backward pass through the
    network for every number that a ReLU or a pooling takes from an affine layer; the memory is bounded. Nothing is
    drawn at random.

    References
    ----------
    Figures 3.3 and 3.7 of the dissertation certify their networks with [ZCX20]'s CROWN.
    """
    checks.choice("method", method, METHODS)
    checks.real("max_eps", max_eps, above=0.0)
    if not checks.real("tolerance", tolerance, above=0.0) < 1.0:
        raise InvalidInput(f"tolerance must be < 1, got {tolerance!r}; 0.001 proves all but a thousandth.")
    threat = ThreatModel(norm, 0.0, bounds)
    inputs = as_batch(x, threat.bounds)
    threat = replace(threat, free=None if free is None else as_free(free, inputs))
    labels = as_labels("y", y, inputs)
    network, logits = _read(model, inputs)
    check_logits(logits, len(inputs), labels)
    right = logits.argmax(1) == labels
    exact = inputs.double()

    def proves(rows: Int[Tensor, " some"], eps: Float[Tensor, " some"]) -> Bool[Tensor, " some"]:
        pieces = zip(*(batches(network, part) for part in (rows, eps)), strict=True)
        part = threat.subset
        return torch.cat([_proved(network, part(i), exact[i], labels[i], radius, method) for i, radius in pieces])

    with torch.no_grad():
        pieces = batches(network, _rows(inputs))
        first = torch.cat([_first_order_radius(network, threat.subset(i), exact[i], labels[i]) for i in pieces])
        start = torch.where(right, first, 0.0)
        lower = largest_proved(proves, start, max_eps=max_eps, tolerance=tolerance)
    known = right.cpu().numpy()
    return Certificate(lower.cpu().numpy(), np.where(known, np.inf, 0.0), ~known)


def _proved(
    network: Network, threat: ThreatModel, x: Tensor, y: Tensor, eps: Tensor, method: str
) -> Bool[Tensor, " batch"]:
    """Whether every margin is positive, by more than rounding, in the ball around each example."""
    logits = network.results(x)[-1]
    margins = Bounded(network, region_of(threat, x, eps), x, METHODS[method]).least(_margins(logits, y))
    scale = logits.abs().amax(1)
    return _others(margins, y).amin(1) > _ROUNDING * scale


def _first_order_radius(network: Network, threat: ThreatModel, x: Tensor, y: Tensor) -> Float[Tensor, " batch"]:
    """Distance to the nearest decision boundary of the network's linear piece at `x`; 0 where it predicts wrongly.

    It is where the search starts: relaxation only loses to it, but another piece may be kinder.
    """
    results = network.results(x)
    margins = results[-1].gather(1, y[:, None]) - results[-1]
    inputs = {k: results[network.nodes[k].sources[0]] for k in network.nonlinear}
    pieces = {k: network.nonlinear[k].relaxed(Box(value, value)) for k, value in inputs.items()}
    found, _ = network.pull_back({network.output: _margins(results[-1], y)}, torch.zeros_like(margins), pieces)
    movable = free_part(threat.free, found[0])
    steepness = threat.geometry.dual.size(movable.flatten(0, 1)).reshape(margins.shape)
    return _others(margins.clamp_min(0.0) / steepness, y).nan_to_num(nan=0.0, posinf=torch.inf).amin(1)


def _margins(logits: Tensor, y: Tensor) -> Float[Tensor, "batch classes classes"]:
    """Row k of an example: the functional z_y - z_k of the logits."""
    own = F.one_hot(y, logits.shape[1]).to(logits)
    return own[:, None, :] - torch.eye(own.shape[1]).to(own)


def _others(values: Float[Tensor, "batch classes"], y: Tensor) -> Float[Tensor, "batch classes"]:
    """`values` with inf in the place of the true class."""
    return values.scatter(1, y[:, None], torch.inf)


def _read(model: Classifier, x: Tensor) -> tuple[Network, Float[Tensor, "batch classes"]]:
    """The network as a graph, and its own logits of `x`, which must agree with it."""
    if not isinstance(model, nn.Module):
        raise InvalidInput(f"model must be an nn.Module, got {type(model).__name__}; or use RandomizedSmoothing.")
    with undisturbed(model, x, None), torch.no_grad():
        network = read(model, x[0])
        found = []
        for rows in batches(network, _rows(x)):
            found.append(check_logits(model(x[rows]), len(rows)))
            check_agreement(network.results(x[rows].double())[-1], found[-1])
    return network, torch.cat(found)


def _rows(x: Tensor) -> Int[Tensor, " batch"]:
    return torch.arange(len(x), device=x.device)


def _radii(eps: Radius, x: Tensor) -> Float[Tensor, " batch"]:
    if isinstance(eps, Tensor) and len(eps) != len(x):
        raise InvalidInput(f"eps must be one radius or have one per example, got {len(eps)} for {len(x)}.")
    return torch.as_tensor(eps, dtype=torch.float64, device=x.device).expand(len(x))
