"""The step of the audit that poisons the data, its words and its figure."""

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from report.small_audit import audited, linear_of, plan_of, table
from report.test_plots import _strokes
from trustworthy.core.errors import InvalidInput
from trustworthy.datasets import Dataset
from trustworthy.graphs import LabelPropagation
from trustworthy.report import plots
from trustworthy.report.case import Case
from trustworthy.report.finding import ALL_MODELS
from trustworthy.report.findings.poisoning import KIND, Poisoning, drawn_rows, most_confused
from trustworthy.report.plots import Style
from trustworthy.report.poisoning.rows import draw
from trustworthy.report.poisoning.split import Protocol, Split, known_rows
from trustworthy.report.poisoning.study import FIGURE, poison
from trustworthy.report.poisoning.words import answer, telling
from trustworthy.report.rows import draw_examples
from trustworthy.report.subject import examine

STEP = "robustness.poisoning"
WHOLE = plan_of([KIND], poisoning={"rows": 0}).of(KIND)


def blobs(counts=(30, 30, 30), name="blobs", shift=3.0):
    """Classes around points of a line."""
    random = np.random.default_rng(0)
    y = np.repeat(np.arange(len(counts)), counts)
    x = random.normal(size=(len(y), 2))
    x[:, 0] += shift * y
    return Dataset(name=name, task="classification", x_train=x[:0], y_train=y[:0], x_test=x, y_test=y)


def finding_of(record):
    (finding,) = (finding for finding in record.findings if finding.name == "robustness.poisoning")
    return finding


def omission_of(record):
    (omission,) = (omission for omission in record.omissions if omission.part == "robustness.poisoning")
    return omission


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    x, y = table()
    folder = tmp_path_factory.mktemp("audited")
    return folder, audited({"one": linear_of(x), "two": linear_of(x)}, (x, y), STEP, out=folder, seed=3)


def test_the_finding_is_about_the_data_and_never_about_a_model(found):
    folder, record = found
    finding = finding_of(record)
    assert finding.model == ALL_MODELS
    assert finding.verdict == "information"
    assert not finding.headline
    assert "not the audited models" in finding.statement
    assert finding.series["budgets"] == [0, 1, 2, 3]
    assert finding.value == finding.series["error"][-1] <= finding.series["bound"][-1]
    page = (folder / "report.html").read_text()
    assert "Poisoned training labels" in page
    assert finding.statement in page
    assert "no attack can pass this" in page


def test_the_flips_named_do_the_damage(found):
    x, y = table()
    _, record = found
    finding = finding_of(record)
    rows = draw(blobs_of(x, y), rows=40, seed=3)
    split = Split(rows, Protocol(labelled=10, seed=3))
    place = {number: row for row, number in enumerate(rows.numbers.tolist())}
    hidden = split.labels == -1
    told = np.where(hidden, np.nan, 2.0 * rows.y - 1.0)
    flipped = [place[number] for number in finding.conditions["flipped"]]
    assert 0 < len(flipped) <= 3
    assert not hidden[flipped].any()
    told[flipped] *= -1.0
    learner = LabelPropagation(gamma=finding.conditions["gamma"], task="regression").fit(rows.x, told)
    score = learner.transduction_[hidden]
    assert finding.value == pytest.approx(np.mean(score * (2 * rows.y[hidden] - 1) <= 0))


def blobs_of(x, y):
    return Dataset(name="arrays", task="classification", x_train=x[:0], y_train=y[:0], x_test=x, y_test=y)


def test_it_is_the_same_again_and_kept_when_the_audit_goes_on(found, monkeypatch):
    folder, record = found
    x, y = table()
    models = {"one": linear_of(x), "two": linear_of(x)}
    assert finding_of(audited(models, (x, y), STEP, seed=3)).series == finding_of(record).series
    monkeypatch.setattr(Split, "points", None)  # nothing may be measured
    assert finding_of(audited(models, (x, y), STEP, out=folder, seed=3)).series == finding_of(record).series
    saved = json.loads((folder / "findings.json").read_text())
    assert finding_of(record).series == finding_of(type(record).model_validate(saved)).series


@pytest.mark.filterwarnings("ignore:.*parts of another audit")
def test_other_training_labels_are_measured_anew(tmp_path):
    x, y = table()
    first, second = (
        finding_of(
            audited(
                linear_of(x),
                Dataset(name="d", task="classification", x_train=x, y_train=labels, x_test=x, y_test=y),
                STEP,
                out=tmp_path,
            )
        )
        for labels in (y, np.roll(y, 7))
    )
    assert first.conditions["part"] == "training"
    assert first.series != second.series


@pytest.mark.filterwarnings("ignore:all .* labels of arrays are the same")
def test_it_is_left_out_with_the_reason():
    x, y = table()
    few = omission_of(audited(linear_of(x), (x, y), STEP, poisoning={"labelled": 31, "rows": 0}))
    assert "have 60 test rows, of which 31 should be labelled" in few.reason
    assert few.model == ALL_MODELS
    single = audited(linear_of(x), (x[y == 1], y[y == 1]), STEP)
    assert "at least two classes" in omission_of(single).reason
    skipped = audited(linear_of(x), (x, y), STEP, skip=[STEP])
    assert omission_of(skipped).reason == "the plan skips it."


def test_training_rows_that_no_graph_can_take_are_an_omission():
    x, y = table()
    bad = x.copy()
    bad[3, 1] = np.nan
    for features, reason in ((bad, "NaN or infinity"), (np.ones_like(x), "rows that differ")):
        data = Dataset(name="d", task="classification", x_train=features, y_train=y, x_test=x, y_test=y)
        assert reason in omission_of(audited(linear_of(x), data, STEP)).reason


def cases_of(data, *answers):
    """A case per model; each model answers the classes it is given, row by row."""
    examples, cpu = draw_examples(data, 0, 0), torch.device("cpu")
    cases = []
    for place, answer_ in enumerate(answers):
        logits = torch.nn.functional.one_hot(torch.as_tensor(answer_), 3) * 5.0
        keys = {tuple(row.tolist()): logits[i] for i, row in enumerate(examples.x)}

        def model(x, keys=keys):
            return torch.stack([keys.get(tuple(row.tolist()), torch.zeros(3)) for row in x])

        subject = examine(f"m{place}", model, examples, batch=512, seed=0, device=cpu)
        frame = {"seed": 0, "device": cpu, "batch": 512, "resamples": 9, "level": 0.9}
        cases.append(Case(kind=KIND, subject=subject, examples=examples, dataset=data, **frame))
    return cases


def test_the_two_classes_that_all_models_together_confuse_most_are_taken():
    data = blobs((20, 30, 25))
    y = data.y_test
    first, second = y.copy(), y.copy()
    first[:6], first[50:52] = 2, 1  # six times 0 as 2, twice 2 as 1
    second[20:25] = 2  # five times 1 as 2: seven between 1 and 2, six between 0 and 2
    assert most_confused(cases_of(data, first), y) == (0, 2)
    cases = cases_of(data, first, second)
    assert most_confused(cases, y) == (1, 2)
    assert most_confused(cases, np.array([0, 2])) == (0, 2)  # a class that is not among the rows cannot be taken
    assert drawn_rows(cases, WHOLE).classes == ("1", "2")
    right = cases_of(data, y)
    assert most_confused(right, y) is None
    rows = drawn_rows(right, WHOLE)
    assert rows.classes == ("1", "2")  # the commonest
    assert len(rows.y) == 55


@pytest.mark.parametrize("seed", range(5))
def test_both_classes_are_always_among_the_known_labels(seed):
    rows = draw(blobs((98, 2)))
    known = known_rows(rows, 2, np.random.default_rng(seed))
    assert sorted(rows.y[known]) == [0, 1]
    assert len(known) == len(set(known)) == 2


def test_rows_are_standardised_and_drawn_by_the_seed():
    data = blobs()
    rows = draw(data, classes=["0", "2"], rows=31, seed=4)
    np.testing.assert_allclose(rows.x.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(rows.x.std(axis=0), 1.0)
    assert set(data.y_test[rows.numbers]) == {0, 2}
    np.testing.assert_array_equal(data.y_test[rows.numbers] == 2, rows.y == 1)
    assert draw(data, classes=["0", "2"], rows=31, seed=4).fingerprint == rows.fingerprint
    assert draw(data, classes=["0", "2"], rows=31, seed=5).fingerprint != rows.fingerprint
    constant = draw(Dataset(**{**vars(data), "x_test": data.x_test * [1.0, 0.0]}))
    assert np.isfinite(constant.x).all()
    with pytest.raises(InvalidInput, match="rows must be enough for both classes"):
        draw(blobs((500, 1)), rows=3)


def test_a_width_whose_graph_falls_apart_is_not_chosen():
    random = np.random.default_rng(0)
    x = random.normal(size=(60, 1))
    x[:30] += 6.0
    x[-1] = 60.0  # far from all: at the largest widths nothing reaches it
    y = (np.arange(60) < 30).astype(np.int64)
    data = Dataset(name="far", task="classification", x_train=x[:0], y_train=y[:0], x_test=x, y_test=y)
    for seed in range(3):
        split = Split(draw(data), Protocol(labelled=20, seed=seed))
        assert 0.0 <= split.clean_error <= 1.0  # an unreached row would be refused


CURVE = Poisoning(
    budgets=[0, 1, 2, 3], error=[0.02, 0.1, 0.5, 0.52], bound=[0.02, 0.2, 0.6, 0.7], clean=0.02, guess=0.48,
    labelled=50, baselines={"random": [0.02, 0.02, 0.03, 0.05]},
)  # fmt: skip


def changed(**values):
    return CURVE.model_copy(update=values)


def test_the_sentence_names_the_budget_that_ruins_the_learner():
    assert telling(CURVE) == 2
    assert answer(CURVE) == (
        "2 flipped labels of 50 take the error from 2.0% to 50.0%, no better than always guessing the commonest known "
        "class (48.0%); no attack with 2 flips can pass 60.0%."
    )


@pytest.mark.parametrize(
    ("curve", "sentence"),
    [
        (
            changed(guess=0.9),  # never ruined: nine tenths of the damage are done by 2 flips
            "2 flipped labels of 50 take the error from 2.0% to 50.0%; no attack with 2 flips can pass 60.0%.",
        ),
        (
            changed(clean=0.49, error=[0.49, 0.6, 0.6, 0.6]),  # worse than a guess to begin with
            "1 flipped label of 50 takes the error from 49.0% to 60.0%; no attack with 1 flip can pass 20.0%. "
            "Even without an attack the learner is no better than always guessing the commonest known class (48.0%).",
        ),
        (
            changed(changed=[0.0, 1.0, 1.5, 1.5]),  # a mean of two splits, of which one needs a single flip
            "1.5 flipped labels of 50 take the error from 2.0% to 50.0%, no better than always guessing the commonest "
            "known class (48.0%); no attack with 2 flips can pass 60.0%.",
        ),
        (
            changed(error=[0.02] * 4),
            "No attack with 3 flips was found that raises the error above 2.0%; no attack with 3 flips can pass 70.0%.",
        ),
        (
            changed(error=CURVE.bound),
            "2 flipped labels of 50 take the error from 2.0% to 60.0%, no better than always guessing the commonest "
            "known class (48.0%); no 2 flips can do worse.",
        ),
        (
            changed(budgets=[0.0], error=[0.02], bound=[0.02]),
            "Without an attack the error is 2.0%; no other budget was asked for.",
        ),
        (
            changed(flips=False, labelled=100, budgets=[0.0, 0.2, 0.8, 1.0], error=CURVE.bound, guess=0.55),
            "Moving the 100 known labels by 0.08 of their range (root mean square) takes the error from 0.020 to "
            "0.600, no better than always answering with the mean known label (0.550); no change this large can do "
            "worse.",
        ),
    ],
)
def test_the_sentence(curve, sentence):
    assert answer(curve) == sentence
    assert " (means over 3 splits)." in answer(curve, splits=3) or curve.budgets == [0.0]


def test_the_figure_shows_the_attack_the_others_and_the_bound():
    svg = str(plots.poisoning_curve("p", Style(1), CURVE))
    bold = next(points for points, look in _strokes(svg, "series-1") if "stroke-width: 2.2" in look)
    x, y = bold.T
    np.testing.assert_allclose(np.diff(x), x[1] - x[0], rtol=1e-5)
    np.testing.assert_allclose((y[0] - y) / (y[0] - y[-1]), (np.array(CURVE.error) - 0.02) / 0.5, rtol=1e-4)
    (bound,) = (points for points, look in _strokes(svg, "ink") if len(points) == 4)
    np.testing.assert_allclose(bound[:, 0], x)
    assert (bound[1:, 1] < y[1:]).all()  # above the attack
    assert "Attacked: 2.0% at 0, 10.0% at 1, 50.0% at 2, 52.0% at 3. No attack can pass 70.0% at 3." in svg
    assert "a blind guess" in svg
    assert "no attack can pass this" not in svg  # the page has the legend
    bare = changed(bound=[], baselines={}, guess=float("nan"))
    assert len(_strokes(str(plots.poisoning_curve("p", Style(1), bare)), "series-1")) == 1


def body(picture):
    return picture.partition("</style>")[2]


def test_a_picture_of_its_own_defines_every_colour_it_uses():
    picture = plots.standalone(plots.poisoning_curve("p", Style(1), CURVE, legend=True))
    used = set(re.findall(r"var\(--([\w-]+)\)", picture))
    assert used
    assert used <= set(re.findall(r"--([\w-]+):", picture))
    assert picture.count("xmlns=") == 1
    assert len(re.findall(r"(stroke|fill): #[0-9a-f]{6}; \1: var\(", picture)) == len(
        re.findall(r": var\(", body(picture))
    )


def test_figures_of_no_damage_and_of_one_budget():
    flat = changed(error=[0.0] * 4, bound=[0.0] * 4, clean=0.0)
    assert "<svg" in plots.poisoning_curve("p", Style(1), flat)
    assert "<svg" in plots.poisoning_curve("p", Style(1), changed(budgets=[0], error=[0.1], bound=[0.1], baselines={}))


def test_the_picture_of_a_study_stands_alone(tmp_path):
    poison(blobs((20, 20)), tmp_path, labelled=6, budgets=[0, 1], gamma=1.0, baselines=False, method="greedy")
    picture = (tmp_path / FIGURE).read_text()
    assert ElementTree.fromstring(picture).tag == "{http://www.w3.org/2000/svg}svg"
    assert "no attack can pass this" in picture
    assert "prefers-color-scheme: dark" in picture
