"""What an entry of the catalogue of wrong inputs is, and the ways to give one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

from report.small_audit import linear_of, plan_of, table
from trustworthy.cli.main import app
from trustworthy.core.errors import DataError, InvalidInput, TrustworthyError
from trustworthy.datasets import read
from trustworthy.models import load_model
from trustworthy.report.audit import audit
from trustworthy.report.findings import KINDS

WORDS = (
    "add|audit|call|check|choose|clip|copy|correct|divide|download|drop|export|expected|fit|flatten|give|install|keep|"
    "leave|lower|name|pass|put|remove|rename|replace|return|run|save|unpack|use|write|did you mean|"
    "must (?:be|have|hold)"
)
REMEDY = re.compile(rf"\b(?:{WORDS})\b|Known: |Columns: |--[a-z]", re.IGNORECASE)
"""What every message says to do, or to type."""
ACCURACY = [kind for kind in KINDS if kind.step == "accuracy"]
PLAN = plan_of(ACCURACY)
ROWS, LABELS = table(30)  # class 0 and class 1


def logistic(classes: tuple[int, int] = (0, 1), **names: Any) -> LogisticRegression:
    """A classifier of ROWS as if fitted to `classes`; to fit one while the tests are collected would cost them all."""
    model = LogisticRegression()
    linear = linear_of(ROWS)
    learned = {
        "coef_": linear.weight.detach().double().numpy()[None],
        "intercept_": np.array([linear.bias]),
        "classes_": np.array(classes),
        "n_features_in_": ROWS.shape[1],
        "n_iter_": np.array([1], np.int32),
    }
    vars(model).update(learned | names)
    return model


ESTIMATOR = logistic()


@dataclass(frozen=True)
class Wrong:
    """A mistake, what its message must hold, and the remedy that it names.

    made : makes the mistake in an empty working directory and gives the message.
    says : the argument or file, what was found, and what to do.
    right : does what the message says, which must go well.
    untried : why that cannot be done here, such as an installation.
    """

    made: Callable[[], str]
    says: tuple[str, ...]
    right: Callable[[str], Any] | None = None
    untried: str = ""

    def but(self, untried: str) -> Wrong:
        """The same mistake, whose remedy is not tried, and why."""
        return replace(self, untried=untried)


def wrong(
    call: Callable[[], Any],
    *says: str,
    kind: type[TrustworthyError] = InvalidInput,
    right: Callable[[str], Any] | None = None,
) -> Wrong:
    """A mistake in Python."""

    def made() -> str:
        with pytest.raises(kind) as refused:
            call()
        return str(refused.value)

    return Wrong(made, says, right)


def command(arguments: str, *says: str, before: Callable[[], Any] = lambda: None, right: Any = None) -> Wrong:
    """A mistake on the command line: one line on standard error, and exit code 2."""

    def made() -> str:
        before()
        result = CliRunner().invoke(app, arguments.split())
        assert result.exit_code == 2, result.output
        assert "Traceback" not in result.output
        (line,) = (line for line in result.stderr.splitlines() if line.startswith("error: "))
        return line.removeprefix("error: ")

    return Wrong(made, says, right)


def written(name: str, content: str | bytes) -> str:
    """Write a file, and the folders on the way to it, and return its name."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    return name


def after(say: str) -> Callable[[str], str]:
    """What a message has in quotes, or as a word, behind `say`."""
    return lambda said: re.search(rf"{re.escape(say)}\s*'?([^\s',;)]+)", said)[1].rstrip(".")  # pyright: ignore[reportOptionalSubscript]


def suggested(said: str) -> tuple[str, str]:
    """What was given, and what the message suggests in its place."""
    (found,) = re.findall(r"'([^']+)'; did you mean '([^']+)'\?", said)
    return found


def csv(
    text: str,
    *says: str,
    kind: type[TrustworthyError] = InvalidInput,
    fixed: str | None = None,
    right: Callable[[str], dict[str, Any]] | None = None,
    **given: Any,
) -> Wrong:
    """A wrong table in rows.csv, or wrong arguments for it.

    fixed : the table as the message wants it. right : the arguments with which it is read.
    """

    def again(said: str) -> None:
        read(written("rows.csv", fixed or text), **(given | (right(said) if right else {})))

    tried = again if fixed or right else None
    return wrong(lambda: read(written("rows.csv", text), **given), *says, kind=kind, right=tried)


def path(name: str, *says: str, content: bytes | None = None, kind: type[TrustworthyError] = DataError) -> Wrong:
    """A wrong path, or a file of `content` there."""
    suggests = next((part for part in says if part.startswith("did you mean")), "")
    again = (lambda said: read(re.findall("'([^']+)'", suggests)[0])) if suggests else None
    return wrong(lambda: read(name if content is None else written(name, content)), *says, kind=kind, right=again)


def source(given: Any, *says: str, right: Callable[[str], Any] | None = None, **options: Any) -> Wrong:
    """Wrong frames, pairs and other objects."""
    return wrong(lambda: read(given, **options), *says, right=right)


def npz(*says: str, kind: type[TrustworthyError] = InvalidInput, **arrays: Any) -> Wrong:
    """Wrong arrays in mine.npz."""

    def call() -> None:
        np.savez("mine.npz", **arrays)
        read("mine.npz")

    return wrong(call, "x" if kind is DataError else "", *says, kind=kind)


def audited(model: Any, data: Any = (ROWS, LABELS), **given: Any) -> Any:
    """An audit of accuracy alone into the folder out."""
    return audit(model, data, given.pop("out", "out"), **({"plan": PLAN} | given), kinds=ACCURACY)


def refused(*says: str, model: Any = None, data: Any = None, right: Any = None, **given: Any) -> Wrong:
    """Wrong arguments of `trustworthy.audit`; the model and the data are right where they are not given."""
    chosen = linear_of(ROWS) if model is None else model
    rows = (ROWS, LABELS) if data is None else data
    return wrong(lambda: audited(chosen, rows, **given), *says, right=right)


def loaded(
    spec: str,
    *says: str,
    content: Any = None,
    kind: type[TrustworthyError] = InvalidInput,
    before: Callable[[], Any] = lambda: None,
    right: Any = None,
    **given: Any,
) -> Wrong:
    """A wrong MODEL, or a file of `content` there: bytes, text, or what joblib writes."""

    def call() -> None:
        before()
        if isinstance(content, bytes | str):
            written(spec.partition(":")[0] if ".py:" in spec else spec, content)
        elif content is not None:
            joblib.dump(content, spec)
        load_model(spec, **given)

    return wrong(call, *says, kind=kind, right=right)


def answering(function: Callable[[torch.Tensor], Any]) -> Any:
    """A network that says to a batch what `function` makes of the logits."""

    class Answers(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = linear_of(ROWS)

        def forward(self, x: torch.Tensor) -> Any:
            return function(self.inner(x))

    return Answers()
