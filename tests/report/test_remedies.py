"""Every remedy that a message names is tried: the wrong input, what is said, and the input after the remedy."""

import re
from contextlib import nullcontext

import numpy as np
import pytest
from torch import nn

from report.small_audit import Halves, audited, images, linear_of, table
from trustworthy.core.errors import InvalidInput, TrustworthyWarning
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


class Of(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.inner, self.function = linear_of(table()[0]), function

    def forward(self, x):
        return self.function(self.inner(x))


MODELS = {
    "softmax": (lambda s: s.softmax(1), "remove the final softmax", lambda s: s),
    "sigmoid": (lambda s: (s - 0.1).sigmoid(), "remove the final sigmoid", lambda s: s - 0.1),
    "one sigmoid": (lambda s: s[:, 1].sigmoid(), "remove the final sigmoid", lambda s: s),
    "no gradient": (lambda s: s.detach(), "remove no_grad.*detach", lambda s: s),
    "arrays": (lambda s: s.detach().numpy(), "remove no_grad.*NumPy", lambda s: s),
}  # fmt: skip


@pytest.mark.parametrize("case", MODELS)
def test_of_models(case):
    wrong, text, right = MODELS[case]
    with pytest.warns(TrustworthyWarning, match=text):
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
