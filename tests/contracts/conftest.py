"""Contracts hold on every device: `pytest -m gpu tests/contracts` runs those that ask for one on an accelerator."""

import pytest
import torch


def pytest_generate_tests(metafunc):
    """On the CPU there is one case of each test, under its plain name; asked for, an accelerator takes its place."""
    if "device" in metafunc.fixturenames and metafunc.config.option.markexpr == "gpu":
        metafunc.parametrize("device", [pytest.param("cuda", marks=pytest.mark.gpu)], indirect=True)


@pytest.fixture
def device(request) -> torch.device:
    kind = getattr(request, "param", "cpu")
    if kind == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device, and torch sees none")
    return torch.device(kind)
