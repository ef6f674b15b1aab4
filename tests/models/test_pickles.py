"""Files of estimators: what is loaded answers as what was saved, and every refusal says what to do, which is tried."""

import importlib
import pickle
import sys
import warnings

import joblib
import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from trustworthy.core.errors import DataError, InvalidInput, MissingPackage, TrustworthyWarning
from trustworthy.models import EstimatorScores, load_model

X, Y = load_iris(return_X_y=True)
ROWS = torch.from_numpy(X)
MODEL = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(X, Y)


def dump_pickle(model, path):
    path.write_bytes(pickle.dumps(model))


def compressed(model, path):
    joblib.dump(model, path, compress=3)


@pytest.mark.parametrize(
    ("name", "dump"),
    [("m.joblib", joblib.dump), ("m.pkl", dump_pickle), ("m.PICKLE", dump_pickle), ("m.joblib", compressed)],
)
def test_pickles_are_loaded_with_trust_and_answer_alike(tmp_path, name, dump):
    dump(MODEL, tmp_path / name)
    with pytest.raises(InvalidInput, match=r"can run any code that its writer put into it.*add --trust"):
        load_model(tmp_path / name)
    loaded = load_model(str(tmp_path / name), trust=True)
    assert torch.equal(EstimatorScores(loaded.model)(ROWS), EstimatorScores(MODEL)(ROWS))
    assert (loaded.name, loaded.source) == ("m", str(tmp_path / name))


def test_without_trust_no_code_of_the_file_runs(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (exec, (f"open({str(tmp_path / 'ran')!r}, 'w').close()",))

    dump_pickle(Bomb(), tmp_path / "m.pkl")
    with pytest.raises(InvalidInput):
        load_model(tmp_path / "m.pkl")
    assert not (tmp_path / "ran").exists()


def test_skops_needs_no_trust_for_what_it_knows_and_lists_what_it_does_not(tmp_path):
    io = pytest.importorskip("skops.io", reason="skops is not installed")
    io.dump(MODEL, tmp_path / "m.skops")
    assert torch.equal(EstimatorScores(load_model(tmp_path / "m.skops").model)(ROWS), EstimatorScores(MODEL)(ROWS))
    own = make_pipeline(FunctionTransformer(np.abs), DecisionTreeClassifier(random_state=0)).fit(X, Y)
    own.steps[0][1].func = _twice
    io.dump(own, tmp_path / "own.skops")
    with pytest.raises(InvalidInput, match=r"needs types that can run code: .*_twice.*add --trust"):
        load_model(tmp_path / "own.skops")
    loaded = load_model(tmp_path / "own.skops", trust=True)
    assert torch.equal(EstimatorScores(loaded.model)(ROWS), EstimatorScores(own)(ROWS))
    (tmp_path / "bad.skops").write_bytes(b"PK garbage")
    with pytest.raises(DataError, match="cut short, of another kind"):
        load_model(tmp_path / "bad.skops")


def _twice(x):
    return 2 * x


def test_another_version_is_told_once_with_both_and_what_to_install(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        for module in ("sklearn.base",):
            patch.setattr(f"{module}.__version__", "1.2.0")
        dump_pickle(MODEL, tmp_path / "m.pkl")  # three estimators, each with the version
    with warnings.catch_warnings(record=True) as plain:
        warnings.simplefilter("always")
        pickle.loads((tmp_path / "m.pkl").read_bytes())
    assert sum(issubclass(one.category, InconsistentVersionWarning) for one in plain) > 1
    with pytest.warns(TrustworthyWarning) as given:
        load_model(tmp_path / "m.pkl", trust=True)
    import sklearn

    assert len(given) == 1
    assert f"scikit-learn 1.2.0 and is read with {sklearn.__version__}" in str(given[0].message)
    assert "pip install scikit-learn==1.2.0" in str(given[0].message)


def test_a_version_that_cannot_be_read_any_more_is_named_from_the_file(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("sklearn.base.__version__", "0.24.2")
        for protocol in (2, 5):
            (tmp_path / f"m{protocol}.pkl").write_bytes(
                pickle.dumps(MODEL, protocol=protocol).replace(b"LogisticRegression", b"LogisticRegressioX")
            )
    for protocol in (2, 5):
        with pytest.raises(
            DataError, match=r"written with scikit-learn 0\.24\.2 and cannot .*scikit-learn==0\.24\.2, "
        ):
            load_model(tmp_path / f"m{protocol}.pkl", trust=True)


def test_a_module_of_the_users_own_is_found_beside_the_file(tmp_path, monkeypatch):
    (tmp_path / "my_steps.py").write_text("def half(x):\n    return x / 2\n")
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        half = importlib.import_module("my_steps").half
        own = make_pipeline(FunctionTransformer(half), DecisionTreeClassifier()).fit(X, Y)
        dump_pickle(own, tmp_path / "m.pkl")
    del sys.modules["my_steps"]
    assert EstimatorScores(load_model(tmp_path / "m.pkl", trust=True).model)(ROWS).shape == (150, 3)
    # As a script writes it that defines `half` itself; the remedy, a module of its own, is the file above.
    (tmp_path / "main.pkl").write_bytes((tmp_path / "m.pkl").read_bytes().replace(b"my_steps", b"__main__"))
    with pytest.raises(DataError, match="the script which wrote it defined itself"):
        load_model(tmp_path / "main.pkl", trust=True)


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "m.skops").write_bytes(b"PK")
    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(MissingPackage, match=r"pip install 'trustworthy\[skops\]'"):
        load_model(tmp_path / "m.skops")
