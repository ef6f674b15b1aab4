"""Defensive distillation (Papernot et al. 2016): a student learns the softened answers of a teacher."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from trustworthy.core import checks
from trustworthy.core.predictive import predict
from trustworthy.defenses.defense import Defense
from trustworthy.training import Batch, Loss, Moment
from trustworthy.training.losses import labelled
from trustworthy.uncertainty.method import Lesson, Trained


@dataclass(frozen=True, kw_only=True)
class Tempered:
    """Mean cross entropy of softmax(z / temperature), z being the logits, against the labels or a teacher's.

    The mean is over the batch and the sum over the classes; the gradient is not multiplied by the temperature.

    Parameters
    ----------
    temperature : > 0.
    teacher : whose softmax at the same temperature takes the place of the labels: asked in evaluation mode, on the
        inputs as the student sees them; it is not trained. None for the labels.
    """

    temperature: float
    teacher: nn.Module | None = None

    def __call__(self, model: nn.Module, batch: Batch, moment: Moment) -> Float[Tensor, ""]:
        x, y = labelled(batch)
        if self.teacher is not None:
            asked = predict(self.teacher, x, batch_size=len(x), generator=moment.generator)
            y = (asked.members[0] / self.temperature).softmax(1)
        return F.cross_entropy(model(x) / self.temperature, y)


@dataclass(frozen=True, kw_only=True)
class DefensiveDistillation(Defense):
    """A teacher is trained at `temperature`, then a student of the same architecture on its answers at the same one.

    Both start from the weights of the given model, and each trains for `epochs`. The student is used at temperature 1,
    where its logits are as many times larger as the temperature says and its gradients often vanish: what that is
    worth has to be measured with attacks that do not need the gradient of the softmax.

    Parameters
    ----------
    temperature : T > 0 of the softmax of teacher and student; Table 2.1 has 40.

    Cost: the training of two models, and a forward pass of the teacher in each step of the student.
    """

    temperature: float = 40.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.real("temperature", self.temperature, above=0.0)

    @property
    def objective(self) -> Loss:
        return Tempered(temperature=self.temperature)

    @property
    def passes(self) -> int:
        return 2 * self.epochs

    def train(self, model: nn.Module, lesson: Lesson) -> Trained:
        teacher = copy.deepcopy(model)
        learned = self.fitted(teacher, lesson.part("teacher"), self.objective)
        taught = Tempered(temperature=self.temperature, teacher=teacher)
        return self.told(model, learned, self.fitted(model, lesson.part("student"), taught))
