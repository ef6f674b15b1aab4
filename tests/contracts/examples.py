"""A finding of each kind as its `measure` could leave it: (name, value, series, arrays), by the step of the kind."""

import numpy as np

CAT, DOG = {"class": "cat", "accuracy": 0.9, "n": 10}, {"class": "dog", "accuracy": None, "n": 0}
CHECKS = [
    {"name": "zero_gradients", "passed": True, "value": 0.0, "explanation": "no gradient is zero."},
    {"name": "black_box_wins", "passed": False, "value": 0.2},
    {"name": "probabilities", "passed": None},
]
EXPLANATION = {
    "label": ["0", "1"], "whole": [0.5, 0.4], "held": [0.9, None], "random": [0.6, 0.5], "method": "Greedy-AS",
    "feature": "pixel",
}  # fmt: skip
GREY = np.linspace(0.1, 0.9, 2 * 64).reshape(2, 1, 8, 8)
IMAGES = np.linspace(0.0, 1.0, 2 * 64).reshape(2, 1, 8, 8)
CALIBRATION = {
    "edges": [0.0, 0.5, 1.0], "confidence": [None, 0.8], "accuracy": [None, 0.7], "count": [0, 50],
    "adaptive_ece": 0.1, "mean_confidence": 0.8,
}  # fmt: skip
CERTIFICATE = {
    "eps": [0.0, 0.1, 0.2], "certified": [0.9, 0.4, 0.0], "clean": 0.9, "method": "exact", "exact": True,
    "headline_eps": 0.1,
}  # fmt: skip
CONFORMAL = {
    "wanted": 0.9, "coverage": 0.925, "interval": [0.8, 0.98], "sizes": [0, 1, 2], "counts": [1, 30, 9], "per_class": [
        {"name": "cat", "n": 40, "coverage": 0.925, "size": 1.2},
        {"name": "dog", "n": 0, "coverage": None, "size": None},
    ],
}  # fmt: skip
CORRUPTIONS = {
    "clean": 0.95, "names": ["missing_values", "drift", "unit_slip"], "groups": ["all columns", "numbers", "numbers"],
    "amounts": ["2 to 30% of the cells", "+0.25 to 3 sd", "×10 to 1000"], "severities": [1, 5],
    "accuracy": [[None, None], [0.8, 0.7], [0.9, None]], "left_out": {"missing_values": "refused: it has gaps"},
    "per_column": [
        {"name": "age", "accuracy": {"swapped": 0.5, "×1000": 0.4}}, {"name": "sex", "accuracy": {"swapped": 0.9}},
    ],
}  # fmt: skip
DEFENSE = {"models": [
    {"name": "m", "accuracy": 0.9, "milliseconds": 1.5, "draws": 10, "single": 0.2, "parameters": 1000,
     "seconds": 60.0, "epochs": 3},
    {"name": "other", "accuracy": 0.8, "milliseconds": 0.1},
]}  # fmt: skip
DISAGREEMENT = {
    "members": 6, "most": [0, 2, 5], "right": [40, 5, 0], "wrong": [1, 3, 2], "disagreeing": 0.1,
    "information_right": 0.01, "information_wrong": None,
}  # fmt: skip
DISTORTION = {"edges": [0.0, 1.0, 2.0, 3.0], "counts": [10, 40, 10], "unbroken": 1, "quartiles": [1.0, 1.5, 2.0]}
PICTURES = {
    "label": ["0", "1"], "prediction": ["0", "1"], "adversarial_prediction": ["0", "7"], "distance": [None, 0.1],
    "eps": 0.1, "amplification": 5.0,
}  # fmt: skip
EXCHANGE = {
    "columns": [0, 1, 2], "accuracy": [0.9, 0.5, 0.0], "low": [0.8, 0.4, 0.0], "high": [0.95, 0.6, 0.1],
    "decisive": [{"name": "age", "share": 0.75}, {"name": "city", "share": 0.5}], "unbroken": 1, "queries": 120.5,
    "examples": [{
        "label": "yes", "adversarial_prediction": "no",
        "exchanged": [{"column": "city", "before": "Rome", "after": "Oslo"}],
    }],
}  # fmt: skip
OOD = {
    "foreign": [
        {"name": "noise", "n": 40, "entropy": 0.9, "entropy_fpr": 0.3, "information": 0.95, "information_fpr": 0.1},
        {"name": "far", "n": 40, "entropy": 0.5, "entropy_fpr": 0.95, "information": None, "information_fpr": None},
    ], "left_out": {"wine": "it has other columns."},
}  # fmt: skip
POISONING = {
    "budgets": [0.0, 1.0, 2.0], "error": [0.02, 0.2, 0.5], "bound": [0.02, 0.3, 0.6],
    "baselines": {"random": [0.02, 0.03, 0.05]}, "clean": 0.02, "guess": 0.5, "labelled": 20,
}  # fmt: skip
CURVE = {
    "eps": [0.0, 0.1, 0.2], "worst": [1.0, 0.5, 0.0], "low": [0.9, 0.4, None], "high": [1.0, 0.6, 0.1],
    "attacks": {"PGD": [1.0, 0.5, 0.25], "FGSM": [1.0, 0.75, None]}, "headline_eps": 0.1,
}  # fmt: skip
RANDOMNESS = {
    "draws": [1, 2], "accuracy": [0.8, 0.9], "low": [0.7, None], "high": [0.85, None], "difference": 0.3,
    "difference_low": 0.2, "difference_high": 0.4, "attacks": [
        {"eot": 1, "accuracy": 0.5, "low": 0.4, "high": 0.6},
        {"eot": 4, "accuracy": 0.2, "low": 0.1, "high": 0.3, "open": 2},
    ],
}  # fmt: skip
SALIENCY = {"label": ["0", "1"], "prediction": ["0", "1"], "method": "gradient"}
SELECTIVE = {
    "coverage": [0.25, 0.5, 1.0], "risk": [0.0, 0.1, 0.4], "threshold": 0.7, "target_risk": 0.1,
    "coverage_at_threshold": 0.5, "risk_at_threshold": 0.1, "rule": "Send the rest to a human.",
}  # fmt: skip
TEMPERED = {
    "temperature": 2.5, "ece_stated": 0.2, "ece_scaled": 0.1, "nll_stated": 0.9, "nll_scaled": 0.5,
    "stated": [{"confidence": 0.9, "accuracy": 0.7, "n": 50}],
    "scaled": [{"confidence": 0.6, "accuracy": 0.4, "n": 20}, {"confidence": 0.9, "accuracy": 0.9, "n": 30}],
}  # fmt: skip
TRANSFER = {"models": ["a", "b"], "affinity": [[1.0, None], [0.4, None]], "accuracy": [0.9, 0.8]}
EXAMPLES = {
    "accuracy": ("accuracy", 0.9, {"n": 10, "per_class": [CAT, DOG]}, {}),
    "uncertainty.calibration": ("uncertainty.ece", 0.1, CALIBRATION, {}),
    "robustness.certificate": ("robustness.linf.certified", 0.4, CERTIFICATE, {}),
    "robustness.corruptions": ("robustness.corruptions", 0.76, CORRUPTIONS, {}),
    "robustness.defenses": ("robustness.defenses", 15.0, DEFENSE, {}),
    "evaluation.diagnosis": ("evaluation.diagnosis", 1.0, {"checks": CHECKS}, {}),
    "robustness.distortion": ("robustness.l2.distortion", 1.5, DISTORTION, {}),
    "robustness.exchange": ("robustness.exchange", 0.5, EXCHANGE, {}),
    "interpretation.explanation": (
        "interpretation.explanation",
        0.7,
        EXPLANATION,
        {"image": IMAGES, "scores": IMAGES - 0.5},
    ),
    "robustness.pictures": ("robustness.linf.pictures", 0.5, PICTURES, {"original": GREY, "adversarial": GREY + 0.1}),
    "robustness.poisoning": ("robustness.poisoning", 0.5, POISONING, {}),
    "robustness.randomness": ("robustness.linf.randomness", 0.2, RANDOMNESS, {}),
    "robustness.linf": ("robustness.linf.accuracy", 0.5, CURVE, {}),
    "robustness.l2": ("robustness.l2.accuracy", 0.5, CURVE, {}),
    "interpretation": ("interpretation.saliency", 0.4, SALIENCY, {"image": IMAGES, "saliency": IMAGES[:, 0]}),
    "uncertainty.temperature": ("uncertainty.ece.tempered", 0.1, TEMPERED, {}),
    "uncertainty.conformal": ("uncertainty.conformal", 1.2, CONFORMAL, {}),
    "uncertainty.disagreement": ("uncertainty.disagreement", 0.8, DISAGREEMENT, {}),
    "uncertainty.ood": ("uncertainty.ood", 0.5, OOD, {}),
    "uncertainty.scores": ("uncertainty.brier", 0.2, {}, {}),
    "uncertainty.selective": ("uncertainty.aurc", 0.2, SELECTIVE, {}),
    "robustness.transfer": ("robustness.transfer", 0.4, TRANSFER, {}),
}
