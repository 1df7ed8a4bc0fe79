"""The permissions that the broker's role grants: enough for everything, none too many."""

import json
from pathlib import Path

import pytest

from tests.e2e.stack_client import farm, wish
from tests.local.azure.sim import NEW01, WEB01

pytestmark = pytest.mark.e2e

HOSTS = (0,)
ROLE = Path(__file__).resolve().parent.parent.parent / "infra" / "role.json"
PORT = {"number": 22, "protocol": "TCP", "allowedSources": ["*"], "maxDuration": "PT3H"}


def test_everything_is_done_under_exactly_the_brokers_role(client):
    """Open and close through an NSG and a firewall, configure, compare: no call is refused."""
    body = {"virtualMachines": [{"id": NEW01, "ports": [PORT]}]}
    client.api("PUT", "virtual-machines/jit-policy", body, as_="olga")
    asked = [client.ask(wish(WEB01, 3389)), client.ask(wish(farm(1))), client.ask(wish(NEW01))]
    opened = [client.until_status(each, "open", 10)["status"] for each in asked]
    revoked = [client.post(each, "revoke").status for each in asked]
    closed = [client.until_status(each, "closed", 20)["status"] for each in asked]
    client.repeat_while_busy("DELETE", "virtual-machines/jit-policy", _id(NEW01), as_="olga")
    client.api("POST", "reconcile", as_="olga")
    client.until(lambda: client.calls("GET", "azureFirewalls") != [], 6)

    assert (opened, revoked, closed) == (["open"] * 3, [202] * 3, ["closed"] * 3)
    assert [each["path"] for each in client.calls() if each["status"] in {401, 403}] == []


def _id(vm):
    return {"virtualMachines": [{"id": vm}]}


def test_a_broker_that_may_not_initiate_says_so_and_opens_nothing(client):
    """An alert and a note; no half-open path."""
    initiate = "Microsoft.Security/locations/jitNetworkAccessPolicies/initiate/action"
    client.sim("PUT", "state", {"deniedActions": [initiate]})
    request_id = client.ask(wish(farm(2)))

    closed = client.until_status(request_id, "closed", 4)

    (grant,) = closed["grants"]
    log = "".join(host.log for host in client.stack.hosts)
    assert (grant["closeReason"], "AuthorizationFailed" in grant["note"]) == ("failed", True)
    assert '"event": "permission.lost"' in log
    assert not client.reachable(farm(2))


def test_the_role_is_a_list_of_single_actions():
    """No wildcard, no rights on data, nothing that is given and taken away again."""
    role = json.loads(ROLE.read_text())

    assert [action for action in role["Actions"] if "*" in action] == []
    assert (role["NotActions"], role["DataActions"], role["NotDataActions"]) == ([], [], [])
    assert sorted(set(role["Actions"]), key=str.lower) == sorted(role["Actions"], key=str.lower)
