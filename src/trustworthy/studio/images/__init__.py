"""Images in the formats of microscopes, with their axes, read and written as they were; no Flask."""
