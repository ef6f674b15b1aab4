"""What is learned from few images: how wide intervals are, what is promised of them, what is masked and flagged."""

import numpy as np
import pytest
from torch import nn

from trustworthy.core.seeds import numpy_generator
from trustworthy.nn import Translator
from trustworthy.studio.training import flagging
from trustworthy.studio.training.flagging import PIXELS, Calibration, Drawn, calibrate, meaning, promise
from trustworthy.studio.training.predicting import Answer

SIDE, SPREADS = 64, np.array([2.0, 3000.0])


def drawn(seed: int, *, scale: float = 1.0, alone: bool = False, channels: int = 1) -> tuple[Drawn, Translator]:
    """An image whose errors are uniform in the deviation of the members times [-4, 4] times `scale`."""
    rng, size = numpy_generator(seed, "image"), SPREADS[:channels, None, None]
    field = rng.normal(0, size, (channels, SIDE, SIDE))
    field = (field - field.mean((1, 2), keepdims=True)) / field.std((1, 2), keepdims=True) * size
    std = 0.1 * size * (np.full(field.shape, 0.1) if alone else rng.uniform(0.5, 1.5, field.shape))
    mean = field + std * rng.uniform(-4, 4, field.shape) * scale
    answer = Answer(*(values[None].astype(np.float32) for values in (mean, std * 0 if alone else std)))
    model = Translator.of(nn.Identity(), [field[:1]], [field])
    return Drawn(answer, [field], model, seed), model


def calibrated(count: int, *, seen: bool = False, tolerance: float | None = None, **given: object) -> Calibration:
    images = [drawn(seed, **given) for seed in range(count)]  # type: ignore[arg-type]
    return calibrate([image for image, _ in images], images[0][1], tolerance, seen=seen)


@pytest.mark.parametrize(("count", "promised"), [(1, 0.45), (3, 0.675), (9, 0.81)])
def test_nine_tenths_of_the_pixels_are_held_and_less_is_promised_where_images_are_few(count, promised):
    found = calibrated(count)
    assert found.factor == pytest.approx(0.9 * 4, rel=0.02)
    assert found.promised == pytest.approx(promised)
    told = promise(found)
    assert f"{count} validation image" in told
    assert f"Promised: at {int(100 * promised + 1e-9)}%" in told
    assert "20 would promise 85%" in told


def test_of_training_images_nothing_is_promised():
    found = calibrated(2, seen=True)
    assert found.promised == 0
    assert "Promised: nothing" in promise(found)
    assert "2 training images; as models are surer of these" in found.flagging


def test_one_network_has_one_width_no_mask_and_says_so():
    found = calibrated(2, alone=True)
    assert not found.varies
    width = found.uncertainty(np.zeros((1, 5, 7), np.float32), np.zeros((1, 5, 7), np.float32))
    assert np.ptp(width) == 0
    assert width[0, 0, 0] == pytest.approx(0.9 * 4 * 0.1 * 0.1 * SPREADS[0], rel=0.02)
    assert not found.mask(width).any()
    assert not found.flags(found.of_image([width]))
    assert "cannot disagree" in meaning(found)
    assert "equally uncertain" in found.flagging


def test_every_channel_counts_alike_whatever_its_units():
    found = calibrated(3, channels=2)
    assert found.tolerance[1] / found.tolerance[0] == pytest.approx(SPREADS[1] / SPREADS[0], rel=0.05)
    std = np.stack([np.full((4, 4), 0.1 * spread) for spread in SPREADS]).astype(np.float32)
    width = found.uncertainty(np.zeros_like(std), std)
    assert found.of_image([width]) == pytest.approx(
        found.factor * np.hypot(0.1, found.floor) * SPREADS.mean(), rel=1e-4
    )


def test_a_tolerance_masks_what_may_be_off_by_more_in_any_channel():
    found = calibrated(3, channels=2, tolerance=5.0)
    width = np.full((2, 4, 4), 4.9, np.float32)
    width[0, 0, 0] = width[1, 2, 2] = 5.1
    assert [*zip(*np.nonzero(found.mask(width)), strict=True)] == [(0, 0), (2, 2)]
    assert "tolerance that was set" in found.flagging


def test_an_image_more_uncertain_than_all_is_flagged():
    found = calibrated(4)
    assert not found.flags(found.threshold)
    assert found.flags(found.threshold * 1.01)
    assert "one in 5 by chance" in found.flagging


@pytest.mark.slow
def test_many_images_flag_above_what_keeps_the_risk_of_unusable_ones(monkeypatch):
    monkeypatch.setattr(flagging, "PIXELS", 512)
    good, bad = ([drawn(seed + start, scale=scale) for seed in range(count)] for start, scale, count in
                 ((0, 0.1, 60), (100, 3.0, 20)))  # fmt: skip
    for image, _ in bad:
        image.std *= 3  # which the members know
    found = calibrate([image for image, _ in good + bad], good[0][1], 0.5, seen=False)
    widths = [np.full((1, 1, 1), found.factor * image.std.mean() * found.sizes[0]) for image, _ in (good[0], bad[0])]
    assert [found.flags(found.of_image([width])) for width in widths] == [False, True]
    assert "with probability 90%" in found.flagging


@pytest.mark.parametrize("noise", [0.01, 0.03])
def test_noise_on_which_members_agree_has_a_floor(noise):
    """Half of the pixels have errors that the members know, the other half those of noise that they do not."""
    image, model = drawn(0)
    rng, half = numpy_generator(1, "noise"), slice(PIXELS // 2)
    image.std[half] = 1e-6
    image.mean[half] = image.target[half] + rng.uniform(-4, 4, PIXELS // 2) * noise
    found = calibrate([image], model, None, seen=False)
    assert found.varies
    assert found.floor == pytest.approx(noise, rel=0.1)


def test_the_curve_is_that_of_other_images():
    found = calibrated(3)
    rng = numpy_generator(9, "other")
    width = rng.uniform(1, 3, 20_000)
    right, small = (np.stack((width, width / 3.6 * rng.uniform(0, 4, width.size) * by)) for by in (1.0, 0.5))
    assert np.array(found.observed([right])) == pytest.approx(np.repeat(np.array(found.factors)[:, :1], 2, 1), abs=0.02)
    assert dict(found.observed([small]))[0.4] == pytest.approx(0.8, abs=0.02)


@pytest.mark.slow
def test_the_promise_holds_on_average_over_calibrations():
    """Images differ in how good their members are: four calibrate, one is new; of 90 % are promised 72."""
    rng, held = numpy_generator(0, "scales"), []
    for trial in range(150):
        scales = rng.uniform(0.1, 3.0, 5)
        images = [drawn(5 * trial + number, scale=float(scale)) for number, scale in enumerate(scales)]
        found = calibrate([image for image, _ in images[:4]], images[0][1], None, seen=False)
        new = images[4][0]
        assert found.promised == pytest.approx(0.72)
        held.append(float((np.abs(new.mean - new.target) <= found.factor * np.hypot(new.std, found.floor)).mean()))
    assert np.mean(held) >= 0.72, (np.mean(held), np.std(held))


def test_it_is_saved_and_read_again():
    found = calibrated(2)
    assert Calibration.model_validate_json(found.model_dump_json()) == found
