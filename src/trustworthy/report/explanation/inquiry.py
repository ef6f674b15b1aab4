"""What is explained: some rows of a data set and a model, as methods and criteria meet them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from trustworthy.core import checks
from trustworthy.core.digest import digest
from trustworthy.core.errors import InvalidInput, UnknownName
from trustworthy.datasets import Dataset
from trustworthy.datasets.draw import stratified_rows, turns
from trustworthy.explain import Groups, Robustness
from trustworthy.models import LoadedModel
from trustworthy.report.audit import at_once
from trustworthy.report.columns import with_categories
from trustworthy.report.explanation.questions import baseline_of, features_of, names_of, robustness_of, words_of
from trustworthy.report.rows import Examples, draw_examples, inputs_of, read_data
from trustworthy.report.subject import Subject, examine
from trustworthy.report.texts import embedded, written

LOOKED = 300
"""Rows by which it is found out what a model gives, and among which rows to explain are chosen."""
SHOWN = 6
"""Rows that are explained where none are named."""
BACKGROUND = 1000
"""Training rows that rules and expectations are made of, at most."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Inquiry:
    """Some rows, a model, and what of them may change.

    examples : the rows that are explained, in the units of the data. subject : the model, asked about `looked` too.
    looked : rows among which they were chosen. places : of the explained rows among these.
    y : predictions (n,), which are explained. target : class (n,) that they are explained against; None for all others.
    groups : features of the attacked inputs; `feature` is what one is called, `names` those of columns.
    written : the texts of the rows, if they are texts. words : of each text its words, by the numbers of its features.
    steps : of the search for one smallest perturbation.
    """

    subject: Subject
    looked: Examples
    places: Int[np.ndarray, " n"]
    y: Int[Tensor, " n"]
    target: Int[Tensor, " n"] | None
    groups: Groups
    feature: str
    names: tuple[str, ...]
    words: list[list[str]]
    dataset: Dataset
    norm: str
    steps: int
    device: torch.device

    @cached_property
    def examples(self) -> Examples:
        return self.looked.take(self.places)

    @cached_property
    def model(self) -> Any:
        """The model as it answers attacked inputs."""
        return self.looked.domain.asked(self.subject.model)

    @cached_property
    def x(self) -> Float[Tensor, "n *shape"]:
        """The rows in the units in which they are attacked."""
        return self.looked.domain.attacked(self.examples.x.to(self.device))

    @cached_property
    def movable(self) -> Bool[Tensor, " features"] | None:
        """Columns that a change may touch; None for all."""
        return self.looked.domain.changeable

    @cached_property
    def robustness(self) -> Robustness:
        """How the smallest change of some features that changes a prediction is searched."""
        return robustness_of(self.subject, self.looked.domain, self.norm, self.steps, self._others)

    @cached_property
    def baseline(self) -> float | Float[Tensor, "*shape"]:
        """What a missing feature looks like."""
        return baseline_of(self.looked.domain, self.background)

    @cached_property
    def _others(self) -> Float[Tensor, "m *shape"]:
        return self.looked.domain.attacked(self.looked.x.to(self.device))

    @cached_property
    def background(self) -> Float[Tensor, "m *shape"]:
        """Training rows, or where there are none the rows that were looked at, without those that have gaps."""
        rows = self.looked.x
        if self.looked.domain.kind != "text" and len(self.dataset.x_train):
            chosen = stratified_rows(self.dataset.y_train, BACKGROUND, 0)
            rows = torch.from_numpy(np.ascontiguousarray(self.dataset.x_train[chosen])).to(rows)
        whole = ~rows.isnan().flatten(1).any(1)
        rows = rows[whole] if bool(whole.any()) else rows
        return self.looked.domain.attacked(rows.to(self.device))

    @cached_property
    def fingerprint(self) -> str:
        """Of everything that explanations and judgements depend on beside the method, the criteria and the seed."""
        domain, count = self.looked.domain, self.groups.count
        numbers = self.groups.spread(torch.arange(count).to(self.x).expand(len(self.x), -1))
        movable, target = (None if each is None else each.cpu() for each in (self.movable, self.target))
        return digest(
            self.subject.fingerprint, self.looked.fingerprint, self.x.cpu(), self.y.cpu(), target, numbers.cpu(),
            movable, self.norm, self.steps, self.subject.draws, domain.kind, str(self.device), count,
        )  # fmt: skip

    def class_name(self, label: int) -> str:
        return self.looked.class_name(label)


def inquire(
    model: Any,
    data: Any,
    *,
    rows: Sequence[int] | None,
    target: str | int | None,
    groups: Any,
    norm: str,
    steps: int,
    draws: int,
    seed: int,
    device: torch.device,
    **given: Any,
) -> Inquiry:
    """Read the rows, ask the model about them, and find out what is to be explained; see `run`."""
    name = model.name if isinstance(model, LoadedModel) else "model"
    bare = {name: model.model if isinstance(model, LoadedModel) else model}
    dataset = inputs_of(read_data(data, 0 if rows is not None else LOOKED, seed, **given), bare)
    dataset, columns = with_categories(dataset, {}, bare.values())
    everything = draw_examples(dataset, 0, seed, columns)
    asked = None if rows is None else _places(rows, everything)
    chosen = stratified_rows(everything.y.numpy(), LOOKED, seed)
    chosen = chosen if asked is None else np.concatenate([asked, np.setdiff1d(chosen, asked)])
    as_read = everything.take(chosen)
    looked = embedded(as_read, bare)
    subject = examine(name, model, looked, batch=at_once(256, looked), seed=seed, device=device, draws=draws)
    if norm != "l2" and not subject.gives_gradients:
        raise InvalidInput(
            f"norm must be 'l2' for {name}, which has no gradients, since changes are searched by decisions alone in "
            f"l2, got {norm!r}."
        )
    wanted = None if target is None else _class(target, looked, subject.logits.shape[1])
    read_as = subject.logits.argmax(1)
    places = _right(looked, read_as, wanted) if asked is None else np.arange(len(asked))
    _check_target(looked, places, read_as, wanted)
    shown = looked.take(places)
    reader = bare[name] if looked.domain.kind == "text" else None
    texts = [] if reader is None else [written(name, as_read)[place] for place in places]
    features, feature, names, words = _features(groups, shown, reader, texts, device)
    y = torch.from_numpy(read_as[places]).to(device)
    return Inquiry(
        subject=subject, looked=looked, places=places, y=y, groups=features, feature=feature, names=names, words=words,
        target=None if wanted is None else torch.full_like(y, wanted), dataset=dataset, norm=norm, steps=steps,
        device=device,
    )  # fmt: skip


def _places(rows: Sequence[int], examples: Examples) -> Int[np.ndarray, " n"]:
    """Where the rows of these numbers are."""
    if not len(rows):
        raise InvalidInput("rows must name at least one row, got none; leave it out for a few of each class.")
    at = {int(row): place for place, row in enumerate(examples.rows)}
    for row in rows:
        checks.integer("rows", row, at_least=0)
        if row not in at:
            raise InvalidInput(
                f"rows must be numbers of the {len(at):,} test rows of {examples.name}, 0 to {max(at)}, got {row}; "
                "leave it out."
            )
    return np.array([at[row] for row in dict.fromkeys(rows)])


def _class(target: str | int, examples: Examples, classes: int) -> int:
    """Index of a class by its name or number."""
    names = [examples.class_name(label) for label in range(classes)]
    if str(target) in names:
        return names.index(str(target))
    if str(target).isdecimal() and int(target) < classes:
        return int(target)
    raise UnknownName.of("target", str(target), names)


def _right(examples: Examples, read_as: Int[np.ndarray, " n"], target: int | None) -> Int[np.ndarray, " few"]:
    """A few rows over the classes that are read rightly, and not as the target; of a model that is never right, any."""
    fitting = read_as != target if target is not None else np.ones(len(read_as), dtype=bool)
    right = fitting & (read_as == examples.y.numpy())
    among = np.flatnonzero(right if right.any() else fitting)
    if not len(among):
        raise InvalidInput(
            f"target must be another class than the prediction, but all rows are read as "
            f"{examples.class_name(target or 0)}; name another class, or leave it out."
        )
    return np.sort(among[np.argsort(turns(examples.y.numpy()[among])[0], kind="stable")[:SHOWN]])


def _check_target(
    examples: Examples, places: Int[np.ndarray, " few"], read_as: Int[np.ndarray, " looked"], target: int | None
) -> None:
    same = [int(examples.rows[place]) for place in places if read_as[place] == target]
    if same:
        raise InvalidInput(
            f"target must be another class than the prediction, which is what is explained, but row {same[0]} is read "
            f"as {examples.class_name(target or 0)}; leave out that row, or name another class."
        )


def _features(
    groups: Any, examples: Examples, reader: Any, texts: Sequence[str], device: torch.device
) -> tuple[Groups, str, tuple[str, ...], list[list[str]]]:
    """The features of the rows, what one is called, names of columns, and words of texts."""
    domain = examples.domain
    x = domain.attacked(examples.x.to(device))
    by_words = domain.kind == "text" and groups in (None, "word")
    chosen = words_of(reader.word_groups(texts), x) if by_words else groups
    found, feature = features_of(chosen, domain, x)
    columns = [examples.feature_name(column) for column in range(x.shape[1])] if domain.kind == "table" else []
    words = reader.words_of(texts) if domain.kind == "text" else []
    return found, feature, names_of(found, columns, feature) if columns else (), words
