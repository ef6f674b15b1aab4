"""What cannot be audited is refused in one sentence, before anything is measured."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from torch import nn

from report.small_audit import Halves, images, linear_of, table
from trustworthy import datasets
from trustworthy.core.errors import DataError, InvalidInput, ModelContractError
from trustworthy.datasets.draw import stratified_rows
from trustworthy.report.audit import audit


def broken_images(**changes):
    x, y = images()
    return {"x": x, "y": y} | changes


def with_value(value):
    x, _ = images()
    x[3, 0, 2, 2] = value
    return x


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": with_value(np.nan)}, "row 3 holds NaN or infinity"),
        ({"x": with_value(np.inf)}, "row 3 holds NaN or infinity"),
        ({"x": images()[0] * 255}, "divide by 255"),
        ({"x": images()[0] * 2 - 1}, r"\[0, 1\].*layer of the model"),
        ({"x": (images()[0] > 0.5).astype(np.uint8)}, "must be floating"),
        ({"x": images()[0][:, 0]}, "channel axis"),
        ({"x": images()[0][:0], "y": images()[1][:0]}, "at least one example"),
        ({"x": images()[0].astype(str)}, "dense array of numbers"),
        ({"x": csr_array(table()[0])}, r"got csr_array; use x\.toarray\(\)"),
        ({"x": images()[0] * 255, "y": images()[1] + 0.5}, "a regression"),
        ({"y": images()[1][:5]}, "as many rows, got 24 and 5; give one label for each row"),
        ({"y": images()[1] + 5}, r"0\.\.1 for 2 logits, got 6"),
    ],
)
def test_bad_arrays(changes, message):
    arrays = broken_images(**changes)
    with pytest.raises(InvalidInput, match=message):
        audit(Halves(), (arrays["x"], arrays["y"]))


class Returns(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def raising(x):
    raise RuntimeError("mat1 and mat2 shapes cannot be multiplied\nand more")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x, r"one row of logits an example, got shape \(24, 1, 8, 8\); flatten or average"),
        (lambda x: x.flatten(1)[:5], r"one row of logits an example, 24, got shape \(5, 64\); do not select"),
        (lambda x: "a", "logits as a tensor or an array, alone or in a dict or a tuple, got str"),
        (lambda x: x.flatten(1) * torch.nan, "returned NaN"),
        (lambda x: x.flatten(1)[:, :2].log() - torch.inf, "infinite logits"),
        (
            raising,
            r"raised RuntimeError on a batch of shape \(24, 1, 8, 8\): mat1 and mat2 shapes cannot be multiplied$",
        ),
    ],
)
def test_bad_models(function, message):
    x, y = images()
    with pytest.raises(ModelContractError, match=message):
        audit(Returns(function), (x, y))


def test_bad_arguments():
    x, y = table()
    with pytest.raises(InvalidInput, match="at least one model"):
        audit({}, (x, y))
    with pytest.raises(InvalidInput, match="data must be the name"):
        audit(linear_of(x), x)
    with pytest.raises(InvalidInput, match="seed must be >= 0"):
        audit(linear_of(x), (x, y), seed=-1)
    with pytest.raises(InvalidInput, match="limit must be >= 0"):
        audit(linear_of(x), (x, y), limit=-3)
    with pytest.raises(InvalidInput, match="device must be one"):
        audit(linear_of(x), (x, y), device="nowhere")


def test_bad_data_sets(tmp_path):
    x, y = table()
    regression = datasets.Dataset(
        name="prices",
        task="regression",
        x_train=x,
        y_train=x[:, 0].astype(float),
        x_test=x,
        y_test=x[:, 0].astype(float),
    )
    with pytest.raises(InvalidInput, match="'prices' is a regression"):
        audit(linear_of(x), regression)
    with pytest.raises(DataError, match="did you mean the data set 'digits'"):
        audit(linear_of(x), "digist")
    with pytest.raises(InvalidInput, match=r"of a Dataset must be integer class indices, got float64; read labels of"):
        audit(linear_of(x), dataclasses.replace(regression, task="classification"))
    np.savez(tmp_path / "empty.npz", other=x)
    with pytest.raises(DataError, match="no array 'x_test'"):
        audit(linear_of(x), tmp_path / "empty.npz")
    np.savez(tmp_path / "cut.npz", x_test=x, y_test=y)
    content = (tmp_path / "cut.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="truncated"):
        audit(linear_of(x), str(tmp_path / "cut.npz"))


def test_rows_are_drawn_in_proportion_and_by_the_seed():
    y = np.repeat([0, 1, 2], [50, 5, 20])
    rows = stratified_rows(y, 30, seed=0)
    assert np.bincount(y[rows]).tolist() == [20, 2, 8]
    assert (np.diff(rows) > 0).all()
    assert np.array_equal(rows, stratified_rows(y, 30, seed=0))
    assert not np.array_equal(rows, stratified_rows(y, 30, seed=1))
    assert np.array_equal(stratified_rows(y, 0, seed=0), np.arange(75))
    assert np.array_equal(stratified_rows(y, 100, seed=0), np.arange(75))
