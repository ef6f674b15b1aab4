"""Metrics under which nearest neighbours are accurate and robust."""
