"""Image classifiers whose hidden layers are a jump-diffusion (section 2.3)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput
from trustworthy.integrate import (
    RK4,
    DormandPrince,
    Euler,
    FixedStep,
    Grid,
    Heun,
    Milstein,
    Paths,
    Solver,
    Terms,
    drawn_paths,
    integrate,
)
from trustworthy.nn.backbones.arguments import image_arguments
from trustworthy.nn.jump_sde.drift import Drift, group_norm
from trustworthy.nn.jump_sde.noises import NOISES, Noise

SOLVERS: dict[str, type[Solver]] = {
    "euler": Euler, "heun": Heun, "milstein": Milstein, "rk4": RK4, "dormand-prince": DormandPrince,
}  # fmt: skip


class JumpSDE(nn.Module):
    """A few convolutions, the jump-diffusion of eq. (2.30) over [0, T], and a linear layer on the mean over the image.

    It draws fresh noise from torch's global stream at every call, in training and in eval mode, and so is a stochastic
    model as `predict`, attacks and audits know them.

    Parameters
    ----------
    entry : module from images to the first hidden state (batch, channels, height, width).
    channels : of the hidden state.
    classes : number of logits, >= 2.
    noise : kind of noise, see `NOISES`.
    steps : steps of the solver, >= 1; not used by Dormand-Prince.
    T : the depth, > 0.
    solver : of `trustworthy.integrate`.
    test_time_noise : False replaces the noise in eval mode by its mean (columns "w/o TTN" of Table 2.5); an attribute,
        so that a trained network can be asked both ways.
    """

    draws_together = True  # see core.protocols.Repeated.together

    def __init__(
        self,
        *,
        entry: nn.Module,
        channels: int,
        classes: int,
        noise: Noise,
        steps: int = 10,
        T: float = 1.0,
        solver: Solver | None = None,
        test_time_noise: bool = True,
    ) -> None:
        super().__init__()
        self.noise, self.solver, self.test_time_noise = noise, Euler() if solver is None else solver, test_time_noise
        self.steps, self.T = checks.integer("steps", steps, at_least=1), checks.real("T", T, above=0.0)
        self.entry, self.drift, self.learned = entry, Drift(channels), noise.learned(channels)
        self.head = nn.Sequential(
            group_norm(channels), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)
        )
        self.solver.check(noise.terms(self.drift, self.learned))

    @property
    def terms(self) -> Terms:
        """Of the equation as it is now: without noise in eval mode where `test_time_noise` is off."""
        if self.training or self.test_time_noise:
            return self.noise.terms(self.drift, self.learned)
        return self.noise.mean(self.drift)

    def forward(
        self, x: Float[Tensor, "batch channels height width"], paths: Paths | None = None
    ) -> Float[Tensor, "batch classes"]:
        """Logits of a run on the given paths, or with fresh noise."""
        return self.head(self._states(self.entry(x), None, paths)[-1])

    def paths(self, x: Float[Tensor, "batch channels height width"], generator: torch.Generator | None = None) -> Paths:
        """Paths for images of the shape of `x`, on which a clean and a perturbed input are asked."""
        with torch.no_grad():
            h = self.entry(x)
        return drawn_paths(self.terms, h, steps=self.steps, interval=(0.0, self.T), generator=generator)

    def hidden_states(
        self, x: Float[Tensor, "batch channels height width"], paths: Paths | None = None
    ) -> Float[Tensor, "times batch hidden height2 width2"]:
        """h_t at all steps + 1 times, from t = 0 to T; on the given paths, or with fresh noise.

        Two inputs on the same paths give eps_t = h_t^e - h_t of eq. (2.40), as in Figure 2.17.
        """
        return self._states(self.entry(x), Grid.of((0.0, self.T), self.steps).times, paths)

    def _states(self, h: Tensor, at: Sequence[float] | None, paths: Paths | None) -> Tensor:
        options: dict[str, Any] = {} if paths is None else paths._asdict()
        if isinstance(self.solver, FixedStep):
            options["steps"] = self.steps
        return integrate(self.terms, h, interval=(0.0, self.T), solver=self.solver, at=at, **options).states

    def extra_repr(self) -> str:
        return (
            f"noise={self.noise}, steps={self.steps}, T={self.T:g}, solver={self.solver}, "
            f"test_time_noise={self.test_time_noise}"
        )


def jump_sde(
    *,
    channels: int = 3,
    classes: int = 10,
    image_size: int = 32,
    width: float = 1.0,
    big: bool = False,
    noise: str = "gaussian-dropout",
    noise_options: dict[str, Any] | None = None,
    steps: int = 10,
    T: float = 1.0,
    solver: str = "euler",
    test_time_noise: bool = True,
) -> JumpSDE:
    """The networks of the experiments, from arguments that JSON can hold.

    Parameters
    ----------
    channels, classes : of the images, >= 1; number of logits, >= 2.
    image_size : side of the square images, >= 8 pixels (16 for `big`).
    width : > 0, factor on the channels (64, or 64, 128 and 256 for `big`), rounded, at least one.
    big : False for the network of CIFAR-10, with one 3x3 convolution before the equation; True for that of images of
        64 and 96 pixels, where two more halve the side.
    noise, noise_options : name of a kind of `NOISES`, and its parameters, such as {"sigma": 0.1} or {"p": 0.1}.
    steps, T, test_time_noise : see `JumpSDE`.
    solver : "euler", "heun", "milstein", "rk4" or "dormand-prince".
    """
    image_arguments("jump_sde", channels, classes, image_size, smallest=16 if big else 8)
    factor = checks.real("width", width, above=0.0)
    wide = [max(1, round(size * factor)) for size in ((64, 128, 256) if big else (64,))]
    layers: list[nn.Module] = [nn.Conv2d(channels, wide[0], kernel_size=3)]
    for narrow, wider in pairwise(wide):
        layers += [group_norm(narrow), nn.ReLU(), nn.Conv2d(narrow, wider, kernel_size=4, stride=2, padding=1)]
    return JumpSDE(
        entry=nn.Sequential(*layers),
        channels=wide[-1],
        classes=classes,
        noise=_made(noise, noise_options or {}),
        steps=steps,
        T=T,
        solver=checks.choice("solver", solver, SOLVERS)(),
        test_time_noise=test_time_noise,
    )


def _made(name: str, options: dict[str, Any]) -> Noise:
    kind = checks.choice("noise", name, NOISES)
    known = set(getattr(kind, "__dataclass_fields__", {}))
    if unknown := sorted(set(options) - known):
        expected = ", ".join(sorted(known)) or "no name"
        raise InvalidInput(
            f"noise_options of {name} must be of {expected}, got {unknown[0]!r}; correct it or leave it out."
        )
    return kind(**options)
