"""Saved audits made up from formulas, in the shape of real ones: two models of images, and one of a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits

from trustworthy.report.finding import AuditRecord, Finding, Omission

CORRUPTIONS = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "weather": ("snow", "frost", "fog", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
}
CONDITIONS = {"data": "digits", "rows": 360, "device": "cpu"}


def finding(model: str, about: Any, kind: str, name: str, title: str, value: float | None, **rest: Any) -> Finding:
    return Finding(
        model=model,
        property=about,
        kind=kind,
        name=name,
        title=title,
        value=value,
        **{"wall_time": 1.25, "seed": 7} | rest,
    )


def image_audit(folder: Path, models: tuple[str, ...] = ("plain", "adversarially trained")) -> Path:
    """Findings of every kind for models of 8 x 8 digits; the first is accurate and fragile, the others robust."""
    arrays: dict[str, np.ndarray] = {}
    findings: list[Finding] = []
    for place, model in enumerate(models):
        findings += _robustness(model, strength=0.05 + 0.13 * place, clean=0.978 - 0.02 * place)
        findings += [_pictures(model, place, arrays), _corruptions(model, place), _diagnosis(model, failed=place % 2)]
        findings += [*_uncertainty(model, place), _saliency(model, place, arrays)]
    findings += [_transfer(models), _poisoning()]
    record = AuditRecord(
        title=f"{' and '.join(models)} on digits",
        created="2026-05-04T09:30:00+00:00",
        command="trustworthy audit examples/models.py:plain --data digits --out audits/digits --seed 7",
        models=[{"name": name, "factory": f"examples/models.py:{name}", "parameters": 18_378} for name in models],
        data={"name": "digits", "rows": 360, "available": 360, "shape": [1, 8, 8], "units": "pixel values in [0, 1]"},
        plan={"profile": "quick", "robustness": {"linf": {"headline": 0.1, "attacks": ["FGSM", "APGD"]}}, "rows": 360},
        seed=7,
        wall_time=41.3,
        findings=findings,
        omissions=[Omission(model=models[0], part="robustness.boundary", reason="left out of the quick profile.")],
    )
    return save(folder, record, arrays)


def table_audit(folder: Path) -> Path:
    """Findings of one model of a table: rows instead of pictures, importances instead of maps."""
    cancer: Any = load_breast_cancer()
    names = [str(name) for name in cancer.feature_names]
    original = cancer.data[:4].astype(np.float64)
    steps = np.random.default_rng(0).normal(size=original.shape) * cancer.data.std(axis=0) * 0.2
    arrays = {"rows/original": original, "rows/adversarial": original + steps}
    model, weights = "forest", 1.0 / np.arange(1, 31)
    findings = [
        *_robustness(model, strength=0.4, clean=0.956),
        finding(
            model,
            "robustness",
            "adversarial_pictures",
            "robustness.linf.pictures",
            "Rows before and after an attack",
            0.75,
            series={
                "label": ["malignant"] * 4,
                "prediction": ["malignant"] * 4,
                "adversarial_prediction": ["benign", "benign", "malignant", "benign"],
                "distance": [0.2, 0.19, None, 0.2],
                "eps": 0.2,
                "amplification": 1.0,
                "features": names,
            },
            arrays={"original": "rows/original", "adversarial": "rows/adversarial"},
        ),
        _table_corruptions(model, names),
        _diagnosis(model, failed=0),
        *_uncertainty(model, 1),
        finding(
            model,
            "interpretation",
            "saliency",
            "interpretation.saliency",
            "Importance of the features",
            None,
            headline=True,
            statement="Five features carry 57 % of the importance.",
            series={"method": "mean absolute gradient", "features": names, "importance": weights.tolist()},
        ),
    ]
    record = AuditRecord(
        title="forest on breast-cancer",
        created="2026-05-04T09:30:00+00:00",
        models=[{"name": model}],
        data={"name": "breast-cancer", "rows": 169, "units": "standard deviations of each feature"},
        plan={"profile": "quick"},
        seed=0,
        wall_time=8.04,
        findings=findings,
        omissions=[Omission(model=model, part="robustness.certificate", reason="the model is not a small network.")],
    )
    return save(folder, record, arrays)


def save(folder: Path, record: AuditRecord, arrays: dict[str, np.ndarray]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "findings.json").write_text(json.dumps(record.model_dump(mode="json"), indent=1), encoding="utf-8")
    np.savez_compressed(folder / "arrays.npz", allow_pickle=False, **arrays)
    return folder


def _robustness(model: str, strength: float, clean: float) -> list[Finding]:
    findings = [
        finding(
            model,
            "robustness",
            "accuracy",
            "accuracy",
            "Accuracy",
            clean,
            interval=(clean - 0.017, clean + 0.012),
            verdict="good",
            conditions=CONDITIONS,
            series={
                "n": 360,
                "per_class": [{"class": str(c), "accuracy": clean - 0.01 * c, "n": 36} for c in range(10)],
            },
        )
    ]
    for norm, scale in (("linf", 1.0), ("l2", 7.0)):
        eps = [scale * e for e in (0.0, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3)]
        worst = [clean * (1 + np.exp(-strength / 0.022)) / (1 + np.exp((e / scale - strength) / 0.022)) for e in eps]
        attacks = {
            n: [min(clean, w + g * e / scale) for e, w in zip(eps, worst, strict=True)] for n, g in ATTACKS.items()
        }
        value = worst[3]
        findings.append(
            finding(
                model,
                "robustness",
                "robustness_curve",
                f"robustness.{norm}.accuracy",
                f"Accuracy under {norm} attack at eps {eps[3]:.3g}",
                value,
                interval=(max(0, value - 0.03), value + 0.03),
                headline=True,
                verdict="worry" if value < 0.5 else "attention",
                higher_is_better=True,
                statement=f"A change of at most {eps[3]:.3g} per pixel leaves {value:.0%} of the predictions right.",
                conditions=CONDITIONS | {"attacks": [f"{n}(norm='{norm}', steps=20)" for n in ATTACKS]},
                series={
                    "eps": eps,
                    "worst": worst,
                    "low": [max(0, w - 0.035) for w in worst],
                    "high": [min(1, w + 0.03) for w in worst],
                    "attacks": attacks,
                    "headline_eps": eps[3],
                },
            )
        )
    edges = np.linspace(0, 2.4, 25)
    counts = np.round(60 * np.exp(-(((edges[:-1] - 6 * strength) / 0.3) ** 2))).astype(int)
    findings.append(
        finding(
            model,
            "robustness",
            "distortion",
            "robustness.l2.distortion",
            "Smallest l2 perturbation",
            6 * strength,
            conditions=CONDITIONS,
            series={
                "edges": edges.tolist(),
                "counts": counts.tolist(),
                "unbroken": 3,
                "quartiles": [6 * strength - 0.2, 6 * strength, 6 * strength + 0.2],
            },
        )
    )
    return findings


ATTACKS = {"FGSM": 1.1, "PGD": 0.2, "APGD": 0.0, "SquareAttack": 0.6}


def _pictures(model: str, place: int, arrays: dict[str, np.ndarray]) -> Finding:
    digits: Any = load_digits()
    original = digits.images[:6, None] / 16.0
    sign = np.sign(np.random.default_rng(place).normal(size=original.shape))
    arrays[f"{model}/original"] = original
    arrays[f"{model}/adversarial"] = np.clip(original + 0.1 * sign, 0.0, 1.0)
    labels = [str(label) for label in digits.target[:6]]
    fooled = [str((int(label) + 3) % 10) if place == 0 or i % 3 == 0 else label for i, label in enumerate(labels)]
    return finding(
        model,
        "robustness",
        "adversarial_pictures",
        "robustness.linf.pictures",
        "Pictures before and after the attack",
        [1.0, 1 / 3][place % 2],
        series={
            "label": labels,
            "prediction": labels,
            "adversarial_prediction": fooled,
            "distance": [0.1] * 6,
            "eps": 0.1,
            "amplification": 5.0,
        },
        arrays={"original": f"{model}/original", "adversarial": f"{model}/adversarial"},
    )


def _corruptions(model: str, place: int) -> Finding:
    names = [name for group in CORRUPTIONS.values() for name in group]
    groups = [group for group, members in CORRUPTIONS.items() for _ in members]
    rows = [
        [max(0.1, 0.97 - 0.02 * place - s * (0.03 + 0.012 * ((7 * i) % 11)) * (1 - 0.3 * place)) for s in range(1, 6)]
        for i in range(len(names))
    ]
    mean = float(np.mean(rows))
    return finding(
        model,
        "robustness",
        "corruptions",
        "robustness.corruptions",
        "Accuracy under 15 corruptions",
        mean,
        headline=True,
        interval=(mean - 0.02, mean + 0.02),
        verdict="attention",
        statement="Worst under impulse noise.",
        conditions=CONDITIONS,
        series={"clean": 0.978, "names": names, "groups": groups, "accuracy": rows},
    )


def _table_corruptions(model: str, features: list[str]) -> Finding:
    names = ["missing_values", "gaussian_noise", "unit_slip"]
    return finding(
        model,
        "robustness",
        "corruptions",
        "robustness.corruptions",
        "Accuracy under common corruptions",
        0.8,
        headline=True,
        verdict="attention",
        statement="Refused, and not counted: missing values (Input X contains NaN).",
        conditions=CONDITIONS,
        series={
            "clean": 0.956,
            "names": names,
            "groups": ["all columns", "numbers", "numbers"],
            "amounts": ["2 to 30% of the cells", "0.05 to 0.5 sd", "×10 to 1000, one column a row"],
            "severities": [1, 5],
            "accuracy": [[None, None], [0.95, 0.9], [0.8, 0.6]],
            "left_out": {"missing_values": "refused: Input X contains NaN"},
            "per_column": [
                {"name": name, "accuracy": {"swapped": 0.9, "×1000": 0.5 + place / 100}}
                for place, name in enumerate(features)
            ],
        },
    )


def _diagnosis(model: str, failed: int) -> Finding:
    checks = [
        {
            "name": "same answer twice",
            "passed": True,
            "value": 0.0,
            "explanation": "Two forward passes agree on every example.",
        },
        {
            "name": "gradients carry information",
            "passed": True,
            "value": 0.002,
            "explanation": "0.2 % of gradients are zero.",
        },
        {
            "name": "white box beats black box",
            "passed": not failed,
            "value": 0.03,
            "explanation": "SquareAttack broke 11 examples that the gradient attacks did not: they may be masked.",
        },
        {"name": "more steps gain nothing", "passed": True, "value": None, "explanation": ""},
        {
            "name": "expectation over randomness",
            "passed": None,
            "value": None,
            "explanation": "The model is deterministic.",
        },
    ]
    return finding(
        model,
        "evaluation",
        "diagnosis",
        "evaluation.diagnosis",
        "Checks of the attacks",
        float(failed),
        headline=True,
        verdict="attention" if failed else "good",
        series={"checks": checks},
        statement="One check failed: accuracies under attack may be too high."
        if failed
        else "Nothing speaks against the numbers.",
    )


def _uncertainty(model: str, place: int) -> list[Finding]:
    edges = np.linspace(0.0, 1.0, 16)
    middle = (edges[:-1] + edges[1:]) / 2
    count = np.round(200 * middle**4).astype(int) * (middle > 0.3)
    accuracy = np.where(count > 0, np.clip(middle - 0.09 + 0.05 * place, 0, 1), np.nan)
    coverage = np.linspace(0.02, 1.0, 50)
    risk = (0.05 + 0.02 * place) * coverage**2.2
    return [
        finding(
            model,
            "uncertainty",
            "calibration",
            "uncertainty.ece",
            "Expected calibration error",
            0.062 - 0.03 * place,
            interval=(0.051 - 0.03 * place, 0.077 - 0.03 * place),
            headline=True,
            verdict="attention" if place == 0 else "good",
            statement="Overconfident: it is right 6 points less often than it says."
            if place == 0
            else "Confidence can be taken at its word.",
            series={
                "edges": edges.tolist(),
                "confidence": [m if c else None for m, c in zip(middle.tolist(), count, strict=True)],
                "accuracy": [None if np.isnan(a) else a for a in accuracy.tolist()],
                "count": count.tolist(),
                "adaptive_ece": 0.06,
                "mean_confidence": 0.91,
            },
        ),
        finding(
            model,
            "uncertainty",
            "score",
            "uncertainty.nll",
            "Negative log-likelihood (NLL)",
            0.21,
            interval=(0.17, 0.26),
        ),
        finding(model, "uncertainty", "score", "uncertainty.brier", "Brier score", 0.0812, interval=(0.07, 0.09)),
        finding(
            model,
            "uncertainty",
            "risk_coverage",
            "uncertainty.aurc",
            "When to ask a human",
            0.0123,
            interval=(0.01, 0.015),
            series={
                "coverage": coverage.tolist(),
                "risk": risk.tolist(),
                "threshold": 0.83,
                "target_risk": 0.02,
                "coverage_at_threshold": float(np.interp(0.02, risk, coverage)),
                "rule": "Lowest confidence whose kept errors are at most the target.",
            },
        ),
    ]


def _saliency(model: str, place: int, arrays: dict[str, np.ndarray]) -> Finding:
    digits: Any = load_digits()
    images = digits.images[:4, None] / 16.0
    arrays[f"{model}/image"] = images
    arrays[f"{model}/saliency"] = np.abs(np.roll(images[:, 0], 1, axis=2) - images[:, 0]) * (1 + place)
    return finding(
        model,
        "interpretation",
        "saliency",
        "interpretation.saliency",
        "Gradient saliency",
        0.41,
        headline=True,
        statement="41 % of the saliency lies in a tenth of the pixels.",
        series={"label": ["0", "1", "2", "3"], "prediction": ["0", "1", "2", "3"], "method": "gradient of the margin"},
        arrays={"image": f"{model}/image", "saliency": f"{model}/saliency"},
    )


def _transfer(models: tuple[str, ...]) -> Finding:
    n = len(models)
    affinity = [[1.0 if i == j else round(0.3 + 0.2 * i - 0.05 * j, 2) for j in range(n)] for i in range(n)]
    return finding(
        models[0],
        "robustness",
        "transfer",
        "robustness.transfer",
        "Transfer of attacks between the models",
        0.5,
        series={"models": list(models), "affinity": affinity, "accuracy": [0.978 - 0.02 * i for i in range(n)]},
    )


def _poisoning() -> Finding:
    return finding(
        "all models",
        "robustness",
        "poisoning",
        "robustness.poisoning",
        "Poisoned training labels",
        0.61,
        statement="Three flipped labels of 50 ruin a graph learner of these data.",
        series={
            "budgets": [0, 1, 2, 3, 4],
            "error": [0.02, 0.2, 0.4, 0.52, 0.61],
            "bound": [0.02, 0.2, 0.45, 0.6, 0.7],
            "baselines": {"random": [0.02, 0.03, 0.05, 0.08, 0.1]},
            "clean": 0.02,
            "guess": 0.5,
            "labelled": 50,
        },
    )
