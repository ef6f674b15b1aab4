"""Certificates of neural networks."""
