"""Learn a metric that withstands larger perturbations, and measure exactly how much larger they are.

    python examples/robust_metric.py

Handwritten digits of 8 x 8 pixels; a few seconds on one core.
"""

from __future__ import annotations

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from trustworthy.metric_learning import ARML, NCA
from trustworthy.neighbors import NearestNeighborVerifier

RADII = [0.0, 0.25, 0.5, 0.75]

if __name__ == "__main__":
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X / 16, y, test_size=500, stratify=y, random_state=0)
    print("1-NN under       mean radius   error at l2 radius", *RADII)
    for name, learner in {"Euclidean": None, "NCA": NCA(), "ARML": ARML(random_state=0)}.items():
        metric = None if learner is None else learner.fit(X, y).get_mahalanobis_matrix()
        found = NearestNeighborVerifier(metric=metric).fit(X, y).exact(X_test, y_test)
        errors = [f"{share:.3f}" for share in found.error_at(RADII)]
        print(f"{name:16} {found.upper.mean():11.4f}   {'':18}", *errors)
