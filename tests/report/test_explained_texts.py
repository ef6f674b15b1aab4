"""Explanations of texts: their features are the words of the texts asked about, and marks belong to none."""

import numpy as np
import pandas as pd
import torch

from trustworthy.models import WordClassifier
from trustworthy.nn.backbones import BiLSTM
from trustworthy.report.explanation.inquiry import inquire

FRAME = pd.DataFrame({"text": ["good", "a bad film", "a good good long film", "bad"] * 3, "label": ["no", "yes"] * 6})
WORDS = ("a", "good", "bad", "film", "long")


class Marked(WordClassifier):
    """With a mark in front of each text, and a second piece of its first word behind it, as tokenizers have them."""

    def __init__(self):
        torch.manual_seed(0)
        vectors = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
        super().__init__(BiLSTM(classes=2, width=4, hidden=3), WORDS, vectors)

    def embed(self, texts):
        found = super().embed(texts)
        return torch.cat([torch.ones_like(found[:, :1]), found[:, :1], found], 1)

    def word_groups(self, texts):
        found = super().word_groups(texts)
        return torch.cat([torch.full_like(found[:, :1], -1), found[:, :1], found], 1)


def test_the_groups_are_the_words_of_the_rows_that_are_asked_about():
    asked = inquire(
        Marked().eval(), FRAME, rows=[1, 3], target=None, groups=None, norm="l2", steps=1, draws=1, seed=0,
        device=torch.device("cpu"), label="label",
    )  # fmt: skip
    assert asked.words == [["a", "bad", "film"], ["bad"]]
    assert asked.groups.present.tolist() == [[True] * 3, [True, False, False]]
    free = asked.groups.free(torch.tensor([[True, False, False]] * 2))
    assert free[..., 0].int().tolist() == [[0, 1, 1, 0, 0, 0, 0]] * 2  # the longest text has five words and a mark
    assert asked.groups.free(asked.groups.present)[..., 0].sum(1).tolist() == [4, 2]
