from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from trustworthy.core.errors import InvalidInput
from trustworthy.core.seeds import derived_seed, numpy_generator, torch_generator


def test_seeds_are_the_same_on_every_machine_and_in_every_version():
    """Pinned: changing them would change every recorded result."""
    assert derived_seed(0) == 4246866556266386882
    assert derived_seed(7, "attack", 3) == 959017447952709854


def test_streams_differ_by_seed_by_name_and_by_where_a_name_ends():
    streams = [(0,), (1,), (10,), (0, "a"), (0, "b"), (1, "a"), (0, "a", "b"), (0, "ab"), (0, "a/b"), (0, "a", 1)]
    seeds = [derived_seed(*stream) for stream in streams]
    assert len(set(seeds)) == len(streams)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_streams_of_neighbouring_seeds_are_uncorrelated():
    draws = np.stack([numpy_generator(seed, "noise").normal(size=4000) for seed in range(8)])
    correlation = np.corrcoef(draws)[np.triu_indices(8, 1)]
    assert np.abs(correlation).max() < 4 / np.sqrt(4000)


def test_a_stream_repeats_and_leaves_the_global_ones_alone():
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    assert torch.equal(*(torch.rand(3, generator=torch_generator(5, "x")) for _ in range(2)))
    assert np.array_equal(*(numpy_generator(5, "x").random(3) for _ in range(2)))
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), numpy_before, strict=True))  # noqa: NPY002


def test_adding_a_stream_shifts_no_other():
    def first_draws(*names: str) -> dict[str, float]:
        return {name: numpy_generator(0, name).random() for name in names}

    few, many = first_draws("data", "model"), first_draws("data", "augmentation", "model")
    assert all(few[name] == many[name] for name in few)
    assert len(set(itertools.chain(few.values(), many.values()))) == 3


@pytest.mark.parametrize(
    ("seed", "message"), [(-1, "seed must be >= 0, got -1"), (True, "seed must be a whole number")]
)
def test_refuses_what_is_no_seed(seed, message):
    with pytest.raises(InvalidInput, match=message):
        derived_seed(seed)
