"""Table 2.3 and Figure 2.6: how far an image of a ship is moved to be taken for something else."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from reproduce.ch2.attacked import MARGIN, is_random
from reproduce.ch2.models import BUDGETS, Spec, digest, model
from reproduce.kept import kept
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
    """Median l2 distance for each target, or over all with the picture; what is not brought there is infinitely far."""
    options = setting.options
    spec = Spec(
        scale=options["budget"], data=options["data"], network=options["network"], method=cell, seed=setting.seed
    )
    budget = BUDGETS[spec.scale]
    ways = {"": 1, "-eot": budget["eot"]} if is_random(model(spec), spec.images.test_x) else {"": 1}
    rows = []
    for suffix, eot in ways.items():
        settings = {key: options[key] for key in ("images", "rows", "steps", "searches")}
        found = kept(_moved)(spec, spec.budget, eot, settings, digest(evaluation=True))
        lengths = {name: length for name, (_, length) in found.items()}
        if options.get("picture"):
            every = np.concatenate(list(lengths.values()))
            rows.append(_median(f"{cell}{suffix}.size", every, eot=eot, png=_png(found)))
        else:
            rows += [_median(f"{name}.{cell}{suffix}", length, eot=eot) for name, length in lengths.items()]
    return rows


def _median(name: str, lengths: np.ndarray, **conditions: Any) -> Measured:
    value = float(np.median(lengths))
    reached = round(float(np.isfinite(lengths).mean()), 3)
    about = {"points": len(lengths), "reached": reached, **conditions}
    return Measured(name=name, value=round(value, 6) if np.isfinite(value) else None, conditions=about)


def _moved(spec: Spec, budget: dict[str, Any], eot: int, settings: dict[str, Any], code: str) -> Found:
    """Changes of the images and their lengths, inf where the mean of fresh draws does not see the target, by target."""
    net, images, generator = model(spec), spec.tested(settings["rows"]), torch_generator(spec.seed, "targeted")
    draws = BUDGETS[spec.scale]["draws"]

    def seen(x: Tensor) -> Tensor:
        return predict(net, x, draws=draws, generator=generator).logits.argmax(1)

    ships = images.test_x[images.test_y == SHIP]
    x = ships[seen(ships) == SHIP][: settings["images"]]
    if len(x) == 0:
        raise NotRun(f"{spec.method} takes no test image of a ship for one.")
    how = {key: settings[key] for key in ("steps", "searches")}
    attack = CarliniWagner(eot=eot, kappa=0.0 if eot == 1 else MARGIN, **how)
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
