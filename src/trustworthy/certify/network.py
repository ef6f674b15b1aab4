"""A ReLU network read as blocks: affine maps with a ReLU between one and the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from trustworthy.certify.affine import AFFINE, AffineMap, Shape
from trustworthy.core.errors import InvalidInput, ModelContractError

_SILENT = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d)  # the identity in eval mode

_KEPT = 2**23  # float64 numbers of a matrix that is kept: 64 MB


@dataclass(frozen=True)
class Block:
    """Consecutive affine layers as one affine map from examples of shape `inputs` to `bias`'s shape."""

    maps: tuple[AffineMap, ...]
    inputs: Shape
    bias: Float[Tensor, "*outputs"]

    @property
    def outputs(self) -> Shape:
        """Shape of one example's outputs."""
        return tuple(self.bias.shape)

    def forward(self, x: Float[Tensor, "batch *inputs"]) -> Float[Tensor, "batch *outputs"]:
        """The map."""
        for layer in self.maps:
            x = layer.forward(x)
        return x

    def pull_back(
        self, a: Float[Tensor, "batch rows *outputs"]
    ) -> tuple[Float[Tensor, "batch rows *inputs"], Float[Tensor, "batch rows"]]:
        """Functionals of the outputs as functionals of the inputs, and the constants that the biases add."""
        constant = a.flatten(2) @ self.bias.flatten()
        flat = a.flatten(0, 1)
        for layer in reversed(self.maps):
            flat = layer.pull_back(flat)
        return flat.reshape(*a.shape[:2], *self.inputs), constant

    def unit_rows(self, units: Int[Tensor, " rows"]) -> Float[Tensor, "1 rows *inputs"]:
        """Rows of the map's matrix: the chosen outputs, flattened, as functionals of the inputs, without the bias."""
        return self._pulled(units) if self._matrix is None else self._matrix[:, units]

    @cached_property
    def _matrix(self) -> Tensor | None:
        """The whole matrix if it is small enough to be kept between one radius and the next."""
        outputs = self.bias.numel()
        if outputs * max(outputs, prod(self.inputs)) > _KEPT:
            return None
        return self._pulled(torch.arange(outputs, device=self.bias.device))

    def _pulled(self, units: Tensor) -> Tensor:
        unit = F.one_hot(units, self.bias.numel()).to(self.bias)
        return self.pull_back(unit.reshape(1, -1, *self.outputs))[0]


def read(model: nn.Module, example: Float[Tensor, "*shape"]) -> tuple[Block, ...]:
    """The blocks of a sequential `model` in eval mode, with its weights in float64, on the device of `example`.

    Raises
    ------
    InvalidInput : a module that is not supported, named.
    """
    blocks: list[Block] = []
    maps: list[AffineMap] = []
    x = start = torch.zeros_like(example, dtype=torch.float64)[None]
    for module in _modules(model):
        if _is(module, nn.ReLU):
            blocks.append(Block(tuple(maps), tuple(start.shape[1:]), x[0]))
            maps, x = [], torch.zeros_like(x)
            start = x
        elif kind := next((kind for kind in AFFINE if _is(module, kind)), None):
            maps.append(AFFINE[kind](module, x))
            x = maps[-1].forward(x)
        elif not any(_is(module, kind) for kind in _SILENT):
            raise _unsupported(module)
    return (*blocks, Block(tuple(maps), tuple(start.shape[1:]), x[0]))


def activations(blocks: tuple[Block, ...], x: Float[Tensor, "batch *shape"]) -> list[Tensor]:
    """Outputs (batch, *outputs) of each block, before the ReLU that follows it."""
    found = [blocks[0].forward(x)]
    for block in blocks[1:]:
        found.append(block.forward(found[-1].clamp_min(0.0)))
    return found


def widest(blocks: tuple[Block, ...]) -> int:
    """Numbers in the largest of all layers between blocks, the input included."""
    return max(prod(shape) for block in blocks for shape in (block.inputs, block.outputs))


def check_agreement(read_logits: Tensor, logits: Tensor) -> None:
    """Refuse a model that does not compute what its layers say, because of a hook for example."""
    scale = 1.0 + float(logits.abs().max())
    if float((read_logits - logits).abs().max()) > torch.finfo(logits.dtype).eps ** 0.5 * scale:
        raise ModelContractError(
            "the model's answer differs from what its layers compute in eval mode; remove hooks, and layers whose "
            "weights change in the forward pass."
        )


def _modules(model: nn.Module) -> Iterator[nn.Module]:
    if isinstance(model, nn.Sequential) and _is(model, nn.Sequential):
        for module in model:  # not children(), which leaves out a layer's second use
            yield from _modules(module)
    else:
        yield model


def _is(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether `module` is of that kind and computes what the kind does."""
    return isinstance(module, kind) and type(module).forward is kind.forward


def _unsupported(module: nn.Module) -> InvalidInput:
    known = ", ".join(kind.__name__ for kind in (nn.Sequential, nn.ReLU, *AFFINE, *_SILENT))
    inner = next((name for name, child in module.named_children() if _is(child, nn.Sequential)), None)
    hint = f" If its forward pass only calls .{inner}, pass that." if inner else ""
    return InvalidInput(
        f"model must consist of {known}; got {type(module).__name__}.{hint} Else use RandomizedSmoothing."
    )
