"""Every table and figure of the dissertation from one command: `python -m reproduce run table-3.1`."""
