"""A broken audit is refused with the name of the file and the remedy, and the old report stays."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from report.synthetic_audit import image_audit, table_audit
from trustworthy.core.errors import DataError
from trustworthy.report.render import render


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return image_audit(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    shutil.copytree(sound, tmp_path, dirs_exist_ok=True)
    (tmp_path / "report.html").write_text("the old report", encoding="utf-8")
    return tmp_path


def refusal(folder: Path) -> str:
    with pytest.raises(DataError, match="Run `trustworthy audit` again") as caught:
        render(folder)
    assert (folder / "report.html").read_text(encoding="utf-8") == "the old report"
    assert not list(folder.glob("*.part"))
    return str(caught.value)


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    record = json.loads((folder / "findings.json").read_text(encoding="utf-8"))
    change(record)
    (folder / "findings.json").write_text(json.dumps(record), encoding="utf-8")


def series(record: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(finding["series"] for finding in record["findings"] if finding["kind"] == kind)


@pytest.mark.parametrize("name", ["findings.json", "arrays.npz"])
def test_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert f"{folder / name} does not exist" in refusal(folder)


@pytest.mark.parametrize("name", ["findings.json", "arrays.npz"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9, 0.999])
def test_truncated_file(folder: Path, name: str, share: float) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(share * len(content))])
    assert f"{folder / name} cannot be read" in refusal(folder)


@pytest.mark.parametrize("place", [0.1, 0.3, 0.6])
def test_damaged_arrays(folder: Path, place: float) -> None:
    content = bytearray((folder / "arrays.npz").read_bytes())
    start = int(place * len(content))
    content[start : start + 400] = bytes(400)
    (folder / "arrays.npz").write_bytes(content)
    assert str(folder / "arrays.npz") in refusal(folder)


def test_a_pickle_is_not_run(folder: Path) -> None:
    arrays = dict(np.load(folder / "arrays.npz"))
    arrays["plain/original"] = arrays["plain/original"].astype(object)
    np.savez(folder / "arrays.npz", allow_pickle=True, **arrays)
    assert "cannot be read" in refusal(folder)


def test_not_an_archive(folder: Path) -> None:
    with (folder / "arrays.npz").open("wb") as stream:
        np.save(stream, np.zeros(3))
    assert "cannot be read" in refusal(folder)


def test_missing_array(folder: Path) -> None:
    arrays = dict(np.load(folder / "arrays.npz"))
    del arrays["plain/adversarial"]
    np.savez(folder / "arrays.npz", allow_pickle=False, **arrays)
    assert "arrays.npz lacks the array 'plain/adversarial'" in refusal(folder)


def test_array_with_too_few_rows(folder: Path) -> None:
    arrays = dict(np.load(folder / "arrays.npz"))
    arrays["plain/saliency"] = arrays["plain/saliency"][:3]
    np.savez(folder / "arrays.npz", allow_pickle=False, **arrays)
    assert "must have 4 rows" in refusal(folder)


@pytest.mark.parametrize(
    ("kind", "change", "expected"),
    [
        ("robustness_curve", lambda s: s.pop("eps"), "series eps: Field required"),
        ("robustness_curve", lambda s: s["worst"].pop(), "worst must have 7 entries, has 6"),
        ("robustness_curve", lambda s: s["attacks"]["PGD"].pop(), "PGD must have 7 entries, has 6"),
        ("distortion", lambda s: s["counts"].clear(), "counts must have 24 entries, has 0"),
        ("corruptions", lambda s: s["names"].append("rain"), "must have 16 entries, has 15"),
        ("calibration", lambda s: s.update(edges="wide"), "got 'wide'"),
        ("poisoning", lambda s: s["bound"].pop(), "bound must have 5 entries, has 4"),
        ("diagnosis", lambda s: s["checks"][0].pop("passed"), "checks.0.passed: Field required"),
        ("accuracy", lambda s: s["per_class"][0].pop("class"), "Field required"),
    ],
)
def test_series_that_break_the_contract(folder: Path, kind: str, change: Callable, expected: str) -> None:
    edit(folder, lambda record: change(series(record, kind)))
    message = refusal(folder)
    assert expected in message
    assert f"(kind '{kind}')" in message
    assert str(folder / "findings.json") in message


def test_pictures_without_an_array(tmp_path: Path) -> None:
    table_audit(tmp_path)
    (tmp_path / "report.html").write_text("the old report", encoding="utf-8")
    edit(tmp_path, lambda record: record["findings"][4]["arrays"].pop("adversarial"))
    assert "no array has the role 'adversarial'" in refusal(tmp_path)


def test_another_schema_version(folder: Path) -> None:
    edit(folder, lambda record: record.update(schema_version=2))
    assert "findings.json has schema version 2, this version of trustworthy reads 1" in refusal(folder)


@pytest.mark.parametrize("content", ["[]", "null", "7"])
def test_json_of_another_shape(folder: Path, content: str) -> None:
    (folder / "findings.json").write_text(content, encoding="utf-8")
    assert "findings.json has schema version None" in refusal(folder)


def test_record_that_breaks_the_schema(folder: Path) -> None:
    edit(folder, lambda record: record["findings"][0].update(verdict="splendid"))
    assert "breaks the schema: findings.0.verdict" in refusal(folder)
