"""Metrics that are summed up over bands are those of whole images."""

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import nn

from trustworthy.core.seeds import numpy_generator
from trustworthy.nn import Translator
from trustworthy.studio.training import scoring
from trustworthy.studio.training.scoring import Score, averaged, constant, ends, identity

PLANES, SHAPE = 2, (2, 61, 40)


def images(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Target, prediction and uncertainty (planes, channels, height, width)."""
    rng = numpy_generator(seed, "images")
    target = rng.integers(1000, 1800, (PLANES, *SHAPE)).astype(np.uint16)
    width = rng.uniform(10, 300, target.shape).astype(np.float32)
    return target, (target + rng.normal(0, width)).astype(np.float32), width


def scored(prediction: np.ndarray, target: np.ndarray, uncertainty: np.ndarray | None = None) -> Score:
    score = Score(*ends(target), target.size, numpy_generator(0, "pixels"))
    for place, plane in enumerate(target):
        of_plane = None if uncertainty is None else uncertainty[place]
        score.add(lambda rows, at=place: prediction[at][:, rows], plane, of_plane)
    return score


@pytest.mark.parametrize("band", [1, 2 * 40 * 50, 2**21])
def test_bands_give_what_scikit_image_and_scipy_say_of_whole_images(monkeypatch, band):
    monkeypatch.setattr(scoring, "BAND", band)
    target, prediction, width = images()
    found = scored(prediction, target, width).values()
    high, low = int(target.max()), int(target.min())
    error = np.abs(prediction.astype(float) - target)
    assert found["pearson"] == pytest.approx(pearsonr(prediction.ravel(), target.ravel().astype(float))[0], abs=1e-12)
    assert found["psnr"] == pytest.approx(
        peak_signal_noise_ratio(target.astype(float), prediction.astype(float), data_range=high - low), abs=1e-9
    )
    similar = [
        structural_similarity(
            a.astype(float), b.astype(float), data_range=high - low, channel_axis=0, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False,
        )
        for a, b in zip(prediction, target, strict=True)
    ]  # fmt: skip
    assert found["ssim"] == pytest.approx(np.mean(similar), abs=1e-9)
    assert found["mae"] == pytest.approx(error.mean(), rel=1e-12)
    assert found["coverage"] == (error <= width).mean()
    assert found["uncertainty_correlation"] == pytest.approx(spearmanr(width.ravel(), error.ravel())[0], abs=1e-12)


def test_of_a_large_image_pixels_are_drawn_for_the_ranks_alone(monkeypatch):
    target, prediction, width = images()
    every = scored(prediction, target, width).values()
    monkeypatch.setattr(scoring, "PIXELS", 2000)
    score = scored(prediction, target, width)
    assert score.sample.shape == (2, 2000)
    some = score.values()
    assert some["uncertainty_correlation"] == pytest.approx(every["uncertainty_correlation"], abs=0.1)
    assert {**some, "uncertainty_correlation": 0} == {**every, "uncertainty_correlation": 0}


@pytest.mark.parametrize("value", [0.1, 1000.0])
def test_what_is_undefined_is_none(value):
    target, prediction, width = images()
    flat = np.full_like(prediction, value)
    assert scored(flat, target).values()["pearson"] is None
    assert scored(flat, target).values()["psnr"] is not None
    of_flat = scored(prediction, flat, width).values()
    assert [of_flat[name] for name in ("pearson", "psnr", "ssim")] == [None] * 3
    assert of_flat["mae"] is not None
    assert scored(prediction, target, flat).values()["uncertainty_correlation"] is None
    small = scored(prediction[..., :10], target[..., :10]).values()
    assert small["ssim"] is None
    assert small["pearson"] is not None


def test_baselines_have_mean_and_spread_of_the_target():
    rng = numpy_generator(0, "pairs")
    source, target = rng.normal(300, 20, (4, 1, 16, 16)), rng.normal((5000, 80), (900, 3), (4, 16, 16, 2))
    target = np.moveaxis(target, -1, 1)
    model = Translator.of(nn.Identity(), list(source), list(target))
    itself = np.stack([identity(plane, model) for plane in source])
    assert itself.mean((0, 2, 3)) == pytest.approx(target.mean((0, 2, 3)), rel=1e-5)
    assert itself.std((0, 2, 3)) == pytest.approx(target.std((0, 2, 3)), rel=1e-4)
    assert constant(source[0], model).shape == target[0].shape
    assert constant(source[0], model)[:, 3, 3] == pytest.approx(target.mean((0, 2, 3)), rel=1e-5)


def test_averages_leave_out_what_is_undefined():
    assert averaged([{"pearson": 0.5, "psnr": None}, {"pearson": None, "psnr": None}]) == {"pearson": 0.5, "psnr": None}
