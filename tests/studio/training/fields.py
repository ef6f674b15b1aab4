"""Images that are drawn."""

import numpy as np

from trustworthy.core.seeds import numpy_generator


def smooth(side: int, seed: int, channels: int = 1) -> np.ndarray:
    """A field of blobs (channels, side, side) with mean 0 and standard deviation 1."""
    rough = numpy_generator(seed, "blobs").normal(size=(channels, side, side))
    frequencies = np.fft.fftfreq(side)[:, None] ** 2 + np.fft.fftfreq(side)[None] ** 2
    field = np.fft.ifft2(np.fft.fft2(rough) * np.exp(-400 * frequencies)).real
    return field / field.std()
