"""Rows, methods, targets and groups that cannot be explained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn
from typer.testing import CliRunner

from contracts.wrong_inputs import ESTIMATOR, LABELS, ROWS, Wrong, after, command, suggested, written, wrong
from report.small_audit import linear_of
from trustworthy.cli.main import app
from trustworthy.core.errors import InvalidInput, TrustworthyError, UnknownName
from trustworthy.report.explanation import run

NET = "import torch\n\ndef net():\n    torch.manual_seed(0)\n    return torch.nn.Linear(5, 2)\n"


def explained(model: Any = None, out: str | None = None, **given: Any) -> Any:
    """The cheapest explanation of two rows."""
    usual = {"rows": [1, 2], "methods": ["gradient"], "criteria": ["deletion"], "steps": 2, "random_orders": 2}
    return run(linear_of(ROWS) if model is None else model, (ROWS, LABELS), out, **(usual | given))


def refused(
    *says: str, right: Callable[[str], dict[str, Any]], kind: type[TrustworthyError] = InvalidInput, **given: Any
) -> Wrong:
    """Wrong arguments, and those that `right` gives in their place."""
    return wrong(
        lambda: explained(out="out", **given), *says, kind=kind, right=lambda said: explained(**(given | right(said)))
    )


def predicted(row: int) -> int:
    """The class that a row is read as."""
    found = explained(rows=[row])
    return int(found.rows[0].prediction)


def own(rest: str) -> str:
    np.savez("rows.npz", x=ROWS, y=LABELS)
    written("own.py", NET)
    return f"explain own.py:net --data rows.npz --methods gradient --criteria deletion --steps 2 --random 2 {rest}"


def works(arguments: str) -> None:
    result = CliRunner().invoke(app, own(arguments).split())
    assert result.exit_code == 0, result.output


EXPLANATIONS = {
    "rows that do not exist": refused(
        "rows must be numbers of the 30 test rows of", "0 to 29, got 30", rows=[1, 30], right=lambda said: {"rows": [1]}
    ),
    "no rows": refused("rows must name at least one row, got none", rows=[], right=lambda said: {"rows": None}),
    "a row below zero": refused("rows must be >= 0, got -1", rows=[-1], right=lambda said: {"rows": [0]}),
    "a row that is no number": command(
        "explain own.py:net --data rows.npz --out out --rows first",
        "rows must be numbers of test rows from 0, such as --rows 3,17, got 'first'",
        before=lambda: own(""),
        right=lambda said: works(f"--out right --rows {after('such as --rows')(said).split(',')[0]}"),
    ),
    "no such method": refused(
        "unknown methods 'gradint'; did you mean 'gradient'?", kind=UnknownName, methods=["gradint"],
        right=lambda said: {"methods": [suggested(said)[1]]},
    ),
    "no method": refused(
        "methods must hold at least one, got none", methods=[], right=lambda said: {"methods": [said.split()[-1][:-1]]}
    ),
    "a method that needs gradients": refused(
        "methods must need no more than the model gives", "ig needs gradients", "use anchors",
        model=ESTIMATOR, methods=["ig"], right=lambda said: {"methods": ["loo"]},
    ),
    "no such criterion": refused(
        "unknown criteria 'deletoin'; did you mean 'deletion'?", kind=UnknownName, criteria=["deletoin"],
        right=lambda said: {"criteria": [suggested(said)[1]]},
    ),
    "no criterion": refused(
        "criteria must hold at least one, got none", criteria=[], right=lambda said: {"criteria": ["deletion"]}
    ),
    "no such class": refused(
        "unknown target '7'", "Known: 0, 1", kind=UnknownName, target=7, rows=None, right=lambda said: {"target": 1}
    ),
    "the predicted class": wrong(
        lambda: explained(out="out", rows=[1], target=predicted(1)),
        "target must be another class than the prediction", "row 1 is read as", "name another class",
        right=lambda said: explained(rows=[1], target=1 - predicted(1)),
    ),
    "no such feature": refused(
        "unknown groups 'colunm'; did you mean 'column'?", kind=UnknownName, groups="colunm",
        right=lambda said: {"groups": suggested(said)[1]},
    ),
    "features that leave out a column": refused(
        "groups must cover the input, but 1 of 5 coordinates are in no group", groups=[[0, 1], [2, 3]],
        right=lambda said: {"groups": [[0, 1], [2, 3], [4]]},
    ),
    "pixels of a table": refused("are of images", groups="pixel", right=lambda said: {"groups": "column"}),
    "a norm without gradients": refused(
        "norm must be 'l2' for model, which has no gradients", model=ESTIMATOR, norm="linf", methods=["loo"],
        right=lambda said: {"norm": after("norm must be")(said)},
    ),
    "one random order": refused(
        "random_orders must be >= 2, got 1", random_orders=1, right=lambda said: {"random_orders": 2}
    ),
    "no step": refused("steps must be >= 1, got 0", steps=0, right=lambda said: {"steps": 1}),
    "a model of other rows": wrong(
        lambda: explained(nn.Linear(4, 2), out="out"), "the model", right=lambda said: explained(nn.Linear(5, 2)),
    ),
}  # fmt: skip
