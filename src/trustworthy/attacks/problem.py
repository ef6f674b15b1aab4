"""One attack on one batch: the model behind a door that checks, counts queries, and gives losses and gradients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from trustworthy.attacks.losses import LOSSES
from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput, ModelContractError
from trustworthy.core.protocols import AnyClassifier, Classifier
from trustworthy.core.threat import Bounds


class Problem:
    """A model, the inputs to attack and what counts as success. Rows of a sub-problem share the query counts."""

    def __init__(
        self,
        model: Classifier,
        x: Float[Tensor, "batch *shape"],
        y: Int[Tensor, " batch"],
        target: Int[Tensor, " batch"] | None = None,
        *,
        loss: str = "ce",
        eot: int = 1,
    ) -> None:
        self.model, self.x, self.y, self.target = model, x, y, target
        self.loss = checks.choice("loss", loss, LOSSES)
        self.eot = eot
        self.rows = torch.arange(len(x), device=x.device)
        self.queries = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        self._checked = False

    def subset(self, chosen: Bool[Tensor, " batch"] | Int[Tensor, " some"]) -> Problem:
        """The same problem on some of its examples."""
        part = Problem.__new__(Problem)
        part.__dict__.update(self.__dict__)
        part.x, part.y, part.rows = self.x[chosen], self.y[chosen], self.rows[chosen]
        part.target = None if self.target is None else self.target[chosen]
        return part

    def logits(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch classes"]:
        """One forward pass."""
        self.queries.index_add_(0, self.rows, torch.ones_like(self.rows))
        out = self.model(x)
        if not self._checked:
            check_logits(out, len(x), self.y, self.target)
            self._checked = True
        return out

    def losses(self, logits: Float[Tensor, "batch classes"]) -> Float[Tensor, " batch"]:
        """What the attack maximises."""
        return self.loss(logits, self.y, self.target)

    def reached(self, logits: Float[Tensor, "batch classes"]) -> Bool[Tensor, " batch"]:
        """Whether the prediction is wrong, or the target's."""
        predicted = logits.argmax(1)
        return predicted != self.y if self.target is None else predicted == self.target

    def scores(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch classes"]:
        """Logits without a gradient; for a stochastic model (eot > 1), log of the summed probabilities of `eot` draws."""
        with torch.no_grad():
            if self.eot == 1:
                return self.logits(x)
            return torch.stack([self.logits(x).log_softmax(1) for _ in range(self.eot)]).logsumexp(0)

    def is_adversarial(self, x: Float[Tensor, "batch *shape"]) -> Bool[Tensor, " batch"]:
        """Whether the attack succeeds at `x`."""
        return self.reached(self.scores(x))

    def ascent(
        self, x: Float[Tensor, "batch *shape"]
    ) -> tuple[Float[Tensor, "batch *shape"], Float[Tensor, " batch"], Bool[Tensor, " batch"]]:
        """Gradient of the loss, the loss, and whether the attack succeeds at `x`; means over `eot` draws.

        Gradients are averaged, never the step: a sign or unit step has no scale that k draws could divide.
        """
        gradient, loss, votes = self._draw(x)
        for _ in range(self.eot - 1):
            more = self._draw(x)
            gradient, loss, votes = gradient + more[0], loss + more[1], votes + more[2]
        if self.eot > 1:
            gradient, loss = gradient / self.eot, loss / self.eot
        return gradient, loss, votes * 2 > self.eot

    def _draw(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = x.detach().requires_grad_()
        logits = self.logits(x)
        loss = self.losses(logits)
        try:
            (gradient,) = torch.autograd.grad(loss.sum(), x)
        except RuntimeError as error:
            raise ModelContractError(
                "the model's output has no gradient with respect to its input; remove no_grad, detach or NumPy from "
                "its forward pass, or use BoundaryAttack (labels are enough) or SquareAttack (scores are enough)."
            ) from error
        return gradient, loss.detach(), self.reached(logits.detach()).to(torch.int64)


def check_logits(out: object, batch: int, y: Tensor, target: Tensor | None) -> None:
    """Refuse what is not a floating tensor (batch, classes) that has every label's class."""
    if not isinstance(out, Tensor):
        raise ModelContractError(f"the model must return a tensor of logits, got {type(out).__name__}.")
    if out.ndim != 2 or len(out) != batch or not out.is_floating_point():
        raise ModelContractError(
            f"the model must return floating logits of shape ({batch}, classes) for a batch of {batch}, "
            f"got shape {tuple(out.shape)} and dtype {out.dtype}; flatten extra axes inside the model."
        )
    classes = out.shape[1]
    if classes < 2:
        raise ModelContractError("the model must return at least two logits; turn one score s into the pair (0, s).")
    if bool(out.detach().isnan().any()):
        raise ModelContractError("the model returned NaN for a valid input; check its weights and its normalisation.")
    for name, labels in (("y", y), ("target", target)):
        if labels is not None and int(labels.max()) >= classes:
            raise InvalidInput(f"{name} must lie in 0..{classes - 1} for {classes} logits, got {int(labels.max())}.")


def as_batch(x: object, bounds: Bounds | None) -> Tensor:
    """Check a batch of inputs and detach it; NumPy arrays become tensors."""
    if isinstance(x, np.ndarray):
        x = torch.from_numpy(np.ascontiguousarray(x))
    if not isinstance(x, Tensor):
        raise InvalidInput(f"x must be a tensor or a NumPy array (batch, *shape), got {type(x).__name__}.")
    if not x.is_floating_point():
        raise InvalidInput(f"x must be floating, got {x.dtype}; for images in 0..255 pass x.float() / 255.")
    if x.ndim < 2 or x.numel() == 0:
        raise InvalidInput(f"x must be a non-empty batch (batch, *shape), got shape {tuple(x.shape)}.")
    if not bool(x.isfinite().all()):
        raise InvalidInput("x must be finite, got NaN or inf; drop or impute those examples.")
    if bounds is not None and (float(x.min()) < bounds[0] or float(x.max()) > bounds[1]):
        raise InvalidInput(
            f"x must lie in bounds={bounds}, got values in [{float(x.min()):g}, {float(x.max()):g}]; "
            "rescale x and put the normalisation inside the model, or pass the true bounds."
        )
    return x.detach().clone() if x.is_inference() else x.detach()


def as_labels(name: str, labels: object, x: Tensor) -> Tensor:
    """Check one class index per example."""
    labels = torch.as_tensor(labels) if isinstance(labels, np.ndarray | list | tuple) else labels
    if not isinstance(labels, Tensor) or labels.is_floating_point() or labels.dtype in (torch.bool, torch.complex64):
        kind = getattr(labels, "dtype", type(labels).__name__)
        raise InvalidInput(f"{name} must be integer class indices (batch,), got {kind}; use {name}.long().")
    if labels.shape != (len(x),):
        raise InvalidInput(f"{name} must have shape ({len(x)},) to match x, got {tuple(labels.shape)}.")
    if int(labels.min()) < 0:
        raise InvalidInput(f"{name} must be >= 0, got {int(labels.min())}; relabel the classes 0, 1, ...")
    labels = labels.to(device=x.device, dtype=torch.int64)
    return labels.clone() if labels.is_inference() else labels


def as_classifier(model: AnyClassifier, numpy_input: bool) -> Classifier:
    """Make a callable on tensors of one that may speak NumPy and may return labels instead of scores."""
    if not callable(model):
        remedy = "; pass model.predict" if hasattr(model, "predict") else ""
        raise ModelContractError(f"model must be callable, got {type(model).__name__}{remedy}.")
    if not numpy_input or isinstance(model, nn.Module):
        return model

    def on_tensors(x: Tensor) -> Tensor:
        out = torch.as_tensor(np.asarray(model(x.detach().cpu().numpy())), device=x.device)
        if out.ndim == 1 and not out.is_complex():
            labels = out.to(torch.int64)
            width = max(2, int(labels.max()) + 1)
            return torch.nn.functional.one_hot(labels, width).to(x.dtype)
        return out.to(x.dtype)

    return on_tensors


@contextmanager
def undisturbed(model: object, x: Tensor, generator: torch.Generator | None) -> Iterator[None]:
    """Attack in eval mode with gradients on, and leave the model and the global random stream as they were.

    With a generator, a stochastic model draws from a forked global stream seeded by it, so the whole attack is
    reproducible and the caller's stream does not move.
    """
    if generator is not None and generator.device.type != x.device.type:
        raise InvalidInput(
            f"generator lives on {generator.device}, x on {x.device}; use torch.Generator(device=x.device)."
        )
    modes = [(module, module.training) for module in model.modules()] if isinstance(model, nn.Module) else []
    fork = nullcontext()
    if generator is not None:
        devices = [x.device] if x.device.type != "cpu" else []
        kind = x.device.type if devices else "cuda"
        fork = torch.random.fork_rng(devices=devices, device_type=kind)
    with torch.inference_mode(False), torch.enable_grad(), fork:
        try:
            if generator is not None:
                seed = torch.randint(2**62, (1,), generator=generator, device=generator.device)
                torch.manual_seed(int(seed))
            for module, _ in modes:
                module.training = False
            yield
        finally:
            for module, training in modes:
                module.training = training
