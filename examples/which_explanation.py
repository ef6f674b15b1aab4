"""Which explanation of a network's predictions to believe: four methods, judged by how robust what they mark makes it.

python examples/which_explanation.py
"""

from __future__ import annotations

import torch
from torch import nn

from trustworthy import datasets
from trustworthy.explain import Gradient, GreedyAS, IntegratedGradients, KernelSHAP, compare, sanity
from trustworthy.training import Engine, cross_entropy, fit

torch.manual_seed(0)
data = datasets.load("digits")
x, y, x_new, y_new = map(torch.as_tensor, (data.x_train, data.y_train, data.x_test, data.y_test))
model = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 10))
fit(model, (x, y), epochs=30, loss=cross_entropy, batch_size=32, engine=Engine(progress=False))

rows = (model(x_new).argmax(1) == y_new).nonzero().squeeze(1)[:12]
methods = {"gradient": Gradient(), "ig": IntegratedGradients(), "shap": KernelSHAP(), "greedy-as": GreedyAS()}
found = compare(methods, model, x_new[rows], generator=torch.Generator().manual_seed(0))

print("criterion               method       mean    95 % interval    calls of an example")
for row in found.table():
    low, high = row.interval
    print(f"{row.criterion:22s}  {row.method:9s} {row.mean:7.1f}   {low:6.1f} to {high:5.1f}  {row.calls:9.0f}")
for criterion in found.criteria:
    best = found.best(criterion)
    print(f"{criterion}: {best.method} is best, {'beyond chance' if best.sure else f'not surely before {best.second}'}")
print(sanity(Gradient(), model, x_new[rows], generator=torch.Generator().manual_seed(0)).statement)
