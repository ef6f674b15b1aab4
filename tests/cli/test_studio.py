import pytest
from filelock import FileLock
from typer.testing import CliRunner

from trustworthy.cli.main import app
from trustworthy.core.errors import InvalidInput
from trustworthy.studio.serving import _check_host, _environ, serve
from trustworthy.studio.settings import Settings, load_settings


def run(*arguments):
    return CliRunner().invoke(app, ["studio", *map(str, arguments)])


def test_flags_count_before_and_after_the_subcommand(tmp_path):
    for arguments in (("--data-dir", tmp_path, "db", "upgrade"), ("db", "upgrade", "--data-dir", tmp_path)):
        made = run(*arguments)
        assert (made.exit_code, made.stdout) == (0, f"{tmp_path}: the tables are of the newest version\n")
    (tmp_path / "studio.toml").write_text('device = "cpu"')
    doctor = run("--data-dir", tmp_path / "elsewhere", "doctor", "--data-dir", tmp_path)
    assert doctor.exit_code == 0
    assert "the settings ask for it (device = cpu)" in doctor.stdout
    assert f"database: sqlite:///{tmp_path}/studio.sqlite" in doctor.stdout
    nowhere = run("doctor", "--data-dir", tmp_path / "none")
    assert "none, 0.00 GB; 0.0 GB free" not in nowhere.stdout  # it is that of the disk where the folder would be


def test_what_is_no_configuration_is_not_rerun(tmp_path):
    """Nor is one where no studio is, and then none is made."""
    (tmp_path / "other.json").write_text('{"task": {"kind": "train"}}')
    for name in ("none.json", "other.json"):
        refused = run("rerun", tmp_path / name, "--data-dir", tmp_path)
        assert refused.exit_code == 2
        assert f"{name} must be the configuration.json of a result's download.zip" in refused.stderr


def test_wrong_settings_are_one_line(tmp_path):
    wrong = run("worker", "--config", tmp_path / "none.toml")
    assert (wrong.exit_code, wrong.stderr.count("\n")) == (2, 1)
    assert "there is no file" in wrong.stderr


def test_a_worker_is_given_all_settings_by_its_environment(tmp_path):
    settings = Settings(data_dir=tmp_path, device="cpu", link_hosts=("a.org", "b.org"), links=True, beat_seconds=0.5)
    assert load_settings(environ=_environ(settings)) == settings


def test_refuses_a_data_folder_whose_studio_is_open(tmp_path):
    with FileLock(tmp_path / "serving.lock"), pytest.raises(InvalidInput, match=r"is open in .* already; use its link"):
        serve(Settings(data_dir=tmp_path, port=0), print)


def test_refuses_an_address_that_is_not_this_host_s(tmp_path):
    with pytest.raises(InvalidInput, match=r"cannot be served at 192.0.2.1, port 1 .* choose another --port or --host"):
        serve(Settings(data_dir=tmp_path, host="192.0.2.1", network=True, port=1), print)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", ""], ids=["all", "all of IPv6", "other", "none"])
def test_refuses_an_address_of_a_network_unless_it_is_set_so(tmp_path, host):
    with pytest.raises(
        InvalidInput, match=r"no accounts\. From there use ssh -L 8420:127.0.0.1:8420 .* network = true"
    ):
        serve(Settings(data_dir=tmp_path, host=host), print)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"], ids=["usual", "other", "IPv6", "name"])
def test_addresses_of_this_machine_alone_are_served(tmp_path, host):
    _check_host(Settings(data_dir=tmp_path, host=host))
