"""Every exception and warning of the library, in one tree.

TrustworthyError
├── InvalidInput (ValueError)          an argument breaks its contract
│   ├── UnknownName (also KeyError)    a name that no registry knows, with the nearest one suggested
│   ├── NothingToAttackError           every example is misclassified to begin with
│   └── ModelContractError             the model returned something that is not logits, or raised
│       └── NoGradient                 its output has no gradient with respect to its input
├── MissingPackage (also ImportError)  a package of an extra that is not installed
├── DataError (also OSError)           data that cannot be had, read or trusted
│   ├── DataUnavailable                no source could provide it
│   └── ChecksumMismatch               what arrived is not what was expected
├── CheckpointError (also OSError)     a checkpoint that cannot be read or written
├── TrainingDiverged (ArithmeticError) a loss or a weight became NaN or infinite
└── IntegrationFailed (ArithmeticError) a state became NaN or infinite, or a step too small to go on

TrustworthyWarning (UserWarning)       a result that is returned but deserves doubt
"""

from __future__ import annotations

import csv
import difflib
import io
import shlex
import sys
import textwrap
import warnings
from collections.abc import Iterable


class TrustworthyError(Exception):
    """Root of every error that the library raises on purpose."""


class InvalidInput(TrustworthyError, ValueError):
    """An argument breaks its contract; the message names it, what was expected, what was given and the remedy."""


class UnknownName(InvalidInput, KeyError):
    """A name that no registry knows."""

    __str__ = Exception.__str__  # KeyError would print the quoted repr of the message

    @classmethod
    def of(cls, argument: str, given: object, names: Iterable[str]) -> UnknownName:
        """Build the error for `given`, suggesting the nearest of the known `names`."""
        names = sorted(names)
        near = difflib.get_close_matches(str(given), names, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        known = textwrap.shorten(", ".join(names), 300, placeholder=f" ... ({len(names)} in all)")
        return cls(f"unknown {argument} {given!r}{hint} Known: {known}.")


class NothingToAttackError(InvalidInput):
    """The model is wrong on every example, so there is nothing that an attack could break."""


class ModelContractError(InvalidInput):
    """The model is not a callable from a batch to logits of shape (batch, classes)."""


class NoGradient(ModelContractError):
    """The model's output has no gradient with respect to its input."""


class MissingPackage(TrustworthyError, ImportError):
    """A package of an extra that is not installed; the message says how to install it."""


class DataError(TrustworthyError, OSError):
    """Data that cannot be had, read or trusted."""


class DataUnavailable(DataError):
    """No source could provide the data; the message lists what was tried and what to do."""


class ChecksumMismatch(DataError):
    """What arrived is not what was expected."""


class CheckpointError(TrustworthyError, OSError):
    """A checkpoint that cannot be read or written."""


class TrainingDiverged(TrustworthyError, ArithmeticError):
    """A training run whose loss or weights became NaN or infinite."""


class IntegrationFailed(TrustworthyError, ArithmeticError):
    """A differential equation whose state became NaN or infinite, or whose step became too small to go on."""


class TrustworthyWarning(UserWarning):
    """A result that is returned but deserves doubt."""


_INSIDE = ("trustworthy", "jaxtyping")  # the second where somebody has it check the first


def warn(message: str, kind: type[Warning] = TrustworthyWarning) -> None:
    """Warn at the line of the user's that called the library, however deep in it the doubt arose."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in _INSIDE:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, kind, stacklevel=level)


def leaving_out(columns: Iterable[object]) -> str:
    """The option of the commands that leaves `columns` out, as a shell takes it; names with commas are in quotes."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(columns)
    return f"--drop {shlex.quote(line.getvalue())}"
