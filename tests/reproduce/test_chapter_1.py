import dataclasses

import numpy as np
import pytest
from reproduce.ch1 import data, figure_1_1, poison
from reproduce.claim import find
from reproduce.plots import draw
from reproduce.runner import NotRun, Setting, run
from reproduce.store import store


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of the user's files, and an empty cache."""
    monkeypatch.setenv("TRUSTWORTHY_DATA", str(tmp_path / "files"))
    monkeypatch.setenv("TRUSTWORTHY_CACHE", str(tmp_path / "cache"))
    (tmp_path / "files").mkdir()
    data.prepared.cache_clear()
    yield tmp_path / "files"
    data.prepared.cache_clear()


def test_what_no_package_carries_is_not_run_and_read_where_its_files_are(folder):
    for name in ("rcv1", "e2006"):
        with pytest.raises(NotRun, match=f"{name} is in no package registry"):
            data.prepared(name, 0)
    (folder / "rcv1_train.binary").write_text("1 1:0.5 47236:1\n-1 2:0.25\n")
    rows = data.prepared("rcv1", 0)
    assert rows.x.shape == (2, 47_236)
    assert rows.x.toarray()[:, [0, 1, -1]].tolist() == [[5.0, 0.0, 10.0], [0.0, 2.5, 0.0]]
    assert rows.y.tolist() == [1, 0]
    assert rows.width == 47_236


def test_e2006_joins_both_parts_and_leaves_out_values_far_off(folder):
    (folder / "E2006.train").write_text("".join(f"{value} 1:{value}\n" for value in [1, 2] * 10))
    (folder / "E2006.test").write_text("3 2:1\n100 2:1\n")
    rows = data.prepared("e2006", 0)
    assert rows.x.shape == (21, 150_360)
    assert sorted(set(rows.y)) == [0.0, 0.5, 1.0]
    assert rows.x.toarray()[:, :2].max() == 20.0
    assert rows.width == 2


def test_cadata_is_a_sample_in_standard_deviations_with_values_in_the_unit_interval(folder, monkeypatch):
    random = np.random.RandomState(0)
    np.savez(folder / "cadata.npz", x=random.uniform(5, 9, (40, 8)), y=random.uniform(1e4, 5e5, 40))
    monkeypatch.setattr(data, "DISTRICTS", 30)
    monkeypatch.setattr(
        data.datasets, "load", lambda name: _Parts(**np.load(folder / "cadata.npz")) if name == "cadata" else None
    )
    first, second = data.prepared("cadata", 0), data.prepared("cadata", 1)
    assert first.x.shape == (30, 8)
    np.testing.assert_allclose(first.x.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(first.x.std(axis=0), 1.0)
    assert (first.y.min(), first.y.max()) == (0.0, 1.0)
    assert not np.allclose(first.x, second.x)


class _Parts:
    source = "local: somewhere/cadata.npz"

    def __init__(self, x, y):
        self.x_train, self.y_train, self.x_test, self.y_test = x[:30], y[:30], x[30:], y[30:]


def test_a_split_marks_all_but_so_many_rows_and_keeps_the_truth():
    rows = data.Rows(source="", x=np.arange(10.0)[:, None], y=np.arange(10) % 2, regression=False)
    x, marked, truth = data.hidden(rows, 3, 0, 8)
    assert (marked[:3] == x[:3, 0] % 2).all()
    assert (marked[3:] == -1).all()
    assert (truth == x[3:, 0] % 2).all()
    assert len(set(x[:, 0])) == 8
    again, other = data.hidden(rows, 3, 0, 8)[0], data.hidden(rows, 3, 1, 8)[0]
    assert (again == x).all()
    assert (other != x).any()
    _, marked, _ = data.hidden(dataclasses.replace(rows, regression=True), 3, 0)
    assert np.isnan(marked[3:]).all()


def test_the_worse_sign_is_that_of_a_change_and_its_mirror_image():
    known = poison.posed("digit-values", 30, 0.5, 0, 150)
    found = poison.solved(poison.attack("digit-values"), poison.estimated(known), 1.0, 0)
    change = found.labels[known.known] - known.values
    both = [known.error(known.operator @ (known.values + sign * change)) for sign in (1, -1)]
    assert found.error_after == pytest.approx(both[0])
    assert poison.either_sign(known, found) == pytest.approx(max(both))
    mirrored = dataclasses.replace(found, labels=2 * known.y - found.labels, error_after=both[1])
    assert poison.either_sign(known, mirrored) == pytest.approx(max(both))


def test_an_attacker_with_estimated_labels_aims_at_predictions_from_clean_ones():
    known = poison.posed("digits", 20, 0.5, 0, 120)
    blind = poison.estimated(known)
    assert (blind.aim == np.where(known.operator @ known.values < 0, -1.0, 1.0)).all()
    assert (blind.truth == known.truth).all()


def test_means_are_over_the_seeds_of_the_splits():
    setting = Setting(options={"splits": 3}, seed=5)
    rows = list(poison.over_splits("d", [0, 1], setting, lambda seed: {".a": [seed, 2 * seed], ".b": [0.0, 1.0]}))
    assert [(row.name, row.value) for row in rows] == [("d.a@0", 6.0), ("d.a@1", 12.0), ("d.b@0", 0.0), ("d.b@1", 1.0)]
    assert rows[0].conditions == {"points": 3, "each": [5.0, 6.0, 7.0], "seeds": [5, 6, 7]}


def test_one_flip_turns_the_shaded_nodes_alone(tmp_path):
    claim, _ = find("figure-1.1")
    found = run(claim, "smoke", store(tmp_path, claim.name, "smoke"))
    measured = {record.name: record for record in found["toy"].records()}
    conditions = measured["toy.flipped-node"].conditions
    turned = [node for node, code in enumerate(conditions["before"]) if code != conditions["after"][node]]
    assert turned == [conditions["flipped"], *conditions["shaded"]] == [0, 6, 7, 8]
    assert [conditions["points"][node] for node in conditions["shaded"]] == figure_1_1.SHADED
    (path,) = draw(claim, measured, tmp_path)
    assert path.name == "figure-1.1.svg"
