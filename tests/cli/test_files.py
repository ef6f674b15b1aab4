"""Models and data in the files that people have, from the command line to the report."""

import json
import shlex
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch import nn
from typer.testing import CliRunner

from trustworthy.cli.main import app
from trustworthy.report.finding import AuditRecord

pytestmark = pytest.mark.usefixtures("_undrawn")
PLAN = """
rows = 12
resamples = 20
skip = [{skip}]
[attacks]
tried = [{{name = "PGD", steps = 3}}, {{name = "SquareAttack", steps = 5}}]
decision = {{name = "BoundaryAttack", steps = 5}}
decision_rows = 8
l2 = 0.6
linf = 0.3
"""
RADII = """
[linf]
multiples = [1.0]
[l2]
multiples = [1.0]
"""
EXCHANGE = """
[exchange]
rows = 10
queries = 30
"""
LEFT_OUT = (
    "robustness.certificate", "robustness.corruptions", "robustness.transfer", "robustness.poisoning",
    "evaluation.diagnosis", "robustness.distortion", "uncertainty.temperature", "uncertainty.conformal",
    "interpretation.explanation",
)  # fmt: skip
ATTACKS = ("robustness.linf", "robustness.l2", "robustness.exchange", "robustness.pictures", "interpretation")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with plans: of all that is quick, of attacks in a norm, and of no attack."""
    monkeypatch.chdir(tmp_path)
    norms = (*LEFT_OUT, "robustness.exchange", "robustness.pictures", "interpretation")
    for name, left_out in {"plan": LEFT_OUT, "norms": norms, "short": (*LEFT_OUT, *ATTACKS)}.items():
        sections = {"plan": RADII + EXCHANGE, "norms": RADII, "short": ""}[name]
        (tmp_path / f"{name}.toml").write_text(PLAN.format(skip=", ".join(map(json.dumps, left_out))) + sections)
    return tmp_path


def run(*arguments, plan="short"):
    with pytest.MonkeyPatch.context() as patch:
        if plan != "plan":  # nothing is asked of the page
            patch.setattr("trustworthy.report.render._sections", lambda audit, looks: [])
        return CliRunner().invoke(app, ["audit", *map(str, arguments), "--out", "out", "--plan", f"{plan}.toml"])


def saved(folder):
    return AuditRecord.model_validate_json((folder / "out" / "findings.json").read_text())


def accuracies(record):
    return [finding.value for finding in record.findings if finding.name == "accuracy"]


def patients(n=40):
    """Rows with quantities, words, truth values and gaps, and a diagnosis in words."""
    random = np.random.default_rng(0)
    age, dose = random.integers(20, 90, n).astype(float), random.normal(5.0, 2.0, n).round(2)
    ward = random.choice(["north", "south", "west"], n)
    ill = age + 10.0 * (dose - 5.0) + 10.0 * (ward == "north") + 5.0 * random.normal(size=n) > 60.0
    age[::9], dose[4::11] = np.nan, np.nan
    table = pd.DataFrame({"age": age, "dose": dose, "ward": ward, "smoker": random.random(n) < 0.3})
    table.loc[::13, "ward"] = None
    return table.assign(diagnosis=np.where(ill, "ill", "well"))


def pipeline():
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    words = make_pipeline(SimpleImputer(strategy="constant", fill_value="none"), OneHotEncoder(handle_unknown="ignore"))
    columns = ColumnTransformer(
        [("n", numbers, ["age", "dose"]), ("w", words, ["ward"]), ("b", "passthrough", ["smoker"])]
    )
    return make_pipeline(columns, LogisticRegression())


@pytest.fixture
def clinic(folder):
    """A fitted pipeline and its rows, in files."""
    table = patients()
    x, y = table.drop(columns="diagnosis"), table["diagnosis"]
    model = pipeline().fit(x, y)
    joblib.dump(model, folder / "model.joblib")
    table.to_csv(folder / "test.csv", index=False)
    return model, x, y


def test_a_pipeline_on_a_table_of_words_and_gaps(folder, clinic):
    model, x, y = clinic
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = run("model.joblib", "--trust", "--data", "test.csv", "--label", "diagnosis", "--limit", 0, plan="plan")
    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith("reading model.joblib ...\ndata: test, 40 rows. Rows of each class: ")
    record = saved(folder)
    assert accuracies(record) == [pytest.approx(model.score(x, y))]
    assert record.data["classes"] == ["ill", "well"]
    assert [omission for omission in record.omissions if omission.failed] == []
    page, text = (folder / "out" / "report.html").read_text(), (folder / "out" / "findings.json").read_text()
    for name in ("ill", "well", *x.columns):
        assert name in page
    for name in ("ill", "well", "age", "ward"):
        assert json.dumps(name) in text
    assert len(caught) + sum(line.startswith("warning: ") for line in result.stderr.splitlines()) <= 1


def test_words_truth_values_and_gaps_are_never_moved_in_a_norm(folder, monkeypatch):
    table = patients()
    table["smoker"] = table["ward"] == "north"  # no other pair of the two is in the rows,
    table.loc[::2, "age"], table.loc[1::2, "dose"] = np.nan, np.nan  # nor any row without exactly one gap in numbers
    table.loc[1::2, "age"], table.loc[::2, "dose"] = table["age"].fillna(50.0), table["dose"].fillna(5.0)
    x = table.drop(columns="diagnosis")
    joblib.dump(pipeline().fit(x, table["diagnosis"]), folder / "model.joblib")
    table.to_csv(folder / "test.csv", index=False)
    seen, asked = [], Pipeline.predict_proba

    def watched(self, rows):
        seen.append(rows)
        return asked(self, rows)

    monkeypatch.setattr(Pipeline, "predict_proba", watched)
    attack = ("--data", "test.csv", "--label", "diagnosis", "--fail-under", "robustness.l2.accuracy=0")
    assert run("model.joblib", "--trust", *attack, plan="norms").exit_code == 0
    everything = pd.concat(seen)
    moved = everything[~(everything["age"].isin(x["age"]) & everything["dose"].isin(x["dose"]))]
    assert len(moved) > 100
    held = lambda frame: {  # noqa: E731
        (str(ward), bool(smoker), *gaps)
        for ward, smoker, gaps in zip(
            frame["ward"], frame["smoker"], frame[["age", "dose"]].isna().to_numpy().tolist(), strict=True
        )
    }
    assert held(moved) <= held(x)
    assert {type(smoker) for smoker in moved["smoker"]} <= {bool, np.bool_}


def test_a_guess_of_the_label_is_told_at_the_start_and_groups_are_shown(folder, clinic):
    table = patients().drop(columns="ward").dropna()
    table.assign(site=np.arange(len(table)) % 3).to_csv(folder / "numbers.csv", index=False)
    model = LogisticRegression().fit(table.drop(columns="diagnosis"), table["diagnosis"])
    joblib.dump(model, folder / "numbers.joblib")
    result = run("numbers.joblib", "--trust", "--data", "numbers.csv", "--group", "site")
    assert result.exit_code == 2
    said = " ".join(result.stderr.split())
    assert "'smoker', 'diagnosis' are not of numbers. Name it with --label COLUMN" in said
    table = table.drop(columns="smoker").assign(site=np.arange(len(table)) % 3)
    table.to_csv(folder / "numbers.csv", index=False)
    joblib.dump(LogisticRegression().fit(table[["age", "dose"]], table["diagnosis"]), folder / "numbers.joblib")
    result = run("numbers.joblib", "--trust", "--data", "numbers.csv", "--group", "site")
    assert result.exit_code == 0, result.stderr
    second = result.stderr.splitlines()[1]
    assert second.startswith(
        f"data: numbers, {len(table)} rows. The labels are the column 'diagnosis', the only one not"
    )
    assert "Of the 3 groups by site the worst is" in saved(folder).findings[0].statement


def test_a_pickle_needs_trust_and_the_reason_is_said(folder, clinic):
    result = run("model.joblib", "--data", "test.csv", "--label", "diagnosis")
    assert result.exit_code == 2
    said = " ".join(result.stderr.split())
    assert "can run any code that its writer put into it" in said
    assert "add --trust" in said
    assert not (folder / "out" / "findings.json").exists()


def test_a_column_too_many_can_be_left_out_as_the_message_says(folder, clinic):
    more = patients().assign(row=range(40))
    more["row id"] = more['length, "raw"'] = more["row"]
    more.to_csv(folder / "more.csv", index=False)
    given = ("model.joblib", "--trust", "--data", "more.csv", "--label", "diagnosis")
    refused = run(*given)
    assert refused.exit_code == 2
    _, _, option = " ".join(refused.stderr.split()).partition("To go on, add ")
    assert run(*given, *shlex.split(option.rstrip("."))).exit_code == 0
    assert run(*given, "--drop", "row,row id", "--drop", '"length, ""raw"""').exit_code == 0


def test_words_and_missing_values_are_refused_for_a_network(folder, clinic):
    (folder / "net.py").write_text("from torch import nn\n\ndef net():\n    return nn.Linear(3, 2)\n")
    given = ("net.py:net", "--data", "test.csv", "--label", "diagnosis")
    result = run(*given)
    assert result.exit_code == 2
    said = " ".join(result.stderr.split())
    assert "net takes numbers, and the columns 'ward' hold words or categories; leave them out by --drop ward" in said
    result = run(*given, "--drop", "ward")
    assert result.exit_code == 2
    assert "holds NaN or infinity; drop or impute such rows" in " ".join(result.stderr.split())
    patients().dropna().to_csv(folder / "test.csv", index=False)
    assert run(*given, "--drop", "ward").exit_code == 0


FACTORY = """
import torch
from torch import nn

def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
"""


def exported(folder, kind):
    """The network of `FACTORY` in a file."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    example, path = torch.randn(2, 4), folder / f"model.{kind}"
    if kind == "pt2":
        rows = torch.export.Dim("rows")
        torch.export.save(torch.export.export(model, (example,), dynamic_shapes=[{0: rows}]), path)
    else:
        pytest.importorskip("onnxruntime")
        write_onnx(model, path)
    return model, path


def write_onnx(model, path):
    """The two linear layers of a network with a ReLU between them, in a second less than the exporter of torch."""
    onnx = pytest.importorskip("onnx")
    make, number = onnx.helper, onnx.TensorProto.FLOAT
    weights = [onnx.numpy_helper.from_array(weight.numpy(), name) for name, weight in model.state_dict().items()]
    nodes = [
        make.make_node("Gemm", ["x", "0.weight", "0.bias"], ["h"], transB=1),
        make.make_node("Relu", ["h"], ["r"]),
        make.make_node("Gemm", ["r", "2.weight", "2.bias"], ["logits"], transB=1),
    ]
    ends = [
        [make.make_tensor_value_info(name, number, [None, size])]
        for name, size in (("x", model[0].in_features), ("logits", model[2].out_features))
    ]
    graph = make.make_graph(nodes, "network", *ends, weights)
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=10), path)


@pytest.mark.parametrize("kind", [pytest.param("pt2", marks=pytest.mark.slow), "onnx"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_a_network_in_a_file_is_the_network(folder, kind):
    (folder / "net.py").write_text(FACTORY)
    model, path = exported(folder, kind)
    x = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    with torch.no_grad():
        y = model(torch.from_numpy(x)).argmax(1).numpy()
    y[::5] = (y[::5] + 1) % 3
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", y)
    result = run("net.py:net", path.name, "--trust", "--data", "x.npy,y.npy", "--limit", 0)
    assert result.exit_code == 0, result.stderr
    record = saved(folder)
    assert accuracies(record) == [0.8, 0.8]
    assert [each["gives_gradients"] for each in record.models] == [True, kind == "pt2"]
    assert ("ONNX files have no gradients" in " ".join(result.stderr.split())) == (kind == "onnx")


BRIGHTNESS = """
import torch
from torch import nn

class Brightness(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(9.0))

    def forward(self, x):
        score = self.scale * (x.mean((1, 2, 3)) - 0.5)
        return torch.stack([-score, score], 1)

net = Brightness
"""


def test_a_folder_of_pictures_by_class(folder):
    random = np.random.default_rng(0)
    for name, level in (("dark", 60), ("light", 180)):
        (folder / "pictures" / name).mkdir(parents=True)
        for place in range(6):
            pixels = np.clip(random.normal(level, 30, (12, 10, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "pictures" / name / f"{place}.png")
    (folder / "net.py").write_text(BRIGHTNESS)
    result = run("net.py:net", "--data", "pictures", "--size", 8, plan="plan")
    assert result.exit_code == 0, result.stderr
    record = saved(folder)
    assert accuracies(record) == [1.0]
    assert (record.data["classes"], record.data["shape"]) == (["dark", "light"], [3, 8, 8])
    assert "light" in (folder / "out" / "report.html").read_text()
