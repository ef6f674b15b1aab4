from collections import Counter

import pytest
from sqlalchemy import select

from trustworthy.core.errors import InvalidInput
from trustworthy.studio.db.tables import Pair
from trustworthy.studio.pairs.pairing import pair_up
from trustworthy.studio.pairs.splitting import (
    SplitSettings,
    assign,
    check_enough,
    choose_parts,
    split_settings,
    split_up,
)


@pytest.mark.parametrize(
    ("pairs", "counts"),
    [
        (1, {"train": 1}),
        (2, {"train": 1, "test": 1}),
        (3, {"train": 1, "validation": 1, "test": 1}),
        (4, {"train": 2, "validation": 1, "test": 1}),
        (10, {"train": 6, "validation": 2, "test": 2}),
        (100, {"train": 70, "validation": 15, "test": 15}),
    ],
)
def test_counts(pairs, counts):
    assert Counter(assign(map(str, range(pairs)), SplitSettings()).values()) == counts


def test_depends_on_the_seed_alone_and_hardly_on_a_pair_that_comes_later():
    names = [f"well {number}" for number in range(40)]
    parts = assign(names, SplitSettings(seed=1))
    assert assign(reversed(names), SplitSettings(seed=1)) == parts
    assert assign(names, SplitSettings(seed=2)) != parts
    later = assign([*names, "new"], SplitSettings(seed=1))
    assert sum(later[name] != part for name, part in parts.items()) <= 2


def test_what_is_chosen_by_hand_stands_and_the_rest_fills_what_is_missing():
    settings = SplitSettings(by_hand={"a": "test", "b": "none"})
    assert assign(["a", "b", "c"], settings) == {"a": "test", "b": "none", "c": "train"}
    assert sorted(assign("abcd", settings).values()) == ["none", "test", "train", "validation"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"train": 0.5}, "add up to 100 %, got 80 %"),
        ({"train": "much"}, "train: .* number.*'much'"),
        ({"seed": -1}, "seed: .* greater than or equal to 0"),
    ],
)
def test_refuses_shares_and_seeds(given, message):
    with pytest.raises(InvalidInput, match=message):
        split_settings(**given)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (["none"], "no pair to train on; upload"),
        (["train", "none"], "One pair alone"),
        (["test", "test"], "no pair to train on; move"),
        (["train", "train"], "no pair to test with"),
    ],
)
def test_says_what_is_missing_for_a_training(parts, message):
    with pytest.raises(InvalidInput, match=message):
        check_enough(parts)


def test_a_choice_is_kept_when_the_split_is_drawn_anew(session, with_images):
    names = [f"{letter}.tif" for letter in "abcdefgh"]
    project = with_images([f"in/{name}" for name in names], [f"out/{name}" for name in names])
    pair_up(session, project.id)
    pairs = session.scalars(select(Pair)).all()
    chosen = next(pair for pair in pairs if pair.part == "train")
    choose_parts(session, project.id, {chosen.id: "test"})
    for seed in range(5):
        split_up(session, project.id, SplitSettings.model_validate(project.split).model_copy(update={"seed": seed}))
        assert chosen.part == "test"
    assert project.split["by_hand"] == {chosen.name: "test"}
    with pytest.raises(InvalidInput, match="unknown part 'tset'; did you mean 'test'"):
        choose_parts(session, project.id, {chosen.id: "tset"})
