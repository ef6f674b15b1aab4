"""Table 1.1: size of each data set, and the width of the graph that validation chooses."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import numpy as np

from reproduce import intervals
from reproduce.ch1.data import hidden, prepared
from reproduce.ch1.poison import seeds
from reproduce.runner import Setting
from reproduce.store import Measured
from trustworthy.core.errors import TrustworthyWarning
from trustworthy.graphs import LabelPropagation


def cells(options: dict[str, Any]) -> list[str]:
    """A cell a data set."""
    return list(options["data"])


def measure(cell: str, setting: Setting) -> list[Measured]:
    """n, d, the candidate chosen most often by leaving each label out, and the errors that decide."""
    rows, widths = prepared(cell, setting.seed), setting.options["gammas"]
    given, grid, norms = [], [], []
    for done, seed in enumerate(seeds(setting), start=1):
        labelled, limit = setting.options["labelled"][cell], setting.options["rows"].get(cell)
        x, y, _ = hidden(prepared(cell, seed), labelled, seed, limit)
        norms.append(np.linalg.norm(y[:labelled]))
        given.append(LabelPropagation(gammas=widths).fit(x, y))
        with warnings.catch_warnings():  # of rows that a narrow graph leaves alone: the labels are what counts here
            warnings.simplefilter("ignore", TrustworthyWarning)
            grid.append(LabelPropagation().fit(x, y))
        setting.tell(done / setting.options["splits"])
    errors = np.array([learner.gamma_errors_ for learner in given])
    curve = [(gamma, column) for gamma, column in zip(widths, errors.T, strict=True) if np.isfinite(column).all()]
    told = [intervals.splits(f"{cell}.label-norm", np.array(norms))] if rows.regression else []
    return [
        *told,
        Measured(name=f"{cell}.n", value=rows.x.shape[0], conditions={"source": rows.source}),
        Measured(name=f"{cell}.d", value=rows.width, conditions={"columns": rows.x.shape[1]}),
        _chosen(f"{cell}.gamma", [learner.gamma_ for learner in given]),
        intervals.splits(f"{cell}.error", _errors(given), seeds=seeds(setting)),
        _chosen(f"{cell}.default-grid.gamma", [learner.gamma_ for learner in grid]),
        intervals.splits(f"{cell}.default-grid.error", _errors(grid)),
        intervals.splits(f"{cell}.default-grid.least", np.array([learner.gamma_errors_.min() for learner in grid])),
        *(intervals.splits(f"{cell}.left-out@{gamma:g}", column) for gamma, column in curve),
    ]


def _chosen(name: str, widths: list[float]) -> Measured:
    """The width chosen most often, the first of equals."""
    return Measured(name=name, value=Counter(widths).most_common(1)[0][0], conditions={"chosen": widths})


def _errors(learners: list[LabelPropagation]) -> np.ndarray:
    """The error of left-out labels at the width chosen, which is not the least one where that width loses rows."""
    return np.array([learner.gamma_errors_[learner.gammas_.tolist().index(learner.gamma_)] for learner in learners])
