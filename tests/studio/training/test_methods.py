"""What the settings of the panel mean to the library."""

import pytest
import torch

from trustworthy.core.errors import InvalidInput
from trustworthy.nn import Ensemble, UNet, batch_ensemble
from trustworthy.studio.training.control import STUDIO_METHODS, TrainingSettings, settings_of
from trustworthy.studio.training.methods import maker, method_of, network_of, networks_in, runs_of

SMALL = {"in_channels": 1, "out_channels": 1, "width": 4, "depth": 2, "dropout": 0.5}


@pytest.mark.parametrize("method", STUDIO_METHODS)
def test_the_runs_are_those_of_the_method_in_its_units(method: str):
    settings = TrainingSettings(method=method, epochs=40, members=3, learning_rate=2.0, weight_decay=3.0, patch=64)
    made = method_of(settings)
    assert sum(run.epochs for run in runs_of(settings)) == made.passes
    assert (made.learning_rate, made.weight_decay) == pytest.approx((2e-3, 3e-5))
    assert network_of(settings, 2, 1) == {**SMALL, "in_channels": 2, "width": 16, "depth": 5}


def test_a_training_that_starts_from_a_model_takes_its_networks_in_turn():
    nets = [UNet(**SMALL) for _ in range(2)]
    make = maker(SMALL, networks_in(Ensemble(nets)))
    for net in (*nets, nets[0]):
        given = make()
        assert given is not net
        assert all(torch.equal(value, net.state_dict()[name]) for name, value in given.state_dict().items())
    member = networks_in(batch_ensemble(nets[0], members=2, spread=0.0))[1]
    assert torch.equal(member.down[0].weight, nets[0].down[0].weight)
    with pytest.raises(InvalidInput, match="start_from must be a model of the same network"):
        maker({**SMALL, "width": 8}, nets)


def test_mc_dropout_without_dropout_is_refused():
    with pytest.raises(InvalidInput, match="mc-dropout leaves out features"):
        settings_of({"method": "mc-dropout", "dropout": 0})
