"""ONNX files of networks and of scikit-learn classifiers answer as their originals, whatever they return."""

import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from torch import nn

from trustworthy.core.errors import InvalidInput, MissingPackage
from trustworthy.models import EstimatorScores, adapt, load_model

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
from onnx import TensorProto, helper  # noqa: E402

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def digits():
    x, y = load_digits(return_X_y=True)
    return torch.from_numpy(x / 16).float().reshape(-1, 1, 8, 8), torch.from_numpy(y)


def trained():
    x, y = digits()
    torch.default_generator.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 10)
    )
    adam = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(40):
        loss = nn.functional.cross_entropy(net(x), y)
        adam.zero_grad()
        loss.backward()
        adam.step()
    return net.eval()


@pytest.mark.slow  # the exporter takes seconds to import; tests of files write their network by hand
@pytest.mark.filterwarnings("ignore")  # of the exporter
def test_a_network_that_torch_exported_answers_as_its_original(tmp_path):
    pytest.importorskip("onnxscript", reason="torch.onnx.export needs onnxscript")
    net, (x, y) = trained(), digits()
    torch.onnx.export(net, (x[:16],), tmp_path / "m.onnx", dynamo=True, verbose=False)
    loaded = load_model(tmp_path / "m.onnx")
    torch.testing.assert_close(loaded.model(x[:41]), net(x[:41]).detach(), atol=1e-5, rtol=1e-4)  # 41 = 16 + 16 + 9
    right = (loaded.model(x).argmax(1) == y).sum()
    assert right == (net(x).argmax(1) == y).sum()
    assert right > 0.9 * len(y)
    assert "no gradients" in loaded.notes[0]
    assert adapt(loaded.model, x[:50]).notes == ()


def test_classifiers_that_skl2onnx_wrote_answer_as_their_originals(tmp_path):
    skl2onnx = pytest.importorskip("skl2onnx", reason="skl2onnx is not installed")
    x, y = load_iris(return_X_y=True)
    rows = torch.from_numpy(x)
    names = np.array(["setosa", "versicolor", "virginica"])
    for model, zipped in (
        (LogisticRegression(max_iter=500).fit(x, y), True),
        (LogisticRegression(max_iter=500).fit(x, names[y]), False),
        (RandomForestClassifier(3, random_state=0).fit(x, 3 * y + 1), True),
    ):
        written = skl2onnx.to_onnx(model, x[:1].astype(np.float32), options={id(model): {"zipmap": zipped}})
        (tmp_path / "m.onnx").write_bytes(written.SerializeToString())
        loaded = load_model(tmp_path / "m.onnx")
        assert loaded.classes == tuple(model.classes_.tolist())
        adapted = adapt(loaded.model, rows)
        assert "probabilities" in adapted.notes[0]
        (predictor,) = adapted.model.draws(1)
        torch.testing.assert_close(predictor(rows).softmax(1), EstimatorScores(model)(rows).softmax(1).float(),
                                   atol=1e-5, rtol=0)  # fmt: skip


def written(path, nodes, inputs, outputs, *, ir=10, opset=17, initializers=()):
    value = helper.make_tensor_value_info
    results = [value(*one) if isinstance(one, tuple) else one for one in outputs]
    graph = helper.make_graph(nodes, "g", [value(*one) for one in inputs], results, list(initializers))
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    )
    model.ir_version = ir
    path.write_bytes(model.SerializeToString())
    return path


SAME = helper.make_node("Softmax", ["x"], ["p"], axis=1)


def test_a_zip_map_of_names_is_opened_and_names_the_columns(tmp_path):
    zipped = helper.make_node("ZipMap", ["p"], ["output_probability"], domain="ai.onnx.ml",
                              classlabels_strings=["cat", "dog", "eel"])  # fmt: skip
    label = helper.make_node("ArgMax", ["x"], ["output_label"], axis=1, keepdims=0)
    kind = helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(FLOAT, []))
    out = helper.make_value_info("output_probability", helper.make_sequence_type_proto(kind))
    path = written(tmp_path / "m.onnx", [SAME, zipped, label], [("x", FLOAT, [None, 3])],
                   [("output_label", INT64, [None]), out])  # fmt: skip
    loaded = load_model(path)
    assert loaded.classes == ("cat", "dog", "eel")
    assert "output_probability is used, not output_label" in loaded.notes[1]
    x = torch.randn(5, 3)
    torch.testing.assert_close(loaded.model(x), x.softmax(1))


@pytest.mark.parametrize(
    ("names", "chosen"),
    [(["features", "my_logits"], 1), (["hidden", "probs"], 1), (["a", "b"], 0), (["b", "scores"], 1)],
)
def test_one_of_several_outputs_is_chosen_by_its_name(tmp_path, names, chosen):
    nodes = [
        helper.make_node("Neg" if index != chosen else "Identity", ["x"], [name]) for index, name in enumerate(names)
    ]
    path = written(tmp_path / "m.onnx", nodes, [("x", FLOAT, [None, 3])], [(name, FLOAT, [None, 3]) for name in names])
    x = torch.randn(5, 3)
    loaded = load_model(path)
    assert torch.equal(loaded.model(x), x)
    assert f"{names[chosen]} is used" in loaded.notes[1]


def test_shapes_are_fitted_or_both_are_said(tmp_path):
    flat = [helper.make_node("Identity", ["x"], ["logits"])]
    path = written(tmp_path / "flat.onnx", flat, [("x", FLOAT, [None, 12])], [("logits", FLOAT, [None, 12])])
    x = torch.randn(5, 3, 2, 2)
    assert torch.equal(load_model(path).model(x), x.flatten(1))
    assert torch.equal(load_model(path).model(x.double()), x.flatten(1))
    last = [helper.make_node("ReduceMean", ["x"], ["logits"], axes=[1, 2], keepdims=0)]
    path = written(tmp_path / "last.onnx", last, [("x", FLOAT, [None, 2, 2, 3])], [("logits", FLOAT, [None, 3])])
    torch.testing.assert_close(load_model(path).model(x), x.mean((2, 3)))
    with pytest.raises(InvalidInput, match=r"takes examples of shape \(2, 2, 3\), the data have \(3, 5, 5\)"):
        load_model(path).model(torch.randn(5, 3, 5, 5))


def test_labels_alone_are_votes(tmp_path):
    label = helper.make_node("ArgMax", ["x"], ["label"], axis=1, keepdims=0)
    path = written(tmp_path / "m.onnx", [label], [("x", FLOAT, [None, 3])], [("label", INT64, [None])])
    x = torch.randn(9, 3)
    adapted = adapt(load_model(path).model, x, classes=[0, 1, 2])
    assert adapted.gives == "labels"
    (predictor,) = adapted.model.draws(1)
    assert torch.equal(predictor(x).argmax(1), x.argmax(1))


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "m.onnx").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingPackage, match=r"pip install 'trustworthy\[onnx\]'"):
        load_model(tmp_path / "m.onnx")
