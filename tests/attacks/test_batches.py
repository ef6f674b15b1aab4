"""No step of an evaluation asks a model about more than `batch_size` inputs, and its memory does not grow with rows."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from trustworthy.attacks import (
    PGD,
    BoundaryAttack,
    SquareAttack,
    diagnose,
    minimal_distortion,
    robustness_curve,
    transfer_affinity,
)

BATCH = 3


class Meter(torch.nn.Module):
    """A linear classifier that keeps the size of every batch that it is asked about."""

    def __init__(self, width):
        super().__init__()
        torch.manual_seed(0)
        self.net, self.sizes = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(width, 3)), []

    def forward(self, x):
        self.sizes.append(len(x))
        return self.net(x)


def case(count=11):
    torch.manual_seed(1)
    model, x = Meter(6), torch.rand(count, 6)
    y = model.net(x).argmax(1)
    return model, x, torch.where(torch.arange(count) == 4, (y + 1) % 3, y)


EVALUATIONS = {
    "curve": lambda m, x, y, **how: robustness_curve(m, PGD(eps=1.0, steps=3, restarts=2), x, y, [0.1, 0.3], **how),
    "curve of a walk": lambda m, x, y, **how: robustness_curve(m, BoundaryAttack(steps=5, starts=x), x, y, [1], **how),
    "curve of masked starts": lambda m, x, y, **how: robustness_curve(
        m, BoundaryAttack(steps=5, starts=x), x, y, [1], free=torch.ones_like(x, dtype=torch.bool), **how
    ),
    "curve of windows": lambda m, x, y, **how: robustness_curve(m, SquareAttack(eps=1.0, steps=9), x, y, [0.1], **how),
    "distortion": lambda m, x, y, **how: minimal_distortion(m, PGD(eps=1.0, steps=3), x, y, bisections=3, **how),
    "transfer": lambda m, x, y, **how: transfer_affinity([m, lambda z: m(z) * 2], PGD(eps=0.1), x, y, **how),
    "diagnosis": lambda m, x, y, **how: diagnose(m, x, y, attack=PGD(eps=0.1, steps=3), queries=5, **how),
}


@pytest.mark.parametrize("evaluation", EVALUATIONS.values(), ids=EVALUATIONS)
def test_no_batch_is_larger_than_was_allowed(evaluation):
    model, x, y = case()
    evaluation(model, x, y, batch_size=BATCH, generator=torch.Generator().manual_seed(0))
    assert 1 < max(model.sizes) <= BATCH


def test_starts_asked_in_parts_are_the_starts_asked_at_once():
    """Also where several lie equally near, and where no start of the first parts serves."""
    model, x, y = case(40)
    starts = torch.cat([x[y == y[0]], x, x])
    attack, stream = BoundaryAttack(steps=0, starts=starts), torch.Generator().manual_seed(0)
    alone = [attack(model, x[i : i + 1], y[i : i + 1], generator=stream).adversarial for i in range(8)]
    torch.testing.assert_close(torch.cat(alone), attack(model, x, y, generator=stream).adversarial[:8])
    other = model.net(starts).argmax(1)
    for i in range(8):
        if i == 4:
            continue
        nearest = starts[other != y[i]][(starts[other != y[i]] - x[i]).norm(dim=1).argmin()]
        way = (alone[i][0] - x[i]) / (nearest - x[i])
        torch.testing.assert_close(way, way[:1].expand_as(way), rtol=1e-3, atol=0)


PEAK = """
import re, sys
from pathlib import Path
import torch
from trustworthy.attacks import BoundaryAttack, robustness_curve

def peak():
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])

rows = int(sys.argv[1])
x = torch.rand(rows, 512, generator=torch.Generator().manual_seed(0))
weight = torch.randn(512, 64, generator=torch.Generator().manual_seed(1))

def model(z):
    hidden = torch.relu(z @ weight).repeat(1, 64)  # 16 kB of activations for each row
    return torch.stack([hidden[:, :2048].sum(1), hidden[:, 1:2049].sum(1)], 1)

y = torch.cat([model(part).argmax(1) for part in x.split(64)])
before = peak()
robustness_curve(model, BoundaryAttack(steps=3, starts=x), x, y, [0.5], batch_size=64)
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read where Linux says it")
def test_memory_is_flat_in_the_rows():
    few, many = (
        int(subprocess.run([sys.executable, "-c", PEAK, str(rows)], check=True, capture_output=True).stdout)
        for rows in (500, 5000)
    )
    # Of 4,500 more rows the inputs are 9 MB, and their activations would be 74 MB; distances of all pairs, 100 MB.
    assert many < few + 20e6, np.array([few, many]) / 1e6
