import hashlib

import pytest

from trustworthy.studio.db.database import Database
from trustworthy.studio.db.tables import Image, Pair, Project
from trustworthy.studio.jobs.submitting import submit_training
from trustworthy.studio.storage import Storage
from trustworthy.studio.training.control import TrainingSettings


class Place:
    """A studio in a folder, with a project of two pairs that no pixel belongs to."""

    def __init__(self, settings):
        self.settings = settings.model_copy(update={"beat_seconds": 0.2, "lease_seconds": 30.0})
        self.storage = Storage(settings.data_dir)
        self.database = Database(settings.url)
        with self.database.session() as session:
            project = Project(name="wells")
            session.add(project)
            session.flush()
            self.project = project.id
            for number, part in enumerate(("train", "test")):
                self.pair(session, str(number), part)

    def pair(self, session, name, part):
        images = [self.image(session, f"{role}/{name}.tif", role) for role in ("source", "target")]
        session.add(Pair(project_id=self.project, name=name, source_id=images[0], target_id=images[1], part=part))

    def image(self, session, name, role, project=None):
        described = {"axes": "YX", "shape": [8, 8], "dtype": "uint16"}
        image = Image(project_id=project or self.project, name=name, role=role, suffix=".tif", bytes=1)
        image.sha256, image.description = hashlib.sha256(name.encode()).hexdigest(), described
        session.add(image)
        session.flush()
        return image.id

    def submit(self, **settings):
        with self.database.session() as session:
            training = TrainingSettings(**settings)
            return submit_training(session, self.storage, self.project, training).id


@pytest.fixture
def place(settings):
    place = Place(settings)
    yield place
    place.database.close()
