"""Linear bounds: closed forms, a slow reference, soundness against samples and attacks, and the door."""

import copy
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn
from torch.testing import assert_close

from reference import linear_bounds as reference
from trustworthy.attacks import PGD, CarliniWagner
from trustworthy.certify import certify_linear, linear_bounds
from trustworthy.certify.nonlinear import Rectifier
from trustworthy.certify.regions import Box
from trustworthy.certify.search import largest_proved
from trustworthy.certify.tracing import read
from trustworthy.core.errors import InvalidInput, ModelContractError, UnknownName
from trustworthy.core.norms import NORMS
from trustworthy.core.threat import ThreatModel
from trustworthy.nn import Normalize

METHODS = ("crown", "interval")
each_norm = pytest.mark.parametrize("norm", NORMS)
each_method = pytest.mark.parametrize("method", METHODS)


def dense(widths=(6, 9, 7, 3), seed=0):
    torch.manual_seed(seed)
    layers = [nn.Flatten()]
    for narrow, wide in pairwise(widths):
        layers += [nn.Linear(narrow, wide), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).double().eval()


def convolutional(seed=0):
    """Every supported layer, nested; strides and paddings leave pixels that no window reaches."""
    torch.manual_seed(seed)
    body = nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout2d(0.5)
    )
    head = nn.Sequential(nn.Linear(8, 6), nn.BatchNorm1d(6, affine=False), nn.ReLU(), nn.Identity(), nn.Linear(6, 3))
    net = nn.Sequential(
        Normalize([0.4, 0.6], [0.3, 0.5]),
        body,
        nn.Conv2d(4, 4, (2, 1), dilation=(1, 2), groups=2, padding="valid"),
        nn.ReLU(),
        nn.AvgPool2d(2, stride=1, padding=1, divisor_override=3),
        nn.Conv2d(4, 2, 2, stride=2),
        nn.Flatten(),
        nn.Dropout(0.3),
        head,
    )
    for layer in (module for module in net.modules() if isinstance(module, (nn.Conv2d, nn.Linear))):
        layer.weight.data *= 2.5
        if layer.bias is not None:
            layer.bias.data *= 0.3
    for norm_layer in (body[1], head[1]):
        norm_layer.running_mean.normal_(std=0.2)
        norm_layer.running_var.uniform_(0.5, 2.0)
    return net.double().eval()


IMAGE = (2, 7, 6)
CASES = {"dense": (dense(), (6,)), "images": (convolutional(), IMAGE)}
each_net = pytest.mark.parametrize(("net", "shape"), CASES.values(), ids=CASES)


def examples(net, shape, count=4, seed=1):
    """Float64 inputs in [0, 1], some on the bounds, with their predicted classes."""
    torch.manual_seed(seed)
    x = (torch.rand(count, *shape, dtype=torch.float64) * 1.4 - 0.2).clamp(0.0, 1.0)
    with torch.no_grad():
        return x, net(x).argmax(1)


@each_norm
@each_method
def test_a_linear_model_has_its_distance_to_the_boundary_as_radius(norm, method):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 7), nn.Linear(7, 4)).double()
    x, y = examples(net, (3, 4), 9)
    with torch.no_grad():
        weight, z = net[2].weight @ net[1].weight, net(x)
    dual = NORMS[norm].dual
    distances = torch.stack(
        [(z[i, y[i]] - z[i, k]) / dual.size((weight[y[i]] - weight[k])[None]) for i in range(9) for k in range(4)]
    ).reshape(9, 4)
    exact = distances.nan_to_num(nan=torch.inf).amin(1).detach()
    found = certify_linear(net, x, y, norm=norm, method=method, tolerance=1e-9)
    assert (found.lower <= exact.numpy()).all()
    assert_allclose(found.lower, exact, rtol=1e-7)
    coarse = certify_linear(net, x, y, norm=norm, method=method, tolerance=0.1)
    assert (coarse.lower <= exact.numpy()).all()
    assert (coarse.lower >= 0.9 * exact.numpy() * (1 - 1e-7)).all()


@each_norm
@each_method
def test_the_logits_of_a_linear_model_move_by_eps_times_the_dual_norm(norm, method):
    net = dense((5, 3))
    x, _ = examples(net, (5,))
    eps = torch.tensor([0.0, 0.1, 0.2, 3.0])
    lower, upper = linear_bounds(net, x, eps, norm=norm, method=method)
    z, moved = net(x).detach(), NORMS[norm].dual.size(net[1].weight.detach())[None] * eps[:, None]
    assert_close(lower, z - moved)
    assert_close(upper, z + moved)


def test_bounds_by_hand():
    """z = relu(x1 + x2) - relu(x1 - x2), one ReLU that crosses symmetrically and one that is active."""
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)).double()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 1.0], [1.0, -1.0]]))
        net[0].bias.zero_()
        net[2].weight.copy_(torch.tensor([[1.0, -1.0], [0.0, 1.0]]))
        net[2].bias.zero_()
    x = torch.tensor([[1.0, 1.0]], dtype=torch.float64)
    # linf, eps 0.5: x1 + x2 in [1, 3] is active; v = x1 - x2 in [-1, 1] lies between v and v/2 + 1/2.
    # z0 >= x1 + x2 - (v + 1) / 2 = x1/2 + 3/2 x2 - 1/2 >= 2 - 1 - 1/2;  z0 <= x1 + x2 - v = 2 x2 <= 3.
    # z1 >= max(v, 0 from its interval) and z1 <= (v + 1) / 2 <= 1.
    lower, upper = linear_bounds(net, x, 0.5, norm="linf")
    assert_close(lower, torch.tensor([[0.5, 0.0]], dtype=torch.float64))
    assert_close(upper, torch.tensor([[3.0, 1.0]], dtype=torch.float64))
    lower, upper = linear_bounds(net, x, 0.5, norm="linf", method="interval")
    assert_close(lower, torch.tensor([[0.0, 0.0]], dtype=torch.float64))
    assert_close(upper, torch.tensor([[3.0, 1.0]], dtype=torch.float64))
    # Within [0, 1] both coordinates lie in [1/2, 1]: x1 + x2 in [1, 2], v in [-1/2, 1/2].
    # z0 >= x1 + x2 - v/2 - 1/4 = x1/2 + 3/2 x2 - 1/4 >= 3/4;  z0 <= 2 x2 <= 2.
    lower, upper = linear_bounds(net, x, 0.5, norm="linf", bounds=(0, 1))
    assert_close(lower, torch.tensor([[0.75, 0.0]], dtype=torch.float64))
    assert_close(upper, torch.tensor([[2.0, 0.5]], dtype=torch.float64))
    # l1, eps 0.5: v in [-1/2, 1/2] and z0 >= 2 - 1/4 - 3/2 * 1/2;  l2: v in [-s, s] with s = sqrt(1/2),
    # z0 >= 2 - s/2 - 1/2 |(1/2, 3/2)|.
    lower, _ = linear_bounds(net, x, 0.5, norm="l1")
    assert_close(lower[0, 0], torch.tensor(1.0, dtype=torch.float64))
    lower, _ = linear_bounds(net, x, 0.5, norm="l2")
    assert_close(lower[0, 0], torch.tensor(2 - 0.5**0.5 / 2 - 0.5 * 2.5**0.5, dtype=torch.float64))


def test_a_relu_that_is_mostly_off_is_bounded_below_by_zero_and_one_mostly_on_by_its_input():
    net = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 2)).double()
    with torch.no_grad():
        net[0].weight.fill_(1.0)
        net[0].bias.zero_()
        net[2].weight.copy_(torch.tensor([[1.0], [-1.0]]))
        net[2].bias.zero_()
        margin = nn.Sequential(*net, nn.Linear(2, 2).double())
        margin[3].weight.copy_(torch.tensor([[1.0, 0.0], [0.0, -1.0]]))
        margin[3].bias.zero_()
    for center, slope in ((0.5, 1.0), (-0.5, 0.0)):  # inputs in [-1/2, 3/2] and in [-3/2, 1/2]
        low, high = center - 1.0, center + 1.0
        relu = relaxed(low, high)
        assert relu.lower.item() == slope
        assert_close(relu.upper.item(), high / (high - low))
        assert_close(relu.intercept.item(), -low * high / (high - low))
        lower, upper = linear_bounds(margin, torch.tensor([[center]], dtype=torch.float64), 1.0)
        assert_close(lower, torch.zeros(1, 2, dtype=torch.float64))
        assert_close(upper, torch.full((1, 2), high, dtype=torch.float64))


def relaxed(low, high):
    return Rectifier(0.0).relaxed(Box(torch.tensor([[low]]).double(), torch.tensor([[high]]).double()))


REGIONS = [("linf", None), ("linf", (0.0, 1.0)), ("l2", None), ("l2", (0.0, 1.0)), ("l1", None)]


@pytest.mark.parametrize(
    ("name", "method", "norm", "bounds"),
    [  # half of them: each two of a network, a method and a region stand together in one
        pytest.param(name, method, *region, marks=pytest.mark.slow if (i + j + k) % 2 else ())
        for (i, name), (j, method), (k, region) in product(*map(enumerate, (CASES, METHODS, REGIONS)))
    ],
)
def test_equals_the_reference(name, method, norm, bounds):
    net, shape = CASES[name]
    x, y = examples(net, shape, 2)
    layers = reference.dense_layers(affine_parts(net), x[0])
    for eps in (0.03, 0.4):
        lower, upper = linear_bounds(net, x, eps, norm=norm, bounds=bounds, method=method)
        for i, example in enumerate(x):
            low, high = reference.logit_bounds(layers, example.flatten().numpy(), eps, norm, bounds, method)
            assert_allclose(lower[i], low, rtol=1e-9, atol=1e-9)
            assert_allclose(upper[i], high, rtol=1e-9, atol=1e-9)
    radius = certify_linear(net, x, y, norm=norm, bounds=bounds, method=method, tolerance=0.01).lower
    assert (radius > 0).all()
    for i, example in enumerate(x):
        arguments = (layers, example.flatten().numpy(), int(y[i]))
        assert reference.margin(*arguments, radius[i], norm, bounds, method) > 0
        if radius[i] < 1e6:
            assert reference.margin(*arguments, radius[i] * 1.02, norm, bounds, method) < 0


def affine_parts(net):
    """The affine layers between the ReLUs of a network, each as one callable in float64."""
    parts, current = [], []
    for module in net.modules():
        if isinstance(module, nn.ReLU):
            parts.append(nn.Sequential(*current))
            current = []
        elif not isinstance(module, nn.Sequential):
            current.append(module)
    return [*parts, nn.Sequential(*current)]


@each_net
@each_method
def test_the_pieces_that_bound_the_memory_change_nothing(net, shape, method, monkeypatch):
    x, y = examples(net, shape, 3)
    how = {"norm": "l2", "method": method}
    whole = linear_bounds(net, x, 0.1, **how)
    radius = certify_linear(net, x, y, tolerance=0.2, **how).lower
    monkeypatch.setattr("trustworthy.certify.relaxation._NUMBERS", 3000)
    monkeypatch.setattr("trustworthy.certify.network._KEPT", 0)
    for found, expected in zip(linear_bounds(net, x, 0.1, **how), whole, strict=True):
        assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert_allclose(certify_linear(net, x, y, tolerance=0.2, **how).lower, radius, rtol=1e-9)
    for i in (0, 2):
        one = certify_linear(net, x[i : i + 1], y[i : i + 1], tolerance=0.2, **how).lower
        assert_allclose(one, radius[i : i + 1], rtol=1e-9)


PAIRS = {
    ("linf", "dense", "crown", None), ("linf", "images", "interval", (0.0, 1.0)),
    ("linf", "images", "crown", (0.0, 1.0)),
    ("l2", "dense", "interval", (0.0, 1.0)), ("l2", "images", "crown", None),
    ("l1", "dense", "crown", (0.0, 1.0)), ("l1", "images", "interval", None),
}  # fmt: skip
"""Every two values of two parameters stand in one of them together."""


@pytest.mark.parametrize(
    ("norm", "name", "method", "bounds"),
    [
        pytest.param(*case, marks=() if case in PAIRS else pytest.mark.slow)
        for case in product(NORMS, CASES, METHODS, (None, (0.0, 1.0)))
    ],
)
def test_no_point_of_the_ball_leaves_the_bounds(norm, name, method, bounds):
    net, shape = CASES[name]
    x, _ = examples(net, shape)
    for eps in (0.05, 0.5):
        lower, upper = linear_bounds(net, x, eps, norm=norm, method=method, bounds=bounds)
        threat = ThreatModel(norm, eps, bounds)
        points = [threat.sample(x) for _ in range(10)]
        points += [threat.project(x, x + 10 * threat.geometry.steepest(p - x)) for p in points]
        points += list(corners_along_gradients(net, x, threat))
        with torch.no_grad():
            for point in points:
                assert (net(point) >= lower - 1e-9).all()
                assert (net(point) <= upper + 1e-9).all()


def corners_along_gradients(model, x, threat):
    """Steepest ascent and descent of each logit, four steps each."""
    for k in range(3):
        for sign in (1.0, -1.0):
            point = x
            for _ in range(4):
                point = point.detach().requires_grad_()
                gradient = torch.autograd.grad(sign * model(point)[:, k].sum(), point)[0]
                point = threat.project(x, point.detach() + 0.3 * threat.eps * threat.geometry.steepest(gradient))
            yield point


@each_norm
@each_net
def test_no_attack_succeeds_within_the_radius(net, shape, norm):
    x, y = examples(net, shape, 12)
    radius = torch.from_numpy(certify_linear(net, x, y, norm=norm, tolerance=0.01).lower)
    for factor, some in ((1.0, False), (60.0, True)):  # far away it does: how far the radius falls short is known above
        attack = PGD(eps=radius.clamp_max(100.0) * factor, norm=norm, steps=20, loss="margin", bounds=None)
        assert bool(attack(net, x, y).success.any()) == some


def test_the_radius_is_below_what_carlini_and_wagner_find():
    net, shape = CASES["dense"]
    x, y = examples(net, shape, 12)
    radius = certify_linear(net, x, y, norm="l2").lower
    found = CarliniWagner(steps=40, learning_rate=0.1, bounds=None)(net, x, y)
    assert found.success.sum() >= 10
    assert (radius <= found.distance.numpy()).all()
    assert (radius >= 0.2 * found.distance.numpy()).any()


@each_norm
@each_net
def test_crown_is_never_looser_than_intervals(net, shape, norm):
    x, y = examples(net, shape, 5)
    for eps in (0.01, 0.1, 1.0):
        tight = linear_bounds(net, x, eps, norm=norm)
        loose = linear_bounds(net, x, eps, norm=norm, method="interval")
        assert (tight[0] >= loose[0] - 1e-12).all()
        assert (tight[1] <= loose[1] + 1e-12).all()
    tight, loose = (certify_linear(net, x, y, norm=norm, method=method).lower for method in METHODS)
    assert (tight >= loose * (1 - 1e-3)).all()
    assert (tight > 1.2 * loose).any()


@each_norm
@settings(max_examples=10)
@given(small=st.floats(0.0, 1.0), more=st.floats(0.0, 1.0))
def test_intervals_widen_with_eps(norm, small, more):
    net, shape = CASES["dense"]
    x, _ = examples(net, shape, 3)
    inner = linear_bounds(net, x, small, norm=norm, method="interval")
    outer = linear_bounds(net, x, small + more, norm=norm, method="interval")
    assert (inner[0] >= outer[0] - 1e-12).all()
    assert (inner[1] <= outer[1] + 1e-12).all()


@each_norm
@each_method
def test_every_smaller_radius_is_proved_too(norm, method):
    """Bounds of a smaller ball cannot refute what was proved for a larger one: its margins stay positive."""
    net, shape = CASES["dense"]
    x, y = examples(net, shape, 6)
    radius = torch.from_numpy(certify_linear(net, x, y, norm=norm, method=method).lower)
    for share in (0.1, 0.5, 0.9):
        lower, upper = linear_bounds(margins_of(net, y), x, radius * share, norm=norm, method=method)
        picked = torch.arange(len(x))
        others = torch.arange(3)[None] != y[:, None]
        assert (lower.reshape(len(x), 3, 3)[picked, y][others] > 0).all()
        assert (upper >= lower).all()


def margins_of(net, y):
    """The network followed by all differences z_j - z_k of its three logits."""
    last = nn.Linear(3, 9, bias=False).double()
    eye = torch.eye(3, dtype=torch.float64)
    with torch.no_grad():
        last.weight.copy_((eye[:, None] - eye[None]).reshape(9, 3))
    return nn.Sequential(net, last)


def test_eps_zero_gives_the_logits():
    for net, shape in CASES.values():
        x, _ = examples(net, shape)
        logits = net(x).detach()
        for edge in linear_bounds(net, x, 0.0):
            assert_close(edge, logits)


@each_method
def test_a_convolution_is_the_dense_layer_with_its_matrix(method):
    net, shape = CASES["images"]
    x, y = examples(net, shape, 3)
    layers = [nn.Flatten()]
    for matrix, bias in reference.dense_layers(affine_parts(net), x[0]):
        layer = nn.Linear(*matrix.shape[::-1]).double()
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(matrix))
            layer.bias.copy_(torch.from_numpy(bias))
        layers += [layer, nn.ReLU()]
    flat = nn.Sequential(*layers[:-1])
    for norm in NORMS:
        for found, expected in zip(
            linear_bounds(net, x, 0.2, norm=norm, method=method),
            linear_bounds(flat, x, 0.2, norm=norm, method=method),
            strict=True,
        ):
            assert_close(found, expected, rtol=1e-9, atol=1e-9)
        radii = [certify_linear(model, x, y, norm=norm, method=method).lower for model in (net, flat)]
        assert_allclose(*radii, rtol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(2, 3, 3, stride=(2, 3), padding=(1, 0), dilation=(2, 1)),
        nn.Conv2d(2, 4, (4, 2), stride=4, groups=2),
        nn.AvgPool2d((2, 3), stride=(3, 2), padding=1),
        nn.AvgPool2d(3),
        nn.AvgPool2d(3, stride=2, ceil_mode=True, padding=1, count_include_pad=False),
        nn.AvgPool2d((3, 2), padding=1, divisor_override=4),
        nn.AdaptiveAvgPool2d((3, 4)),
        nn.AdaptiveAvgPool2d((None, 1)),
        nn.BatchNorm2d(2),
        nn.Linear(6, 3, bias=False),
        nn.Flatten(),
        Normalize(0.3, [0.5, 2.0]),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_each_affine_layer_is_read_as_what_it_computes(layer):
    layer.eval()
    network = read(layer, torch.zeros(IMAGE))
    x = torch.rand(3, *IMAGE, dtype=torch.float64)
    outputs = copy.deepcopy(layer).double()(x).detach()
    assert_close(network.results(x)[-1], outputs)
    functional = torch.randn(3, 2, *outputs.shape[1:], dtype=torch.float64)
    pulled, constant = network.pull_back({network.output: functional}, torch.zeros(3, 2).double(), {})
    value = torch.einsum("brd,bd->br", functional.flatten(2), outputs.flatten(1))
    assert_close(torch.einsum("brd,bd->br", pulled[0].flatten(2), x.flatten(1)) + constant, value)


def test_a_wrong_prediction_has_radius_zero_and_a_right_one_no_upper_bound():
    net, shape = CASES["dense"]
    x, y = examples(net, shape, 5)
    y[2] = (y[2] + 1) % 3
    found = certify_linear(net, x, y)
    assert_array_equal(found.lower == 0, [False, False, True, False, False])
    assert_array_equal(found.upper, [np.inf, np.inf, 0.0, np.inf, np.inf])
    assert_array_equal(found.exact, [False, False, True, False, False])
    assert found.perturbation is None
    assert found.lower.dtype == np.float64


@each_method
def test_a_model_that_ignores_its_input_is_certified_up_to_max_eps(method):
    net = dense((4, 3, 2))
    with torch.no_grad():
        net[1].weight.zero_()
        net[3].bias.copy_(torch.tensor([5.0, 0.0]))
    x = torch.rand(2, 4, dtype=torch.float64)
    assert_array_equal(certify_linear(net, x, torch.tensor([0, 1]), method=method, max_eps=7.0).lower, [7.0, 0.0])


@given(truth=st.floats(1e-3, 1e3), start=st.floats(1e-3, 1e3), max_eps=st.floats(1e-3, 1e3))
def test_the_search_returns_a_radius_that_was_proved_and_is_nearly_the_largest(truth, start, max_eps):
    asked = []

    def proves(rows, eps):
        asked.extend(eps.tolist())
        return eps <= truth

    first = torch.tensor([start], dtype=torch.float64)
    (found,) = largest_proved(proves, first, max_eps=max_eps, tolerance=0.01).tolist()
    assert found in asked
    assert 0.99 * min(truth, max_eps) <= found <= min(truth, max_eps)
    assert max(asked) <= max_eps


def test_max_eps_caps_the_radius():
    net, shape = CASES["dense"]
    x, y = examples(net, shape, 6)
    free = certify_linear(net, x, y, norm="l2").lower
    cap = float(np.median(free))
    capped = certify_linear(net, x, y, norm="l2", max_eps=cap).lower
    assert (capped <= cap).all()
    assert_allclose(capped, np.minimum(free, cap), rtol=2e-3)


def test_a_tie_is_right_but_certified_nowhere():
    net = nn.Sequential(nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.eye(2))
    found = certify_linear(net, torch.tensor([[0.5, 0.5]]), torch.tensor([0]))
    assert found.lower[0] == 0
    assert found.upper[0] == np.inf
    assert not found.exact[0]


def test_bounds_of_valid_inputs_help_in_linf_and_are_left_out_elsewhere():
    net, shape = CASES["images"]
    x, y = examples(net, shape, 4)
    free, boxed = (certify_linear(net, x, y, bounds=bounds).lower for bounds in (None, (0, 1)))
    assert (boxed >= free * (1 - 1e-3)).all()
    assert (boxed > 1.05 * free).any()
    free, boxed = (
        certify_linear(net, x, y, norm="l2", bounds=bounds, tolerance=0.1).lower for bounds in (None, (0, 1))
    )
    assert_array_equal(free, boxed)


def test_a_float32_model_and_numpy_inputs_give_the_same_radii():
    x, y = examples(*CASES["images"], 4)
    net, x = copy.deepcopy(CASES["images"][0]).float(), x.float()
    how = {"norm": "l2", "tolerance": 0.1}
    radius = certify_linear(net, x, y, **how).lower
    assert_array_equal(certify_linear(net, x.numpy(), y.numpy(), **how).lower, radius)
    assert_allclose(certify_linear(copy.deepcopy(net).double(), x.double(), y, **how).lower, radius, rtol=1e-9)
    with torch.no_grad():
        assert_array_equal(certify_linear(net, x, y, **how).lower, radius)
    with torch.inference_mode():
        assert_array_equal(certify_linear(net, x.clone(), y, **how).lower, radius)


def test_leaves_no_trace():
    x, y = examples(*CASES["images"])
    net, x = copy.deepcopy(CASES["images"][0]).float(), x.float()
    expected = certify_linear(net, x, y, tolerance=0.1).lower
    net.train()
    net[1][1].eval()
    modes = [module.training for module in net.modules()]
    weights, state = copy.deepcopy(net.state_dict()), torch.random.get_rng_state()
    assert_array_equal(certify_linear(net, x, y, tolerance=0.1).lower, expected)
    assert [module.training for module in net.modules()] == modes
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in weights.items())
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(p.grad is None and p.requires_grad and p.dtype == torch.float32 for p in net.parameters())


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Softmax(dim=1), r"model may compute linear, conv2d.*; got torch.*softmax. Else use RandomizedSmoothing"),
        (nn.Hardtanh(), "got .*hardtanh"),
        (nn.BatchNorm1d(6, track_running_stats=False), "running statistics"),
        (nn.Flatten(0), r"got torch.Tensor.flatten, to a result of shape \(12,\) of 2 examples"),
        (nn.Conv2d(2, 2, 3, padding="same"), "pad by numbers"),
        (nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), "got torch.nn.functional.pad"),
        (nn.MaxPool2d(2, ceil_mode=True), "ceil_mode=False"),
        (nn.MaxPool2d(2, return_indices=True), "got .*max_pool2d"),
        (nn.MaxPool2d(1), r"of images \(channels, height, width\), got \(2, 6\)"),
        (nn.LeakyReLU(1.5), r"negative_slope in \[0, 1\], got 1.5"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_unsupported_operation_is_named_and_the_model_left_in_its_mode(module, message):
    net = nn.Sequential(nn.Sequential(module)).train()
    x = torch.rand(2, *IMAGE)
    if not isinstance(module, nn.Conv2d) and "Pool" not in type(module).__name__:
        x = torch.rand(2, 6)
    elif "of images" in message:
        x = torch.rand(2, 2, 6)
    for call in (lambda: certify_linear(net, x, torch.tensor([0, 1])), lambda: linear_bounds(net, x, 0.1)):
        with pytest.raises(InvalidInput, match=message):
            call()
    assert net.training
    assert module.training


def test_a_layer_that_is_used_twice_is_read_twice():
    net, relu, square = dense((4, 4, 2)), nn.ReLU(), nn.Linear(4, 4).double()
    twice = nn.Sequential(square, relu, square, relu, net[3])
    again = nn.Sequential(square, nn.ReLU(), copy.deepcopy(square), nn.ReLU(), net[3])
    x = torch.rand(3, 4, dtype=torch.float64)
    for found, expected in zip(linear_bounds(twice, x, 0.3), linear_bounds(again, x, 0.3), strict=True):
        assert_close(found, expected, rtol=0, atol=0)


def call(**changes):
    net, shape = CASES["dense"]
    x, y = examples(net, shape, 2)
    arguments = {"model": net, "x": x, "y": y, **changes}
    return certify_linear(arguments.pop("model"), arguments.pop("x"), arguments.pop("y"), **arguments)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"x": torch.full((2, 6), torch.nan)}, InvalidInput, "x must be finite"),
        ({"x": torch.ones(2, 6, dtype=torch.int64)}, InvalidInput, "x must be floating"),
        ({"x": torch.rand(2, 6) + 0.5, "bounds": (0, 1)}, InvalidInput, r"x must lie in bounds=\(0.0, 1.0\)"),
        ({"y": torch.tensor([0, 3])}, InvalidInput, r"y must lie in 0..2 for 3 logits"),
        ({"y": torch.tensor([0, 1, 2])}, InvalidInput, r"y must have shape \(2,\)"),
        ({"norm": "l3"}, UnknownName, "unknown norm 'l3'"),
        ({"method": "corwn"}, UnknownName, "did you mean 'crown'"),
        ({"bounds": (1, 0)}, InvalidInput, "lowest < highest"),
        ({"tolerance": 0}, InvalidInput, "tolerance must be > 0"),
        ({"tolerance": 1.0}, InvalidInput, "tolerance must be < 1"),
        ({"max_eps": 0.0}, InvalidInput, "max_eps must be > 0"),
        ({"max_eps": float("inf")}, InvalidInput, "max_eps must be finite"),
        ({"model": lambda x: x}, InvalidInput, "model must be an nn.Module, got function"),
        ({"model": nn.Sequential(nn.Linear(6, 1)).double()}, ModelContractError, "at least two logits"),
        ({"model": nn.Sequential(nn.Unflatten(1, (2, 3)))}, ModelContractError, "floating logits"),
        ({"x": torch.rand(2, 2, 6), "model": nn.Sequential(nn.Linear(6, 3))}, ModelContractError, "floating logits"),
    ],
)
def test_bad_arguments(changes, error, message):
    with pytest.raises(error, match=message):
        call(**changes)


@pytest.mark.parametrize(
    ("eps", "message"),
    [(-0.1, "eps must be >= 0"), (torch.tensor([0.1]), "one per example, got 1 for 2"), (torch.rand(2, 1), "eps must")],
)
def test_bad_radii(eps, message):
    net, shape = CASES["dense"]
    with pytest.raises(InvalidInput, match=message):
        linear_bounds(net, torch.rand(2, *shape).double(), eps)
