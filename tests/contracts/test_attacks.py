"""What every attack guarantees. A new attack is one line in ATTACKS."""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from trustworthy.attacks import (
    APGD,
    BIM,
    FGSM,
    PGD,
    Bisection,
    BoundaryAttack,
    CarliniWagner,
    MinimumNorm,
    PointwiseAttack,
    RandFGSM,
    SquareAttack,
    UniformFGSM,
)
from trustworthy.attacks.attack import Attack, BudgetAttack
from trustworthy.attacks.losses import LOSSES
from trustworthy.core.errors import InvalidInput, ModelContractError
from trustworthy.core.grid import Grid

ATTACKS = {
    "fgsm-linf": FGSM(eps=0.1),
    "fgsm-l2": FGSM(eps=0.5, norm="l2"),
    "randfgsm": RandFGSM(eps=0.1),
    "uniformfgsm": UniformFGSM(eps=0.1),
    "bim": BIM(eps=0.1, steps=4),
    "pgd-linf": PGD(eps=0.1, steps=5),
    "pgd-l2": PGD(eps=0.5, norm="l2", steps=5, loss="margin"),
    "pgd-l1": PGD(eps=1.5, norm="l1", steps=5, restarts=2, loss="dlr"),
    "apgd-linf": APGD(eps=0.1, steps=8),
    "apgd-l2": APGD(eps=0.5, norm="l2", steps=8, loss="dlr"),
    "apgd-l1": APGD(eps=1.5, norm="l1", steps=8, restarts=2, loss="margin"),
    "square-linf": SquareAttack(eps=0.1, steps=10),
    "square-l2": SquareAttack(eps=0.5, norm="l2", steps=10),
    "cw-fixed": CarliniWagner(c=3.0, steps=25),
    "cw-search": CarliniWagner(steps=20, searches=3),
    "minimum-norm-l2": MinimumNorm(steps=12),
    "minimum-norm-linf": MinimumNorm(norm="linf", steps=12),
    "boundary": BoundaryAttack(steps=10),
    "pointwise": PointwiseAttack(queries=60),
    "bisected-pgd": Bisection(attack=PGD(eps=1.0, steps=4, random_start=False), bisections=4),
}
BUDGET = {name: attack for name, attack in ATTACKS.items() if isinstance(attack, BudgetAttack)}
NEAREST = {name: attack for name, attack in ATTACKS.items() if attack.minimises_distance}
ITERATIVE = {name: attack for name, attack in BUDGET.items() if not isinstance(attack, FGSM | RandFGSM | UniformFGSM)}
ONE_OF_A_KIND = {name: ATTACKS[name] for name in ("pgd-linf", "cw-search", "boundary")}
"""For what the frame does before any attack begins: one with a budget, one without, and one that asks for labels."""
CLASSES = 3
DECISIONS = BoundaryAttack | PointwiseAttack
ORDER = {"l0": 0, "l1": 1, "l2": 2, "linf": np.inf}

PLACE = torch.device("cpu")


@pytest.fixture(autouse=True)
def _placed(device):
    """Every case, every mask and every generator of a test is on its device."""
    global PLACE
    PLACE = device


def each(attacks):
    return pytest.mark.parametrize("attack", attacks.values(), ids=attacks)


OTHER_NORMS = {"fgsm-l2", "pgd-l2", "pgd-l1", "apgd-l2", "apgd-l1", "square-l2", "cw-fixed", "minimum-norm-linf"}
"""The search of another attack with another norm or setting."""


def each_search(attacks):
    """All attacks, those of `OTHER_NORMS` in the slow tests: for what has nothing to do with distances."""
    cases = [
        pytest.param(attack, id=name, marks=pytest.mark.slow if name in OTHER_NORMS else ())
        for name, attack in attacks.items()
    ]
    return pytest.mark.parametrize("attack", cases)


def at_length(attacks):
    """All attacks, those that are not one of a kind in the slow tests: for what the frame does for every attack."""
    few = set(ONE_OF_A_KIND.values())
    cases = [pytest.param(a, id=name, marks=() if a in few else pytest.mark.slow) for name, a in attacks.items()]
    return pytest.mark.parametrize("attack", cases)


LAYOUTS = {*ONE_OF_A_KIND, "square-linf", "square-l2"}
"""One of each kind, and those that see another thing in rows than in images."""


def each_case(names, *cases):
    """All attacks in all cases: in the last one always, in the first one if of LAYOUTS, else in the slow tests."""

    def seldom(name, case):
        return case != cases[-1] and not (case == cases[0] and name in LAYOUTS)

    return pytest.mark.parametrize(
        ("attack", *names),
        [
            pytest.param(attack, *case, id=f"{name}-{case}", marks=pytest.mark.slow if seldom(name, case) else ())
            for case in cases
            for name, attack in ATTACKS.items()
        ],
    )


def network(shape, dtype=torch.float32):
    """A small classifier with batch norm and dropout, two levels deep, whose modes are mixed."""
    torch.default_generator.manual_seed(3)  # not `torch.manual_seed`, which is slower than the network
    width = int(np.prod(shape))
    net = nn.Sequential(
        nn.Flatten(),
        nn.Sequential(nn.Linear(width, 16), nn.BatchNorm1d(16), nn.Dropout(0.5)),
        nn.Tanh(),
        nn.Linear(16, CLASSES),
    ).to(dtype)
    net[1][1].running_mean.normal_(std=0.1)
    net.train()
    net[3].eval()
    net[3].weight.requires_grad_(False)
    with torch.no_grad():
        net[3].weight.mul_(4.0)
    return net.to(PLACE)


def answers(net, x):
    """Logits of a copy in eval mode."""
    with torch.no_grad():
        return copy.deepcopy(net).eval()(x)


def examples(net, shape, count=6, dtype=torch.float32):
    """Inputs with their predicted classes; many coordinates lie exactly on the bounds; the last label is wrong."""
    torch.default_generator.manual_seed(4)
    x = (torch.rand(count, *shape, dtype=dtype) * 1.6 - 0.3).clamp(0.0, 1.0)
    assert ((x == 0) | (x == 1)).any(dim=0).any()
    x = x.to(PLACE)
    y = answers(net, x).argmax(1)
    y[-1] = (y[-1] + 1) % CLASSES
    return x, y


def case(shape=(8,), count=6, dtype=torch.float32):
    net = network(shape, dtype)
    return net, *examples(net, shape, count, dtype)


def seeded(seed=0):
    return torch.Generator(PLACE).manual_seed(seed)


def sizes(d, norm):
    flat = d.double().flatten(1).cpu().numpy()
    return torch.from_numpy(np.linalg.norm(flat, ord=ORDER[norm], axis=1)).to(d.device)


@each_case(("shape",), ((8,),), ((2, 5, 4),))
def test_stays_in_the_ball_and_in_the_bounds(attack, shape):
    net, x, y = case(shape)
    result = attack(net, x, y, generator=seeded())
    assert result.adversarial.shape == x.shape
    assert result.adversarial.dtype == result.distance.dtype == torch.float32
    assert result.success.dtype == torch.bool
    assert result.queries.dtype == torch.int64
    assert result.adversarial.min() >= 0
    assert result.adversarial.max() <= 1
    found = result.success if attack.minimises_distance else torch.ones_like(result.success)
    distance = sizes(result.adversarial - x, attack.geometry.name)
    assert_close(result.distance[found].double(), distance[found], rtol=1e-5, atol=1e-6)
    if isinstance(attack, BudgetAttack):
        assert (distance <= attack.eps * (1 + 1e-6)).all()


def sized(d, norm):
    """Size of each perturbation in float64."""
    return np.linalg.norm(d.reshape(len(d), -1), ord=ORDER[norm], axis=1)


HARD = (-2.118, 2.64)
"""Bounds that no type holds exactly, like the radii."""
ROUNDINGS = [
    *itertools.product((torch.float32, torch.float64, torch.float16), (HARD, (0.0, 1.0), None)),
    *itertools.product((torch.bfloat16,), (None, (0.0, 1.0), HARD)),
]


@each_case(("dtype", "bounds"), *ROUNDINGS)
def test_no_rounding_leads_out_of_the_ball_or_the_bounds(attack, dtype, bounds):
    """To the last digit of what is returned, as float64 measures it."""
    net, x, _ = case(dtype=dtype)
    if bounds == HARD:
        x = (4.75 * x - 2.11).clamp(-2.109375, 2.625)  # the ends are numbers of every type
    y, attack = answers(net, x).argmax(1), with_options(attack, bounds=bounds)
    result = attack(net, x, y, generator=seeded())
    assert result.adversarial.dtype == dtype
    assert torch.equal(result.success, answers(net, result.adversarial).argmax(1) != y)
    assert (result.adversarial != x).any()
    before, after = (z.double().cpu().numpy() for z in (x, result.adversarial))
    distance = sized(after - before, attack.geometry.name)
    if bounds is not None:
        assert bounds[0] <= after.min()
        assert after.max() <= bounds[1]
    if isinstance(attack, BudgetAttack):
        assert (distance <= attack.eps).all()
    found = result.distance.isfinite().cpu()
    assert_close(result.distance.double().cpu()[found], torch.from_numpy(distance)[found], rtol=1e-5, atol=1e-6)


def masks(x, seed=7):
    """Another half of the coordinates free in each example; of the first all, of the second one."""
    free = (torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) < 0.5).to(x.device)
    free[0] = True
    free[1] = False
    free[1].view(-1)[3] = True
    return free


@pytest.mark.parametrize("shape", [pytest.param((8,), marks=pytest.mark.slow), (2, 5, 4)], ids=str)
@each(ATTACKS)
def test_what_is_not_free_does_not_move(attack, shape):
    net, x, y = case(shape)
    free = masks(x)
    result = attack(net, x, y, free=free, generator=seeded())
    assert torch.equal(result.adversarial[~free], x[~free])
    assert (result.adversarial != x)[2:].any()
    distance = sizes(result.adversarial - x, attack.geometry.name)
    assert not isinstance(attack, BudgetAttack) or bool((distance <= attack.eps * (1 + 1e-6)).all())
    assert torch.equal(result.success, answers(net, result.adversarial).argmax(1) != y)


def grid_of(shape, dtype=torch.float32):
    """Every third coordinate moves by short steps, every third by long ones; all stay well inside the bounds."""
    place = torch.arange(int(np.prod(shape))).reshape(shape) % 3
    step = torch.tensor([0.0, 0.03, 0.7])[place]
    low, high = torch.full(shape, 0.05), torch.full(shape, 0.9)
    return Grid(low=low.to(dtype), high=high.to(dtype), step=step.to(dtype))


@each_case(("shape", "masked"), ((8,), False), ((8,), True), ((2, 5, 4), False), ((2, 5, 4), True))
def test_moves_on_the_grid(attack, shape, masked):
    net, x, y = case(shape, dtype=torch.float64)
    grid, free = grid_of(shape, x.dtype), masks(x) if masked else None
    result = attack(net, x, y, free=free, grid=grid, generator=seeded())
    moved = (result.adversarial - x).cpu()
    steps = (moved / grid.step)[:, grid.step > 0]
    assert_close(steps, steps.round(), rtol=0, atol=1e-8)
    low, high = torch.minimum(x.cpu(), grid.low), torch.maximum(x.cpu(), grid.high)
    assert (result.adversarial.cpu() >= low).all()
    assert (result.adversarial.cpu() <= high).all()
    assert moved.any()
    assert free is None or torch.equal(result.adversarial[~free], x[~free])
    distance = sized(moved.numpy(), attack.geometry.name)
    assert not isinstance(attack, BudgetAttack) or (distance <= attack.eps).all()
    found = result.distance.isfinite().cpu().numpy()
    assert_close(result.distance.cpu().numpy()[found], distance[found], rtol=1e-9, atol=0)
    assert torch.equal(result.success, answers(net, result.adversarial).argmax(1) != y)


@at_length(ATTACKS)
def test_asks_for_points_of_the_grid_alone(attack):
    net, x, y = case()
    grid, seen = grid_of((8,)), []
    attack(Recorder(net, seen), x[:1], y[:1], grid=grid, generator=seeded())
    steps = ((torch.cat(seen) - x[:1]).cpu() / grid.step)[:, grid.step > 0]
    assert_close(steps, steps.round(), rtol=0, atol=1e-4)


@each(BUDGET)
def test_a_step_as_long_as_the_radius_is_taken(attack):
    """However either is rounded: by one coordinate, which the model rests on alone."""
    for dtype in (torch.float32, torch.float64):
        x = torch.tensor([[0.3, 0.7], [0.1, 0.2]], dtype=dtype, device=PLACE)
        steps = torch.tensor([attack.eps, 0.0], dtype=torch.float64)
        grid = Grid(low=torch.full_like(steps, -9.0), high=torch.full_like(steps, 9.0), step=steps)
        free, y = torch.tensor([[True, False]] * 2, device=PLACE), torch.ones(2, dtype=torch.int64, device=PLACE)
        chosen = with_options(without_independent_draws(attack), bounds=None)
        result = chosen(first_coordinate, x, y, free=free, grid=grid, generator=seeded())
        moved = (result.adversarial.double() - x.double())[:, 0]
        assert_close(moved, torch.full_like(moved, -attack.eps), rtol=1e-5, atol=0)
        assert (moved.abs() <= attack.eps).all()


def first_coordinate(x):
    return torch.stack([0 * x[:, 0], 9 * x[:, 0], 0 * x[:, 0] - 5], 1)


class Embedded(nn.Module):
    """`net` as a function of what is free of one example."""

    def __init__(self, net, x, free):
        super().__init__()
        self.net, self.x, self.free = net, x, free

    def forward(self, z):
        whole = self.x.flatten().expand(len(z), -1)
        return self.net(whole.index_copy(1, self.free.flatten().nonzero()[:, 0], z).reshape(-1, *self.x.shape))


@each({name: attack for name, attack in ATTACKS.items() if attack.asks == "gradients"})
def test_under_a_mask_it_is_the_attack_on_the_free_coordinates_alone(attack):
    """Exactly, where nothing is drawn; other attacks draw for all coordinates, and not the same for some of them."""
    net, x, y = case((2, 5, 4), dtype=torch.float64)
    attack, free = without_independent_draws(attack), masks(x)
    together = attack(net, x, y, free=free)
    for i in (1, 5):
        alone = attack(Embedded(net, x[i], free[i]), x[i][free[i]][None], y[i : i + 1])
        assert_close(alone.adversarial[0], together.adversarial[i][free[i]], rtol=0, atol=1e-6)
        assert alone.success[0] == together.success[i]
        assert_close(alone.distance[0], together.distance[i])


@each_search(ATTACKS)
def test_a_mask_with_all_free_changes_nothing(attack):
    net, x, y = case((2, 5, 4))
    expected = attack(net, x, y, generator=seeded())
    result = attack(net, x, y, free=torch.ones_like(x, dtype=torch.bool), generator=seeded())
    assert_close(result.adversarial, expected.adversarial, rtol=0, atol=1e-6)
    assert torch.equal(result.success, expected.success)


@each(ONE_OF_A_KIND)
def test_refuses_a_mask_that_is_none(attack):
    net, x, y = case()
    nothing = torch.ones_like(x, dtype=torch.bool)
    nothing[2] = False
    wrong = {
        "free must be boolean .* got torch.float32": torch.ones_like(x),
        "free must be boolean .* got list": [[True] * 8] * len(x),
        r"free must have the shape of x, \(6, 8\), got \(8,\)": torch.ones(8, dtype=torch.bool),
        "free must leave something free .* in 1 of 6, the first at row 2": nothing.cpu().numpy(),
    }
    for message, free in wrong.items():
        with pytest.raises(InvalidInput, match=message):
            attack(net, x, y, free=free)


def with_options(attack, **options):
    """The same attack with other options, which a bisection takes from the attack that it bisects."""
    if isinstance(attack, Bisection):
        return replace(attack, attack=replace(attack.attack, **options))
    return replace(attack, **options)


@pytest.mark.parametrize("bounds", [None, pytest.param((-2.0, 3.0), marks=pytest.mark.slow)])
@each(ATTACKS)
def test_knows_other_bounds_and_none(attack, bounds):
    """The inputs lie on the bounds in many coordinates: without bounds an attack goes beyond."""
    net, x, y = case()
    x = 5 * x - 2
    y[:-1] = answers(net, x).argmax(1)[:-1]
    result = with_options(attack, bounds=bounds)(net, x, y, generator=seeded())
    beyond = (result.adversarial < -2) | (result.adversarial > 3)
    assert bool(beyond.any()) == (bounds is None)
    assert (result.adversarial != x).any()
    if isinstance(attack, BudgetAttack):
        assert (sizes(result.adversarial - x, attack.geometry.name) <= attack.eps * (1 + 1e-5)).all()


@at_length(ATTACKS)
def test_success_is_what_the_model_says_of_the_returned_points(attack):
    net, x, y = case((2, 5, 4), count=12)
    result = attack(net, x, y, generator=seeded())
    assert torch.equal(result.success, answers(net, result.adversarial).argmax(1) != y)
    assert result.success.any()


@pytest.mark.parametrize("scale", [1e-3, 1.0], ids=["too small to succeed", "as registered"])
@each(ITERATIVE)
def test_returns_the_queried_point_of_highest_loss(attack, scale):
    net, x, y = case()
    attack = replace(attack, eps=attack.eps * scale)
    for i in range(2):
        seen = []
        one, label = x[i : i + 1], y[i : i + 1]
        result = attack(Recorder(net, seen), one, label, generator=seeded())
        points = torch.cat(seen)
        logits = answers(net, points)
        labels = label.expand(len(points))
        loss = LOSSES[attack.loss](logits, labels)
        broken = logits.argmax(1) != labels
        candidates = loss[broken] if broken.any() else loss
        reached = LOSSES[attack.loss](answers(net, result.adversarial), label)
        assert bool(result.success) == bool(broken.any())
        assert_close(reached, candidates.max()[None], rtol=1e-4, atol=1e-5)


class Recorder(nn.Module):
    """Passes a batch on to `net`, keeps it, and fails at call number `fails`."""

    def __init__(self, net, seen, fails=None):
        super().__init__()
        self.net, self.seen, self.fails = net, seen, fails

    def forward(self, x):
        self.seen.append(x.detach().clone())
        if len(self.seen) == self.fails:
            raise FloatingPointError("the model broke")
        return self.net(x)


@each(NEAREST)
def test_failing_to_find_anything_returns_the_input_at_distance_inf(attack):
    _, x, _ = case()
    y = torch.ones(len(x), dtype=torch.int64)

    def stubborn(z):
        return torch.stack([z.flatten(1).sum(1) * 1e-3, z.flatten(1).sum(1) * 1e-3 + 50.0], 1)

    result = attack(stubborn, x, y, generator=seeded())
    assert not result.success.any()
    assert torch.equal(result.adversarial, x)
    assert result.distance.isinf().all()
    assert torch.equal(attack.perturb(stubborn, x, y, generator=seeded()), x)


@dataclass(frozen=True, kw_only=True)
class Boaster(Attack):
    """Claims that the far corner is the nearest adversarial example."""

    minimises_distance = True

    def search(self, problem, generator):
        return torch.ones_like(problem.x)


def test_the_frame_judges_again_what_a_search_claims():
    x, y = torch.zeros(2, 3), torch.tensor([0, 1])
    result = Boaster(norm="l2")(lambda z: torch.stack([z.sum(1) + 1, 0 * z.sum(1)], 1), x, y)
    assert result.success.tolist() == [False, True]
    assert_close(result.adversarial, torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]))
    assert_close(result.distance, torch.tensor([torch.inf, 3.0**0.5]))


@each(NEAREST)
def test_what_is_already_wrong_needs_no_distance(attack):
    net, x, y = case()
    result = attack(net, x, (y + 1) % CLASSES, generator=seeded())
    wrong = answers(net, x).argmax(1) != (y + 1) % CLASSES
    assert (result.distance[wrong] == 0).all()
    assert torch.equal(result.adversarial[wrong], x[wrong])


def without_independent_draws(attack):
    """The same attack where each example would draw a start of its own."""
    changes = {"random_start": False, "start": 0.0}
    known = {name: type(value) for name, value in vars(attack).items()}
    return replace(attack, **{name: value for name, value in changes.items() if known.get(name) is type(value)})


@each_case(("shape", "masked"), ((8,), False), ((2, 5, 4), False), ((2, 5, 4), True))
def test_a_batch_is_a_loop_over_its_examples(attack, shape, masked):
    net, x, y = case(shape, dtype=torch.float64)
    attack, free = without_independent_draws(attack), masks(x) if masked else None
    together = attack(net, x, y, free=free, generator=seeded())
    assert together.adversarial.dtype == together.distance.dtype == torch.float64
    for i in (1, 5):
        one = None if free is None else free[i : i + 1]
        alone = attack(net, x[i : i + 1], y[i : i + 1], free=one, generator=seeded())
        assert_close(alone.adversarial[0], together.adversarial[i], rtol=0, atol=1e-6)
        assert alone.success[0] == together.success[i]
        assert alone.queries[0] == together.queries[i]


@each(BUDGET)
def test_a_radius_per_example_is_a_loop_over_radii(attack):
    net, x, y = case(dtype=torch.float64)
    attack = without_independent_draws(attack)
    x, y = x[2:], y[2:]
    eps = attack.eps * torch.tensor([0.0, 0.1, 2.0, 1.0])
    together = replace(attack, eps=eps)(net, x, y, generator=seeded())
    assert together.adversarial.dtype == x.dtype
    for i, radius in enumerate(eps.tolist()):
        alone = replace(attack, eps=radius)(net, x[i : i + 1], y[i : i + 1], generator=seeded())
        assert_close(alone.adversarial[0], together.adversarial[i], rtol=0, atol=1e-6)
    with pytest.raises(InvalidInput, match=r"eps must .* one per example"):
        replace(attack, eps=eps[:2])(net, x, y)


@pytest.mark.parametrize("fails", [None, 2], ids=["success", "the model raises"])
@at_length(ATTACKS)
def test_leaves_no_trace(attack, fails):
    net, x, y = case()
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None
    before = {name: value.clone() for name, value in net.state_dict().items()}
    modes = [module.training for module in net.modules()]
    needs = [parameter.requires_grad for parameter in net.parameters()]
    stream = torch.get_rng_state()
    model = Recorder(net, [], fails)
    if fails is None:
        attack(model, x, y, generator=seeded())
    else:
        with pytest.raises(FloatingPointError, match="the model broke"):
            attack(model, x, y, generator=seeded())
    assert torch.equal(torch.get_rng_state(), stream)
    assert [module.training for module in net.modules()] == modes
    assert [parameter.requires_grad for parameter in net.parameters()] == needs
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(bool((p.grad == 1).all()) for p in net.parameters() if p.requires_grad)
    assert not x.requires_grad


@dataclass(frozen=True, eq=False)
class Holder:
    """A model that is no module, and has one."""

    net: nn.Module

    def __call__(self, x):
        return self.net(x)


class Twice(Holder):
    """A posterior whose every draw runs the same module."""

    def draws(self, count, generator=None):
        return [lambda x: self.net(x) for _ in range(count)]

    def modules(self):
        return self.net.modules()


FORMS = {"module": lambda net: net, "dataclass": Holder, "closure": lambda net: lambda x: net(x), "posterior": Twice}


@at_length(ATTACKS)
def test_leaves_every_module_that_a_model_reaches_as_it_was(attack):
    for form in FORMS.values():
        net, x, y = case()
        before = {name: value.clone() for name, value in net.state_dict().items()}
        modes = [module.training for module in net.modules()]
        attack(form(net), x, y, generator=seeded())
        assert [module.training for module in net.modules()] == modes
        assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@each_search(ATTACKS)
def test_draws_from_its_generator_and_from_no_other_stream(attack):
    one_stream(attack, given=True, noise=0.0)


@pytest.mark.parametrize(("given", "noise"), [(False, 0.0), (True, 0.5)], ids=["global stream", "stochastic model"])
@at_length(ATTACKS)
def test_without_a_generator_or_with_a_stochastic_model_there_is_one_stream_too(attack, given, noise):
    one_stream(attack, given, noise)


def one_stream(attack, given, noise):
    """The same seed tries the same points; another seed others, unless neither the attack nor the model draws."""
    net, x, y = case()

    def found(seed, other):
        torch.manual_seed(other if given else seed)
        own, tried = seeded(seed) if given else None, []
        result = attack(Recorder(nn.Sequential(Noise(noise), net), tried), x, y, generator=own)
        return torch.cat([*tried, result.adversarial])

    first = found(5, 0)
    assert torch.equal(first, found(5, 1))
    assert torch.equal(first, found(6, 0)) == (noise == 0.0 and not attack_draws(attack))


def attack_draws(attack):
    """Whether the attack itself draws at random."""
    return getattr(attack, "random_start", False) or isinstance(
        attack, RandFGSM | UniformFGSM | SquareAttack | DECISIONS
    )


class Noise(nn.Module):
    def __init__(self, scale=0.02):
        super().__init__()
        self.scale = scale

    def forward(self, x):
        return x + self.scale * torch.randn_like(x)


@at_length(ATTACKS)
def test_averages_the_draws_of_a_stochastic_model(attack):
    net, x, y = case()
    calls = []
    result = with_options(attack, eot=3)(Recorder(nn.Sequential(Noise(), net), calls), x, y, generator=seeded())
    assert (result.queries % 3 == 0).all()
    assert len(calls) % 3 == 0


@each_search(ATTACKS)
def test_reaches_a_target(attack):
    net, x, _ = case(dtype=torch.float64)
    predicted = answers(net, x).argmax(1)
    target = (predicted + 1) % CLASSES
    pool = torch.rand(300, 8, dtype=x.dtype)
    strong = {"eps": 20.0 if attack.geometry.name == "l1" else 5.0 if attack.geometry.name == "l2" else 1.0}
    if isinstance(attack, BudgetAttack):
        attack = replace(attack, **strong)
    elif isinstance(attack, DECISIONS):
        attack = replace(attack, starts=pool)
    elif isinstance(attack, CarliniWagner):
        attack = replace(attack, steps=80)
    result = attack(net, x, predicted, target=target, generator=seeded())
    reached = answers(net, result.adversarial).argmax(1) == target
    assert torch.equal(result.success, reached)
    assert reached.any()


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
@at_length(ATTACKS)
def test_works_where_gradients_are_off(attack, mode):
    net, x, y = case()
    expected = attack(net, x, y, generator=seeded()).adversarial
    with mode():
        result = attack(net, x.clone(), y.clone(), generator=seeded())
    assert torch.equal(result.adversarial, expected)
    assert not result.adversarial.is_inference()
    assert not result.adversarial.requires_grad


@at_length(ATTACKS)
def test_answers_numpy_with_numpy(attack):
    if PLACE.type != "cpu":
        pytest.skip("arrays live on the CPU")
    net, x, y = case()
    expected = attack(net, x, y, generator=seeded())
    given = x.numpy().copy()
    result = attack(net, given, y.numpy(), generator=seeded())
    assert np.array_equal(given, x.numpy())
    for name in ("adversarial", "success", "distance", "queries"):
        assert np.array_equal(getattr(result, name), getattr(expected, name).numpy())


@at_length(ATTACKS)
def test_counts_every_query(attack):
    net, x, y = case()
    seen = []
    result = attack(Recorder(net, seen), x, y, generator=seeded())
    assert int(result.queries.sum()) == sum(len(batch) for batch in seen)
    assert max(map(len, seen)) <= len(x)


@each(ATTACKS)
def test_asks_for_no_more_than_it_says(attack):
    net, x, y = case(count=12)
    predicted = answers(net, x).argmax(1)
    answered = {"gradients": net, "scores": lambda z: answers(net, z)}
    answered["labels"] = lambda z: nn.functional.one_hot(answers(net, z).argmax(1), CLASSES).float()
    result = attack(answered[attack.asks], x, predicted, generator=seeded())
    assert result.success.any()
    assert torch.equal(result.success, answers(net, result.adversarial).argmax(1) != predicted)
    if attack.asks == "gradients":
        with pytest.raises(ModelContractError, match="no gradient"):
            attack(answered["scores"], x, y)


def subtracted(x):
    x -= 0.1
    return x


def through_data(x):
    x.data.mul_(0.5)
    return x


def through_numpy(x):
    if isinstance(x, np.ndarray):
        x -= 0.1
        return x
    x.detach().numpy()[:] -= 0.1
    return x


def clamped(x):
    return x.clamp_(0.0, 1.0)


@pytest.mark.parametrize("writes", [subtracted, through_data, through_numpy, clamped])
@at_length(ATTACKS)
def test_a_model_that_writes_into_its_input_is_refused_and_the_input_is_as_it_was(attack, writes):
    net, x, y = case()
    if PLACE.type != "cpu" and writes is through_numpy:
        pytest.skip("arrays live on the CPU")
    before = x.clone()
    for mode in (torch.enable_grad, torch.no_grad, torch.inference_mode):
        with mode(), pytest.raises(ModelContractError, match="changes its input in place; write x = x"):
            attack(lambda z: net(writes(z)), x, y, generator=seeded())
        assert torch.equal(x, before)


@pytest.mark.parametrize("name", ["boundary", "square-linf"])
def test_a_model_that_writes_into_its_array_is_refused(name):
    net, x, y = (each.cpu() for each in case())
    given = x.numpy().copy()
    with pytest.raises(ModelContractError, match="changes its input in place; write x = x"):
        ATTACKS[name](lambda z: answers(net, torch.from_numpy(through_numpy(z))).numpy(), given, y.numpy())
    assert np.array_equal(given, x.numpy())


@at_length(ATTACKS)
def test_perturb_returns_the_same_points(attack):
    net, x, y = case()
    half, low = case(dtype=torch.bfloat16)[:2]
    for model, inputs, space in ((net, x, {}), (net, x, {"free": masks(x), "grid": grid_of((8,))}), (half, low, {})):
        result = attack(model, inputs, y, **space, generator=seeded())
        points = attack.perturb(model, inputs, y, **space, generator=seeded())
        assert torch.equal(points[result.success], result.adversarial[result.success])
        if isinstance(attack, BudgetAttack):
            assert torch.equal(points, result.adversarial)


BAD = {
    "x holds NaN": (lambda x, y: (torch.full_like(x, torch.nan), y), "x must be finite"),
    "x holds inf": (lambda x, y: (x / 0.0, y), "x must be finite"),
    "x above the bounds": (lambda x, y: (x + 0.5, y), r"x must lie in bounds=\(0.0, 1.0\)"),
    "x below the bounds": (lambda x, y: (x - 0.5, y), r"x must lie in bounds=\(0.0, 1.0\)"),
    "x integer": (lambda x, y: ((255 * x).to(torch.uint8), y), "x must be floating"),
    "x integer array": (lambda x, y: ((255 * x).to(torch.uint8).cpu().numpy(), y.cpu().numpy()), "x must be floating"),
    "x empty": (lambda x, y: (x[:0], y[:0]), "x must be a non-empty batch"),
    "x without features": (lambda x, y: (x[:, 0], y), "x must be a non-empty batch"),
    "x a list": (lambda x, y: (x.tolist(), y), "x must be a tensor"),
    "y too short": (lambda x, y: (x, y[:-1]), "y must have shape"),
    "y floating": (lambda x, y: (x, y.float()), "y must be integer"),
    "y boolean": (lambda x, y: (x, y > 0), "y must be integer"),
    "y words": (lambda x, y: (x, np.array(["a"] * len(y))), "y must be integer"),
    "y negative": (lambda x, y: (x, y - 1), "y must be >= 0"),
    "y beyond the classes": (lambda x, y: (x, y + CLASSES), r"y must lie in 0\.\.2"),
}


@pytest.mark.parametrize(("spoil", "message"), BAD.values(), ids=BAD)
def test_refuses_bad_input(spoil, message):
    net, x, y = case()
    spoilt = spoil(x, torch.arange(len(y)) % CLASSES)
    for attack in ONE_OF_A_KIND.values():
        with pytest.raises(InvalidInput, match=message):
            attack(net, *spoilt)


@each(ONE_OF_A_KIND)
def test_refuses_bad_targets_models_and_generators(attack):
    net, x, y = case()
    with pytest.raises(InvalidInput, match="target must have shape"):
        attack(net, x, y, target=y[:1])
    with pytest.raises(InvalidInput, match=r"target must lie in 0\.\.2"):
        attack(net, x, y, target=y + CLASSES)
    for wrong, message in {
        lambda z: z.flatten(1).sum(1): "flatten extra axes",
        lambda z: z.flatten(1)[:, :1]: "at least two logits",
        lambda z: z.flatten(1) * torch.nan: "NaN",
        lambda z: z.flatten(1).tolist(): "tensor of logits",
        lambda z: z.flatten(1).numpy(force=True): "speaks NumPy is attacked with NumPy",
    }.items():
        with pytest.raises(ModelContractError, match=message):
            attack(wrong, x, y)
