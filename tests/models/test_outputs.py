"""Whatever a model returns is read as the same logits, or refused with the reason."""

import copy
from collections import namedtuple

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from trustworthy.core.errors import InvalidInput, ModelContractError
from trustworthy.core.predictive import predict
from trustworthy.core.protocols import members_of
from trustworthy.models import adapt, read
from trustworthy.nn import Ensemble, batch_ensemble

X = torch.rand(40, 3, generator=torch.Generator().manual_seed(0))
NET = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 4)).eval()
with torch.no_grad():
    for weight in NET.parameters():
        weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel())) * 2)
LOGITS = NET(X).detach()
Answer = namedtuple("Answer", ["hidden", "logits"])


class Returning(nn.Module):
    def __init__(self, then):
        super().__init__()
        self.net, self.then = NET, then

    def forward(self, x):
        return self.then(self.net(x))


@pytest.mark.parametrize(
    ("then", "said"),
    [
        (lambda z: {"hidden": z * 0, "logits": z}, "returns a dict; logits of it is used"),
        (lambda z: {"ids": z.argmax(1), "out": z}, "returns a dict; out of it is used"),
        (lambda z: (z, z * 0), "returns a tuple; item 0 of it is used"),
        (lambda z: Answer(z * 0, z), "returns a Answer; logits of it is used"),
        (lambda z: (z.argmax(1), {"logits": z}), "returns a tuple; item 1 of it is used"),
        (lambda z: z[:, :, None, None], None),
    ],
)
def test_containers_are_opened_and_it_is_said(then, said):
    adapted = adapt(Returning(then), X)
    assert torch.equal(adapted.model(X), LOGITS)
    assert [said] * (said is not None) == [note.removeprefix("the model ") for note in adapted.notes]
    x = X.clone().requires_grad_()
    adapted.model(x).sum().backward()
    assert x.grad is not None


def test_a_plain_model_stays_what_it_is():
    adapted = adapt(NET, X)
    assert adapted.model is NET
    assert (adapted.notes, adapted.gives) == ((), "probabilities")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_probabilities_become_logits_again_up_to_a_constant(dtype):
    adapted = adapt(Returning(lambda z: z.softmax(1).to(dtype)), X)
    assert "probabilities" in adapted.notes[0]
    out = adapted.model(X)
    assert out.dtype == torch.float32
    torch.testing.assert_close(
        out.softmax(1), LOGITS.softmax(1), atol=0.004 if dtype != torch.float32 else 1e-6, rtol=0
    )
    assert adapt(Returning(lambda z: z.softmax(1)), X, form="logits").notes == ()


def test_a_probability_of_zero_is_a_finite_logit():
    adapted = adapt(lambda x: torch.eye(4)[NET(x).argmax(1)], X)
    assert adapted.model.draws(1)
    (predictor,) = adapted.model.draws(1)
    assert predictor(X).isfinite().all()
    assert torch.equal(predictor(X).argmax(1), LOGITS.argmax(1))


def test_one_sigmoid_a_class_is_recognised_and_can_be_denied():
    model = Returning(torch.sigmoid)
    adapted = adapt(model, X)
    assert "one sigmoid a class" in adapted.notes[0]
    shares = LOGITS.sigmoid() / LOGITS.sigmoid().sum(1, keepdim=True)
    torch.testing.assert_close(adapted.model(X).softmax(1), shares)
    assert adapt(model, X, form="logits").model is model


def test_small_positive_logits_of_an_untrained_network_are_no_sigmoids():
    model = Returning(lambda z: 0.1 + 0.02 * torch.tanh(z))
    assert adapt(model, X).model is model


@pytest.mark.parametrize("shape", [(40,), (40, 1)])
def test_one_logit_and_one_probability_are_two_classes(shape):
    score = lambda z: (z[:, 0] - z[:, 1]).reshape(-1, *shape[1:])  # noqa: E731
    one = adapt(Returning(score), X)
    assert one.notes == ("the output is one logit s; it is used as the logits (0, s)",)
    torch.testing.assert_close(one.model(X).softmax(1)[:, 1], score(LOGITS).flatten().sigmoid())
    chance = adapt(Returning(lambda z: score(z).sigmoid()), X)
    assert "probability of class 1" in chance.notes[0]
    torch.testing.assert_close(chance.model(X).softmax(1), one.model(X).softmax(1), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_module_in_another_precision_is_asked_in_it(dtype):
    model = copy.deepcopy(NET).to(dtype)
    adapted = adapt(model, X)
    torch.testing.assert_close(adapted.model(X).float(), LOGITS, atol={torch.float64: 1e-5}.get(dtype, 0.2), rtol=0.02)
    assert adapted.model(X).dtype in (torch.float32, torch.float64)
    x = X.clone().requires_grad_()
    adapted.model(x).sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == torch.float32


def test_a_callable_on_arrays_is_asked_with_arrays():
    weights, bias = np.random.default_rng(0).normal(size=(3, 4)), np.arange(4.0)

    def on_arrays(x):
        assert isinstance(x, np.ndarray)
        return x @ weights + bias

    for model in (
        on_arrays,
        lambda x: pd.DataFrame(np.asarray(x) @ weights + bias),
        lambda x: {"scores": x.numpy() @ weights + bias},
        lambda x: torch.from_numpy(x.numpy() @ weights + bias),
    ):
        (predictor,) = adapt(model, X).model.draws(1)
        torch.testing.assert_close(predictor(X), torch.from_numpy(X.numpy() @ weights + bias))
        assert predictor(X.clone().requires_grad_()).shape == (40, 4)


def test_examples_are_left_as_they_were_by_a_model_that_writes_into_its_input():
    x = X.clone()
    adapt(lambda x: NET(x.sub_(0.5)), x)
    assert torch.equal(x, X)


def test_labels_alone_are_votes():
    for answer in (lambda x: LOGITS.argmax(1).numpy(), lambda x: LOGITS.argmax(1).double()):
        adapted = adapt(answer, X, classes=list("abcd"))
        (predictor,) = adapted.model.draws(1)
        assert torch.equal(predictor(X).argmax(1), LOGITS.argmax(1))
        assert adapted.gives == "labels"
        assert "votes" in adapted.notes[0]


def test_a_label_beyond_the_classes_is_a_class_of_its_own_and_no_right_one():
    (predictor,) = adapt(lambda x: np.array([0, 1, 9]), X[:3], classes=[0, 1]).model.draws(1)
    assert predictor(X[:3]).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize(
    ("classes", "order", "named"),
    [
        (["dog", "cat"], [2, 1, 0, 3], ("dog", "cat", "bat", "eel")),
        (["bat", "cat"], [0, 1, 2, 3], ("bat", "cat", "dog", "eel")),
        ([0, 1, 2], [0, 1, 2, 3], ("bat", "cat", "dog", "eel")),
        (None, [0, 1, 2, 3], ("bat", "cat", "dog", "eel")),
    ],
)
def test_columns_whose_names_are_known_are_put_in_the_order_of_the_data(classes, order, named):
    known = ("bat", "cat", "dog", "eel")
    adapted = adapt(NET, X, classes=classes, known=known)
    assert torch.equal(adapted.model(X), LOGITS[:, order])
    assert adapted.classes == named
    assert (adapted.model is NET) == (order == [0, 1, 2, 3])
    (votes,) = adapt(lambda x: LOGITS.argmax(1).numpy(), X, classes=classes, known=known).model.draws(1)
    assert votes(X).shape == (40, 5)
    assert torch.equal(votes(X).argmax(1), LOGITS[:, order].argmax(1))


def test_names_that_do_not_fit_are_refused():
    with pytest.raises(InvalidInput, match="has never seen the labels 'fox'"):
        adapt(NET, X, classes=["fox"], known=["bat", "cat", "dog", "eel"])
    with pytest.raises(ModelContractError, match=r"one column for each of \['a', 'b'\], got 4"):
        adapt(NET, X, known=["a", "b"])


class Two:
    """An ensemble of two, each with one logit."""

    def draws(self, count, generator=None):
        return (lambda x, sign=1 - 2 * (index % 2): sign * NET(x)[:, :1] for index in range(count))

    def modules(self):
        return [NET]


def test_each_draw_of_a_posterior_is_read():
    adapted = adapt(Two(), X)
    first, second = adapted.model.draws(2)
    torch.testing.assert_close(first(X)[:, 1], LOGITS[:, 0])
    torch.testing.assert_close(second(X)[:, 1], -LOGITS[:, 0])


def test_each_member_of_a_module_that_is_an_ensemble_is_read():
    for ensemble in (Ensemble([NET, nn.Linear(3, 4)]), batch_ensemble(NET, members=2)):
        adapted = adapt(ensemble, X.double())  # in another precision than that of the weights
        assert members_of(adapted.model) == 2
        asked = torch.stack([draw(X.double()) for draw in adapted.model.draws(2)])
        torch.testing.assert_close(asked, predict(ensemble, X).members, check_dtype=False)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_scripts_are_models_as_others_are():
    for script in (torch.jit.script(NET), torch.jit.trace(NET, X)):
        assert torch.equal(adapt(script, X).model(X), LOGITS)
    one = torch.jit.trace(Returning(lambda z: z[:, :1]), X)
    torch.testing.assert_close(adapt(one, X).model(X)[:, 1:], LOGITS[:, :1])


def test_a_compiled_module():
    compiled = torch.compile(Returning(lambda z: z[:, :1]), backend="eager")  # the others only add a compiler
    torch.testing.assert_close(adapt(compiled, X).model(X)[:, 1:], LOGITS[:, :1])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda x: "cat", "got str"),
        (lambda x: {"ids": x.argmax(1)}, "got dict"),
        (lambda x: x.sum(), r"one row of logits an example, got shape \(\)"),
        (lambda x: x[:, :, None].expand(-1, -1, 5), r"got shape \(40, 3, 5\)"),
        (lambda x: 1 / 0, "raised ZeroDivisionError on a batch of shape"),
    ],
)
def test_what_is_no_answer_is_refused(answer, said):
    with pytest.raises(ModelContractError, match=said):
        adapt(answer, X)


def test_what_is_no_model_is_refused():
    with pytest.raises(ModelContractError, match="got int"):
        adapt(3, X)
    with pytest.raises(ModelContractError, match="say 'logit' or 'probability'"):
        read(torch.rand(4, 1), form="probabilities")
    assert read(torch.rand(4, 1), form="probability").form == "probability"


def test_modes_and_the_random_stream_are_left_as_they_were():
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 1)).train()
    before = torch.get_rng_state()
    adapted = adapt(model, X)
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training
    assert model[1].training
    assert adapted.model.eval().model.training is False
