"""Networks with a forward pass of their own: pools, leaky ReLUs and sums against samples, grids and identities."""

import functools
import itertools

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from reference import linear_bounds as reference
from trustworthy.attacks import PGD
from trustworthy.certify import certify_linear, linear_bounds, tracing
from trustworthy.certify.nonlinear import MaxPooling, Rectifier
from trustworthy.certify.regions import Box
from trustworthy.certify.tracing import _READERS, read
from trustworthy.core.errors import InvalidInput, ModelContractError
from trustworthy.core.norms import NORMS
from trustworthy.core.threat import ThreatModel
from trustworthy.nn import Normalize
from trustworthy.nn.backbones import LeNet, SmallConvNet

METHODS = ("crown", "interval")
IMAGE = (2, 6, 5)
each_method = pytest.mark.parametrize("method", METHODS)


class Residual(nn.Module):
    """Convolutions beside a projection and beside nothing, in place as torchvision's networks are."""

    def __init__(self):
        super().__init__()
        self.normalize = Normalize([0.4, 0.6], 0.5)
        self.conv1, self.conv2 = nn.Conv2d(2, 3, 3, padding=1, bias=False), nn.Conv2d(3, 3, 3, padding=1)
        self.project, self.norm = nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3)
        self.relu, self.drop, self.head = nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(6, 3)

    def forward(self, x):
        x = self.normalize(x)
        out = self.relu(self.norm(self.conv1(x)))
        out = self.conv2(out)
        out += self.project(x)
        out = self.relu(out)
        out = out - 0.5 * self.conv2(out)
        out = F.adaptive_avg_pool2d(out, (1, 2))
        return self.head(self.drop(out).view(out.size(0), -1))


class Functional(nn.Module):
    """Pools that overlap and are padded, and the functions for what modules do; the shape is asked and branched on."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(2, 4, 2), nn.Linear(24, 3)
        self.scale = nn.Parameter(torch.tensor([1.0, -1.5, 0.5, 2.0]))

    def forward(self, x):
        if x.ndim != 4:
            raise ValueError("images, please")
        x = F.leaky_relu(self.conv(x), 0.3) * self.scale.exp()[:, None, None]
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        x = torch.relu(1.0 + F.dropout(x, training=self.training))
        return F.linear(torch.flatten(x, 1), torch.tanh(self.head.weight) / 2, self.head.bias)


def pooled():
    """Two poolings, one of pixels that no ReLU has seen."""
    layers = [nn.Conv2d(2, 4, 2, padding=1), nn.MaxPool2d((3, 2), stride=1), nn.LeakyReLU(0.1), nn.Conv2d(4, 5, 2)]
    return nn.Sequential(*layers, nn.ReLU(), nn.MaxPool2d(2, dilation=(1, 2)), nn.Flatten(), nn.LazyLinear(3))


def built(make, seed=0):
    """A network in float64, with statistics and weights that let it bend."""
    torch.manual_seed(seed)
    net = make().double().eval()
    net(torch.zeros(1, *IMAGE).double())
    with torch.no_grad():
        for layer in net.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                layer.weight *= 2.0
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_(std=0.2)
                layer.running_var.uniform_(0.5, 2.0)
    return net


NETS = {make.__name__: built(make) for make in (Residual, Functional, pooled)}
each_norm = pytest.mark.parametrize(
    "norm", ["linf", *(pytest.param(norm, marks=pytest.mark.slow) for norm in ("l1", "l2"))]
)
each_net = pytest.mark.parametrize("net", NETS.values(), ids=NETS)


def examples(net, count=3, seed=1):
    torch.manual_seed(seed)
    x = (torch.rand(count, *IMAGE, dtype=torch.float64) * 1.4 - 0.2).clamp(0.0, 1.0)
    with torch.no_grad():
        return x, net(x).argmax(1)


def test_the_networks_of_this_file_use_every_kind_of_operation(monkeypatch):
    used = set()

    def noted(reader):
        @functools.wraps(reader)
        def read_as(*args, **kwargs):
            used.add(reader.__name__)
            return reader(*args, **kwargs)

        return read_as

    monkeypatch.setattr(tracing, "_READERS", {function: noted(reader) for function, reader in _READERS.items()})
    for net in NETS.values():
        tracing.read(net, torch.zeros(IMAGE).double())
    assert used == {reader.__name__ for reader in _READERS.values()} - {"_average"}


@each_net
def test_the_graph_computes_what_the_model_does(net):
    x, _ = examples(net, 5)
    assert_close(read(net, x[0]).results(x)[-1], net(x).detach(), rtol=1e-12, atol=1e-12)
    for edge in linear_bounds(net, x, 0.0):
        assert_close(edge, net(x).detach(), rtol=1e-9, atol=1e-9)


@each_net
@each_method
@each_norm
def test_no_point_of_the_ball_leaves_the_bounds(net, norm, method):
    x, _ = examples(net)
    for eps in (0.02, 0.3):
        threat = ThreatModel(norm, eps, (0.0, 1.0))
        lower, upper = linear_bounds(net, x, eps, norm=norm, method=method, bounds=(0.0, 1.0))
        torch.manual_seed(0)
        many = x.repeat(400, 1, 1, 1)
        points = threat.project(many, threat.sample(many))
        reach = [threat.project(x, x + 10 * threat.geometry.steepest(torch.randn_like(x))) for _ in range(20)]
        points = torch.cat([points, *reach, *climbed(net, x, threat)])
        z = net(points).detach().reshape(-1, len(x), 3)
        assert (z >= lower - 1e-9).all()
        assert (z <= upper + 1e-9).all()
        if method == "crown" and eps == 0.02:  # and the bounds are not vacuous
            assert (upper - lower <= 20 * (z.amax(0) - z.amin(0))).all()


def climbed(net, x, threat):
    """What steps along the gradient of each logit reach, up and down."""
    for k, sign in itertools.product(range(3), (1.0, -1.0)):
        point = x
        for _ in range(8):
            point = point.detach().requires_grad_()
            gradient = torch.autograd.grad(sign * net(point)[:, k].sum(), point)[0]
            point = threat.project(x, point.detach() + 0.3 * threat.eps * threat.geometry.steepest(gradient))
        yield point


@each_net
@each_norm
def test_no_attack_succeeds_within_the_radius(net, norm):
    x, y = examples(net, 6)
    radius = torch.from_numpy(certify_linear(net, x, y, norm=norm).lower)
    assert (radius > 0).all()
    for factor, some in ((1.0, False), (20.0, True)):
        eps = radius.clamp_max(100.0) * factor
        attack = PGD(eps=eps, norm=norm, steps=15, loss="margin", bounds=None)
        assert bool(attack(net, x, y).success.any()) == some


@each_net
def test_crown_is_never_looser_than_intervals(net):
    x, y = examples(net)
    for eps in (0.01, 0.3):
        tight, loose = (linear_bounds(net, x, eps, method=method) for method in METHODS)
        assert (tight[0] >= loose[0] - 1e-12).all()
        assert (tight[1] <= loose[1] + 1e-12).all()
    tight, loose = (certify_linear(net, x, y, norm="l2", method=method, tolerance=0.1).lower for method in METHODS)
    assert (tight > 1.2 * loose).any()


@each_net
def test_the_pieces_that_bound_the_memory_change_nothing(net, monkeypatch):
    x, y = examples(net, 2)
    whole, radius = linear_bounds(net, x, 0.1), certify_linear(net, x, y, tolerance=0.1).lower
    monkeypatch.setattr("trustworthy.certify.relaxation._NUMBERS", 6000)
    monkeypatch.setattr("trustworthy.certify.network._KEPT", 0)
    for found, expected in zip(linear_bounds(net, x, 0.1), whole, strict=True):
        assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert_allclose(certify_linear(net, x, y, tolerance=0.1).lower, radius, rtol=1e-9)


class Folded(nn.Module):
    """A piecewise linear function of 1 to 3 numbers: two residual folds and a maximum of four."""

    def __init__(self, features):
        super().__init__()
        self.first, self.fold = nn.Linear(features, 4), nn.Linear(4, 4)
        self.pool, self.head = nn.MaxPool2d(2, stride=1), nn.Linear(2, 2)

    def forward(self, x):
        x = F.leaky_relu(self.first(x), 0.2)
        x = x + torch.relu(self.fold(x))
        x = torch.add(x, F.leaky_relu(x - 0.3, 0.5))
        image = self.fold(x).reshape(len(x), 1, 2, 2)
        top = self.pool(image).flatten(1)
        return self.head(F.linear(top, top.new_ones(2, 1)))


@each_method
@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 60))])
def test_exhaustive_grids_lie_within_the_bounds(seed, method):
    torch.manual_seed(seed)
    features = seed % 3 + 1
    net = Folded(features).double()
    x, eps = torch.randn(1, features).double(), 0.05 + torch.rand(1).item()
    lower, upper = linear_bounds(net, x, eps, method=method)
    steps = torch.linspace(-eps, eps, (4001, 81, 25)[features - 1], dtype=torch.float64)
    grid = x + torch.cartesian_prod(*[steps] * features).reshape(-1, features)
    z = net(grid).detach()
    assert (z >= lower - 1e-9).all()
    assert (z <= upper + 1e-9).all()


@each_method
def test_a_residual_network_is_the_chain_that_carries_the_input_along(method):
    """Inputs are not negative, so ReLUs carry them unchanged: a chain of dense layers, bounded by the book."""
    torch.manual_seed(0)
    w, v, u = (torch.randn(*shape).double() for shape in ((5, 4), (4, 5), (3, 4)))

    class Sum(nn.Module):
        def forward(self, x):
            return F.linear(x + F.linear(torch.relu(F.linear(x, w)), v), u)

    carried = torch.cat([w, torch.eye(4)]), torch.cat([u @ v, u], dim=1)
    chain = [(matrix.numpy(), np.zeros(len(matrix))) for matrix in carried]
    x = torch.rand(4, 4, dtype=torch.float64)
    for eps in (0.05, 0.4):
        lower, upper = linear_bounds(Sum(), x, eps, bounds=(0.0, 1.0), method=method)
        for i, example in enumerate(x):
            low, high = reference.logit_bounds(chain, example.numpy(), eps, "linf", (0.0, 1.0), method)
            assert_allclose(lower[i], low, rtol=1e-9, atol=1e-9)
            assert_allclose(upper[i], high, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("norm", NORMS)
def test_sums_of_linear_maps_are_one_linear_map(norm):
    """x + W x - V (x + W x), written out, with W x used three times."""
    torch.manual_seed(0)
    w, v = torch.randn(2, 4, 4).double()

    class Sums(nn.Module):
        def forward(self, x):
            once = x + F.linear(x, w)
            return once - F.linear(once, v) + (once + once) / 4

    matrix = (torch.eye(4) - v + torch.eye(4) / 2) @ (torch.eye(4).double() + w)
    x, eps = torch.randn(3, 4).double(), 0.7
    moved = eps * NORMS[norm].dual.size(matrix)
    for method in METHODS:
        lower, upper = linear_bounds(Sums(), x, eps, norm=norm, method=method)
        assert_close(lower, x @ matrix.T - moved)
        assert_close(upper, x @ matrix.T + moved)


def pooling(**how):
    network = read(nn.MaxPool2d(**how), torch.zeros(IMAGE).double())
    return network.nodes[-1].operation


@pytest.mark.parametrize("how", [{"kernel_size": 2}, {"kernel_size": (3, 2), "stride": 1, "padding": 1}])
def test_the_bounds_of_a_maximum_hold_and_meet_where_one_input_dominates(how):
    torch.manual_seed(0)
    operation, layer = pooling(**how), nn.MaxPool2d(**how)
    middle, radius = torch.randn(2, 40, *IMAGE).double()
    box = Box(middle - radius.abs() / 2, middle + radius.abs() / 2)
    picks = operation.relaxed(box)
    functional = torch.randn(40, 6, *operation.outputs).double()
    pulled, constant = picks.pull_back(functional)
    for _ in range(50):
        x = box.lower + torch.rand_like(middle) * (box.upper - box.lower)
        truth = torch.einsum("brd,bd->br", functional.flatten(2), layer(x).flatten(1))
        bound = torch.einsum("brd,bd->br", pulled.flatten(2), x.flatten(1)) + constant
        assert (bound <= truth + 1e-9).all()
    peak = torch.einsum("bcw,bcw->bcw", picks.slope, box.upper.flatten(2).gather(2, picks.upper)) + picks.intercept
    assert_close(peak, layer(box.upper).flatten(2))  # the upper bound never exceeds the greatest end
    apart = Box(middle, middle + 1e-9)
    pulled, constant = operation.relaxed(apart).pull_back(functional)
    truth = torch.einsum("brd,bd->br", functional.flatten(2), layer(middle).flatten(1))
    assert_close(torch.einsum("brd,bd->br", pulled.flatten(2), middle.flatten(1)) + constant, truth)


def test_a_dead_input_does_not_hide_the_one_that_dominates():
    """After ReLUs many lower ends are 0 at once; the input that can rise is the maximum exactly."""
    operation = pooling(kernel_size=(1, 5))
    low = torch.zeros(1, *IMAGE).double()
    high = low.clone()
    high[..., 2] = 2.0
    picks = operation.relaxed(Box(low, high))
    assert (picks.lower == picks.upper).all()
    assert (picks.slope == 1.0).all()
    assert (picks.intercept == 0.0).all()


class PairwiseMaximum(nn.Module):
    """The maximum of windows of two as a + relu(b - a)."""

    def __init__(self, first, head):
        super().__init__()
        self.first, self.head = first, head

    def forward(self, x):
        z = self.first(x)
        a, b = F.linear(z, torch.eye(6)[::2].double()), F.linear(z, torch.eye(6)[1::2].double())
        return self.head(a + torch.relu(b - a))


def test_a_maximum_of_two_is_one_plus_the_relu_of_their_difference():
    torch.manual_seed(0)
    first, head = nn.Linear(4, 6), nn.Linear(3, 2)
    image = nn.Sequential(first, nn.Unflatten(1, (1, 1, 6)), nn.MaxPool2d((1, 2)), nn.Flatten(), head).double()
    pairs = PairwiseMaximum(first, head).double()
    x = torch.randn(20, 4).double()
    assert_close(image(x), pairs(x))
    pooled, folded = linear_bounds(image, x, 0.3), linear_bounds(pairs, x, 0.3)
    assert (pooled[0] <= folded[1]).all()
    assert (folded[0] <= pooled[1]).all()
    for found, expected in zip(linear_bounds(image, x, 1e-6), linear_bounds(pairs, x, 1e-6), strict=True):
        assert_close(found, expected, rtol=0, atol=1e-10)  # here one input of each window dominates
    y = image(x).argmax(1)
    by_pool, by_fold = certify_linear(image, x, y).lower, certify_linear(pairs, x, y).lower
    assert (by_pool / by_fold > 0.5).all()
    assert (by_pool / by_fold <= 1.0 + 2e-3).any()


def test_the_lines_of_a_leaky_relu_by_hand():
    for low, high, lower in ((-1.0, 3.0, 1.0), (-3.0, 1.0, 0.2)):
        lines = Rectifier(0.2).relaxed(Box(torch.tensor([[low]]).double(), torch.tensor([[high]]).double()))
        assert lines.lower.item() == lower
        assert_close(lines.upper.item() * high + lines.intercept.item(), high)
        assert_close(lines.upper.item() * low + lines.intercept.item(), 0.2 * low)
    for low, high, slope in ((1.0, 2.0, 1.0), (-2.0, -1.0, 0.2)):
        lines = Rectifier(0.2).relaxed(Box(torch.tensor([[low]]).double(), torch.tensor([[high]]).double()))
        assert (lines.lower.item(), lines.upper.item(), lines.intercept.item()) == (slope, slope, 0.0)


def test_a_leaky_relu_lies_between_a_relu_and_the_identity():
    torch.manual_seed(0)
    first, last = nn.Linear(4, 6), nn.Linear(6, 3)
    x = torch.randn(5, 4).double()
    bounds = {
        slope: linear_bounds(nn.Sequential(first, nn.LeakyReLU(slope), last).double(), x, 0.5)
        for slope in (0.0, 0.999999999999, 1.0)
    }
    assert_close(bounds[0.0], linear_bounds(nn.Sequential(first, nn.ReLU(), last).double(), x, 0.5), rtol=0, atol=0)
    assert_close(bounds[1.0], linear_bounds(nn.Sequential(first, last).double(), x, 0.5), rtol=1e-12, atol=1e-12)
    assert_close(bounds[1.0], bounds[0.999999999999], rtol=1e-9, atol=1e-9)


def test_a_module_is_what_it_calls():
    """A Sequential, its layers in a forward pass, a hook and a computed weight: one graph each."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).double()

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = layers

        def forward(self, x):
            return self.layers[2](F.relu(self.layers[0](x))).contiguous()

    class Doubled(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    x = torch.randn(3, 4).double()
    plain = linear_bounds(layers, x, 0.2)
    assert_close(linear_bounds(Own(), x, 0.2), plain, rtol=0, atol=0)
    shifted = nn.Sequential(*layers)
    shifted.register_forward_hook(lambda module, inputs, output: output + 1.0)
    assert_close(linear_bounds(shifted, x, 0.2), tuple(edge + 1 for edge in plain))
    torch.manual_seed(1)
    twice, once = Doubled(4, 3).double(), nn.Linear(4, 3).double()
    once.load_state_dict({name: 2 * value for name, value in twice.state_dict().items()})
    assert_close(linear_bounds(twice, x, 0.2), linear_bounds(once, x, 0.2))


def made(function):
    """A module whose forward pass is `function`."""

    class Made(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x):
            return function(self.linear(x), x)

    return Made()


def changed_through_a_view(z, x):
    z.view(-1, 2, 2).relu_()
    return z


class Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z):
        return z.tanh()


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda z, x: z.sigmoid(), InvalidInput, "got torch.Tensor.sigmoid. Else"),
        (lambda z, x: z * x, InvalidInput, "got torch.Tensor.mul, of 2 results"),
        (lambda z, x: torch.cat([z, x], 1), InvalidInput, "got torch.cat, of 2 results"),
        (lambda z, x: F.linear(x.new_ones(2, 4), z), InvalidInput, "got torch.nn.functional.linear"),
        (lambda z, x: z if z.max() > 0 else x, InvalidInput, "got torch.Tensor.max"),
        (lambda z, x: z if bool(z.flatten(1)[0, 0] > 0) else x, InvalidInput, "got torch.Tensor.__getitem__"),
        (lambda z, x: 1 / (z + 3), InvalidInput, "got torch.Tensor.__rtruediv__"),
        (lambda z, x: F.dropout(z, 0.5, training=True), InvalidInput, "got torch.nn.functional.dropout"),
        (lambda z, x: z + x[:, None], InvalidInput, "got torch.Tensor.__getitem__"),
        (lambda z, x: z.view(1, -1), InvalidInput, "view, to a result of shape"),
        (lambda z, x: z + z.view(-1, 1, 4), InvalidInput, "results of one shape"),
        (lambda z, x: z * torch.ones(2, 1), InvalidInput, "must broadcast to that shape"),
        (lambda z, x: torch.from_numpy(np.tanh(z.numpy())), InvalidInput, "got torch.Tensor.numpy"),
        (lambda z, x: torch.ones(2, 4).add_(z), InvalidInput, "got torch.Tensor.add_"),
        (changed_through_a_view, InvalidInput, "in place through a view"),
        (lambda z, x: torch.ones(len(x), 4), InvalidInput, "torch functions that Python calls"),
        (lambda z, x: Tanh.apply(z), InvalidInput, "got torch.Tensor.tanh"),
        (lambda z, x: z + torch.randn(4), ModelContractError, "remove randomness"),
    ],
)
def test_what_cannot_be_read_is_refused_and_named(function, error, message):
    with pytest.raises(error, match=message):
        linear_bounds(made(function), torch.rand(3, 4), 0.1)


@pytest.mark.parametrize(
    ("model", "side"),
    [
        (lambda: SmallConvNet(image_size=8, width=2), 8),
        pytest.param(lambda: LeNet(image_size=16), 16, marks=pytest.mark.slow),
    ],
    ids=["SmallConvNet", "LeNet"],
)
def test_backbones_are_certified(model, side):
    torch.manual_seed(0)
    net, x = model().eval(), torch.rand(2, 1, side, side)
    for layer in (layer for layer in net.layers if isinstance(layer, (nn.Conv2d, nn.Linear))):
        layer.weight.data *= 2.0
    y = net(x).argmax(1)
    proved = certify_linear(net, x, y, tolerance=0.1).lower
    assert (proved > 0).all()
    eps = torch.from_numpy(proved).float()
    assert (proved > certify_linear(net, x, y, tolerance=0.1, method="interval").lower).all()
    assert not PGD(eps=eps, steps=20, loss="margin", bounds=None)(net, x, y).success.any()


def test_a_pool_of_relus_asks_for_no_bounds_of_its_own():
    network = read(SmallConvNet(image_size=8, width=2), torch.zeros(1, 8, 8))
    assert network.neurons == 2 * 64 + 4 * 16 + 8
    assert sum(isinstance(node.operation, MaxPooling) for node in network.nodes) == 2
