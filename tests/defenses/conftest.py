import pytest


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr("trustworthy.core.files.os.fsync", lambda descriptor: None)
