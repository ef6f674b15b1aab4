"""What metric-learn itself gives where Tables 3.4 to 3.6 differ: 1-NN errors of its LMNN and NCA, and of its LFDA.

metric-learn 0.7 does not run beside the scikit-learn of this project, so that it takes three steps:

    PYTHONPATH=. .venv/bin/python benchmarks/metric_learn_peer.py rows.npz
    python3 -m venv peer && peer/bin/pip install metric-learn==0.7.0 scikit-learn==1.3.2 "scipy<1.12" "numpy<2"
    peer/bin/python benchmarks/metric_learn_peer.py rows.npz

The first writes the rows of the tables, the last measures on them (some minutes) and writes the record.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np

RECORD = Path(__file__).parent / "records" / "metric_learn_peer.json"
DATA = ("pendigits", "satimage")
PARTS = ("x_train", "y_train", "x_test", "y_test")


def export(file: Path) -> None:
    from reproduce.data import prepared

    splits = {name: prepared(name) for name in DATA}
    np.savez(file, **{f"{name}.{part}": getattr(split, part) for name, split in splits.items() for part in PARTS})


def measure(file: Path) -> None:
    from metric_learn import LFDA, LMNN, NCA
    from sklearn.neighbors import KNeighborsClassifier

    works = [
        ("pendigits", "LMNN()", LMNN(), None),
        ("pendigits", "NCA(max_iter=100), 5,000 rows", NCA(max_iter=100), 5000),
        ("satimage", "LFDA()", LFDA(), None),
        ("satimage", "LFDA(k=7, embedding_type='plain')", LFDA(k=7, embedding_type="plain"), None),
    ]
    errors = {}
    with np.load(file) as rows:
        for name, what, learner, limit in works:
            x, y, x_test, y_test = (rows[f"{name}.{part}"] for part in PARTS)
            learner.fit(x[:limit], y[:limit])
            nearest = KNeighborsClassifier(1).fit(learner.transform(x), y)
            errors[f"{name}, {what}"] = round(1 - nearest.score(learner.transform(x_test), y_test), 4)
            print(f"{name}, {what}: {errors[f'{name}, {what}']}", flush=True)
    versions = {name: importlib.metadata.version(name) for name in ("metric-learn", "scikit-learn", "numpy", "scipy")}
    RECORD.write_text(json.dumps({"versions": versions, "clean_1nn_error_on_test_rows": errors}, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    (measure if importlib.util.find_spec("metric_learn") else export)(Path(sys.argv[1]))
