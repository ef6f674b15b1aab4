"""Attack a scikit-learn model that gives labels and nothing else.

    python examples/boundary_attack.py

A random forest on the digits has no gradients; the boundary attack asks it for labels alone.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.ensemble import RandomForestClassifier

from trustworthy import datasets
from trustworthy.attacks import BoundaryAttack

data = datasets.load("digits")
x_train, x_test = (x.reshape(len(x), -1) for x in (data.x_train, data.x_test))
forest = RandomForestClassifier(n_estimators=100, random_state=0).fit(x_train, data.y_train)
print(f"accuracy of the forest: {forest.score(x_test, data.y_test):.3f}")

x, y = x_test[:30], data.y_test[:30]
result = BoundaryAttack(steps=1000)(forest.predict, x, y, generator=torch.Generator().manual_seed(0))
fooled = forest.predict(result.adversarial) != y
print(f"examples fooled: {fooled.sum()} of {len(y)}, judged again: {bool((fooled == result.success).all())}")
print(f"median l2 distance: {np.median(result.distance[result.success]):.3f} (an image's own length: "
      f"{np.median(np.linalg.norm(x, axis=1)):.2f})")  # fmt: skip
print(f"labels asked per example: {int(np.median(result.queries))}")
