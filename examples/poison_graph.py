"""How few labels must be flipped to ruin a graph learner, and how many can be before anything can happen.

    python examples/poison_graph.py

The digits 3 and 8 of scikit-learn, 50 of them labelled; a few seconds.
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from trustworthy.graphs import LabelPropagation, certify_flips
from trustworthy.graphs.poisoning import ClassificationLabelAttack, RandomLabelAttack, poisoning_curve

if __name__ == "__main__":
    X, digit = load_digits(return_X_y=True)
    X, digit = X[np.isin(digit, [3, 8])], digit[np.isin(digit, [3, 8])]
    order = np.random.default_rng(0).permutation(len(X))
    X, digit = X[order], digit[order]
    y = np.where(np.arange(len(X)) < 50, digit, -1)
    truth = digit[50:]

    learner = LabelPropagation().fit(X, y)
    print(f"gamma {learner.gamma_:.4g}, errors {np.mean(learner.transduction_[50:] != truth):.3f} with clean labels")
    withstands = certify_flips(learner.operator_, np.where(y[:50] == 8, 1, -1)) - 1
    print(f"flips that a prediction withstands: median {np.median(withstands):.0f}, most {withstands.max()}")

    budgets = [0, 1, 2, 3, 5, 8]
    settings = {"truth": truth, "random_state": 0}
    attack = poisoning_curve(ClassificationLabelAttack(budget=0), learner, X, y, budgets, **settings)
    unaware = ClassificationLabelAttack(budget=0, knowledge="estimated")
    blind = poisoning_curve(unaware, learner, X, y, budgets, **settings)
    chance = poisoning_curve(RandomLabelAttack(budget=0), learner, X, y, budgets, **settings)
    print("flips   attack   without the truth   at random   no attack exceeds")
    for rows in zip(budgets, attack.error, blind.error, chance.error, attack.bound, strict=True):
        print("{:5}   {:6.3f}   {:17.3f}   {:9.3f}   {:17.3f}".format(*rows))
