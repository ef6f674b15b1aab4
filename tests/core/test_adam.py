"""Adam against torch's."""

import numpy as np
import torch

from trustworthy.core.adam import Adam


def test_adam_takes_the_steps_of_torch():

    rng = np.random.default_rng(0)
    ours, theirs = np.ones((3, 4)), torch.ones(3, 4, dtype=torch.float64)
    adam, optimizer = Adam(learning_rate=0.1), torch.optim.Adam([theirs], lr=0.1)
    for _ in range(20):
        gradient = rng.normal(size=(3, 4))
        adam(ours, gradient)
        theirs.grad = torch.tensor(gradient)
        optimizer.step()
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
