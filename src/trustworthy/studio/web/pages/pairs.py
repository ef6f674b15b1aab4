"""Pairs of a project: made by name and by hand, split into parts, and checked before anything is trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload
from werkzeug.wrappers import Response

from trustworthy.core.errors import InvalidInput
from trustworthy.studio.db.tables import Image, Pair, Project, counted
from trustworthy.studio.pairs.checking import check_project
from trustworthy.studio.pairs.pairing import pair_up, place_of, propose, save_pairs, undo_pairs, unpaired
from trustworthy.studio.pairs.splitting import SplitSettings, choose_parts, split_settings, split_up
from trustworthy.studio.web.current import studio
from trustworthy.studio.web.errors import found
from trustworthy.studio.web.paging import Paging, page_of

page = Blueprint("pairs", __name__)
CHOICES = 500
"""Images without a partner that can be chosen from."""
SECONDS = 1.5
"""For which one request looks at pairs, where scripts ask for the rest."""
PART_WORDS = {
    "train": ("Training", "the network learns from these"),
    "validation": ("Validation", "choose the best epoch, and calibrate the uncertainty"),
    "test": ("Test", "never seen in training: they tell how good the model is"),
    "none": ("Left out", "not used"),
}


@page.get("/projects/<project_id>/pairs")
def index(project_id: str) -> str:
    with studio().database.reading() as session:
        project = found(session, Project, project_id)
        pairs, shown = _shown(session, project_id)
        alone = unpaired(session, project_id)
        counts = Counter(counted(session, Pair.part, Pair.project_id == project_id))
    return render_template(
        "pairs/index.html", project=project, pairs=pairs, shown=shown, counts=counts, alone=alone, words=PART_WORDS,
        proposed=propose(alone).pairs, choices=CHOICES, split=SplitSettings.model_validate(project.split),
    )  # fmt: skip


def _shown(session: Session, project_id: str) -> tuple[Sequence[Pair], Paging]:
    """Pairs of this page with their images, and which page that is."""
    images = joinedload(Pair.source), joinedload(Pair.target)
    return page_of(session, select(Pair).filter_by(project_id=project_id).options(*images).order_by(Pair.name))


@page.post("/projects/<project_id>/pairs/by-name")
def by_name(project_id: str) -> Response:
    with studio().database.session() as session:
        found(session, Project, project_id)
        made = len(pair_up(session, project_id).pairs)
    if made:
        flash(f"{made} pairs were made.", "success")
    else:
        flash("No two names are alike; pair the images by hand.", "warning")
    return _to_index(project_id)


@page.post("/projects/<project_id>/pairs/by-hand")
def by_hand(project_id: str) -> Response:
    with studio().database.session() as session:
        source, target = (found(session, Image, request.form.get(role, "")) for role in ("source", "target"))
        if source.role == "target" or target.role == "source":
            raise InvalidInput(
                "a target was chosen as the source, or the other way round; choose again, or correct its role."
            )
        made = save_pairs(session, project_id, [(place_of(source), source.id, target.id)])
    flash(f"{made[0].name} is a pair now.", "success")
    return _to_index(project_id)


@page.post("/projects/<project_id>/pairs/save")
def save(project_id: str) -> Response:
    """Parts of the pairs that the page shows, and those that are to be undone."""
    undone = request.form.getlist("undo")
    given = {name.removeprefix("part-"): part for name, part in request.form.items() if name.startswith("part-")}
    with studio().database.session() as session:
        found(session, Project, project_id)
        now = {pair.id: pair.part for pair in session.scalars(select(Pair).filter_by(project_id=project_id))}
        changed = {pair: part for pair, part in given.items() if pair not in undone and now.get(pair, part) != part}
        choose_parts(session, project_id, changed)
        if undone:
            undo_pairs(session, project_id, undone)
    told = [f"{len(changed)} moved" if changed else "", f"{len(undone)} undone" if undone else ""]
    flash("Pairs: " + (", ".join(filter(None, told)) or "nothing was changed") + ".", "success")
    return _to_index(project_id)


@page.post("/projects/<project_id>/pairs/split")
def split(project_id: str) -> Response:
    """Form: validation and test in per cent, the rest trains; seed; forget, for parts that were chosen by hand."""
    held = {part: _percent(part) for part in ("validation", "test")}
    if sum(held.values()) >= 1:
        raise InvalidInput(f"validation and test must leave pairs to train on, got {sum(held.values()):.0%} together.")
    with studio().database.session() as session:
        known = SplitSettings.model_validate(found(session, Project, project_id).split).by_hand
        settings = split_settings(
            train=1 - sum(held.values()), seed=request.form.get("seed", "0"),
            by_hand={} if "forget" in request.form else known, **held,
        )  # fmt: skip
        split_up(session, project_id, settings)
    flash("The pairs were split anew.", "success")
    return _to_index(project_id)


def _percent(part: str) -> float:
    share = request.form.get(part, 15.0, float)
    if not 0 <= share <= 90:
        raise InvalidInput(f"{part} must be 0 to 90 per cent, got {share:g}.")
    return share / 100


def _to_index(project_id: str) -> Response:
    number = request.form.get("page")
    return redirect(url_for("pairs.index", project_id=project_id, page=number))


@page.get("/projects/<project_id>/check")
def check(project_id: str) -> str:
    return _checked("pairs/check.html", project_id, SECONDS / 2)


@page.get("/projects/<project_id>/check/more")
def more(project_id: str) -> str:
    """The same, a while later: what scripts put in the place of the remarks."""
    return _checked("pairs/remarks.html", project_id, SECONDS)


@page.post("/projects/<project_id>/check")
def check_all(project_id: str) -> Response:
    """Without scripts: all in one go."""
    with studio().database.reading() as session:
        found(session, Project, project_id)
        check_project(session, studio().storage, project_id)
    return redirect(url_for("pairs.check", project_id=project_id))


def _checked(template: str, project_id: str, seconds: float) -> str:
    with studio().database.reading() as session:
        project = found(session, Project, project_id)
        checked = check_project(session, studio().storage, project_id, seconds)
        pairs, shown = _shown(session, project_id)
    marks = {pair.id: [remark for remark in checked.remarks if remark.concerns(pair)] for pair in pairs}
    return render_template(
        template, project=project, check=checked, pairs=pairs, marks=marks, shown=shown, words=PART_WORDS
    )
