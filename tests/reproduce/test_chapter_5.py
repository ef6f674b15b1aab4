import numpy as np
import pytest
import torch
from reproduce.ch5 import fields, models
from reproduce.ch5.maps import derived, told
from reproduce.claim import Claim, find
from reproduce.plots import draw
from reproduce.render import _numbers
from reproduce.verdict import judge

from trustworthy.core.record import Record
from trustworthy.datasets.pairs import ImagePairs


def spec(method, suite="cells"):
    return models.Spec(scale="smoke", suite=suite, method=method, seed=0)


def record(name, value, **conditions):
    return Record(name=name, value=value, wall_time=0.0, conditions=conditions)


def test_the_single_model_is_the_seed_and_the_first_member_of_both_ensembles(tmp_path, monkeypatch):
    monkeypatch.setenv("TRUSTWORTHY_CACHE", str(tmp_path))
    single, naive, fast = (models.fitted(spec(method)).model for method in ("single", "naive", "fast"))
    for name, weight in single.state_dict().items():
        assert torch.equal(naive.members[0].state_dict()[name], weight)
        assert torch.equal(fast.members[0].state_dict()[name], weight)
    assert models.cost(spec("fast")) > 1


def test_the_chosen_weight_is_the_largest_that_costs_next_to_nothing_on_validation_rows(monkeypatch):
    losses = {0.0: 0.5, 1.0: 0.505, 10.0: 0.509, 100.0: 0.511}
    monkeypatch.setattr(models.Spec, "common", property(lambda self: {"weights": list(losses)}))
    monkeypatch.setattr(models.Spec, "held", property(lambda self: (None, None)))
    asked = []
    monkeypatch.setattr(models, "loss_of", lambda spec, x, y: asked.append(spec.seed) or losses[spec.weight])
    assert models.chosen(spec("fast")) == 10.0
    assert models.chosen(spec("fast", "digits")) == 0.0
    assert set(asked) == {models.CHOOSING_SEED}


@pytest.mark.parametrize(("fields_of_the_set", "width"), [(10, 4), (4, 4), (1, 20)])
def test_what_is_trained_on_is_neither_chosen_nor_tested_on(fields_of_the_set, width):
    images = np.arange(fields_of_the_set * 2 * width, dtype=np.float32).reshape(fields_of_the_set, 1, 2, width)
    pairs = ImagePairs(
        name="set", source=images, target=images, names=tuple(str(name) for name in range(fields_of_the_set))
    )
    seen = [set(part.source.ravel()) for part in fields._apart(pairs)]
    assert all(seen)
    assert not seen[0] & seen[1]
    assert not seen[1] & seen[2]
    assert not seen[0] & seen[2]


def test_a_pixel_of_a_smaller_image_is_a_mean():
    images = np.arange(20, dtype=np.uint16).reshape(1, 1, 4, 5)
    pairs = ImagePairs(name="set", source=images, target=images, names=("only",))
    assert fields._smaller(pairs, 2).source.tolist() == [[[[3.0, 5.0], [13.0, 15.0]]]]


def test_numbers_that_are_derived_are_judged_but_not_drawn(tmp_path):
    rows = [told("cifar10-accuracy.naive@1", [50.0]), derived("cifar10-accuracy.best@1", 60.0)]
    records = {row.name: record(row.name, row.value, **{"each": [1.0], **row.conditions}) for row in rows}
    claim, _ = find("figure-5.6")
    (path,) = draw(claim, records, tmp_path)
    text = path.read_text()
    assert ">naive<" in text
    assert ">best<" not in text
    said = "CIFAR-10: the naive ensemble is the most accurate at every severity."
    assert {row.name: row.verdict for row in judge(claim, records)}[said] == "off"


def test_boxes_stand_side_by_side_in_the_colours_of_their_methods(tmp_path):
    claim, _ = find("figure-5.6")
    names = [
        f"cifar10-{head}.{method}@{level}" for head in ("accuracy", "ece") for method in ("a", "b") for level in (0, 1)
    ]
    (path,) = draw(claim, {name: record(name, 1.0, each=[0.0, 1.0, 2.0]) for name in names}, tmp_path)
    text = path.read_text()
    assert text.count("#0072b2") >= 4
    assert text.count("#d55e00") >= 4
    assert ">cifar10-accuracy<" in text
    assert ">cifar10-ece<" in text


def test_a_printed_deviation_stands_beside_its_number():
    printed = {"values": {"a": {"b": 2.5, "c": 3.0}}, "deviations": {"a": {"b": 0.5}}}
    claim = Claim(name="table-9.1", title="", shows="", script="", scales={}, **printed)
    rows = judge(claim, {})
    table = _numbers(claim, rows)
    assert "| a.b | 2.5 ± 0.5 |" in table
    assert "| a.c | 3 |" in table


def test_every_printed_deviation_is_of_a_printed_number():
    claim, _ = find("table-5.2")
    assert claim.spread("cifar10.naive.acc") == 0.06
    assert set(dict(claim._leaves(claim.deviations, ""))) < set(claim.printed())
