import numpy as np
import pytest
import torch
from reproduce.ch7 import texts

from trustworthy.datasets import news
from trustworthy.models import load_model, save_posterior

WORDS = ("oil", "gold", "ship", "sea", "bank", "rate")
HEAD = "Category\tText\nd\tstring\nclass\t\n"


@pytest.mark.parametrize("network", ["bilstm", "transformer"])
def test_a_classifier_learns_from_files_and_is_kept_and_saved(tmp_path, monkeypatch, network):
    monkeypatch.setenv("TRUSTWORTHY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TRUSTWORTHY_DATA", str(tmp_path))
    random = np.random.default_rng(0)
    for part, count in (("train", 128), ("test", 40)):
        labels = random.integers(2, size=count)
        rows = [f"{news.R8[label]}\t{' '.join(random.choice(WORDS[3 * label :][:3], 4))} zz\n" for label in labels]
        (tmp_path / f"reuters-r8-{part}.tab").write_text(HEAD + "".join(rows))
    lines = [f"{word} {' '.join(map(str, random.normal(size=50).round(2)))}\n" for word in WORDS]
    (tmp_path / "glove.6B.50d.txt").write_text("".join(lines))
    spec = texts.Spec(data="reuters-r8", network=network, words=3, epochs=8)
    reader = texts.trained(spec)
    assert reader.accuracy == 1.0
    assert (set(reader.model.words), reader.model.max_words) == (set(WORDS), 3)
    again = texts.trained(spec)
    assert (again.accuracy, again.seconds) == (reader.accuracy, reader.seconds)
    save_posterior(again.model, tmp_path / "kept", again.recipe)
    loaded = load_model(tmp_path / "kept")
    x = reader.model.embed(texts.texts(spec).test)
    assert loaded.classes == news.R8
    assert torch.equal(loaded.model(x), reader.model(x))
