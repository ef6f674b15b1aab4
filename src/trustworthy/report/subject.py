"""The model under audit, whatever its kind, as a function from a batch of tensors to logits."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from trustworthy.core import seeds
from trustworthy.core.errors import ModelContractError, TrustworthyError, TrustworthyWarning
from trustworthy.core.guard import undisturbed
from trustworthy.core.inputs import check_logits
from trustworthy.core.protocols import Classifier
from trustworthy.report.estimator import scores_of
from trustworthy.report.examples import Examples


@dataclass(frozen=True, eq=False, kw_only=True)
class Subject:
    """A model and what can be asked of it.

    model : a batch (n, *shape) in, scores (n, classes) out; an `nn.Module` where the user's model is one.
    gives_scores : whether the output is logits; otherwise it is one-hot votes made of labels.
    gives_gradients : whether the scores can be differentiated with respect to the input.
    logits : of the audited examples (n, classes).
    """

    name: str
    model: Classifier
    kind: str
    gives_scores: bool
    gives_gradients: bool
    logits: Float[np.ndarray, "n classes"]
    fingerprint: str
    origin: dict[str, Any]

    def described(self) -> dict[str, Any]:
        """What `findings.json` says of the model."""
        return {
            "name": self.name,
            "kind": self.kind,
            "gives_scores": self.gives_scores,
            "gives_gradients": self.gives_gradients,
            "classes": self.logits.shape[1],
            "fingerprint": self.fingerprint,
            **self.origin,
        }


def examine(
    name: str, model: Any, examples: Examples, *, batch: int, seed: int, device: torch.device, source: str = ""
) -> Subject:
    """Ask a model about the examples once, and find out what else can be asked of it.

    Parameters
    ----------
    model : an `nn.Module` or a callable from tensors to logits, or a fitted scikit-learn classifier.

    Raises
    ------
    ModelContractError : it is neither, or raises, or does not return logits (n, classes).
    """
    is_estimator = hasattr(model, "predict") and not isinstance(model, nn.Module)
    if not is_estimator and not callable(model):
        raise ModelContractError(
            f"the model must be callable or a scikit-learn classifier, got {type(model).__name__}."
        )
    if isinstance(model, nn.Module):
        model.to(device)
    asked: Any = scores_of(model) if is_estimator else model
    logits = predict(asked, examples.x, examples.y, batch=batch, seed=seed, device=device)
    if not is_estimator and are_probabilities(logits):
        warnings.warn(
            f"{name} returns probabilities; confidences are read as they are, but attacks work on logits: remove the "
            "final softmax.",
            TrustworthyWarning,
            stacklevel=3,
        )
        logits = np.log(np.maximum(logits, np.finfo(np.float32).tiny))
    slope = None if is_estimator else _slope(asked, examples.x[:8].to(device))
    origin: dict[str, Any] = {"source": source} if source else {}
    if isinstance(model, nn.Module):
        origin["parameters"] = sum(weight.numel() for weight in model.parameters())
    return Subject(
        name=name,
        model=asked,
        kind=type(model).__name__,
        gives_scores=not is_estimator or hasattr(model, "predict_proba"),
        gives_gradients=slope is not None,
        logits=logits,
        fingerprint=_fingerprint(model, logits, examples.y.numpy(), slope),
        origin=origin,
    )


def are_probabilities(scores: Float[np.ndarray, "n classes"]) -> bool:
    """Whether every row is non-negative and sums to one, as no logits happen to."""
    return bool((scores >= 0).all() and np.allclose(scores.sum(axis=1), 1.0, atol=1e-3))


def predict(
    model: Classifier,
    x: Float[Tensor, "n *shape"],
    y: Int[Tensor, " n"] | None = None,
    *,
    batch: int,
    seed: int,
    device: torch.device,
) -> Float[np.ndarray, "n classes"]:
    """Logits of every row in float64, checked (against the labels `y` too); a stochastic model draws from `seed`."""
    labels = torch.zeros(len(x), dtype=torch.int64) if y is None else y
    generator = seeds.torch_generator(seed, "predict", device=device)
    parts = []
    with undisturbed(model, x[:1].to(device), generator), torch.no_grad():
        for inputs, known in zip(x.split(batch), labels.split(batch), strict=True):
            logits = _asked(model, inputs.to(device))
            check_logits(logits, len(inputs), known.to(device), None)
            parts.append(logits.detach().double().cpu().numpy())
    logits = np.concatenate(parts)
    if not np.isfinite(logits).all():
        raise ModelContractError(
            "the model returned infinite logits; clip probabilities before taking their logarithm."
        )
    return logits


def _asked(model: Classifier, x: Tensor) -> Any:
    try:
        return model(x)
    except TrustworthyError:
        raise
    except Exception as error:
        said = str(error).strip().splitlines()
        raise ModelContractError(
            f"the model raised {type(error).__name__} on a batch of shape {tuple(x.shape)}: {said[0] if said else ''}"
        ) from error


def _slope(model: Classifier, x: Tensor) -> float | None:
    """Length of the gradient of the scores, weighted differently by class; None for a model without gradients."""
    with undisturbed(model, x, torch.Generator(device=x.device).manual_seed(0)):
        x = x.clone().requires_grad_()
        scores = _asked(model, x + 0)  # a copy: a model that writes into its input must not do so to a leaf
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
    digest = hashlib.blake2b(digest_size=16)
    digest.update(type(model).__qualname__.encode())
    digest.update(logits.argmax(1).astype("<i8").tobytes())
    surprise = np.mean(np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(y)), y])
    digest.update(f"{surprise:.3g} {np.abs(logits).mean():.3g} {slope if slope is None else f'{slope:.3g}'}".encode())
    if not isinstance(model, nn.Module) and hasattr(model, "predict"):
        digest.update(str(joblib.hash(model)).encode())
    if isinstance(model, nn.Module):
        digest.update(repr(model).encode())
        for key, value in model.state_dict().items():
            if isinstance(value, Tensor):
                content = value.detach().cpu().reshape(-1).contiguous().view(torch.uint8)
                digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
                digest.update(content.numpy().tobytes())
    return digest.hexdigest()
