"""Structure and size against the published descriptions, any size of image, and how far a pixel looks."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from trustworthy.core.errors import InvalidInput
from trustworthy.models import load_model
from trustworthy.models.posterior_folder import Recipe, save_posterior
from trustworthy.nn import PersistentDropout, UNet, batch_ensemble, depth_for, fnet, persist_dropout, to_bayesian
from trustworthy.nn.batch_ensemble import RankOne
from trustworthy.nn.bayesian.layer import BayesianLayer
from trustworthy.training.weights import redrawn


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def layers(model, kind):
    return [module for module in model.modules() if isinstance(module, kind)]


def pix2pix_size(entering, leaving, wide):
    """4x4 convolutions without biases but for the last, batch normalisation in all levels but the outer and inner."""
    down = sum(16 * a * b for a, b in zip([entering, *wide], wide, strict=False)) + 2 * sum(wide[1:-1])
    inner = [wide[-1], *(2 * w for w in reversed(wide[:-1]))]
    up = sum(16 * a * b for a, b in zip(inner, [*reversed(wide[:-1]), leaving], strict=True))
    return down + up + 2 * sum(wide[:-1]) + leaving


def fnet_size(width, depth):
    """3x3 and 2x2 convolutions with biases, a batch normalisation after each but the last."""
    wide, total = [width * 2**level for level in range(depth + 1)], 9 * width + 1
    pairs = list(zip([1, *wide], wide, strict=False)) + [(2 * w, w) for w in wide[:-1]]
    total += sum(9 * a * b + 9 * b * b + 2 * 3 * b for a, b in pairs)
    return total + sum(4 * w * w + 4 * 2 * w * w + 2 * 3 * w for w in wide[:-1])


def test_it_is_unet_256_of_pix2pix_at_width_64():
    """A sixteenth of the width is as telling as all of it."""
    rgb, model = UNet(3, 3, width=4), UNet(width=4, dropout=0.5, tanh=True)
    wide = [4, 8, 16, 32, 32, 32, 32, 32]
    assert parameters(rgb) == pix2pix_size(3, 3, wide)
    assert pix2pix_size(3, 3, [16 * each for each in wide]) == 54_413_955  # 54.414 M, as pix2pix prints it
    assert UNet(depth=2).down[0].out_channels == 64
    assert [layer.out_channels for layer in layers(model, nn.Conv2d)] == wide
    assert [layer.out_channels for layer in layers(model, nn.ConvTranspose2d)] == [*wide[-2::-1], 1]
    assert {(layer.kernel_size, layer.stride) for layer in layers(model, nn.Conv2d)} == {((4, 4), (2, 2))}
    assert [type(layer).__name__ for layer in model.up[1]] == ["ReLU", "ConvTranspose2d", "BatchNorm2d", "Dropout"]
    assert [place for place, block in enumerate(model.up) if layers(block, nn.Dropout)] == [1, 2, 3]
    assert [type(layer).__name__ for layer in model.up[-1]] == ["ReLU", "ConvTranspose2d", "Tanh"]
    assert {layer.negative_slope for layer in layers(model, nn.LeakyReLU)} == {0.2}
    assert not layers(rgb, nn.Dropout | nn.Tanh)


def test_it_is_the_two_dimensional_network_of_pytorch_fnet_at_width_32():
    assert parameters(fnet(width=4)) == fnet_size(4, 4)
    assert fnet_size(32, 4) == 8_116_225
    assert fnet(depth=1).out.in_channels == 32


def test_the_weights_are_drawn_with_standard_deviation_0_02():
    torch.manual_seed(0)
    model = UNet(width=16, depth=5)
    weights = torch.cat([layer.weight.flatten() for layer in layers(model, nn.Conv2d | nn.ConvTranspose2d)])
    scales = torch.cat([layer.weight for layer in layers(model, nn.BatchNorm2d)]).detach()
    assert float(weights.detach().std()) == pytest.approx(0.02, rel=0.01)
    assert float(scales.mean()) == pytest.approx(1, abs=0.005)
    assert float(scales.std()) == pytest.approx(0.02, rel=0.1)
    assert bool((model.up[-1][1].bias == 0).all())


@pytest.mark.parametrize(
    ("size", "depth"), [(256, 8), (255, 7), ((1024, 300), 8), (8, 3), ([7, 100], 2), (1, 2), (100_000, 8)]
)
def test_the_depth_halves_the_shorter_side_down_to_one_pixel(size, depth):
    assert depth_for(size) == depth
    assert len(UNet(width=1, image_size=size).down) == depth


NETWORKS = [lambda: UNet(width=2, depth=3), lambda: fnet(width=2, depth=2)]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("sides", [(16, 24), (13, 17), (4, 8), (1, 1), (3, 40)])
def test_an_image_of_any_size_gives_one_of_that_size(network, sides):
    torch.manual_seed(0)
    model, x = network().eval(), torch.rand(2, 1, *sides)
    assert model(x).shape == x.shape


@pytest.mark.parametrize(("sides", "mode"), [((13, 18), "reflect"), ((3, 1), "replicate")])
def test_sides_are_padded_at_the_bottom_and_the_right(sides, mode):
    torch.manual_seed(0)
    model, x = UNet(width=2, depth=3).eval(), torch.rand(1, 1, *sides)
    padded = F.pad(x, (0, -sides[1] % 8, 0, -sides[0] % 8), mode=mode)
    assert torch.equal(model(x), model(padded)[..., : sides[0], : sides[1]])


@pytest.mark.parametrize("network", NETWORKS)
def test_a_pixel_depends_on_pixels_within_reach_and_on_the_last_of_them(network):
    torch.manual_seed(0)
    model = network().double().eval()
    for module in layers(model, nn.ReLU | nn.LeakyReLU):
        module.forward = lambda x: x  # a linear network has a gradient wherever it looks
    grid, centre = model.grid, 64
    furthest = 0
    for row in range(centre, centre + grid):
        x = torch.rand(1, 1, 128, grid, dtype=torch.float64, requires_grad=True)
        model(x)[0, 0, row].sum().backward()
        rows = x.grad.abs().sum((0, 1, 3)).nonzero()
        furthest = max(furthest, int(row - rows.min()), int(rows.max() - row))
    assert furthest == model.reach


def test_weights_are_drawn_anew_as_those_of_the_network_and_not_of_its_layers():
    again = redrawn(UNet(width=16, depth=4), seed=1)
    assert float(again.up[0][1].weight.detach().std()) == pytest.approx(0.02, rel=0.05)


def test_layers_are_found_by_what_changes_networks():
    model = UNet(width=2, depth=3, dropout=0.5)
    assert len(layers(persist_dropout(model), PersistentDropout)) == 1
    assert len(layers(batch_ensemble(model), RankOne)) == 6
    convolutions = len(layers(model, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d))
    assert len(layers(to_bayesian(model), BayesianLayer)) == convolutions == 9


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe("trustworthy.nn:UNet", {"width": 2, "image_size": [16, 9], "out_channels": 2}),
        Recipe("trustworthy.nn:fnet", {"width": 2, "depth": 1}, (("translate", {}),)),
    ],
)
def test_it_is_built_by_a_recipe_and_loads_without_trust(tmp_path, recipe):
    model, x = recipe.build().eval(), torch.rand(1, 1, 9, 9)
    save_posterior(model, tmp_path, recipe)
    assert torch.equal(load_model(tmp_path).model(x), model(x))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: UNet(0), "in_channels must be >= 1, got 0"),
        (lambda: UNet(depth=1), "depth must be >= 2, got 1"),
        (lambda: UNet(dropout=1.0), "dropout must be < 1, got 1.0"),
        (lambda: UNet(image_size=()), "image_size must be a side or a height and a width"),
        (lambda: fnet(width=0), "width must be >= 1, got 0"),
        (lambda: UNet(2, width=1, depth=2)(torch.rand(1, 3, 8, 8)), r"x must be images \(batch, 2, height, width\)"),
        (lambda: fnet(width=1, depth=1)(torch.rand(1, 1, 8, 0)), r"got \(1, 1, 8, 0\)"),
    ],
)
def test_what_it_cannot_be_built_or_asked_with_is_refused(build, message):
    with pytest.raises(InvalidInput, match=message):
        build()
