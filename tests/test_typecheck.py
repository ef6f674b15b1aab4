import numpy as np
import pytest
from jaxtyping import TypeCheckError

import typecheck
from trustworthy.graphs.poisoning.trust_region import Quadratic

HALF, NUMBERS = np.eye(2), np.ones(2)


def test_the_first_calls_in_a_test_are_checked_and_its_loops_pass():
    with pytest.raises(TypeCheckError):
        Quadratic.of(HALF, NUMBERS[None])
    for _ in range(2 * typecheck.CALLS):
        Quadratic.of(HALF, NUMBERS)
    with pytest.raises(ValueError, match="matmul"):  # of its body: nobody looks at the shapes before
        Quadratic.of(HALF, NUMBERS.reshape(1, 1, 2))
    typecheck.check_again()
    with pytest.raises(TypeCheckError):
        Quadratic.of(HALF, NUMBERS[None])
