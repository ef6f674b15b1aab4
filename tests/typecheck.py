"""The type checker that the tests put on every annotated function of the library.

A check costs more than most of the small functions that an inner loop calls a hundred thousand times. So each test
checks the first calls of every function, and lets the rest of its loop pass.
"""

import functools
import sys
from collections import Counter

from beartype import BeartypeConf, beartype

CALLS = 10
"""Calls of one function that a test checks; jaxtyping asks the checker once or twice a call."""
_hard = beartype(conf=BeartypeConf(is_pep484_tower=True))
_seen: Counter[str] = Counter()
_passing = []


def checked(function):
    """The checker that jaxtyping asks, about a stand-in that has the name and the annotations of the function."""
    asked = _hard(function)
    if isinstance(function, type):
        return asked
    name = f"{function.__module__}:{function.__qualname__}"

    @functools.wraps(asked)
    def counted(*args, **kwargs):
        _seen[name] += 1
        if _seen[name] == 2 * CALLS:
            _let_pass(function)
        return asked(*args, **kwargs)

    return counted


def check_again():
    """Check every function from now on, as at the start."""
    _seen.clear()
    while _passing:
        del _passing.pop().__no_type_check__


def _let_pass(function):
    """Have jaxtyping call the function that `function` stands for without a check; one inside another is not found."""
    found = sys.modules[function.__module__]
    for part in function.__qualname__.split("."):
        found = vars(found).get(part)
        if found is None:
            return
    found = getattr(found, "fget", getattr(found, "__func__", found))
    found.__no_type_check__ = True
    _passing.append(found)
