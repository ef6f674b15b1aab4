"""Explanations of a linear model, whose distances and shares are known, and the words and the page they lead to."""

import json
import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from report.small_audit import audited
from trustworthy.cli.main import app
from trustworthy.core.errors import DataError
from trustworthy.explain import GreedyAS, Robustness
from trustworthy.report.explanation import run, study, words
from trustworthy.report.explanation.methods import fitted
from trustworthy.report.explanation.record import SAVED, RuleRecord

WEIGHT = torch.tensor([3.0, 1.0, -1.0, 1.0, 1.0])
QUICK: dict[str, Any] = {
    "methods": ["greedy-as", "gradient"],
    "criteria": ["robustness-complement", "deletion"],
    "random_orders": 2,
}


class Two(nn.Module):
    """Scores 0 and w.x."""

    def forward(self, x):
        return torch.stack([torch.zeros(len(x)), x @ WEIGHT], dim=1)


class Three(Two):
    """And one that only a large second feature makes the highest."""

    def forward(self, x):
        return torch.cat([super().forward(x), 2 * x[:, 1:2] - 3.0], dim=1)


def near(model=None, n=40):
    """Rows whose score is near zero while each feature has room to move, and one of them labelled wrongly."""
    x = np.random.default_rng(0).normal(size=(n, 5))
    weight = WEIGHT.numpy().astype(float)
    wanted = np.where(np.arange(n) % 2, 0.3, -0.3)
    x += ((wanted - x @ weight) / (weight @ weight))[:, None] * weight
    y = (model or Two())(torch.from_numpy(x).float()).argmax(1).numpy()
    y[3] = 0  # in place of 1
    return x.astype(np.float32), y


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("explained")
    run(Two(), near(), place, rows=[3, 4], steps=60, **QUICK)
    return place


@pytest.fixture(scope="module")
def record(folder):
    return SAVED.read(folder)[0]


def test_distances_are_those_of_a_linear_model_and_a_wrong_label_is_said(record):
    x, _ = near()
    rows, _ = np.array([3, 4]), None
    scale = x.std(axis=0)  # of the attacked units
    exact = 0.3 / np.linalg.norm(WEIGHT.numpy() * scale)
    assert [row.row for row in record.rows] == rows.tolist()
    assert [row.distance for row in record.rows] == pytest.approx([exact, exact], rel=2e-3)
    assert [(row.label, row.prediction, row.right) for row in record.rows] == [("0", "1", False), ("0", "0", True)]
    assert any("Row 3 is misread" in said for said in words.answer(record))
    held = record.methods["greedy-as"].scores["robustness-complement"]
    shares = record.criteria["robustness-complement"].shares
    rest = 0.3 / np.linalg.norm(WEIGHT.numpy()[1:] * scale[1:])  # the first of five features is a fifth
    assert held.curve[shares.index(0.2)] == pytest.approx(rest, rel=2e-3)
    assert words.answer(record)[1].count(f"grows from {words.number(float(exact))} to {words.number(float(rest))}") == 1


@pytest.mark.slow
def test_another_attack_than_that_of_the_methods_judges_them():
    given = QUICK | {"criteria": ["robustness-complement@apgd"], "methods": ["gradient"]}
    found = run(Two(), near(), rows=[5, 7], **given)
    about, exact = found.criteria["robustness-complement@apgd"], 0.3 / np.linalg.norm(WEIGHT.numpy() * near()[0].std(0))
    assert about.title == "Robustness of the rest, by APGD"
    first = found.methods["gradient"].scores["robustness-complement@apgd"].curve[0]
    assert exact * (1 - 1e-6) <= first <= exact * 1.05


def test_the_page_asks_for_nothing_and_shows_every_method_of_every_row(folder):
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert not re.findall(r'(?:src|href)="(?!data:|#)', html)
    assert html.count("read as") >= 2
    assert html.count("Greedy-AS</span>") >= 4
    assert html.count('class="plot"') == 2
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_what_is_finished_is_taken_and_what_is_damaged_is_told(folder, record, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "compare", None)  # no method is asked again
    again = run(Two(), near(), folder, rows=[3, 4], steps=60, **QUICK)
    assert again.methods == record.methods
    assert again.criteria == record.criteria
    with pytest.raises(DataError, match="no finished explanation"):
        SAVED.read(tmp_path)


def test_a_target_is_what_is_explained_against_and_rows_are_chosen_that_are_not_read_as_it():
    found = run(Three(), near(Three()), target="2", steps=20, **QUICK | {"criteria": ["deletion"]})
    assert {row.target for row in found.rows} == {"2"}
    assert all(row.right and row.prediction != "2" for row in found.rows)
    x, scale = near()[0], near()[0].std(axis=0)[1]
    least = [(1.5 - x[row.row, 1]) / scale for row in found.rows]  # of the second feature alone, to 0 of its score
    assert all(row.distance >= way * (1 - 1e-5) for row, way in zip(found.rows, least, strict=True))


def test_a_model_that_nothing_changes_is_said_and_not_a_crash():
    class Constant(nn.Module):
        def forward(self, x):
            return torch.stack([x.sum(1) * 0.0, x.sum(1) * 0.0 + 2.0, x[:, 0] - 9.0], dim=1)

    found = run(Constant(), near(), rows=[1], steps=5, **QUICK | {"methods": ["gradient"]})
    assert found.rows[0].distance is None
    assert any("No change was found that flips the prediction of row 1." in said for said in words.answer(found))


def of(record, means, *, best=(), tied=(), beyond=True, rows=6):
    """The record with other scores by its first criterion."""
    criterion = next(iter(record.criteria))
    methods = {}
    for name, mean in means.items():
        score = record.methods[name].scores[criterion].model_copy(update={
            "mean": mean, "best": name in best, "tied": name in best or name in tied, "beyond_chance": beyond,
            "behind": max(means.values()) - mean, "behind_interval": (1.0, 2.0),
        })  # fmt: skip
        methods[name] = record.methods[name].model_copy(update={"scores": {criterion: score}})
    return record.model_copy(update={
        "methods": methods, "criteria": {criterion: record.criteria[criterion]}, "rows": (list(record.rows) * 3)[:rows],
    })  # fmt: skip


def test_a_lead_is_told_only_where_chance_does_not_explain_it(record):
    means = {"greedy-as": 9.0, "gradient": 5.0}
    assert words.trusted(of(record, means, best=["greedy-as"])).startswith("Trust Greedy-AS for this model")
    tied = words.trusted(of(record, means, best=["greedy-as"], tied=["gradient"]))
    assert tied.startswith("Greedy-AS and Gradient lead")
    assert "cannot be told apart on these 6 rows" in tied
    assert "no explanation here should be relied on" in words.trusted(
        of(record, means, best=["greedy-as"], beyond=False)
    )
    assert "So few say nothing sure about others" in words.trusted(of(record, means, best=["greedy-as"], rows=4))


def test_rules_are_read_in_words_and_an_empty_or_a_weak_one_is_explained(record):
    given = {"features": [0], "precision": 0.97, "wanted": 0.95, "interval": (0.96, 0.98), "coverage": 0.25}
    said = words.rule(record, 1, RuleRecord(said=["37 < age ≤ 48"], **given))
    assert said.startswith("If 37 < age ≤ 48, it is read as 0 in 97.0% (96.0 to 98.0%)")
    assert "applies to 25.0%" in said
    assert words.rule(record, 1, RuleRecord(said=[], **given)).startswith("No rule is needed: 97.0%")
    weak = given | {"precision": 0.5, "interval": (0.4, 0.6)}
    assert words.rule(record, 1, RuleRecord(said=["age ≤ 48"], **weak)).startswith("No short rule holds")


def test_what_the_first_fifth_carries_is_its_share_of_the_squared_weights_of_a_linear_model():
    x, y = near()
    y[3] = 1
    given: Any = {"explanation": {"images": 4, "coalitions": 32, "steps": 60}}
    anywhere = {f"feature {column}": {"range": [-np.inf, np.inf]} for column in range(5)}
    record = audited(Two(), (x, y), "interpretation.explanation", **given, columns=anywhere)
    (finding,) = record.findings
    squares = (WEIGHT.numpy() * x.std(axis=0)) ** 2
    assert finding.value == pytest.approx(squares[0] / squares.sum(), abs=0.01)
    assert finding.conditions["random"] < finding.value - 0.1
    assert finding.verdict in ("good", "attention")
    assert "the fifth of the columns that Greedy-AS puts first carries" in finding.statement.lower().replace(
        "greedy-as", "Greedy-AS"
    )


def test_the_command_reads_explains_and_tells_where_it_wrote(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("rows.npz", x=near()[0], y=near()[1])
    (tmp_path / "own.py").write_text(
        "import torch\n\n\ndef net():\n    layer = torch.nn.Linear(5, 3)\n"
        "    torch.nn.init.constant_(layer.bias, 0.0)\n    return layer\n"
    )
    asked = "explain own.py:net --data rows.npz --out out --rows 1,4 --methods gradient,anchors --criteria deletion"
    result = CliRunner().invoke(app, f"{asked} --steps 5 --random 2".split(), env={"COLUMNS": "140"})
    assert result.exit_code == 0, result.output
    assert "page: out/report.html" in result.stdout
    assert "Gradient ..." in result.stderr
    assert "lower is better" in result.stdout
    told = json.loads((tmp_path / "out" / "explanation.json").read_text())
    assert [row["row"] for row in told["rows"]] == [1, 4]
    assert len(told["methods"]["anchors"]["rules"]) == 2


@pytest.mark.slow
def test_digits_are_explained_by_default(tmp_path):
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    images = torch.from_numpy(x / 16).float().reshape(-1, 1, 8, 8)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(images[:1500]), torch.from_numpy(y[:1500])).backward()
        optimizer.step()
    record = run(net, "digits", tmp_path, steps=50)
    assert list(record.methods) == ["greedy-as", "gradient", "ig", "shap"]
    best = words.ranked(record, "robustness-complement")[0]
    assert best == "greedy-as"
    assert record.methods[best].scores["robustness-complement"].beyond_chance
    assert words.answer(record)[0].startswith("Trust Greedy-AS")


@pytest.mark.usefixtures("_as_users_call_it")
def test_of_superpixels_greedy_as_draws_a_few_coalitions_each():
    def asked(feature):
        return SimpleNamespace(
            looked=SimpleNamespace(domain=SimpleNamespace(kind="image")), subject=SimpleNamespace(draws=1),
            baseline=0.0, background=None, robustness=Robustness(), feature=feature, groups=SimpleNamespace(count=30),
        )  # fmt: skip

    assert fitted(GreedyAS, asked("superpixel")).coalitions == 120
    assert fitted(GreedyAS, asked("pixel")).coalitions is None
