"""Exact projection onto an l1 ball cut with a box, which clipping the projection onto the ball alone misses."""

from __future__ import annotations

import torch

from trustworthy.core.free import Examples, only
from trustworthy.core.threat import ThreatModel


def project(threat: ThreatModel, center: Examples, x: Examples) -> Examples:
    """Nearest point to `x` among those within l1 distance eps of `center`, in the bounds and by what is free.

    The solution moves every coordinate from the centre by min(max(|d| - level, 0), room), where d = x - center and room
    is the way to the bound; the level is found exactly, by sorting the 2 d levels at which a coordinate starts or stops
    to shrink (Croce and Hein 2021, proposition 2.1).
    """
    if threat.bounds is None:
        return threat.project(center, x)
    low, high = threat.bounds
    d = only(threat.free, x - center).flatten(1)
    size, zero = d.abs(), torch.zeros_like(d)
    room = torch.where(d > 0, (high - center).flatten(1), (center - low).flatten(1))
    radius = torch.as_tensor(threat.eps, dtype=x.dtype, device=x.device).expand(len(x))
    # At level t the kept length is the sum of min(max(size - t, 0), room): piecewise linear and falling in t, with
    # slope -1 for each coordinate whose level lies between its two knots.
    full = (size - room).clamp_min(0.0)
    knots, order = torch.cat([full, size], dim=1).sort(dim=1)
    falling = torch.cat([torch.ones_like(size), -torch.ones_like(size)], dim=1).gather(1, order).cumsum(1)
    spans = knots.diff(dim=1, prepend=zero[:, :1])
    before = torch.cat([zero[:, :1], falling[:, :-1]], dim=1)
    kept = torch.minimum(size, room).sum(1, keepdim=True) - (before * spans).cumsum(1)
    last = (kept > radius[:, None]).sum(1, keepdim=True) - 1  # the last knot that keeps too much
    at = last.clamp_min(0)
    level = knots.gather(1, at) + (kept.gather(1, at) - radius[:, None]) / falling.gather(1, at).clamp_min(1.0)
    level = torch.where(last >= 0, level, 0.0)
    moved = d.sign() * torch.minimum((size - level).clamp_min(0.0), room)
    return threat.clip(center + moved.reshape(x.shape))
