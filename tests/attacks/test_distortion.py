"""The smallest perturbation that is found, against the distance to a linear boundary."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from trustworthy.attacks import APGD, FGSM, PGD, Bisection, CarliniWagner, minimal_distortion
from trustworthy.core.errors import InvalidInput
from trustworthy.core.norms import NORMS


@pytest.fixture
def problem():
    weight = torch.randn(6, dtype=torch.float64)
    x = torch.rand(25, 6, dtype=torch.float64)

    def model(z):
        return torch.stack([0 * z[:, 0], (z - 0.5) @ weight], 1)

    return model, x, model(x).argmax(1), weight


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("bisections", [5, 12])
def test_bisection_resolves_the_distance_to_a_linear_boundary(problem, norm, bisections):
    model, x, y, weight = problem
    attack = PGD(norm=norm, eps=10.0, bounds=None, steps=5, random_start=False)
    result = minimal_distortion(model, attack, x, y, bisections=bisections, batch_size=10)
    distance = ((x - 0.5) @ weight).abs() / NORMS[norm].dual.size(weight[None])
    assert result.success.all()
    assert (result.distance >= distance).all()
    assert (result.distance <= distance + 10.0 / 2**bisections).all()
    assert_close(result.distance, NORMS[norm].size(result.adversarial - x))
    assert (model(result.adversarial).argmax(1) != y).all()


def test_what_lies_beyond_the_largest_radius_is_not_found(problem):
    model, x, y, weight = problem
    distance = ((x - 0.5) @ weight).abs() / weight.norm()
    y[0] = 1 - y[0]
    result = minimal_distortion(model, PGD(norm="l2", eps=0.2, bounds=None, random_start=False), x, y)
    beyond = distance > 0.2
    beyond[0] = False
    assert beyond.any()
    assert torch.equal(result.distance.isinf(), beyond)
    assert torch.equal(result.adversarial[beyond], x[beyond])
    assert result.distance[0] == 0


def test_targets_are_approached(problem):
    model, x, y, _ = problem
    attack = APGD(norm="l2", eps=3.0, steps=10, bounds=None)
    free, aimed = (minimal_distortion(model, attack, x, y, target=target) for target in (None, 1 - y))
    assert_close(free.distance, aimed.distance, rtol=0.02, atol=0)


def test_an_attack_that_minimises_by_itself_just_runs(problem):
    model, x, y, _ = problem
    attack = CarliniWagner(bounds=None, steps=15, searches=2)
    result = minimal_distortion(model, attack, x, y, batch_size=13)
    assert_close(result.distance, attack(model, x, y).distance)


def test_arrays_stay_arrays(problem):
    _, x, y, _ = problem
    net = torch.nn.Linear(6, 2, dtype=torch.float64)
    result = minimal_distortion(net, FGSM(eps=3.0, bounds=None), x.numpy(), y.numpy(), batch_size=9)
    assert isinstance(result.distance, np.ndarray)
    assert result.adversarial.shape == (25, 6)


def test_a_bisection_prints_what_it_is_made_of():
    assert repr(Bisection(attack=FGSM(eps=0.5))) == f"Bisection(attack={FGSM(eps=0.5)!r}, bisections=10)"
    assert Bisection(attack=PGD(eps=1.0, norm="l1", loss="dlr", eot=3)).loss == "dlr"


def test_refuses_nonsense(problem):
    model, x, y, _ = problem
    with pytest.raises(InvalidInput, match="eps of the attack"):
        minimal_distortion(model, FGSM(eps=torch.ones(25)), x, y)
    with pytest.raises(InvalidInput, match="bisections"):
        minimal_distortion(model, FGSM(eps=1.0), x, y, bisections=-1)
