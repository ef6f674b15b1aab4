"""Chapter 1: poisoning of graph-based semi-supervised learning."""
