"""Share of predictions that are right."""

from __future__ import annotations

from numpy.typing import ArrayLike

from trustworthy.metrics import inputs


def accuracy(predictions: ArrayLike, labels: ArrayLike) -> float:
    """Share of examples whose predicted class is their label.

    Parameters
    ----------
    predictions : scores (n, classes), logits or probabilities, of which the first largest entry is the prediction;
        or predicted classes (n,).
    labels : true classes (n,), integers in 0..classes-1.

    Returns
    -------
    Accuracy in [0, 1].
    """
    scores = inputs.numbers("predictions", predictions, "n", "n classes")
    if scores.ndim == 1:
        predicted = inputs.class_labels("predictions", predictions)
        truth = inputs.class_labels("labels", labels)
    else:
        predicted = scores.argmax(axis=1)
        truth = inputs.class_labels("labels", labels, scores.shape[1])
    inputs.same_length(predictions=predicted, labels=truth)
    return float((predicted == truth).mean())
