"""Runs of one process of several; the test launches two of it and compares with one."""

import sys
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn

from trustworthy import training
from trustworthy.core.errors import TrainingDiverged


class Interruption(Exception):
    pass


def run(batch_size, loss=training.cross_entropy, checkpoint_dir=None):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double()
    generator = torch.Generator().manual_seed(1)
    data = torch.rand(13, 3, generator=generator), torch.randint(2, (13,), generator=generator)
    history = training.fit(
        model,
        data,
        epochs=3,
        batch_size=batch_size,
        loss=loss,
        optimizer=partial(torch.optim.SGD, lr=0.5, momentum=0.9),
        validation=data,
        checkpoint_dir=checkpoint_dir,
        checkpoint_every=1,
    )
    return model, history


def interrupted(calls):
    def loss(model, batch, generator):
        nonlocal calls
        calls -= 1
        if calls < 0:
            raise Interruption
        return training.cross_entropy(model, batch, generator)

    loss.__qualname__ = training.cross_entropy.__qualname__
    return loss


def broken_in_the_last_process(model, batch, generator):
    loss = training.cross_entropy(model, batch, generator)
    return loss * float("nan") if Accelerator().process_index else loss


def main(folder):
    accelerator = Accelerator()
    rank = accelerator.process_index
    assert accelerator.num_processes == 2
    for batch_size in (4, 1):
        model, history = run(batch_size)
        training.save_weights(model, folder / f"batch{batch_size}-process{rank}.safetensors")
        (folder / f"batch{batch_size}-process{rank}.txt").write_text(repr([r.loss for r in history.records]))
    try:
        run(4, interrupted(6), folder / "run")
    except Interruption:
        model, history = run(4, interrupted(99), folder / "run")
        assert history.resumed_from == 6
        training.save_weights(model, folder / f"resumed-process{rank}.safetensors")
    try:
        run(4, broken_in_the_last_process)
    except TrainingDiverged:
        (folder / f"diverged-process{rank}").touch()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
