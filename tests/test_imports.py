"""What starts without torch: a light command, the data sets, neighbours, graphs and the study of poisoned labels."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import trustworthy

SOURCE = Path(trustworthy.__file__).parents[1]
WITHOUT_TORCH = ("trustworthy.datasets", "trustworthy.neighbors", "trustworthy.report.poisoning.study")
SCRIPT = f"""
import sys
import trustworthy.cli.data
assert "numpy" not in sys.modules
from trustworthy import datasets
datasets.load("wine")
for name in {WITHOUT_TORCH}:
    __import__(name)
    assert "torch" not in sys.modules, name
"""


@pytest.mark.slow
def test_no_torch_is_loaded_where_none_is_needed() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_no_module_imports_torch_where_none_is_needed(name: str) -> None:
    """As the one above, from what stands at the head of the modules: nothing is imported."""
    assert [module for module in sorted(reached(name, set())) if module.partition(".")[0] == "torch"] == []


def test_what_imports_torch_at_some_remove_is_found() -> None:
    assert {"torch", "trustworthy.core.norms"} < reached("trustworthy.attacks", set())


def reached(name: str, seen: set[str]) -> set[str]:
    """Every module whose import that of `name` brings with it; of other packages only those that are named."""
    for place in range(1, name.count(".") + 2):  # a package is imported before what is in it
        module = ".".join(name.split(".")[:place])
        if module not in seen:
            seen.add(module)
            for other in _imported(module):
                reached(other, seen)
    return seen


@cache
def _imported(module: str) -> list[str]:
    file = _file(module)
    return list(_imports(ast.parse(file.read_text()).body)) if file else []


@cache
def _file(module: str) -> Path | None:
    """Where a module of the library is; None for others."""
    place = SOURCE.joinpath(*module.split("."))
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


def _imports(statements: list[ast.stmt]) -> Iterator[str]:
    """What statements import when they run: not what functions do when they are called, nor what is for checkers."""
    for each in statements:
        if isinstance(each, ast.Import):
            yield from (alias.name for alias in each.names)
        elif isinstance(each, ast.ImportFrom):
            yield str(each.module)
            names = (f"{each.module}.{alias.name}" for alias in each.names)
            yield from (name for name in names if _file(name))
        elif isinstance(each, ast.Try):
            yield from _imports(each.body)
        elif isinstance(each, ast.If) and "TYPE_CHECKING" not in ast.unparse(each.test):
            yield from _imports(each.body + each.orelse)
