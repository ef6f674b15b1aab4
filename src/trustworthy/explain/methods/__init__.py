"""Ways to explain a prediction, one module each."""
