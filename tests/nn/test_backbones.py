"""Sizes and layer orders against counts worked out by hand from the published descriptions."""

import functools
import re

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from trustworthy.core.errors import CheckpointError, InvalidInput
from trustworthy.nn import Normalize, backbones, replaced
from trustworthy.nn.backbones import (
    MLP,
    LeNet,
    ResNeXt,
    SmallConvNet,
    densenet121,
    model_a_adv_bnn,
    model_a_rse,
    resnet50,
    vgg16,
)
from trustworthy.training.weights import assign_weights

IMAGE_NETWORKS = [SmallConvNet, LeNet, vgg16, ResNeXt, model_a_rse, model_a_adv_bnn]
CHANNELS = {SmallConvNet: 1, LeNet: 1}
SIDE = {SmallConvNet: 28, LeNet: 28, ResNeXt: 8, model_a_rse: 96, model_a_adv_bnn: 96}
"""Of images that the defaults take: a ResNeXt pools whatever its convolutions leave, which small ones do sooner."""


@functools.cache
def default(network):
    """Of the default arguments, made once for the tests that do not change it; its weights take longest to draw."""
    return network()


def undrawn(network, **arguments):
    """With weights of zeros, for tests that look at shapes alone."""
    with torch.device("meta"):
        model = network(**arguments)
    model.to_empty(device="cpu").load_state_dict({k: torch.zeros(v.shape) for k, v in model.state_dict().items()})
    return model.eval()


def images(network, count):
    side = SIDE.get(network, 32)
    return torch.rand(count, CHANNELS.get(network, 3), side, side)


def norm_shapes(name, wide):
    vectors = {f"{name}.{part}": (wide,) for part in ("weight", "bias", "running_mean", "running_var")}
    return vectors | {f"{name}.num_batches_tracked": ()}


def resnet50_shapes():
    shapes, entering = {"conv1.weight": (64, 3, 7, 7)} | norm_shapes("bn1", 64), 64
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        inner = 32 * 2**stage
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            for place, (wide, before, side) in enumerate(
                [(inner, entering, 1), (inner, inner, 3), (4 * inner, inner, 1)], start=1
            ):
                shapes[f"{name}.conv{place}.weight"] = (wide, before, side, side)
                shapes |= norm_shapes(f"{name}.bn{place}", wide)
            if block == 0:
                shapes[f"{name}.downsample.0.weight"] = (4 * inner, entering, 1, 1)
                shapes |= norm_shapes(f"{name}.downsample.1", 4 * inner)
            entering = 4 * inner
    return shapes | {"fc.weight": (1000, 2048), "fc.bias": (1000,)}


def densenet121_shapes():
    shapes, wide = {"features.conv0.weight": (64, 3, 7, 7)} | norm_shapes("features.norm0", 64), 64
    for block, layers in enumerate((6, 12, 24, 16), start=1):
        for layer in range(1, layers + 1):
            name = f"features.denseblock{block}.denselayer{layer}"
            shapes |= norm_shapes(f"{name}.norm1", wide) | norm_shapes(f"{name}.norm2", 128)
            shapes |= {f"{name}.conv1.weight": (128, wide, 1, 1), f"{name}.conv2.weight": (32, 128, 3, 3)}
            wide += 32
        if block < 4:
            shapes |= norm_shapes(f"features.transition{block}.norm", wide)
            shapes[f"features.transition{block}.conv.weight"] = (wide // 2, wide, 1, 1)
            wide //= 2
    shapes |= norm_shapes("features.norm5", 1024)
    return shapes | {"classifier.weight": (1000, 1024), "classifier.bias": (1000,)}


PUBLISHED = {
    resnet50: (resnet50_shapes, 320, 25_557_032, "layer1.0.downsample.0.weight"),
    densenet121: (densenet121_shapes, 727, 7_978_856, "features.denseblock1.denselayer1.conv1.weight"),
}
"""Names and shapes of torchvision's weights as its descriptions give them, how many there are, how many numbers the
parameters have, and a name among them."""


@pytest.mark.parametrize("network", PUBLISHED)
def test_names_and_shapes_of_the_weights_are_those_that_torchvision_publishes(network):
    expected, count, size, name = PUBLISHED[network]
    with torch.device("meta"):
        model = network()
    found = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert found == expected()
    assert (len(found), name in found, parameters(model)) == (count, True, size)


def test_the_strides_of_resnet50_are_in_its_3x3_convolutions():
    with torch.device("meta"):
        model = resnet50()
    strided = {
        name: layer.kernel_size for name, layer in model.named_modules() if getattr(layer, "stride", 1) == (2, 2)
    }
    shortcuts = {f"layer{stage}.0.downsample.0": (1, 1) for stage in (2, 3, 4)}
    assert strided == {"conv1": (7, 7), **{f"layer{stage}.0.conv2": (3, 3) for stage in (2, 3, 4)}, **shortcuts}


def test_the_first_files_of_torchvision_load_with_their_old_names_and_without_counters():
    """Layers are named "norm.1", and no batch normalisation counts its batches."""
    model = undrawn(densenet121)
    assert model(torch.rand(1, 3, 32, 40)).shape == (1, 1000)
    given = {
        name: torch.full_like(value, number)
        for number, (name, value) in enumerate(model.state_dict().items())
        if not name.endswith("num_batches_tracked")
    }
    old = {re.sub(r"(denselayer\d+\.(norm|conv))([12])", r"\1.\3", name): value for name, value in given.items()}
    assert "features.denseblock1.denselayer1.norm.1.running_var" in old
    assign_weights(model, old, "densenet121.pth")
    kept = model.state_dict()
    assert all(torch.equal(kept[name], value) for name, value in given.items())
    assert int(kept["features.norm0.num_batches_tracked"]) == 0


def test_published_weights_for_other_classes_are_refused_by_the_layers_that_differ():
    with torch.device("meta"):
        published, model = resnet50().state_dict(), resnet50(classes=2)
    with pytest.raises(CheckpointError, match=r"of another shape: fc.bias \(file \(1000,\), model \(2,\)\), fc.weight"):
        assign_weights(model, published, "resnet50.pth")


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def conv(entering, leaving, side=3):
    return entering * leaving * side * side + leaving


def linear(entering, leaving):
    return entering * leaving + leaving


def order(model):
    """Layer kinds in short: the width of a convolution ("0" after it: no padding), M and A for pooling."""
    words = []
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            words.append(f"{layer.out_channels}" + ("" if layer.padding == (1, 1) else "(0)"))
        elif isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
            words.append("M" if isinstance(layer, nn.MaxPool2d) else "A")
    return " ".join(words)


@pytest.mark.parametrize("network", IMAGE_NETWORKS)
def test_defaults_map_a_batch_to_logits_that_train_every_parameter(network):
    model = default(network).train()
    logits = model(images(network, 2))
    assert logits.shape == (2, 10)
    gradients = torch.autograd.grad(logits.square().sum(), [*model.parameters()])
    assert all(gradient.abs().sum() > 0 for gradient in gradients)


@pytest.mark.parametrize(
    ("network", "side"),
    [
        (SmallConvNet, 8),
        (SmallConvNet, 11),
        (LeNet, 16),
        (LeNet, 26),
        (LeNet, 33),
        (vgg16, 64),
        (ResNeXt, 4),
        (model_a_rse, 127),
        (model_a_adv_bnn, 127),
    ],
)
def test_other_channels_classes_and_sides_fit(network, side):
    model = undrawn(network, channels=2, classes=3, image_size=side)
    assert model(torch.rand(1, 2, side, side)).shape == (1, 3)


@pytest.mark.parametrize("network", IMAGE_NETWORKS)
def test_one_image_gets_the_same_logits_alone_as_in_a_batch(network):
    model, x = default(network).eval(), images(network, 3)
    with torch.no_grad():
        torch.testing.assert_close(model(x)[1:2], model(x[1:2]), atol=1e-5, rtol=1e-5)


ACTIVATIONS = {"relu", "relu6", "leaky_relu", "elu", "gelu", "silu", "mish", "tanh", "sigmoid", "softplus", "softmax"}
ACTIVATIONS |= {f"{name}_" for name in ACTIVATIONS} | {"hardtanh", "clamp", "clamp_min", "clip", "maximum", "where"}


class NoActivation(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        assert function.__name__ not in ACTIVATIONS, function.__name__
        return function(*args, **(kwargs or {}))


def flat(**arguments):
    return MLP(features=3 * 32 * 32, classes=10)


@pytest.mark.parametrize("network", [*IMAGE_NETWORKS, flat])
def test_every_activation_is_a_module_that_can_be_replaced(network):
    model, x = undrawn(network), images(network, 1)
    with torch.no_grad(), pytest.raises(AssertionError, match="relu"), NoActivation():
        model(x)
    linear = replaced(model, lambda name, module: nn.Identity() if isinstance(module, nn.ReLU) else None)
    with torch.no_grad(), NoActivation():
        linear(x)


def test_no_network_is_left_out_of_these_tests():
    named = [*IMAGE_NETWORKS, *PUBLISHED]
    elsewhere = {"BiLSTM", "WordTransformer"}  # test_word_networks
    assert {network.__name__ for network in named} | {"MLP"} | elsewhere == set(backbones.__all__)


def test_lenet_is_the_one_of_chapter_7():
    model = LeNet()
    assert parameters(model) == conv(1, 20, 5) + conv(20, 50, 5) + linear(800, 500) + linear(500, 10) == 431_080
    assert isinstance(model.layers[0], Normalize)
    assert model.layers[0].mean.item() == pytest.approx(0.1307)
    assert model.layers[0].std.item() == pytest.approx(0.3081)
    assert order(model) == "20(0) M 50(0) M"


def test_vgg16_has_the_published_order_and_size():
    model = default(vgg16)
    widths = [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    expected = sum(conv(a, b) + 2 * b for a, b in zip([3, *widths], widths, strict=False)) + linear(512, 10)
    assert parameters(model) == expected == 14_728_266
    assert order(model) == "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M"
    assert [type(layer) for layer in model[:3]] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]


@pytest.mark.parametrize(("width", "first", "last"), [(0.25, 16, 128), (2.0, 128, 1024), (1e-6, 1, 1)])
def test_the_width_factor_scales_every_convolution_of_vgg16(width, first, last):
    with torch.device("meta"):  # no memory: only the shapes are looked at
        widths = [layer.out_channels for layer in vgg16(width=width) if isinstance(layer, nn.Conv2d)]
    assert (widths[0], widths[-1], len(widths)) == (first, last, 13)


def test_resnext29_2x64d_has_the_published_size():
    total, entering = 3 * 64 + 2 * 64, 64
    for inner in (128, 256, 512):
        outer = 2 * inner
        for block in range(3):
            total += entering * inner + 2 * inner
            total += inner * (inner // 2) * 9 + 2 * inner
            total += inner * outer + 2 * outer
            total += (entering * outer + 2 * outer) if block == 0 else 0
            entering = outer
    model = default(ResNeXt)
    assert parameters(model) == total + linear(1024, 10) == 9_128_778
    # 29 weighted layers: the first convolution, 9 blocks of 3, the last linear; shortcuts do not count.
    residual = [
        name for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d) and "shortcut" not in name
    ]
    assert len(residual) + 1 == 29
    assert model.layers[0].kernel_size == (1, 1)
    assert {layer.groups for layer in model.modules() if getattr(layer, "kernel_size", 0) == (3, 3)} == {2}


def test_resnext_halves_the_image_twice():
    features = default(ResNeXt).layers[:-3](torch.rand(1, 3, 32, 32))
    assert features.shape == (1, 1024, 8, 8)


def test_model_a_of_the_self_ensemble():
    model = default(model_a_rse)
    convs = conv(3, 32) + conv(32, 64) + conv(64, 128) + conv(128, 128) + conv(128, 256) + conv(256, 256)
    assert parameters(model) == convs + linear(256, 10)
    assert order(model) == "32 M 64 M 128 M 128 M 256(0) 256(0) M"
    assert not any(layer.affine for layer in model if isinstance(layer, nn.BatchNorm2d))


def test_model_a_of_adv_bnn():
    model = default(model_a_adv_bnn)
    widths = [32, 64, 128, 256, 256, 512]
    convs = sum(conv(a, b) + 2 * b for a, b in zip([3, *widths], widths, strict=False))
    assert parameters(model) == convs + linear(512, 10)
    assert order(model) == "32 M 64 M 128 M 256 M 256(0) 512(0) A"


@pytest.mark.parametrize(
    ("network", "layers"),
    [(model_a_rse, "8 M 16 M 32 M 32 M 64(0) 64(0) M"), (model_a_adv_bnn, "8 M 16 M 32 M 64 M 64(0) 128(0) A")],
)
def test_the_width_factor_scales_every_convolution_of_model_a(network, layers):
    model = undrawn(network, width=0.25)
    assert order(model) == layers
    assert model(torch.rand(2, 3, 96, 96)).shape == (2, 10)


def test_mlp_without_hidden_layers_is_linear():
    model = MLP(features=12, classes=3, hidden=())
    x = torch.rand(4, 3, 2, 2)
    torch.testing.assert_close(model(x), x.flatten(1) @ model.layers[-1].weight.T + model.layers[-1].bias)


def test_mlp_size():
    assert parameters(MLP(features=7, classes=2, hidden=(5, 3))) == linear(7, 5) + linear(5, 3) + linear(3, 2)
    assert parameters(MLP(features=7, classes=2, hidden=5)) == linear(7, 5) + linear(5, 2)


@pytest.mark.parametrize("network", IMAGE_NETWORKS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": 1}, "classes must be >= 2, got 1"),
        ({"channels": 0}, "channels must be >= 1, got 0"),
        ({"image_size": 3}, r"image_size must be .* got 3; resize or pad"),
    ],
)
def test_bad_sizes_are_refused(network, arguments, message):
    with pytest.raises(InvalidInput, match=message):
        network(**arguments)


@pytest.mark.parametrize(
    ("network", "smallest"), [(SmallConvNet, 8), (LeNet, 16), (vgg16, 32), (model_a_rse, 96), (model_a_adv_bnn, 96)]
)
def test_the_smallest_side_is_the_smallest_that_works(network, smallest):
    with pytest.raises(InvalidInput, match=f"{smallest}"):
        network(image_size=smallest - 1)
    model = undrawn(network, image_size=smallest)
    assert model(torch.rand(1, CHANNELS.get(network, 3), smallest, smallest)).shape == (1, 10)


@pytest.mark.parametrize("network", [model_a_rse, model_a_adv_bnn])
def test_model_a_refuses_images_that_do_not_pool_to_one_position(network):
    with pytest.raises(InvalidInput, match="from 96 to 127"):
        network(image_size=128)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: vgg16(width=0), "width must be > 0"),
        (lambda: model_a_rse(width=0), "width must be > 0"),
        (lambda: vgg16(width=-1.0), "width must be > 0"),
        (lambda: vgg16(width=float("inf")), "width must be finite"),
        (lambda: SmallConvNet(width=0), "width must be >= 1"),
        (lambda: ResNeXt(cardinality=0), "cardinality must be >= 1"),
        (lambda: ResNeXt(width=0), "width must be >= 1"),
        (lambda: MLP(features=0, classes=2), "features must be >= 1"),
        (lambda: MLP(features=2, classes=1), "classes must be >= 2"),
        (lambda: MLP(features=2, classes=2, hidden=(3, 0)), "hidden must be >= 1"),
    ],
)
def test_bad_widths_are_refused(build, message):
    with pytest.raises(InvalidInput, match=message):
        build()
