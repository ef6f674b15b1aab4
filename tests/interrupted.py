"""A training run that is cut short in the midst of a step."""

from torch import nn


class Interruption(Exception):
    pass


class BreaksOff(nn.Module):
    """Raises in the pass of training of which the class says how many are left; the weights of a model say nothing.

    left : counted by the class, so that it is no setting of a model; None never raises.
    """

    left: int | None = None

    def forward(self, x):
        if self.training and BreaksOff.left is not None:
            BreaksOff.left -= 1
            if BreaksOff.left < 0:
                raise Interruption
        return x
