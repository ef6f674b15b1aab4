"""The frame that every attack shares: check, guard, search, and judge again what is returned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, final

import numpy as np
import torch
from torch import Tensor

from trustworthy.attacks.goal import AbstractGoal, Goal
from trustworthy.attacks.incumbent import where
from trustworthy.attacks.judgement import FreshDraws
from trustworthy.attacks.losses import LOSSES
from trustworthy.attacks.problem import Problem, single
from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.core.free import as_free
from trustworthy.core.grid import Grid, rounding
from trustworthy.core.guard import undisturbed
from trustworthy.core.inputs import as_batch, as_classifier, as_labels
from trustworthy.core.norms import AbstractSize, Norm, Radius, as_size, per_example
from trustworthy.core.protocols import AnyClassifier, as_posterior
from trustworthy.core.result import Array, AttackResult
from trustworthy.core.threat import Bounds, ThreatModel, as_bounds, settled


@dataclass(frozen=True, kw_only=True)
class Attack(ABC):
    """An attack is a value: its fields are its hyper-parameters, calling it runs it.

    Parameters
    ----------
    norm : "l1", "l2", "linf" or a norm object: how the size of a perturbation is measured; "l0" counts what changed.
    bounds : (lowest, highest) value of an input coordinate, or None.
    eot : draws averaged per question to a stochastic model (expectation over transformation); 1 for a fixed model. An
        ensemble is always asked for all of its members.
    loss : what is maximised: "ce" (cross entropy), "margin" or "dlr". An attack that can maximise one thing only, or
        none, takes no loss.
    """

    norm: Norm = "linf"
    bounds: Bounds | None = (0.0, 1.0)
    eot: int = 1
    loss: str = "ce"

    norms: ClassVar[tuple[str, ...]] = ()
    """Names of the norms in which the attack searches; none where it does in all."""
    minimises_distance: ClassVar[bool] = False
    asks: ClassVar[Literal["gradients", "scores", "labels"]] = "gradients"
    """What the attack needs of a model: its gradients, its scores without them, or its decisions alone."""

    def __post_init__(self) -> None:
        if self.norms and self.geometry.name not in self.norms:
            known = " or ".join(map(repr, self.norms))
            raise InvalidInput(f"norm must be {known} for {type(self).__name__}, got {self.norm!r}.")
        as_size(self.norm)
        object.__setattr__(self, "bounds", as_bounds(self.bounds))
        checks.integer("eot", self.eot, at_least=1)
        checks.choice("loss", self.loss, LOSSES)

    @property
    def geometry(self) -> AbstractSize:
        """The norm as an object."""
        return as_size(self.norm)

    @abstractmethod
    def search(self, problem: Problem, generator: torch.Generator | None) -> Tensor:
        """Return the adversarial examples (batch, *shape); where a minimal-distance search fails, any point."""

    @final
    def __call__(
        self,
        model: AnyClassifier,
        x: Array,
        y: Array,
        *,
        target: Array | None = None,
        free: Array | None = None,
        grid: Grid | None = None,
        generator: torch.Generator | None = None,
        judge: FreshDraws | None = None,
    ) -> AttackResult:
        """Attack `model` on the batch `x`.

        Parameters
        ----------
        model : a callable from a batch to logits. A module is attacked in eval mode and left as it was. With NumPy
            inputs it may be a callable on NumPy arrays (scikit-learn's `predict`, `predict_proba`, ...).
        x : inputs (batch, *shape), floating, finite and inside `bounds`. In half precision the search is in float32,
            and the model is asked about points that are rounded towards the inputs.
        y : true classes (batch,), integers.
        target : classes to provoke (batch,); None to leave the true class.
        free : which coordinates of each example may change, boolean (batch, *shape), at least one in each; None for
            all. The attack is then one on the free coordinates alone: a ball is theirs, and the others do not move.
        grid : range and step of each coordinate; None where all real values in `bounds` are possible.
        generator : source of all randomness, the model's included; None uses torch's global stream.
        judge : of a stochastic model, says by its mean prediction over fresh draws what succeeded and what is open;
            None asks `eot` draws once more. With one, as with eot > 1, no search takes a single answer for a proof.

        Raises
        ------
        InvalidInput, ModelContractError
            Where an argument or the model's output breaks its contract.
        """
        given: Any = {"target": target, "free": free, "grid": grid, "generator": generator, "judge": judge}
        with self.pose(model, x, y, **given) as problem:
            adversarial = self._found(problem)
            success, unsure = problem.judged(adversarial)
            if self.minimises_distance:
                adversarial = where(success, adversarial, problem.asked(problem.x))
            distance = self.geometry.size(adversarial - problem.x)
            if self.minimises_distance:
                distance = distance.masked_fill(~success, torch.inf)
            found = (adversarial, success, unsure, distance, problem.queries)
        return AttackResult(*(field.cpu().numpy() for field in found) if isinstance(x, np.ndarray) else found)

    @final
    def perturb(self, model: AnyClassifier, x: Array, y: Array, **options: Any) -> Array:
        """The adversarial examples alone, as `__call__` finds them, without the forward pass that judges them again.

        For training on them, where nobody asks which succeeded. The options are those of `__call__`.
        """
        with self.pose(model, x, y, **options) as problem:
            adversarial = self._found(problem)
        return adversarial.cpu().numpy() if isinstance(x, np.ndarray) else adversarial

    @final
    def seek(
        self,
        model: AnyClassifier,
        x: Tensor,
        goal: AbstractGoal,
        *,
        noisy: bool = False,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The points where the search finds most of what `goal` asks for, whatever the model's answers are.

        As `perturb`, for a goal that is not about classes, or about other classes than true ones; `loss` is not used.
        With `noisy`, as with eot > 1, the search takes no single answer of the model for a proof.
        """
        with torch.inference_mode(False):
            inputs = as_batch(x, self.bounds)
            problem = Problem(as_posterior(model), inputs, goal, eot=self.eot, generator=generator, noisy=noisy)
            with undisturbed(model, inputs, generator):
                return self._found(problem)

    @property
    def radius(self) -> Radius | None:
        """Largest size of a perturbation; None where the attack minimises it."""
        return None

    def _found(self, problem: Problem) -> Tensor:
        """What the search finds, in the type of the inputs and, however it is rounded, in the ball and the bounds."""
        found = self.search(problem, problem.generator).detach()
        return settled(problem.asked(found), problem.asked(problem.x), self.geometry, self.radius, self.bounds)

    @final
    @contextmanager
    def pose(
        self,
        model: AnyClassifier,
        x: Array,
        y: Array,
        *,
        target: Array | None = None,
        free: Array | None = None,
        grid: Grid | None = None,
        generator: torch.Generator | None = None,
        judge: FreshDraws | None = None,
    ) -> Iterator[Problem]:
        """Check the arguments of `__call__` and pose its problem, leaving model and random streams undisturbed."""
        with torch.inference_mode(False):  # tensors made in here must be able to carry gradients
            inputs = as_batch(x, self.bounds)
            labels = as_labels("y", y, inputs)
            wanted = None if target is None else as_labels("target", target, inputs)
            classes = 1 + max(int(known.max()) for known in (labels, wanted) if known is not None)
            posterior = as_classifier(model, isinstance(x, np.ndarray), classes)
            goal = Goal(labels, wanted, LOSSES[self.loss])
            mask = None if free is None else as_free(free, inputs)
            allowed = None if grid is None else grid.fitted(single(inputs))
            given: Any = {"free": mask, "grid": allowed, "generator": generator, "judge": judge}
            problem = Problem(posterior, inputs, goal, eot=self.eot, **given)
            with undisturbed(model, inputs, generator):
                yield problem


@dataclass(frozen=True, kw_only=True)
class NearestAttack(Attack, ABC):
    """An attack that minimises the distance, and is after the margin or the label alone."""

    norm: Norm = "l2"
    loss: str = field(default="margin", init=False, repr=False)

    minimises_distance: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class BudgetAttack(Attack, ABC):
    """An attack that may move each input by at most `eps`.

    Parameters
    ----------
    eps : radius of the ball, in the units of the input (images: [0, 1]); a tensor (batch,) gives one per example.
    """

    eps: Radius

    def __post_init__(self) -> None:
        super().__post_init__()
        ThreatModel(self.norm, self.eps, self.bounds)

    @property
    def radius(self) -> Radius:
        """`eps`."""
        return self.eps

    def threat(self, problem: Problem) -> ThreatModel:
        """The ball, the box and the mask that the search around the problem's inputs stays in.

        What moves by steps longer than the radius is not free, where anything else is.
        """
        eps, x, free, grid = self.eps, problem.x, problem.free, problem.grid
        if isinstance(eps, Tensor):
            if len(eps) != len(x):
                raise InvalidInput(f"eps must be one radius or have one per example, got {len(eps)} for {len(x)}.")
            eps = eps.to(x)
        if grid is None:
            return ThreatModel(self.norm, eps, self.bounds, free)
        reached = (grid.step <= per_example(eps, x) * (1 + rounding(x))).expand(x.shape)
        reached = reached if free is None else free & reached
        some = reached.flatten(1).any(1)
        low, high = grid.box(x)
        box = (low, high) if self.bounds is None else (low.clamp_min(self.bounds[0]), high.clamp_max(self.bounds[1]))
        return ThreatModel(
            self.norm, eps, box, where(some, reached, torch.ones_like(reached) if free is None else free)
        )
