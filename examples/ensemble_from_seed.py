"""An ensemble out of a network that is trained already, for a fraction of what its training took.

python examples/ensemble_from_seed.py
"""

from __future__ import annotations

import time

import torch
from torch import nn

from trustworthy import datasets
from trustworthy.core.predictive import predict
from trustworthy.metrics import accuracy, auroc, nll
from trustworthy.training import Engine, cross_entropy, fit
from trustworthy.uncertainty import FastEnsemble

torch.manual_seed(0)
data = datasets.load("digits")
x, y, x_new, y_new = map(torch.as_tensor, (data.x_train, data.y_train, data.x_test, data.y_test))
train, held = (x[:-300], y[:-300]), (x[-300:], y[-300:])
strange = torch.rand(x_new.shape, generator=torch.Generator().manual_seed(0))  # no digits

model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 10)
)
begun = time.perf_counter()
fit(model, train, epochs=40, loss=cross_entropy, batch_size=32, engine=Engine(progress=False))
alone = time.perf_counter() - begun

begun = time.perf_counter()
ensemble = FastEnsemble.from_seed(
    model, train, validation=held, engine=Engine(progress=False), members=6, batch_size=32, distance_weight=20.0
)
further = (time.perf_counter() - begun) / 5

print(f"each further member took {further / alone:.0%} of the training of the model")
print("                  accuracy   nats   AUROC of what is no digit, by entropy")
for name, posterior in (("the model", model), ("the ensemble", ensemble)):
    asked, odd = predict(posterior, x_new), predict(posterior, strange)
    p = asked.probabilities.numpy()
    unsure = torch.cat([asked.entropy, odd.entropy]).numpy()
    is_odd = torch.arange(len(unsure)).numpy() >= len(x_new)
    print(f"{name:16s} {accuracy(p, y_new.numpy()):9.3f} {nll(p, y_new.numpy()):6.3f} {auroc(unsure, is_odd):8.3f}")
