import json
from functools import partial

import pytest
import torch
from torch import nn

from trustworthy.core.errors import CheckpointError
from trustworthy.training.resume import pack, unpack

OPTIMIZERS = [
    torch.optim.SGD,
    partial(torch.optim.SGD, momentum=0.9, nesterov=True),
    torch.optim.Adam,
    partial(torch.optim.AdamW, amsgrad=True),
    torch.optim.NAdam,
    torch.optim.RMSprop,
    torch.optim.Adagrad,
    torch.optim.Rprop,
    torch.optim.ASGD,
]


def steps(model, optimizer, count):
    x = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
    for _ in range(count):
        optimizer.zero_grad()
        model(x).square().sum().backward()
        optimizer.step()


@pytest.mark.parametrize("build", OPTIMIZERS)
def test_an_optimizer_goes_on_as_if_it_had_never_been_packed(build):
    model = nn.Linear(3, 2)
    optimizer = build(model.parameters(), lr=0.01)
    steps(model, optimizer, 3)
    tensors, numbers = pack(optimizer)
    tensors = {name: value.clone() for name, value in tensors.items()}
    copy = nn.Linear(3, 2)
    copy.load_state_dict(model.state_dict())
    resumed = build(copy.parameters(), lr=0.01)
    unpack(resumed, {"model/weight": torch.ones(1), **tensors}, json.loads(json.dumps(numbers)))
    steps(model, optimizer, 4)
    steps(copy, resumed, 4)
    assert torch.equal(model.weight, copy.weight)
    assert torch.equal(model.bias, copy.bias)


def test_state_that_is_neither_tensor_nor_number_is_refused():
    model = nn.Linear(3, 2)
    optimizer = torch.optim.LBFGS(model.parameters())

    def closure():
        optimizer.zero_grad()
        loss = model(torch.ones(1, 3)).square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with pytest.raises(CheckpointError, match=r"LBFGS keeps .* as list"):
        pack(optimizer)
