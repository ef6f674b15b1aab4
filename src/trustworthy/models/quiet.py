"""A warning that a library gives on each of a thousand calls is shown once, and counted."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Once:
    """Lets each warning through the first time it is given within any of its blocks.

    counts : how often each text was given so far.

    The filters of the process are changed inside of a block, as `warnings.catch_warnings` does: not for two threads.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with warnings.catch_warnings(record=True) as given:
            warnings.simplefilter("always")
            yield
        for warning in given:
            text = f"{warning.category.__name__}: {warning.message}"
            self.counts[text] += 1
            if self.counts[text] == 1:
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
