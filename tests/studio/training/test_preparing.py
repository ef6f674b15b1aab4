"""Windows of planes: they cover what there is, whatever its size, axes and type, and are normalised."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from studio.training.fields import smooth
from trustworthy.core.errors import InvalidInput
from trustworthy.studio.storage import DiskFull
from trustworthy.studio.training.preparing import Prepared, prepare
from trustworthy.studio.training.task import Orders


def prepared(orders: Orders) -> Prepared:
    return prepare(orders, orders.task.settings, lambda share, name: None)


@pytest.mark.parametrize(
    ("shape", "patch", "windows", "side"),
    [((333, 333), 128, 9, 192), ((64, 40), 32, 4, 40), ((1, 2), 32, 1, 32), ((32, 100), 32, 4, 32)],
)
def test_windows_cover_images_of_any_size(
    orders_for: Callable[..., Orders], shape: tuple[int, int], patch: int, windows: int, side: int
):
    numbers = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    images = prepared(orders_for([("train", numbers, -numbers)], patch=patch))
    assert (len(images.train), images.train.side) == (windows, side)
    found = [images.train[number] for number in range(windows)]
    assert {part.shape for pair in found for part in pair} == {(1, side, side)}
    seen = torch.cat([images.translator.source.inverse(source[None]).flatten() for source, _ in found])
    assert set(seen.round().int().tolist()) == set(range(numbers.size))
    assert all(torch.allclose(source, -target, atol=1e-5) for source, target in found)


def test_colours_beside_16_bits_and_planes_of_a_stack_are_normalised_over_the_training_images(
    orders_for: Callable[..., Orders],
):
    fields = [smooth(48, seed, 3) for seed in range(2)]
    stack = np.stack([(100 + 20 * field).astype(np.uint8) for field in fields])  # (Z, C, Y, X)
    target = np.stack([(30000 + 5000 * field[:1]).astype(np.uint16) for field in fields])
    held_out = ("validation", stack[:1] // 2, target[:1] // 2)
    images = prepared(orders_for([("train", stack, target), held_out], patch=48, source_channels=(2, 0)))
    source, answer = (torch.stack(part) for part in zip(*[images.train[k] for k in range(2)], strict=True))
    assert source.shape == (2, 2, 48, 48)
    for part in (source, answer):
        assert torch.allclose(part.mean((0, 2, 3)), torch.zeros(1), atol=1e-4)
        assert torch.allclose(part.std((0, 2, 3), correction=0), torch.ones(1), atol=1e-4)
    shown = images.translator.source.inverse(images.validation[0][0][None])[0]
    assert np.allclose(shown, stack[0, [2, 0]] // 2, atol=0.01)


def test_images_that_cannot_be_trained_on_are_refused_in_words(orders_for: Callable[..., Orders]):
    flat, wide = np.zeros((8, 8), np.uint8), np.zeros((8, 9), np.uint8)
    broken = np.full((8, 8), np.nan, np.float32)
    for pairs, settings, words in (
        ([("train", flat, wide)], {}, "'pair 0' must have the same width, and the source has 8, the target 9"),
        ([("test", flat, flat)], {}, "no pair is there to train on"),
        ([("train", broken, flat)], {}, "'s0' has values that are not numbers"),
        ([("train", flat, flat)], {"target_channels": (1,)}, "target_channels must be channels that every image has"),
        ([("train", flat, flat), ("train", np.zeros((3, 8, 8), np.uint8), flat)], {}, "equally many channels"),
    ):
        with pytest.raises(InvalidInput, match=words):
            prepared(orders_for(pairs, **settings))


def test_a_disk_without_space_is_told_before_a_plane_is_written(orders_for: Callable[..., Orders]):
    orders = orders_for([("train", smooth(32, 0)[0], smooth(32, 1)[0])])
    with pytest.raises(DiskFull, match="Preparing the images needs"):
        prepared(orders.model_copy(update={"free_bytes": 2**60}))
    assert [path.name for path in orders.folder.iterdir()] == ["job.json"]
