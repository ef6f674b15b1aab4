"""Anchors on models whose rules are known, and the precision that it tells against a count."""

import numpy as np
import torch

from trustworthy.explain import Anchors

ROWS = torch.rand(400, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def by_two_columns(x: torch.Tensor) -> torch.Tensor:
    """Class 1 where columns 1 and 3 are both above a half."""
    both = ((x[:, 1] > 0.5) & (x[:, 3] > 0.5)).double()
    return torch.stack([1 - both, both], 1)


def test_the_rule_of_a_table_names_the_columns_that_decide():
    x = torch.tensor([[0.2, 0.9, 0.4, 0.95], [0.9, 0.1, 0.9, 0.9]], dtype=torch.float64)
    found = Anchors(background=ROWS, draws=400)(by_two_columns, x, generator=seeded())
    rules = found.rules
    assert rules is not None
    first, second = rules
    assert set(first.features) == {1, 3}
    assert first.precision == 1.0
    cut = float(ROWS[:, 1].quantile(0.75))
    assert first.ranges[first.features.index(1)] == (cut, torch.inf)
    held = (ROWS[:, 1] > cut) & (ROWS[:, 3] > float(ROWS[:, 3].quantile(0.75)))
    assert first.coverage == float(held.double().mean())
    assert set(found.order[0, :2].tolist()) == {1, 3}
    assert second.features == (1,)


def test_a_prediction_that_always_holds_needs_no_rule():
    found = Anchors(background=ROWS, draws=200)(lambda x: x[:, :2] * 0 + torch.tensor([1.0, 0.0]), ROWS[:1])
    assert found.rules is not None
    rule = found.rules[0]
    assert rule.features == ()
    assert (rule.precision, rule.coverage) == (1.0, 1.0)


def test_the_rule_of_a_text_is_the_word_that_decides():
    words = torch.rand(1, 6, 3, generator=seeded()) + 0.1
    words[:, 4:] = 0  # padding

    def third_word(x: torch.Tensor) -> torch.Tensor:
        there = (x[:, 2] != 0).any(1).float()
        return torch.stack([1 - there, there], 1)

    found = Anchors(draws=200)(third_word, words, generator=seeded())
    assert found.rules is not None
    assert found.rules[0].features == (2,)
    assert found.rules[0].coverage == 0.5
    assert found.order[0, 0] == 2
    assert found.scores[0].isnan().tolist() == [False] * 4 + [True] * 2


def test_the_precision_is_inside_its_interval():
    """95 % intervals of a known precision, .9: at most 6 of 40 miss with probability .998."""

    def mostly(x: torch.Tensor) -> torch.Tensor:
        rare = (x[:, 0] > 0.9).double()
        return torch.stack([1 - rare, rare], 1)

    even = torch.arange(100, dtype=torch.float64)[:, None].expand(-1, 2) / 100 + 0.005
    anchors = Anchors(background=even, precision=0.5, draws=200)
    rules = [anchors(mostly, even[:1], generator=seeded(seed)).rules for seed in range(40)]
    inside = [rule[0].interval[0] <= 0.9 <= rule[0].interval[1] for rule in rules if rule is not None]
    assert len(inside) == 40
    assert sum(inside) >= 34


def test_labels_alone_are_enough():
    rows = ROWS.numpy()
    found = Anchors(background=ROWS, draws=200)(lambda x: (x[:, 2] > 0.5).astype(int), rows[:1], generator=seeded())
    assert found.rules is not None
    assert found.rules[0].features == (2,) or found.rules[0].features == ()
    assert np.isfinite(found.scores.numpy()).all()
