"""What methods that end in an ensemble share."""

from __future__ import annotations

import copy
from abc import ABC
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trustworthy.core import checks
from trustworthy.core.predictive import Predictive, predict
from trustworthy.core.seeds import torch_generator
from trustworthy.nn.ensemble import Ensemble
from trustworthy.training import Data, History, Likelihood
from trustworthy.training.data import as_dataset, batches
from trustworthy.uncertainty.method import CLASSES, Lesson, Method, Trained

NUMBERS = 2**24  # of inputs that are looked at together
MEMBERS = "members: "  # what the note begins with that says what each of them is like


@dataclass(frozen=True, kw_only=True)
class Ensembling(Method, ABC):
    """A method whose outcome is an `Ensemble` of networks of the architecture that it was given.

    Parameters
    ----------
    members : networks in the end, >= 1.
    loss : `Categorical()` for classes, `Gaussian(...)` or `Laplace(...)` for numbers.
    """

    members: int = 6
    loss: Likelihood = CLASSES

    transform = ("ensemble", "members")

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.integer("members", self.members, at_least=1)

    def changed(self, model: nn.Module) -> nn.Module:
        """A copy of `model`: the members are trained one by one."""
        return copy.deepcopy(model)

    def gathered(
        self,
        networks: Sequence[nn.Module],
        histories: Iterable[History],
        lesson: Lesson,
        *,
        told: Sequence[str] = (),
        notes: tuple[str, ...] = (),
    ) -> Trained:
        """The outcome of the runs of all members.

        told : of each member, beside its score on the validation rows, for the last note.
        """
        notes = (*notes, *members_told(self, networks, lesson, told))
        return self.told(Ensemble(networks).eval(), *histories, notes=notes)


def members_told(
    method: Method, networks: Sequence[nn.Module], lesson: Lesson, told: Sequence[str] = ()
) -> tuple[str, ...]:
    """A note on what each member is like: `told`, and its score on the validation rows; none without either."""
    parts = [*([told] if told else []), *([_scores(method, networks, lesson.validation)] if lesson.validation else [])]
    if not parts:
        return ()
    words = (f"{number} {', '.join(each)}" for number, each in enumerate(zip(*parts, strict=True), 1))
    return (f"{MEMBERS}{'; '.join(words)}.",)


def _scores(method: Method, networks: Sequence[nn.Module], held_out: Data) -> list[str]:
    (x, y), likelihood = some_rows(held_out, networks[0]), method.likelihood
    scores = [likelihood.score(asked(network, x), y) for network in networks]
    return [f"{likelihood.score_name.replace('_', ' ')} {score:.4g}" for score in scores]


def some_rows(data: Data, model: nn.Module, most: int | None = None) -> tuple[Tensor, Tensor]:
    """Rows (x, y) evenly from all of `data`, which may be sorted; on the device of `model`.

    most : rows; fewer of images so large that they have more than `NUMBERS` numbers together. None for all rows.
    """
    device = next(model.parameters()).device
    dataset = as_dataset("data", data, model)
    count: int = len(dataset)  # type: ignore[arg-type]
    if most is not None:
        one = next(iter(batches(dataset, [torch.arange(1)])))[0]
        most = max(1, min(most, NUMBERS // one.numel()))
    rows = torch.arange(0, count, -(-count // (most or count)))
    x, y = next(iter(batches(dataset, [rows])))[:2]
    return x.to(device), y.to(device)


def asked(network: nn.Module, x: Tensor) -> Predictive:
    """One answer to each row, the same whenever it is asked."""
    return predict(network, x, generator=torch_generator(0, "judged", device=x.device))
