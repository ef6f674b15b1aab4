"""Configuration of the documentation: `make docs`."""

import re

from trustworthy import __version__

project = "trustworthy"
author = "The trustworthy developers"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_numpy_docstring = True
napoleon_google_docstring = False

html_theme = "furo"
html_title = "trustworthy"


def as_restructured_text(app, what, name, obj, options, lines):
    """Docstrings are written to be read as text: a list of fields ("name : meaning") and shapes ("*shape")."""
    item = re.compile(r"^(\w+(?:, \w+)*) : (.*)$")
    section, listing, out = False, False, []
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        section = section or bool(re.fullmatch(r"-{3,}", following.strip() or "x"))
        line = line.replace("*", r"\*").replace("|", r"\|")
        line = re.sub(r"(?<!`)`([^`\n]+)`(?!`)", lambda quoted: f"``{quoted[1].replace(chr(92), '')}``", line)
        field = item.match(line)
        if field and not section:
            if not listing:
                out.append("")
            listing, line = True, f"- **{field[1]}** : {field[2]}"
        elif listing and line.strip():
            line = f"  {line.strip()}"
        elif not line.strip():
            listing = False
        out.append(line)
    lines[:] = out


def setup(app):
    app.connect("autodoc-process-docstring", as_restructured_text, priority=400)
