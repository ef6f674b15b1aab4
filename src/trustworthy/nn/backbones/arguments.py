"""What every backbone checks of its arguments."""

from __future__ import annotations

from trustworthy.core import checks
from trustworthy.core.errors import InvalidInput


def image_arguments(
    network: str, channels: int, classes: int, image_size: int, *, smallest: int, largest: int | None = None
) -> None:
    """Refuse a number of channels or classes, or an image side, that `network` cannot take."""
    checks.integer("channels", channels, at_least=1)
    checks.integer("classes", classes, at_least=2)
    side = checks.integer("image_size", image_size, at_least=1)
    if side < smallest or (largest is not None and side > largest):
        sides = f"of at least {smallest}" if largest is None else f"from {smallest} to {largest}"
        raise InvalidInput(f"image_size must be {sides} pixels for {network}, got {side}; resize or pad the images.")
