"""Laws of every HTTP function of the app: a new route that breaks one fails here."""

import json

import pytest

from jit import wiring
from jit.settings import Settings
from tests.triggers.app_functions import CHANGING, call, make_request

VALUES = {"AzureWebJobsStorage": "x", "WEBSITE_AUTH_ENABLED": "True"}


@pytest.fixture(autouse=True)
def _settings(monkeypatch):
    monkeypatch.setattr(wiring, "settings", lambda: Settings.from_env(VALUES))


@pytest.mark.parametrize("name", CHANGING)
def test_a_route_that_changes_something_takes_no_unknown_parameter(name):
    """``?dryrun=true`` is a 400 that names it, before anything is done."""
    answer = call(name, make_request(name, params={"dryrun": "true"}))

    fault = json.loads(answer.get_body())["errors"][0]
    assert (answer.status_code, fault["pointer"]) == (400, "#/dryrun")
