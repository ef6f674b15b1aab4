import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from trustworthy.core.errors import InvalidInput
from trustworthy.training.data import BatchPlan, as_dataset, batches

MODEL = nn.Linear(2, 2)
sizes = st.integers(1, 60)


@settings(max_examples=40)
@given(rows=sizes, batch_size=sizes, epoch=st.integers(0, 5), processes=st.integers(1, 5), parts=st.integers(1, 4))
def test_an_epoch_takes_every_row_once_in_batches_that_are_even(rows, batch_size, epoch, processes, parts):
    plans = [
        BatchPlan(rows=rows, batch_size=batch_size, epochs=2, seed=0, processes=processes, process=p)
        for p in range(processes)
    ]
    planned = plans[0].batches(epoch)
    assert sorted(torch.cat(planned).tolist()) == list(range(rows))
    lengths = [len(batch) for batch in planned]
    assert max(lengths) <= batch_size
    assert max(lengths) - min(lengths) <= 1
    assert plans[0].steps == 2 * len(planned)
    for batch in planned:
        of_each = [plan.shares(batch, parts) for plan in plans]
        assert len({len(own) for own in of_each}) == 1  # or one process would wait for another's gradient
        shares = [share for own in of_each for share in own]
        taken = torch.cat([chosen for chosen, weight in shares if weight > 0])
        assert sorted(taken.tolist()) == sorted(batch.tolist())
        # The mean over processes of weight x mean(share) is the mean of the batch.
        mean = sum(weight * chosen.double().mean() for chosen, weight in shares) / processes
        assert float(mean) == pytest.approx(float(batch.double().mean()))


def test_the_order_depends_on_the_seed_and_the_epoch_alone():
    def order(seed, epoch, batch_size=4):
        return torch.cat(BatchPlan(rows=50, batch_size=batch_size, epochs=9, seed=seed).batches(epoch)).tolist()

    before = torch.get_rng_state()
    assert order(0, 0) == order(0, 0, batch_size=7)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)
    assert torch.equal(torch.get_rng_state(), before)


class Squares(Dataset):
    def __len__(self):
        return 6

    def __getitem__(self, row):
        return torch.tensor([float(row), float(row) ** 2]), row


@pytest.mark.parametrize("workers", [0, 1])
def test_a_dataset_and_its_arrays_give_the_same_batches(workers):
    x = torch.tensor([[float(i), float(i) ** 2] for i in range(6)])
    rows = [torch.tensor([4, 1, 5]), torch.tensor([0])]
    arrays = batches(as_dataset("data", (x, torch.arange(6)), MODEL), rows)
    items = batches(as_dataset("data", Squares(), MODEL), rows, workers=workers)
    for (x1, y1), (x2, y2) in zip(arrays, items, strict=True):
        assert torch.equal(x1, x2)
        assert torch.equal(y1, y2)


def test_loading_leaves_the_global_stream_alone():
    data = as_dataset("data", Squares(), MODEL)
    before = torch.get_rng_state()
    list(batches(data, [torch.arange(4)]))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_arrays_take_the_precision_of_the_model(dtype):
    read_only = np.arange(8.0).reshape(4, 2)[::-1]
    read_only.flags.writeable = False
    data = as_dataset("data", (read_only, np.arange(4, dtype=np.uint8)), nn.Linear(2, 2).to(dtype))
    x, y = data[0]
    assert (x.dtype, y.dtype) == (dtype, torch.int64)
    assert x.tolist() == [6.0, 7.0]


def test_whole_numbers_such_as_tokens_stay_whole():
    x, _ = as_dataset("data", (np.array([[1, 2]]), np.array([0])), MODEL)[0]
    assert x.dtype == torch.int64


class Endless(IterableDataset):
    def __iter__(self):
        return iter([])


class Bare(Dataset):
    def __getitem__(self, row):
        return torch.zeros(2)

    def __len__(self):
        return 3


LABELS = torch.zeros(3, dtype=torch.long)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((), "pair"),
        ((torch.zeros(3, 2), LABELS, torch.zeros(2)), r"shapes \(3, 2\) and \(3,\) and \(2,\)"),
        ((torch.zeros(3, 2), LABELS, torch.full((3,), float("nan"))), "data part 3 must be finite"),
        ((torch.zeros(3, 2), torch.zeros(2)), r"shapes \(3, 2\) and \(2,\)"),
        ((torch.zeros(0, 2), torch.zeros(0)), "at least one"),
        ((torch.zeros(()), torch.zeros(())), "at least one"),
        ((torch.tensor([[0.0, float("nan")]] * 3), LABELS), "data x must be finite, got 3 values"),
        ((torch.zeros(3, 2), torch.tensor([0.0, 1.0, float("inf")])), "data y must be finite, got 1 values"),
        ((torch.zeros(3, 2, dtype=torch.uint8), LABELS), "divide by 255"),
        ((np.zeros((3, 2), np.uint16), LABELS), r"got torch.uint16; divide by 65535, or bring pairs .* by Translator"),
        ((np.array(["a", "b", "c"]), LABELS), "data x must be a tensor or an array of numbers"),
        (Endless(), "a length"),
        (TensorDataset(torch.zeros(0, 2)), "at least one example"),
    ],
)
def test_data_that_cannot_be_trained_on_is_refused(data, message):
    with pytest.raises(InvalidInput, match=message):
        as_dataset("data", data, MODEL)


def test_items_that_are_not_tuples_are_refused():
    with pytest.raises(InvalidInput, match=r"must be pairs .* give a collate"):
        next(batches(as_dataset("data", Bare(), MODEL), [torch.arange(2)]))
