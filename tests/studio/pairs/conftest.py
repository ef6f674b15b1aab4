from pathlib import Path

import numpy as np
import pytest
import tifffile

from trustworthy.datasets.pairs import load_pairs
from trustworthy.studio.db.tables import Image, Project
from trustworthy.studio.images.probing import lent
from trustworthy.studio.intake.adding import keep_images, prepare_image
from trustworthy.studio.pairs.pairing import save_pairs
from trustworthy.studio.pairs.splitting import choose_parts

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "data"


@pytest.fixture
def shared_pairs():
    """Real pairs by name, where they are at hand."""

    def loaded(name):
        if not (SHARED / "microscopy").exists():
            pytest.skip("../shared/data/microscopy is not beside the repository")
        return load_pairs(name, folder=SHARED)

    return loaded


@pytest.fixture
def session(database):
    with database.session() as session:
        yield session


@pytest.fixture
def project(session):
    project = Project(name="wells")
    session.add(project)
    session.flush()
    return project


@pytest.fixture
def with_images(session, project):
    """A project whose images are called as asked, without files."""

    def made(sources, targets, project=project):
        session.add_all(
            Image(project_id=project.id, name=name, role=role, suffix=".tif", bytes=1, sha256=name, description={})
            for role, names in (("source", sources), ("target", targets))
            for name in names
        )
        session.flush()
        return project

    return made


@pytest.fixture
def add_pairs(session, project, storage, settings, tmp_path):
    """Pairs of images with files: add_pairs(part, name=(source, target), ...), arrays of (channels,) height, width."""

    def image(array, name, role):
        file = tmp_path / "image.tif"
        kept = {} if array.ndim == 2 else {"ome": True, "metadata": {"axes": "CYX"}}  # each file of OME has an id
        tifffile.imwrite(file, array, photometric="minisblack", **kept)
        with lent(settings) as prober:
            prepared = prepare_image(storage, project.id, file, name, role, prober)
        return keep_images(session, storage, [prepared])[0].id

    def added(part="train", /, **given):
        triples = [
            (
                name,
                image(np.asarray(source), f"in/{name}.tif", "source"),
                image(np.asarray(target), f"out/{name}.tif", "target"),
            )
            for name, (source, target) in given.items()
        ]
        pairs = save_pairs(session, project.id, triples)
        choose_parts(session, project.id, {pair.id: part for pair in pairs})
        return pairs

    return added
