"""What do explanations cost? Integrated and expected gradients beside a chunked loop written by hand, kernel SHAP
beside that of shap and the enumeration of all coalitions; captum and shap take their turns in the same run.

Times are of the processor, on one thread, of runs made in turn, so that other work on the machine counts little. A peer
that is not installed is left out with a note. The record is written to benchmarks/records/explain.json.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stochastic import paired
from torch import Tensor, nn

from trustworthy.core.record import Record
from trustworthy.explain import ExactSHAP, ExpectedGradients, IntegratedGradients, KernelSHAP
from trustworthy.nn.backbones import MLP, LeNet

STEPS, SAMPLES, BACKGROUND, CHUNK, SEED = 50, 100, 100, 256, 0
FEATURES, COALITIONS = 64, 2048
REPEATS, OF_PEERS = 15, 3
RECORD = Path(__file__).parent / "records" / "explain.json"
Run = Callable[[], object]


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    keep_memory()
    warnings.filterwarnings("ignore")  # of the peers, about their own dependencies
    records = [*paths(), *shapley(), *enumeration()]
    for record in records:
        spread = f" ({record.interval[0]:.3f}..{record.interval[1]:.3f})" if record.interval else ""
        print(f"{record.name:44} {record.value:10.3g}{spread} {record.unit}")
    RECORD.parent.mkdir(exist_ok=True)
    RECORD.write_text(json.dumps([record.model_dump(mode="json") for record in records], indent=2) + "\n")


def keep_memory() -> None:
    """Have the allocator keep what it has: to return pages and ask for them again is up to a tenth of a pass.

    Whether it does so depends on what ran before, and would be counted to one contender or the other.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # of the C library of GNU
    if mallopt is not None:
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
        mallopt(-3, 2**25)  # M_MMAP_THRESHOLD, the largest there is


def paths() -> Iterator[Record]:
    """Integrated gradients of LeNet in 50 steps, expected gradients in 100 samples, per the loop."""
    model, background = LeNet().eval(), torch.rand(BACKGROUND, 1, 28, 28)
    integrated, expected = IntegratedGradients(steps=STEPS), ExpectedGradients(samples=SAMPLES, background=background)
    for batch in (1, 8):
        x = torch.rand(batch, 1, 28, 28)
        y = model(x).argmax(1)
        calls = max(1, 4 // batch)
        plain: dict[str, Run] = {
            "ig": partial(integrated_by_hand, model, x, y),
            "eg": partial(expected_by_hand, model, x, y, background),
        }
        found: dict[tuple[str, str], Run] = {
            ("ig", "ours"): partial(integrated, model, x, y),
            ("eg", "ours"): partial(expected, model, x, y),
        } | of_peers(captum_paths, shap_paths, model=model, x=x, y=y, background=background)
        for (method, whose), run in found.items():
            name = f"{method}.lenet.batch_{batch}.{whose}"
            repeats = REPEATS if whose == "ours" else OF_PEERS
            yield paired(name, plain[method], run, calls, repeats=repeats, steps=STEPS, samples=SAMPLES, chunk=CHUNK)


def integrated_by_hand(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    nodes, weights = (torch.tensor(part / 2).to(x) for part in np.polynomial.legendre.leggauss(STEPS))
    total, per = torch.zeros_like(x), max(1, CHUNK // len(x))
    for some, weight in zip((nodes + 0.5).split(per), weights.split(per), strict=True):
        points = (some.reshape(-1, 1, 1, 1, 1) * x).flatten(0, 1).requires_grad_()
        score = model(points).gather(1, y.repeat(len(some))[:, None]).sum()
        (gradient,) = torch.autograd.grad(score, points)
        total += torch.tensordot(weight, gradient.reshape(len(some), *x.shape), dims=1)
    return x * total


def expected_by_hand(model: nn.Module, x: Tensor, y: Tensor, background: Tensor) -> Tensor:
    total = torch.zeros_like(x)
    for some in torch.arange(SAMPLES).split(max(1, CHUNK // len(x))):
        start = background[torch.randint(len(background), (len(some), len(x)))]
        way = x - start
        points = (start + torch.rand(len(some), len(x), 1, 1, 1) * way).flatten(0, 1).requires_grad_()
        score = model(points).gather(1, y.repeat(len(some))[:, None]).sum()
        (gradient,) = torch.autograd.grad(score, points)
        total += (way * gradient.reshape(way.shape)).sum(0)
    return total / SAMPLES


def of_peers(*peers: Callable[..., dict[tuple[str, str], Run]], **asked: Any) -> dict[tuple[str, str], Run]:
    """What the peers that are installed run."""
    found: dict[tuple[str, str], Run] = {}
    for peer in peers:
        try:
            found |= peer(**asked)
        except ImportError as error:
            print(f"{peer.__name__}: {error}; not measured")
    return found


def captum_paths(model: nn.Module, x: Tensor, y: Tensor, background: Tensor) -> dict[tuple[str, str], Run]:
    attr = importlib.import_module("captum.attr")
    whole = attr.IntegratedGradients(model)
    return {
        ("ig", "captum"): partial(whole.attribute, x, target=y, n_steps=STEPS),
        ("ig", "captum_chunked"): partial(
            whole.attribute, x, target=y, n_steps=STEPS, internal_batch_size=max(CHUNK, len(x))
        ),
        ("eg", "captum"): partial(
            attr.GradientShap(model).attribute, x, baselines=background, target=y, n_samples=SAMPLES
        ),
    }


def shap_paths(model: nn.Module, x: Tensor, y: Tensor, background: Tensor) -> dict[tuple[str, str], Run]:
    explainer = importlib.import_module("shap").GradientExplainer(model, background, batch_size=CHUNK)
    # The highest output alone, which is y.
    return {("eg", "shap"): partial(explainer.shap_values, x, nsamples=SAMPLES, ranked_outputs=1, rseed=SEED)}


def shapley() -> Iterator[Record]:
    """Kernel SHAP of one row of 64 features by 2048 coalitions, per that of shap."""
    model, x = MLP(features=FEATURES, classes=10).eval(), torch.rand(1, FEATURES)
    y = model(x).argmax(1)
    found = of_peers(captum_kernel, shap_kernel, model=model, x=x, y=y)
    plain = found.pop(("kernel", "shap"), None)
    if plain is None:
        return
    found["kernel", "ours"] = partial(KernelSHAP(samples=COALITIONS), model, x, y)
    for (method, whose), run in found.items():
        repeats = REPEATS if whose == "ours" else OF_PEERS
        yield paired(
            f"{method}.mlp.{whose}",
            plain,
            run,
            1,
            repeats=repeats,
            features=FEATURES,
            coalitions=COALITIONS,
            per="shap",
        )


def captum_kernel(model: nn.Module, x: Tensor, y: Tensor) -> dict[tuple[str, str], Run]:
    kernel = importlib.import_module("captum.attr").KernelShap(model)
    given = {"target": y, "n_samples": COALITIONS}
    return {
        ("kernel", "captum"): partial(kernel.attribute, x, **given),
        ("kernel", "captum_batched"): partial(kernel.attribute, x, perturbations_per_eval=CHUNK, **given),
    }


def shap_kernel(model: nn.Module, x: Tensor, y: Tensor) -> dict[tuple[str, str], Run]:
    def score(rows: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return model(torch.from_numpy(rows).to(x))[:, int(y)].numpy()

    explainer = importlib.import_module("shap").KernelExplainer(score, np.zeros((1, FEATURES)), silent=True)
    return {
        ("kernel", "shap"): partial(explainer.shap_values, x.numpy(), nsamples=COALITIONS, l1_reg=False, silent=True)
    }


def enumeration() -> Iterator[Record]:
    """Largest difference of kernel SHAP with all coalitions from the values by their definition."""
    for features in (2, 4, 8, 12):
        began = time.perf_counter()
        model, x = MLP(features=features, classes=3).double().eval(), torch.rand(4, features, dtype=torch.float64)
        kernel = KernelSHAP(samples=2**features - 2)(model, x)
        yield Record(
            name=f"kernel.enumeration.{features}_features",
            value=float((kernel.scores - ExactSHAP()(model, x).scores).abs().max()),
            unit="of the logit, largest difference from the enumeration",
            conditions={"rows": len(x), "calls": int(kernel.calls[0])},
            seed=SEED,
            wall_time=time.perf_counter() - began,
        )


if __name__ == "__main__":
    main()
