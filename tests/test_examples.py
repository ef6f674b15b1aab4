"""Every example runs; what needs a download, training or minutes is cut down to the part that is the example's own."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_factory_of_the_fashion_example_builds_the_network_that_it_trains():
    model = runpy.run_path(str(EXAMPLES / "fashion_mnist.py"))["conv_net"]()
    assert model(torch.rand(2, 1, 28, 28)).shape == (2, 10)


def test_the_photographs_are_crops_in_the_unit_range_with_one_label_for_each_photograph():
    example = runpy.run_path(str(EXAMPLES / "imagenet_photos.py"))
    images, labels = example["photographs"]()
    assert images.shape == (35, 3, 224, 224)
    assert images.dtype == np.float32
    assert images.min() >= 0
    assert images.max() <= 1
    assert labels.reshape(7, 5).std(axis=1).max() == 0
    assert all(not np.array_equal(images[5 * k], images[5 * k + 1]) for k in range(7))


@pytest.mark.slow
def test_the_boundary_attack_fools_the_forest(capsys):
    runpy.run_path(str(EXAMPLES / "boundary_attack.py"))
    assert "examples fooled: 30 of 30, judged again: True" in capsys.readouterr().out


@pytest.mark.slow
def test_neighbours_are_sandwiched_between_bound_and_attacks(capsys):
    runpy.run_path(str(EXAMPLES / "certified_neighbors.py"), run_name="__main__")
    said = capsys.readouterr().out
    assert said.count("proved optimal for 50 of 50") == 3
    sizes = [float(line.split("lower bound ")[1].split(",")[0]) for line in said.splitlines() if "lower bound" in line]
    sizes += [float(line.split("exact ")[1].split(" ")[0]) for line in said.splitlines() if "exact" in line]
    sizes += [float(line.split()[1]) for line in said.splitlines() if line.split()[0] in ("cell-descent", "qp-greedy")]
    assert len(sizes) == 4
    assert sizes == sorted(sizes)


@pytest.mark.slow
def test_the_learned_metric_is_the_more_robust_one(capsys):
    runpy.run_path(str(EXAMPLES / "robust_metric.py"), run_name="__main__")
    rows = {line.split()[0]: float(line.split()[1]) for line in capsys.readouterr().out.splitlines()[1:]}
    assert rows["NCA"] < rows["Euclidean"] < rows["ARML"]


def test_a_few_flips_ruin_the_graph_and_none_passes_the_bound(capsys):
    runpy.run_path(str(EXAMPLES / "poison_graph.py"), run_name="__main__")
    rows = [[float(number) for number in line.split()] for line in capsys.readouterr().out.splitlines()[3:]]
    attack, blind, chance, bound = np.array(rows).T[1:]
    assert attack[0] < 0.02
    assert attack[3] > 0.5
    assert (attack <= bound).all()
    assert (blind <= bound).all()
    assert (chance <= bound).all()


@pytest.mark.slow
def test_the_promises_of_the_example_of_decisions_hold(capsys):
    runpy.run_path(str(EXAMPLES / "posterior_to_decision.py"), run_name="__main__")
    said = capsys.readouterr().out
    before, after = (float(number) for number in re.findall(r"(0\.\d+) before, (0\.\d+) after", said)[0])
    assert after < before
    assert float(re.search(r"hold (0\.\d+|1\.0+)", said)[1]) > 0.92
    share, wrong = (float(number) for number in re.findall(r"answers (0\.\d+), wrong in (0\.\d+)", said)[0])
    assert share > 0.5
    assert wrong <= 0.03


@pytest.mark.slow
def test_an_ensemble_from_a_seed_is_cheap_and_sees_better_what_is_no_digit(capsys):
    runpy.run_path(str(EXAMPLES / "ensemble_from_seed.py"))
    cost, _, model, ensemble = capsys.readouterr().out.splitlines()
    assert int(re.search(r"(\d+)%", cost)[1]) <= 10
    assert float(model.split()[-1]) < float(ensemble.split()[-1])


@pytest.mark.slow
def test_greedy_as_is_the_explanation_to_believe_by_robustness(capsys):
    runpy.run_path(str(EXAMPLES / "which_explanation.py"))
    said = capsys.readouterr().out
    assert "robustness-complement: greedy-as is best" in said
    assert "robustness: greedy-as is best" in said
    assert "The explanations depend on what the model has learned" in said
