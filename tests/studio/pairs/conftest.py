import pytest

from trustworthy.studio.db.database import Database
from trustworthy.studio.db.tables import Image, Project


@pytest.fixture
def database(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/studio.sqlite")
    database.upgrade()
    yield database
    database.close()


@pytest.fixture
def session(database):
    with database.session() as session:
        yield session


@pytest.fixture
def with_images(session):
    """A project whose images are called as asked, without files."""

    def made(sources, targets):
        project = Project(name="wells")
        session.add(project)
        session.flush()
        session.add_all(
            Image(project_id=project.id, name=name, role=role, suffix=".tif", bytes=1, sha256=name, description={})
            for role, names in (("source", sources), ("target", targets))
            for name in names
        )
        session.flush()
        return project

    return made
