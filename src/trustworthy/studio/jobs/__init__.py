"""Jobs that survive: a lease for each attempt, the worker that runs them, and where; no Flask."""
