"""What a method is trained on once, and the tests that it is judged by: pairs of images, or rows of classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from trustworthy.core.digest import digest
from trustworthy.core.errors import InvalidInput
from trustworthy.datasets.columns import listed
from trustworthy.datasets.pairs import ImagePairs
from trustworthy.models.posterior_folder import Recipe
from trustworthy.nn.translator import Translator
from trustworthy.training.likelihoods import Categorical, Laplace, Likelihood

Tell = Callable[[float], None]


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageTrial:
    """Image-to-image translation.

    train, calibration : pairs that the networks and the conformal maps are fitted on; None fits no maps.
    tests : pairs by name; those with masks ask for foreign pixels too.
    shown : names of the tests of which the page has pictures.
    width, depth : of the U-Net.
    """

    name: str
    title: str
    says: str
    train: ImagePairs
    calibration: ImagePairs | None = None
    tests: Mapping[str, ImagePairs]
    shown: Sequence[str] = ()
    width: int
    depth: int | None

    loss: Likelihood = field(default=Laplace(average=True), init=False)

    def __post_init__(self) -> None:
        for test, pairs in self.tests.items():
            flat = pairs.target.min(axis=(1, 2, 3)) == pairs.target.max(axis=(1, 2, 3))
            if flat.any():
                told = listed([name for name, same in zip(pairs.names, flat, strict=True) if same], 5)
                raise InvalidInput(
                    f"target must vary in every image of the test {test!r}, got one value everywhere in {told}: no "
                    "correlation is defined there; remove these pairs."
                )
            if pairs.masks is not None and pairs.masks.all():
                raise InvalidInput(
                    f"masks must leave out some pixels of the test {test!r}, got all pixels of all images foreign: "
                    "there is nothing to tell them from; mark only what is foreign, or add images that are not."
                )

    @cached_property
    def translator(self) -> Translator:
        """Own units to those of the network and back, by the statistics of the training images."""
        return Translator.of(nn.Identity(), self.train.source, self.train.target)

    @property
    def data(self) -> tuple[Tensor, Tensor]:
        """Pairs as the network is trained on them, normalised."""
        return self.translator.normalised(self.train.source, self.train.target)

    @property
    def preprocessing(self) -> str:
        """How the numbers of the files become those of the network."""
        told = []
        for role, of in (("source", self.translator.source), ("target", self.translator.target)):
            mean, std = (", ".join(f"{number:.4g}" for number in numbers.tolist()) for numbers in (of.mean, of.std))
            told.append(f"{role} (mean {mean}, deviation {std})")
        return f"channels normalised by the training images: {', '.join(told)}"

    @property
    def about(self) -> dict[str, str]:
        """What each test is of."""
        told = {}
        for name, pairs in self.tests.items():
            foreign = "" if pairs.masks is None else f", {pairs.masks.mean():.1%} of the pixels foreign"
            told[name] = f"{len(pairs)} fields of {pairs.source.shape[2]} × {pairs.source.shape[3]} pixels{foreign}"
        return told

    def model(self, network: nn.Module) -> nn.Module:
        """A trained network, or several, in own units."""
        return self.translator.around(network)

    @property
    def transforms(self) -> tuple[tuple[str, dict[str, Any]], ...]:
        """What `model` does, as `nn.TRANSFORMS` names it."""
        channels = {"source_channels": self.train.source.shape[1], "target_channels": self.train.target.shape[1]}
        return (("translate", channels),)

    def recipe(self, dropout: float) -> Recipe:
        """The network, with dropout at the rate of `dropout` where it has any."""
        channels = {"in_channels": self.train.source.shape[1], "out_channels": self.train.target.shape[1]}
        sizes = {"width": self.width, "depth": self.depth, "dropout": dropout}
        return Recipe("trustworthy.nn.unet:UNet", {**channels, **sizes})

    @cached_property
    def fingerprint(self) -> str:
        """Of everything that training, tests and pictures depend on."""
        parts = [self.train, self.calibration, *self.tests.values()]
        arrays = [None if pairs is None else (pairs.source, pairs.target, pairs.masks) for pairs in parts]
        return digest(self.name, list(self.tests), list(self.shown), arrays, self.recipe(0.0).options)


@dataclass(frozen=True, eq=False, kw_only=True)
class Rows:
    """Images in [0, 1], float32 (n, channels, side, side), and their classes; None where they are of no known one."""

    x: Float[np.ndarray, "n channels height width"]
    y: Int[np.ndarray, " n"] | None = None

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, eq=False, kw_only=True)
class RowTrial:
    """Classification of images, with the same face: `train` has classes and so has the test "clean", others may have.

    average : what is averaged over the members, "probabilities" or "logits". width : of the network.
    """

    name: str
    title: str
    says: str
    train: Rows
    tests: Mapping[str, Rows]
    classes: int
    width: int
    average: str = "probabilities"

    loss: Likelihood = field(default=Categorical(), init=False)
    shown: ClassVar[Sequence[str]] = ()
    preprocessing: ClassVar[str] = "pixels in [0, 1]"
    transforms: ClassVar[tuple[tuple[str, dict[str, Any]], ...]] = ()

    @property
    def data(self) -> tuple[Tensor, Tensor]:
        assert self.train.y is not None
        return torch.from_numpy(self.train.x), torch.from_numpy(self.train.y)

    @property
    def about(self) -> dict[str, str]:
        return {name: f"{len(rows):,} rows" for name, rows in self.tests.items()}

    def model(self, network: nn.Module) -> nn.Module:
        return network

    def recipe(self, dropout: float) -> Recipe:
        """A narrow VGG16 from 32 pixels on, and a small convolutional network below; without dropout."""
        channels, side = self.train.x.shape[1], self.train.x.shape[2]
        shape: dict[str, Any] = {"channels": channels, "classes": self.classes, "image_size": side}
        if side >= 32:
            return Recipe("trustworthy.nn.backbones:vgg16", {**shape, "width": self.width / 64})
        return Recipe("trustworthy.nn.backbones:SmallConvNet", {**shape, "width": self.width})

    @cached_property
    def fingerprint(self) -> str:
        parts = [(rows.x, rows.y) for rows in (self.train, *self.tests.values())]
        return digest(self.name, list(self.tests), parts, self.recipe(0.0).options, self.average)


Trial = ImageTrial | RowTrial


def struck(pairs: ImagePairs) -> Bool[np.ndarray, " n"]:
    """Which of the images have something foreign in them."""
    return np.array([pairs.masks is not None and bool(pairs.masks[row].any()) for row in range(len(pairs))])
