"""Any model as the house asks one: from a batch of floating tensors to logits (n, classes)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trustworthy.core.errors import ModelContractError
from trustworthy.core.guard import undisturbed
from trustworthy.core.protocols import Posterior, Wrapped, as_posterior, drawn
from trustworthy.models.estimator import EstimatorScores, Gives, Method, is_estimator
from trustworthy.models.feeding import Feed, as_given, fed
from trustworthy.models.names import matched, plain
from trustworthy.models.outputs import Form, Reading, read


@dataclass(frozen=True, eq=False, kw_only=True)
class Adapted:
    """A model and what was done so that it can be asked.

    model : the model itself where nothing was to be done; otherwise a module, a callable or a posterior around it.
    notes : what was done, each a clause without a full stop.
    gives : what the logits are: of "probabilities", "scores" that rank classes, or one-hot votes made of "labels".
    classes : labels of the columns, where the model or the caller names them.
    """

    model: Any
    notes: tuple[str, ...]
    gives: Gives
    classes: tuple[Any, ...] | None


def adapt(
    model: Any,
    x: Float[Tensor, "n *shape"],
    *,
    classes: Sequence[Any] | None = None,
    known: Sequence[Any] | None = None,
    columns: Sequence[str] | None = None,
    decode: Callable[[Tensor], Any] | None = None,
    form: Form = "auto",
    batch: int = 256,
) -> Adapted:
    """Ask `model` about some examples and find out how it is to be asked about all.

    Parameters
    ----------
    model : a module or a callable, on tensors or arrays, a posterior of such, or a fitted classifier of scikit-learn.
    x : examples as the model takes them, a hundred or so: whether outputs are probabilities is seen from their answers.
    classes : labels of the data in the order of its class indices.
    known : names of the columns of the model's output, as `LoadedModel.classes`; an estimator has them itself.
    columns, decode : of a table, for an estimator; see `EstimatorScores`.
    form : of the outputs, where looking at them would be wrong.
    batch : rows that an estimator is asked about at once.

    Raises
    ------
    ModelContractError : none of these, or it raises, or does not return logits or what can be read as such.
    InvalidInput : labels or columns of the data do not fit the model's.
    """
    if is_estimator(model):
        return _estimator(partial(EstimatorScores, model, classes=classes, columns=columns, decode=decode), x, batch)
    if not (callable(model) or isinstance(model, Posterior)):
        raise ModelContractError(
            "the model must be callable, or have predict and classes_ as a classifier of scikit-learn, or "
            f"draws(count, generator) and modules(), got {type(model).__name__}."
        )
    with undisturbed(model, x, torch.Generator(device=x.device).manual_seed(0)), torch.no_grad():
        (predictor,) = drawn(model, 1)
        feed, output, gradients = fed(predictor, model, x)
    named, order = _ordered(known, classes)
    found = read(output, form=form, rows=len(x), classes=len(named) if named else None, gradients=gradients)
    reading = replace(found, order=order)
    if known is not None and reading.classes != len(known):
        raise ModelContractError(f"the model must return one column for each of {list(known)}, got {reading.classes}.")
    is_logits = reading.form == "logits" and order is None and isinstance(output, Tensor) and output.ndim == 2
    if feed is as_given and is_logits and output.dtype in (torch.float32, torch.float64):
        asked = model
    elif isinstance(model, nn.Module) and not isinstance(model, Posterior):
        asked = _ReadModule(model, feed, reading)
    else:
        asked = Wrapped(as_posterior(model), lambda predictor, x: reading(feed(predictor, x)).to(x.device))
    return Adapted(
        model=asked, notes=reading.notes, gives="labels" if reading.form == "labels" else "probabilities", classes=named
    )


def _ordered(
    known: Sequence[Any] | None, classes: Sequence[Any] | None
) -> tuple[tuple[Any, ...] | None, tuple[int, ...] | None]:
    """Labels of the columns that the audit sees, and which columns of the model they are, where those move."""
    if known is None or classes is None:
        found = known if classes is None else classes
        return None if found is None else tuple(found), None
    if list(map(plain, classes)) == list(range(len(classes))) and all(isinstance(name, str) for name in known):
        classes = known[: len(classes)]  # the data number the classes whose names the model knows
    labels, columns = matched(known, classes)
    return tuple(labels), None if columns == sorted(columns) else tuple(columns)


def _estimator(asked: Callable[..., EstimatorScores], x: Tensor, batch: int) -> Adapted:
    """The first of its methods that says what `predict` says, which is what its users get.

    A threshold other than one half, or the probabilities of an SVC, contradict it; and margins of pairs of classes
    (an SVC, one against one) are no scores of classes, even where there are as many.
    """
    chosen, notes = asked(reads="predict"), []
    methods: tuple[Method, ...] = ("predict_proba", "decision_function")
    for reads in (method for method in methods if hasattr(chosen.model, method)):
        scores = asked(reads=reads)
        try:
            differing = sum(scores.disagreements(rows) for rows in x.split(batch))
        except ModelContractError:
            if reads == "predict_proba":
                raise
            continue
        if not differing:
            chosen = scores
            break
        notes.append(
            f"the highest of {reads} is another class than that of predict in {differing} of {len(x)} rows, so it is "
            "not used"
        )
    return Adapted(model=chosen, notes=(*notes, *chosen.notes), gives=chosen.gives, classes=tuple(chosen.classes))


class _ReadModule(nn.Module):
    """A module whose answers are read as logits."""

    def __init__(self, model: nn.Module, feed: Feed, reading: Reading) -> None:
        super().__init__()
        self.model, self.feed, self.reading = model, feed, reading
        self.train(model.training)

    def forward(self, x: Tensor) -> Tensor:
        return self.reading(self.feed(self.model, x))
