"""`trustworthy poison`: the curve, the sentence, the files, going on where it stopped, and mistakes in one line."""

import json
import math
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from trustworthy import datasets
from trustworthy.cli.main import app
from trustworthy.core.errors import InvalidInput, TrustworthyWarning
from trustworthy.graphs import LabelPropagation
from trustworthy.report.poisoning import split, study
from trustworthy.report.poisoning.record import PoisoningRecord

pytestmark = pytest.mark.usefixtures("_undrawn")


def poison(*arguments):
    return CliRunner().invoke(app, ["poison", *map(str, arguments)], env={"COLUMNS": "120"})


def cancer(*arguments, labelled=30, budget="0,1,3"):
    return poison("--data", "breast-cancer", "--labelled", labelled, "--budget", budget, *arguments)


QUICK = ("--rows", 150, "--gamma", 2, "--no-baselines", "--method", "greedy")


def record(folder):
    return PoisoningRecord.model_validate_json((folder / "poisoning.json").read_text())


def measured(folder):
    """Everything saved but when and how long."""
    content = json.loads((folder / "poisoning.json").read_text())
    for point in (point for part in content["splits"] for point in part["points"]):
        point.pop("wall_time")
    return {key: item for key, item in content.items() if key not in {"wall_time", "created", "command"}}


def rows_of(result):
    """Numbers of the table, a list a line."""
    lines = (line.replace("%", "").split() for line in result.stdout.splitlines() if "│" not in line)
    return [[float(cell) for cell in line] for line in lines if line and all(_is_number(cell) for cell in line)]


def _is_number(text):
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cancer")
    result = cancer("--out", folder, "--seed", 2)
    assert result.exit_code == 0, result.stderr
    return result, folder


def test_the_table_has_a_line_for_each_budget_and_the_sentence_its_numbers(ran):
    result, folder = ran
    lines, curve = rows_of(result), record(folder).curve()
    assert [line[0] for line in lines] == [0, 1, 3]
    header = next(line for line in result.stdout.splitlines() if "budget" in line).split()
    assert header == ["budget", "flips", "clean", "attacked", "random", "degree", "pagerank", "bound", "gap"]
    for place, line in enumerate(lines):
        found = dict(zip(header, line, strict=True))
        assert found["attacked"] == pytest.approx(100 * curve.error[place], abs=0.05)
        assert found["bound"] == pytest.approx(100 * curve.bound[place], abs=0.05)
        assert found["gap"] == pytest.approx(100 * (curve.bound[place] - curve.error[place]), abs=0.05)
        assert found["clean"] <= found["attacked"] <= found["bound"]
        assert max(found["random"], found["degree"], found["pagerank"]) <= found["bound"]
    assert record(folder).statement in result.stdout.replace("\n", " ")
    assert f"written: {folder}/poisoning.json, {folder}/poisoning.svg" in result.stdout


def test_saved_flips_repeat_the_saved_errors(ran):
    _, folder = ran
    saved = record(folder)
    data, part = datasets.load("breast-cancer"), saved.splits[0]
    x = (data.x_train - data.x_train.mean(axis=0)) / data.x_train.std(axis=0)
    assert saved.conditions["rows"] == len(x)
    assert len(part.labelled) == 30
    hidden = np.setdiff1d(np.arange(len(x)), part.labelled)
    for point in part.points:
        told = np.full(len(x), -1)
        told[part.labelled] = data.y_train[part.labelled]
        assert set(point.flipped) <= set(part.labelled)
        assert len(point.flipped) <= point.budget
        told[point.flipped] = 1 - told[point.flipped]
        found = LabelPropagation(gamma=part.gamma).fit(x, told).transduction_[hidden]
        assert point.error == pytest.approx(np.mean(found != data.y_train[hidden]))
    assert part.points[-1].error == saved.value > part.clean_error


def test_the_record_says_what_was_done(ran):
    _, folder = ran
    saved = record(folder)
    assert saved.seed == 2
    assert saved.versions["trustworthy"]
    assert saved.conditions["classes"] == ["malignant", "benign"]
    assert saved.conditions["method"] == "local-search"
    assert sorted(path.name for path in folder.iterdir()) == ["parts", "poisoning.json", "poisoning.svg"]


def test_another_seed_tells_other_labels(ran):
    _, folder = ran
    other = study.poison("breast-cancer", labelled=30, budgets=[0], gamma=2.0, baselines=False, seed=3)
    assert other.splits[0].labelled != record(folder).splits[0].labelled


def test_digits_of_two_classes_with_the_quick_method_and_without_baselines(tmp_path):
    result = poison(
        "--data", "digits", "--classes", "3", "8", "--labelled", 40, "--budget", 0, "--budget", "2 4", "--method",
        "greedy", "--no-baselines", "--gamma", 30, "--rows", 200, "--out", tmp_path,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    saved = record(tmp_path)
    assert saved.budgets == [0.0, 2.0, 4.0]
    assert saved.conditions["classes"] == ["3", "8"]
    assert saved.conditions["rows"] == 200
    assert saved.splits[0].gamma == 30
    assert all(point.baselines == {} for point in saved.splits[0].points)
    data = datasets.load("digits")
    assert set(data.y_train[saved.splits[0].labelled]) == {3, 8}


def test_several_splits_are_averaged(tmp_path):
    result = cancer("--rows", 150, "--splits", 2, "--out", tmp_path, "--neighbors", 20, "--knowledge", "estimated")
    assert result.exit_code == 0, result.stderr
    saved = record(tmp_path)
    assert saved.value == pytest.approx(np.mean([part.points[-1].error for part in saved.splits]))
    assert len({tuple(part.labelled) for part in saved.splits}) == 2
    assert " ± " in result.stdout
    assert "(means over 2 splits)" in saved.statement
    assert saved.conditions["knowledge"] == "estimated"


@pytest.fixture
def regression(tmp_path):
    random = np.random.default_rng(0)
    x = random.normal(size=(120, 3))
    np.savez(tmp_path / "made.npz", x=x, y=100.0 + 7.0 * np.tanh(x[:, 0]))
    return tmp_path


def test_a_regression_of_an_npz_file_moves_labels_within_their_range(regression):
    data = ("--data", regression / "made.npz", "--labelled", 25, "--out", regression / "out")
    result = poison(*data)
    assert result.exit_code == 0, result.stderr
    saved = record(regression / "out")
    assert saved.budgets == pytest.approx([0.02 * step * 5 for step in range(10)])
    assert saved.conditions["method"] == "exact"
    assert 93.0 < saved.conditions["range"][0] < saved.conditions["range"][1] < 107.0
    curve = saved.curve()
    assert (np.diff(curve.error) > 0).all()
    np.testing.assert_allclose(curve.bound, curve.error, rtol=1e-6)  # the attack is exact
    assert "Moving the 25 known labels by" in saved.statement
    assert "can do worse" in saved.statement
    assert [line[1] for line in rows_of(result)][-1] == 0.18
    given = poison(*data[:4], "--budget", "0.5", "--method", "algorithm-1")
    assert given.exit_code == 0, given.stderr
    assert rows_of(given)[0][0] == 0.5


def wards(n=60):
    """Two wards of patients whose dose says the diagnosis, a third diagnosis, and a word that no graph can use."""
    random = np.random.default_rng(0)
    dose, sick = random.normal(size=n), np.arange(n) % 2 == 0
    diagnosis = np.where(sick, "ill", "well").astype(object)
    diagnosis[::15] = "unclear"
    return pd.DataFrame(
        {
            "ward": np.where(dose > 0, "north", "south"),
            "smoker": sick,
            "dose": dose + 3.0 * sick,
            "diagnosis": diagnosis,
        }
    )


def test_a_table_is_read_as_an_audit_reads_it_and_words_are_refused_with_a_way_out(tmp_path):
    table = wards()
    table.to_csv(tmp_path / "rows.csv", index=False)
    given = ("--labelled", 10, "--budget", "0,2", "--no-baselines", "--gamma", 1, "--classes", "ill", "well")
    data = ("--data", tmp_path / "rows.csv", "--label", "diagnosis")
    refused = poison(*data, *given)
    assert refused.exit_code == 2
    assert "the columns 'ward' hold words or categories; leave them out by --drop ward, or" in refused.stderr
    result = poison(*data, *given, *re.search(r"(--drop) (ward)", refused.stderr).groups(), "--out", tmp_path / "a")
    assert result.exit_code == 0, result.stderr
    (told,) = (line for line in result.stderr.splitlines() if line.startswith("data: "))
    assert told.startswith("data: rows, 60 rows. Rows of each class: 'ill' 28, 'well' 28, 'unclear' 4.")
    x, y = table[["smoker", "dose"]].to_numpy(float), table["diagnosis"].to_numpy(str)
    np.savez(tmp_path / "rows.npz", x=x, y=y)
    again = poison("--data", tmp_path / "rows.npz", *given, "--out", tmp_path / "b")
    assert again.exit_code == 0, again.stderr
    assert measured(tmp_path / "a") == measured(tmp_path / "b")
    assert record(tmp_path / "a").conditions["classes"] == ["ill", "well"]
    dummies = pd.get_dummies(table, columns=["ward"])
    assert study.poison(dummies, labelled=10, budgets=[0], gamma=1.0, label="diagnosis").conditions["features"] == 4


def test_missing_values_are_refused_with_their_columns(tmp_path):
    table = wards().drop(columns="ward")
    table.loc[7, "dose"] = np.nan
    with pytest.raises(InvalidInput, match=r"1 of 56 rows, row 7 first, hold NaN or infinity in the columns 'dose'"):
        study.poison(table, labelled=10, label="diagnosis", classes=["well", "ill"])
    for right in ({"data": table.dropna()}, {"data": table, "drop": ["dose"]}):
        assert study.poison(**right, labelled=10, budgets=[0], gamma=1.0, label="diagnosis", baselines=False).value < 1


def test_numbers_are_classes_unless_they_have_fractions_or_a_regression_is_asked_for(tmp_path):
    table = wards().drop(columns=["ward", "diagnosis"]).assign(price=np.arange(60.0) % 5)
    table.to_csv(tmp_path / "rows.csv", index=False)
    data = (
        "--data",
        tmp_path / "rows.csv",
        "--label",
        "price",
        "--labelled",
        10,
        "--gamma",
        1,
        "--budget",
        "0,2",
        "--out",
    )
    tasks = {"classes": (), "asked": ("--regression",)}
    for name, option in tasks.items():
        assert poison(*data, tmp_path / name, *option).exit_code == 0
    assert record(tmp_path / "classes").conditions["classes"] == ["0", "1"]
    assert record(tmp_path / "asked").conditions["range"] == [0.0, 4.0]
    table.assign(price=table["price"] + 0.5).to_csv(tmp_path / "rows.csv", index=False)
    assert "data: rows, 60 rows. Labels: 0.5 to 4.5." in poison(*data, tmp_path / "fractions").stderr
    assert record(tmp_path / "fractions").conditions["range"] == [0.5, 4.5]
    assert record(tmp_path / "fractions").value == pytest.approx(record(tmp_path / "asked").value)
    words = poison("--data", tmp_path / "rows.csv", "--label", "smoker", "--regression")
    assert "column 'smoker' must hold finite numbers in a regression, got" in words.stderr


def test_a_folder_of_pictures(tmp_path):
    random = np.random.default_rng(0)
    for name, level in (("dark", 60), ("light", 180)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for place in range(8):
            pixels = np.clip(random.normal(level, 30, (4, 4)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{place}.png")
    found = study.poison(tmp_path / "pictures", labelled=4, budgets=[0], baselines=False)
    assert (found.conditions["classes"], found.value) == (["dark", "light"], 0.0)


def interrupt(what, share):
    if what == "attacks" and share > 0.5:
        raise KeyboardInterrupt


def interrupted(folder):
    with pytest.raises(KeyboardInterrupt):
        study.poison("breast-cancer", folder, labelled=30, budgets=[0, 1, 3], seed=2, on_progress=interrupt)


def killed(folder):
    script = """
import os, signal, sys
from pathlib import Path
from trustworthy.report.poisoning.study import poison
def kill(what, share):
    if what == "attacks" and share > 0.5:
        os.kill(os.getpid(), signal.SIGKILL)
poison("breast-cancer", Path(sys.argv[1]), labelled=30, budgets=[0, 1, 3], seed=2, on_progress=kill)
"""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", script, str(folder)], env=environment, capture_output=True)
    assert done.returncode == -9, done.stderr


@pytest.mark.parametrize("stopped", [interrupted, pytest.param(killed, marks=pytest.mark.slow)])
def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path, monkeypatch, ran, stopped):
    _, whole = ran
    stopped(tmp_path)
    assert sorted(path.stem for path in (tmp_path / "parts").glob("*.npz")) == [
        "split-0", "split-0-budget-0.0", "split-0-budget-1.0",
    ]  # fmt: skip
    assert not (tmp_path / "poisoning.json").exists()
    asked = []
    real = split.Split.points
    monkeypatch.setattr(split.Split, "points", lambda self, budgets: asked.extend(budgets) or real(self, budgets))
    assert cancer("--out", tmp_path, "--seed", 2).exit_code == 0
    assert asked == [3.0]
    assert measured(tmp_path) == measured(whole)


def test_other_budgets_of_the_same_study_use_what_is_there(tmp_path, monkeypatch):
    cancer(*QUICK, "--out", tmp_path)
    before = record(tmp_path).splits[0].points
    monkeypatch.setattr(split.Split, "points", None)  # nothing may be measured
    assert cancer(*QUICK, "--out", tmp_path, budget="1,3").exit_code == 0
    assert record(tmp_path).splits[0].points == before[1:]
    assert record(tmp_path).curve().budgets == [1.0, 3.0]
    assert cancer(*QUICK, "--out", tmp_path, budget="3,0,1").exit_code == 0
    assert record(tmp_path).splits[0].points == before


def test_fewer_splits_lose_none(tmp_path, monkeypatch):
    given = (*QUICK, "--out", tmp_path, "--splits")
    cancer(*given, 2)
    both = record(tmp_path)
    monkeypatch.setattr(split.Split, "points", None)  # nothing may be measured
    assert cancer(*given, 1).exit_code == 0
    one = record(tmp_path)
    assert one.splits == both.splits[:1]
    assert one.value == both.splits[0].points[-1].error != both.value
    cancer(*given, 2)
    assert record(tmp_path).value == both.value


def test_flips_that_were_made_are_told_apart_from_the_budget(tmp_path):
    saved = study.poison(
        "breast-cancer", str(tmp_path), labelled=30, budgets=[30], gamma=2.0, baselines=False, rows=150
    )
    made = len(saved.splits[0].points[0].flipped)
    assert made < 30
    assert saved.statement.startswith(f"{made} flipped labels of 30 take the error from")
    assert "30 flips" in saved.statement


def test_a_data_set_at_hand_is_taken_and_an_array_without_labels_is_not():
    data = datasets.load("breast-cancer")
    at_hand, by_name = (
        study.poison(given, labelled=30, budgets=[1], gamma=2.0, baselines=False) for given in (data, "breast-cancer")
    )
    assert at_hand.fingerprint == by_name.fingerprint
    assert at_hand.value == by_name.value
    with pytest.raises(InvalidInput, match=r"data must be the name of a data set.*got ndarray"):
        study.poison(data.x_train)


def test_a_tie_of_the_known_classes_makes_a_guess_right_half_of_the_time():
    assert study.poison("breast-cancer", labelled=2, budgets=[0], gamma=2.0).splits[0].guess_error == 0.5


def test_what_another_study_left_is_replaced_with_a_warning(tmp_path):
    cancer(*QUICK, "--out", tmp_path)
    result = cancer(*QUICK, "--out", tmp_path, "--gamma", 3)
    assert "parts of another study (data, learner, attack, seed or version differ)" in result.stderr
    assert record(tmp_path).splits[0].gamma == 3
    part = tmp_path / "parts" / "split-0-budget-1.0.npz"
    part.write_bytes(part.read_bytes()[:100])
    with pytest.warns(TrustworthyWarning, match="is damaged"):
        study.poison(
            "breast-cancer",
            tmp_path,
            labelled=30,
            budgets=[0, 1],
            gamma=3.0,
            baselines=False,
            rows=150,
            method="greedy",
        )
    assert record(tmp_path).curve().budgets == [0.0, 1.0]


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    result = cancer("--out", tmp_path / "file" / "out")
    assert result.exit_code == 2
    assert "out must be a folder, or a place for one, got" in result.stderr
    assert "choosing the width" not in result.stderr
    assert "it is a file" in cancer("--out", tmp_path / "file").stderr


def test_a_folder_that_may_not_be_written_to_is_told_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: not (path == tmp_path and mode == os.W_OK))
    result = cancer("--out", tmp_path)
    assert result.exit_code == 2
    assert "it may not be written to" in result.stderr
    assert "choosing the width" not in result.stderr


def test_progress_says_what_is_running():
    lines = cancer("--rows", 150, "--no-baselines").stderr.splitlines()
    assert lines[0] == "breast-cancer: choosing the width of the graph ..."
    assert lines[-1] == "breast-cancer: attacks ..."
