"""APGD of one example, step by step as Algorithm 1 of Croce and Hein (2020) writes it; slow, for tests only."""

import math
from fractions import Fraction

import torch


def project(x, origin, eps, norm):
    d = x - origin
    d = d.clamp(-eps, eps) if norm == "linf" else d * min(1.0, eps / max(float(d.norm()), 1e-300))
    return (origin + d).clamp(0.0, 1.0)


def ascent_step(x, gradient, origin, eps, size, norm):
    gradient = gradient.clone()
    gradient[((x <= 0) & (gradient < 0)) | ((x >= 1) & (gradient > 0))] = 0.0
    direction = gradient.sign() if norm == "linf" else gradient / max(float(gradient.norm()), 1e-300)
    return project(x + size * direction, origin, eps, norm)


def checkpoints(steps):
    p = [Fraction(0), Fraction("0.22")]
    while p[-1] <= 1:
        p.append(p[-1] + max(p[-1] - p[-2] - Fraction("0.03"), Fraction("0.06")))
    return [math.ceil(share * steps) for share in p if share <= 1]


def apgd(f, origin, eps, norm, steps):
    """Best point and its loss; `f` returns loss and gradient at a point."""
    w = checkpoints(steps)
    size = 2 * eps
    x = [origin]
    loss, gradient = f(origin)
    losses, gradients = [loss], [gradient]
    best, best_loss, best_gradient = origin, loss, gradient
    sizes, bests = [None], [None]  # at the checkpoints
    for k in range(1, steps + 1):
        z = ascent_step(x[-1], gradients[-1], origin, eps, size, norm)
        new = z if k == 1 else project(x[-1] + 0.75 * (z - x[-1]) + 0.25 * (x[-1] - x[-2]), origin, eps, norm)
        loss, gradient = f(new)
        x.append(new), losses.append(loss), gradients.append(gradient)
        if loss > best_loss:
            best, best_loss, best_gradient = new, loss, gradient
        if k in w[1:]:
            j = w.index(k)
            rose = sum(losses[i + 1] > losses[i] for i in range(w[j - 1], k))
            few = rose < 0.75 * (k - w[j - 1])
            stuck = sizes[-1] == size and bests[-1] == best_loss
            sizes.append(size), bests.append(best_loss)
            if few or stuck:
                size = size / 2
                x[-2:] = [best, best]
                losses[-1], gradients[-1] = best_loss, best_gradient
    return best, best_loss


def l1_box_projection(d, low, high, eps):
    """Projection of d onto the l1 ball of radius eps cut with low <= . <= high (low <= 0 <= high), by bisection."""

    def at(level):
        return torch.minimum(torch.maximum(d.sign() * (d.abs() - level).clamp_min(0.0), low), high)

    if float(at(0.0).abs().sum()) <= eps:
        return at(0.0)
    least, most = 0.0, float(d.abs().max())
    for _ in range(200):
        middle = (least + most) / 2
        least, most = (middle, most) if float(at(middle).abs().sum()) > eps else (least, middle)
    return at(most)
