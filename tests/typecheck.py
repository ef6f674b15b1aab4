"""The type checker that the tests put on every annotated function of the library.

A check costs more than most of the small functions that an inner loop calls a hundred thousand times. So each test
checks the first call of every function, or in a slow test the first ten, and lets the rest of its loop pass. A checker
is made when a test first calls its function: half of the functions that are imported are called by no test of a worker.
"""

import ast
import dataclasses
import functools
import sys
from importlib.machinery import PathFinder
from typing import Any, Self

import jaxtyping
from beartype import BeartypeConf, beartype
from jaxtyping import _import_hook, install_import_hook

_hard = beartype(conf=BeartypeConf(is_pep484_tower=True))
_made = jaxtyping.jaxtyped
_checks = {}
_counts = {}
_begun = []


def install(*, inner):
    """Check every module of the library that is imported from now on; `inner`: functions inside of functions too.

    Such a function is a new one whenever the one around it is called, and so is its checker: together they take a
    sixteenth of the time of the fast tests.
    """
    if not inner:
        _import_hook.JaxtypingTransformer.visit_FunctionDef = _outermost
    jaxtyping.jaxtyped = _jaxtyped
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


class _Count:
    """How many calls of one function are still to be checked in this test."""

    again = 2 * 10

    def __init__(self):
        self.left = self.again

    def less(self):
        if self.left == self.again:
            _begun.append(self)
        self.left -= 1


def _jaxtyped(*, typechecker):
    """What the import hook decorates every function with, and every class."""
    return functools.partial(_counted, typechecker)


def _counted(typechecker, function):
    """`function`, its next calls checked; of a class, the `__init__` that `dataclass` has made."""
    if isinstance(function, type):
        if dataclasses.is_dataclass(function) and function.__init__.__globals__ is not globals():
            function.__init__ = _counted(typechecker, function.__init__)
        return function
    check = None
    count = _counts.setdefault(f"{function.__module__}:{function.__qualname__}", _Count())

    @functools.wraps(function)
    def counted(*args, **kwargs):
        nonlocal check
        if not count.left:
            return function(*args, **kwargs)
        count.less()
        check = check or _made(function, typechecker=typechecker)
        return check(*args, **kwargs)

    return counted


def checked(function):
    """The checker that jaxtyping asks, about a stand-in that has the name and the annotations of the function.

    Made once: a function inside another is a new one, with a new stand-in, at each call of the other.
    """
    key = f"{function.__module__}:{function.__qualname__}", function.__code__.co_varnames, str(function.__annotations__)
    if key not in _checks:
        # Only a class that beartype decorates tells it what `Self` is.
        hints = {part: Any if hint is Self else hint for part, hint in function.__annotations__.items()}
        if hints.get("return", Any) is not Any:  # asked after the call: what came in was asked about before it
            hints = dict.fromkeys(hints, Any) | {"return": hints["return"]}
        function.__annotations__ = hints
        _checks[key] = _hard(function)
    return _checks[key]


checked_outside = checked
"""The same under a second name: compiled modules are kept by the name of their checker."""


def check_again(calls):
    """Check the next `calls` calls of every function."""
    changed = _Count.again != calls
    _Count.again = calls
    for count in _counts.values() if changed else _begun:  # a test calls few of the functions that there are
        count.left = calls
    _begun.clear()
