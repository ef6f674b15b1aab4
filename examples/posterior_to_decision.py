"""From a posterior to a decision: which digits does an ensemble answer, and which does a person read?

    python examples/posterior_to_decision.py

Four disjoint parts of the digits: to train, to fit the temperature, to calibrate, and to look at what was promised.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from trustworthy import datasets
from trustworthy.core.predictive import Predictive, predict
from trustworthy.metrics import ece
from trustworthy.training import Engine
from trustworthy.training.likelihoods import Categorical
from trustworthy.uncertainty import NaiveEnsemble, decompose, fit_temperature, handoff_threshold, tempered
from trustworthy.uncertainty.conformal import calibrate_sets


def network() -> nn.Sequential:
    """One hidden layer: small enough to be unsure now and then."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))


def confidence(prediction: Predictive) -> np.ndarray:
    """Probability of the class that is predicted."""
    return prediction.probabilities.amax(1).numpy()


torch.manual_seed(0)
data = datasets.load("digits")
x, y, x_new, y_new = map(torch.as_tensor, (data.x_train, data.y_train, data.x_test, data.y_test))
train, tune, held = slice(0, 500), slice(500, 800), slice(800, None)

method = NaiveEnsemble(members=5, epochs=40, batch_size=32, learning_rate=1e-2)
ensemble = method.fit(network, (x[train], y[train]), engine=Engine(progress=False))
temperature = fit_temperature(predict(ensemble, x[tune]).logits, y[tune])
calm = tempered(ensemble, temperature)
before, after = (ece(predict(model, x_new).probabilities, y_new) for model in (ensemble, calm))
print(f"temperature {temperature:.2f}: calibration error {before:.3f} before, {after:.3f} after")

at_hand, new = predict(calm, x[held]), predict(calm, x_new)
sets = calibrate_sets(at_hand.probabilities, y[held], level=0.95)(new.probabilities)
print(f"sets at level {sets.level}: hold {sets.covered(y_new).mean():.3f}, mean size {sets.size.mean():.2f}")

wrong = (at_hand.probabilities.argmax(1) != y[held]).numpy()
rule = handoff_threshold(confidence(at_hand), wrong, risk=0.03)
answered = rule.answered(confidence(new))
missed = (new.probabilities.argmax(1) != y_new).numpy()
print(f"the model answers {answered.mean():.2f}, wrong in {missed[answered].mean():.3f} (promised: {rule.risk})")
print(f"a person reads the rest, where the model would be wrong in {missed[~answered].mean():.3f}")

nats = decompose(predict(ensemble, x_new), Categorical()).epistemic
print(f"members disagree by {nats[answered].mean():.3f} nats on the former, {nats[~answered].mean():.3f} on the latter")
