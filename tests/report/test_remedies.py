"""Every remedy that a message names is tried: the wrong input, what is said, and the input after the remedy."""

import re
import threading
from contextlib import nullcontext, suppress

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from torch import nn

from report.small_audit import Halves, audited, images, linear_of, table
from trustworthy.core.errors import InvalidInput, TrustworthyError, TrustworthyWarning
from trustworthy.models.factory import build_model
from trustworthy.report.rows import draw_examples, read_data

pytestmark = pytest.mark.usefixtures("_as_users_call_it")


def accuracy(model, data):
    found = next(each for each in audited(model, data, "accuracy").findings if each.name == "accuracy")
    return found.value


def tried(remedy, **names):
    """What the code of a message gives, when it is run on the user's arrays."""
    return eval(remedy, {"numpy": np, **names})


IMAGES, LABELS = images()
OVER = np.where(np.arange(8) == 3, 1.05, IMAGES).astype(np.float32)
ARRAYS = {
    "pixels": (np.round(IMAGES * 255), "divide by 255", lambda x: x / 255),
    "bytes": (np.round(IMAGES * 255).astype(np.uint8), "use (x.astype('float32') / 255)", None),
    "bits": ((IMAGES > 0.5).astype(np.uint8), "use (x.astype('float32'))", None),
    "resampled": (OVER, "outside: (numpy.clip(x, 0, 1))", None),
    "grey": (IMAGES[:, 0], "channel axis: (x[:, None])", None),
    "channels last": (np.moveaxis(IMAGES, 1, -1), "use (numpy.moveaxis(x, -1, 1))", None),
    "NaN": (np.where(np.arange(8) == 3, np.nan, IMAGES), "drop or impute such rows", np.nan_to_num),
    "truth values": (IMAGES > 0.5, "use (x.astype('float32'))", None),
    "words": (IMAGES.astype(str), "write words and categories as numbers", lambda x: x.astype(np.float32)),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_of_inputs(case):
    wrong, text, do = ARRAYS[case]
    with pytest.raises(InvalidInput, match=re.escape(text.replace("(", "", 1)[:-1] if do is None else text)) as refused:
        accuracy(Halves(), (wrong, LABELS))
    if do is None:
        code = re.search(r"\((.*)\)$", text)[1]
        assert code in str(refused.value)
        right = tried(code, x=wrong)
    else:
        right = do(wrong)
    assert accuracy(Halves(), (right, LABELS)) > 0.5


def test_the_normalisation_as_a_layer():
    normal = (IMAGES - 0.5) / 0.25
    with pytest.raises(InvalidInput, match="make the normalisation a layer of the model"):
        accuracy(Halves(), (normal, LABELS))

    class Normalised(Halves):
        def forward(self, x):
            return super().forward(0.5 + 0.25 * ((x - 0.5) / 0.25))

    assert accuracy(Normalised(), (IMAGES, LABELS)) == accuracy(Halves(), (IMAGES, LABELS))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_what_rounding_took_over_one_is_cut(dtype):
    x = IMAGES.astype(dtype)
    x[0, 0, 0, 0] = np.nextafter(np.float32(1) if dtype is np.float64 else dtype(1), dtype(2), dtype=dtype)
    x[0, 0, 0, 1] = -np.finfo(dtype).smallest_subnormal
    shown = draw_examples(read_data((x, LABELS)), 0, seed=0).x
    assert (float(shown.min()), float(shown.max())) == (0.0, 1.0)
    assert accuracy(Halves(), (x, LABELS)) == accuracy(Halves(), (IMAGES.astype(dtype), LABELS))
    x[0, 0, 0, 0] = 1.01
    with pytest.raises(InvalidInput, match=r"values in \[-?\d[^,]*, 1\.0[01]"):
        accuracy(Halves(), (x, LABELS))


READ = {
    "floats": LABELS.astype(float),
    "truth values": LABELS.astype(bool),
    "negative": 2 * LABELS - 1,
    "names": np.array(["no", "yes"])[LABELS],
    "one-hot": np.eye(2, dtype=int)[LABELS],
}


@pytest.mark.parametrize("case", READ)
def test_labels_of_any_type_are_read(case):
    assert accuracy(Halves(), (IMAGES, READ[case])) == accuracy(Halves(), (IMAGES, LABELS)) > 0.5


def test_of_labels():
    halves = LABELS + 0.5
    with pytest.raises(InvalidInput, match=r"use names, y\.astype\(str\), if these are classes"):
        accuracy(Halves(), (IMAGES, halves))
    right = tried("y.astype(str)", y=halves)
    assert accuracy(Halves(), (IMAGES, right)) == accuracy(Halves(), (IMAGES, LABELS))


def test_an_estimator_that_was_fitted_on_signs():
    x, y = table()
    signs = 2 * y - 1
    model = LogisticRegression().fit(x, signs)
    with pytest.raises(
        InvalidInput, match=r"never seen the labels 0 .*Give the column of labels that it was fitted on"
    ):
        accuracy(model, (x, y))
    for given in (signs, signs.astype(str), signs.astype(float)):
        assert accuracy(model, (x, given)) == pytest.approx(model.score(x, signs))


class Of(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.inner, self.function = linear_of(table()[0]), function

    def forward(self, x):
        return self.function(self.inner(x))


MODELS = {
    "rows joined": (
        lambda s: s.mean(0, keepdim=True), "do not select or join rows", lambda s: s, InvalidInput,
    ),
    "more axes": (
        lambda s: s[:, :, None].expand(-1, -1, 3), "flatten or average further axes",
        lambda s: s[:, :, None].expand(-1, -1, 3).mean(2), InvalidInput,
    ),
    "words": (lambda s: "no", "must return logits as a tensor or an array", lambda s: s, InvalidInput),
    "infinite": (
        lambda s: (s > 0).float().log() + 0 * s, "clip probabilities before",
        lambda s: (s > 0).float().clamp_min(1e-6).log() + 0 * s, InvalidInput,
    ),
    "softmax": (lambda s: s.softmax(1), "remove the final softmax", lambda s: s, TrustworthyWarning),
    "sigmoid": (lambda s: (s - 0.1).sigmoid(), "remove the final sigmoid", lambda s: s - 0.1, TrustworthyWarning),
    "one sigmoid": (lambda s: s[:, 1].sigmoid(), "remove the final sigmoid", lambda s: s, TrustworthyWarning),
    "no gradient": (lambda s: s.detach(), "remove no_grad.*detach", lambda s: s, TrustworthyWarning),
    "arrays": (lambda s: s.detach().numpy(), "remove no_grad.*NumPy", lambda s: s, TrustworthyWarning),
}  # fmt: skip


@pytest.mark.parametrize("case", MODELS)
def test_of_models(case):
    wrong, text, right, kind = MODELS[case]
    with pytest.raises(kind, match=text) if kind is InvalidInput else pytest.warns(kind, match=text):
        accuracy(Of(wrong), table())
    assert 0.0 <= accuracy(Of(right), table()) <= 1.0  # and no warning, which is an error here


ANSWERS = {
    "one logit": (lambda s: s[:, 1:], r"model: the output is one logit s; it is used as the logits \(0, s\)\."),
    "a dict": (lambda s: {"logits": s}, r"model: the model returns a dict; logits of it is used\."),
    "a tuple": (lambda s: (s, s.sum()), r"model: the model returns a tuple; item 0 of it is used\."),
    "probabilities": (lambda s: s.softmax(1), r"model: outputs are probabilities; their logarithm is used"),
    "labels": (lambda s: s.argmax(1), r"model: outputs are class labels, used as votes"),
    "axes of size one": (lambda s: s[:, :, None, None], None),
    "double precision": (lambda s: s.double(), None),
}


@pytest.mark.parametrize("case", ANSWERS)
@pytest.mark.filterwarnings("ignore:model has weights, and yet no gradient reaches its input")
def test_other_answers_are_read_and_it_is_said(case):
    answer, text = ANSWERS[case]
    expected = accuracy(Of(lambda s: s), table())
    with nullcontext() if text is None else pytest.warns(TrustworthyWarning, match=text):
        assert accuracy(Of(answer), table()) == expected


def test_of_an_estimator_that_is_not_fitted():
    x, y = table()
    model = LogisticRegression()
    with pytest.raises(InvalidInput, match="call fit in the factory"):
        accuracy(model, (x, y))
    assert accuracy(model.fit(x, y), (x, y)) > 0.8


def test_of_a_folder_that_another_audit_writes_into(tmp_path):
    x, y = table()
    inside, leave = threading.Event(), threading.Event()

    def slow(z):
        inside.set()
        leave.wait(30)
        return linear_of(x).eval()(z)

    first = threading.Thread(target=audited, args=(slow, (x, y), "accuracy"), kwargs={"out": tmp_path / "out"})
    first.start()
    try:
        assert inside.wait(30)
        with pytest.raises(InvalidInput, match=r"another audit is writing into .*wait until it has ended, or choose"):
            audited(linear_of(x), (x, y), "accuracy", out=tmp_path / "out")
        audited(linear_of(x), (x, y), "accuracy", out=tmp_path / "other")
    finally:
        leave.set()
        first.join()
    with suppress(TrustworthyWarning):
        audited(slow, (x, y), "accuracy", out=tmp_path / "out")


def test_of_the_place_of_a_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text("def net():\n    return 1\n\nweights = 3\n")
    for wrong, text in (
        ("own.py", "must be package.module:factory or path/to/file.py:factory"),
        ("nowhere.at.all:net", "give a .py file"),
        ("own.py:ent", "did you mean 'net'"),
        ("own.py:weights", "must be a function that returns the model"),
        ("elsewhere.py:net", "there is no file elsewhere.py"),
    ):
        with pytest.raises(TrustworthyError, match=text):
            build_model(wrong)
    assert build_model("own.py:net") == build_model("own:net") == 1
