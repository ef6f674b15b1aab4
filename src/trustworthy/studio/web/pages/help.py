"""Help: one page that a biologist can follow from the first image to a map that she can act on."""

from __future__ import annotations

from flask import Blueprint, render_template

from trustworthy.studio.training.control import CONTROLS, STUDIO_METHODS
from trustworthy.studio.training.record import METRICS
from trustworthy.studio.web.current import studio

page = Blueprint("help", __name__)


@page.get("/help")
def show() -> str:
    return render_template(
        "help/help.html",
        controls=CONTROLS.values(),
        methods=STUDIO_METHODS,
        metrics=METRICS.values(),
        settings=studio().settings,
    )
