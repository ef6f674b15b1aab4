"""The example runs, and certifies more by linear bounds than by intervals."""

import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "certify_network.py"


@pytest.mark.slow
def test_the_example_ranks_linear_bounds_above_intervals(capsys):
    runpy.run_path(str(EXAMPLE))
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    medians = {name: [float(row[-1]) for row in rows if row[0] == name] for name in ("interval", "crown", "smoothing")}
    assert all(len(found) == 2 for found in medians.values())
    assert all(tight > 3 * loose for tight, loose in zip(medians["crown"], medians["interval"], strict=True))
    assert medians["crown"][1] > medians["crown"][0]
