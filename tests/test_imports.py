"""What starts without torch, in one fresh process: a light command, the data sets, neighbours and graphs."""

import subprocess
import sys

SCRIPT = """
import sys
import trustworthy.cli.data
assert "numpy" not in sys.modules
from trustworthy import datasets
datasets.load("wine")
assert "torch" not in sys.modules, "trustworthy.datasets"
import trustworthy.neighbors
assert "torch" not in sys.modules, "trustworthy.neighbors"
import trustworthy.report.poisoning.study
assert "torch" not in sys.modules, "trustworthy.report.poisoning.study"
"""


def test_no_torch_is_loaded_where_none_is_needed():
    done = subprocess.run([sys.executable, "-W", "error", "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
