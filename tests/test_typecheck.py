import importlib.util
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Float, TypeCheckError

import trustworthy
import typecheck
from trustworthy.graphs.poisoning.trust_region import Quadratic

HESSIAN, LINEAR = np.eye(2), np.ones(2)


def test_the_first_calls_in_a_test_are_checked_and_its_loops_pass():
    typecheck.check_again(calls=5)
    for _ in range(4):
        Quadratic.of(HESSIAN, LINEAR)
    with pytest.raises(TypeCheckError):
        Quadratic.of(HESSIAN, LINEAR[None])
    for _ in range(10):
        Quadratic.of(HESSIAN, LINEAR)
    with pytest.raises(ValueError, match="matmul"):  # of its body: nobody looks at the shapes before
        Quadratic.of(HESSIAN, LINEAR.reshape(1, 1, 2))
    typecheck.check_again(calls=5)
    with pytest.raises(TypeCheckError):
        Quadratic.of(HESSIAN, LINEAR[None])


def test_what_comes_out_is_checked_by_what_went_in():
    typecheck.check_again(calls=5)

    @typecheck._jaxtyped(typechecker=typecheck.checked)
    def shortened(x: Float[np.ndarray, " rows"], rows: int) -> Float[np.ndarray, " rows"]:
        return x[:rows]

    assert shortened(HESSIAN[0], 2).shape == (2,)
    with pytest.raises(TypeCheckError, match="return value"):
        shortened(HESSIAN[0], 1)
    with pytest.raises(TypeCheckError, match="parameters"):
        shortened(HESSIAN, 1)


def test_every_module_is_checked_but_those_that_numba_compiles():
    root = Path(trustworthy.__file__).parent
    unchecked, compiled = set(), set()
    for path in root.rglob("*.py"):
        name = ".".join(path.relative_to(root.parent).with_suffix("").parts).removesuffix(".__init__")
        if not hasattr(importlib.util.find_spec(name).loader, "_typechecker"):
            unchecked.add(name)
        if "@njit" in path.read_text():
            compiled.add(name)
    assert unchecked == compiled
    assert len(compiled) >= 5


@pytest.mark.usefixtures("_as_users_call_it")
def test_a_test_may_call_as_users_do():
    with pytest.raises(ValueError, match="matmul"):
        Quadratic.of(HESSIAN, LINEAR.reshape(1, 1, 2))
