"""The studio: image-to-image models with a map of where not to trust them, for people who do not program.

`db`, `jobs`, `images`, `intake`, `pairs` and `training` need no Flask; `web` has the pages, and asks the others.
"""
