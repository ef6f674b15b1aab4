"""Words with their network: texts become vectors, folders give the same model back, and pieces find their words."""

import numpy as np
import pandas as pd
import pytest
import torch

from trustworthy import audit
from trustworthy.attacks import PGD
from trustworthy.core.errors import InvalidInput, ModelContractError
from trustworthy.models import ReadsTexts, Recipe, WordClassifier, load_model, save_posterior, split_words
from trustworthy.nn.backbones import BiLSTM
from trustworthy.report.findings import accuracy

WORDS = ("a", "good", "bad", "film", "été")
VECTORS = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
TEXTS = ["A good, GOOD film!", "bad", "what_was Été it"]
LSTM = Recipe("trustworthy.nn.backbones:BiLSTM", {"classes": 2, "width": 4, "hidden": 3})


def reader(**given):
    torch.manual_seed(0)
    return WordClassifier(BiLSTM(classes=2, width=4, hidden=3), WORDS, VECTORS, **given).eval()


def test_known_words_become_vectors_in_their_order():
    model = reader(max_words=3)
    assert split_words(TEXTS[2]) == ["what_was", "été", "it"]
    assert model.words_of(TEXTS) == [["a", "good", "good"], ["bad"], ["été"]]
    assert model.word_groups(TEXTS).tolist() == [[0, 1, 2], [0, -1, -1], [0, -1, -1]]
    embedded = model.embed(TEXTS)
    np.testing.assert_array_equal(embedded[0], VECTORS[[0, 1, 1]])
    np.testing.assert_array_equal(embedded[1], [VECTORS[2], np.zeros(4), np.zeros(4)])
    torch.testing.assert_close(model(embedded)[1:2], model(model.embed(TEXTS[1:2])))
    assert isinstance(model, ReadsTexts)
    assert not isinstance(model.network, ReadsTexts)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_folder_gives_the_words_and_the_answers_back_without_trust(tmp_path, dtype):
    model = reader(max_words=2, class_names=("no", "yes")).to(dtype)
    noisy = Recipe(LSTM.factory, LSTM.options, (("add_noise", {}),))
    model.network = noisy.build().to(dtype)
    save_posterior(model, tmp_path / "kept", model.recipe(noisy), {"epochs": 3})
    loaded = load_model(tmp_path / "kept")
    assert (loaded.classes, loaded.about) == (("no", "yes"), {"epochs": 3})
    assert loaded.model.words_of(TEXTS) == model.words_of(TEXTS)
    x = loaded.model.embed(TEXTS)
    assert x.dtype == dtype
    assert torch.equal(x, model.embed(TEXTS))
    assert torch.equal(loaded.model.network.head.weight, model.network.head.weight)


def test_a_network_of_others_is_not_built_inside_of_it(tmp_path):
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    model = reader()
    with pytest.raises(ModelContractError, match=r"own.py:net is code .*trust=True"):
        save_posterior(model, tmp_path / "kept", model.recipe(Recipe(f"{tmp_path / 'own.py'}:net")))
    assert not (tmp_path / "ran").exists()


def test_an_attack_moves_words_and_leaves_padding():
    model = reader()
    x = model.embed(TEXTS)
    y = model(x).argmax(1)
    found = PGD(eps=8.0, norm="l2", steps=20, bounds=None)(
        model, x, y, free=(x != 0).any(-1, keepdim=True).expand_as(x)
    )
    assert found.success.any()
    assert not found.adversarial[x == 0].any()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: reader().embed(["good", "zzz qqq"]), r"knows 5, 'a' among them\), and text 1 of 2 .*'zzz qqq', has"),
        (lambda: reader().embed("good film"), "texts must be a list of texts, got one, 'good film'; put it into"),
        (lambda: reader().word_groups([""]), "text 0 of 1 .* has none; leave it out"),
        (lambda: WordClassifier(torch.nn.Identity(), ["a", "a"], VECTORS[:2]), "2 words, 1 of them different, and 2"),
        (lambda: WordClassifier(torch.nn.Identity(), ["a"], VECTORS), "1 words, 1 of them different, and 5 v"),
        (lambda: WordClassifier(torch.nn.Identity(), [], VECTORS[:0]), "got 0 words"),
        (lambda: WordClassifier(torch.nn.Identity(), WORDS, 0 * VECTORS), "that of 'a' is; leave these 5 words out"),
        (lambda: reader(max_words=0), "max_words must be >= 1, got 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(make, said):
    with pytest.raises(InvalidInput, match=said):
        make()


def test_an_audit_reads_its_folder(tmp_path):
    model = reader()
    save_posterior(model, tmp_path, model.recipe(LSTM))
    frame = pd.DataFrame({"text": ["a good film", "bad film", "good", "a bad"], "label": [1, 0, 1, 0]})
    record = audit(load_model(tmp_path).model, frame, label="label", kinds=[accuracy.KIND])
    (found,) = [finding for finding in record.findings if finding.name == "accuracy"]
    assert found.value == float((model(model.embed(list(frame["text"]))).argmax(1).numpy() == frame["label"]).mean())
