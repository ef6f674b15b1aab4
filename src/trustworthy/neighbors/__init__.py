"""Exact, certified and attacked nearest neighbours."""
