"""Every test is also a shape test: annotations of the library are enforced while the tests run."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from jaxtyping import install_import_hook

CHECKED = ("attacks", "core", "datasets", "metrics", "nn", "report", "training")
install_import_hook([f"trustworthy.{name}" for name in CHECKED], "typecheck.checked")

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
