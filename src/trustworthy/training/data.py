"""Training data: arrays or a dataset in, batches of tensors in a seeded order out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate

from trustworthy.core.errors import InvalidInput
from trustworthy.core.seeds import torch_generator

Batch: TypeAlias = tuple[Tensor, ...]
Data: TypeAlias = Sequence[Any] | Dataset[Any]
"""A pair (x, y) of tensors or NumPy arrays, or a torch `Dataset` with a length whose items are (x, y)."""


class Arrays(Dataset[Batch]):
    """Rows of (x, y)."""

    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, row: int) -> Batch:
        return self.x[row], self.y[row]

    def take(self, rows: Int[Tensor, " batch"]) -> Batch:
        """Several rows at once."""
        return self.x.index_select(0, rows.to(self.x.device)), self.y.index_select(0, rows.to(self.y.device))


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
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise InvalidInput(f"{name} must be a pair (x, y) of arrays or a torch Dataset, got {type(data).__name__}.")
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.get_default_dtype())
    x, y = (_tensor(f"{name} {part}", values, dtype) for part, values in zip("xy", data, strict=True))
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y) or len(x) == 0:
        raise InvalidInput(
            f"{name} must pair each row of x with a row of y, at least one; got shapes {tuple(x.shape)} and "
            f"{tuple(y.shape)}."
        )
    if x.dtype == torch.uint8:
        raise InvalidInput(f"{name} x must hold real numbers, images in [0, 1], got uint8; divide by 255.")
    return Arrays(x, y if y.is_floating_point() else y.long())


def _tensor(name: str, values: Any, dtype: torch.dtype) -> Tensor:
    try:
        tensor = values.detach() if isinstance(values, Tensor) else torch.from_numpy(_usable(values))
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"{name} must be a tensor or an array of numbers, got {type(values).__name__}.") from error
    if not tensor.is_floating_point():
        return tensor
    broken = int((~torch.isfinite(tensor)).sum())
    if broken:
        raise InvalidInput(f"{name} must be finite, got {broken} values that are NaN or infinite; remove their rows.")
    return tensor.to(dtype)


def _usable(values: Any) -> np.ndarray:
    """The array as torch can share it: writable, without negative strides."""
    array = np.asarray(values)
    return array if array.flags.writeable and array.flags.c_contiguous else np.array(array, order="C")


@dataclass(frozen=True)
class Plan:
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

    def share(self, batch: Tensor) -> tuple[Tensor, float]:
        """This process's rows of `batch`, and the weight that makes the mean over processes the mean over the batch.

        A process that a small batch leaves without a row gets one all the same, at weight 0, as it must take part in
        averaging the gradients.
        """
        rows = batch.tensor_split(self.processes)[self.process]
        weight = len(rows) * self.processes / len(batch)
        return (rows, weight) if len(rows) else (batch[:1], 0.0)


def batches(dataset: Dataset[Any], rows: Sequence[Tensor], *, workers: int, seed: int, pin: bool) -> Iterator[Batch]:
    """Batches of `dataset`, one for each entry of `rows`; `seed` is that of the worker processes."""
    if isinstance(dataset, Arrays):
        return (dataset.take(chosen) for chosen in rows)
    return iter(
        DataLoader(
            dataset,
            batch_sampler=[chosen.tolist() for chosen in rows],
            collate_fn=_collate,
            num_workers=workers,
            pin_memory=pin,
            generator=torch.Generator().manual_seed(seed),
        )
    )


def _collate(items: list[Any]) -> Batch:
    collated = default_collate(items)
    if not isinstance(collated, tuple | list) or len(collated) < 2 or not isinstance(collated[0], Tensor):
        raise InvalidInput(f"items of the Dataset must be pairs (x, y), got {type(items[0]).__name__}.")
    return tuple(collated)
