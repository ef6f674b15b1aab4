"""Table 2.3 and Figure 2.6: how far an image of a ship is moved to be taken for something else."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from reproduce import intervals
from reproduce.ch2.attacked import MARGIN, is_random
from reproduce.ch2.models import BUDGETS, Spec, digest, kept, model
from reproduce.runner import NotRun, Setting
from reproduce.store import Measured
from trustworthy.attacks import CarliniWagner
from trustworthy.core.predictive import predict
from trustworthy.core.seeds import torch_generator

CLASSES = ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SHIP = CLASSES.index("ship")
Found = dict[str, tuple[Tensor, np.ndarray]]


def cells(options: dict[str, Any]) -> list[str]:
    """A cell a defence."""
    return list(options["methods"])


def measure(cell: str, setting: Setting) -> list[Measured]:
    """Mean l2 distance of the images that fresh draws take for the target, or of all targets with the picture."""
    options = setting.options
    spec = Spec(
        scale=options["budget"], data=options["data"], network=options["network"], method=cell, seed=setting.seed
    )
    budget = BUDGETS[spec.scale]
    ways = {"": 1, "-eot": budget["eot"]} if is_random(model(spec), spec.images.test_x) else {"": 1}
    rows = []
    for suffix, eot in ways.items():
        found = kept(_moved)(spec, spec.budget, eot, options["images"], budget["carlini"], digest(evaluation=True))
        if options.get("picture"):
            lengths = np.concatenate([length for _, length in found.values()])
            rows.append(intervals.mean(f"{cell}{suffix}.size", lengths, eot=eot, png=_png(found)))
        else:
            rows += [_row(f"{name}.{cell}{suffix}", length, eot) for name, (_, length) in found.items()]
    return rows


def _row(name: str, length: np.ndarray, eot: int) -> Measured:
    return intervals.mean(name, length, eot=eot, reached=round(float(np.isfinite(length).mean()), 3))


def _moved(spec: Spec, budget: dict[str, Any], eot: int, count: int, settings: dict[str, Any], code: str) -> Found:
    """Changes of the images and their lengths, inf where the mean of fresh draws does not see the target, by target."""
    net, images, generator = model(spec), spec.images, torch_generator(spec.seed, "targeted")
    draws = BUDGETS[spec.scale]["draws"]

    def seen(x: Tensor) -> Tensor:
        return predict(net, x, draws=draws, generator=generator).logits.argmax(1)

    ships = images.test_x[images.test_y == SHIP]
    x = ships[seen(ships) == SHIP][:count]
    if len(x) == 0:
        raise NotRun(f"{spec.method} takes no test image of a ship for one.")
    how: dict[str, Any] = {key: settings[key] for key in ("steps", "learning_rate")}
    attack = CarliniWagner(c=1.0, eot=eot, kappa=0.0 if eot == 1 else MARGIN, **how)
    y, found = torch.full((len(x),), SHIP), {}
    for target, name in enumerate(CLASSES):
        if target != SHIP:
            result = attack(net, x, y, target=torch.full((len(x),), target), generator=generator)
            reached = result.success & (seen(result.adversarial) == target)
            found[name] = result.adversarial - x, torch.where(reached, result.distance, torch.inf).numpy()
    return found


def _png(found: Found) -> str:
    """The change of the first image towards each target, on white, ten times as large as it is."""
    line = torch.cat([1 - (10 * change[0].abs()).clamp(0, 1) for change, _ in found.values()], dim=2)
    pixels = (line.movedim(0, 2) * 255).round().to(torch.uint8).numpy()
    picture = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0])
    stream = io.BytesIO()
    picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST).save(
        stream, format="png", optimize=True
    )
    return base64.b64encode(stream.getvalue()).decode()
