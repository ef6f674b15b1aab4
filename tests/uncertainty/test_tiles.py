"""By tiles as the whole image, without seams, from and to files."""

import numpy as np
import pytest
import tifffile
import torch
from torch import nn

from trustworthy.core.errors import InvalidInput, ModelContractError
from trustworthy.core.predictive import predict
from trustworthy.nn import Ensemble, Translator, UNet, fnet, to_bayesian
from trustworthy.uncertainty import predict_tiled


def lively(network):
    """With answers of about 1, so that an error shows."""
    model = network()
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.3)
        elif isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    model(torch.rand(2, 1, 64, 64))
    return model.eval()


def image(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)).numpy()


def whole(model, given, **settings):
    x = torch.from_numpy(given.astype(np.float32)).reshape(1, -1, *given.shape[-2:])
    return predict(model, x, **settings)


NETWORKS = [lambda: UNet(width=3, depth=3), lambda: fnet(width=3, depth=2), lambda: UNet(1, 2, width=3, depth=2)]


FLAT = pytest.param((41, 200), 96, marks=pytest.mark.slow)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(("sides", "tile"), [((125, 90), 72), FLAT])
def test_tiles_that_overlap_by_twice_the_reach_give_the_whole_image(network, sides, tile):
    torch.manual_seed(0)
    model, given = Ensemble(lively(network) for _ in range(2)), image(1, *sides)
    reach = model.members[0].reach
    expected, found = whole(model, given), predict_tiled(model, given, tile=tile, overlap=2 * reach)
    assert float(expected.std.mean()) > 0.1
    np.testing.assert_allclose(found.mean, expected.mean[0], atol=1e-5)
    np.testing.assert_allclose(found.std, expected.std[0], atol=1e-5)


@pytest.mark.parametrize(("overlap", "largest"), [(16, 1.5 / 8), (8, 1.5 / 4), (0, 1.0)])
def test_tiles_that_differ_are_blended_smoothly_over_half_of_the_overlap(overlap, largest):
    """A model that gives each tile one number, 1 for the left of two: 3 s^2 - 2 s^3 has no slope above 1.5."""
    given = np.zeros((1, 64, 96 - overlap), np.float32)
    given[..., 0] = 48.0
    found = predict_tiled(lambda x: x.mean((2, 3), keepdim=True).expand_as(x), given, tile=48, overlap=overlap).mean
    assert set(found[0, 0, [0, -1]]) == {1.0, 0.0}
    assert 0.9 * largest <= np.abs(np.diff(found, axis=2)).max() <= largest
    assert bool((np.diff(found, axis=2) <= 0).all())


def test_files_are_read_and_written_by_tiles(tmp_path):
    torch.manual_seed(0)
    given = (1000 + 5000 * image(150, 170)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "source.tif", given)
    translator = Translator(lively(lambda: UNet(width=3, depth=2)), [3500.0], [1400.0], [200.0], [50.0])
    source = tifffile.memmap(tmp_path / "source.tif", mode="r")
    mean = tifffile.memmap(tmp_path / "mean.tif", shape=(150, 170), dtype=np.uint8)
    told = []
    read = Slices(source)
    predict_tiled(translator, read, tile=64, out=(mean, None), progress=told.append)
    mean.flush()
    expected = np.clip(np.rint(whole(translator, given).mean[0, 0].numpy()), 0, 255)
    assert 0 < expected.mean() < 250
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "mean.tif"), expected)
    assert read.largest <= 64 * 64
    assert told == pytest.approx(np.arange(1, len(told) + 1) / len(told))
    assert len(told) > 4


class Slices:
    """An array that remembers the largest part that was read of it."""

    def __init__(self, array):
        self.array, self.shape, self.largest = array, array.shape, 0

    def __getitem__(self, place):
        part = self.array[place]
        self.largest = max(self.largest, part.size)
        return part


def test_a_network_with_random_weights_shows_the_same_draws_in_all_tiles():
    torch.manual_seed(0)
    model, given = to_bayesian(lively(lambda: fnet(width=2, depth=1)), init_std=0.1).eval(), image(1, 90, 60)
    generator = torch.Generator().manual_seed(3)
    found = predict_tiled(model, given, tile=48, draws=3, generator=generator)
    again = predict_tiled(model, given, tile=200, draws=3, generator=torch.Generator().manual_seed(3))
    assert float(again.std.max()) > 0.01
    np.testing.assert_allclose(found.mean, again.mean, atol=1e-5)
    np.testing.assert_allclose(found.std, again.std, atol=1e-5)


def test_a_network_of_any_make_is_asked_with_the_overlap_that_is_given():
    torch.manual_seed(0)
    model, given = nn.Conv2d(2, 1, 5, padding=2).double(), image(2, 50, 50)
    found = predict_tiled(model, given, tile=20, overlap=8)  # a quarter of it is the reach of the convolution
    np.testing.assert_allclose(found.mean, whole(model.float(), given).mean[0].detach(), atol=1e-6)


def normalising(layer):
    return nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), layer, nn.Conv2d(2, 1, 1))


@pytest.mark.parametrize(
    "layer",
    [nn.InstanceNorm2d(2), nn.GroupNorm(1, 2), nn.BatchNorm2d(2, track_running_stats=False), nn.AdaptiveAvgPool2d(1)],
    ids=str,
)
def test_layers_that_look_at_the_whole_image_are_refused_for_several_tiles(layer):
    with pytest.raises(InvalidInput, match=r"its .* looks at the whole image"):
        predict_tiled(normalising(layer), image(1, 40, 40), tile=20)


def test_layers_with_kept_statistics_and_single_tiles_are_not_refused():
    kept = normalising(nn.InstanceNorm2d(2, track_running_stats=True)).eval()
    assert predict_tiled(kept, image(1, 40, 40), tile=20).mean.shape == (1, 40, 40)
    assert predict_tiled(normalising(nn.GroupNorm(1, 2)), image(40, 40), tile=40).mean.shape == (1, 40, 40)


NET = nn.Conv2d(1, 1, 3, padding=1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image": image(4, 4, 4, 1)}, r"image must be an array .* got \(4, 4, 4, 1\); channels at the end go first"),
        ({"image": [[0.0]]}, "got list"),
        ({"image": image(1, 0, 3)}, r"got \(1, 0, 3\)"),
        ({"tile": 0}, "tile must be >= 1, got 0"),
        ({"overlap": -1}, "overlap must be >= 0, got -1"),
        ({"tile": 8, "overlap": 8}, "overlap must be smaller than tile, got 8 and 8 in steps of 1"),
        ({"tile": 8, "overlap": 5, "grid": 4}, "got 8 and 8 in steps of 4"),
        ({"out": (np.zeros((4, 5)), None)}, r"out for the mean must have the shape \(1, 20, 20\), got \(4, 5\)"),
        ({"out": (np.zeros((20, 20)), np.zeros((2, 20, 20)))}, r"out for the std must have the shape"),
    ],
)
def test_what_cannot_be_tiled_is_refused(settings, message):
    with pytest.raises(InvalidInput, match=message):
        predict_tiled(NET, **{"image": image(1, 20, 20), **settings})


def test_a_network_that_answers_with_smaller_images_is_refused():
    with pytest.raises(ModelContractError, match=r"an image \(1, 1, 20, 20\) by one of .* got \(1, 1, 18, 18\)"):
        predict_tiled(nn.Conv2d(1, 1, 3), image(1, 20, 20))
