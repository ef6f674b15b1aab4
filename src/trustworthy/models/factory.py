"""Building a model from `package.module:factory` or `path/to/file.py:factory`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import textwrap
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from trustworthy.core.errors import DataError, InvalidInput, ModelContractError, UnknownName


def build_model(spec: str, options: Mapping[str, Any] = MappingProxyType({})) -> Any:
    """Import what `spec` names before its last colon, and call the factory named after it with `options`.

    The folder of the file, or the working directory, can be imported from meanwhile, as when Python runs a script.

    Raises
    ------
    InvalidInput, DataError : `spec` is malformed, or the file or module is not there.
    UnknownName : no such factory, with the nearest name.
    ModelContractError : the import or the factory raised; the message says what and where.
    """
    place, colon, attribute = spec.rpartition(":")
    if not colon or not place or not attribute:
        raise InvalidInput(f"MODEL must be package.module:factory or path/to/file.py:factory, got {spec!r}.")
    is_file = place.endswith(".py")
    with importable_from(Path(place).parent if is_file else Path.cwd()):
        module = _from_file(Path(place)) if is_file else _from_name(place)
        if not hasattr(module, attribute):
            known = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
            raise UnknownName.of(f"factory in {place}", attribute, known)
        factory = getattr(module, attribute)
        if not callable(factory):
            raise InvalidInput(f"{spec} must be a function that returns the model, got {type(factory).__name__}.")
        with _blamed_on(f"the factory {spec}", module.__file__, options):
            model = factory(**options)
    if model is None:
        raise ModelContractError(f"the factory {spec} returned nothing; return the model at its end.")
    return model


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise DataError(f"there is no file {path} to build the model from; give the path of one.")
    main = sys.modules["__main__"]
    if path.resolve() == Path(getattr(main, "__file__", None) or "").resolve():
        return main  # a script that names itself: to import it would run it again
    name = f"_trustworthy_model_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise DataError(f"{path} cannot be imported as Python.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look a class's module up by name
    with _blamed_on(f"importing {path}", path):
        spec.loader.exec_module(module)
    return module


def _from_name(name: str) -> ModuleType:
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        found = None
    if found is None:
        raise DataError(f"there is no module {name!r}; give a .py file, or install the package that has it.")
    with _blamed_on(f"importing {name}", found.origin):
        return importlib.import_module(name)


@contextmanager
def importable_from(folder: Path) -> Iterator[None]:
    """Modules beside the user's file are found meanwhile, as when Python runs a script there."""
    entry = str(folder.resolve())
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        if entry in sys.path:
            sys.path.remove(entry)


@contextmanager
def _blamed_on(what: str, file: object, options: Mapping[str, Any] = MappingProxyType({})) -> Iterator[None]:
    """Turn whatever the user's code in `file` raises, called with `options`, into one line that says what and where."""
    try:
        yield
    except Exception as error:
        frames = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename != __file__ and not frame.filename.startswith("<frozen")
        ]
        said = textwrap.shorten(str(error), 300).removesuffix(".") or "no message"
        if options:
            remedy = f"; it was called with {textwrap.shorten(repr(dict(options)), 100)}: correct these options."
        elif frames:
            frame = [*frames[-1:], *(frame for frame in frames if frame.filename == str(file))][-1]
            remedy = f" ({frame.filename}, line {frame.lineno}); correct it there."
        elif isinstance(error, SyntaxError):
            remedy = "; correct it there."
        else:
            remedy = (
                "; give them by --option where the command has it, or write a function that can be called without "
                "arguments."
            )
        raise ModelContractError(f"{what} raised {type(error).__name__}: {said}{remedy}") from error
