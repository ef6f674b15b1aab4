"""The model under audit, whatever its kind, as predictors from a batch of tensors to logits."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from trustworthy.core import seeds
from trustworthy.core.errors import ModelContractError, TrustworthyWarning
from trustworthy.core.guard import reachable_modules, undisturbed
from trustworthy.core.inputs import as_classifier, check_logits
from trustworthy.core.predictive import Predictive, predict
from trustworthy.core.protocols import Posterior, Predictor, as_posterior, drawn
from trustworthy.report.asking import asked_safely, blamed, once_warned
from trustworthy.report.domain import Wrapped
from trustworthy.report.estimator import Gives, is_estimator, read_estimator
from trustworthy.report.fingerprint import fingerprint
from trustworthy.report.rows import Examples

_TINY = float(np.finfo(np.float32).tiny)
_PROBED = 8
"""Rows by which it is found out what a model can be asked."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Subject:
    """A model and what can be asked of it.

    given : the model as the user gave it.
    model : a posterior of callables from a batch (n, *shape) to scores (n, classes).
    gives : what the output is: logits of "probabilities", "scores" that rank classes, or one-hot votes of "labels".
    gives_gradients : whether the scores can be differentiated with respect to the input.
    hides_gradients : whether it has weights, as what has gradients does, and yet none reaches the input.
    is_random : whether two draws answer differently.
    predictive : logits of the audited examples, (draws, n, classes) in float64; one draw of a fixed model.
    """

    name: str
    given: Any
    model: Any
    gives: Gives
    gives_gradients: bool
    hides_gradients: bool
    is_random: bool
    predictive: Predictive
    fingerprint: str
    origin: dict[str, Any]

    @property
    def gives_scores(self) -> bool:
        """Whether there is more than labels for an attack to climb."""
        return self.gives != "labels"

    @property
    def draws(self) -> int:
        """Draws whose probabilities are averaged, in a prediction as in a step of an attack."""
        return len(self.predictive.members)

    @cached_property
    def logits(self) -> Float[np.ndarray, "n classes"]:
        """Scores of the classifier that averages probabilities over the draws."""
        return self.predictive.logits.numpy()

    def described(self) -> dict[str, Any]:
        """What `findings.json` says of the model."""
        return {
            "name": self.name, "kind": type(self.given).__name__, "gives_scores": self.gives_scores,
            "gives_gradients": self.gives_gradients, "is_random": self.is_random, "draws": self.draws,
            "classes": self.logits.shape[1], "fingerprint": self.fingerprint, **self.origin,
        }  # fmt: skip


def examine(
    name: str,
    model: Any,
    examples: Examples,
    *,
    batch: int,
    seed: int,
    device: torch.device,
    draws: int = 1,
    source: str = "",
) -> Subject:
    """Ask a model about the examples, and find out what else can be asked of it.

    Parameters
    ----------
    model : an `nn.Module` or another callable from tensors, or from NumPy arrays, to logits, a posterior of them, or a
        fitted scikit-learn classifier.
    draws : that a stochastic model is asked for; a fixed one, which answers twice alike, is asked once.

    Raises
    ------
    ModelContractError : it is none of these, or raises, or does not return logits (n, classes).
    InvalidInput : the examples hold a label that the model has never seen.
    """
    if not (is_estimator(model) or callable(model) or isinstance(model, Posterior)):
        raise ModelContractError(
            "the model must be callable or a scikit-learn classifier, or have draws(count, generator) and modules(), "
            f"got {type(model).__name__}."
        )
    for module in as_posterior(model).modules() if isinstance(model, nn.Module | Posterior) else ():
        module.to(device)
    given = {"batch": batch, "seed": seed, "device": device}
    asked, gives, slope = _read(name, model, examples, batch=batch, device=device)
    several = max(2, draws) if isinstance(model, Posterior) else 2  # the first two members may be alike
    is_random = not is_estimator(model) and differs(asked, examples.x[:batch], several, **given)
    predictive = answers(asked, examples.x, examples.y, draws=draws if is_random else 1, **given)
    if gives == "probabilities" and not is_estimator(model):
        predictive = _as_logits(name, predictive, differentiable=slope is not None)
    hides = slope is None and any(True for module in reachable_modules(model) for _ in module.parameters())
    if hides:
        warnings.warn(
            f"{name} has weights, and yet no gradient reaches its input: attacks can only try it from outside, and it "
            "looks more robust than it is; remove no_grad, inference_mode, detach or NumPy from its forward pass.",
            TrustworthyWarning,
            stacklevel=3,
        )
    origin: dict[str, Any] = {"source": source} if source else {}
    if isinstance(model, nn.Module):
        origin["parameters"] = sum(weight.numel() for weight in model.parameters())
    return Subject(
        name=name, given=model, model=asked, is_random=is_random, predictive=predictive, origin=origin, gives=gives,
        gives_gradients=slope is not None, hides_gradients=hides,
        fingerprint=fingerprint(
            model, predictive.logits.numpy(), examples.y.numpy(), slope,
            elsewhere=lambda: answers(asked, _between(examples.x), **given).members.numpy(),
        ),
    )  # fmt: skip


def _between(x: Float[Tensor, "n *shape"]) -> Float[Tensor, "some *shape"]:
    """Points half way and a quarter of the way between rows, up to 512."""
    few = x[:256]
    other = few[torch.randperm(len(few), generator=torch.Generator().manual_seed(0))]
    return torch.cat([few + (other - few) / 2, few + (other - few) / 4])


def _read(
    name: str, model: Any, examples: Examples, *, batch: int, device: torch.device
) -> tuple[Posterior, Gives, float | None]:
    """The model as it is asked, what it gives, and the length of its gradient; None where there is none."""
    if is_estimator(model):
        scores, gives = read_estimator(name, model, examples, batch=batch)
        return asked_safely(scores, copied=False), gives, None
    few = examples.x[: min(_PROBED, batch)].to(device)
    of_arrays = _gives_arrays(model, few)
    if of_arrays is not None:
        classes = max(len(examples.class_names), int(examples.y.max()) + 1)
        heard = as_classifier(once_warned(model), speaks_numpy=True, classes=classes)
        return asked_safely(heard, copied=True), of_arrays, None
    slope, writes = _probe(asked_safely(model, copied=False), few)
    if writes:
        warnings.warn(
            f"{name} writes into its input, and is shown copies: write x = x - mean in place of x -= mean.",
            TrustworthyWarning,
            stacklevel=4,
        )
    return asked_safely(model, copied=writes), "probabilities", slope


def _gives_arrays(model: Any, x: Float[Tensor, "n *shape"]) -> Gives | None:
    """What a callable gives that answers in NumPy arrays; None for one that answers in tensors, or not at all."""
    if isinstance(model, nn.Module | Posterior):
        return None
    with undisturbed(model, x, torch.Generator(device=x.device).manual_seed(0)), torch.no_grad():
        for given in (x.clone(), x.cpu().numpy().copy()):
            try:
                answer = model(given)
            except Exception:  # it is told when the model is really asked
                continue
            if isinstance(answer, np.ndarray):
                return "labels" if answer.ndim == 1 else "probabilities"
            return None
    return None


def _as_logits(name: str, predictive: Predictive, *, differentiable: bool) -> Predictive:
    """Logits of answers that are none: probabilities, or a sigmoid for each class."""
    if are_probabilities(predictive.members):
        said, read, last = "probabilities", "as they are", "softmax"
    elif are_sigmoids(predictive.members):
        said, read, last = "numbers in [0, 1] that do not sum to one", "as shares of their sum", "sigmoid"
    else:
        return predictive
    if differentiable or last == "sigmoid":
        warnings.warn(
            f"{name} returns {said}; confidences are read {read}, but attacks work on logits: remove the final {last}.",
            TrustworthyWarning,
            stacklevel=4,
        )
    return Predictive(predictive.members.clamp_min(_TINY).log())


def are_probabilities(scores: Float[Tensor, "*draws n classes"]) -> bool:
    """Whether every row is non-negative and sums to one, as no logits happen to."""
    return bool((scores >= 0).all()) and bool(((scores.sum(-1) - 1.0).abs() <= 1e-3).all())


def are_sigmoids(scores: Float[Tensor, "*draws n classes"]) -> bool:
    """Whether all lie in [0, 1], most of them inside, as those of one sigmoid for each class do."""
    inside = (scores > 0) & (scores < 1)
    return bool(((scores >= 0) & (scores <= 1)).all()) and bool(inside.double().mean() > 0.5)


def differs(
    model: Any, x: Float[Tensor, "n *shape"], draws: int, *, batch: int, seed: int, device: torch.device
) -> bool:
    """Whether several draws answer differently, beyond the rounding of sums in another order."""
    members = answers(model, x, draws=draws, batch=batch, seed=seed, device=device).members
    scale = members[0].abs().amax(-1, keepdim=True).clamp_min(1.0)
    return bool(((members[1:] - members[0]).abs() > 1e-4 * scale).any())


def answers(
    model: Any,
    x: Float[Tensor, "n *shape"],
    y: Int[Tensor, " n"] | None = None,
    *,
    draws: int = 1,
    batch: int,
    seed: int,
    device: torch.device,
) -> Predictive:
    """Logits of every row in float64, checked (against the labels `y` too); a stochastic model draws from `seed`."""
    generator = seeds.torch_generator(seed, "predict", device=device)
    checked = _checked(model, None if y is None else y.to(device))
    members = predict(checked, x, draws=draws, batch_size=batch, generator=generator, device=device).members.double()
    if not bool(members.isfinite().all()):
        raise ModelContractError(
            "the model returned infinite logits; clip probabilities before taking their logarithm."
        )
    return Predictive(members)


def _checked(model: Any, y: Tensor | None = None) -> Wrapped:
    """The model as a posterior whose every answer is checked."""

    def ask(predictor: Predictor, x: Tensor) -> Tensor:
        output = predictor(x)
        if isinstance(output, np.ndarray):
            raise ModelContractError(
                "the model must return a tensor of logits, got ndarray; return torch.from_numpy(...) of it."
            )
        return check_logits(output, len(x), y)

    return Wrapped(as_posterior(model), ask)


def _probe(model: Posterior, x: Float[Tensor, "n *shape"]) -> tuple[float | None, bool]:
    """Length of the gradient of the scores, weighted differently by class, and whether the model writes into its input.

    The length is None for a model without gradients, one that can only be asked without them among these.
    """
    with undisturbed(model, x, torch.Generator(device=x.device).manual_seed(0)):
        (predictor,) = drawn(_checked(model), 1)
        leaf = x.clone().requires_grad_()
        shown = leaf + 0  # a model that writes into its input must not do so to a leaf
        version = shown._version
        try:
            scores = predictor(shown)
        except ModelContractError:
            with torch.no_grad():
                shown = x.clone()
                version = shown._version
                scores = predictor(shown)
        writes = shown._version != version or not torch.equal(shown, x)
        if not scores.requires_grad:
            return None, writes
        weights = torch.arange(1, scores.shape[1] + 1, device=scores.device, dtype=scores.dtype)
        with blamed(x):
            gradient = torch.autograd.grad((scores * weights).sum(), leaf, allow_unused=True)[0]
        return None if gradient is None else float(gradient.double().norm()), writes
