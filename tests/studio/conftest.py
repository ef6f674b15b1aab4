"""A studio for a test: its folder, its tables, and a client that is inside."""

import pytest

from trustworthy.studio.db import database as databases
from trustworthy.studio.db.database import Database
from trustworthy.studio.settings import Settings
from trustworthy.studio.storage import Storage


@pytest.fixture(autouse=True, scope="session")
def _no_commit_waits_for_the_disk():
    """As no file does (tests/conftest.py): transactions are what they were, but for a loss of power."""
    prepare = databases._prepare

    def prepared(connection, record):
        prepare(connection, record)
        connection.execute("PRAGMA synchronous=OFF")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(databases, "_prepare", prepared)
        yield


@pytest.fixture(scope="session")
def _tables(tmp_path_factory):
    """A database as the migrations make it; they take longer than to copy it."""
    file = tmp_path_factory.mktemp("tables") / "studio.sqlite"
    database = Database(f"sqlite:///{file}")
    database.upgrade()
    database.close()
    return file


@pytest.fixture
def settings(tmp_path, _tables):
    """Of a studio of its own, in the folder `studio` of the test."""
    settings = Settings(data_dir=tmp_path / "studio", free_bytes=0, threads=1, device="cpu")
    settings.data_dir.mkdir()
    (settings.data_dir / "studio.sqlite").write_bytes(_tables.read_bytes())
    return settings


@pytest.fixture
def storage(settings):
    return Storage(settings.data_dir, settings.free_bytes)


@pytest.fixture
def database(settings):
    database = Database(settings.url)
    yield database
    database.close()


@pytest.fixture
def own_app(settings):
    """The application as it is served, for a test that changes it or looks at how it is made."""
    from trustworthy.studio.web.app import create_app

    app = create_app(settings)
    yield app
    app.extensions["studio"].database.close()


@pytest.fixture(scope="session")
def _shared_app(tmp_path_factory):
    """One for all tests, each of which puts its own studio into it: to make it and its templates takes longer."""
    from trustworthy.studio.web.app import create_app

    app = create_app(Settings(data_dir=tmp_path_factory.mktemp("app")))
    app.extensions["studio"].database.close()
    return app


@pytest.fixture
def app(_shared_app, settings, database, storage):
    """The application; forms need no token of their page, which tests/studio/web/test_auth.py has a look at."""
    from trustworthy.studio.web.current import Studio

    _shared_app.extensions["studio"] = Studio(settings, database, storage)
    _shared_app.config.update(TESTING=True, WTF_CSRF_ENABLED=False)
    return _shared_app


@pytest.fixture
def client(app):
    """A browser that has come in by a link."""
    from trustworthy.studio.web.auth import ENTERED

    client = app.test_client()
    with client.session_transaction() as session:
        session[ENTERED] = True
    return client
