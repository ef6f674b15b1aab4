"""`trustworthy benchmark uncertainty` on a folder of pairs, and mistakes in its options."""

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from trustworthy.cli.main import app
from trustworthy.report.benchmark.record import BenchmarkRecord


def run(*arguments):
    return CliRunner().invoke(app, ["benchmark", "uncertainty", *map(str, arguments)], env={"COLUMNS": "140"})


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    """Eight pairs of 8-bit images, two of which have a bright square that the mask marks."""
    folder, random = tmp_path_factory.mktemp("slides"), np.random.default_rng(0)
    for part in ("source", "target", "mask"):
        (folder / part).mkdir()
    for number in range(8):
        source = random.integers(60, 120, size=(16, 16), dtype=np.uint8)
        mask = np.zeros_like(source)
        mask[4:9, 5:10] = 255 * (number < 2)
        images = {"source": np.maximum(source, mask), "target": 255 - source, "mask": mask}
        for part, image in images.items():
            Image.fromarray(image).save(folder / part / f"{number}.png")
    return folder


def test_a_folder_of_pairs_is_a_suite(slides, tmp_path):
    result = run("--suite", slides, "--profile", "smoke", "--methods", "single,naive", "--seeds", 1, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    record = BenchmarkRecord.model_validate_json((tmp_path / "benchmark.json").read_text())
    assert [run.method for run in record.runs] == ["single", "naive"]
    assert "5 pairs train, 1 test; too few for conformal maps" in record.trials["pairs"].says
    found = record.values("pairs", "foreign", "partial_auroc")
    (naive,) = (line.split() for line in result.stdout.splitlines() if line.split()[:1] == ["naive"])
    assert naive[1] == f"{found['naive'][0]:.3f}"
    assert naive[-1] == "2×"
    assert "pairs: naive, seed 0 ..." in result.stderr
    assert f"report: {tmp_path}/report.html" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("--suite", "slides"),
            "suite must be cells, pairs, classification or a folder that holds source/ and target/",
        ),
        (("--suite", "classification", "--methods", "naive,fst"), "unknown method 'fst'; did you mean 'fast'?"),
        (("--suite", "."), "there is no folder source"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments, "--out", "out")
    assert result.exit_code == 2
    assert says in result.stderr
    assert not (tmp_path / "out").exists()
