"""A fitted classifier with the interface of scikit-learn, as a function from a batch of tensors to scores."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from trustworthy.core.errors import ModelContractError
from trustworthy.core.extras import required
from trustworthy.models.names import Label, categories_of, check_count, matched, names_of, order_of, plain

Method = Literal["predict_proba", "decision_function", "predict"]
Gives = Literal["probabilities", "scores", "labels"]
GIVES: dict[Method, Gives] = {"predict_proba": "probabilities", "decision_function": "scores", "predict": "labels"}
"""What the answers of each method are: logits of probabilities, scores that rank classes, or one-hot votes."""
_TINY = np.finfo(np.float32).tiny


def is_estimator(model: Any) -> bool:
    """Whether `model` speaks scikit-learn: it has `predict`, and is neither a torch module nor a posterior."""
    return hasattr(model, "predict") and not isinstance(model, torch.nn.Module) and not hasattr(model, "draws")


class EstimatorScores:
    """Scores of a fitted classifier: its columns in the order of `classes`, its table as it was fitted on one.

    Scores are logarithms of `predict_proba`, or else the margins of `decision_function`, or else votes of `predict`.
    Where two classes are as good as equal, the one that `predict` names is put first.

    Parameters
    ----------
    model : anything with `predict` and `classes_`: estimators, pipelines, searches of scikit-learn, LightGBM, XGBoost,
        CatBoost. A warning of theirs is shown the first time; `warnings.counts` says how often it came.
    classes : labels of the data, in the order of its class indices; by default those of the model.
    columns : names of the features of the data, in the order of a row; they are given to a model that has names.
    decode : from rows to a table with `columns`, where they are more than numbers: for text, categories and integers.
    reads : the method that is asked; by default the first of the three that the model has.

    Raises
    ------
    ModelContractError : not fitted, or no classifier of one label.
    InvalidInput : labels or columns do not fit the model's; the message shows both lists.
    """

    def __init__(
        self,
        model: Any,
        *,
        classes: Sequence[Any] | None = None,
        columns: Sequence[str] | None = None,
        decode: Callable[[Tensor], Any] | None = None,
        reads: Method | None = None,
    ) -> None:
        self.model = model
        self._known = classes_of(model)
        self.classes: list[Label]
        self.classes, self._order = matched(self._known, self._known if classes is None else classes)
        self._columns = None if columns is None else order_of(model, columns)
        self._decode = decode
        self.warnings = Once()
        self.reads: Method = reads or next(name for name in get_args(Method) if hasattr(model, name))

    @property
    def gives(self) -> Gives:
        """What the scores are."""
        return GIVES[self.reads]

    @property
    def notes(self) -> list[str]:
        """What is done for want of probabilities."""
        if self.reads == "decision_function":
            return ["the model has no probabilities; its margins are used as logits, so confidences are not calibrated"]
        return [] if self.gives != "labels" else ["labels of the model are used as votes: there are no confidences"]

    def __call__(self, x: Float[Tensor, "n *shape"]) -> Float[Tensor, "n classes"]:
        """Scores in the type of `x`; the table is made in float64."""
        table = self.table(x)
        if self.reads == "predict":
            scores = np.eye(len(self._known))[self._predicted(table)]
        else:
            scores = self._scores(table, len(x))[:, self._order]
            self._settle(scores, table)
        return torch.from_numpy(np.ascontiguousarray(scores)).to(device=x.device, dtype=x.dtype)

    def table(self, x: Float[Tensor, "n *shape"]) -> Any:
        """The rows as the model takes them: a frame with its names, or an array."""
        if self._decode is not None:
            return self._named(self._decode(x))
        rows = x.detach().flatten(1).cpu().numpy().astype(np.float64)
        if self._columns is not None:
            rows = rows[:, self._columns]
        check_count(self.model, rows.shape[1])
        names = names_of(self.model)
        if names is None:
            return rows
        return required("pandas", "a model that was fitted on named columns").DataFrame(rows, columns=names)

    def _named(self, table: Any) -> Any:
        """A frame with the columns of the model, in its order and under its names."""
        if self._columns is None or not hasattr(table, "iloc"):
            return table
        if list(self._columns) != list(range(table.shape[1])):
            table = table.iloc[:, self._columns]
        names = names_of(self.model)
        if names is None:
            return table.iloc[:, 0].to_numpy() if self._reads_texts(table) else table.to_numpy()
        named = table if list(table.columns) == list(names) else table.set_axis(names, axis=1)
        apart = {names[place]: "category" for place in categories_of(self.model)}
        return named.astype(apart) if apart else named

    def _reads_texts(self, table: Any) -> bool:
        """Whether the model was fitted on a list of texts, as one is that begins with a vectorizer."""
        return table.shape[1] == 1 and table.dtypes.iloc[0].kind == "O" and not hasattr(self.model, "n_features_in_")

    def disagreements(self, x: Float[Tensor, "n *shape"]) -> int:
        """Rows where `predict` says another class than the one with the highest score."""
        return int((self._predicted(self.table(x)) != self(x).argmax(1).numpy()).sum())

    def _predicted(self, table: Any) -> Int[np.ndarray, " n"]:
        """Column of the class that `predict` names."""
        said = self._asked("predict", table).reshape(len(table), -1)[:, 0]
        column = {self._known[known]: place for place, known in enumerate(self._order)}
        return np.array([column[plain(label)] for label in said], np.int64)

    def _settle(self, scores: Float[np.ndarray, "n classes"], table: Any) -> None:
        """Put the class that `predict` names first where two are as good as equal."""
        best, second = np.partition(scores, -2, axis=1)[:, [-1, -2]].T
        near = np.flatnonzero(best - second <= 1e-6 * np.maximum(1.0, np.abs(best)))
        if len(near):
            some = table.iloc[near] if hasattr(table, "iloc") else table[near]
            above = np.nextafter(best[near].astype(np.float32), np.float32(np.inf)).astype(np.float64)
            scores[near, self._predicted(some)] = np.maximum(above, np.nextafter(best[near], np.inf))

    def _asked(self, method: Method, table: Any) -> np.ndarray:
        try:
            with self.warnings():
                return np.asarray(getattr(self.model, method)(table))
        except Warning:  # where the user's filters make errors of them
            raise
        except Exception as error:
            said = " ".join(str(error).split())[:300]
            raise ModelContractError(
                f"{method} of {type(self.model).__name__} raised {type(error).__name__} on {len(table)} rows: {said}"
            ) from error

    def _scores(self, table: Any, count: int) -> np.ndarray:
        width = len(self._known)
        answer = self._asked(self.reads, table)
        if self.reads == "decision_function" and answer.size == count:  # of the second of two classes
            return np.stack([np.zeros(count), answer.reshape(count)], 1)
        if answer.shape == (count, width):
            return np.log(np.maximum(answer, _TINY)) if self.reads == "predict_proba" else answer.astype(np.float64)
        raise ModelContractError(
            f"{self.reads} of {type(self.model).__name__} must return one column a class, {width}, for {count} rows, "
            f"got shape {answer.shape}."
        )


class Once:
    """Lets each warning, which a library may give on each of a thousand calls, through the first time it is given
    within any of its blocks.

    counts : how often each text was given so far.

    The filters of the process are changed inside of a block, as `warnings.catch_warnings` does: not for two threads.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with warnings.catch_warnings(record=True) as given:
            warnings.simplefilter("always")
            yield
        for warning in given:
            text = f"{warning.category.__name__}: {warning.message}"
            self.counts[text] += 1
            if self.counts[text] == 1:
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def classes_of(model: Any) -> list[Label]:
    """Labels that a fitted classifier knows. Raises ModelContractError where it is none of two or more."""
    from sklearn.base import BaseEstimator, is_regressor

    kind, classes = type(model).__name__, getattr(model, "classes_", None)
    if classes is None or not len(classes):
        if isinstance(model, BaseEstimator) and is_regressor(model):
            raise ModelContractError(f"{kind} predicts numbers; only classifiers can be audited, give one.")
        raise ModelContractError(
            f"{kind} must be a fitted classifier with the attribute classes_; call fit in the factory or before saving."
        )
    if isinstance(classes, list) and isinstance(classes[0], np.ndarray):
        raise ModelContractError(
            f"{kind} predicts {len(classes)} labels a row; audit one at a time, such as model.estimators_[0]."
        )
    if len(classes) < 2:
        raise ModelContractError(f"{kind} has seen only the class {plain(classes[0])!r}; fit it on two or more.")
    return [plain(label) for label in classes]
