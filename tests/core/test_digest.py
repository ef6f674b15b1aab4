"""A digest tells apart what differs in value, type, shape or nesting, and nothing else."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy import sparse

from trustworthy.core.digest import digest

DIFFERENT = {
    "nothing": (),
    "None": (None,),
    "zero": (0,),
    "zero as a float": (0.0,),
    "minus zero": (-0.0,),
    "false": (False,),
    "empty text": ("",),
    "text": ("0",),
    "bytes": (b"0",),
    "two texts": ("ab", "c"),
    "two texts, cut elsewhere": ("a", "bc"),
    "a text that looks like the head of another": ("xstr ;y", "z"),
    "the head elsewhere": ("x", "ystr ;z"),
    "a list": ([1, 2],),
    "two numbers": (1, 2),
    "nested": ([1], 2),
    "mapping": ({"a": 1},),
    "pairs": ([("a", 1)],),
    "array": (np.zeros(4, np.float32),),
    "array of another type": (np.zeros(4, np.int32),),
    "array of another shape": (np.zeros((2, 2), np.float32),),
    "tensor": (torch.zeros(4),),
    "tensor of halves": (torch.zeros(8, dtype=torch.bfloat16),),
    "sparse": (sparse.csr_matrix(np.eye(2)),),
    "sparse of another shape": (sparse.csr_matrix(np.eye(2, 3)),),
}


def test_what_differs_has_another_digest():
    for one, other in itertools.combinations(DIFFERENT, 2):
        assert digest(*DIFFERENT[one]) != digest(*DIFFERENT[other]), (one, other)


def test_what_is_the_same_has_the_same_digest():
    assert digest({"a": 1, "b": [2.0]}) == digest({"b": [2.0], "a": 1})
    x = np.arange(12.0).reshape(3, 4)
    assert digest(x.T) == digest(np.ascontiguousarray(x.T)) != digest(x.reshape(4, 3))
    leaf = torch.arange(6.0, requires_grad=True)
    assert digest(leaf) == digest(leaf.detach().clone()) == digest(torch.arange(12.0)[:6])
    assert digest([1, "a"]) == digest((1, "a"))


@pytest.mark.parametrize("part", [object(), {1, 2}, np.array([object()]), [print]])
def test_what_has_no_content_is_refused(part):
    with pytest.raises(TypeError):
        digest(part)


def test_it_is_the_same_in_another_process_and_needs_no_torch():
    code = (
        "import sys; from trustworthy.core.digest import digest; print(digest({'b': 1, 'a': 'x'}, 2.5)); "
        "assert 'torch' not in sys.modules"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == digest({"a": "x", "b": 1}, 2.5)
