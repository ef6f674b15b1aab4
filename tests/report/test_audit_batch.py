"""Every step of an audit shows a model at most as many examples at once as the plan's `batch` says."""

import pytest
import torch
from torch import nn

from report.small_audit import Halves, audited, images, table
from trustworthy.report.findings import KINDS

BATCH = 3
ALL = {kind.step for kind in KINDS} - {"robustness.poisoning"}  # which asks no model
A_FEW_ROWS = {"interpretation", "interpretation.explanation", "robustness.pictures", "robustness.certificate"}


def relu_network(width):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(width, 6), nn.ReLU(), nn.Linear(6, 2))


@pytest.mark.parametrize(
    ("what", "steps"),
    [
        ("images", A_FEW_ROWS),
        pytest.param("images", ALL - {"robustness.exchange"}, marks=pytest.mark.slow),
        pytest.param("rows of a table", ALL, marks=pytest.mark.slow),
    ],
)
def test_no_step_shows_more_than_the_batch(what, steps):
    x, y = images() if what == "images" else table(24)
    models = {"a": relu_network(x[0].size), "b": Halves() if what == "images" else relu_network(x[0].size)}
    sizes = []
    for model in models.values():
        model.register_forward_pre_hook(lambda model, given: sizes.append(len(given[0])))
    record = audited(
        models, (x, y), *steps, batch=BATCH, pictures={"shown": 6}, interpretation={"images": 7},
        certificate={"smoothing": 12, "multiples": [1.0]},
    )  # fmt: skip
    measured = {finding.name for finding in record.findings}
    assert measured >= {"robustness.linf.certified", "robustness.l2.smoothed", "robustness.linf.pictures"}
    left_out = {omission.part for omission in record.omissions if omission.model == "a"}
    assert left_out <= {"uncertainty.disagreement", "robustness.randomness"}  # one network, and it answers twice alike
    assert 1 < max(sizes) <= BATCH
