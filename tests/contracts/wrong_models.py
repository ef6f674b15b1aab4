"""Models that cannot be loaded or asked, and answers that are no logits."""

from __future__ import annotations

import json
import pickle
import re
import sys
import warnings
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
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from torch import nn

from contracts.wrong_inputs import (
    ESTIMATOR,
    LABELS,
    ROWS,
    Wrong,
    after,
    answering,
    audited,
    loaded,
    logistic,
    refused,
    written,
    wrong,
)
from report.small_audit import linear_of
from trustworthy.core.errors import CheckpointError, DataError, InvalidInput, ModelContractError, UnknownName
from trustworthy.models import load_model
from trustworthy.training import save_weights

PICKLE = pickle.dumps(ESTIMATOR)
NET = "from torch import nn\n\ndef net():\n    return nn.Linear(3, 2)\n"
OWN = f"""{NET}
def raising():
    raise ValueError("no weights\\nin sight")

def nothing():
    nn.Linear(3, 2)

def plain():
    return len

def sized(size):
    return nn.Linear(size, 2)

number = 3
"""


def own(name: str, *says: str, **given: Any) -> Wrong:
    """A factory of own.py."""
    return loaded(f"own.py:{name}", *says, content=OWN, **given)


def own_net(said: str) -> Any:
    return load_model(f"{written('own.py', NET)}:net")


def trusted_alone(said: str) -> Any:
    """The file without weights."""
    return load_model("m.pkl", trust=True)


def forms(said: str) -> None:
    """What MODEL may be."""
    joblib.dump(ESTIMATOR, "m.joblib")
    for spec in ("m.joblib", f"{written('own.py', NET)}:net", "own:net"):
        load_model(spec, trust=True)


def code(said: str, first: str, **names: Any) -> Any:
    """Run the call of `first` that the message has."""
    text = said[said.index(f"{first}(") :]
    ends = (place for place, sign in enumerate(text, 1) if sign == ")")
    call = next(text[:end] for end in ends if text.count("(", 0, end) == text.count(")", 0, end))
    return eval(call, {"joblib": joblib, "torch": torch} | names)


def dumped(said: str) -> Any:
    """A classifier, written as the message says where it says how, in place of the file that it names."""
    (name,) = re.findall(r"m\.pkl|m\.joblib", said)
    if "joblib.dump(" in said:
        code(said, "joblib.dump", classifier=ESTIMATOR, path=name)
    else:
        joblib.dump(ESTIMATOR, name)
    return load_model(name, trust=True)


def trusted(said: str) -> Any:
    """The same file with the argument that the message names."""
    key, given = after("(in Python:")(said).split("=")
    taken: dict[str, Any] = {key: given == "True"}
    return load_model(said.partition(" ")[0], **taken)


def torch_saved(said: str) -> Any:
    """The weights alone; tests/models/test_torch_files.py tries torch.export too, which takes seconds."""
    code(said, "torch.save", model=nn.Linear(3, 2))
    return load_model(f"{written('own.py', NET)}:net", weights="weights.pt")


def corrected(spec: str, line: str) -> Callable[[str], Any]:
    """`line` in place of the one that the message names."""

    def again(said: str) -> Any:
        path, number = re.findall(r"\((\S+), line (\d+)\)", said)[0]
        lines = Path(path).read_text().splitlines()
        lines[int(number) - 1] = line
        written(path, "\n".join(lines))
        return load_model(spec)

    return again


def scripted() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        torch.jit.script(nn.Linear(3, 2)).save("m.pt")


def needing(module: str) -> bytes:
    """A pickle of the function `half` of a module."""
    return b"\x80\x04\x8c" + bytes([len(module)]) + module.encode() + b"\x94\x8c\x04half\x94\x93\x94."


def beside(module: str) -> Callable[[str], None]:
    """The module lies where the command runs, and the pickle names it."""

    def again(said: str) -> None:
        written(f"{module}.py", "def half(x):\n    return x / 2\n")
        written("m.pkl", needing(module))
        load_model("m.pkl", trust=True)
        del sys.modules[module]

    return again


def weights(
    make: Callable[[], Any],
    *says: str,
    kind: Any = CheckpointError,
    name: str = "w.pt",
    of: str = "net",
    right: Any = None,
) -> Wrong:
    """Wrong weights for the network of own.py."""
    return loaded(f"own.py:{of}", *says, content=OWN, before=make, kind=kind, weights=name, right=right)


def kept(state: Any, name: str = "w.pt") -> Callable[[], Any]:
    return lambda: torch.save(state, name)


def by_factory(said: str) -> Any:
    """The weights go with a function that builds the network."""
    name = said.rpartition("--weights ")[2].rstrip(".")
    return load_model(f"{written('own.py', NET)}:net", weights=name)


def saved(said: str) -> Any:
    """The weights of the network, written as the message says where it says how."""
    if "torch.save(" in said:
        code(said, "torch.save", model=nn.Linear(3, 2), path="w.pt")
    else:
        save_weights(nn.Linear(3, 2), said.partition(" ")[0])
    return load_model("own.py:net", weights=said.partition(" ")[0])


def fitting(said: str) -> Any:
    """The network with the arguments of which the file has the shape."""
    size, classes = re.findall(r"file \((\d), (\d)\)", said)[0][::-1]
    return load_model(f"{written('own.py', NET.replace('3, 2', f'{size}, {classes}'))}:net", weights="w.pt")


def inside(said: str) -> Any:
    """A file in the folder."""
    joblib.dump(ESTIMATOR, f"{said.partition(' ')[0]}/m.joblib")
    return load_model(f"{said.partition(' ')[0]}/m.joblib", trust=True)


def by_module(said: str) -> Any:
    written("own.py", NET)
    return load_model(said.rpartition(", ")[2].rstrip(".").replace("package.module:factory", "own:net"))


def zipped(name: str, *inside: str) -> Callable[[], Any]:
    def make() -> None:
        with zipfile.ZipFile(name, "w") as archive:
            for each in inside:
                archive.writestr(f"m/{each}", b"")

    return make


def folder(*says: str, kind: Any = DataError, right: Any = None, **config: Any) -> Wrong:
    """A folder of a Hugging Face model with this config.json."""
    before = lambda: written("face/config.json", json.dumps(config))  # noqa: E731
    return loaded("face", *says, kind=kind, before=before, right=right)


MODELS = {
    "no file": loaded(
        "m.pkl", "there is no file m.pkl", "give the path of a pickle", kind=DataError, trust=True, right=dumped
    ),
    "a folder named so": loaded(
        "d.pkl",
        "d.pkl must be a folder of a Hugging Face model",
        "config.json",
        "save_pretrained",
        kind=DataError,
        before=lambda: Path("d.pkl").mkdir(),
        right=inside,
    ),
    "no trust in a pickle": loaded(
        "m.pkl",
        "m.pkl is a pickle",
        "can run any code",
        "add --trust (in Python: trust=True)",
        content=PICKLE,
        right=trusted,
    ),
    "an empty file": loaded(
        "m.pkl",
        "m.pkl is not a pickle",
        "it is empty",
        "copy it again",
        content=b"",
        kind=DataError,
        trust=True,
        right=dumped,
    ),
    "a page to log in": loaded(
        "m.joblib",
        "m.joblib is not a pickle",
        "it is a web page",
        "download the file itself",
        content="\n<!DOCTYPE html><html>log in</html>",
        kind=DataError,
        trust=True,
        right=dumped,
    ),
    "a pointer of git": loaded(
        "m.pkl",
        "m.pkl is not a pickle",
        "run `git lfs pull`",
        kind=DataError,
        trust=True,
        content="version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        right=dumped,
    ),
    "a cut pickle": loaded(
        "m.joblib",
        "m.joblib cannot be read",
        "cut short",
        "write it again with joblib.dump",
        content=PICKLE[:300],
        kind=DataError,
        trust=True,
        right=dumped,
    ),
    "a table named so": loaded(
        "m.pkl",
        "m.pkl cannot be read",
        "of another kind",
        "joblib.dump",
        kind=DataError,
        trust=True,
        content="col_a,col_b\n1,2\n",
        right=dumped,
    ),
    "a version that is gone": loaded(
        "m.pkl",
        "m.pkl was written with scikit-learn 0.24.2 and cannot be read with",
        "pip install scikit-learn==0.24.2, or fit it again",
        kind=DataError,
        trust=True,
        content=b"\x80\x04_sklearn_version\x94\x8c\x060.24.2\x94.",
        right=dumped,
    ),
    "a package that is missing": loaded(
        "m.pkl",
        "m.pkl needs the module 'skleare'",
        "pip install skleare",
        kind=DataError,
        content=needing("skleare"),
        trust=True,
        right=beside("skleare"),
    ),
    "a package of another name": loaded(
        "m.pkl",
        "m.pkl needs the module 'cv2'",
        "pip install opencv-python",
        kind=DataError,
        content=needing("cv2"),
        trust=True,
        right=beside("cv2"),
    ),
    "of a script": loaded(
        "m.pkl",
        "m.pkl needs something that the script which wrote it defined itself",
        "move that into a module of its own",
        content=needing("__main__"),
        kind=DataError,
        trust=True,
        right=beside("mine_alone"),
    ),
    "a dictionary": loaded(
        "m.joblib",
        "m.joblib must hold a fitted classifier, and holds dict with 'model', 'threshold'",
        "save the classifier alone",
        content={"model": ESTIMATOR, "threshold": 0.4},
        trust=True,
        kind=ModelContractError,
        right=dumped,
    ),
    "a list": loaded(
        "m.joblib", "holds list", "save the classifier alone", content=[ESTIMATOR], trust=True, right=dumped
    ),
    "an array": loaded(
        "m.joblib", "holds ndarray", "save the classifier alone", content=np.zeros(3), trust=True, right=dumped
    ),
    "of Keras": loaded("model.h5", "MODEL must be a file (.joblib, .pkl", "got 'model.h5'; export it to ONNX").but(
        "needs Keras, and ONNX files are loaded elsewhere in this table"
    ),
    "of a booster": loaded(
        "booster.ubj", "MODEL must be a file", "got 'booster.ubj'", "scikit-learn interface of its library"
    ).but("needs a library of boosters"),
    "a bare name": loaded("model", "MODEL must be a file", "got 'model'", "package.module:factory", right=forms),
    "no file of Python": loaded(
        "nowhere.py:net", "there is no file nowhere.py to build the model from", "give", kind=DataError, right=own_net
    ),
    "no module": loaded(
        "nowhere.at.all:net", "there is no module 'nowhere.at.all'", "give a .py file", kind=DataError, right=own_net
    ),
    "no factory": own("ent", "unknown factory in own.py 'ent'; did you mean 'net'?", kind=UnknownName, right=own_net),
    "a factory without a name": loaded(
        "own.py",
        "MODEL must be a file",
        "got 'own.py'; name the function in it",
        "path/to/file.py:factory",
        content=OWN,
        right=own_net,
    ),
    "no function": own("number", "own.py:number must be a function that returns the model, got int", right=own_net),
    "a factory that raises": own(
        "raising",
        "the factory own.py:raising raised ValueError: no weights in sight",
        "own.py, line 7",
        "correct",
        kind=ModelContractError,
        right=corrected("own.py:raising", "    return nn.Linear(3, 2)"),
    ),
    "a factory of nothing": own(
        "nothing",
        "the factory own.py:nothing returned nothing",
        "return the model",
        kind=ModelContractError,
        right=lambda said: load_model(f"{written('own.py', OWN.replace('    nn', '    return nn'))}:nothing"),
    ),
    "a file that raises": loaded(
        "broken.py:net",
        "importing broken.py raised ModuleNotFoundError",
        "broken.py, line 2",
        "correct",
        content="x = 1\nimport nothing_of_that_name\n",
        kind=ModelContractError,
        right=corrected("broken.py:net", "net = object"),
    ),
    "a file of no Python": loaded(
        "broken.py:net",
        "importing broken.py raised SyntaxError",
        "(broken.py, line 2); correct it there",
        content="x = 1\ndef (:\n",
        kind=ModelContractError,
        right=corrected("broken.py:net", "net = object"),
    ),
    "a factory with arguments": own(
        "sized",
        "the factory own.py:sized raised TypeError: sized() missing 1 required positional argument: 'size';",
        "give them by --option where the command has it, or write a function that can be called without arguments",
        kind=ModelContractError,
        right=own_net,
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
        right=torch_saved,
    ),
    "a dictionary of torch": loaded(
        "w.pt", "w.pt holds dict, neither a network nor weights", "save", before=kept({"lr": 1}), right=torch_saved
    ),
    "TorchScript without trust": loaded(
        "m.pt", "m.pt is a TorchScript file", "add --trust", before=scripted, right=trusted
    ),
    "a damaged TorchScript": loaded(
        "m.pt",
        "m.pt cannot be read as TorchScript by torch",
        "save it again",
        kind=DataError,
        before=zipped("m.pt", "constants.pkl", "code/net.py"),
        trust=True,
        right=lambda said: [scripted(), load_model("m.pt", trust=True)],
    ),
    "an export without trust": loaded(
        "m.pt2", "m.pt2 is a torch.export file", "add --trust", before=zipped("m.pt2", "a")
    ).but("tests/models/test_torch_files.py does, with the seconds that torch.export takes"),
    "weights that are not there": weights(lambda: None, "w.pt is not a file", "give the path", right=saved),
    "weights of another network": weights(
        kept(nn.Linear(4, 2).state_dict()),
        "the weights in w.pt do not fit the model",
        "of another shape: weight (file (2, 4), model (2, 3))",
        "Build the model",
        right=fitting,
    ),
    "weights without names": weights(
        kept({"lr": 0.1}), "w.pt must hold tensors by name", "write the weights alone", right=saved
    ),
    "cut weights": weights(
        lambda: written("w.safetensors", b"12345"),
        "w.safetensors cannot be read as safetensors",
        "Write it again",
        name="w.safetensors",
        right=saved,
    ),
    "weights of a function": weights(
        kept({}),
        "--weights needs a torch module, own.py:plain is",
        "leave",
        of="plain",
        kind=InvalidInput,
        right=lambda said: load_model("own.py:plain"),
    ),
    "weights of a file": loaded(
        "m.pkl",
        "--weights goes with a function that builds the network",
        "got m.pkl",
        "leave",
        content=PICKLE,
        weights="w.pt",
        right=trusted_alone,
    ),
    "a folder of nothing": loaded(
        "face",
        "face must be a folder of a Hugging Face model, with config.json, or of save_posterior, with model.json, and",
        "save_pretrained",
        kind=DataError,
        before=lambda: Path("face").mkdir(),
        right=inside,
    ),
    "a folder of another task": folder(
        "face must hold a classifier of images or texts",
        "and holds BertForMaskedLM",
        "give a function",
        architectures=["BertForMaskedLM"],
        kind=InvalidInput,
        right=by_module,
    ),
    "a folder with code": folder(
        "face is a model with code of its own",
        "add --trust",
        kind=InvalidInput,
        architectures=["ViTForImageClassification"],
        auto_map={"AutoConfig": "own.Config"},
    ).but("needs an architecture with code of its own, and the seconds that transformers take"),
    "a folder of no JSON": loaded(
        "face",
        "config.json is not JSON",
        "save_pretrained",
        kind=DataError,
        before=lambda: written("face/config.json", "{"),
    ).but("tests/models/test_huggingface.py does, with the seconds that transformers take"),
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


def onnx_file(*says: str, content: bytes | str | None = None, right: Any = None) -> Wrong:
    needed = lambda: pytest.importorskip("onnxruntime")  # noqa: E731
    return loaded("m.onnx", *says, kind=DataError, content=content, before=needed, right=right)


def written_anew(said: str) -> Any:
    graph(SAME, TABLE_IN, SCORES_OUT)()
    return load_model("m.onnx")


def back(said: str) -> Any:
    Path("elsewhere").rename("m.data")
    return load_model("m.onnx").model(torch.eye(3))


AGE, INCOME = ("age", "FLOAT", [None, 1]), ("income", "FLOAT", [None, 1])
MODELS |= {
    "no ONNX file": onnx_file(
        "m.onnx is no ONNX file that onnxruntime", "export it again", content=b"no" * 99, right=written_anew
    ),
    "an empty ONNX file": onnx_file(
        "m.onnx is not an ONNX file: it is empty", "copy it again", content=b"", right=written_anew
    ),
    "no file of ONNX": loaded(
        "m.onnx", "there is no file m.onnx", "give the path of an ONNX file", kind=DataError, right=written_anew
    ),
    "ONNX of two inputs": loaded(
        "m.onnx",
        "m.onnx must have one input",
        "has 2: age tensor(float) [None, 1], income",
        "Export it with one input",
        before=graph([("Add", ["age", "income"], ["y"])], [AGE, INCOME], [("y", "FLOAT", [None, 1])]),
        right=written_anew,
    ),
    "ONNX of text": loaded(
        "m.onnx",
        "m.onnx must take numbers, and takes x tensor(string)",
        "export it",
        before=graph(SAME, [("x", "STRING", [None, 1])], [("y", "STRING", [None, 1])]),
        right=written_anew,
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
NAMED = logistic(feature_names_in_=np.array(list(TABLE), object))
SIGNED = logistic((-1, 1))
SEVERAL: Any = MultiOutputClassifier(ESTIMATOR)
SEVERAL.estimators_, SEVERAL.classes_ = [ESTIMATOR, ESTIMATOR], [ESTIMATOR.classes_] * 2
REGRESSOR: Any = LinearRegression()
REGRESSOR.coef_, REGRESSOR.intercept_ = ESTIMATOR.coef_[0], 0.5
BARE = nn.Sequential(nn.Linear(5, 2))


def raising(x: Any) -> None:
    raise RuntimeError("mat1 and mat2 cannot be multiplied\nand more")


def answer(
    function: Callable[[torch.Tensor], Any], *says: str, right: Callable[[torch.Tensor], Any] | None = None
) -> Wrong:
    """A network whose answers are wrong, and `right` as the message says."""
    again = None if right is None else lambda said: audited(answering(right))
    return wrong(lambda: audited(answering(function)), "the model ", *says, kind=ModelContractError, right=again)


def framed(
    table: pd.DataFrame, *says: str, right: Callable[[str], Any], model: Any = NAMED, fitting: Any = None
) -> Wrong:
    """A table whose columns are not those of the model, and the one that the message says, for a model that fits."""
    again = lambda said: audited(fitting or model, (right(said), LABELS))  # noqa: E731
    return wrong(lambda: audited(model, (table, LABELS)), *says, right=again)


def dropping(table: pd.DataFrame) -> Callable[[str], pd.DataFrame]:
    """Without the column that the message names."""
    return lambda said: table.drop(columns=after("--drop")(said))


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
    "NaN": answer(lambda s: s * torch.nan, "returned NaN", right=lambda s: s),
    "infinite": answer(
        lambda s: (s > 0).float().log() + 0 * s,
        "returned infinite logits",
        "clip probabilities before",
        right=lambda s: (s > 0).float().clamp_min(1e-6).log() + 0 * s,
    ),
    "raises": answer(
        raising,
        "raised RuntimeError on a batch of shape (30, 5): mat1 and mat2 cannot be multiplied;",
        "or correct it",
        right=lambda s: s,
    ),
    "no model": refused(
        "the model must be callable, or have predict and classes_",
        "got str",
        model="model",
        right=lambda said: [audited(linear_of(ROWS)), audited(ESTIMATOR, out="other")],
    ),
    "none at all": refused(
        "model must hold at least one model, got none", model={}, right=lambda said: audited({"one": ESTIMATOR})
    ),
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
        model=REGRESSOR,
        right=lambda said: audited(ESTIMATOR),
    ),
    "several labels": refused(
        "MultiOutputClassifier predicts 2 labels a row",
        "model.estimators_[0]",
        model=SEVERAL,
        right=lambda said: audited(eval(re.findall(r"model\.estimators_\[0\]", said)[0], {"model": SEVERAL})),
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
        right=lambda said: TABLE,
    ),
    "a column too many": framed(
        TABLE.assign(row=1),
        "the model has never seen 'row'",
        "of the data: 'a'",
        "add --drop row",
        right=dropping(TABLE.assign(row=1)),
    ),
    "columns without names": framed(
        TABLE.assign(row=1),
        "LogisticRegression was fitted on 5 columns, the data have 6",
        "leave out what is not a feature",
        model=ESTIMATOR,
        right=lambda said: TABLE,
    ),
    "words for a network": framed(
        WORDS,
        "model takes numbers, and the columns 'e' hold words",
        "--drop e",
        model=BARE,
        right=dropping(WORDS),
        fitting=nn.Sequential(nn.Linear(4, 2)),
    ),
    "gaps for a network": framed(
        GAPS,
        "x must be finite, but row 3 holds NaN",
        "drop or impute",
        model=BARE,
        right=lambda said: GAPS.fillna(0.0),
    ),
    "another width": refused(
        "the model raised RuntimeError on a batch of shape (30, 5)",
        "size mismatch",
        "give it data of the shape",
        model=linear_of(ROWS[:, :3]),
        right=lambda said: audited(linear_of(ROWS[:, :3]), (ROWS[:, :3], LABELS)),
    ),
}
