"""The door of the attacks, where the contract of all attacks does not reach."""

import inspect

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from trustworthy.attacks import FGSM, RandFGSM
from trustworthy.core.errors import InvalidInput, ModelContractError
from trustworthy.core.guard import undisturbed
from trustworthy.core.inputs import as_classifier


def test_a_rounding_error_beyond_a_bound_is_cut_and_no_more():
    net = torch.nn.Linear(2, 2, dtype=torch.float64)
    y = np.array([0])
    result = FGSM(eps=0.0)(net, np.array([[1 + 2e-16, -1e-16]]), y)
    assert result.adversarial.tolist() == [[1.0, 0.0]]
    with pytest.raises(InvalidInput, match="x must lie in bounds"):
        FGSM(eps=0.0)(net, np.array([[1 + 1e-12, 0.0]]), y)


def test_the_model_s_own_error_says_on_which_batch():
    net = torch.nn.Linear(2, 2)
    with pytest.raises(RuntimeError) as error:
        FGSM(eps=0.1)(net, torch.rand(3, 2, dtype=torch.float64), torch.tensor([0, 1, 0]))
    assert "(3, 2) torch.float64" in error.value.__notes__[0]


@pytest.mark.parametrize(
    ("model", "remedy"), [(7, "got int"), (type("Fitted", (), {"predict": 1})(), "pass model.predict")]
)
def test_what_cannot_be_called_is_refused(model, remedy):
    unchecked = inspect.unwrap(as_classifier)  # the shape checks of the tests would refuse it first
    with pytest.raises(ModelContractError, match=remedy):
        unchecked(model, True, 2)


def test_a_generator_of_another_device_is_refused():
    with (
        pytest.raises(InvalidInput, match=r"generator lives on cpu, x on meta; use torch\.Generator"),
        undisturbed(None, torch.empty(1, device="meta"), torch.Generator()),
    ):
        pass


def test_a_function_on_arrays_may_return_other_floats_and_counts():
    x, y = np.array([[0.2], [0.8]]), np.array([1, 0])
    for answer in (np.float32, np.float64, int):
        result = RandFGSM(eps=0.0)
        with pytest.raises(ModelContractError, match="BoundaryAttack"):
            result(lambda z, answer=answer: np.hstack([z, 1 - z]).round().astype(answer), x, y)


@pytest.mark.parametrize("start", [-0.1, 1.1])
def test_the_random_share_of_a_step_lies_in_the_unit_interval(start):
    with pytest.raises(InvalidInput, match="start must"):
        RandFGSM(eps=0.1, start=start)


def test_the_random_first_step_of_rand_fgsm_spends_its_share():
    """With a flat model nothing but the random signs remains."""
    x = torch.full((4, 5), 0.5)
    flat = RandFGSM(eps=0.2, start=0.25)(
        lambda z: torch.stack([z.sum(1) * 0, z.sum(1) * 0], 1), x, torch.zeros(4).long()
    )
    assert_close((flat.adversarial - x).abs(), torch.full((4, 5), 0.05))
