"""What to do where an audit says worry: defended versions of a network, and what each bought and cost."""
