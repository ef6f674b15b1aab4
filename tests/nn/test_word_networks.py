"""Networks of texts: rows of zeros are no words wherever they are, and the layers are those of torch."""

import pytest
import torch
from torch import nn

from trustworthy.core.errors import InvalidInput
from trustworthy.nn.backbones import BiLSTM, WordTransformer

SMALL = {"classes": 3, "width": 5, "hidden": 8}
NETWORKS = pytest.mark.parametrize("network", [BiLSTM, WordTransformer])
TYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def built(network, **given):
    torch.manual_seed(0)
    return network(**SMALL, **given).eval()


def drawn(*shape, dtype=torch.float64):
    return torch.randn(*shape, 5, generator=torch.Generator().manual_seed(1), dtype=dtype)


@NETWORKS
@TYPES
def test_zeros_before_between_and_after_the_words_change_nothing(network, dtype):
    model, words = built(network).to(dtype), drawn(2, 6, dtype=dtype)
    words[1, 4:] = 0  # a shorter text
    spread = torch.zeros(2, 15, 5, dtype=dtype)
    spread[:, [2, 3, 7, 8, 9, 12]] = words
    plain = model(words)
    assert torch.equal(model(spread), plain)
    torch.testing.assert_close(plain[1:], model(words[1:, :4]))
    assert not torch.allclose(model(words.flip(1)), plain, atol=1e-4)  # their order does


@NETWORKS
def test_gradients_reach_every_word_and_no_zero(network):
    model, x = built(network).double(), drawn(2, 5)
    x[0, 3:], x[1, 1] = 0, 0
    (gradient,) = torch.autograd.grad(model(x.requires_grad_())[:, 0].sum(), x)
    assert torch.equal((gradient != 0).any(-1), (x != 0).any(-1))
    step = 1e-6 * torch.sign(gradient)
    moved = (model(x + step)[:, 0].sum() - model(x - step)[:, 0].sum()).detach()
    torch.testing.assert_close(moved / 2e-6, gradient.abs().sum(), rtol=1e-5, atol=0)


@NETWORKS
@pytest.mark.parametrize("words", [0, 1, 4])
def test_a_text_without_a_word_gives_the_bias_and_no_gradient(network, words):
    model, x = built(network), torch.zeros(2, words, 5, requires_grad=True)
    logits = model(x)
    torch.testing.assert_close(logits, model.head.bias.expand(2, 3))
    (gradient,) = torch.autograd.grad(logits.sum(), x)
    assert not gradient.any()
    beside = torch.cat([x.detach(), drawn(1, words, dtype=torch.float32)])
    torch.testing.assert_close(model(beside)[:2], logits)
    assert model(beside[:0]).shape == (0, 3)


def test_the_lstm_reads_from_both_ends_as_that_of_torch():
    model, x = built(BiLSTM).double(), drawn(3, 7)
    both = nn.LSTM(5, 8, batch_first=True, bidirectional=True).double()
    parts = model.onward.state_dict() | {f"{name}_reverse": value for name, value in model.back.state_dict().items()}
    both.load_state_dict(parts)
    torch.testing.assert_close(model(x), model.head(both(x)[0].amax(1)))


def test_a_layer_of_the_transformer_is_that_of_torch():
    model, inner = built(WordTransformer).double(), drawn(3, 7)[..., :1] * torch.arange(1.0, 9.0, dtype=torch.float64)
    layer, seen = model.layers[0], torch.ones(3, 7, dtype=torch.bool)
    seen[1, 4:] = False
    own = nn.TransformerEncoderLayer(8, 4, 16, 0.0, "gelu", batch_first=True, norm_first=True).double()
    named = {
        "norm1": layer.norm, "norm2": layer.each[0], "linear1": layer.each[1], "linear2": layer.each[3],
        "self_attn.out_proj": layer.answer,
    }  # fmt: skip
    weights = {f"{name}.{key}": value for name, part in named.items() for key, value in part.state_dict().items()}
    asked = {f"self_attn.in_proj_{key}": value for key, value in layer.asked.state_dict().items()}
    own.load_state_dict(weights | asked)
    expected = own(inner, src_key_padding_mask=~seen)
    torch.testing.assert_close(layer(inner, seen)[seen], expected[seen])


@NETWORKS
def test_training_reaches_every_weight_and_dropout_is_off_after_it(network):
    model, x = built(network, dropout=0.5), drawn(4, 6, dtype=torch.float32)
    before = model(x)
    model.train()(x).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in model.parameters())
    torch.testing.assert_close(model.eval()(x), before)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: BiLSTM(classes=1), "classes must be >= 2, got 1"),
        (lambda: BiLSTM(classes=2, width=0), "width must be >= 1, got 0"),
        (lambda: BiLSTM(classes=2, hidden=0), "hidden must be >= 1, got 0"),
        (lambda: BiLSTM(classes=2, dropout=1.5), "dropout must be .* got 1.5"),
        (lambda: WordTransformer(classes=1), "classes must be >= 2, got 1"),
        (lambda: WordTransformer(classes=2, layers=0), "layers must be >= 1, got 0"),
        (lambda: WordTransformer(classes=2, hidden=30), r"hidden must be even and a multiple of heads \(4\), got 30"),
        (lambda: WordTransformer(classes=2, hidden=9, heads=3), "hidden must be even"),
    ],
)
def test_bad_sizes_are_refused(build, said):
    with pytest.raises(InvalidInput, match=said):
        build()
