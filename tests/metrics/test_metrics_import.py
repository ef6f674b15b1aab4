from __future__ import annotations

import subprocess
import sys

import trustworthy.metrics


def test_importing_the_metrics_and_the_data_sets_loads_no_heavy_library():
    code = (
        "import sys, trustworthy.metrics; print(*{'torch', 'scipy', 'sklearn', 'skimage'} & set(sys.modules))\n"
        "import trustworthy.datasets; print(*{'torch', 'pandas', 'sklearn', 'PIL.Image'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_public_name_exists_once_and_is_documented():
    names = trustworthy.metrics.__all__
    assert len(set(names)) == len(names)
    assert all(getattr(trustworthy.metrics, name).__doc__ for name in names)
