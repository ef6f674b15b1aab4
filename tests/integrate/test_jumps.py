"""Jumps: how many, when, of which size, and that each is in exactly one step."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from trustworthy.core.errors import IntegrationFailed, InvalidInput
from trustworthy.integrate import GaussianMarks, JumpPath, Ones, Signs, Terms, integrate

DOUBLE = torch.float64


def counting(rate, **given):
    """A process that counts its jumps."""
    return Terms(drift=lambda t, y: torch.zeros_like(y), jump=lambda t, y: torch.ones_like(y), rate=rate, **given)


def poisson_p(counts, mean):
    """Chi-square p-value of counts against a Poisson distribution, cells of five and more expected."""
    counts = np.asarray(counts).astype(int)
    edges = [k for k in range(counts.max() + 20) if len(counts) * stats.poisson.pmf(k, mean) >= 5]
    low, high = edges[0], edges[-1]
    observed = np.bincount(counts.clip(low, high), minlength=high + 1)[low:]
    expected = stats.poisson.pmf(np.arange(low, high + 1), mean)
    expected[0], expected[-1] = stats.poisson.cdf(low, mean), stats.poisson.sf(high - 1, mean)
    return stats.chisquare(observed, expected * len(counts)).pvalue


@pytest.mark.parametrize("times", [(0.0, 2.0), (0.3, 0.9)], ids=str)
def test_counts_are_poisson(times, generator):
    path = JumpPath((5000, 1), rate=1.7, interval=(0.0, 2.0), generator=generator)
    assert poisson_p(path(*times).squeeze(1), 1.7 * (times[1] - times[0])) > 1e-3
    assert poisson_p(path(*times).squeeze(1), 1.3 * 1.7 * (times[1] - times[0])) < 1e-6  # the test can tell


@pytest.mark.parametrize("planned", [True, False], ids=["path", "fresh"])
def test_a_solution_sees_poisson_counts(planned, generator):
    jumps = JumpPath((5000, 1), rate=3.0, generator=generator) if planned else None
    end = integrate(counting(3.0), torch.zeros(5000, 1), steps=7, jumps=jumps, generator=generator).end
    assert poisson_p(end.squeeze(1), 3.0) > 1e-3


def test_times_are_uniform_and_rows_independent(generator):
    path = JumpPath((4000, 1), rate=2.0, generator=generator)
    early, late = path(0.0, 0.4).squeeze(1).double(), path(0.4, 1.0).squeeze(1).double()
    assert early.mean() == pytest.approx(0.8, abs=3.5 * math.sqrt(0.8 / 4000))
    assert abs(torch.corrcoef(torch.stack([early, late]))[0, 1]) < 3.5 / math.sqrt(4000)
    assert abs(torch.corrcoef(torch.stack([early[1:], early[:-1]]))[0, 1]) < 3.5 / math.sqrt(4000)


@pytest.mark.parametrize("steps", [1, 3, 10, 64])
@pytest.mark.parametrize("marks", [Ones(), Signs(p=0.3), Signs(shared=True), GaussianMarks(mean=1.0)], ids=repr)
def test_every_step_size_sees_the_same_jumps(steps, marks, generator):
    path = JumpPath((6, 4), rate=5.0, marks=marks, generator=generator, dtype=DOUBLE)
    parts = sum(path(step / steps, (step + 1) / steps) for step in range(steps))
    torch.testing.assert_close(parts, path(0.0, 1.0))


def test_known_jumps_are_in_exactly_one_step():
    """At the first time (which belongs to what was before), at the last, on a grid point, and two in one step."""
    path = JumpPath.at([[0.0], [0.3], [0.1], [0.25, 0.27], []], (5, 1), interval=(0.0, 0.3))
    grid = integrate(
        counting(1.0), torch.zeros(5, 1), interval=(0.0, 0.3), step_size=0.1, jumps=path, at=(0.1, 0.2, 0.3)
    )
    assert grid.states.squeeze(-1).T.tolist() == [[0, 0, 0], [0, 0, 1], [1, 1, 1], [0, 0, 2], [0, 0, 0]]


@pytest.mark.parametrize("step_size", [0.1, 0.05, 0.3, 0.06])
def test_a_jump_on_a_rounded_grid_point_counts_once(step_size):
    times = [0.1 * part for part in range(1, 4)]  # 0.30000000000000004 is the last
    path = JumpPath.at([[min(time, 0.3) for time in times]], (1, 1), interval=(0.0, 0.3))
    end = integrate(counting(1.0), torch.zeros(1, 1), interval=(0.0, 0.3), step_size=step_size, jumps=path).end
    assert end.item() == 3


@pytest.mark.parametrize(
    "marks", [Ones(), Signs(p=0.3), Signs(p=0.8, shared=True), GaussianMarks(mean=0.5, std=2.0)], ids=repr
)
def test_the_sum_of_marks_has_the_distribution_of_its_parts(marks, generator):
    rows, number = 4000, 3
    drawn = marks.draw((rows * number, 2), DOUBLE, generator).expand(-1, 2).reshape(rows, number, 2).sum(1)
    counts = torch.full((rows, 1), float(number), dtype=DOUBLE)
    total = marks.total(counts, (rows, 2), generator).expand(-1, 2)
    for parts in (drawn, total):
        assert parts.std(0, correction=0).tolist() == pytest.approx(drawn.std(0, correction=0).tolist(), rel=0.06)
    assert abs(total.mean() - drawn.mean()) <= 4 * (drawn.std() + 1e-12) * math.sqrt(2 / rows)
    same = torch.allclose(total[:, 0], total[:, 1])
    assert same == (getattr(marks, "shared", False) or isinstance(marks, Ones))


@pytest.mark.parametrize("planned", [True, False], ids=["path", "fresh"])
def test_mean_of_a_geometric_jump_process(planned, generator):
    """dy = mu y dt + y Z dN: E y_T of Euler's steps is (1 + (mu + rate E[Z]) h)^N, exactly."""
    rows, steps = 20_000, 20
    marks = GaussianMarks(mean=-0.2, std=0.1)
    terms = Terms(fj=lambda t, y: (0.3 * y, y), rate=2.0, marks=marks)
    y = torch.ones(rows, 1, dtype=DOUBLE)
    jumps = JumpPath((rows, 1), rate=2.0, marks=marks, generator=generator, dtype=DOUBLE) if planned else None
    end = integrate(terms, y, steps=steps, jumps=jumps, generator=generator).end
    assert abs(end.mean() - (1 + (0.3 - 0.4) / steps) ** steps) < 3.5 * end.std() / math.sqrt(rows)


@pytest.mark.parametrize("planned", [True, False], ids=["path", "fresh"])
def test_rates_that_change_are_thinned(planned, generator):
    """A rate of 6 t, held over each of 8 steps, gives Poisson counts of mean 6 h^2 (0 + 1 + ... + 7)."""
    terms = counting(lambda t, y: torch.full((len(y),), 6 * t), rate_bound=6.0)
    jumps = JumpPath((5000, 1), rate=6.0, generator=generator) if planned else None
    end = integrate(terms, torch.zeros(5000, 1), steps=8, jumps=jumps, generator=generator).end
    assert poisson_p(end.squeeze(1), 6 * 28 / 64) > 1e-3


def test_a_rate_may_depend_on_the_state_of_each_row(generator):
    """Rows that stand at 0 never jump, rows at 1 do."""
    terms = counting(lambda t, y: 5 * (y[:, 0] > 0).float(), rate_bound=5.0)
    y = torch.tensor([[0.0], [1.0]]).repeat(500, 1)
    end = integrate(terms, y, steps=4, jumps=JumpPath((1000, 1), rate=5.0, generator=generator)).end
    assert (end[::2] == 0).all()
    assert poisson_p(end[1::2].squeeze(1) - 1, 5.0) > 1e-3


@pytest.mark.parametrize("planned", [True, False], ids=["path", "fresh"])
@pytest.mark.parametrize("rate", [5.0, -1.0, math.nan, math.inf])
def test_a_rate_outside_of_its_bound(rate, planned, generator):
    terms = counting(lambda t, y: torch.full((len(y),), rate), rate_bound=4.0)
    jumps = JumpPath((2, 1), rate=4.0, generator=generator) if planned else None
    with pytest.raises(IntegrationFailed, match=r"from 0 to rate_bound = 4, got .* at t = 0"):
        integrate(terms, torch.zeros(2, 1), steps=3, jumps=jumps)


def test_rates_that_overflow():
    with pytest.raises(InvalidInput, match=r"rate overflows: 1e\+12 is 1e\+11 jumps in a step"):
        integrate(counting(1e12), torch.zeros(2, 1), steps=10)
    with pytest.raises(InvalidInput, match=r"rate overflows: .* jumps in 2 rows, and a path holds 67,108,864"):
        JumpPath((2, 1), rate=1e12)
    with pytest.raises(InvalidInput, match="rate must be finite"):
        JumpPath((2, 1), rate=math.inf)


def test_rows_of_a_batch_alone(generator):
    path = JumpPath((5, 3), rate=6.0, marks=GaussianMarks(), generator=generator)
    some = path.rows([4, 0, 2]).rows([2, 0])
    torch.testing.assert_close(some(0.1, 0.9), path(0.1, 0.9)[[2, 4]])
    with pytest.raises(InvalidInput, match="name each once"):
        path.rows([1, 1])


def test_fresh_marks_have_the_precision_of_the_state(generator):
    terms = counting(5.0, marks=GaussianMarks(mean=0.1, std=0.0))
    end = integrate(terms, torch.zeros(8, 1, dtype=DOUBLE), steps=1, generator=generator).end
    torch.testing.assert_close(end, 0.1 * (10 * end).round(), atol=1e-15, rtol=0)


def test_no_jumps_at_rate_zero():
    assert JumpPath((3, 2), rate=0.0)(0.0, 1.0).tolist() == [[0.0, 0.0]] * 3


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: JumpPath((2, 1), rate=1.0)(0.5, 1.5), "covers times from 0 to 1, got 0.5 to 1.5"),
        (lambda: JumpPath((2, 1), rate=1.0)(0.5, 0.2), "end must be >= start"),
        (lambda: JumpPath((), rate=1.0), "shape must be"),
        (lambda: JumpPath((2, 1), rate=1.0).rows([2]), "rows must lie from 0 to 1"),
        (lambda: JumpPath.at([[0.1]], (2, 1)), "a sequence for each of 2 rows, got 1"),
        (lambda: JumpPath.at([[1.1]], (1, 1)), "times must be <= 1"),
        (lambda: Signs(p=1.5), "p must be <= 1"),
        (lambda: GaussianMarks(std=-1.0), "std must be >= 0"),
    ],
)
def test_bad_input(build, message):
    with pytest.raises(InvalidInput, match=message):
        build()
