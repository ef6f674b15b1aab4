"""Each corruption against what its definition says, in a case that can be worked out by hand."""

import numpy as np
import pytest
from scipy.stats import binom, chi2, norm
from skimage.color import rgb2hsv

from trustworthy.datasets.corruptions import blur, corrupt, digital, noise, weather
from trustworthy.datasets.corruptions.constants import SCALES
from trustworthy.datasets.corruptions.weather import plasma

SEVERITIES = range(1, 6)
ENDS = [1, *(pytest.param(severity, marks=pytest.mark.slow) for severity in (2, 3, 4)), 5]
RISK = 1e-6  # probability that a right implementation fails a test of a distribution


def parameter(name, column, severity):
    return SCALES["cifar10-c"][name][column][severity - 1]


def assert_moments(sample, mean, variance, excess=0.0):
    """Mean and variance of `sample`, `excess` being the excess kurtosis of its distribution."""
    n = sample.size
    quantile = norm.isf(RISK / 2)
    assert abs(sample.mean() - mean) < quantile * np.sqrt(variance / n)
    assert abs(sample.var() / variance - 1) < quantile * np.sqrt((2 + excess) / n)


class TestNoise:
    @pytest.mark.parametrize("severity", ENDS)
    def test_gaussian_noise_has_the_published_deviation(self, severity):
        sigma = parameter("gaussian_noise", "sigma", severity)
        out = corrupt(np.full((50, 3, 32, 32), 0.5), "gaussian_noise", severity, 0)
        assert_moments(out, 0.5, sigma**2)

    @pytest.mark.parametrize("severity", ENDS)
    def test_shot_noise_has_the_variance_of_counted_photons(self, severity):
        photons = parameter("shot_noise", "photons", severity)
        out = corrupt(np.full((50, 3, 32, 32), 0.3), "shot_noise", severity, 0)
        assert_moments(out, 0.3, 0.3 / photons, excess=1 / (0.3 * photons))
        np.testing.assert_allclose(out * photons, np.rint(out * photons), atol=1e-9)

    @pytest.mark.parametrize("severity", ENDS)
    def test_impulse_noise_hits_the_published_share_half_black_half_white(self, severity):
        amount = parameter("impulse_noise", "amount", severity)
        x = np.full((20, 3, 32, 32), 0.4)
        out = corrupt(x, "impulse_noise", severity, 0)
        for value in (0.0, 1.0):
            low, high = binom(x.size, amount / 2).interval(1 - RISK)
            assert low <= np.count_nonzero(out == value) <= high
        assert set(np.unique(out)) == {0.0, 0.4, 1.0}

    def test_values_are_hit_independently_of_their_channel(self):
        out = noise.impulse_noise(np.full((100, 3, 16, 16), 0.4), amount=0.5, rng=np.random.default_rng(0))
        hits = (out != 0.4).transpose(0, 2, 3, 1).reshape(-1, 3)
        patterns = np.bincount(hits @ [1, 2, 4], minlength=8)
        expected = len(hits) / 8
        assert ((patterns - expected) ** 2 / expected).sum() < chi2(7).isf(RISK)


@pytest.mark.parametrize(
    "name", ["defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "contrast", "elastic_transform", "pixelate"]
)
@pytest.mark.parametrize("side", [8, 21, 32])
def test_averages_and_displacements_leave_a_constant_image_alone(name, side):
    x = np.broadcast_to(np.array([0.2, 0.5, 0.9])[:, None, None], (2, 3, side, side + 3)).copy()
    for severity in SEVERITIES:
        np.testing.assert_allclose(corrupt(x, name, severity, 0), x, atol=1e-6, err_msg=f"severity {severity}")


class TestDefocus:
    @pytest.mark.parametrize("severity", SEVERITIES)
    def test_kernel_has_mass_one_and_the_symmetry_of_the_square(self, severity):
        kernel = blur.disk_kernel(
            parameter("defocus_blur", "radius", severity), parameter("defocus_blur", "alias", severity)
        )
        assert kernel.sum() == pytest.approx(1, abs=1e-12)
        np.testing.assert_allclose(kernel, kernel.T, atol=1e-15)
        np.testing.assert_allclose(kernel, kernel[::-1], atol=1e-15)

    def test_kernel_is_the_disk_where_the_smoothing_vanishes(self):
        disk = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]]) / 5
        np.testing.assert_allclose(blur.disk_kernel(1, 0.1), np.pad(disk, 1), atol=1e-15)

    def test_kernel_of_a_point_is_the_smoothing(self):
        edge = np.exp(-1 / (2 * 0.5**2))
        taps = np.array([edge, 1, edge]) / (1 + 2 * edge)
        np.testing.assert_allclose(blur.disk_kernel(0.3, 0.5), np.outer(taps, taps))

    def test_smoothing_mirrors_the_disk_at_the_edge_of_the_published_grid(self):
        edge = np.exp(-1 / (2 * 0.5**2))
        middle, side = 1 / (1 + 2 * edge), edge / (1 + 2 * edge)
        kernel = blur.disk_kernel(8, 0.5)
        pixels = sum(r * r + c * c <= 64 for r in range(-8, 9) for c in range(-8, 9))
        # The tip of the disk is one pixel; the row below it, full around the middle, counts twice.
        assert kernel[0, 8] * pixels == pytest.approx(middle**2 + 2 * side * (middle + 2 * side))

    def test_edges_mirror_the_image(self):
        x = np.zeros((1, 1, 8, 8))
        x[0, 0, 1, 4] = 1
        out = blur.defocus_blur(x, radius=1, alias=0.1)[0, 0]
        assert out[0, 4] == pytest.approx(2 / 5)  # the pixel below it and its mirror image above


class TestGlass:
    @pytest.mark.parametrize("delta", [1, 2, 3, 4])
    @pytest.mark.parametrize(("h", "w"), [(8, 8), (9, 14), (16, 11)])
    def test_the_walk_is_solved_as_if_walked(self, delta, h, w):
        rng = np.random.default_rng(delta)
        x = rng.random((3, 3, h, w))
        visits = [(r, c) for r in range(h - delta, delta, -1) for c in range(w - delta, delta, -1)]
        steps = rng.integers(-delta, delta, (3, len(visits), 2))
        walked = x.copy()
        for image, moves in zip(walked, steps, strict=True):
            for (r, c), (dx, dy) in zip(visits, moves, strict=True):
                image[:, r, c] = image[:, r + dy, c + dx]
        np.testing.assert_array_equal(blur.displaced(x, steps, delta), walked)

    def test_only_values_of_near_pixels_appear(self):
        x = np.arange(144.0).reshape(1, 1, 12, 12) / 144
        out = blur.glass_blur(x, sigma=0.05, delta=1, iterations=1, rng=np.random.default_rng(0))
        moved = np.rint((x - out)[0, 0] * 144)
        assert set(np.unique(moved)) == {0, 1, 12, 13}  # stay, left, up, both
        assert not moved[:2].any()
        assert not moved[:, :2].any()


class TestMotion:
    @pytest.mark.parametrize(
        ("degrees", "direction"), [(0, (0, -1)), (90, (-1, 0)), (180, (0, 1)), (-90, (1, 0)), (45, (-1, -1))]
    )
    def test_a_point_becomes_a_half_gaussian_ray(self, degrees, direction):
        x = np.zeros((1, 1, 31, 31))
        x[0, 0, 15, 15] = 1
        out = blur.streaked(x, 3, 2.0, np.array([float(degrees)]))[0, 0]
        reach = np.arange(7)
        if degrees == 45:
            reach = np.ceil(reach / np.sqrt(2) - 0.5)
        weights = np.exp(-(np.arange(7) ** 2) / 8)
        expected = np.zeros((31, 31))
        for step, weight in zip(reach.astype(int), weights / weights.sum(), strict=True):
            expected[15 + step * direction[0], 15 + step * direction[1]] += weight
        np.testing.assert_allclose(out, expected, atol=1e-12)

    def test_images_move_in_their_own_directions_within_45_degrees_of_the_row(self):
        x = np.zeros((200, 1, 9, 9))
        x[:, 0, 4, 4] = 1
        out = blur.motion_blur(x, radius=2, sigma=5.0, rng=np.random.default_rng(0))
        assert not out[..., 5:].any()
        assert out[:, 0, :4].any(axis=(1, 2)).sum() > 50
        assert out[:, 0, 5:].any(axis=(1, 2)).sum() > 50


class TestZoom:
    def test_zoom_by_one_is_the_identity(self):
        np.testing.assert_array_equal(blur.zoom_matrix(9, 1.0), np.eye(9))

    @pytest.mark.parametrize("side", [8, 9, 28, 32, 33])
    def test_a_ramp_is_stretched_to_a_flatter_ramp_with_the_same_middle(self, side):
        ramp = np.arange(side, dtype=float)
        for factor in (1.06, 1.25, 1.75, 2.25, 4.5):
            stretched = blur.zoom_matrix(side, factor) @ ramp
            crop = int(np.ceil(side / factor))
            slope = (crop - 1) / (round(crop * factor) - 1)
            np.testing.assert_allclose(np.diff(stretched), slope, err_msg=f"factor {factor}")
            assert abs(stretched.mean() - ramp.mean()) <= 1

    @pytest.mark.parametrize("side", [8, 9, 27])
    def test_an_exact_zoom_flattens_a_ramp_about_its_middle(self, side):
        ramp = np.arange(side) - (side - 1) / 2
        np.testing.assert_allclose(blur.exact_zoom(side, 1.25) @ ramp, ramp / 1.25, atol=1e-12)
        np.testing.assert_array_equal(blur.exact_zoom(side, 1.0), np.eye(side))

    def test_the_blur_is_the_mean_of_the_image_and_its_zooms(self):
        x = np.random.default_rng(0).random((2, 3, 28, 14))
        zooms = [blur.zoom_matrix(28, f) @ x @ blur.exact_zoom(14, f).T for f in (1.0, 1.1, 1.2)]
        np.testing.assert_allclose(blur.zoom_blur(x, maximum=1.25, step=0.1), (x + sum(zooms)) / 4)

    @pytest.mark.parametrize(
        ("severity", "count"),
        [(1, 7), *(pytest.param(*case, marks=pytest.mark.slow) for case in ((2, 12), (4, 21), (5, 26))), (3, 16)],
    )
    def test_the_published_scripts_average_this_many_zooms(self, severity, count):
        # Counted from numpy.arange(1, maximum, 0.01): at severities 1 and 2 rounding lets the maximum take part.
        x = np.zeros((1, 1, 32, 32))
        x[..., 0, 0] = 1
        corner = sum(blur.zoom_matrix(32, 1 + k / 100)[0, 0] ** 2 for k in range(count))
        out = corrupt(x, "zoom_blur", severity)
        assert out[0, 0, 0, 0] == pytest.approx((1 + corner) / (count + 1))


class TestWeather:
    def test_snow_without_flakes_whitens_towards_the_luminance(self):
        x = np.random.default_rng(0).random((2, 3, 12, 12))
        calm = {"mean": 0.0, "spread": 0.0, "zoom": 1.0, "threshold": 0.5, "radius": 8, "sigma": 3.0}
        out = weather.snow(x, **calm, keep=0.8, rng=np.random.default_rng(0))
        grey = (0.299 * x[:, 0] + 0.587 * x[:, 1] + 0.114 * x[:, 2])[:, None]
        np.testing.assert_allclose(out, 0.8 * x + 0.2 * np.maximum(x, 1.5 * grey + 0.5))
        grey_out = weather.snow(x[:, :1], **calm, keep=0.8, rng=np.random.default_rng(0))
        np.testing.assert_allclose(grey_out, 0.8 * x[:, :1] + 0.2 * (1.5 * x[:, :1] + 0.5))

    def test_snow_adds_its_flakes_and_the_same_turned_in_every_channel(self):
        x = np.zeros((4, 3, 16, 16))
        flakes = weather.snow(
            x,
            mean=0.0,
            spread=0.3,
            zoom=1.0,
            threshold=0.5,
            radius=4,
            sigma=2.0,
            keep=1.0,
            rng=np.random.default_rng(0),
        )
        assert flakes.max() > 0
        np.testing.assert_allclose(flakes, np.rot90(flakes, 2, axes=(2, 3)))
        np.testing.assert_array_equal(flakes[:, 0], flakes[:, 2])

    def test_frost_adds_a_texture_of_the_published_amount(self):
        x = np.random.default_rng(0).random((3, 3, 16, 16)) * 0.4
        out = weather.frost(x, keep=0.9, amount=0.4, rng=np.random.default_rng(1))
        np.testing.assert_allclose(out, 0.9 * x + 0.4 * weather.frost_texture(x.shape, np.random.default_rng(1)))

    def test_frost_texture_is_rough_bright_and_bluish(self):
        ice = weather.frost_texture((100, 3, 32, 32), np.random.default_rng(0))
        assert ice.min() >= 0
        assert ice.max() <= 1
        level, contrast = ice[:, 1].mean(axis=(1, 2)), ice[:, 1].std(axis=(1, 2))
        assert 0.44 < level.min() < 0.5
        assert 0.75 < level.max() < 0.81
        assert contrast.mean() == pytest.approx(0.1, abs=0.005)
        red, green, blue = ice.mean(axis=(2, 3)).T
        assert (red <= green).all()
        assert (green <= blue).all()

    def test_fog_spans_from_the_darkened_image_to_its_brightest_value(self):
        out = weather.fog(np.full((3, 3, 16, 16), 0.6), amount=0.5, decay=2.0, rng=np.random.default_rng(0))
        np.testing.assert_allclose(out.min(axis=(1, 2, 3)), 0.6**2 / 1.1)
        np.testing.assert_allclose(out.max(axis=(1, 2, 3)), 0.6)
        np.testing.assert_array_equal(out[:, 0], out[:, 2])

    def test_fog_leaves_a_black_image_black(self):
        assert not weather.fog(np.zeros((1, 1, 8, 8)), amount=0.5, decay=2.0, rng=np.random.default_rng(0)).any()

    @pytest.mark.parametrize("severity", SEVERITIES)
    def test_brightness_raises_value_and_keeps_hue_and_saturation(self, severity):
        offset = parameter("brightness", "offset", severity)
        x = np.random.default_rng(0).random((2, 3, 12, 12))
        x[0, :, 0, 0] = 0
        before, after = (rgb2hsv(image, channel_axis=1) for image in (x, corrupt(x, "brightness", severity)))
        np.testing.assert_allclose(after[:, 2], np.minimum(before[:, 2] + offset, 1))
        np.testing.assert_allclose(after[:, :2], before[:, :2], atol=1e-9)

    def test_brightness_of_a_grey_image_is_a_sum(self):
        x = np.random.default_rng(0).random((1, 1, 8, 8))
        np.testing.assert_allclose(corrupt(x, "brightness", 5), np.minimum(x + 0.3, 1))


class TestPlasma:
    @pytest.mark.parametrize("side", [8, 32])
    def test_every_map_spans_zero_to_one(self, side):
        maps = plasma(5, side, side, 2.0, np.random.default_rng(0))
        np.testing.assert_array_equal(maps.min(axis=(1, 2)), 0)
        np.testing.assert_array_equal(maps.max(axis=(1, 2)), 1)

    def test_other_sizes_are_cut_from_the_next_power_of_two(self):
        cut = plasma(2, 20, 9, 2.0, np.random.default_rng(0))
        np.testing.assert_array_equal(cut, plasma(2, 32, 32, 2.0, np.random.default_rng(0))[:, :20, :9])

    def test_without_noise_a_point_is_the_mean_of_its_neighbours_around_the_torus(self):
        height = plasma(5, 8, 8, 1e5, np.random.default_rng(0))  # noise enough in the first octave alone
        corners = height[:, ::2, ::2]
        right = np.roll(corners, -1, axis=2)
        below, opposite = np.roll(corners, -1, axis=1), np.roll(right, -1, axis=1)
        centres = height[:, 1::2, 1::2]
        np.testing.assert_allclose(centres, (corners + right + below + opposite) / 4, atol=1e-8)
        above, left = np.roll(centres, 1, axis=1), np.roll(centres, 1, axis=2)
        np.testing.assert_allclose(height[:, ::2, 1::2], (corners + right + centres + above) / 4, atol=1e-8)
        np.testing.assert_allclose(height[:, 1::2, ::2], (corners + below + centres + left) / 4, atol=1e-8)

    def test_smoother_with_more_decay_and_continuous_around_the_torus(self):
        def roughness(decay, wrap):
            maps = plasma(50, 32, 32, decay, np.random.default_rng(0))
            step = maps - np.roll(maps, 1, axis=2)
            return np.abs(step[:, :, :1] if wrap else step[:, :, 1:]).mean()

        assert roughness(3.0, False) < roughness(2.0, False) < roughness(1.4, False)
        assert roughness(2.0, True) < 1.5 * roughness(2.0, False)


class TestDigital:
    @pytest.mark.parametrize("severity", SEVERITIES)
    def test_contrast_keeps_channel_means_and_scales_deviations(self, severity):
        x = np.random.default_rng(0).random((2, 3, 12, 12))
        out = corrupt(x, "contrast", severity)
        np.testing.assert_allclose(out.mean(axis=(2, 3)), x.mean(axis=(2, 3)))
        factor = parameter("contrast", "factor", severity)
        np.testing.assert_allclose(out.std(axis=(2, 3)), factor * x.std(axis=(2, 3)))

    def test_pixelate_by_half_averages_blocks(self):
        x = np.random.default_rng(0).random((2, 3, 8, 12))
        blocks = x.reshape(2, 3, 4, 2, 6, 2).mean(axis=(3, 5))
        np.testing.assert_allclose(digital.pixelate(x, factor=0.5), np.kron(blocks, np.ones((2, 2))), atol=1e-7)

    @pytest.mark.parametrize("severity", SEVERITIES)
    def test_pixelate_leaves_as_many_rows_as_published(self, severity):
        x = np.random.default_rng(0).random((1, 1, 32, 32))
        rows = np.unique(corrupt(x, "pixelate", severity)[0, 0], axis=0)
        assert len(rows) == int(32 * parameter("pixelate", "factor", severity))

    def test_jpeg_keeps_mid_grey_and_loses_more_at_lower_quality(self):
        grey = np.full((1, 3, 16, 16), 128 / 255)
        np.testing.assert_allclose(corrupt(grey, "jpeg_compression", 5), grey, atol=1e-12)
        x = np.random.default_rng(0).random((4, 3, 16, 16))
        losses = [np.abs(corrupt(x, "jpeg_compression", severity) - x).mean() for severity in SEVERITIES]
        assert losses == sorted(losses)
        assert len(set(losses)) == 5

    def test_jpeg_rounds_to_the_nearest_of_8_bits(self):
        x = np.full((1, 1, 16, 16), 100.6 / 255)
        np.testing.assert_allclose(digital.jpeg_compression(x, quality=100), 101 / 255, atol=1e-12)

    def test_jpeg_of_a_grey_image_is_that_of_its_colour_copy(self):
        x = np.random.default_rng(0).random((2, 1, 16, 16))
        colour = corrupt(np.repeat(x, 3, axis=1), "jpeg_compression", 3)
        np.testing.assert_allclose(corrupt(x, "jpeg_compression", 3), colour[:, :1], atol=1e-12)

    def test_elastic_without_motion_is_the_identity(self):
        x = np.random.default_rng(0).random((2, 3, 9, 12))
        still = digital.elastic_transform(x, alpha=0.0, sigma=0.1, shift=0.0, rng=np.random.default_rng(0))
        np.testing.assert_allclose(still, x, atol=1e-12)

    def test_elastic_carries_the_anchors_to_where_they_were_moved_and_mirrors_the_image_beyond_its_edges(self):
        h, w = 40, 50
        rows, columns = np.mgrid[:h, :w]
        x = np.repeat(np.stack([columns / w, rows / h, 0 * rows])[None], 2, axis=0)  # says where a value comes from
        out = digital.elastic_transform(x, alpha=0.0, sigma=0.0, shift=0.1, rng=np.random.default_rng(7))
        anchors = np.array([[25 + 13, 20 + 13], [25 + 13, 20 - 13], [25 - 13, 20 - 13]])
        moved = anchors + np.random.default_rng(7).uniform(-4.0, 4.0, (2, 3, 2))
        crossed = []
        for image, points in zip(out, moved, strict=True):
            for channel, side in ((0, w), (1, h)):
                offset, per_column, per_row = np.linalg.solve(
                    np.column_stack([np.ones(3), points]), anchors[:, channel]
                )
                origin = offset + per_column * columns + per_row * rows
                crossed += [origin.min() < 0, origin.max() > side - 1]
                mirrored = side - 1 - np.abs(side - 1 - np.abs(origin))
                np.testing.assert_allclose(image[channel] * side, mirrored, atol=0.5)
                smooth = np.minimum(mirrored, side - 1 - mirrored) >= 1  # elsewhere interpolation rounds the fold
                np.testing.assert_allclose(image[channel][smooth] * side, mirrored[smooth], atol=1e-9)
        assert any(crossed)

    def test_elastic_displaces_by_smoothed_noise(self):
        side, alpha = 64, 3 / 64
        ramp = np.broadcast_to(np.arange(side) / side, (20, 1, side, side)).copy()
        out = digital.elastic_transform(ramp, alpha=alpha, sigma=2 / 64, shift=0.0, rng=np.random.default_rng(0))
        field = (out - ramp)[:, 0, 12:-12, 12:-12] * side  # pixels along the row
        offsets = np.arange(-6, 7)
        taps = np.exp(-(offsets**2) / (2 * 2.0**2))
        deviation = 3 * np.sqrt(1 / 3) * ((taps / taps.sum()) ** 2).sum()
        assert field.std() == pytest.approx(deviation, rel=0.05)
        assert np.abs(np.diff(field, axis=2)).mean() < 0.6 * field.std()
