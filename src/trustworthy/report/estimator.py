"""A fitted scikit-learn classifier as scores of tensors: features by their names, classes by their labels."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from trustworthy.core.errors import InvalidInput, ModelContractError, TrustworthyWarning
from trustworthy.core.protocols import Posterior
from trustworthy.report.asking import blamed, once_warned
from trustworthy.report.rows import Examples

Gives = Literal["probabilities", "scores", "labels"]
METHODS: dict[Gives, str] = {"probabilities": "predict_proba", "scores": "decision_function"}
_TINY = float(np.finfo(np.float32).tiny)


def is_estimator(model: Any) -> bool:
    """Whether `model` is asked by `predict`, as scikit-learn's classifiers are."""
    return hasattr(model, "predict") and not isinstance(model, torch.nn.Module | Posterior)


def read_estimator(
    name: str, model: Any, examples: Examples, *, batch: int
) -> tuple[Callable[[Tensor], Tensor], Gives]:
    """Scores of the classifier, and what they are: the first of its methods that says what `predict` says.

    A threshold other than one half, or the probabilities of an SVC, contradict `predict`, which is what users get.

    Raises
    ------
    InvalidInput : the examples hold a label that it has never seen.
    """
    columns = class_indices(model, examples.class_names)
    unseen = sorted(set(examples.y.tolist()) - set(columns.tolist()))
    if unseen:
        new, held = (
            [examples.class_name(label) for label in some] for some in (unseen, np.unique(examples.y).tolist())
        )
        known = np.asarray(model.classes_).tolist()
        raise InvalidInput(
            f"y holds the labels {new} that {name} has never seen: it knows {known}, y holds "
            f"{held}; leave these rows out, or fit the classifier on all classes."
        )
    given = {"class_names": examples.class_names, "feature_names": examples.feature_names}
    votes = scores_of(model, "labels", **given)
    said = _winners(votes, examples.x, batch)
    for gives, method in METHODS.items():
        if not hasattr(model, method):
            continue
        scores = scores_of(model, gives, **given)
        differ = int((_winners(scores, examples.x, batch) != said).sum())
        if not differ:
            return scores, gives
        if gives == "probabilities":
            warnings.warn(
                f"{name}: the largest value of predict_proba is another class than that of predict for {differ} of "
                f"{len(said)} rows (a threshold of its own, say); its probabilities are not used.",
                TrustworthyWarning,
                stacklevel=4,
            )
    return votes, "labels"


def class_indices(model: Any, class_names: Sequence[str] = ()) -> Int[np.ndarray, " known"]:
    """Class index in the data of each of `classes_`: that of the same name, else the integer itself.

    Raises
    ------
    ModelContractError : there are no such classes; the message lists those of both.
    """
    if getattr(model, "classes_", None) is None:
        raise ModelContractError(
            f"{type(model).__name__} must be a fitted classifier with the attribute classes_; call fit in the factory."
        )
    classes = np.asarray(model.classes_)
    names = list(map(str, classes.tolist()))
    if class_names and set(names) <= set(class_names):
        return np.array([list(class_names).index(name) for name in names])
    whole = classes.dtype.kind in "biu" or (classes.dtype.kind == "f" and bool((classes == np.floor(classes)).all()))
    if classes.ndim == 1 and whole and bool((classes >= 0).all()):
        return classes.astype(np.int64)
    raise ModelContractError(
        "the classes of the estimator must be integers >= 0 or the names that y holds; it knows "
        f"{classes.tolist()[:8]}, the data have {list(class_names)[:8] or 'numbers'}; give y as the labels it was "
        "fitted on: y.astype(str)."
    )


def scores_of(
    model: Any, gives: Gives = "probabilities", *, class_names: Sequence[str] = (), feature_names: Sequence[str] = ()
) -> Callable[[Tensor], Tensor]:
    """What the classifier gives of a batch (n, *shape): log-probabilities, decision values, or one-hot votes.

    Where two classes are as good as equal, the one that `predict` names is put first. Warnings come once each.
    """
    columns = class_indices(model, class_names)
    place = {label: int(column) for label, column in zip(np.asarray(model.classes_).tolist(), columns, strict=True)}
    framed = _framed(model, feature_names)
    width = max(2, int(columns.max()) + 1, len(class_names))

    def predicted(table: Any) -> Int[np.ndarray, " n"]:
        return np.array([place[label] for label in np.ravel(model.predict(table)).tolist()], np.int64)

    def ask(x: Tensor) -> Tensor:
        table = framed(x.detach().flatten(1).cpu().double().numpy())
        out = np.zeros((len(table), width))
        if gives == "labels":
            out[np.arange(len(table)), predicted(table)] = 1.0
        elif gives == "probabilities":
            out[:, columns] = model.predict_proba(table)
            out = np.log(np.maximum(out, _TINY))
        else:
            values = _one_per_class(np.asarray(model.decision_function(table), np.float64), len(columns))
            out[:] = values.min(axis=1, keepdims=True) - 1.0  # classes that it does not know
            out[:, columns] = values
        scores = torch.from_numpy(out).to(device=x.device, dtype=x.dtype)
        best, second = scores.topk(2).values.T
        near = best - second <= 1e-6 * best.abs().clamp_min(1.0)
        if gives != "labels" and bool(near.any()):
            first = torch.from_numpy(predicted(table[near.cpu().numpy()])).to(x.device)
            scores[near, first] = torch.nextafter(best[near], torch.full_like(best[near], torch.inf))
        return scores

    return once_warned(ask)


def _winners(scores: Callable[[Tensor], Tensor], x: Float[Tensor, "n *shape"], batch: int) -> Int[Tensor, " n"]:
    with blamed(x[:batch]):
        return torch.cat([scores(some).argmax(1) for some in x.split(batch)])


def _one_per_class(values: Float[np.ndarray, "n *columns"], classes: int) -> Float[np.ndarray, "n classes"]:
    """Decision values by class; of two classes there is one value, positive for the second."""
    if values.ndim == 1:
        values = np.stack([np.zeros_like(values), values], axis=1)
    if values.shape[1] != classes:  # one for each pair of classes
        return np.zeros((len(values), classes))
    return values


def _framed(model: Any, feature_names: Sequence[str]) -> Callable[[np.ndarray], Any]:
    """Rows as the estimator was shown them: a DataFrame with its names, in its order, if it was fitted on one."""
    names = getattr(model, "feature_names_in_", None)
    if names is None:
        return lambda table: table
    try:
        import pandas as pd  # no dependency: whoever fitted on a DataFrame has it, or polars, whose names suffice
    except ImportError:
        return lambda table: table
    given = list(feature_names) if sorted(feature_names) == sorted(map(str, names)) else list(names)
    return lambda table: pd.DataFrame(table, columns=given)[list(names)] if table.shape[1] == len(names) else table
