import numpy as np
import pytest
from jaxtyping import TypeCheckError

import typecheck
from trustworthy.graphs.poisoning.trust_region import Quadratic

HESSIAN, LINEAR = np.eye(2), np.ones(2)


def test_the_first_calls_in_a_test_are_checked_and_its_loops_pass():
    with pytest.raises(TypeCheckError):
        Quadratic.of(HESSIAN, LINEAR[None])
    for _ in range(2 * typecheck.CALLS):
        Quadratic.of(HESSIAN, LINEAR)
    with pytest.raises(ValueError, match="matmul"):  # of its body: nobody looks at the shapes before
        Quadratic.of(HESSIAN, LINEAR.reshape(1, 1, 2))
    typecheck.check_again()
    with pytest.raises(TypeCheckError):
        Quadratic.of(HESSIAN, LINEAR[None])
