"""How far can an input move before its nearest neighbour's class changes: proved, exact, and found by attacks.

    python examples/certified_neighbors.py

Handwritten digits of 8 x 8 pixels; the first run compiles for half a minute, later ones take a few seconds.
"""

from __future__ import annotations

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from trustworthy.neighbors import NearestNeighborVerifier

if __name__ == "__main__":
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X / 16, y, test_size=500, stratify=y, random_state=0)
    X_test, y_test = X_test[:50], y_test[:50]

    for norm in ("l2", "linf", "l1"):
        found = NearestNeighborVerifier(norm=norm, bounds=(0, 1)).fit(X, y).exact(X_test, y_test)
        print(f"1-NN, {norm:4}: mean radius {found.upper.mean():.4f}, proved optimal for {found.exact.sum()} of 50")

    verifier = NearestNeighborVerifier(n_neighbors=3).fit(X, y)
    lower = verifier.lower_bound(X_test, y_test)
    exact = verifier.exact(X_test, y_test, time_limit=1.0)
    proved = f"({exact.exact.sum()} of 50 proved)"
    print(f"3-NN, l2  : lower bound {lower.mean():.4f}, exact {exact.upper.mean():.4f} {proved}")
    for name in ("cell-descent", "qp-greedy", "naive-m", "mean"):
        found = verifier.attack(X_test, y_test, name)
        size = found.distance[found.success].mean()
        print(f"            {name:12} {size:.4f} on the {found.success.sum()} of 50 that it breaks")
