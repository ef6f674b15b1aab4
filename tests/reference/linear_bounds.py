"""Linear bounds of a ReLU network by the book: dense matrices, one example, loops over neurons, NumPy."""

from __future__ import annotations

import numpy as np
import torch

DUALS = {"linf": 1, "l2": 2, "l1": np.inf}


def dense_layers(affine_layers, x):
    """(matrix, bias) of each affine callable on batches, by feeding it zero and every unit vector."""
    layers, shape = [], x.shape
    with torch.no_grad():
        for layer in affine_layers:
            size = int(np.prod(shape))
            zero = layer(torch.zeros(1, *shape, dtype=torch.float64))
            units = torch.eye(size, dtype=torch.float64).reshape(size, *shape)
            columns = (layer(units) - zero).reshape(size, -1)
            layers.append((columns.T.numpy(), zero.flatten().numpy()))
            shape = zero.shape[1:]
    return layers


def extreme(row, x, eps, norm, bounds):
    """Least value of the functional `row` over the ball, cut with the bounds if the norm is linf."""
    if norm != "linf" or bounds is None:
        return row @ x - eps * np.linalg.norm(row, ord=DUALS[norm])
    low, high = np.maximum(x - eps, bounds[0]), np.minimum(x + eps, bounds[1])
    return sum(r * (lo if r > 0 else hi) for r, lo, hi in zip(row, low, high, strict=True))


def least(row, layers, boxes, ball, method):
    """Lower bound of `row` times the outputs of the last of `layers`; `boxes` bound the inputs of the ReLUs before."""
    matrix, bias = layers[-1]
    constant, row = row @ bias, row @ matrix
    if not boxes:
        return extreme(row, *ball) + constant
    low, high = (np.maximum(edge, 0.0) for edge in boxes[-1])
    by_interval = constant + sum(r * (lo if r > 0 else hi) for r, lo, hi in zip(row, low, high, strict=True))
    if method == "interval":
        return by_interval
    for (matrix, bias), (low, high) in zip(reversed(layers[:-1]), reversed(boxes), strict=True):
        relaxed = np.zeros_like(row)
        for i, coefficient in enumerate(row):
            if low[i] >= 0:
                relaxed[i] = coefficient
            elif high[i] > 0 and coefficient > 0:
                relaxed[i] = coefficient if high[i] >= -low[i] else 0.0
            elif high[i] > 0:
                slope = high[i] / (high[i] - low[i])
                relaxed[i] = coefficient * slope
                constant += coefficient * -slope * low[i]
        constant += relaxed @ bias
        row = relaxed @ matrix
    return max(by_interval, extreme(row, *ball) + constant)


def logit_bounds(layers, x, eps, norm, bounds, method):
    """(lower, upper) of the outputs of the last layer for one example x."""
    ball, boxes = (x, eps, norm, bounds), []
    for depth in range(1, len(layers) + 1):
        units = np.eye(len(layers[depth - 1][1]))
        low = np.array([least(unit, layers[:depth], boxes, ball, method) for unit in units])
        high = np.array([-least(-unit, layers[:depth], boxes, ball, method) for unit in units])
        boxes.append((low, high))
    return boxes[-1]


def margin(layers, x, y, eps, norm, bounds, method):
    """Lower bound of the smallest margin of class y over the ball around one example x."""
    ball, boxes = (x, eps, norm, bounds), []
    for depth in range(1, len(layers)):
        boxes.append(logit_bounds(layers[:depth], x, eps, norm, bounds, method))
    units = np.eye(len(layers[-1][1]))
    rows = [units[y] - unit for k, unit in enumerate(units) if k != y]
    return min(least(row, layers, boxes, ball, method) for row in rows)
