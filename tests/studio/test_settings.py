import pytest

from trustworthy.core.errors import InvalidInput
from trustworthy.studio.settings import load_settings


def test_flags_come_before_the_environment_and_that_before_the_file(tmp_path):
    (tmp_path / "studio.toml").write_text("port = 1\nthreads = 2\nattempts = 5\n")
    environ = {"STUDIO_DATA_DIR": str(tmp_path), "STUDIO_PORT": "7", "STUDIO_THREADS": "3"}
    settings = load_settings(environ=environ, port=9, host=None)
    assert (settings.port, settings.threads, settings.attempts, settings.host) == (9, 3, 5, "127.0.0.1")
    assert settings.url == f"sqlite:///{tmp_path}/studio.sqlite"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"port": 70000}, "port .* less than or equal to 65535, got 70000"),
        ({"nonsense": 1}, "nonsense .* Extra inputs .* STUDIO_NONSENSE"),
        ({"data_dir": "/", "file": "/nowhere.toml"}, "no file /nowhere.toml"),
    ],
)
def test_refuses(tmp_path, given, message):
    with pytest.raises(InvalidInput, match=message):
        load_settings(environ={}, **{"data_dir": tmp_path, **given})


def test_refuses_a_file_that_is_no_toml(tmp_path):
    (tmp_path / "studio.toml").write_text("port 1")
    with pytest.raises(InvalidInput, match="one setting on a line"):
        load_settings(environ={}, data_dir=tmp_path)
