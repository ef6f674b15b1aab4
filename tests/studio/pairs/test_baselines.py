import numpy as np
import pytest

from trustworthy.metrics import pearson, psnr
from trustworthy.studio.pairs.baselines import baselines, moments


@pytest.mark.parametrize(("sources", "outputs"), [(1, 1), (2, 2), (3, 1), (1, 2)])
def test_moments_give_what_the_pixels_give(sources, outputs):
    rng = np.random.default_rng(0)
    pairs = []
    for pixels in (40 * 30, 20 * 50, 15 * 15):
        source = rng.integers(0, 255, (sources, pixels)).astype(np.uint8)
        target = (300 * rng.random((outputs, pixels)) - 2.0 * source.mean(0) + 7).astype(np.float32)
        pairs.append((source, target))
    train = [np.concatenate(each, 1) for each in zip(*pairs[:2], strict=True)]
    (mean, std), (target_mean, target_std) = ((each.mean(1)[:, None], each.std(1)[:, None]) for each in train)
    source, target = pairs[2]
    normalised = (source - mean) / std
    taken = (normalised if sources == outputs else normalised.mean(0, keepdims=True)) * target_std + target_mean
    found = baselines([moments(*pair) for pair in pairs[:2]], [moments(source, target)])
    span = float(np.ptp(target))
    flat = np.broadcast_to(target_mean, target.shape)
    assert found["identity"] == pytest.approx(
        {"pearson": pearson(taken, target), "psnr": psnr(taken, target, data_range=span)}, rel=1e-6
    )
    assert found["mean"] == {"pearson": None, "psnr": pytest.approx(psnr(flat, target, data_range=span), rel=1e-6)}


def test_is_undefined_for_constant_images_and_empty_without_pairs():
    flat, varied = moments(np.ones((1, 9)), np.arange(9.0)[None]), moments(np.arange(9.0)[None], np.arange(9.0)[None])
    assert baselines([flat], [flat])["identity"]["pearson"] is None
    assert baselines([varied], [varied])["identity"] == {"pearson": pytest.approx(1), "psnr": None}
    assert baselines([varied], []) == {}
