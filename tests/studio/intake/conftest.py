import io

import numpy as np
import pytest
import tifffile

from trustworthy.studio.db.database import Database
from trustworthy.studio.db.tables import Project
from trustworthy.studio.intake import uploads
from trustworthy.studio.storage import Storage

PROJECT = "a" * 32


def tiff(number=0, side=8):
    """Of an image that is another one for each number."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.random.default_rng(number).integers(0, 99, (side, side)).astype("uint16"))
    return stream.getvalue()


class Intake:
    """A studio with one project, and what can be done to it in a line."""

    def __init__(self, settings):
        self.settings = settings
        self.storage = Storage(settings.data_dir, settings.free_bytes)
        self.database = Database(settings.url)
        with self.database.session() as session:
            session.add(Project(id=PROJECT, name="wells"))

    def upload(self, name, content, role="any", finish=True):
        with self.database.session() as session:
            upload = uploads.begin(session, self.storage, self.settings, PROJECT, name, len(content), role)
        uploads.append(self.database, self.storage, upload, 0, io.BytesIO(content))
        return uploads.finish(self.database, self.storage, self.settings, upload.id) if finish else upload

    def rows(self, table):
        with self.database.reading() as session:
            return session.query(table).order_by(table.created).all()

    def files(self):
        return sorted(
            str(file.relative_to(self.storage.root))
            for file in self.storage.root.rglob("*")
            if file.is_file() and not file.name.startswith("studio.")
        )


@pytest.fixture
def intake(settings):
    made = Intake(settings)
    yield made
    made.database.close()
