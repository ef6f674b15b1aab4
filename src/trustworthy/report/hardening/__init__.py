"""What to do where an audit says worry: defended versions of a network, and what each bought and cost."""

EPOCHS = 20
"""Passes of each method over the training rows, where nothing else is asked for."""
