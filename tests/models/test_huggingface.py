"""Folders of Hugging Face models: the same logits as their own pipeline gives, from images in [0, 1] and embeddings."""

import json
import sys

import pytest
import torch

from trustworthy.core.errors import DataError, InvalidInput, MissingPackage
from trustworthy.models import ReadsTexts, adapt, load_model

transformers = pytest.importorskip("transformers", reason="transformers is not installed")
IMAGES = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
TEXTS = ["a good film", "bad", "a bad bad film good"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def vision(folder, **config):
    kind = transformers.ViTConfig(
        image_size=16, patch_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        **config,
    )  # fmt: skip
    model = transformers.ViTForImageClassification(kind).eval()
    model.save_pretrained(folder)
    return model


def preprocessed(folder, **settings):
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))


@pytest.mark.parametrize(
    ("settings", "pixels"),
    [
        ({"do_rescale": True, "rescale_factor": 1 / 255}, lambda x: (x - 0.5) / 0.25),
        ({"do_rescale": False}, lambda x: (255 * x - 0.5) / 0.25),
        ({"rescale_factor": 1 / 127.5, "rescale_offset": True}, lambda x: (2 * x - 1 - 0.5) / 0.25),
        ({"do_normalize": False}, lambda x: x),
    ],
)
def test_images_are_resized_and_normalised_inside_of_the_model(tmp_path, settings, pixels):
    model = vision(tmp_path, id2label={0: "cat", 1: "dog", 2: "eel"}, label2id={"cat": 0, "dog": 1, "eel": 2})
    preprocessed(tmp_path, do_resize=True, size={"height": 16, "width": 16}, image_mean=[0.5] * 3, image_std=[0.25] * 3,
                 **settings)  # fmt: skip
    loaded = load_model(tmp_path)
    assert loaded.classes == ("cat", "dog", "eel")
    assert loaded.notes == ("images of another size are resized to 16x16 inside the model",)
    for x in (IMAGES, IMAGES[..., :16, :16]):
        small = (
            x if x.shape[-1] == 16 else torch.nn.functional.interpolate(x, (16, 16), mode="bilinear", antialias=True)
        )
        expected = model(pixel_values=pixels(small)).logits
        torch.testing.assert_close(adapt(loaded.model, x).model(x), expected, atol=1e-4, rtol=1e-4)
    x = IMAGES.clone().requires_grad_()
    loaded.model(x)[:, 0].sum().backward()
    assert bool((x.grad != 0).any())


def test_without_a_preprocessor_it_is_said_and_made_up_names_are_no_names(tmp_path):
    model = vision(tmp_path)
    loaded = load_model(tmp_path)
    assert "no preprocessor_config.json" in loaded.notes[0]
    assert loaded.classes is None
    x = IMAGES[..., :16, :16]
    torch.testing.assert_close(loaded.model(x), model(pixel_values=x).logits)


def reader(folder):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "bad", "film"]
    (folder / "vocab.txt").write_text("\n".join(words))
    tokenizer = transformers.BertTokenizerFast(vocab={word: index for index, word in enumerate(words)})
    tokenizer.save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=9, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=8, num_labels=3
    )
    model = transformers.BertForSequenceClassification(config).eval()
    for weight in model.parameters():
        torch.nn.init.normal_(weight)
    model.save_pretrained(folder)
    return model, tokenizer


def test_texts_go_from_their_embeddings_on(tmp_path):
    model, tokenizer = reader(tmp_path)
    loaded = load_model(tmp_path)
    embeddings = loaded.model.embed(TEXTS)
    expected = model(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits
    torch.testing.assert_close(adapt(loaded.model, embeddings).model(embeddings), expected)
    assert "padding excepted" in loaded.notes[0]
    assert (embeddings[1] != 0).any(-1).tolist() == [True, True, True, False, False, False, False]
    embeddings.requires_grad_()
    loaded.model(embeddings)[:, 0].sum().backward()
    assert bool((embeddings.grad[0, :5] != 0).any())


def test_pieces_of_a_word_belong_together_and_marks_to_none(tmp_path):
    vocabulary = {word: index for index, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good"])}
    tokenizer = transformers.BertTokenizerFast(vocab=vocabulary | {"##ly": 7, "##ness": 8, ",": 9})
    reader(tmp_path)
    model = load_model(tmp_path).model
    model.tokenizer = tokenizer
    texts = ["A goodlyness, unheard", "good"]
    assert isinstance(model, ReadsTexts)
    assert model.words_of(texts) == [["A", "goodlyness", ",", "unheard"], ["good"]]
    assert model.word_groups(texts).tolist() == [[-1, 0, 1, 1, 1, 2, 3, -1], [-1, 0, *6 * [-1]]]
    model.tokenizer.model_max_length = 5
    assert model.words_of(texts) == [["A", "goodly"], ["good"]]


def test_a_tokenizer_that_does_not_tell_its_pieces_is_refused(tmp_path):
    reader(tmp_path)
    model = load_model(tmp_path).model
    model.tokenizer = lambda texts, **_: transformers.BatchEncoding({"input_ids": torch.ones(1, 1)})
    with pytest.raises(InvalidInput, match=r"does not say which tokens are pieces of one word; .*tokenizer.json"):
        model.words_of(["good"])


def test_a_folder_without_weights_is_refused(tmp_path):
    vision(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(DataError, match=r"transformers \S+ cannot read the folder"):
        load_model(tmp_path)


def test_weights_that_would_be_random_are_refused_and_nothing_is_printed(tmp_path, capfd):
    model = vision(tmp_path)
    capfd.readouterr()
    load_model(tmp_path)
    assert capfd.readouterr().err == ""
    del model.classifier.bias
    model.save_pretrained(tmp_path)
    with pytest.raises(DataError, match=r"lacks the weights classifier\.bias, which would be random"):
        load_model(tmp_path)


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    vision(tmp_path)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingPackage, match=r"pip install 'trustworthy\[text\]'"):
        load_model(tmp_path)
