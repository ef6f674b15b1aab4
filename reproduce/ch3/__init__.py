"""Chapter 3: verifiable defence, nearest neighbours and robust metrics."""
