"""BatchEnsemble: networks that share their weights but for a rank-1 factor of each layer (section 5.2)."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextvars import ContextVar
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput, ModelContractError
from trustworthy.core.protocols import Predictor, Together
from trustworthy.nn.affine import AFFINE, TRANSPOSED, affine
from trustworthy.nn.replace import replaced

_REFUSED = (nn.Linear, _ConvNd, nn.Bilinear, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)
_ASKED: ContextVar[int | Tensor | None] = ContextVar("_ASKED", default=None)
"""The member that all rows are asked of, or that of each row, in the pass that is under way."""


def batch_ensemble(model: nn.Module, *, members: int = 6, spread: float = 0.2) -> BatchEnsembled:
    """`members` networks out of a copy of `model`: member k has the weights W * outer(s_k, r_k) in every layer.

    W is shared and starts at the weights of `model`; each member has its own s_k (outputs), r_k (inputs) and bias in
    every linear layer, convolution and transposed convolution. All else, batch normalisation too, is shared. A step of
    training takes 1.3 to 1.4 times as long as one network's (64 images, a VGG16 a quarter and a ResNeXt an eighth as
    wide, one thread of an x86 CPU); the weights are 2 and 13 % more.

    Parameters
    ----------
    members : >= 1.
    spread : the factors start as N(1, spread^2) from torch's global stream, >= 0; at 0 every member is `model`. The
        authors' code draws N(1, 0.5^2) for CIFAR-10 and random signs for ImageNet. Signs make another network of W,
        whose trained weights were worth nothing then; 0.2, as in the code of the dissertation, keeps what W knows.

    Raises
    ------
    InvalidInput : an argument out of its range; no layer to give factors to; or a layer whose weights cannot have
        them: recurrent ones, attention, `nn.Bilinear`, subclasses of those above, those with hooks.

    References
    ----------
    Wen, Tran and Ba (2020), BatchEnsemble: an alternative approach to efficient ensemble and lifelong learning.
    """
    checks.integer("members", members, at_least=1)
    checks.real("spread", spread, at_least=0)
    _check(model)
    return BatchEnsembled(
        replaced(
            model,
            lambda name, module: RankOne(module, members, spread, name) if type(module) in AFFINE else None,
        ),
        members,
    )


class BatchEnsembled(nn.Module):
    """The posterior whose draws are the members in turn, in evaluation; what training asks, for a batch of all of them.

    A forward pass is for training alone: each row of the batch is answered by one member. The rows are shared out
    evenly and anew at each pass, from torch's global stream. In evaluation ask `predict`, or one `member`.
    """

    def __init__(self, net: nn.Module, members: int) -> None:
        super().__init__()
        self.net = net
        self.members = members

    def __len__(self) -> int:
        return self.members

    def forward(self, x: Float[Tensor, "batch *shape"]) -> Tensor:
        if not self.training:
            raise ModelContractError(
                f"a BatchEnsembled in evaluation has {len(self)} answers to each row, and a call gives one; ask for "
                "all by predict(model, x), or one by model.member(k)(x)."
            )
        return self._ask(shared_out(len(x), len(self), x.device), x)

    def draws(self, count: int, generator: torch.Generator | None = None) -> Iterator[Predictor]:
        """The members in turn, from the first on; what else is random in the network draws as it does."""
        return (partial(self._ask, draw % len(self)) for draw in range(count))

    def together(self) -> Together:
        """All members in one pass of `count` copies of the batch."""
        return self._tiled

    def member(self, k: int) -> nn.Module:
        """An ordinary copy of member `k`, 0 to len - 1, which answers as the k-th draw does."""
        checks.integer("k", k, at_least=0, at_most=len(self) - 1)
        return replaced(self.net, lambda name, module: module.member(k) if isinstance(module, RankOne) else None)

    def extra_repr(self) -> str:
        return f"members={self.members}"

    def _ask(self, who: int | Tensor, x: Tensor) -> Tensor:
        before = _ASKED.set(who)
        try:
            return self.net(x)
        finally:
            _ASKED.reset(before)

    def _tiled(self, x: Tensor, count: int) -> Tensor:
        who = torch.arange(count, device=x.device) % len(self)
        answers = self._ask(who.repeat_interleave(len(x)), x.repeat(count, *[1] * (x.ndim - 1)))
        return answers.unflatten(0, (count, len(x)))


def shared_out(rows: int, members: int, device: torch.device) -> Tensor:
    """The member of each row: as many rows to each as evenness allows, at random from torch's global stream."""
    first = torch.randint(members, (), device=device)  # whose turn it is to get one more
    return (torch.randperm(rows, device=device) + first) % members


class RankOne(nn.Module):
    """A layer with the weights W * outer(s_k, r_k) and the bias b_k of whichever member is asked.

    For rows of several members computed as layer(x * r_k) * s_k + b_k, which costs the layer's pass and two products of
    its inputs and outputs; for one member with its weights.
    """

    def __init__(self, layer: Any, members: int, spread: float, name: str) -> None:
        super().__init__()
        linear = isinstance(layer, nn.Linear)
        sizes = (layer.in_features, layer.out_features) if linear else (layer.in_channels, layer.out_channels)
        self.layer, self.name = layer, name
        self.r, self.s = (nn.Parameter(1 + spread * torch.randn(members, size).to(layer.weight)) for size in sizes)
        self.bias = None if layer.bias is None else nn.Parameter(layer.bias.detach().repeat(members, 1))
        layer.bias = None

    def forward(self, x: Tensor, *args: Any, **options: Any) -> Tensor:
        who = self._asked(x)
        if isinstance(who, int):
            return affine(self.layer, x, *self._of(who), *args, **options)
        y = affine(self.layer, x * self._along(self.r[who], x), self.layer.weight, None, *args, **options)
        y = y * self._along(self.s[who], y)
        return y if self.bias is None else y + self._along(self.bias[who], y)

    def member(self, k: int) -> nn.Module:
        """The ordinary layer of one member."""
        layer, (weight, bias) = copy.deepcopy(self.layer), self._of(k)
        layer.weight = nn.Parameter(weight.detach())
        layer.bias = None if bias is None else nn.Parameter(bias.detach().clone())
        return layer

    def _of(self, k: int) -> tuple[Tensor, Tensor | None]:
        """The weight and the bias of one member."""
        return self.layer.weight * self._factor(self.r[k], self.s[k]), None if self.bias is None else self.bias[k]

    def _factor(self, r: Tensor, s: Tensor) -> Tensor:
        """outer(s, r) in the shape of the weight, within each group of channels."""
        groups, sides = getattr(self.layer, "groups", 1), self.layer.weight.ndim - 2
        first, second = (r, s) if isinstance(self.layer, TRANSPOSED) else (s, r)
        within = second.reshape(groups, 1, -1) * first.reshape(groups, -1, 1)
        return within.reshape(len(first), -1, *[1] * sides)

    def _along(self, factor: Tensor, x: Tensor) -> Tensor:
        """A factor (rows, channels) along the channels of `x`: the last axis of a linear layer, else the second."""
        sides = [1] * (x.ndim - 2)
        return (
            factor.reshape(len(factor), *sides, -1)
            if self.layer.weight.ndim == 2
            else factor.reshape(*factor.shape, *sides)
        )

    def _asked(self, x: Tensor) -> int | Tensor:
        who, sides = _ASKED.get(), self.layer.weight.ndim - 2
        if who is None:
            raise ModelContractError(f"{self.name or 'the layer'} is asked outside of its BatchEnsembled; ask that.")
        if isinstance(who, Tensor) and (len(x) != len(who) or x.ndim < 2 or (sides and x.ndim != sides + 2)):
            raise ModelContractError(
                f"{self.name or 'the layer'} must get one row for each of {len(who)} inputs, along the first axis, as "
                f"each row has its own member, got shape {tuple(x.shape)}: the batch axis changes inside the network. "
                "Keep the batch first, or train an ensemble of separate networks."
            )
        return who


def _check(model: nn.Module) -> None:
    modules = dict(model.named_modules())
    inside = {id(part) for m in modules.values() if isinstance(m, nn.MultiheadAttention) for part in m.children()}
    refused = [
        f"{name or 'the model'} ({type(module).__name__}{' with hooks' if type(module) in AFFINE else ''})"
        for name, module in modules.items()
        if isinstance(module, _REFUSED) and id(module) not in inside and not _plain(module)
    ]
    if refused or not any(type(module) in AFFINE for module in modules.values()):
        raise InvalidInput(
            "model must have linear layers, convolutions or transposed convolutions of torch itself, without hooks, to "
            f"give each member factors of their weights, got {', '.join(refused) or 'none'}; train an ensemble of "
            "separate networks instead (NaiveEnsemble, FastEnsemble)."
        )


def _plain(module: nn.Module) -> bool:
    """Whether it is a layer of torch whose call is its forward pass; a lazy one that has seen a batch is."""
    return type(module) in AFFINE and not (module._forward_hooks or module._forward_pre_hooks)
