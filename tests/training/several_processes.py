"""Runs of one process of several; the test launches two of it and compares with one."""

import sys
import time
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn

from trustworthy import training
from trustworthy.core.errors import TrainingDiverged
from trustworthy.training import resume


class Interruption(Exception):
    pass


def less(model, data):
    return -float(nn.functional.cross_entropy(model(data[0]), data[1]).detach())


def run(batch_size, loss=training.cross_entropy, folder=None, accumulate=1, best=None):
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
        metrics={"less": training.OfModel(less)},
        checkpoints=folder and training.Checkpoints(folder, every=1, best=best),
        engine=training.Engine(accumulate=accumulate),
    )
    return model, history


remaining = 0  # calls of the loss below before it stops the run


def interrupted(model, batch, moment):
    global remaining
    remaining -= 1
    if remaining < 0:
        raise Interruption
    return training.cross_entropy(model, batch, moment)


def broken_in_the_last_process(model, batch, moment):
    loss = training.cross_entropy(model, batch, moment)
    return loss * float("nan") if Accelerator().process_index else loss


def main(folder):
    global remaining
    accelerator = Accelerator()
    rank = accelerator.process_index
    assert accelerator.num_processes == 2
    for batch_size, accumulate in ((4, 1), (1, 1), (5, 2)):
        model, history = run(batch_size, accumulate=accumulate)
        training.save_weights(model, folder / f"batch{batch_size}-process{rank}.safetensors")
        (folder / f"batch{batch_size}-process{rank}.txt").write_text(repr([r.loss for r in history.records]))
    try:
        remaining = 6
        run(4, interrupted, folder / "run")
    except Interruption:
        remaining = 99
        model, history = run(4, interrupted, folder / "run")
        assert history.resumed_from == 6
        training.save_weights(model, folder / f"resumed-process{rank}.safetensors")
    write = resume.write_tensors
    resume.write_tensors = lambda *given: (time.sleep(0.5), write(*given))
    model, history = run(4, folder=folder / "best", best="less")
    assert history.best is history.records[-1]
    training.load_weights(model, folder / "best" / "best.safetensors")
    training.save_weights(model, folder / f"best-process{rank}.safetensors")
    try:
        run(4, broken_in_the_last_process)
    except TrainingDiverged:
        (folder / f"diverged-process{rank}").touch()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
