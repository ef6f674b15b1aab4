"""A Brownian path answers every question as one path would, whoever asks and in whatever order."""

import gc
import math
import pickle
import subprocess
import sys
from functools import partial

import pytest
import torch

from trustworthy.core.errors import InvalidInput
from trustworthy.integrate import BrownianPath, GaussianMarks, Terms, drawn_paths, integrate

DOUBLE = torch.float64


def path(seed=0, *, shape=(3, 2), steps=7, interval=(0.0, 1.0), dtype=DOUBLE):
    generator = torch.Generator().manual_seed(seed)
    return BrownianPath(shape, steps=steps, interval=interval, generator=generator, dtype=dtype)


def random_times(generator, *shape):
    """In order along the last dimension."""
    return torch.rand(shape, dtype=DOUBLE, generator=generator).sort(-1).values.tolist()


@pytest.mark.parametrize("steps", [1, 7, 40])
def test_increments_add_up(steps, generator):
    motion = path(steps=steps)
    for early, middle, late in random_times(generator, 4, 3):
        torch.testing.assert_close(motion(early, middle) + motion(middle, late), motion(early, late))


def test_the_order_of_the_questions_plays_no_part(generator):
    questions = random_times(generator, 8, 2)
    first, again = path(), path()
    answers = [first(*question) for question in questions]
    for place in torch.randperm(8, generator=generator).tolist():
        assert torch.equal(again(*questions[place]), answers[place])


@pytest.mark.parametrize("factor", [2, 3, 16])
def test_finer_steps_see_the_same_path(factor):
    motion, steps = path(), 7
    for cell in range(steps):
        fine = sum(
            motion((cell * factor + part) / (steps * factor), (cell * factor + part + 1) / (steps * factor))
            for part in range(factor)
        )
        torch.testing.assert_close(fine, motion(cell / steps, (cell + 1) / steps))


def test_blocks_of_draws_are_joined(monkeypatch):
    whole = path(steps=9)(0.05, 0.95)
    monkeypatch.setattr("trustworthy.integrate.paths._BLOCK", 12)  # two cells of 6 numbers
    motion = path(steps=9)
    parts = [motion(at / 20, (at + 1) / 20) for at in range(1, 19)]
    torch.testing.assert_close(sum(parts), motion(0.05, 0.95))
    assert not torch.equal(whole, motion(0.05, 0.95))  # the length of a block is part of what a seed means


@pytest.mark.parametrize("times", [(0.0, 0.25), (0.1, 0.13), (0.2, 0.9)], ids=str)
def test_increments_are_normal_with_the_variance_of_their_time(times):
    increments = path(shape=(20_000,), steps=4)(*times)
    variance = times[1] - times[0]
    assert abs(increments.mean()) < 3.5 * math.sqrt(variance / 20_000)
    assert abs(increments.square().mean() / variance - 1) < 3.5 * math.sqrt(2 / 20_000)
    assert abs(increments.pow(4).mean() / variance**2 - 3) < 3.5 * math.sqrt(96 / 20_000)


@pytest.mark.parametrize("steps", [1, 7])
def test_the_covariance_of_increments_is_the_time_they_share(steps, generator):
    """Of random intervals, nested, apart and overlapping, asked in no order."""
    motion = path(shape=(10_000,), steps=steps, interval=(0.0, 1.0))
    early, late = torch.tensor(random_times(generator, 6, 2), dtype=DOUBLE).unbind(1)
    parts = torch.stack([motion(a, b) for a, b in zip(early.tolist(), late.tolist(), strict=True)])
    shared = (torch.minimum(late[:, None], late) - torch.maximum(early[:, None], early)).clamp(min=0)
    spread = ((late - early)[:, None] * (late - early) + shared.square()).sqrt() / math.sqrt(10_000)
    assert ((parts @ parts.T / 10_000 - shared) / spread).abs().max() < 4


def test_seeds_make_different_paths_and_the_global_stream_stays():
    before = torch.get_rng_state()
    assert not torch.allclose(path(0)(0.0, 0.3), path(1)(0.0, 0.3))
    assert torch.equal(torch.get_rng_state(), before)


def test_without_a_generator_the_global_stream_decides():
    torch.default_generator.manual_seed(3)
    first = BrownianPath((2,), steps=2)(0.0, 0.2)
    torch.default_generator.manual_seed(3)
    assert torch.equal(BrownianPath((2,), steps=2)(0.0, 0.2), first)


def test_rows_of_a_batch_alone():
    motion = path(shape=(5, 2))
    some = motion.rows([3, 1]).rows([1])
    assert some.shape == (1, 2)
    assert torch.equal(some(0.1, 0.42), motion(0.1, 0.42)[[1]])


def test_a_path_is_saved_with_a_solution():
    terms = Terms(drift=lambda t, y: -y, diffusion=lambda t, y: y)
    solution = integrate(terms, torch.ones(3, 2, dtype=DOUBLE), steps=7, brownian=path())
    loaded = pickle.loads(pickle.dumps(solution.brownian))
    again = integrate(terms, torch.ones(3, 2, dtype=DOUBLE), steps=7, brownian=loaded)
    assert torch.equal(again.end, solution.end)


def test_grid_times_with_rounding_are_grid_times():
    motion = path(steps=3, interval=(0.0, 0.3))
    assert torch.equal(motion(0.1, 0.1 + 0.1), motion(0.1, 0.2))
    assert torch.equal(motion(0.1 + 0.2, 0.3), torch.zeros(3, 2, dtype=DOUBLE))


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ((-0.1, 0.2), r"covers times from 0 to 1, got -0.1 to 0.2; make it with interval=\(-0.1, 1\)"),
        ((0.5, 1.5), r"got 0.5 to 1.5; make it with interval=\(0, 1.5\)"),
        ((0.5, 0.2), "end must be >= start"),
        ((math.nan, 0.5), "start must be finite, got nan"),
        ((0.5, math.inf), "end must be finite, got inf"),
    ],
)
def test_questions_that_have_no_answer(question, message):
    with pytest.raises(InvalidInput, match=message):
        path()(*question)


def test_rows_that_are_not_there():
    with pytest.raises(InvalidInput, match="rows must lie from 0 to 2, got \\[3\\]"):
        path().rows([3])


def test_inside_of_vmap_a_path_is_one_path():
    """Drawn there first: on the grid, inside of its cells, and jumps, of a rate of the state as well."""
    y = torch.linspace(0.5, 1.5, 12, dtype=DOUBLE).reshape(2, 3, 2)
    terms = Terms(
        drift=lambda t, y: -y, diffusion=lambda t, y: y, jump=lambda t, y: y,
        rate=lambda t, y: y[:, 0].abs().clamp(max=9), rate_bound=9.0, marks=GaussianMarks(),
    )  # fmt: skip

    def ends(y, steps, paths):
        return integrate(terms, y, steps=steps, **paths._asdict()).end

    for steps in (7, 14):
        for randomness in ("error", "different"):
            make = partial(drawn_paths, terms, y[0], steps=7)
            seen = make(generator=torch.Generator().manual_seed(0))
            found = torch.func.vmap(partial(ends, steps=steps, paths=seen), randomness=randomness)(y)
            alone = make(generator=torch.Generator().manual_seed(0))
            assert torch.equal(found, torch.stack([ends(row, steps, alone) for row in y]))
            assert torch.equal(found[0], ends(y[0], steps, seen)), "what was drawn there is of use outside"


def alive():
    """Bytes of all tensors that somebody holds, storage by storage."""
    gc.collect()
    storages = [thing.untyped_storage() for thing in gc.get_objects() if type(thing) is torch.Tensor]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


@pytest.mark.slow
@pytest.mark.parametrize("finer", [1, 8])
def test_memory_does_not_grow_with_the_steps(finer):
    motion = path(shape=(64, 64), steps=400, dtype=torch.float32)
    before, moments = alive(), 400 * finer
    for step in range(400 if finer == 1 else 200):
        motion(step / moments, (step + 1) / moments)
    block, nodes = 2**16 * 4, 2 * 522 * 64 * 64 * 4
    assert alive() - before <= block + nodes * (finer > 1)


MILLION = """
import time
import torch
from trustworthy.integrate import BrownianPath, Terms, integrate
terms = Terms(drift=lambda t, y: -y, diffusion=lambda t, y: 0.1 * y)
for steps in (100_000, 1_000_000):
    start = time.perf_counter()
    with torch.no_grad():
        integrate(terms, torch.ones(4, 2), steps=steps, brownian=BrownianPath((4, 2), steps=steps))
    print(time.perf_counter() - start)
"""


@pytest.mark.slow
def test_a_million_steps_take_linear_time():
    """In a process without the checks of the tests, which cost more than the steps."""
    done = subprocess.run([sys.executable, "-c", MILLION], capture_output=True, text=True, check=True)
    few, many = map(float, done.stdout.split())
    assert many < 15 * few


@pytest.mark.gpu
def test_the_same_numbers_on_every_device(generator):
    if not torch.cuda.is_available():
        pytest.skip("no accelerator")
    seed = generator.get_state()
    here = BrownianPath((5, 2), steps=4, generator=generator)
    generator.set_state(seed)
    there = BrownianPath((5, 2), steps=4, generator=generator, device="cuda")
    assert all(torch.equal(here(0.0, t), there(0.0, t).cpu()) for t in (0.25, 0.3, 1.0))
