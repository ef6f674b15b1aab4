import numpy as np
import pytest
import torch
from reproduce.ch2 import attacked, models
from reproduce.claim import find
from reproduce.plots import draw
from reproduce.runner import NotRun
from torch import nn

from reproduce import images
from trustworthy.attacks import PGD, CarliniWagner
from trustworthy.core.predictive import predict
from trustworthy.core.record import Record
from trustworthy.nn import GaussianNoise


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def cache(folder, monkeypatch):
    """No model of an earlier run; what a test has trained, others take."""
    monkeypatch.setenv("TRUSTWORTHY_CACHE", str(folder))


def spec(method, network="small"):
    return models.Spec(scale="smoke", data="digits", network=network, method=method, seed=0)


def halves():
    """Two classes of points on a line, that meet at 0.5 with logits (-10 (x - 0.5), 10 (x - 0.5))."""
    layer = nn.Linear(1, 2)
    layer.weight.data, layer.bias.data = torch.tensor([[-10.0], [10.0]]), torch.tensor([5.0, -5.0])
    return layer


def test_a_weight_of_carlini_and_wagner_breaks_what_its_objective_pays_for():
    # The gap falls from 20 d to 0 over the distance d = x - 0.5, so d^2 <= c g / 2 = 10 c d where c >= d / 10.
    x, y = torch.tensor([[0.55], [0.6], [0.7]]), torch.tensor([1, 1, 1])
    attacks = [None, *(CarliniWagner(c=c, steps=100) for c in (0.004, 0.006, 0.012, 0.03))]
    found = attacked.withstood(halves(), attacks, x, y, draws=1, seed=0, growing=True)
    assert found.right.tolist() == [
        [True, True, True],
        [True, True, True],
        [False, True, True],
        [False, False, True],
        [False, False, False],
    ]
    np.testing.assert_allclose(found.distance[-1], [0.05, 0.1, 0.2], atol=2e-3)
    assert np.isnan(found.distance[1]).all()


def test_one_lucky_draw_breaks_nothing():
    # Of a draw 0.55 is wrong with a probability of 0.31, of the mean of 200 draws never.
    net = nn.Sequential(GaussianNoise(0.1), halves())
    x, y = torch.full((30, 1), 0.55), torch.ones(30, dtype=torch.int64)
    attack = PGD(eps=1e-4, steps=3)
    assert attack(net, x, y, generator=torch.Generator().manual_seed(0)).success.any()
    found = attacked.withstood(net, [attack], x, y, draws=200, seed=0, growing=True)
    assert found.right.all()


def test_places_that_do_not_grow_begin_again():
    x, y = torch.tensor([[0.55]]), torch.tensor([1])
    attacks = [PGD(eps=0.1, steps=5), PGD(eps=0.01, steps=5)]
    assert attacked.withstood(halves(), attacks, x, y, draws=1, seed=0, growing=False).right.tolist() == [
        [False],
        [True],
    ]
    assert attacked.withstood(halves(), attacks, x, y, draws=1, seed=0, growing=True).right.tolist() == [
        [False],
        [False],
    ]


def test_rows_that_choose_an_epoch_are_not_trained_on_and_do_not_depend_on_the_test_rows():
    def found(points):
        return images.images("digits", rows=200, held=50, points=points, side=None, published=False)

    some, more = found(20), found(60)
    assert (len(some.x), len(some.held_x), len(some.test_x)) == (200, 50, 20)
    trained, held = ({row.numpy().tobytes() for row in part} for part in (some.x, some.held_x))
    assert not trained & held
    assert torch.equal(some.x, more.x)
    assert torch.equal(some.test_x, more.test_x[:20])
    smaller = images.images("digits", rows=200, held=50, points=20, side=4, published=False)
    torch.testing.assert_close(smaller.x, nn.functional.avg_pool2d(some.x, 2))


def test_other_pixels_than_the_published_ones_are_not_taken_for_them(monkeypatch):
    monkeypatch.setitem(images.PUBLISHED, "digits", "published-file")
    with pytest.raises(NotRun, match="published-file in TRUSTWORTHY_DATA"):
        images.images("digits", rows=None, held=0, points=10, side=None, published=True)


def test_noise_may_go_after_the_training_and_come_after_it(cache):
    x = spec("none").images.test_x
    rse, quiet, plain, noisy = (
        models.model(spec(method)) for method in ("rse", "rse-train-only", "none", "rse-test-only")
    )
    assert [attacked.is_random(net, x) for net in (rse, quiet, plain, noisy)] == [True, False, False, True]
    for changed, source in ((quiet, rse), (noisy, plain)):
        assert all(torch.equal(weight, changed.state_dict()[name]) for name, weight in source.state_dict().items())


def test_testing_time_noise_is_kept_apart_from_that_of_the_training(cache):
    quiet, noisy = (models.model(spec(method, "sde")) for method in ("dropout", "dropout-ttn"))
    x = spec("none").images.test_x
    assert [attacked.is_random(net, x) for net in (quiet, noisy)] == [False, True]
    with torch.no_grad():
        noisy.test_time_noise = False
        torch.testing.assert_close(predict(noisy, x).logits, predict(quiet, x).logits)


def test_a_trained_model_is_kept_for_as_long_as_its_budget_is_the_same(cache, monkeypatch):
    first = models.trained(spec("none"))
    monkeypatch.setattr(models, "defence", lambda spec: pytest.fail("trained anew"))
    again = models.trained(spec("none"))
    assert all(torch.equal(a, b) for a, b in zip(first.model.parameters(), again.model.parameters(), strict=True))
    monkeypatch.setitem(models.BUDGETS["smoke"]["methods"], "none", {"epochs": 3})
    with pytest.raises(pytest.fail.Exception, match="trained anew"):
        models.trained(spec("none"))


def test_a_matrix_is_drawn(tmp_path):
    claim, _ = find("figure-2.9")
    pairs = {"d.none-to-bnn": 0.8, "d.bnn-to-none": 0.9, "d-eot.none-to-bnn": 0.7, "d.across": 0.1}
    (path,) = draw(
        claim, {name: Record(name=name, value=value, wall_time=0.0) for name, value in pairs.items()}, tmp_path
    )
    text = path.read_text()
    assert all(f">{drawn}<" in text for drawn in ("0.80", "0.90", "0.70", "none", "bnn", "d-eot"))
    assert "0.10" not in text
