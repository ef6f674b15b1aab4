"""Which images belong together, what is wrong with them, and who trains on which; no Flask."""
