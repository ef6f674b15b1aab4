"""Published constants of the corruptions: for each parameter those of CIFAR-10-C and of ImageNet-C, by severity 1 to 5.

Lengths are in pixels, except those of `elastic_transform`, which are fractions of the shorter side. Noise levels and
offsets are in units of the [0, 1] intensity range.
"""

from __future__ import annotations

from collections.abc import Mapping

Column = tuple[float, ...]

# The published script writes the elastic lengths as multiples of 244 pixels, for images of 224.
_SIDE = 244 / 224

_PUBLISHED: Mapping[str, Mapping[str, tuple[Column, Column]]] = {
    "gaussian_noise": {"sigma": ((0.04, 0.06, 0.08, 0.09, 0.10), (0.08, 0.12, 0.18, 0.26, 0.38))},
    "shot_noise": {"photons": ((500, 250, 100, 75, 50), (60, 25, 12, 5, 3))},
    "impulse_noise": {"amount": ((0.01, 0.02, 0.03, 0.05, 0.07), (0.03, 0.06, 0.09, 0.17, 0.27))},
    "defocus_blur": {
        "radius": ((0.3, 0.4, 0.5, 1, 1.5), (3, 4, 6, 8, 10)),
        "alias": ((0.4, 0.5, 0.6, 0.2, 0.1), (0.1, 0.5, 0.5, 0.5, 0.5)),
    },
    "glass_blur": {
        "sigma": ((0.05, 0.25, 0.4, 0.25, 0.4), (0.7, 0.9, 1, 1.1, 1.5)),
        "delta": ((1, 1, 1, 1, 1), (1, 2, 2, 3, 4)),
        "iterations": ((1, 1, 1, 2, 2), (2, 1, 3, 2, 2)),
    },
    "motion_blur": {
        "radius": ((6, 6, 6, 8, 9), (10, 15, 15, 15, 20)),
        "sigma": ((1, 1.5, 2, 2, 2.5), (3, 5, 8, 12, 15)),
    },
    "zoom_blur": {
        "maximum": ((1.06, 1.11, 1.16, 1.21, 1.26), (1.11, 1.16, 1.21, 1.26, 1.31)),
        "step": ((0.01, 0.01, 0.01, 0.01, 0.01), (0.01, 0.01, 0.02, 0.02, 0.03)),
    },
    "snow": {
        "mean": ((0.1, 0.1, 0.15, 0.25, 0.3), (0.1, 0.2, 0.55, 0.55, 0.55)),
        "spread": ((0.2, 0.2, 0.3, 0.3, 0.3), (0.3, 0.3, 0.3, 0.3, 0.3)),
        "zoom": ((1, 1, 1.75, 2.25, 1.25), (3, 2, 4, 4.5, 2.5)),
        "threshold": ((0.6, 0.5, 0.55, 0.6, 0.65), (0.5, 0.5, 0.9, 0.85, 0.85)),
        "radius": ((8, 10, 10, 12, 14), (10, 12, 12, 12, 12)),
        "sigma": ((3, 4, 4, 6, 12), (4, 4, 8, 8, 12)),
        "keep": ((0.95, 0.9, 0.9, 0.85, 0.8), (0.8, 0.7, 0.7, 0.65, 0.55)),
    },
    "frost": {
        "keep": ((1, 1, 0.9, 0.85, 0.75), (1, 0.8, 0.7, 0.65, 0.6)),
        "amount": ((0.2, 0.3, 0.4, 0.4, 0.45), (0.4, 0.6, 0.7, 0.7, 0.75)),
    },
    "fog": {
        "amount": ((0.2, 0.5, 0.75, 1, 1.5), (1.5, 2, 2.5, 2.5, 3)),
        "decay": ((3, 3, 2.5, 2, 1.75), (2, 2, 1.7, 1.5, 1.4)),
    },
    "brightness": {"offset": ((0.05, 0.1, 0.15, 0.2, 0.3), (0.1, 0.2, 0.3, 0.4, 0.5))},
    "contrast": {"factor": ((0.75, 0.5, 0.4, 0.3, 0.15), (0.4, 0.3, 0.2, 0.1, 0.05))},
    "elastic_transform": {
        "alpha": ((0, 0.05, 0.08, 0.1, 0.1), (2 * _SIDE, 2 * _SIDE, 0.05 * _SIDE, 0.07 * _SIDE, 0.12 * _SIDE)),
        "sigma": ((0, 0.2, 0.06, 0.04, 0.03), (0.7 * _SIDE, 0.08 * _SIDE, 0.01 * _SIDE, 0.01 * _SIDE, 0.01 * _SIDE)),
        "shift": ((0.08, 0.07, 0.06, 0.05, 0.03), (0.1 * _SIDE, 0.2 * _SIDE, 0.02 * _SIDE, 0.02 * _SIDE, 0.02 * _SIDE)),
    },
    "pixelate": {"factor": ((0.95, 0.9, 0.85, 0.75, 0.65), (0.6, 0.5, 0.4, 0.3, 0.25))},
    "jpeg_compression": {"quality": ((80, 65, 58, 50, 40), (25, 18, 15, 10, 7))},
}

SCALES: Mapping[str, Mapping[str, Mapping[str, Column]]] = {
    scale: {
        name: {parameter: both[place] for parameter, both in columns.items()} for name, columns in _PUBLISHED.items()
    }
    for place, scale in enumerate(("cifar10-c", "imagenet-c"))
}
