"""Tables, sessions and migrations; no Flask."""
