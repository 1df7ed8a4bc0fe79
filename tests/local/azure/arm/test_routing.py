"""The checks of every call to ARM: tokens, api-version, routes, headers, pages."""

import base64
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from local.azure.values.http import Request
from tests.local.azure.sim import (
    API,
    BROKER,
    COMPUTE,
    DB,
    DEVELOPMENT,
    HOST,
    NSG_WEB,
    PRODUCTION,
    WEB,
    WEB01,
    Sim,
    error,
)

MACHINES = f"/subscriptions/{DEVELOPMENT}/providers/Microsoft.Compute/virtualMachines"


def forged(**changes: object) -> str:
    claims = {
        "aud": "https://management.azure.com",
        "exp": 9_999_999_999,
        "oid": BROKER,
        "tid": "7e4a4700-0000-4000-8000-000000000000",
        **changes,
    }
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"Bearer e30.{body}."


def test_call_without_a_token_is_challenged(sim: Sim):
    """ARM answers 401 and says where tokens come from."""
    response = sim.send("GET", f"{WEB01}?api-version={COMPUTE}")

    assert error(response) == (401, "AuthenticationFailed")
    assert response.headers["WWW-Authenticate"].startswith("Bearer authorization_uri=")


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("Basic abc", "AuthenticationFailed"),
        ("Bearer", "AuthenticationFailed"),
        ("Bearer nonsense", "InvalidAuthenticationToken"),
        ("Bearer a.!.c", "InvalidAuthenticationToken"),
        ("Bearer a.W10.c", "InvalidAuthenticationToken"),
        (forged(oid="nobody"), "InvalidAuthenticationToken"),
        (forged(tid="elsewhere"), "InvalidAuthenticationToken"),
        (forged(aud="https://storage.azure.com"), "InvalidAuthenticationTokenAudience"),
        (forged(exp=1), "ExpiredAuthenticationToken"),
        (forged(exp="soon"), "ExpiredAuthenticationToken"),
    ],
)
def test_token_that_is_none_is_refused(sim: Sim, header, code):
    """A token must be one, unexpired, of this tenant, for ARM."""
    response = sim.send("GET", f"{WEB01}?api-version={COMPUTE}", headers={"authorization": header})

    assert error(response) == (401, code)


def test_token_for_the_older_audience_is_accepted(sim: Sim):
    """ARM has two names for itself, each with or without a slash."""
    token = forged(aud="https://management.core.windows.net/")
    response = sim.send("GET", f"{WEB01}?api-version={COMPUTE}", headers={"authorization": token})

    assert response.status == 200


def test_missing_api_version_is_an_error(sim: Sim):
    """ARM guesses no version."""
    token = f"Bearer {sim.token('broker')}"
    response = sim.send("GET", WEB01, headers={"authorization": token})

    assert error(response) == (400, "MissingApiVersionParameter")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/subscriptions/11111111-0000-4000-8000-000000000000", 404, "SubscriptionNotFound"),
        (WEB.replace("rg-web", "rg-none") + WEB01[len(WEB) :], 404, "ResourceGroupNotFound"),
        (WEB01 + "x", 404, "ResourceNotFound"),
        (f"{WEB}/providers/Microsoft.Nothing/things", 404, "InvalidResourceType"),
        ("/tenants", 404, "NotFound"),
    ],
)
def test_a_missing_resource_is_named(sim: Sim, path, status, code):
    """Each missing part has its own code."""
    assert error(sim.call("GET", path)) == (status, code)


def test_known_path_with_another_verb_is_405(sim: Sim):
    """A resource that is only read cannot be patched."""
    assert error(sim.call("PATCH", WEB01)) == (405, "MethodNotAllowed")


@pytest.mark.parametrize("spell", [str.upper, str.lower])
def test_paths_are_read_without_regard_to_case(sim: Sim, spell):
    """Clients send ids in the case in which they once got them."""
    assert sim.get(spell(WEB01))["name"] == "web01"


def test_percent_encoding_in_a_path_is_undone(sim: Sim):
    """A name is the same name however it was escaped."""
    assert sim.get(WEB01.replace("web01", "web%301"))["name"] == "web01"


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[]", b"null", b"5", b""])
def test_body_that_is_no_object_is_refused(sim: Sim, body):
    """ARM reads JSON objects."""
    headers = {"authorization": f"Bearer {sim.token('broker')}"}
    url = f"{HOST}{NSG_WEB}/securityRules/x?api-version={API}"
    response = sim.azure.handle(Request("PUT", url, headers, body))

    assert error(response) == (400, "InvalidRequestContent")


def test_every_answer_carries_request_ids(sim: Sim):
    """Support asks for them; the client's correlation id comes back."""
    response = sim.call("GET", WEB01, headers={"x-ms-correlation-request-id": "mine"})

    assert response.headers["x-ms-correlation-request-id"] == "mine"
    assert len(response.headers["x-ms-request-id"]) == 36


def test_refusals_carry_request_ids_too(sim: Sim):
    """An error without an id could not be followed up."""
    response = sim.call("GET", WEB01 + "x")

    assert len(response.headers["x-ms-correlation-request-id"]) == 36


def test_lists_come_in_pages_with_absolute_links(sim: Sim):
    """A next link names the host that was called, and keeps the api-version."""
    sim.options(pageSize=20)
    first = sim.get(MACHINES)
    link = urlsplit(first["nextLink"])

    assert len(first["value"]) == 20
    assert f"{link.scheme}://{link.netloc}" == HOST
    assert parse_qs(link.query)["api-version"] == [COMPUTE]


def test_pages_give_each_item_once(sim: Sim):
    """Following the links reaches everything, without repeats."""
    sim.options(pageSize=17)
    token = f"Bearer {sim.token('broker')}"
    first = sim.get(MACHINES)
    second = sim.send("GET", first["nextLink"][len(HOST) :], headers={"authorization": token})
    third = sim.send(
        "GET", second.json()["nextLink"][len(HOST) :], headers={"authorization": token}
    )
    items = [*first["value"], *second.json()["value"], *third.json()["value"]]

    assert len({item["name"] for item in items}) == len(items) == 50
    assert "nextLink" not in third.json()


def test_full_last_page_has_no_link(sim: Sim):
    """Fifty machines on pages of fifty are one page."""
    assert "nextLink" not in sim.get(MACHINES)


def test_broken_skip_token_is_refused(sim: Sim):
    """A token is opaque but not arbitrary."""
    assert error(sim.call("GET", MACHINES, query="&$skiptoken=%21")) == (400, "InvalidSkipToken")


def test_subscriptions_are_those_the_caller_may_read(sim: Sim):
    """The broker sees both; a person without a role sees none."""
    seen = [each["displayName"] for each in sim.get("/subscriptions")["value"]]
    unseen = sim.call("GET", "/subscriptions", as_="alice").json()["value"]

    assert (seen, unseen) == (["Production", "Development"], [])


def test_one_subscription_is_read(sim: Sim):
    """A subscription says its tenant and state."""
    shown = sim.get(f"/subscriptions/{PRODUCTION}")

    assert (shown["displayName"], shown["state"]) == ("Production", "Enabled")


def test_machine_ids_in_lists_shout_the_group(sim: Sim):
    """Compute prints group names in upper case in lists, not in a get."""
    listed = sim.get(f"{DB}/providers/Microsoft.Compute/virtualMachines")["value"]

    assert {each["id"].split("/")[4] for each in listed} == {"RG-DB"}
    assert sim.get(WEB01)["id"] == WEB01


def test_power_state_is_shown_on_demand(sim: Sim):
    """Only the expanded view has statuses."""
    plain = sim.get(WEB01)["properties"]
    expanded = sim.call("GET", WEB01, query="&$expand=instanceView").json()["properties"]

    assert "instanceView" not in plain
    assert expanded["instanceView"]["statuses"][1]["code"] == "PowerState/running"


def test_instance_view_has_an_address_of_its_own(sim: Sim):
    """It takes a permission that the broker does not have."""
    refused = sim.call("GET", f"{WEB01}/instanceView")
    shown = sim.call("GET", f"{WEB01}/instanceView", as_="petra").json()

    assert error(refused) == (403, "AuthorizationFailed")
    assert shown["statuses"][1]["code"] == "PowerState/running"
