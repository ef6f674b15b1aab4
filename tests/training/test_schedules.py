import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trustworthy.core.errors import InvalidInput
from trustworthy.training import Constant, Cosine, CyclicCosine, Linear, Phases


def factors(schedule, steps):
    return [schedule.factor(step, steps) for step in range(steps)]


def test_constant_keeps_the_rate():
    assert factors(Constant(), 3) == [1.0, 1.0, 1.0]


def test_linear_rises_over_the_warm_up_and_falls_straight_to_final():
    assert factors(Linear(warmup=0.4, final=0.5), 10) == pytest.approx(
        [0.25, 0.5, 0.75, 1.0, 1.0, 11 / 12, 10 / 12, 9 / 12, 8 / 12, 7 / 12]
    )


def test_cosine_is_half_a_cosine_after_the_warm_up():
    got = factors(Cosine(warmup=0.2, final=0.1), 10)
    assert got[:2] == [0.5, 1.0]
    assert got[2:] == pytest.approx([0.1 + 0.45 * (1 + math.cos(math.pi * k / 8)) for k in range(8)])


def test_a_warm_up_over_the_whole_run_only_rises():
    assert factors(Cosine(warmup=1.0), 4) == [0.25, 0.5, 0.75, 1.0]


def test_a_cycle_is_a_cosine_of_its_own_and_ends_with_an_epoch():
    cosine = [0.5 * (1 + math.cos(math.pi * k / 4)) for k in range(4)]
    assert factors(CyclicCosine(cycles=3), 12) == pytest.approx(3 * cosine)
    uneven = CyclicCosine(cycles=3, parts=5)  # five epochs of two steps: cycles of 1, 2 and 2 epochs
    assert uneven.ends(5) == [1, 3, 5]
    assert factors(uneven, 10) == pytest.approx([*cosine[::2], *cosine, *cosine])
    with pytest.raises(InvalidInput, match=r"cycles must be at most as many as the parts .* 5, got 6"):
        CyclicCosine(cycles=6, parts=5)


@pytest.mark.parametrize("per_epoch", [1, 7])
def test_the_phases_of_chapter_2_begin_at_epochs_80_140_and_180_of_200(per_epoch):
    schedule, steps = Phases(), 200 * per_epoch
    begins = [s for s in range(1, steps) if schedule.phase(s, steps) != schedule.phase(s - 1, steps)]
    assert begins == [80 * per_epoch, 140 * per_epoch, 180 * per_epoch]
    at = [schedule.factor(epoch * per_epoch, steps) for epoch in (0, 79, 80, 140, 180, 199)]
    assert at == pytest.approx([1.0, 1.0, 0.1, 0.01, 0.001, 0.001])


def test_phases_keep_their_proportions_in_a_shorter_run():
    schedule = Phases(lengths=(60, 40, 20), divisor=2.0)
    assert factors(schedule, 6) == [1.0, 1.0, 1.0, 0.5, 0.5, 0.25]


@settings(max_examples=40)
@given(
    steps=st.integers(1, 60),
    lengths=st.lists(st.integers(1, 200), min_size=1, max_size=5),
)
def test_phases_only_go_forward_and_stay_in_range(steps, lengths):
    phases = [Phases(lengths=tuple(lengths)).phase(step, steps) for step in range(steps)]
    assert phases == sorted(phases)
    assert phases[0] == 0
    assert phases[-1] < len(lengths)


@settings(max_examples=40)
@given(
    steps=st.integers(1, 300),
    warmup=st.floats(0.0, 1.0),
    final=st.floats(0.0, 1.0),
    kind=st.sampled_from([Linear, Cosine]),
)
def test_factors_rise_then_fall_within_bounds(steps, warmup, final, kind):
    got = factors(kind(warmup=warmup, final=final), steps)
    top = got.index(max(got))
    assert got[: top + 1] == sorted(got[: top + 1])
    assert got[top:] == sorted(got[top:], reverse=True)
    assert all(0.0 < factor <= 1.0 + 1e-12 for factor in got)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Cosine(warmup=-0.1), "warmup must be >= 0"),
        (lambda: Linear(warmup=1.5), "warmup must be <= 1"),
        (lambda: Linear(final=2.0), "final must be <= 1"),
        (lambda: Phases(lengths=()), "at least one phase"),
        (lambda: Phases(lengths=(3, 0)), "lengths must be >= 1"),
        (lambda: Phases(divisor=0.0), "divisor must be > 0"),
    ],
)
def test_settings_out_of_range_are_refused(build, message):
    with pytest.raises(InvalidInput, match=message):
        build()
