"""Estimators in files: pickle, joblib and skops."""

from __future__ import annotations

import re
import textwrap
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from trustworthy.core.errors import DataError, InvalidInput, ModelContractError, TrustworthyWarning
from trustworthy.core.extras import required
from trustworthy.models.door import check_file, check_trusted
from trustworthy.models.factory import importable_from

_INSTALLED_AS = {
    "sklearn": "scikit-learn", "skimage": "scikit-image", "imblearn": "imbalanced-learn", "PIL": "pillow",
    "cv2": "opencv-python", "yaml": "pyyaml",
}  # fmt: skip
_VERSION = re.compile(rb"_sklearn_version.{1,8}?(\d+\.\d+(?:\.?(?:dev|rc|post)?\d+)*)", re.DOTALL)


def load_pickle(path: Path, *, trust: bool) -> Any:
    """What `joblib.dump` or `pickle.dump` wrote.

    Raises
    ------
    InvalidInput : not `trust`.
    DataError : no pickle, a damaged one, or one that needs a package or a version that is not installed.
    ModelContractError : it holds something else than a model.
    """
    import joblib

    check_file(path, "a pickle")
    check_trusted(path, "a pickle", trust)
    with _unpacking(path):
        model = joblib.load(path)
    return _checked(path, model)


def load_skops(path: Path, *, trust: bool) -> Any:
    """What `skops.io.dump` wrote; types that skops does not know to be harmless are built only with `trust`."""
    check_file(path, "a skops file")
    io = required("skops.io", f"reading {path}")
    with _unpacking(path):
        unknown = io.get_untrusted_types(file=path)
        if unknown and not trust:
            raise InvalidInput(
                f"{path} needs types that can run code: {', '.join(unknown)}. If you trust them and who wrote it, "
                "add --trust (in Python: trust=True)."
            )
        model = io.load(path, trusted=unknown)
    return _checked(path, model)


@contextmanager
def _unpacking(path: Path) -> Iterator[None]:
    """Modules beside the file and in the working directory are found; what is raised becomes what is wrong with it."""
    with warnings.catch_warnings(record=True) as given, importable_from(path.parent), importable_from(Path.cwd()):
        warnings.simplefilter("always")
        try:
            yield
        except InvalidInput:
            raise
        except Exception as error:
            raise DataError(_why_unreadable(path, error)) from error
    _tell(path, given)


def _checked(path: Path, model: Any) -> Any:
    if isinstance(model, dict | list | tuple) or not (hasattr(model, "predict") or callable(model)):
        inside = f" with {', '.join(map(repr, list(model)[:8]))}" if isinstance(model, dict) else ""
        raise ModelContractError(
            f"{path} must hold a fitted classifier, and holds {type(model).__name__}{inside}; save the classifier "
            "alone: joblib.dump(classifier, path)."
        )
    return model


def _tell(path: Path, given: Iterable[warnings.WarningMessage]) -> None:
    """Say the versions of scikit-learn in one warning, however many estimators differ; other warnings once each."""
    from sklearn.exceptions import InconsistentVersionWarning

    seen = set()
    for warning in given:
        said = warning.message
        if isinstance(said, InconsistentVersionWarning):
            said = TrustworthyWarning(
                f"{path} was written with scikit-learn {said.original_sklearn_version} and is read with "
                f"{said.current_sklearn_version}, which may change its answers: pip install "
                f"scikit-learn=={said.original_sklearn_version}, or fit it again."
            )
        if str(said) not in seen:
            seen.add(str(said))
            warnings.warn_explicit(said, None, warning.filename, warning.lineno)  # type: ignore[arg-type]


def _why_unreadable(path: Path, error: Exception) -> str:
    said = textwrap.shorten(str(error), 200) or "no message"
    missing = (getattr(error, "name", None) or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if missing.isidentifier() and find_spec(missing) is None:
        return (
            f"{path} needs the module {missing!r}: pip install {_INSTALLED_AS.get(missing, missing)}, or run where "
            f"{missing}.py lies if it is your own."
        )
    if "__main__" in said and isinstance(error, AttributeError):
        return (
            f"{path} needs something that the script which wrote it defined itself ({said}); move that into a module "
            "of its own, import it from there, and write the file again."
        )
    written, installed = _version_inside(path), metadata.version("scikit-learn")
    if written and written != installed:
        return (
            f"{path} was written with scikit-learn {written} and cannot be read with {installed} "
            f"({type(error).__name__}: {said}): pip install scikit-learn=={written}, or fit it again."
        )
    return (
        f"{path} cannot be read ({type(error).__name__}: {said}): it is cut short, of another kind, or of another "
        "version of what it needs; write it again with joblib.dump(classifier, path)."
    )


def _version_inside(path: Path) -> str:
    """Version of scikit-learn that an uncompressed pickle names, "" where it names none."""
    found = _VERSION.search(path.read_bytes())
    return found[1].decode() if found else ""
