"""Plans, limits, folders, devices and commands that cannot be followed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from typer.testing import CliRunner

from contracts.wrong_data import FEW
from contracts.wrong_inputs import (
    ESTIMATOR,
    LABELS,
    ROWS,
    Wrong,
    after,
    audited,
    command,
    refused,
    suggested,
    written,
    wrong,
)  # fmt: skip
from report.small_audit import linear_of
from trustworthy.cli.main import app
from trustworthy.core.errors import DataError, InvalidInput, UnknownName
from trustworthy.core.study import alone
from trustworthy.report.audit import audit
from trustworthy.report.findings import KINDS
from trustworthy.report.gate import parse_limits
from trustworthy.report.plan import make_plan
from trustworthy.report.poisoning.study import poison


def plan(changes: Any, *says: str, kind: Any = InvalidInput, right: Any = None) -> Wrong:
    again = None if right is None else lambda said: make_plan(None, right)
    return wrong(lambda: make_plan(None, changes), *says, kind=kind, right=again)


def unknown(changes: Any, *says: str) -> Wrong:
    """Wrong names in a plan; where one is suggested, it is tried."""

    def again(said: str) -> None:
        given, instead = suggested(said)
        text = json.dumps(changes)
        for old, new in ((given, instead), (given.rpartition(".")[2], instead.rpartition(".")[2])):
            text = text.replace(f'"{old}"', f'"{new}"')
        make_plan(None, json.loads(text))

    right = again if any("did you mean" in part for part in says) else None
    return wrong(lambda: make_plan(None, changes), *says, kind=UnknownName, right=right)


def attack(**given: Any) -> dict[str, Any]:
    return {"attacks": {"tried": [given]}}


SKIPPED = {"skip": ["accuracy", "robustness.corruptions"]}
PLANS = {
    "profile": unknown({"profile": "fast"}, "unknown profile 'fast'", "Known: quick, standard, thorough"),
    "key": unknown({"profil": "quick"}, "unknown plan key 'profil'; did you mean 'profile'?"),
    "key of a section": unknown({"linf": {"multiple": [1]}}, "'linf.multiple'; did you mean 'linf.multiples'?"),
    "section": unknown({"corruption": {"rows": 1}}, "unknown plan key 'corruption'; did you mean 'corruptions'?"),
    "section without settings": unknown({"accuracy": {}}, "unknown plan key 'accuracy'", "Known: "),
    "attack": unknown(attack(name="PDG"), "unknown attack 'PDG'; did you mean 'PGD'?"),
    "attack of a section": unknown({"distortion": {"attack": {"name": "PDG"}}}, "'PDG'; did you mean 'PGD'?"),
    "attack that is abstract": unknown(attack(name="Attack"), "unknown attack 'Attack'", "Known: "),
    "parameter": unknown(attack(name="PGD", step=3), "unknown parameter of PGD 'step'; did you mean 'steps'?"),
    "parameter of the audit": plan(
        attack(name="PGD", eps=3), "eps of PGD is chosen by the audit", "leave it out", kind=InvalidInput
    ),
    "step to skip": unknown(
        {"skip": ["robustness.l3"]}, "unknown kind to skip 'robustness.l3'; did you mean 'robustness.l2'?"
    ),
    "settings of what is skipped": plan(
        {**SKIPPED, "corruptions": {"rows": 3}},
        "plan key corruptions sets what is not measured",
        "skip names 'robustness.corruptions'",
        "leave out one of the two",
        right={"skip": ["accuracy"], "corruptions": {"rows": 3}},
    ),
    "no settings of what is skipped": plan({**SKIPPED, "corruptions": {}}, "plan key corruptions", "leave out one"),
    "rows below zero": plan({"rows": -1}, "plan key rows must be greater than or equal to 0, got -1"),
    "level of one": plan({"level": 1.0}, "plan key level must be less than 1, got 1.0"),
    "no draws": plan({"draws": 0}, "plan key draws must be greater than or equal to 1, got 0"),
    "rows in words": plan({"rows": "many"}, "plan key rows must be a valid integer", "got 'many'"),
    "one label": plan({"poisoning": {"labelled": 1}}, "plan key poisoning.labelled must be", "got 1"),
    "a severity beyond": plan(
        {"corruptions": {"severities": [6]}}, "plan key corruptions.severities.0 must be", "got 6"
    ),
    "no attacks": plan({"attacks": {"tried": []}}, "plan key attacks.tried must have at least 1 item", "got []"),
    "an attack without a name": plan(attack(steps=3), "plan key attacks.tried.0.name must be given"),
    "no steps": plan(attack(name="PGD", steps=0), "steps must be >= 1, got 0"),
    "a number for a section": plan(
        {"calibration": 3}, "plan key calibration must be a table of keys, [calibration]", "got 3"
    ),
    "no file": plan(
        "none.toml", "the plan none.toml cannot be read: No such file", "give the path of a TOML file", kind=DataError
    ),
    "no TOML": wrong(
        lambda: make_plan(None, written("bad.toml", "rows = = 3")),
        "the plan bad.toml is not valid TOML",
        "line 1",
        "write",
        kind=DataError,
    ),
    "a name without quotes": wrong(
        lambda: make_plan(None, written("bad.toml", "[columns.year of birth]\nimmutable = true")),
        "the plan bad.toml is not valid TOML",
        "quotes",
        '[columns."year of birth"]',
        kind=DataError,
    ),
    "another type of plan": wrong(lambda: audited(ESTIMATOR, plan=3), "plan must be", "got 3"),
    "a plan of other kinds": wrong(
        lambda: audit(ESTIMATOR, (ROWS, LABELS), "out", plan=make_plan(kinds=[])),
        "plan must be made for the kinds of this audit",
        "make_plan(..., kinds=...)",
    ),
}


def limit(text: str) -> Wrong:
    return wrong(lambda: parse_limits([text]), "a limit must be finding=value, such as accuracy=0.9", f"got {text!r}",
                 right=lambda said: parse_limits([after("such as")(said)]))  # fmt: skip


GATE = {
    "no value": limit("accuracy"),
    "an empty value": limit("accuracy="),
    "no finding": limit("=0.9"),
    "a word": limit("accuracy=high"),
    "not a number": limit("accuracy=nan"),
    "a share in percent": wrong(
        lambda: parse_limits(["accuracy=80"]),
        "the limit of accuracy must be a share from 0 to 1",
        "got 'accuracy=80'",
        right=lambda said: parse_limits([after("such as")(said)]),
    ),
    "an unknown finding": wrong(
        lambda: parse_limits(["robustness.linf.acuracy=0.3"]),
        "unknown finding 'robustness.linf.acuracy'; did you mean 'robustness.linf.accuracy'?",
        kind=UnknownName,
        right=lambda said: parse_limits([f"{suggested(said)[1]}=0.3"]),
    ),
    "without a better": wrong(
        lambda: parse_limits(["robustness.poisoning=0"]), "unknown finding", "Known: ", kind=UnknownName
    ),
}


def run(*says: str, right: Any = None, **given: Any) -> Wrong:
    return refused(*says, right=right, **given)


def held() -> None:
    with alone(Path("held"), "audit"):
        audited(linear_of(ROWS), out="held")


def locked() -> None:
    Path("locked").mkdir()
    with mock.patch("os.access", lambda path, mode: not (Path(path).name == "locked" and mode == os.W_OK)):
        audited(linear_of(ROWS), out="locked")


def poisoned(*says: str, data: Any = "breast-cancer", **given: Any) -> Wrong:
    """Wrong arguments of `poison`."""
    return wrong(lambda: poison(data, "out", **given), *says)


def arrays(**given: np.ndarray) -> str:
    np.savez("made.npz", **given)  # pyright: ignore[reportArgumentType]
    return "made.npz"


RUNS = {
    "a seed below zero": run("seed must be >= 0, got -1", seed=-1),
    "a limit below zero": run("limit must be >= 0, got -3", limit=-3),
    "a limit of half": run("limit must be a whole number, got 0.5", limit=0.5),
    "a device": run(
        "device must be one that torch can use here",
        "got 'nowhere'",
        "cpu",
        device="nowhere",
        right=lambda said: audited(ESTIMATOR, device="cpu", out=None),
    ),
    "a device that is not here": run("device must be one that torch can use here", "got 'meta:x'", device="meta:x"),
    "a profile": run("unknown profile 'fast'", "Known: quick", profile="fast", plan=None),
    "out is a file": wrong(
        lambda: audited(ESTIMATOR, out=written("out", "")),
        "out must be a folder, or a place for one, got 'out': it is a file",
        "Choose another",
        right=lambda said: audited(ESTIMATOR, out="other"),
    ),
    "out is in a file": wrong(
        lambda: audited(ESTIMATOR, out=written("file", "") + "/out"),
        "out must be a folder",
        "got 'file/out'",
        "Choose another",
    ),
    "out may not be written": wrong(locked, "out must be a folder", "got 'locked': it may not be written to", "Choose"),
    "another audit writes": wrong(
        held,
        "another audit is writing into held",
        "wait until it has ended, or choose another",
        right=lambda said: [audited(ESTIMATOR, out="held"), audited(ESTIMATOR, out="other")],
    ),
    "poison: out is a file": wrong(
        lambda: poison("breast-cancer", written("out", "")), "out must be a folder", "it is a file"
    ),
    "poison: all labelled": poisoned(
        "labelled must leave at least one of the 427 rows of malignant and benign without its label, got 427",
        "Label fewer rows",
        labelled=427,
    ),
    "poison: rows labelled": poisoned("one of the 20 rows", "got 20", "draw more", labelled=20, rows=20),
    "poison: one labelled": poisoned("labelled must be >= 2, got 1", labelled=1),
    "poison: budget below zero": poisoned("budget must be >= 0, got -1", budgets=[-1]),
    "poison: budget beyond": poisoned(
        "budget must be at most 10, the number of labelled rows, got 11", "Flip fewer", labelled=10, budgets=[0, 11]
    ),
    "poison: half a flip": poisoned("budget must be a whole number, got 1.5", budgets=[1.5]),
    "poison: endless": poisoned("budget must be a whole number, got inf", budgets=[np.inf]),
    "poison: no budget": poisoned("budget must be given at least once, got none", budgets=[]),
    "poison: no width": poisoned("gamma must be > 0, got 0", gamma=0),
    "poison: too narrow": poisoned("gamma is so large that the graph falls apart", gamma=1e9),
    "poison: method": poisoned("unknown method 'gready'; did you mean 'greedy'?", method="gready"),
    "poison: knowledge": poisoned("unknown knowledge 'all'", "Known: ", knowledge="all"),
    "poison: no neighbours": poisoned("neighbors must be >= 1, got 0", n_neighbors=0),
    "poison: no splits": poisoned("splits must be >= 1, got 0", splits=0),
    "poison: seed": poisoned("seed must be >= 0, got -1", seed=-1),
    "poison: rows": poisoned("rows must be >= 3, got 2", rows=2),
    "poison: class": poisoned("unknown class 'malign'; did you mean 'malignant'?", classes=["benign", "malign"]),
    "poison: one class twice": poisoned("classes must be two different ones, got 1 twice", classes=["1", "benign"]),
    "poison: an unknown set": wrong(lambda: poison("digist"), "did you mean the data set 'digits'?", kind=DataError),
}


def made(**given: Any) -> Wrong:
    """Arrays that cannot be poisoned."""
    says = given.pop("says")
    return wrong(lambda: poison(arrays(**given), "out", labelled=4), *says)


POISONED = {
    "poison: one class": made(
        x=np.zeros((9, 2)), y=np.zeros(9, int), says=["at least two classes, made has those of one"]
    ),
    "poison: equal labels": made(
        x=np.ones((9, 2)), y=np.full(9, 2.5), says=["labels that differ, those of made are all 2.5"]
    ),
    "poison: pixels": made(
        x=np.full((9, 1, 2, 2), 3.0),
        y=np.arange(9) % 2,
        says=["images must lie in [0, 1]", "in [3, 3]", "give x / 255"],
    ),
    "poison: equal rows": made(x=np.zeros((9, 2)), y=np.arange(9) % 2, says=["X must have rows that differ"]),
    "poison: gaps": made(
        x=np.full((9, 2), np.nan), y=np.arange(9) / 2, says=["x must be finite", "9 of 9 rows, row 0"]
    ),
    "poison: classes of numbers": wrong(
        lambda: poison(arrays(x=ROWS, y=ROWS[:, 0]), classes=["0", "1"], labelled=4),
        "classes must be left out: made is a regression",
    ),
}
RUNS |= POISONED


def prepared() -> None:
    """Right rows, a right model, and a wrong one."""
    written("rows.csv", FEW)
    written("own.py", "from torch import nn\n\ndef net():\n    return nn.Linear(1, 2)\n")
    written("plan.toml", f"skip = {json.dumps([kind.step for kind in KINDS if kind.step != 'accuracy'])}")


def audit_of(rest: str, *says: str, right: Callable[[str], str] | None = None) -> Wrong:
    """A wrong audit; `right` gives the arguments in place of `rest` that the message names."""

    def again(said: str) -> None:
        assert right is not None
        arguments = f"audit {right(said)} --out right --plan plan.toml"
        assert CliRunner().invoke(app, arguments.split()).exit_code in (0, 1)  # 1: a limit that is not met

    return command(f"audit {rest} --out out", *says, before=prepared, right=again if right else None)


def other(rest: str, *says: str) -> Wrong:
    """A wrong name in `rest`, in whose place the message suggests another."""
    return audit_of(rest, *says, right=lambda said: rest.replace(*suggested(said)))


COMMANDS = {
    "no such model": other("own.py:ent --data rows.csv", "unknown factory in own.py 'ent'; did you mean 'net'?"),
    "no trust": audit_of("m.joblib --data rows.csv", "there is no file m.joblib", "give the path"),
    "no such data": audit_of("own.py:net --data digist", "did you mean the data set 'digits'?"),
    "no such column": other("own.py:net --data rows.csv --label labek", "got 'labek'; did you mean 'label'?"),
    "no such group": audit_of(
        "own.py:net --data rows.csv --group site", "group names no column, got 'site'", "Columns: 'n'"
    ),
    "no such finding": other("own.py:net --data rows.csv --fail-under acuracy=1", "did you mean 'accuracy'?"),
    "no limit": audit_of("own.py:net --data rows.csv --fail-under accuracy", "finding=value, such as accuracy=0.9"),
    "no such profile": audit_of("own.py:net --data rows.csv --profile fast", "unknown profile 'fast'", "Known: quick"),
    "no plan": audit_of(
        "own.py:net --data rows.csv --plan none.toml", "the plan none.toml cannot be read", "give the path"
    ),
    "a limit below zero": audit_of("own.py:net --data rows.csv --limit -1", "limit must be >= 0, got -1"),
    "a device": audit_of("own.py:net --data rows.csv --device nowhere", "device must be one", "got 'nowhere'"),
    "one name for two": audit_of(
        "own.py:net own.py:net --data rows.csv",
        "a name of its own, got 'own.py:net' twice",
        "write NAME=MODEL: model1=own.py:net model2=own.py:net",
        right=lambda said: f"{said.partition('MODEL: ')[2].rstrip('.')} --data rows.csv",
    ),
    "weights for one of two": audit_of(
        "own.py:net --data rows.csv --weights a --weights b",
        "--weights must be given once for each of the 1 models, got 2",
    ),
    "poison: a budget in words": command(
        "poison --data wine --budget one", "budget must be numbers with commas", "got 'one'", "such as 0,1,2,5"
    ),
    "poison: no budget": command("poison --data breast-cancer --budget ,", "budget must be given at least once"),
    "poison: a width in words": command(
        "poison --data wine --gamma auto", "gamma must be cv or a number > 0, got 'auto'"
    ),
    "poison: words": command(
        "poison --data rows.csv --label n", "the columns 'label' hold words", "--drop label", before=prepared
    ),
    "data: no such set": command("data get digts", "unknown data set 'digts'; did you mean 'digits'?"),
    "data: a file": command("data get rows.csv", "got 'rows.csv'", "trustworthy audit", before=prepared),
}
