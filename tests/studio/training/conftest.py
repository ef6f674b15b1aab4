"""Jobs made by hand: images in a studio's folder, and the orders that name them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch

from trustworthy.studio.db.tables import new_id
from trustworthy.studio.images.description import Description
from trustworthy.studio.training.task import Orders, Picture, Place, Task

Pairs = Sequence[tuple[str, np.ndarray, np.ndarray]]
"""Part, source, target."""


@pytest.fixture
def orders_for(tmp_path: Path) -> Callable[..., Orders]:
    """A job on pairs; axes are those of the arrays, YX, CYX or ZCYX."""

    def make(pairs: Pairs, attempt: int = 1, axes: dict[int, str] | None = None, **settings: Any) -> Orders:
        project, axes = new_id(), {2: "YX", 3: "CYX", 4: "ZCYX", **(axes or {})}
        task = Task(job=new_id(), project=project, project_name="p", kind="train", places=(), settings=settings)
        orders = Orders(task=task, attempt=attempt, data_dir=tmp_path, threads=torch.get_num_threads(), device="cpu")

        def picture(name: str, values: np.ndarray) -> Picture:
            about = Description(axes=axes[values.ndim], shape=values.shape, dtype=values.dtype.name)
            made = Picture(id=new_id(), name=name, suffix=".tif", sha256=new_id() * 2, description=about)
            path = task.file(orders.storage, made)
            tifffile.imwrite(path, values, photometric="minisblack")
            return made

        places = [
            Place(name=f"pair {k}", part=part, source=picture(f"s{k}", source), target=picture(f"t{k}", target))
            for k, (part, source, target) in enumerate(pairs)
        ]
        orders = orders.model_copy(update={"task": task.model_copy(update={"places": tuple(places)})})
        orders.save()
        return orders

    return make
