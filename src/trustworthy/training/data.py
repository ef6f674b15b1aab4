"""Training data: arrays or a dataset in, batches of tensors in a seeded order out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset, default_collate

from trustworthy.core.errors import InvalidInput
from trustworthy.core.seeds import torch_generator

Batch: TypeAlias = tuple[Tensor, ...]
Data: TypeAlias = Sequence[Any] | Dataset[Any]
"""Tensors or NumPy arrays with one row per example, such as a pair (x, y), or a torch `Dataset` with a length."""
Collate: TypeAlias = Callable[[list[Any]], Batch]
"""Items of a `Dataset` to a batch of tensors."""
COUNTS = {torch.uint8: 2**8 - 1, torch.uint16: 2**16 - 1}
"""Types of images as a camera gives them, and their highest value."""


class Arrays(TensorDataset):
    """Rows of tensors that have equally many, such as x and y."""

    def take(self, rows: Int[Tensor, " batch"]) -> Batch:
        """Several rows at once."""
        return tuple(part.index_select(0, rows.to(part.device)) for part in self.tensors)


def as_dataset(name: str, data: Data, model: nn.Module) -> Dataset[Any]:
    """Check `data` and turn arrays into a dataset, their real numbers in the precision of the weights of `model`."""
    if isinstance(data, Dataset):
        if isinstance(data, IterableDataset) or not hasattr(data, "__len__"):
            raise InvalidInput(
                f"{name} must be a Dataset with a length and items by number, got {type(data).__name__}."
            )
        if len(data) == 0:  # type: ignore[arg-type]
            raise InvalidInput(f"{name} must hold at least one example, got none.")
        return data
    if not isinstance(data, tuple | list) or len(data) == 0:
        raise InvalidInput(
            f"{name} must be a pair (x, y) or another tuple of arrays, or a torch Dataset, got {type(data).__name__}."
        )
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.get_default_dtype())
    names = ["x", "y", *(f"part {number}" for number in range(3, len(data) + 1))]
    x, *rest = (_tensor(f"{name} {part}", values, dtype) for part, values in zip(names, data, strict=False))
    if any(part.ndim == 0 for part in (x, *rest)) or len({len(part) for part in (x, *rest)}) > 1 or len(x) == 0:
        shapes = " and ".join(str(tuple(part.shape)) for part in (x, *rest))
        raise InvalidInput(f"{name} must pair each row of x with a row of y, at least one; got shapes {shapes}.")
    if x.dtype in COUNTS:
        raise InvalidInput(
            f"{name} x must hold real numbers, got {x.dtype}; divide by {COUNTS[x.dtype]}, or bring pairs of images to "
            "mean 0 and deviation 1 by Translator.of(...).normalised(...)."
        )
    return Arrays(x, *(part if part.is_floating_point() else part.long() for part in rest))


def _tensor(name: str, values: Any, dtype: torch.dtype) -> Tensor:
    try:
        # torch shares memory that is writable and without negative strides.
        tensor = (
            values.detach() if isinstance(values, Tensor) else torch.from_numpy(np.require(values, None, ["C", "W"]))
        )
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{name} must be a tensor or an array of numbers, got {type(values).__name__}.") from error
    if not tensor.is_floating_point():
        return tensor
    broken = int((~torch.isfinite(tensor)).sum())
    if broken:
        raise InvalidInput(f"{name} must be finite, got {broken} values that are NaN or infinite; remove their rows.")
    return tensor.to(dtype)


class Share(Subset[Any]):
    """Some rows of a dataset."""

    @property
    def fingerprint(self) -> tuple[Any, ...]:
        """What tells this from other data to a checkpoint."""
        whole = (type(self.dataset).__qualname__, len(self.dataset), getattr(self.dataset, "fingerprint", None))  # type: ignore[arg-type]
        return (*whole, tuple(self.indices))


def share_of(data: Data, share: float, seed: int) -> Data:
    """A `share` in (0, 1] of the rows of `data`, at least one, drawn by `seed` without replacement."""
    if share == 1.0:
        return data
    count = len(data) if isinstance(data, Dataset) else len(data[0])  # type: ignore[arg-type]
    rows = torch.randperm(count, generator=torch_generator(seed, "share"))[: max(1, round(share * count))]
    if isinstance(data, Dataset):
        return Share(data, rows.tolist())
    return tuple(part[rows.to(part.device) if isinstance(part, Tensor) else rows.numpy()] for part in data)


@dataclass(frozen=True)
class BatchPlan:
    """Which rows each step of a run trains on, in which of the processes that share the work.

    Every epoch sees every row once, in an order that depends on the seed and the epoch alone. The batches of an epoch
    are as even as they can be, so that none is too small for batch normalisation.
    """

    rows: int
    batch_size: int
    epochs: int
    seed: int
    processes: int = 1
    process: int = 0

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.rows // self.batch_size)

    @property
    def steps(self) -> int:
        return self.epochs * self.steps_per_epoch

    def batches(self, epoch: int) -> tuple[Tensor, ...]:
        """Rows of each step of `epoch`, over all processes."""
        order = torch.randperm(self.rows, generator=torch_generator(self.seed, "order", epoch))
        return order.tensor_split(self.steps_per_epoch)

    def shares(self, batch: Tensor, parts: int = 1) -> list[tuple[Tensor, float]]:
        """This process's rows of `batch` in up to `parts` parts, each with its weight.

        The sum of weight x mean over this process's parts, averaged over the processes, is the mean over the batch. A
        process that a small batch leaves without a row gets one all the same, at weight 0, as it must take part in
        averaging the gradients; all processes have equally many parts.
        """
        parts = min(parts, max(1, len(batch) // self.processes))
        first = self.process * parts
        mine = batch.tensor_split(self.processes * parts)[first : first + parts]
        return [(rows, len(rows) * self.processes / len(batch)) if len(rows) else (batch[:1], 0.0) for rows in mine]


def batches(
    dataset: Dataset[Any],
    rows: Sequence[Tensor],
    *,
    collate: Collate | None = None,
    workers: int = 0,
    seed: int = 0,
    pin: bool = False,
) -> Iterator[Batch]:
    """Batches of `dataset`, one for each entry of `rows`; `seed` is that of the worker processes."""
    if isinstance(dataset, Arrays):
        return (dataset.take(chosen) for chosen in rows)
    return iter(
        DataLoader(
            dataset,
            batch_sampler=[chosen.tolist() for chosen in rows],
            collate_fn=functools.partial(_collated, collate or default_collate),
            num_workers=workers,
            pin_memory=pin,
            generator=torch.Generator().manual_seed(seed),
        )
    )


def _collated(collate: Collate, items: list[Any]) -> Batch:
    batch = collate(items)
    if not isinstance(batch, tuple | list) or not batch or not all(isinstance(part, Tensor) for part in batch):
        raise InvalidInput(
            f"items of the Dataset must be pairs (x, y) or other tuples that collate to tensors, got "
            f"{type(items[0]).__name__}; give a collate that makes tensors of a list of them."
        )
    return tuple(batch)
