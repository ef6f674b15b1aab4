"""A run that kills itself with SIGKILL in the middle of an epoch; the test resumes it and compares.

Everything that has state is in it: momentum, batch normalisation, dropout, augmentation, a loss that draws, a schedule.
"""

import os
import signal
import sys
from functools import partial

import torch
from torch import nn

from trustworthy import training

killed_at = 0  # the call of the loss that dies; 0 for none
calls = 0


def loss(model, batch, moment):
    global calls
    calls += 1
    if calls == killed_at:
        os.kill(os.getpid(), signal.SIGKILL)
    x, y = batch
    return training.cross_entropy(model, (x + 0.1 * torch.randn(x.shape, generator=moment.generator), y), moment)


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(4 * 36, 3)
    )


def run(folder):
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(60, 1, 8, 8, generator=generator)
    y = torch.randint(3, (60,), generator=generator)
    model = network()
    history = training.fit(
        model,
        (x, y),
        epochs=4,
        batch_size=10,
        loss=loss,
        optimizer=partial(torch.optim.Adam, lr=0.01),
        schedule=training.Phases(lengths=(2, 1, 1)),
        augment=training.CropAndFlip(padding=1),
        validation=(x, y),
        checkpoints=training.Checkpoints(folder, every=2),
        seed=7,
    )
    return model, history


if __name__ == "__main__":
    torch.set_num_threads(1)
    killed_at = int(sys.argv[2])
    run(sys.argv[1])
