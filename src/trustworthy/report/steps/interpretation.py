"""What the predictions depend on: gradient saliency of images, importances of the features of a table."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float

from trustworthy.core import seeds
from trustworthy.core.guard import undisturbed
from trustworthy.core.predictive import pooled
from trustworthy.core.protocols import drawn
from trustworthy.report.steps.case import Case, Measured, NotApplicable
from trustworthy.report.steps.pictures import spread_over_classes


def interpretation(case: Case) -> Measured:
    """Saliency maps of a few images, or the importance of every feature of a table."""
    return _saliency(case) if case.examples.domain.kind == "image" else _importances(case)


def _saliency(case: Case) -> Measured:
    if not case.subject.gives_gradients:
        raise NotApplicable("the model has no gradient with respect to its input.")
    rows = torch.from_numpy(spread_over_classes(case, case.plan.interpretation.images))
    if not len(rows):
        raise NotApplicable("the model classifies no example correctly.")
    x, y = case.examples.x[rows].to(case.device), case.examples.y[rows].to(case.device)
    with undisturbed(case.subject.model, x, case.generator("saliency")):
        inputs = x.clone().requires_grad_()
        logits = pooled([predictor(inputs) for predictor in drawn(case.subject.model, case.subject.draws)])
        chosen = logits.gather(1, y[:, None]).sum()
        (gradient,) = torch.autograd.grad(chosen, inputs)
    maps = gradient.abs().amax(1).cpu().double().numpy()
    value = concentration(maps)
    names = case.examples.class_name
    keys = {"image": f"{case.subject.name}/saliency_image", "saliency": f"{case.subject.name}/saliency"}
    return Measured(
        [
            case.finding(
                "interpretation.saliency",
                value,
                property="interpretation",
                kind="saliency",
                title="What the predictions depend on",
                headline=True,
                statement=f"In these {len(rows)} images the tenth of the pixels with the largest gradients carries "
                f"{value:.0%} of the saliency; a model that looks everywhere equally would have 10%.",
                series={
                    "label": [names(label) for label in y.tolist()],
                    "prediction": [names(int(case.predictions[row])) for row in rows.tolist()],
                    "method": "gradient: largest |d logit of the true class / d pixel| over the channels",
                },
                arrays=keys,
                conditions={"n": len(rows)},
            )
        ],
        {keys["image"]: x.float().cpu().numpy(), keys["saliency"]: maps.astype(np.float32)},
    )


def concentration(maps: Float[np.ndarray, "n h w"]) -> float:
    """Share of the saliency in the tenth of the pixels that has most, averaged over the maps that are not zero."""
    flat = -np.sort(-maps.reshape(len(maps), -1), axis=1)
    total = flat.sum(axis=1)
    top = flat[:, : max(1, round(0.1 * flat.shape[1]))].sum(axis=1)
    shares = top[total > 0] / total[total > 0]
    return float(shares.mean()) if len(shares) else 0.0


def _importances(case: Case) -> Measured:
    """Loss of accuracy when one feature is shuffled over the examples (permutation importance)."""
    x, repeats = case.examples.x, case.plan.interpretation.repeats
    lost = np.zeros((x.shape[1], repeats))
    for column in range(x.shape[1]):
        for repeat in range(repeats):
            order = seeds.numpy_generator(case.seed, "importance", column, repeat).permutation(len(x))
            shuffled = x.clone()
            shuffled[:, column] = x[torch.from_numpy(order), column]
            lost[column, repeat] = case.accuracy - (case.classify(shuffled) == case.labels).mean()
        case.advance((column + 1) / len(lost))
    importance = lost.mean(axis=1)
    top = np.argsort(-importance, kind="stable")[:3]
    named = ", ".join(f"{case.examples.feature_name(int(c))} ({importance[c]:.1%})" for c in top)
    return Measured([
        case.finding(
            "interpretation.importance",
            float(importance.max()),
            property="interpretation",
            kind="saliency",
            title="What the predictions depend on",
            headline=True,
            statement=f"Shuffling one feature costs most accuracy for {named}.",
            series={
                "method": f"permutation importance: accuracy lost when a feature is shuffled, mean of {repeats}",
                "features": [case.examples.feature_name(column) for column in range(x.shape[1])],
                "importance": importance.tolist(),
            },
            conditions={"repeats": repeats},
        )
    ])  # fmt: skip
