"""The model under audit, whatever its kind, as predictors from a batch of tensors to logits."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import joblib
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from trustworthy.core import seeds
from trustworthy.core.digest import digest
from trustworthy.core.errors import ModelContractError, TrustworthyError, TrustworthyWarning
from trustworthy.core.guard import undisturbed
from trustworthy.core.inputs import check_logits
from trustworthy.core.predictive import Predictive, predict
from trustworthy.core.protocols import Posterior, Predictor, as_posterior, drawn
from trustworthy.report.domain import Wrapped
from trustworthy.report.rows import Examples

_TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, eq=False, kw_only=True)
class Subject:
    """A model and what can be asked of it.

    given : the model as the user gave it.
    model : a callable from a batch (n, *shape) to scores (n, classes), or a posterior of them.
    gives_scores : whether the output is logits; otherwise it is one-hot votes made of labels.
    gives_gradients : whether the scores can be differentiated with respect to the input.
    is_random : whether two draws answer differently.
    predictive : logits of the audited examples, (draws, n, classes) in float64; one draw of a fixed model.
    """

    name: str
    given: Any
    model: Any
    gives_scores: bool
    gives_gradients: bool
    is_random: bool
    predictive: Predictive
    fingerprint: str
    origin: dict[str, Any]

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
    model : an `nn.Module` or another callable from tensors to logits, a posterior of them, or a fitted scikit-learn
        classifier.
    draws : that a stochastic model is asked for; a fixed one, which answers twice alike, is asked once.

    Raises
    ------
    ModelContractError : it is none of these, or raises, or does not return logits (n, classes).
    """
    is_estimator = hasattr(model, "predict") and not isinstance(model, nn.Module | Posterior)
    if not (is_estimator or callable(model) or isinstance(model, Posterior)):
        raise ModelContractError(
            "the model must be callable or a scikit-learn classifier, or have draws(count, generator) and modules(), "
            f"got {type(model).__name__}."
        )
    asked: Any = scores_of(model) if is_estimator else model
    for module in as_posterior(model).modules() if isinstance(model, nn.Module | Posterior) else ():
        module.to(device)
    given = {"batch": batch, "seed": seed, "device": device}
    is_random = not is_estimator and differs(asked, examples.x[:batch], max(2, draws), **given)
    predictive = answers(asked, examples.x, examples.y, draws=draws if is_random else 1, **given)
    if not is_estimator and are_probabilities(predictive.members):
        warnings.warn(
            f"{name} returns probabilities; confidences are read as they are, but attacks work on logits: remove the "
            "final softmax.",
            TrustworthyWarning,
            stacklevel=3,
        )
        predictive = Predictive(predictive.members.clamp_min(_TINY).log())
    slope = None if is_estimator else _slope(asked, examples.x[: min(8, batch)].to(device))
    origin: dict[str, Any] = {"source": source} if source else {}
    if isinstance(model, nn.Module):
        origin["parameters"] = sum(weight.numel() for weight in model.parameters())
    return Subject(
        name=name, given=model, model=asked, is_random=is_random, predictive=predictive, origin=origin,
        gives_scores=not is_estimator or hasattr(model, "predict_proba"), gives_gradients=slope is not None,
        fingerprint=_fingerprint(model, predictive.logits.numpy(), examples.y.numpy(), slope),
    )  # fmt: skip


def scores_of(model: Any) -> Callable[[Tensor], Tensor]:
    """Log-probabilities of a scikit-learn classifier, or one-hot votes where it has no `predict_proba`."""
    classes = getattr(model, "classes_", None)
    if classes is None:
        raise ModelContractError(
            f"{type(model).__name__} must be a fitted classifier with the attribute classes_; call fit in the factory."
        )
    if np.asarray(classes).dtype.kind not in "iu" or np.min(classes) < 0:
        raise ModelContractError(
            f"the classes of the estimator must be integers >= 0, got {np.asarray(classes)[:5]!r}."
        )
    width = max(2, int(np.max(classes)) + 1)

    def scores(x: Tensor) -> Tensor:
        table = x.detach().flatten(1).cpu().numpy().astype(np.float64)
        out = np.zeros((len(table), width))
        if hasattr(model, "predict_proba"):
            out[:, classes] = model.predict_proba(table)
            out = np.log(np.maximum(out, np.finfo(np.float32).tiny))
        else:
            out[np.arange(len(table)), model.predict(table)] = 1.0
        return torch.from_numpy(out).to(device=x.device, dtype=x.dtype)

    return scores


def are_probabilities(scores: Float[Tensor, "*draws n classes"]) -> bool:
    """Whether every row is non-negative and sums to one, as no logits happen to."""
    return bool((scores >= 0).all()) and bool(((scores.sum(-1) - 1.0).abs() <= 1e-3).all())


def differs(
    model: Any, x: Float[Tensor, "n *shape"], draws: int, *, batch: int, seed: int, device: torch.device
) -> bool:
    """Whether several draws answer differently, beyond the rounding of sums in another order.

    A posterior is asked for `draws` of them, since its first two members may be alike; a callable is asked twice.
    """
    count = draws if isinstance(model, Posterior) else 2
    members = answers(model, x, draws=count, batch=batch, seed=seed, device=device).members
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
    """The model as a posterior whose every answer is checked, and whose exceptions say where they came from."""

    def ask(predictor: Predictor, x: Tensor) -> Tensor:
        try:
            output = predictor(x)
        except TrustworthyError:
            raise
        except Exception as error:
            said = str(error).strip().splitlines()
            kind, shape = type(error).__name__, tuple(x.shape)
            raise ModelContractError(
                f"the model raised {kind} on a batch of shape {shape}: {said[0] if said else ''}"
            ) from error
        return check_logits(output, len(x), y)

    return Wrapped(as_posterior(model), ask)


def _slope(model: Any, x: Tensor) -> float | None:
    """Length of the gradient of the scores, weighted differently by class; None for a model without gradients."""
    with undisturbed(model, x, torch.Generator(device=x.device).manual_seed(0)):
        x = x.clone().requires_grad_()
        (predictor,) = drawn(_checked(model), 1)
        scores = predictor(x + 0)  # a copy: a model that writes into its input must not do so to a leaf
        if not scores.requires_grad:
            return None
        weights = torch.arange(1, scores.shape[1] + 1, device=scores.device, dtype=scores.dtype)
        gradient = torch.autograd.grad((scores * weights).sum(), x, allow_unused=True)[0]
        return None if gradient is None else float(gradient.double().norm())


def _fingerprint(
    model: Any, logits: Float[np.ndarray, "n classes"], y: Int[np.ndarray, " n"], slope: float | None
) -> str:
    """Hash of the weights, where there are any to see, and of what the model answers.

    Scores may round differently from run to run, so they enter by the predicted classes and by three numbers of three
    digits: what is hidden from the weights (a temperature, a scale, a masked gradient) changes one of these.
    """
    surprise = np.mean(np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(y)), y])
    answer = [f"{surprise:.3g}", f"{np.abs(logits).mean():.3g}", None if slope is None else f"{slope:.3g}"]
    if isinstance(model, nn.Module | Posterior):
        modules = [model] if isinstance(model, nn.Module) else list(model.modules())
        states = [module.state_dict().items() for module in modules]
        weights = [{key: value for key, value in state if isinstance(value, Tensor)} for state in states]
        inside: Any = list(zip(map(repr, modules), weights, strict=True))
    else:
        inside = str(joblib.hash(model)) if hasattr(model, "predict") else None
    return digest(type(model).__qualname__, logits.argmax(1), answer, inside)
