"""Settings: their sources, and the references of bindings to them."""

import json

import pytest

from local.host.app import settings
from local.host.app.settings import MissingSetting


def write(folder, name, **values):
    (folder / name).write_text(json.dumps({"IsEncrypted": False, "Values": values}))


def test_the_environment_wins_over_files(tmp_path):
    """As with Core Tools: the environment wins over the file."""
    write(tmp_path, "local.settings.json", A="file", B="file")

    assert settings.read(tmp_path, {"A": "outside"}) == {"A": "outside", "B": "file"}


def test_the_sample_serves_if_there_is_no_own_file(tmp_path):
    """A fresh clone runs; a file of one's own replaces the sample as a whole."""
    write(tmp_path, "local.settings.sample.json", A="sample", B="sample")
    write(tmp_path, "local.settings.json", A="own")

    assert settings.read(tmp_path, {}) == {"A": "own"}


def test_without_files_there_is_only_the_environment(tmp_path):
    """An app without settings files is an app."""
    assert settings.read(tmp_path, {"A": "1"}) == {"A": "1"}


def test_the_projects_sample_holds_only_strings(project):
    """App settings are strings, and Core Tools refuses other values."""
    values = json.loads((project / "local.settings.sample.json").read_text())["Values"]

    assert {type(value) for value in values.values()} == {str}


def test_an_expression_is_replaced_by_the_setting():
    """A schedule may stand in a setting, whole or in part."""
    assert settings.resolve("0 %MINUTES% * * * *", {"MINUTES": "*/5"}) == "0 */5 * * * *"


def test_an_expression_without_a_setting_is_an_error():
    """The real host would fail to start this one function, and only say so in its log."""
    with pytest.raises(MissingSetting, match="%TICK%"):
        settings.resolve("%TICK%", {})


@pytest.mark.parametrize("name", ["Data", "AzureWebJobsData"])
def test_a_connection_is_found_with_and_without_its_old_prefix(name):
    """The host looks for both names."""
    assert settings.connection("Data", {name: "UseDevelopmentStorage=true"}) is not None


@pytest.mark.parametrize("suffix", ["__accountName", "__queueServiceUri"])
def test_a_connection_by_identity_counts_as_configured(suffix):
    """In Azure there is no connection string at all."""
    assert settings.has_connection("Data", {f"Data{suffix}": "somewhere"})


def test_a_connection_that_is_empty_is_not_configured():
    """An empty setting is how a forgotten one looks in the portal."""
    assert not settings.has_connection("Data", {"Data": ""})
