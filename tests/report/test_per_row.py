"""`rows.parquet`: what each row was answered and what it took to break it; the findings follow from it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pyarrow import parquet
from torch import nn

from report.small_audit import Halves, audited, images, linear_of, table
from report.toys import LOGIT, MEASURED, TOYS
from trustworthy.core import extras
from trustworthy.core.errors import DataError, MissingPackage
from trustworthy.report import per_row
from trustworthy.report.audit import audit
from trustworthy.report.findings import KINDS, OF_FINDING
from trustworthy.report.saved import read_record

pytestmark = pytest.mark.usefixtures("_undrawn")


@pytest.fixture(autouse=True)
def _without_page(monkeypatch):
    monkeypatch.setattr("trustworthy.report.audit.render", lambda folder: None)


def models():
    model = linear_of(table(30)[0]).eval()
    return {"a": model, "b": nn.Sequential(model, Turned())}


class Turned(nn.Module):
    """Logits with their signs turned."""

    def forward(self, logits):
        return -logits


def toys(out, **given):
    return audit(models(), table(30), out, **{"kinds": TOYS, "limit": 20, **given})


def test_every_row_of_every_model_is_there_with_what_the_kinds_measured(tmp_path):
    toys(tmp_path)
    x, y = table(30)
    written = parquet.read_table(tmp_path / "rows.parquet").to_pylist()
    assert [row["model"] for row in written] == ["a"] * 20 + ["b"] * 20
    assert len({row["row"] for row in written}) == 20
    for row in written:
        logits = models()[row["model"]](torch.tensor(x[[row["row"]]])).detach()[0].double()
        assert (row["class"], row["predicted"]) == (str(y[row["row"]]), str(int(logits.argmax())))
        assert row["right"] == (row["class"] == row["predicted"])
        assert row["confidence"] == pytest.approx(float(logits.softmax(0).max()), rel=1e-5)
        assert row["logit"] == (pytest.approx(float(logits.max()), rel=1e-5) if row["right"] else None)


def test_a_resumed_audit_has_them_though_nothing_is_measured_again(tmp_path):
    toys(tmp_path)
    first = parquet.read_table(tmp_path / "rows.parquet")
    (tmp_path / "rows.parquet").unlink()
    MEASURED.clear()
    toys(tmp_path)
    assert MEASURED == []
    assert parquet.read_table(tmp_path / "rows.parquet").equals(first)


def test_they_are_neither_among_the_findings_nor_among_the_arrays(tmp_path):
    toys(tmp_path)
    assert "/rows/" not in (tmp_path / "findings.json").read_text()
    with np.load(tmp_path / "arrays.npz") as arrays:
        assert sorted(arrays.files) == ["a/size", "b/size"]


def test_a_column_that_one_model_lacks_is_empty_there(tmp_path):
    def of_one(case, settings):
        measured = LOGIT.measure(case, settings)
        return measured if case.subject.name == "b" else replace(measured, rows={})

    toys(tmp_path, kinds=[replace(LOGIT, measure=of_one)])
    columns = per_row.read(tmp_path, read_record(tmp_path))
    assert np.isnan(columns["a"]["logit"]).all()
    assert np.array_equal(~np.isnan(columns["b"]["logit"]), columns["b"]["right"])


def test_rows_of_another_audit_or_broken_ones_are_not_read(tmp_path):
    toys(tmp_path / "one")
    toys(tmp_path / "two", limit=10)
    record = read_record(tmp_path / "one")
    assert set(per_row.read(tmp_path / "one", record)) == {"a", "b"}
    with pytest.raises(DataError, match="is of another audit"):
        per_row.read(tmp_path / "two", record)
    with pytest.raises(DataError, match="does not exist"):
        per_row.read(tmp_path, record)
    (tmp_path / "one" / "rows.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="cannot be read"):
        per_row.read(tmp_path / "one", record)


def test_without_pyarrow_there_are_none_not_even_those_of_before(tmp_path, monkeypatch):
    toys(tmp_path)

    def missing(module):
        raise ImportError(f"no {module}")

    monkeypatch.setattr(extras.importlib, "import_module", missing)
    with pytest.raises(MissingPackage, match=r"pip install 'trustworthy\[data\]'"):
        per_row.read(tmp_path, read_record(tmp_path))
    per_row.write(tmp_path, read_record(tmp_path), {"a": {}})
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["arrays.npz", "findings.json"]


def values_follow(folder, record):
    """The columns, all in the guide, and the names of the findings that say how their value follows from them."""
    columns, names = per_row.read(folder, record), []
    guide = (Path(__file__).parents[2] / "docs" / "findings.md").read_text().split("## rows.parquet")[1]
    assert [name for name in next(iter(columns.values())) if f"`{name}`" not in guide] == []
    for finding in record.findings:
        of_rows = OF_FINDING[finding.name].findings[finding.name].rows
        if of_rows is not None:
            statistic, arrays = of_rows(finding, columns[finding.model])
            tried = ~np.isnan(np.asarray(arrays[0], float))
            assert statistic(*(array[tried] for array in arrays)) == pytest.approx(finding.value, rel=1e-9, abs=1e-12)
            names.append(finding.name)
    return columns, names


def test_the_values_of_images_follow_from_the_rows(tmp_path):
    left_out = ("robustness.pictures", "evaluation.diagnosis", "interpretation", "interpretation.explanation")
    steps = [kind.step for kind in KINDS if kind.about == "model" and kind.step not in left_out]
    quick = {"linf": {"multiples": [1.0]}, "l2": {"multiples": [1.0]}, "distortion": {"rows": 4}}
    attacks = {"linf": 0.02, "l2": 0.1}
    x, y = images(16)
    y[:3] = 1 - y[:3]
    record = audited({"a": Halves()}, (x, y), *steps, out=tmp_path, attacks=attacks, **quick)
    columns, names = values_follow(tmp_path, record)
    assert set(names) == {
        "accuracy", "accuracy.balanced", "robustness.linf.accuracy", "robustness.l2.accuracy",
        "robustness.corruptions", "uncertainty.ece", "uncertainty.nll", "uncertainty.brier", "uncertainty.aurc",
        "uncertainty.auroc", "uncertainty.aupr",
    }  # fmt: skip
    rows = columns["a"]
    assert rows["right"].sum() == 13
    assert (rows["broken_linf"][~rows["right"]] == 0.0).all()
    assert (rows["broken_linf"][rows["right"]] > 0.0).all()
    assert np.isinf(rows["broken_linf"]).any()
    tried = rows["right"] & ~np.isnan(rows["distance_l2"])
    assert tried.sum() == 4
    assert np.isnan(rows["corrupted"]).sum() == 10


@pytest.mark.parametrize("smoothing", [0, 50])
def test_proved_radii_are_those_of_the_certificates(tmp_path, smoothing):
    module, steps = nn.Linear(5, 2), ("accuracy", "robustness.certificate")
    with torch.no_grad():
        module.weight[0], module.weight[1] = 0.0, linear_of(table()[0]).weight
        module.bias[:] = torch.tensor([0.0, linear_of(table()[0]).bias])
    changes = {"certificate": {"smoothing": smoothing}, "attacks": {"linf": 0.05, "l2": 0.1}}
    columns, names = values_follow(tmp_path, audited(module, table(20), *steps, out=tmp_path, **changes))
    proved = ["robustness.linf.certified", "robustness.l2.certified", *["robustness.l2.smoothed"] * bool(smoothing)]
    assert names == ["accuracy", "accuracy.balanced", *proved]
    rows = columns["model"]
    assert (rows["certified_l2"][~rows["right"]] == 0.0).all()
    # A linear model loses eps times the dual norm of its slope; the attacked units are standard deviations.
    x = table(20)[0].astype(np.float64)
    slope, offset = (part.detach()[1].double().numpy() for part in (module.weight, module.bias))
    exact = (np.abs(x @ slope + offset) / np.linalg.norm(slope * x.std(0)))[rows["row"]][rows["right"]]
    assert (rows["certified_l2"][rows["right"]] <= exact).all()
    assert rows["certified_l2"][rows["right"]] == pytest.approx(exact, rel=2e-3)


def test_who_goes_to_a_human_is_said_where_the_rows_suffice_to_say_it(tmp_path):
    model, steps = linear_of(table()[0]), ("accuracy", "uncertainty.selective")
    record = audited(model, table(), *steps, out=tmp_path)
    rows = per_row.read(tmp_path, record)["model"]
    (area,) = (f for f in record.findings if f.name == "uncertainty.aurc")
    assert np.array_equal(rows["to_human"], rows["confidence"] < area.series["threshold"])
    few = audited(model, table(12), *steps, out=tmp_path / "few")
    assert "to_human" not in per_row.read(tmp_path / "few", few)["model"]
