from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from trustworthy import audit
from trustworthy.core import errors
from trustworthy.core.errors import InvalidInput, TrustworthyError, TrustworthyWarning, UnknownName

EXCEPTIONS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", EXCEPTIONS)
def test_every_exception_is_in_the_tree_drawn_at_the_head(kind):
    assert kind.__name__ in (errors.__doc__ or "")
    assert issubclass(kind, TrustworthyError | TrustworthyWarning)


@pytest.mark.parametrize("kind", EXCEPTIONS)
def test_every_exception_keeps_its_message_and_crosses_processes(kind):
    sent = pickle.loads(pickle.dumps(kind("what to do")))
    assert (type(sent), str(sent)) == (kind, "what to do")


@pytest.mark.parametrize(
    ("name", "also"),
    [
        ("InvalidInput", ValueError),
        ("UnknownName", KeyError),
        ("ModelContractError", ValueError),
        ("DataUnavailable", OSError),
        ("ChecksumMismatch", OSError),
        ("CheckpointError", OSError),
        ("TrustworthyWarning", UserWarning),
    ],
)
def test_exceptions_are_also_what_users_of_python_catch(name, also):
    with pytest.raises(also):
        raise getattr(errors, name)("message")


def test_an_unknown_name_suggests_the_nearest_and_lists_all():
    error = UnknownName.of("norm", "l_inf", ["linf", "l1", "l2"])
    assert str(error) == "unknown norm 'l_inf'; did you mean 'linf'? Known: l1, l2, linf."
    assert isinstance(error, InvalidInput)


def test_an_unknown_name_unlike_all_others_suggests_none():
    assert str(UnknownName.of("norm", "euclid", ["l1", "l2"])) == "unknown norm 'euclid'. Known: l1, l2."
    assert str(UnknownName.of("norm", 3, ["l1", "l2"])) == "unknown norm 3. Known: l1, l2."


def test_a_warning_points_at_the_line_that_called_the_library():
    model = torch.nn.Linear(3, 1)
    x, y = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)).numpy(), [0, 1] * 10
    with pytest.warns(errors.TrustworthyWarning, match="one logit") as caught:
        audit(model, (x, y), kinds=[])
    assert [Path(warning.filename).name for warning in caught] == [Path(__file__).name]
