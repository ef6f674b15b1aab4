import io
from contextlib import nullcontext

import numpy as np
import pytest
import tifffile

from trustworthy.studio.db.database import Database
from trustworthy.studio.db.tables import Project
from trustworthy.studio.images.probing import Prober
from trustworthy.studio.intake import uploads
from trustworthy.studio.settings import Settings
from trustworthy.studio.storage import Storage

PROJECT = "a" * 32


def tiff(number=0, side=8):
    """Of an image that is another one for each number."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.random.default_rng(number).integers(0, 99, (side, side)).astype("uint16"))
    return stream.getvalue()


class Intake:
    """A studio with one project, and what can be done to it in a line."""

    def __init__(self, folder, **options):
        self.settings = Settings(data_dir=folder, **options)
        self.storage = Storage(folder, self.settings.free_bytes)
        self.database = Database(self.settings.url)
        self.database.upgrade()
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


@pytest.fixture(scope="session")
def prober():
    with Prober(Settings()) as prober:
        yield prober


@pytest.fixture
def intake(tmp_path, monkeypatch, prober):
    """All share a process that looks through images: to start one takes longer than what most tests do."""
    monkeypatch.setattr(uploads, "Prober", lambda settings: nullcontext(prober))
    made = Intake(tmp_path / "studio", free_bytes=0)
    yield made
    made.database.close()
