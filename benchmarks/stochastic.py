"""What does randomness cost? Fifty draws, a Bayesian training step, and the KL of Bayesian layers beside peers; a
stochastic differential equation beside a loop written by hand and beside peers, and the memory of its gradients.

Times are of the processor, on one thread, of runs made in turn, so that other work on the machine counts little. A peer
that is not installed is left out with a note. The record is written to benchmarks/records/stochastic.json.
"""

from __future__ import annotations

import importlib
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from trustworthy.core.predictive import predict
from trustworthy.core.record import Record
from trustworthy.integrate import RK4, BrownianPath, Terms, integrate
from trustworthy.nn import add_noise
from trustworthy.nn.backbones import MLP, SmallConvNet
from trustworthy.nn.bayesian import BayesianLinear, GaussianPrior, kl, to_bayesian

BATCH_SIZE, REPEATS, SEED = 128, 15, 0
DRAWS = 50
STD, PRIOR_STD = math.log1p(math.exp(-3.0)), 1.0
RECORD = Path(__file__).parent / "records" / "stochastic.json"
Weights = list[tuple[Tensor, Tensor]]  # (out, in) and (out) for each linear layer


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    records = [*fifty_draws(), *training_steps(), *divergences(), *equations(), *gradient_memory()]
    for record in records:
        spread = f" ({record.interval[0]:.3f}..{record.interval[1]:.3f})" if record.interval else ""
        print(f"{record.name:44} {record.value:10.3f}{spread} {record.unit}")
    RECORD.parent.mkdir(exist_ok=True)
    RECORD.write_text(json.dumps([record.model_dump(mode="json") for record in records], indent=2) + "\n")


def paired(
    name: str,
    plain: Callable[[], object],
    other: Callable[[], object],
    calls: int,
    repeats: int = REPEATS,
    **conditions: Any,
) -> Record:
    """Median over the repeats of the ratio of two runs made one after the other, each of `calls` calls."""
    began = time.perf_counter()
    for run in (plain, other):
        seconds(run, calls)
    pairs = [(seconds(plain, calls), seconds(other, calls)) for _ in range(repeats)]
    ratios = sorted(second / first for first, second in pairs)
    first, second = (statistics.median(column) * 1e3 for column in zip(*pairs, strict=True))
    return Record(
        name=name,
        value=statistics.median(ratios),
        interval=(ratios[0], ratios[-1]),
        level=1.0,
        unit="ratio of processor seconds, median; the interval is the lowest and highest",
        conditions={
            **conditions,
            "calls": calls,
            "repeats": repeats,
            "threads": torch.get_num_threads(),
            "milliseconds_per_call_plain": round(first, 3),
            "milliseconds_per_call": round(second, 3),
        },
        seed=SEED,
        wall_time=time.perf_counter() - began,
    )


def seconds(run: Callable[[], object], calls: int) -> float:
    """Processor seconds of one call."""
    started = time.process_time()
    for _ in range(calls):
        run()
    return (time.process_time() - started) / calls


def fifty_draws() -> Iterator[Record]:
    """Fifty draws by `predict` per loop of fifty passes; beside them what fifty passes of the plain network take.

    The plain passes are what one pass for all draws cannot save: convolutions of that many rows. Where they are most of
    the loop, `predict` asks draw by draw.
    """
    for side, width, batch in ((8, 8, 1), (8, 8, 8), (8, 8, 64), (8, 8, 256), (28, 16, 1), (28, 16, 8), (28, 16, 64)):
        model = SmallConvNet(image_size=side, width=width).eval()
        x = torch.rand(batch, 1, side, side)
        for name, random in (("rse", add_noise(model)), ("bayes", to_bayesian(model))):
            plain = seconds(partial(looped, model, x), calls=1)
            found = paired(
                f"draws.{name}.{side}x{side}.batch_{batch}", partial(looped, random, x),
                lambda random=random, x=x: predict(random, x, draws=DRAWS), calls=max(1, 8 // batch),
                draws=DRAWS, width=width,
            )  # fmt: skip
            found.conditions["milliseconds_per_call_without_randomness"] = round(1e3 * plain, 3)
            yield found


def looped(model: nn.Module, x: Tensor) -> Tensor:
    """The loop that a reader of the dissertation writes."""
    with torch.no_grad():
        return torch.stack([model(x) for _ in range(DRAWS)])


def training_steps() -> Iterator[Record]:
    """A step of variational Bayes (forward, KL, backward, update) per step of the network that it was made of."""
    pixels, labels = load_digits(return_X_y=True)
    digits = torch.tensor(pixels[:BATCH_SIZE] / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    y = torch.tensor(labels[:BATCH_SIZE])
    for name, model, x, calls, local in (
        ("small_conv_net.8x8", SmallConvNet(image_size=8), digits, 20, False),
        ("small_conv_net.8x8.local", SmallConvNet(image_size=8), digits, 20, True),
        ("small_conv_net.28x28", SmallConvNet(), F.interpolate(digits, 28), 3, False),
        ("mlp", MLP(features=64, classes=10), digits.flatten(1), 200, False),
    ):
        yield paired(
            f"bayes.step.{name}",
            training_step(model, x, y, penalty=lambda model: 0.0),
            training_step(to_bayesian(model, local=local), x, y, penalty=lambda model: kl(model) / len(pixels)),
            calls,
            batch=list(x.shape),
            weights=sum(weight.numel() for weight in model.parameters()),
            optimizer="SGD, momentum 0.9",
        )


def training_step(
    model: nn.Module, x: Tensor, y: Tensor, penalty: Callable[[nn.Module], Tensor | float]
) -> Callable[[], None]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)

    def step() -> None:
        loss = F.cross_entropy(model(x), y) + penalty(model)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def divergences() -> Iterator[Record]:
    """KL of the same posterior of linear layers from the same prior, in all libraries, beside that of torch."""
    for sizes in ((64, 32), (64, 32, 10)):
        torch.manual_seed(SEED)
        weights = [(0.1 * torch.randn(b, a), 0.1 * torch.randn(b)) for a, b in pairwise(sizes)]
        prior, std = Normal(torch.tensor(0.0).double(), PRIOR_STD), torch.tensor(STD).double()
        exact = sum(float(kl_divergence(Normal(part.double(), std), prior).sum()) for pair in weights for part in pair)
        for name, measure in KL_OF.items():
            began = time.perf_counter()
            try:
                value = float(measure(weights).detach())
            except ImportError as error:
                print(f"{name}: {error}; not measured")
                continue
            yield Record(
                name=f"bayes.kl.linear_{'x'.join(map(str, sizes))}.{name}",
                value=value,
                unit=f"nats; torch.distributions give {exact:.3f}, {exact / value:.1f} times as much",
                conditions={"exact": exact, "std": STD, "prior_std": PRIOR_STD},
                seed=SEED,
                wall_time=time.perf_counter() - began,
            )


def ours(weights: Weights) -> Tensor:
    layers = [BayesianLinear(*mean.T.shape, prior=GaussianPrior(PRIOR_STD), init_std=STD) for mean, _ in weights]
    for layer, (mean, bias) in zip(layers, weights, strict=True):
        fill(layer, weight_mean=mean, bias_mean=bias)
    return kl(nn.Sequential(*layers))


def last_layer(weights: Weights) -> Tensor:
    """What the code released with Adv-BNN adds to its loss."""
    return ours(weights[-1:])


def bayesian_torch(weights: Weights) -> Tensor:
    """Its `prior_variance` is used as a standard deviation."""
    linear = importlib.import_module("bayesian_torch.layers.variational_layers.linear_variational")
    network = nn.Sequential(
        *(linear.LinearReparameterization(*mean.T.shape, prior_mean=0, prior_variance=PRIOR_STD) for mean, _ in weights)
    )
    rho = math.log(math.expm1(STD))
    for layer, (mean, bias) in zip(network, weights, strict=True):
        fill(layer, mu_weight=mean, mu_bias=bias, rho_weight=rho, rho_bias=rho)
    return importlib.import_module("bayesian_torch.models.dnn_to_bnn").get_kl_loss(network)


def torchbnn(weights: Weights, *, reduction: str) -> Tensor:
    library = importlib.import_module("torchbnn")
    network = nn.Sequential(*(library.BayesLinear(0, PRIOR_STD, *mean.T.shape) for mean, _ in weights))
    for layer, (mean, bias) in zip(network, weights, strict=True):
        fill(layer, weight_mu=mean, bias_mu=bias, weight_log_sigma=math.log(STD), bias_log_sigma=math.log(STD))
    return library.BKLLoss(reduction=reduction)(network)


def fill(layer: nn.Module, **values: Tensor | float) -> None:
    with torch.no_grad():
        for name, value in values.items():
            getattr(layer, name).copy_(torch.as_tensor(value))


KL_OF: dict[str, Callable[[Weights], Tensor]] = {
    "ours": ours,
    "bayesian_torch": bayesian_torch,
    "torchbnn_default": partial(torchbnn, reduction="mean"),
    "torchbnn_sum": partial(torchbnn, reduction="sum"),
    "last_layer_alone": last_layer,
}


STEPS = 100
Y = torch.randn(64, 64, generator=torch.Generator().manual_seed(SEED))
WEIGHT = (torch.randn(64, 64, generator=torch.Generator().manual_seed(SEED + 1)) / 8).requires_grad_()


def linear(t: float, y: Tensor) -> Tensor:
    """The cheapest drift: what a solver adds weighs most."""
    return -y


def network(t: float, y: Tensor) -> Tensor:
    return torch.tanh(y @ WEIGHT)


def diffusion(t: float, y: Tensor) -> Tensor:
    return 0.1 * y


def equations() -> Iterator[Record]:
    """100 steps of a state of 64 numbers, batch 64, per the same steps in a loop written by hand."""
    for drift in (linear, network):
        euler = {"by_hand": partial(euler_by_hand, drift), **euler_contenders(drift)}
        rk4 = {"by_hand": partial(rk4_by_hand, drift), **rk4_contenders(drift)}
        for task, contenders in (("sde.euler", euler), ("ode.rk4", rk4)):
            for name, run in contenders.items():
                slow = name.startswith("torchsde")
                for ends, backward in (("forward", False), ("with_backward", True)):
                    if name != "by_hand":
                        yield paired(
                            f"{task}.{drift.__name__}.{ends}.{name}",
                            partial(solve, contenders["by_hand"], backward),
                            partial(solve, run, backward),
                            calls=1 if slow else 4,
                            repeats=3 if slow else REPEATS,
                            steps=STEPS,
                            state=list(Y.shape),
                        )


def solve(run: Callable[[Tensor], Tensor], backward: bool) -> None:
    if backward:
        y = Y.clone().requires_grad_()
        torch.autograd.grad(run(y).sum(), y)
    else:
        with torch.no_grad():
            run(Y)


def euler_by_hand(drift: Callable[[float, Tensor], Tensor], y: Tensor) -> Tensor:
    h = 1 / STEPS
    root = math.sqrt(h)
    for step in range(STEPS):
        y = y + drift(step * h, y) * h + diffusion(step * h, y) * (torch.randn_like(y) * root)
    return y


def rk4_by_hand(drift: Callable[[float, Tensor], Tensor], y: Tensor) -> Tensor:
    h = 1 / STEPS
    for step in range(STEPS):
        t = step * h
        a = drift(t, y)
        b = drift(t + h / 2, y + h / 2 * a)
        c = drift(t + h / 2, y + h / 2 * b)
        d = drift(t + h, y + h * c)
        y = y + h / 6 * (a + 2 * b + 2 * c + d)
    return y


def euler_contenders(drift: Callable[[float, Tensor], Tensor]) -> dict[str, Callable[[Tensor], Tensor]]:
    terms = Terms(drift=drift, diffusion=diffusion)
    found = {
        "ours": lambda y: integrate(terms, y, steps=STEPS).end,
        "ours_on_a_path": lambda y: (
            integrate(terms, y, steps=STEPS, brownian=BrownianPath(tuple(y.shape), steps=STEPS)).end
        ),
    }
    library = installed("torchsde")
    if library is not None:
        times, equation = torch.tensor([0.0, 1.0]), AsTorchsde(drift)
        found["torchsde"] = lambda y: library.sdeint(equation, y, times, method="euler", dt=1 / STEPS)[-1]
        found["torchsde_path"] = lambda y: library.sdeint(
            equation, y, times, method="euler", dt=1 / STEPS, bm=library.BrownianPath(0.0, torch.zeros_like(Y))
        )[-1]
    return found


def rk4_contenders(drift: Callable[[float, Tensor], Tensor]) -> dict[str, Callable[[Tensor], Tensor]]:
    found = {"ours": lambda y: integrate(drift, y, steps=STEPS, solver=RK4()).end}
    library = installed("torchdiffeq")
    if library is not None:
        times, options = torch.tensor([0.0, 1.0]), {"step_size": 1 / STEPS}
        found["torchdiffeq"] = lambda y: library.odeint(drift, y, times, method="rk4", options=options)[-1]
    return found


class AsTorchsde(nn.Module):
    noise_type, sde_type = "diagonal", "ito"

    def __init__(self, drift: Callable[[float, Tensor], Tensor]) -> None:
        super().__init__()
        self.f, self.g = drift, diffusion


def installed(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        print(f"{name}: {error}; not measured")
        return None


PEAK = """
import re, sys
from pathlib import Path
import torch
from trustworthy.integrate import Adjoint, RK4, integrate
torch.set_num_threads(1)
steps, times, adjoint = int(sys.argv[1]), int(sys.argv[2]), Adjoint() if sys.argv[3] == "adjoint" else None
layer = torch.nn.Linear(512, 512)
def solve(steps, times):
    y = torch.zeros(256, 512, requires_grad=True)
    at = [(index + 1) / times for index in range(times)]
    solution = integrate(lambda t, y: torch.tanh(layer(y)), y, steps=steps, solver=RK4(), at=at, adjoint=adjoint)
    solution.end.square().mean().backward()
solve(2, 1)
def peak():  # of this process: what the resource module tells begins at that of the parent
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
before = peak()
solve(steps, times)
print(peak() - before)
"""


def gradient_memory() -> Iterator[Record]:
    """How much the gradient of an RK4 solution adds to the peak of a process, against the steps and the saved times."""
    for how in ("adjoint", "backpropagation"):
        for steps, times in ((10, 1), (40, 1), (160, 1), (160, 40)):
            began = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", PEAK, str(steps), str(times), how], capture_output=True, text=True, check=True
            )
            yield Record(
                name=f"ode.gradient_memory.{how}.{steps}_steps.{times}_saved",
                value=float(done.stdout),
                unit="MB of resident memory above that of 2 steps",
                conditions={"state": [256, 512], "state_megabytes": 0.5, "solver": "RK4"},
                seed=SEED,
                wall_time=time.perf_counter() - began,
            )


if __name__ == "__main__":
    main()
