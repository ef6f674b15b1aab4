"""The model under audit, whatever its kind, as predictors from a batch of tensors to logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from trustworthy.core import seeds
from trustworthy.core.errors import InvalidInput, ModelContractError, leaving_out, warn
from trustworthy.core.guard import reachable_modules, undisturbed
from trustworthy.core.inputs import check_logits
from trustworthy.core.predictive import Predictive, predict
from trustworthy.core.protocols import Posterior, Predictor, Wrapped, as_posterior, drawn, members_of
from trustworthy.models import LoadedModel, adapt, is_estimator
from trustworthy.models.estimator import Gives, classes_of
from trustworthy.models.feeding import blamed
from trustworthy.models.names import names_of, plain
from trustworthy.report.fingerprint import fingerprint
from trustworthy.report.rows import Examples, check_finite

_LOOKED = 200
"""Rows by which it is found out what the answers of a model are, probabilities for example."""
_PROBED = 8
"""Rows by which it is found out whether a model has gradients and leaves its input alone."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Subject:
    """A model and what can be asked of it.

    given : the model as the user gave it.
    model : a posterior of callables from a batch (n, *shape) to scores (n, classes).
    gives : what the output is: logits of "probabilities", "scores" that rank classes, or one-hot votes of "labels".
    gives_logits : whether what `given` returns is used as it is.
    gives_gradients : whether the scores can be differentiated with respect to the input.
    hides_gradients : whether it has weights, as what has gradients does, and yet none reaches the input.
    is_random : whether two draws answer differently; an ensemble is all of its members, and fixed.
    places : class index of each label that the model knows by name; empty for a model of class indices.
    origin : what else is known of the model: `source`, `notes`, `training`, `parameters`.
    predictive : logits of the audited examples, (draws, n, classes) in float64; one draw of a fixed model,
        and of an ensemble its members.
    """

    name: str
    given: Any
    model: Any
    gives: Gives
    gives_logits: bool
    gives_gradients: bool
    hides_gradients: bool
    is_random: bool
    places: dict[Any, int]
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
) -> Subject:
    """Ask a model about the examples, and find out what else can be asked of it.

    Parameters
    ----------
    model : what `models.load_model` gives, or what `models.adapt` takes: an `nn.Module` or another callable from
        tensors or arrays, a posterior of them, or a fitted scikit-learn classifier.
    draws : that a stochastic model is asked for; a fixed one, which answers twice alike, is asked once, an ensemble for
        its members.

    Raises
    ------
    ModelContractError : it is none of these, or raises, or does not return what can be read as logits (n, classes).
    InvalidInput : the examples hold a label that the model has never seen, or other columns than the model knows.
    """
    loaded = model if isinstance(model, LoadedModel) else LoadedModel(model=model, name=name, source="")
    model = loaded.model
    for module in as_posterior(model).modules() if isinstance(model, nn.Module | Posterior) else ():
        module.to(device)
    given = {"batch": batch, "seed": seed, "device": device}
    read = _read(name, loaded, examples, batch=batch, device=device)
    members = members_of(model)
    several = max(2, draws) if isinstance(model, Posterior) else 2  # the first two draws may be alike
    fixed = is_estimator(model) or members is not None
    is_random = not fixed and differs(read.asked, examples.x[:batch], several, **given)
    predictive = answers(read.asked, examples.x, examples.y, draws=members or (draws if is_random else 1), **given)
    hides = read.slope is None and any(True for module in reachable_modules(model) for _ in module.parameters())
    if hides:
        warn(
            f"{name} has weights, and yet no gradient reaches its input: attacks can only try it from outside, and it "
            "looks more robust than it is; remove no_grad, inference_mode, detach or NumPy from its forward pass."
        )
    origin: dict[str, Any] = {"source": loaded.source} if loaded.source else {}
    if read.notes:
        origin["notes"] = read.notes
    if isinstance(training := loaded.about.get("training"), Mapping):
        origin["training"] = dict(training)
    if isinstance(model, nn.Module):
        origin["parameters"] = sum(weight.numel() for weight in model.parameters())
    return Subject(
        name=name, given=model, model=read.asked, is_random=is_random, predictive=predictive, origin=origin,
        gives=read.gives, gives_logits=read.as_given, gives_gradients=read.slope is not None,
        hides_gradients=hides, places=read.places,
        fingerprint=fingerprint(
            model, predictive.logits.numpy(), examples.y.numpy(), read.slope,
            elsewhere=lambda: answers(read.asked, _between(examples), **given).members.numpy(),
        ),
    )  # fmt: skip


def _between(examples: Examples) -> Float[Tensor, "some *shape"]:
    """Points half way and a quarter of the way between rows, up to 512; what is held stays that of the first."""
    few = examples.x[:256]
    way = few[torch.randperm(len(few), generator=torch.Generator().manual_seed(0))] - few
    if examples.domain.movable is not None:
        way = way.where(examples.domain.movable, 0.0)
    way = way.nan_to_num(nan=0.0)  # of a value that is missing in one of the two
    return torch.cat([few + way / 2, few + way / 4])


@dataclass(frozen=True, eq=False)
class _Read:
    """How a model is asked, what it gives, the length of its gradient (None: there is none), what was done.

    as_given : whether its answers are used as they are.
    places : class index of each label that the model knows by name.
    """

    asked: Posterior
    as_given: bool
    gives: Gives
    slope: float | None
    notes: list[str]
    places: dict[Any, int]


def _read(name: str, loaded: LoadedModel, examples: Examples, *, batch: int, device: torch.device) -> _Read:
    model, x = loaded.model, examples.x
    by_estimator = is_estimator(model)
    if not by_estimator:
        check_columns(name, examples)
        check_finite(x)
    known = classes_of(model) if by_estimator else loaded.classes
    labels = _labels(examples, known)
    looked_at = x if by_estimator else x[: min(_LOOKED, batch)]
    adapted = adapt(
        model, looked_at.to(device), classes=labels, known=loaded.classes, batch=batch,
        columns=_columns(model, examples), decode=examples.decode,
    )  # fmt: skip
    places = {} if known is None else _places(examples, labels, adapted.classes or ())
    order = list(places.values())
    asked = adapted.model if order == list(range(len(order))) else _spread(adapted.model, order)
    notes = [*loaded.notes, *adapted.notes]
    if notes:
        warn(f"{name}: {'; '.join(notes)}.")
    if by_estimator:
        return _Read(_safely(asked, copied=False), False, adapted.gives, None, notes, places)
    slope, writes = _probe(_safely(asked, copied=False), x[: min(_PROBED, batch)].to(device))
    if writes:
        warn(f"{name} writes into its input, and is shown copies: write x = x - mean in place of x -= mean.")
    return _Read(_safely(asked, copied=writes), asked is model, adapted.gives, slope, notes, places)


def _safely(model: Any, *, copied: bool) -> Posterior:
    """`model` as a posterior; what it raises says that it was the model, and it is shown copies if it writes into x."""

    def ask(predictor: Predictor, x: Tensor) -> Tensor:
        with blamed(x):
            return predictor(x.clone() if copied else x)

    return Wrapped(as_posterior(model), ask)


def check_columns(name: str, examples: Examples) -> None:
    """Refuse columns of words where no estimator is asked, which was fitted on the words themselves."""
    words = [str(column.name) for column in examples.columns if column.kind == "category"]
    if words:
        raise InvalidInput(
            f"{name} takes numbers, and the columns {', '.join(map(repr, words[:10]))} hold words or categories; leave "
            f"them out by {leaving_out(words)}, or give a pipeline that was fitted on the table."
        )


def _labels(examples: Examples, known: Sequence[Any] | None) -> list[Any]:
    """What the model calls each class that has rows; of a model without names the class indices, up to the largest."""
    if known is None:
        return list(range(max(len(examples.class_names), int(examples.y.max()) + 1)))
    names = examples.class_values or examples.class_names
    named = bool({str(plain(label)).strip() for label in known} & {str(name).strip() for name in names})
    present = np.unique(examples.y.numpy()).tolist()
    return [names[label] if (named or examples.class_values) and label < len(names) else label for label in present]


def _places(examples: Examples, labels: Sequence[Any], classes: Sequence[Any]) -> dict[Any, int]:
    """Class index of each column of the adapted model: those with rows first, then what only the model knows."""
    names = [str(name) for name in examples.class_values or examples.class_names]
    places = dict(zip(classes, np.unique(examples.y.numpy()).tolist(), strict=False))
    taken = set(places.values())
    for label in classes[len(labels) :]:
        wanted = names.index(str(label)) if str(label) in names else label
        free = isinstance(wanted, int) and not isinstance(wanted, bool) and wanted >= 0 and wanted not in taken
        places[label] = wanted if free else max(len(names), max(taken) + 1)
        taken.add(places[label])
    return places


def _columns(model: Any, examples: Examples) -> list[str] | None:
    """Names of the columns for an estimator; None for arrays whose names are not those that it knows."""
    names, known = list(map(str, examples.feature_names)), names_of(model)
    return names if examples.columns or (names and known and set(names) & set(known)) else None


def _spread(model: Any, places: list[int]) -> Posterior:
    """The model with its columns at their class indices; a class that it does not know is the least likely."""
    width = max(places) + 1

    def ask(predictor: Predictor, x: Tensor) -> Tensor:
        scores = predictor(x)
        least = scores.detach().amin(1, keepdim=True).clamp(max=float(np.log(np.finfo(np.float32).tiny)))
        out = least.expand(-1, width).clone()
        out[:, places] = scores[:, : len(places)]
        return out

    return Wrapped(as_posterior(model), ask)


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
    draws: int | None = None,
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
    return Wrapped(as_posterior(model), lambda predictor, x: check_logits(predictor(x), len(x), y))


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
