"""How large a benchmark is: seconds, minutes on two cores, or a night on a GPU."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Sizes of data, networks and training.

    fields, calibrating, testing : synthetic fields to train on, to calibrate on, and of each test; `side` in pixels.
    tiles : patches of at most that side that real images are cut into for training.
    width, depth : of the U-Net. epochs, batch_size, learning_rate : of its training.
    rows, row_tests : of a classification, in training and in each test, at most. row_... : of its network and training.
    corruptions : by name, empty for all 15. severities : of each.
    members : of an ensemble. draws : of what draws anew.
    """

    fields: int
    calibrating: int
    testing: int
    side: int
    tiles: int
    width: int
    depth: int
    epochs: int
    batch_size: int
    learning_rate: float
    rows: int
    row_tests: int
    row_width: int
    row_epochs: int
    row_batch_size: int
    corruptions: tuple[str, ...] = ()
    severities: tuple[int, ...] = (1, 2, 3, 4, 5)
    members: int
    draws: int


PROFILES: dict[str, Profile] = {
    "smoke": Profile(
        fields=6, calibrating=10, testing=3, side=32, tiles=12, width=4, depth=2, epochs=4, batch_size=4,
        learning_rate=2e-3, rows=120, row_tests=60, row_width=4, row_epochs=4, row_batch_size=32, members=2, draws=3,
        corruptions=("gaussian_noise", "contrast"), severities=(1, 5),
    ),
    "small": Profile(
        fields=32, calibrating=64, testing=16, side=96, tiles=48, width=8, depth=4, epochs=25, batch_size=4,
        learning_rate=2e-3, rows=1000, row_tests=400, row_width=8, row_epochs=20, row_batch_size=64, members=5, draws=8,
    ),
    "full": Profile(
        fields=400, calibrating=100, testing=100, side=256, tiles=2000, width=64, depth=8, epochs=150, batch_size=12,
        learning_rate=2e-4, rows=50_000, row_tests=10_000, row_width=64, row_epochs=200, row_batch_size=128, members=6,
        draws=15,
    ),
}  # fmt: skip
"""By the names of `--profile`."""
