"""The type checker that the tests put on every annotated function of the library.

A check costs more than most of the small functions that an inner loop calls a hundred thousand times. So each test
checks the first calls of every function, a few in a fast test and more in a slow one, and lets the rest of its loop
pass.
"""

import ast
import functools
import sys
from collections import Counter
from importlib.machinery import PathFinder
from typing import Any, Self

from beartype import BeartypeConf, beartype
from jaxtyping import _import_hook, install_import_hook

_hard = beartype(conf=BeartypeConf(is_pep484_tower=True))
_seen: Counter[str] = Counter()
_limit = 2 * 10  # jaxtyping asks the checker once or twice a call
_passing = []
_checks = {}


def install(*, inner):
    """Check every module of the library that is imported from now on; `inner`: functions inside of functions too.

    Such a function is a new one whenever the one around it is called, and so is its checker: together they take a
    sixteenth of the time of the fast tests.
    """
    if not inner:
        _import_hook.JaxtypingTransformer.visit_FunctionDef = _outermost
    install_import_hook("trustworthy", "typecheck.checked" if inner else "typecheck.checked_outside")
    sys.meta_path.insert(0, _Kernels())


_visit = _import_hook.JaxtypingTransformer.visit_FunctionDef


def _outermost(transformer, node):
    """Let a function inside another be, as the compiler reads a module."""
    inside = any(isinstance(parent, ast.FunctionDef) for parent in transformer._parents)
    return node if inside else _visit(transformer, node)


class _Kernels:
    """Finds the modules that are not checked: numba compiles a function, and cannot compile the wrapper of one."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.startswith("trustworthy.") and name.endswith("kernels"):
            return PathFinder.find_spec(name, path, target)
        return None


def checked(function):
    """The checker that jaxtyping asks, about a stand-in that has the name and the annotations of the function."""
    if isinstance(function, type):
        return _hard(function)
    name = f"{function.__module__}:{function.__qualname__}"
    check = functools.cache(lambda: _check(name, function))

    @functools.wraps(function)
    def counted(*args, **kwargs):
        _seen[name] += 1
        if _seen[name] == _limit:
            _let_pass(function)
        if _seen[name] <= _limit:
            check()(*args, **kwargs)

    return counted


checked_outside = checked
"""The same under a second name: compiled modules are kept by the name of their checker."""


def _check(name, function):
    """Made once: a function inside another is a new one, with a new stand-in, at each call of the other."""
    key = name, function.__code__.co_varnames, str(function.__annotations__)
    if key not in _checks:
        # Only a class that beartype decorates tells it what `Self` is.
        hints = {part: Any if hint is Self else hint for part, hint in function.__annotations__.items()}
        function.__annotations__ = hints
        _checks[key] = _hard(function)
    return _checks[key]


def check_again(calls):
    """Check the next `calls` calls of every function."""
    global _limit
    _limit = 2 * calls
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
