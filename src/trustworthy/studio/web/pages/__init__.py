"""One module for each room of the studio."""
