"""Audits of texts: the embeddings of their tokens are attacked, padding is held, and words reach no number."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from trustworthy import audit
from trustworthy.core.errors import InvalidInput
from trustworthy.models.huggingface import TextClassifier
from trustworthy.report.domain import texts
from trustworthy.report.findings import accuracy
from trustworthy.report.rows import draw_examples, read_data
from trustworthy.report.texts import embedded

pytestmark = pytest.mark.usefixtures("_undrawn")

WORDS = ["", "good", "bad", "film", "plot", "a"]
FRAME = pd.DataFrame({
    "review": ["a good film", "bad plot", "a good good plot", "a bad bad film", "good", "bad a"] * 5,
    "label": ["praise", "scorn"] * 15,
})  # fmt: skip


class Bag(TextClassifier):
    """Counts good and bad in a table of embeddings; a stand-in for a network of Hugging Face."""

    def __init__(self):
        torch.nn.Module.__init__(self)
        self.table = torch.nn.Embedding(len(WORDS), 4)
        self.head = torch.nn.Linear(4, 2)
        with torch.no_grad():
            self.table.weight.copy_(torch.tensor([[0.0, 0, 0, 0], [1, 0, 0, 1], [-1, 0, 0, 1], *3 * [[0, 1, 0, 1.0]]]))
            self.head.weight.copy_(torch.tensor([[2.0, 0, 0, 0], [-2, 0, 0, 0]]))
            self.head.bias.zero_()

    @torch.no_grad()
    def embed(self, texts):
        rows = [[WORDS.index(word) for word in text.split()] for text in texts]
        longest = max(map(len, rows))
        return self.table(torch.tensor([row + [0] * (longest - len(row)) for row in rows]))

    def forward(self, embeddings):
        kept = (embeddings != 0).any(-1, keepdim=True)
        return self.head((embeddings * kept).sum(1) / kept.sum(1))


def test_a_table_of_texts_is_audited_at_its_embeddings(tmp_path):
    plan = {
        "skip": ["robustness.poisoning", "robustness.distortion"],
        "attacks": {"linf": 0.5, "tried": [{"name": "PGD", "steps": 5}]},
        "diagnosis": {"rows": 5, "queries": 10}, "resamples": 50,
    }  # fmt: skip
    record = audit(Bag(), FRAME, tmp_path, label="label", profile="quick", plan=plan)
    found = {finding.name: finding for finding in record.findings}
    assert found["accuracy"].value == 1.0
    assert record.data["units"] == "standard deviations of the embeddings"
    assert record.data["classes"] == ["praise", "scorn"]
    curve = found["robustness.linf.accuracy"].series
    assert curve["worst"][0] == 1.0
    assert curve["worst"][-1] < 1.0
    assert not [omission for omission in record.omissions if omission.failed]
    assert "texts" in next(o.reason for o in record.omissions if o.part == "interpretation")


def test_padding_is_held_and_the_model_is_asked_in_its_own_units():
    model = Bag()
    examples = embedded(draw_examples(read_data(FRAME, label="label"), 0, 0), {"bag": model})
    domain, x = examples.domain, examples.x
    free = domain.free(x)
    lengths = [len(FRAME["review"][row].split()) for row in examples.rows]
    assert free[..., 0].sum(1).tolist() == lengths
    assert (free.all(-1) == free.any(-1)).all()
    torch.testing.assert_close(domain.as_given(domain.attacked(x)), x)
    torch.testing.assert_close(domain.attacked(x)[free].reshape(-1, 4), x[free].reshape(-1, 4) / domain.spread)
    assert domain.moved == int(np.median(lengths)) * 4


def test_the_radius_does_not_grow_with_the_longest_text():
    short = torch.zeros(5, 40, 8)
    short[:, :3] = torch.randn(5, 3, 8, generator=torch.Generator().manual_seed(0))
    long = short.clone()
    long[0] = torch.randn(40, 8, generator=torch.Generator().manual_seed(1))
    assert texts(short).headline("l2") == texts(long).headline("l2")


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (FRAME.assign(stars=3), "--drop stars"),
        (FRAME.assign(review=np.arange(30)), "numbers without texts|give a table"),
        (FRAME.assign(review=FRAME["review"].where(np.arange(30) != 7)), "the first in row 7"),
    ],
)
def test_other_data_than_one_column_of_texts_are_refused(frame, said):
    with pytest.raises(InvalidInput) as refused:
        audit(Bag(), frame, label="label")
    assert any(part in str(refused.value) for part in said.split("|"))


def test_another_model_beside_it_is_refused():
    with pytest.raises(InvalidInput, match="audit it alone"):
        audit({"a": Bag(), "b": Bag()}, FRAME, label="label")


def test_a_pipeline_that_begins_with_a_vectorizer_gets_texts_one_by_one():
    model = make_pipeline(CountVectorizer(token_pattern=r"\w+"), LogisticRegression())
    model.fit(FRAME["review"], FRAME["label"])
    record = audit(model, FRAME, label="label", kinds=[accuracy.KIND])
    (found,) = [finding for finding in record.findings if finding.name == "accuracy"]
    assert found.value == model.score(FRAME["review"], FRAME["label"])
    with pytest.raises(InvalidInput, match=r"one column of texts .* got 2 columns \('id', 'review'\); .*--drop COLUMN"):
        audit(model, FRAME.assign(id=1)[["id", "review", "label"]], label="label", kinds=[accuracy.KIND])
