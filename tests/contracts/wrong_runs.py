"""Plans, limits, folders, devices and commands that cannot be followed."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import joblib
import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn
from typer.testing import CliRunner

from contracts.wrong_data import FEW
from contracts.wrong_inputs import (
    ACCURACY,
    ESTIMATOR,
    LABELS,
    PLAN,
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
from trustworthy.core.errors import DataError, UnknownName
from trustworthy.core.study import alone
from trustworthy.report.audit import audit
from trustworthy.report.findings import KINDS
from trustworthy.report.gate import parse_limits
from trustworthy.report.plan import make_plan
from trustworthy.report.poisoning.study import poison


def known(said: str) -> list[str]:
    """All names that the message lists."""
    return said.rpartition("Known: ")[2].partition(" ... ")[0].rstrip(" ,.").split(", ")


def allowed(said: str) -> Any:
    """A number that the message allows, at its bound where that is one of them."""
    found = re.search(r"(>=|>|equal to|less than) ([\d.]+\d|\d)", said)
    if found is None:  # a whole number
        return 3
    number = float(found[2]) + {">": 1.0, "less than": -0.5}.get(found[1], 0.0)
    return int(number) if number.is_integer() else number


def plan(changes: Any, *says: str, right: Any) -> Wrong:
    """A wrong plan, and the changes that are `right`, or what makes them of the message."""

    def again(said: str) -> None:
        changed: Any = right(said) if callable(right) else right
        make_plan(None, changed)

    return wrong(lambda: make_plan(None, changes), *says, right=again)


def bounded(changes: dict[str, Any], *says: str) -> Wrong:
    """A wrong value in a plan, in whose place one is tried that the message allows."""

    def right(said: str) -> Any:
        given = json.dumps(said.rpartition("got ")[2].rstrip(".").strip("'"))
        bare = given.strip('"')
        text = json.dumps(changes)
        return json.loads(text.replace(given if given in text else bare, str(allowed(said))))

    return plan(changes, *says, right=right)


def unknown(changes: Any, *says: str) -> Wrong:
    """Wrong names in a plan; where one is suggested, it is tried."""

    def again(said: str) -> None:
        (given,) = re.findall(r"^[^']*'([^']+)'", said)
        for instead in [suggested(said)[1]] if any("did you mean" in part for part in says) else known(said):
            text = json.dumps(changes)
            for old, new in ((given, instead), (given.rpartition(".")[2], instead.rpartition(".")[2])):
                text = text.replace(f'"{old}"', f'"{new}"')
            make_plan(None, json.loads(text))

    return wrong(lambda: make_plan(None, changes), *says, kind=UnknownName, right=again)


def sections(said: str) -> None:
    """Every key that the message knows, with what a plan has there."""
    whole = make_plan().model_dump()
    for name in known(said):
        make_plan(None, {name: whole[name]})


def leaving_out(said: str) -> None:
    """The parameter left out, and the sections that the message names for it."""
    make_plan(None, attack(name="PGD"))
    for key in re.findall(r"\.(l\w+)", said):
        make_plan(None, {"attacks": {key: 0.1}})


def in_file(start: str, end: str, rest: str = "") -> Callable[[str], Any]:
    """A plan of what the message has from `start` to `end`, and `rest`."""

    def again(said: str) -> Any:
        begin = said.index(start)
        return make_plan(None, written("right.toml", said[begin : said.index(end, begin) + len(end)] + rest))

    return again


def attack(**given: Any) -> dict[str, Any]:
    return {"attacks": {"tried": [given]}}


SKIPPED = {"skip": ["accuracy", "robustness.corruptions"]}
PLANS = {
    "profile": unknown({"profile": "fast"}, "unknown profile 'fast'", "Known: quick, standard, thorough"),
    "key": unknown({"profil": "quick"}, "unknown plan key 'profil'; did you mean 'profile'?"),
    "key of a section": unknown({"linf": {"multiple": [1]}}, "'linf.multiple'; did you mean 'linf.multiples'?"),
    "section": unknown({"corruption": {"rows": 1}}, "unknown plan key 'corruption'; did you mean 'corruptions'?"),
    "section without settings": wrong(
        lambda: make_plan(None, {"accuracy": {}}),
        "unknown plan key 'accuracy'",
        "Known: ",
        kind=UnknownName,
        right=sections,
    ),
    "attack": unknown(attack(name="PDG"), "unknown attack 'PDG'; did you mean 'PGD'?"),
    "attack of a section": unknown({"distortion": {"attack": {"name": "PDG"}}}, "'PDG'; did you mean 'PGD'?"),
    "attack that is abstract": unknown(attack(name="Attack"), "unknown attack 'Attack'", "Known: "),
    "parameter": unknown(attack(name="PGD", step=3), "unknown parameter of PGD 'step'; did you mean 'steps'?"),
    "parameter of the audit": wrong(
        lambda: make_plan(None, attack(name="PGD", eps=3)),
        "eps of PGD is chosen by the audit",
        "leave it out",
        right=leaving_out,
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
    "no settings of what is skipped": plan(
        {**SKIPPED, "corruptions": {}}, "plan key corruptions", "leave out one", right=SKIPPED
    ),
    "rows below zero": bounded({"rows": -1}, "plan key rows must be greater than or equal to 0, got -1"),
    "level of one": bounded({"level": 1.0}, "plan key level must be less than 1, got 1.0"),
    "no draws": bounded({"draws": 0}, "plan key draws must be greater than or equal to 1, got 0"),
    "rows in words": bounded({"rows": "many"}, "plan key rows must be a valid integer", "got 'many'"),
    "one label": bounded({"poisoning": {"labelled": 1}}, "plan key poisoning.labelled must be", "got 1"),
    "a severity beyond": bounded(
        {"corruptions": {"severities": [6]}}, "plan key corruptions.severities.0 must be", "got 6"
    ),
    "no attacks": plan(
        {"attacks": {"tried": []}},
        "plan key attacks.tried must have at least 1 item",
        "got []",
        right=attack(name="PGD"),
    ),
    "an attack without a name": plan(
        attack(steps=3),
        "plan key attacks.tried.0.name must be given",
        'such as name = "PGD"',
        right=lambda said: attack(steps=3, **tomllib.loads(said.partition("such as ")[2].rstrip("."))),
    ),
    "no steps": bounded(attack(name="PGD", steps=0), "steps must be >= 1, got 0"),
    "a number for a section": wrong(
        lambda: make_plan(None, {"calibration": 3}),
        "plan key calibration must be a table of keys, [calibration]",
        "got 3",
        right=in_file("[", "]"),
    ),
    "no file": wrong(
        lambda: make_plan(None, "none.toml"),
        "the plan none.toml cannot be read: No such file",
        "give the path of a TOML file",
        kind=DataError,
        right=lambda said: make_plan(None, written("none.toml", "rows = 3")),
    ),
    "no TOML": wrong(
        lambda: make_plan(None, written("bad.toml", "rows = = 3")),
        "the plan bad.toml is not valid TOML",
        "line 1",
        "write",
        kind=DataError,
        right=in_file("rows =", "100"),
    ),
    "a name without quotes": wrong(
        lambda: make_plan(None, written("bad.toml", "[columns.year of birth]\nimmutable = true")),
        "the plan bad.toml is not valid TOML",
        "quotes",
        '[columns."year of birth"]',
        kind=DataError,
        right=in_file("[columns.", "]", "\nimmutable = true"),
    ),
    "another type of plan": wrong(
        lambda: audited(ESTIMATOR, plan=3),
        "plan must be",
        "got 3",
        right=lambda said: [
            audited(ESTIMATOR, plan=given, out=None) for given in (PLAN, {"rows": 3}, written("plan.toml", "rows = 3"))
        ],
    ),
    "a plan of other kinds": wrong(
        lambda: audit(ESTIMATOR, (ROWS, LABELS), "out", plan=make_plan(kinds=[])),
        "plan must be made for the kinds of this audit",
        "make_plan(..., kinds=...)",
        right=lambda said: audited(ESTIMATOR, plan=make_plan(kinds=ACCURACY)),
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
        lambda: parse_limits(["robustness.poisoning=0"]),
        "unknown finding",
        "Known: ",
        kind=UnknownName,
        right=lambda said: [parse_limits([f"{name}=0.5"]) for name in (suggested(said)[1], *known(said))],
    ),
}


def run(*says: str, right: Callable[[str], Any] = allowed, **given: Any) -> Wrong:
    """A wrong argument of an audit, in whose place what `right` reads in the message is tried."""
    (key,) = given.keys() - {"plan"}
    return refused(*says, right=lambda said: audited(linear_of(ROWS), **{key: right(said)}), **given)


def held() -> None:
    with alone(Path("held"), "audit"):
        audited(linear_of(ROWS), out="held")


def locked() -> None:
    Path("locked").mkdir()
    with mock.patch("os.access", lambda path, mode: not (Path(path).name == "locked" and mode == os.W_OK)):
        audited(linear_of(ROWS), out="locked")


FEW_ROWS: dict[str, Any] = {"rows": 30, "labelled": 5, "budgets": [0], "gamma": 1.0, "baselines": False}


def poisoned(*says: str, right: Callable[[str], list[dict[str, Any]]] | None = None, **given: Any) -> Wrong:
    """Wrong arguments of `poison`, and in their place those that `right` gives, or a number that the message allows."""

    def again(said: str) -> None:
        fixed: list[dict[str, Any]] = [dict.fromkeys(given, allowed(said))] if right is None else right(said)
        for each in fixed:
            poison("breast-cancer", **(FEW_ROWS | each))

    return wrong(lambda: poison("breast-cancer", "out", **given), *says, right=again)


def elsewhere(said: str) -> None:
    audited(ESTIMATOR, out="other")


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
        right=after("such as"),
    ),
    "a device that is not here": run(
        "device must be one that torch can use here", "got 'meta:x'", device="meta:x", right=after("such as")
    ),
    "a profile": run(
        "unknown profile 'fast'", "Known: quick", profile="fast", plan=None, right=lambda said: known(said)[0]
    ),
    "out is a file": wrong(
        lambda: audited(ESTIMATOR, out=written("out", "")),
        "out must be a folder, or a place for one, got 'out': it is a file",
        "Choose another",
        right=elsewhere,
    ),
    "out is in a file": wrong(
        lambda: audited(ESTIMATOR, out=written("file", "") + "/out"),
        "out must be a folder",
        "got 'file/out'",
        "Choose another",
        right=elsewhere,
    ),
    "out may not be written": wrong(
        locked, "out must be a folder", "got 'locked': it may not be written to", "Choose", right=elsewhere
    ),
    "another audit writes": wrong(
        held,
        "another audit is writing into held",
        "wait until it has ended, or choose another",
        right=lambda said: [audited(ESTIMATOR, out="held"), audited(ESTIMATOR, out="other")],
    ),
    "poison: out is a file": wrong(
        lambda: poison("breast-cancer", written("out", "")),
        "out must be a folder",
        "it is a file",
        right=lambda said: poison("breast-cancer", "other", **FEW_ROWS),
    ),
    "poison: all labelled": poisoned(
        "labelled must leave at least one of the 427 rows of malignant and benign without its label, got 427",
        "Label fewer rows",
        labelled=427,
        right=lambda said: [{"labelled": 426, "rows": None}, {"labelled": 426, "rows": 427}],
    ),
    "poison: rows labelled": poisoned(
        "one of the 20 rows",
        "got 20",
        "draw more",
        labelled=20,
        rows=20,
        right=lambda said: [{"labelled": 19, "rows": 20}, {"labelled": 20, "rows": 21}],
    ),
    "poison: one labelled": poisoned("labelled must be >= 2, got 1", labelled=1),
    "poison: budget below zero": poisoned(
        "budget must be >= 0, got -1", budgets=[-1], right=lambda said: [{"budgets": [allowed(said)]}]
    ),
    "poison: budget beyond": poisoned(
        "budget must be at most 10, the number of labelled rows, got 11",
        "Flip fewer",
        labelled=10,
        budgets=[0, 11],
        right=lambda said: [{"budgets": [0, 10], "labelled": 10}, {"budgets": [0, 11], "labelled": 11}],
    ),
    "poison: half a flip": poisoned(
        "budget must be a whole number, got 1.5", budgets=[1.5], right=lambda said: [{"budgets": [allowed(said)]}]
    ),
    "poison: endless": poisoned(
        "budget must be a whole number, got inf", budgets=[np.inf], right=lambda said: [{"budgets": [allowed(said)]}]
    ),
    "poison: no budget": poisoned(
        "budget must be given at least once, got none", budgets=[], right=lambda said: [{"budgets": [1]}]
    ),
    "poison: no width": poisoned("gamma must be > 0, got 0", gamma=0),
    "poison: too narrow": poisoned(
        "gamma is so large that the graph falls apart",
        "Lower gamma or scale X down.",
        gamma=1e9,
        right=lambda said: [{"gamma": 1.0}],
    ),
    "poison: too few neighbours": poisoned(
        "gamma is so large that the graph falls apart",
        "raise n_neighbors",
        **FEW_ROWS | {"n_neighbors": 1},
        right=lambda said: [{"n_neighbors": 10}, {"n_neighbors": 1, "labelled": 29}],
    ),
    "poison: method": poisoned(
        "unknown method 'gready'; did you mean 'greedy'?",
        method="gready",
        right=lambda said: [{"method": name} for name in (suggested(said)[1], *known(said))],
    ),
    "poison: knowledge": poisoned(
        "unknown knowledge 'all'",
        "Known: ",
        knowledge="all",
        right=lambda said: [{"knowledge": name} for name in known(said)],
    ),
    "poison: no neighbours": poisoned(
        "neighbors must be >= 1, got 0", n_neighbors=0, right=lambda said: [{"n_neighbors": allowed(said) + 9}]
    ),
    "poison: no splits": poisoned("splits must be >= 1, got 0", splits=0),
    "poison: seed": poisoned("seed must be >= 0, got -1", seed=-1),
    "poison: rows": poisoned(
        "rows must be >= 3, got 2", rows=2, right=lambda said: [{"rows": allowed(said), "labelled": 2}]
    ),
    "poison: class": poisoned(
        "unknown class 'malign'; did you mean 'malignant'?",
        classes=["benign", "malign"],
        right=lambda said: [{"classes": ["benign", suggested(said)[1]]}],
    ),
    "poison: one class twice": poisoned(
        "classes must be two different ones, got 1 twice",
        classes=["1", "benign"],
        right=lambda said: [{"classes": ["0", "benign"]}],
    ),
    "poison: an unknown set": wrong(
        lambda: poison("digist"),
        "did you mean the data set 'digits'?",
        kind=DataError,
        right=lambda said: poison(after("did you mean the data set")(said), **FEW_ROWS),
    ),
}


def made(**given: Any) -> Wrong:
    """Arrays that cannot be poisoned, and what is `right` in their place: arrays, or arguments."""
    says, right = given.pop("says"), given.pop("right")
    less = {"labelled": 4, "budgets": [0], "baselines": False}

    def again(said: str) -> None:
        taken = less | given | right
        poison(arrays(x=taken.pop("x"), y=taken.pop("y")), **taken)

    return wrong(lambda: poison(arrays(**given), "out", labelled=4), *says, right=again)


SPREAD = np.arange(18.0).reshape(9, 2)
POISONED = {
    "poison: one class": made(
        x=np.zeros((9, 2)),
        y=np.zeros(9, int),
        says=["at least two classes, made has those of one"],
        right={"x": SPREAD, "y": np.arange(9) % 2},
    ),
    "poison: equal labels": made(
        x=np.ones((9, 2)),
        y=np.full(9, 2.5),
        says=["labels that differ, those of made are all 2.5"],
        right={"x": SPREAD, "y": np.arange(9) / 2},
    ),
    "poison: pixels": made(
        x=np.full((9, 1, 2, 2), 3.0),
        y=np.arange(9) % 2,
        says=["images must lie in [0, 1]", "in [3, 3]", "give x / 255"],
        right={"x": np.arange(36.0).reshape(9, 1, 2, 2) / 255},
    ),
    "poison: equal rows": made(
        x=np.zeros((9, 2)), y=np.arange(9) % 2, says=["X must have rows that differ"], right={"gamma": 1.0}
    ),
    "poison: gaps": made(
        x=np.full((9, 2), np.nan),
        y=np.arange(9) / 2,
        says=["x must be finite", "9 of 9 rows, row 0"],
        right={"x": SPREAD},
    ),
    "poison: classes of numbers": wrong(
        lambda: poison(arrays(x=ROWS, y=ROWS[:, 0]), classes=["0", "1"], labelled=4),
        "classes must be left out: made is a regression",
        right=lambda said: poison(arrays(x=ROWS, y=ROWS[:, 0]), labelled=4, budgets=[0]),
    ),
}
RUNS |= POISONED


def prepared() -> None:
    """Right rows, a right model, and a wrong one."""
    written("rows.csv", FEW)
    written("own.py", "from torch import nn\n\ndef net():\n    return nn.Linear(1, 2)\n")
    written("plan.toml", f"skip = {json.dumps([kind.step for kind in KINDS if kind.step != 'accuracy'])}")


def audit_of(rest: str, *says: str, right: Callable[[str], str], before: Callable[[], Any] = prepared) -> Wrong:
    """A wrong audit; `right` gives the arguments in place of `rest` that the message names."""

    def again(said: str) -> None:
        arguments = f"audit {right(said)} --out right --plan plan.toml"
        result = CliRunner().invoke(app, arguments.split())
        assert "error: " not in result.stderr, result.output  # a limit that is not met is none

    return command(f"audit {rest} --out out", *says, before=before, right=again)


def other(rest: str, *says: str) -> Wrong:
    """A wrong name in `rest`, in whose place the message suggests another."""
    return audit_of(rest, *says, right=lambda said: rest.replace(*suggested(said)))


WORDY = "n,age,label\n" + "".join(f"{n / 7},{n * n},{'ab'[n % 2]}\n" for n in range(19))
RIGHT = "own.py:net --data rows.csv"


def given_path(said: str) -> str:
    """The classifier where the message misses it."""
    frame = pd.read_csv("rows.csv")
    joblib.dump(LogisticRegression().fit(frame[["n"]], frame["label"]), after("there is no file")(said))
    return "m.joblib --trust --data rows.csv"


def digits(said: str) -> str:
    """The data set that the message names, and a network for it."""
    written("own.py", "from torch import nn\n\ndef net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n")
    return f"own.py:net --data {after('did you mean the data set')(said)}"


def once(said: str) -> str:
    """The option as often as there are models."""
    torch.save(nn.Linear(1, 2).state_dict(), "a.pt")
    return RIGHT + " --weights a.pt" * int(after("each of the")(said))


def poison_of(rest: str, *says: str, right: Callable[[str], str], before: Any = lambda: None) -> Wrong:
    """A wrong `trustworthy poison`, and the arguments that the message names in place of `rest`."""

    def again(said: str) -> None:
        arguments = f"poison --out right --labelled 5 --rows 30 --budget 0 --gamma 1 {right(said)}"
        result = CliRunner().invoke(app, arguments.split())
        assert result.exit_code == 0, result.output

    return command(f"poison {rest}", *says, before=before, right=again)


def called(arguments: str) -> None:
    result = CliRunner().invoke(app, arguments.split())
    assert result.exit_code == 0, result.output


COMMANDS = {
    "no such model": other("own.py:ent --data rows.csv", "unknown factory in own.py 'ent'; did you mean 'net'?"),
    "no trust": audit_of("m.joblib --data rows.csv", "there is no file m.joblib", "give the path", right=given_path),
    "no such data": audit_of("own.py:net --data digist", "did you mean the data set 'digits'?", right=digits),
    "no such column": other("own.py:net --data rows.csv --label labek", "got 'labek'; did you mean 'label'?"),
    "no such group": audit_of(
        "own.py:net --data rows.csv --group site",
        "group names no column, got 'site'",
        "Columns: 'n'",
        before=lambda: [prepared(), written("rows.csv", "n,age,label\n1,3,a\n1,4,b\n2,5,a\n2,6,b\n")],
        right=lambda said: f"{RIGHT} --group {after('Columns:')(said)}",
    ),
    "no such finding": other("own.py:net --data rows.csv --fail-under acuracy=1", "did you mean 'accuracy'?"),
    "no limit": audit_of(
        "own.py:net --data rows.csv --fail-under accuracy",
        "finding=value, such as accuracy=0.9",
        right=lambda said: f"{RIGHT} --fail-under {after('such as')(said)}",
    ),
    "no such profile": audit_of(
        "own.py:net --data rows.csv --profile fast",
        "unknown profile 'fast'",
        "Known: quick",
        right=lambda said: f"{RIGHT} --profile {known(said)[0]}",
    ),
    "no plan": audit_of(
        "own.py:net --data rows.csv --plan none.toml",
        "the plan none.toml cannot be read",
        "give the path",
        right=lambda said: f"{RIGHT} --plan plan.toml",
    ),
    "a limit below zero": audit_of(
        "own.py:net --data rows.csv --limit -1",
        "limit must be >= 0, got -1",
        right=lambda said: f"{RIGHT} --limit {allowed(said)}",
    ),
    "a device": audit_of(
        "own.py:net --data rows.csv --device nowhere",
        "device must be one",
        "got 'nowhere'",
        right=lambda said: f"{RIGHT} --device {after('such as')(said)}",
    ),
    "one name for two": audit_of(
        "own.py:net own.py:net --data rows.csv",
        "a name of its own, got 'own.py:net' twice",
        "write NAME=MODEL: model1=own.py:net model2=own.py:net",
        right=lambda said: f"{said.partition('MODEL: ')[2].rstrip('.')} --data rows.csv",
    ),
    "weights for one of two": audit_of(
        "own.py:net --data rows.csv --weights a --weights b",
        "--weights must be given once for each of the 1 models, got 2",
        right=once,
    ),
    "poison: a budget in words": poison_of(
        "--data wine --budget one",
        "budget must be numbers with commas",
        "got 'one'",
        "such as 0,1,2,5",
        right=lambda said: f"--data wine --budget {re.findall('such as ([^ ]+),', said)[0]}",
    ),
    "poison: no budget": poison_of(
        "--data breast-cancer --budget ,",
        "budget must be given at least once",
        right=lambda said: "--data breast-cancer --budget 1",
    ),
    "poison: a width in words": poison_of(
        "--data wine --gamma auto",
        "gamma must be cv or a number > 0, got 'auto'",
        right=lambda said: f"--data wine --gamma {after('must be')(said)}",
    ),
    "poison: words": poison_of(
        "--data rows.csv --label n",
        "the columns 'label' hold words",
        "--drop label",
        before=lambda: written("rows.csv", WORDY),
        right=lambda said: f"--data rows.csv --label n --drop {after('--drop')(said)} --rows 12",
    ),
    "data: no such set": command(
        "data get digts",
        "unknown data set 'digts'; did you mean 'digits'?",
        right=lambda said: called(f"data get {suggested(said)[1]}"),
    ),
    "data: a file": command(
        "data get rows.csv",
        "got 'rows.csv'",
        "trustworthy audit",
        before=prepared,
        right=lambda said: called(
            f"audit own.py:net --out right --plan plan.toml {' '.join(re.findall(r'--data [^ ]+', said))}"
        ),
    ),
}
