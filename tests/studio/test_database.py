from datetime import UTC, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import IntegrityError

from trustworthy.studio.db.database import Database
from trustworthy.studio.db.tables import Image, Pair, Project, Table


@pytest.fixture
def database(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/studio.sqlite")
    database.upgrade()
    yield database
    database.close()


def test_the_migrations_make_the_tables(database):
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Table.metadata) == []


def test_a_moment_keeps_its_zone(database):
    with database.session() as session:
        session.add(Project(name="wells"))
    with database.reading() as session:
        made = session.query(Project).one().created
    assert 0 <= (datetime.now(UTC) - made).total_seconds() < 60


def test_what_belongs_to_a_project_goes_with_it_and_an_error_leaves_nothing(database):
    with database.session() as session:
        project = Project(name="wells")
        session.add(project)
        session.flush()
        image = Image(project_id=project.id, name="a", suffix=".tif", bytes=2**40, sha256="", description={})
        session.add(image)
    with pytest.raises(IntegrityError), database.session() as session:
        session.add_all(
            [Project(name="lost"), Pair(project_id=project.id, name="a", source_id=image.id, target_id="0" * 32)]
        )
    with database.session() as session:
        assert [found.name for found in session.query(Project)] == ["wells"]
        session.delete(session.query(Project).one())
    with database.reading() as session:
        assert session.query(Image).count() == 0
