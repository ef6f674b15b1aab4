"""Models that cannot be loaded or asked, and answers that are no logits."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from torch import nn

from contracts.wrong_inputs import ESTIMATOR, LABELS, ROWS, Wrong, answering, audited, loaded, refused, written, wrong
from report.small_audit import linear_of
from trustworthy.core.errors import CheckpointError, DataError, InvalidInput, ModelContractError, UnknownName
from trustworthy.models import load_model

PICKLE = pickle.dumps(ESTIMATOR)
NET = "from torch import nn\n\ndef net():\n    return nn.Linear(3, 2)\n"
OWN = f"""{NET}
def raising():
    raise ValueError("no weights\\nin sight")

def nothing():
    nn.Linear(3, 2)

def plain():
    return len

number = 3
"""


def own(name: str, *says: str, **given: Any) -> Wrong:
    """A factory of own.py."""
    return loaded(f"own.py:{name}", *says, content=OWN, **given)


def own_net(said: str) -> Any:
    return load_model("own.py:net")


def weights(
    make: Callable[[], Any], *says: str, kind: Any = CheckpointError, name: str = "w.pt", of: str = "net"
) -> Wrong:
    """Wrong weights for the network of own.py."""
    return loaded(f"own.py:{of}", *says, content=OWN, before=make, kind=kind, weights=name)


def kept(state: Any, name: str = "w.pt") -> Callable[[], Any]:
    return lambda: torch.save(state, name)


def by_factory(said: str) -> Any:
    """The weights go with a function that builds the network."""
    name = said.rpartition("--weights ")[2].rstrip(".")
    return load_model(f"{written('own.py', NET)}:net", weights=name)


def zipped(name: str, *inside: str) -> Callable[[], Any]:
    def make() -> None:
        with zipfile.ZipFile(name, "w") as archive:
            for each in inside:
                archive.writestr(f"m/{each}", b"")

    return make


def folder(*says: str, kind: Any = DataError, **config: Any) -> Wrong:
    """A folder of a Hugging Face model with this config.json."""
    return loaded("face", *says, kind=kind, before=lambda: written("face/config.json", json.dumps(config)))


SKLEARN_NONE = pickle.dumps(ColumnTransformer([])).replace(b"sklearn", b"skleare")
MODELS = {
    "no file": loaded("m.pkl", "there is no file m.pkl", "give the path of a pickle", kind=DataError, trust=True),
    "a folder named so": loaded(
        "d.pkl",
        "d.pkl must be a folder of a Hugging Face model",
        "config.json",
        "save_pretrained",
        kind=DataError,
        before=lambda: Path("d.pkl").mkdir(),
    ),
    "no trust in a pickle": loaded(
        "m.pkl",
        "m.pkl is a pickle",
        "can run any code",
        "add --trust (in Python: trust=True)",
        content=PICKLE,
        right=lambda said: load_model("m.pkl", trust=True),
    ),
    "an empty file": loaded(
        "m.pkl", "m.pkl is not a pickle", "it is empty", "copy it again", content=b"", kind=DataError, trust=True
    ),
    "a page to log in": loaded(
        "m.joblib",
        "m.joblib is not a pickle",
        "it is a web page",
        "download the file itself",
        content="\n<!DOCTYPE html><html>log in</html>",
        kind=DataError,
        trust=True,
    ),
    "a pointer of git": loaded(
        "m.pkl",
        "m.pkl is not a pickle",
        "run `git lfs pull`",
        kind=DataError,
        trust=True,
        content="version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
    ),
    "a cut pickle": loaded(
        "m.joblib",
        "m.joblib cannot be read",
        "cut short",
        "write it again with joblib.dump",
        content=PICKLE[:300],
        kind=DataError,
        trust=True,
    ),
    "a table named so": loaded(
        "m.pkl",
        "m.pkl cannot be read",
        "of another kind",
        "joblib.dump",
        kind=DataError,
        trust=True,
        content="col_a,col_b\n1,2\n",
    ),
    "a version that is gone": loaded(
        "m.pkl",
        "m.pkl was written with scikit-learn 0.24.2 and cannot be read with",
        "pip install scikit-learn==0.24.2, or fit it again",
        kind=DataError,
        trust=True,
        content=b"\x80\x04_sklearn_version\x94\x8c\x060.24.2\x94.",
    ),
    "a package that is missing": loaded(
        "m.pkl",
        "m.pkl needs the module 'skleare'",
        "pip install skleare",
        kind=DataError,
        content=SKLEARN_NONE,
        trust=True,
    ),
    "a package of another name": loaded(
        "m.pkl",
        "m.pkl needs the module 'cv2'",
        "pip install opencv-python",
        kind=DataError,
        content=b"\x80\x04\x8c\x03cv2\x94\x8c\x04Load\x94\x93\x94.",
        trust=True,
    ),
    "of a script": loaded(
        "m.pkl",
        "m.pkl needs something that the script which wrote it defined itself",
        "move that into a module of its own",
        content=b"\x80\x04\x8c\x08__main__\x94\x8c\x04half\x94\x93\x94.",
        kind=DataError,
        trust=True,
    ),
    "a dictionary": loaded(
        "m.joblib",
        "m.joblib must hold a fitted classifier, and holds dict with 'model', 'threshold'",
        "save the classifier alone",
        content={"model": ESTIMATOR, "threshold": 0.4},
        trust=True,
        kind=ModelContractError,
        right=lambda said: [joblib.dump(ESTIMATOR, "m.joblib"), load_model("m.joblib", trust=True)],
    ),
    "a list": loaded("m.joblib", "holds list", "save the classifier alone", content=[ESTIMATOR], trust=True),
    "an array": loaded("m.joblib", "holds ndarray", "save the classifier alone", content=np.zeros(3), trust=True),
    "of Keras": loaded("model.h5", "MODEL must be a file (.joblib, .pkl", "got 'model.h5'; export it to ONNX"),
    "of a booster": loaded(
        "booster.ubj", "MODEL must be a file", "got 'booster.ubj'", "scikit-learn interface of its library"
    ),
    "a bare name": loaded("model", "MODEL must be a file", "got 'model'", "package.module:factory"),
    "no file of Python": loaded(
        "nowhere.py:net", "there is no file nowhere.py to build the model from", "give", kind=DataError
    ),
    "no module": loaded("nowhere.at.all:net", "there is no module 'nowhere.at.all'", "give a .py file", kind=DataError),
    "no factory": own("ent", "unknown factory in own.py 'ent'; did you mean 'net'?", kind=UnknownName, right=own_net),
    "a factory without a name": loaded(
        "own.py",
        "MODEL must be a file",
        "got 'own.py'; name the function in it",
        "path/to/file.py:factory",
        content=OWN,
        right=own_net,
    ),
    "no function": own("number", "own.py:number must be a function that returns the model, got int"),
    "a factory that raises": own(
        "raising",
        "the factory own.py:raising raised ValueError: no weights in sight",
        "own.py, line 7",
        "correct",
        kind=ModelContractError,
    ),
    "a factory of nothing": own(
        "nothing", "the factory own.py:nothing returned nothing", "return the model", kind=ModelContractError
    ),
    "a file that raises": loaded(
        "broken.py:net",
        "importing broken.py raised ModuleNotFoundError",
        "broken.py, line 2",
        "correct",
        content="x = 1\nimport nothing_of_that_name\n",
        kind=ModelContractError,
    ),
    "weights alone": loaded(
        "w.pt",
        "w.pt has weights and no network",
        "package.module:factory --weights w.pt",
        before=kept(nn.Linear(3, 2).state_dict()),
        right=by_factory,
    ),
    "safetensors alone": loaded(
        "w.safetensors",
        "has weights and no network",
        "--weights w.safetensors",
        right=by_factory,
        before=lambda: save_file(nn.Linear(3, 2).state_dict(), "w.safetensors"),
    ),
    "a module pickled whole": loaded(
        "w.pt",
        "w.pt cannot be read without running code",
        "torch.save(model.state_dict()",
        before=kept(nn.Linear(3, 2)),
        trust=True,
    ),
    "a dictionary of torch": loaded(
        "w.pt", "w.pt holds dict, neither a network nor weights", "save", before=kept({"lr": 1})
    ),
    "TorchScript without trust": loaded(
        "m.pt", "m.pt is a TorchScript file", "add --trust", before=zipped("m.pt", "constants.pkl", "code/net.py")
    ),
    "a damaged TorchScript": loaded(
        "m.pt",
        "m.pt cannot be read as TorchScript by torch",
        "save it again",
        kind=DataError,
        before=zipped("m.pt", "constants.pkl", "code/net.py"),
        trust=True,
    ),
    "an export without trust": loaded(
        "m.pt2", "m.pt2 is a torch.export file", "add --trust", before=zipped("m.pt2", "a")
    ),
    "weights that are not there": weights(lambda: None, "w.pt is not a file", "give the path"),
    "weights of another network": weights(
        kept(nn.Linear(4, 2).state_dict()),
        "the weights in w.pt do not fit the model",
        "of another shape: weight (file (2, 4), model (2, 3))",
        "Build the model",
    ),
    "weights without names": weights(kept({"lr": 0.1}), "w.pt must hold tensors by name", "write the weights alone"),
    "cut weights": weights(
        lambda: written("w.safetensors", b"12345"),
        "w.safetensors cannot be read as safetensors",
        "Write it again",
        name="w.safetensors",
    ),
    "weights of a function": weights(
        kept({}), "--weights needs a torch module, own.py:plain is", "leave", of="plain", kind=InvalidInput
    ),
    "weights of a file": loaded(
        "m.pkl", "--weights goes with a function that builds the network", "got m.pkl", content=PICKLE, weights="w.pt"
    ),
    "a folder of nothing": loaded(
        "face",
        "face must be a folder of a Hugging Face model, with config.json, and has none",
        "save_pretrained",
        kind=DataError,
        before=lambda: Path("face").mkdir(),
    ),
    "a folder of another task": folder(
        "face must hold a classifier of images or texts",
        "and holds BertForMaskedLM",
        "give a function",
        architectures=["BertForMaskedLM"],
        kind=InvalidInput,
    ),
    "a folder with code": folder(
        "face is a model with code of its own",
        "add --trust",
        kind=InvalidInput,
        architectures=["ViTForImageClassification"],
        auto_map={"AutoConfig": "own.Config"},
    ),
    "a folder of no JSON": loaded(
        "face",
        "config.json is not JSON",
        "save_pretrained",
        kind=DataError,
        before=lambda: written("face/config.json", "{"),
    ),
}


def graph(
    nodes: list[tuple[Any, ...]], inputs: list[Any], outputs: list[Any], *, ir: int = 10, opset: int = 17
) -> Callable[[], Any]:
    """Write m.onnx: nodes (operator, inputs, outputs), and (name, type, shape) of what goes in and out."""

    def make() -> None:
        pytest.importorskip("onnxruntime")
        onnx = pytest.importorskip("onnx")
        helper, kinds = onnx.helper, onnx.TensorProto
        values = [
            [helper.make_tensor_value_info(name, getattr(kinds, kind), shape) for name, kind, shape in ends]
            for ends in (inputs, outputs)
        ]
        made = helper.make_graph([helper.make_node(*node) for node in nodes], "g", *values)
        model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)])
        model.ir_version = ir
        Path("m.onnx").write_bytes(model.SerializeToString())

    return make


TABLE_IN, SCORES_OUT, SAME = [("x", "FLOAT", [None, 3])], [("y", "FLOAT", [None, 3])], [("Identity", ["x"], ["y"])]


def up_to(said: str) -> Any:
    """A graph as new as the message says that it may be."""
    limit = int(said.partition("reads up to ")[2].partition(":")[0])
    graph(SAME, TABLE_IN, SCORES_OUT, **{"ir" if "IR version" in said else "opset": limit})()
    return load_model("m.onnx")


def apart() -> None:
    """Write m.onnx with its weights in m.data, and take these away."""
    onnx = pytest.importorskip("onnx")
    graph([("MatMul", ["x", "w"], ["y"])], TABLE_IN, SCORES_OUT)()
    model = onnx.load("m.onnx")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.eye(3, dtype=np.float32), "w"))
    onnx.save(model, "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    Path("m.data").rename("elsewhere")


def onnx_file(*says: str, content: bytes | str | None = None) -> Wrong:
    needed = lambda: pytest.importorskip("onnxruntime")  # noqa: E731
    return loaded("m.onnx", *says, kind=DataError, content=content, before=needed)


def back(said: str) -> Any:
    Path("elsewhere").rename("m.data")
    return load_model("m.onnx").model(torch.eye(3))


AGE, INCOME = ("age", "FLOAT", [None, 1]), ("income", "FLOAT", [None, 1])
MODELS |= {
    "no ONNX file": onnx_file("m.onnx is no ONNX file that onnxruntime", "export it again", content=b"no" * 99),
    "an empty ONNX file": onnx_file("m.onnx is not an ONNX file: it is empty", "copy it again", content=b""),
    "no file of ONNX": loaded("m.onnx", "there is no file m.onnx", "give the path of an ONNX file", kind=DataError),
    "ONNX of two inputs": loaded(
        "m.onnx",
        "m.onnx must have one input",
        "has 2: age tensor(float) [None, 1], income",
        "Export it with one input",
        before=graph([("Add", ["age", "income"], ["y"])], [AGE, INCOME], [("y", "FLOAT", [None, 1])]),
    ),
    "ONNX of text": loaded(
        "m.onnx",
        "m.onnx must take numbers, and takes x tensor(string)",
        "export it",
        before=graph(SAME, [("x", "STRING", [None, 1])], [("y", "STRING", [None, 1])]),
    ),
    "ONNX of a new format": loaded(
        "m.onnx",
        "m.onnx has IR version 99, and onnxruntime",
        "pip install --upgrade onnxruntime, or export it again for",
        before=graph(SAME, TABLE_IN, SCORES_OUT, ir=99),
        right=up_to,
    ),
    "ONNX of a new opset": loaded(
        "m.onnx",
        "m.onnx has opset 99 of ai.onnx, and onnxruntime",
        "pip install --upgrade onnxruntime, or export it again for",
        before=graph(SAME, TABLE_IN, SCORES_OUT, opset=99),
        right=up_to,
    ),
    "ONNX without its weights": loaded(
        "m.onnx",
        "m.onnx keeps its weights in another file, which is not beside it",
        "copy both",
        kind=DataError,
        before=apart,
        right=back,
    ),
}

TABLE = pd.DataFrame(ROWS, columns=list("abcde"))
NAMED = LogisticRegression().fit(TABLE, LABELS)
SIGNED = LogisticRegression().fit(ROWS, 2 * LABELS - 1)
BARE = nn.Sequential(nn.Linear(5, 2))


def raising(x: Any) -> None:
    raise RuntimeError("mat1 and mat2 cannot be multiplied\nand more")


def answer(
    function: Callable[[torch.Tensor], Any], *says: str, right: Callable[[torch.Tensor], Any] | None = None
) -> Wrong:
    """A network whose answers are wrong, and `right` as the message says."""
    again = None if right is None else lambda said: audited(answering(right))
    return wrong(lambda: audited(answering(function)), "the model ", *says, kind=ModelContractError, right=again)


def framed(table: pd.DataFrame, *says: str, right: Callable[[], Any] | None = None, model: Any = NAMED) -> Wrong:
    """A table whose columns are not those of the model."""
    again = None if right is None else lambda said: audited(model, right())
    return wrong(lambda: audited(model, (table, LABELS)), *says, right=again)


def signed(said: str) -> None:
    """The labels that the model was fitted on, however they are written."""
    signs = 2 * LABELS - 1
    for folder, given in (("a", signs), ("b", signs.astype(str)), ("c", signs.astype(float))):
        found = audited(SIGNED, (ROWS, given), out=folder).findings[0]
        assert found.value == pytest.approx(SIGNED.score(ROWS, signs))


WORDS = TABLE.assign(e=np.where(LABELS, "yes", "no"))
GAPS = TABLE.mask(np.arange(len(TABLE) * 5).reshape(-1, 5) == 17)
ANSWERS = {
    "rows joined": answer(
        lambda s: s.mean(0, keepdim=True),
        "must return one row of logits an example, 30, got shape (1, 2)",
        "do not select or join rows",
        right=lambda s: s,
    ),
    "more axes": answer(
        lambda s: s[:, :, None].expand(-1, -1, 3),
        "got shape (30, 2, 3)",
        "flatten or average further",
        right=lambda s: s[:, :, None].expand(-1, -1, 3).mean(2),
    ),
    "words": answer(lambda s: "no", "must return logits as a tensor or an array", "got str", right=lambda s: s),
    "NaN": answer(lambda s: s * torch.nan, "returned NaN"),
    "infinite": answer(
        lambda s: (s > 0).float().log() + 0 * s,
        "returned infinite logits",
        "clip probabilities before",
        right=lambda s: (s > 0).float().clamp_min(1e-6).log() + 0 * s,
    ),
    "raises": answer(
        raising, "raised RuntimeError on a batch of shape (30, 5): mat1 and mat2 cannot be multiplied;", "or correct it"
    ),
    "no model": refused("the model must be callable, or have predict and classes_", "got str", model="model"),
    "none at all": refused("model must hold at least one model, got none", model={}),
    "not fitted": refused(
        "LogisticRegression must be a fitted classifier",
        "call fit in the factory or before",
        model=LogisticRegression(),
        right=lambda said: audited(LogisticRegression().fit(ROWS, LABELS)),
    ),
    "a regressor": refused(
        "LinearRegression predicts numbers",
        "only classifiers can be audited",
        "give",
        model=LinearRegression().fit(ROWS, LABELS),
    ),
    "several labels": refused(
        "MultiOutputClassifier predicts 2 labels a row",
        "model.estimators_[0]",
        model=MultiOutputClassifier(ESTIMATOR).fit(ROWS, np.stack([LABELS, 1 - LABELS], 1)),
        right=lambda said: audited(
            MultiOutputClassifier(ESTIMATOR).fit(ROWS, np.stack([LABELS, 1 - LABELS], 1)).estimators_[0]
        ),
    ),
    "labels it never saw": refused(
        "the model has never seen the labels 0 of the data",
        "Classes of the model: -1, 1; labels of the data: 0, 1",
        "Give the column of labels that it was fitted on",
        model=SIGNED,
        right=signed,
    ),
    "a column is missing": framed(
        TABLE.drop(columns="b"),
        "the data lack 'b'",
        "Columns of the model: 'a', 'b'",
        "give the table that it was fitted on",
        right=lambda: (TABLE, LABELS),
    ),
    "a column too many": framed(
        TABLE.assign(row=1),
        "the model has never seen 'row'",
        "of the data: 'a'",
        "add --drop row",
        right=lambda: (TABLE, LABELS),
    ),
    "columns without names": framed(
        TABLE.assign(row=1),
        "LogisticRegression was fitted on 5 columns, the data have 6",
        "leave out what is not a feature",
        model=ESTIMATOR,
        right=lambda: (TABLE, LABELS),
    ),
    "words for a network": framed(WORDS, "model takes numbers, and the columns 'e' hold words", "--drop e", model=BARE),
    "gaps for a network": framed(
        GAPS,
        "x must be finite, but row 3 holds NaN",
        "drop or impute",
        model=BARE,
        right=lambda: (GAPS.fillna(0.0), LABELS),
    ),
    "another width": refused(
        "the model raised RuntimeError on a batch of shape (30, 5)",
        "size mismatch",
        "give it data of the shape",
        model=linear_of(ROWS[:, :3]),
    ),
}
