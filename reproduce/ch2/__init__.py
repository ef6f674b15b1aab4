"""Chapter 2: randomised and Bayesian defences, and neural jump-diffusion."""
