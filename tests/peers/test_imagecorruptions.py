"""Agreement with `imagecorruptions`, which follows the published ImageNet-C script, on the same random stream.

The package wants pkg_resources, NumPy 1 and an old scikit-image; what is missing of them is lent to it here.
"""

# ruff: noqa: NPY002 - the package draws from the global stream of NumPy

import functools
import sys
import types
import warnings

import numpy as np
import pytest
import skimage
from PIL import Image
from skimage.filters import gaussian

from trustworthy.datasets.corruptions import corrupt, digital

pytestmark = pytest.mark.peers
SEVERITIES = range(1, 6)


class LegacyStream(np.random.Generator):
    """A generator whose draws are those of `numpy.random.seed(seed)`."""

    def __init__(self, seed):
        super().__init__(np.random.PCG64(0))
        self._legacy = np.random.RandomState(seed)

    def uniform(self, *args, **kwargs):
        return self._legacy.uniform(*args, **kwargs)

    def normal(self, *args, **kwargs):
        return self._legacy.normal(*args, **kwargs)

    def poisson(self, *args, **kwargs):
        return self._legacy.poisson(*args, **kwargs)

    def integers(self, *args, **kwargs):
        return self._legacy.randint(*args, **kwargs)


@pytest.fixture(scope="module")
def peer():
    reason = "needs `pip install --no-deps imagecorruptions==1.1.2 opencv-python-headless`"
    pytest.importorskip("cv2", reason=reason)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "pkg_resources" not in sys.modules:
            lent = types.ModuleType("pkg_resources")
            lent.resource_filename = lambda package, path: path
            patch.setitem(sys.modules, "pkg_resources", lent)
        pytest.importorskip("imagecorruptions", reason=reason)
        from imagecorruptions import corruptions

        patch.setattr(np, "float_", np.float64, raising=False)
        patch.setattr(corruptions, "gaussian", _gaussian)
        patch.setattr(skimage.util, "random_noise", functools.partial(skimage.util.random_noise, rng=0))
        yield corruptions


def _gaussian(image, sigma, multichannel=False, **options):
    """scikit-image's Gaussian filter under its old signature."""
    return gaussian(image, sigma, channel_axis=-1 if multichannel else None, **options)


def picture(side, channels):
    """8-bit image of shape (side, side) or (side, side, 3), smooth with some noise."""
    rng = np.random.default_rng(side)
    rows, columns = np.mgrid[:side, :side][..., None]
    waves = 127 + 100 * np.sin(rows / 7 + rng.uniform(0, 6, channels)) * np.cos(columns / 5)
    pixels = np.clip(waves + rng.normal(0, 10, waves.shape), 0, 255).astype(np.uint8)
    return pixels[..., 0] if channels == 1 else pixels


def theirs(function, severity, pixels, seed=11):
    np.random.seed(seed)
    return np.asarray(function(Image.fromarray(pixels), severity), dtype=float) / 255


def ours(name, severity, pixels, seed=11):
    x = np.atleast_3d(pixels).transpose(2, 0, 1)[None] / 255
    out = corrupt(x, name, severity, LegacyStream(seed), scale="imagenet-c")
    return out[0].transpose(1, 2, 0).reshape(pixels.shape)


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("defocus_blur", 1e-6),  # its kernel is in single precision
        ("zoom_blur", 1e-6),  # in single precision
        ("fog", 1e-12),
        ("brightness", 1e-12),
        ("contrast", 1e-12),
        ("jpeg_compression", 1e-12),
        ("pixelate", 1 / 255 + 1e-6),  # rounds to 8 bits after the rows and again after the columns
    ],
)
def test_same_image(peer, name, severity, channels, tolerance):
    pixels = picture(64, channels)
    np.testing.assert_allclose(
        ours(name, severity, pixels), theirs(getattr(peer, name), severity, pixels), rtol=0, atol=tolerance
    )


@pytest.mark.parametrize("severity", SEVERITIES)
def test_same_motion(peer, severity):
    pixels = picture(64, 3)  # it fails on grey images
    np.testing.assert_allclose(
        ours("motion_blur", severity, pixels),
        theirs(peer.motion_blur, severity, pixels),
        rtol=0,
        atol=1e-6,  # in single precision
    )


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", ["gaussian_noise", "shot_noise"])
def test_same_noise(peer, name, severity):
    pixels = picture(48, 1)  # with one channel the values are drawn in the same order
    np.testing.assert_allclose(
        ours(name, severity, pixels), theirs(getattr(peer, name), severity, pixels), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("severity", SEVERITIES)
def test_same_share_of_impulses(peer, severity):
    pixels = np.full((180, 180, 3), 100, dtype=np.uint8)
    black, white = ((theirs(peer.impulse_noise, severity, pixels) == value).sum() for value in (0, 1))
    out = ours("impulse_noise", severity, pixels)
    for value, count in ((0, black), (1, white)):
        assert abs((out == value).sum() - count) < 5 * np.sqrt(2 * count)  # five standard deviations


@pytest.mark.parametrize("severity", SEVERITIES)
def test_same_glass(peer, severity):
    pixels = picture(48, 3)
    difference = ours("glass_blur", severity, pixels) - theirs(peer.glass_blur, severity, pixels)
    # It cuts its values to 8 bits before it displaces them, and so loses less than one level.
    assert difference.min() > -1e-12
    assert difference.max() < 1 / 255


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("channels", [1, 3])
def test_same_snow(peer, severity, channels):
    # At this side every zoom fits the image; elsewhere it cuts at the corner what the published script cuts around.
    pixels = picture(180, channels)
    np.testing.assert_allclose(
        ours("snow", severity, pixels),
        theirs(peer.snow, severity, pixels),
        rtol=0,
        atol=1 / 255 + 1e-6,  # it rounds the flakes to 8 bits, and adds them twice
    )


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("channels", [1, 3])
def test_same_elastic_field(peer, severity, channels):
    # It leaves out the affine map of the published script and has one strength of its own per severity.
    side = 64
    pixels = picture(side, channels)
    alpha = 250 * 0.005 * (0.05, 0.065, 0.085, 0.1, 0.12)[severity - 1]
    x = np.atleast_3d(pixels).transpose(2, 0, 1)[None] / 255
    out = digital.elastic_transform(x, alpha=alpha, sigma=0.01, shift=0.0, rng=LegacyStream(11))
    np.random.seed(11)
    np.random.uniform(size=6)  # the draws of the affine map
    expected = np.asarray(peer.elastic_transform(Image.fromarray(pixels), severity)) / 255
    np.testing.assert_allclose(out[0].transpose(1, 2, 0).reshape(pixels.shape), expected, rtol=0, atol=1e-5)
