"""Functions of virtual machines: one use case each."""

import json

import pytest

from jit.api.render import render_machine
from jit.domain.model.shown_access import MachineAccess
from tests.builders.machines import a_vm
from tests.builders.values import vm_id
from tests.triggers.app_functions import call, make_request
from tests.triggers.conftest import NOON

PORT = {"number": 22, "protocol": "TCP", "allowedSources": ["*"], "maxDuration": "PT3H"}


@pytest.mark.parametrize("params", [{}, {"subscription": "5c0ffee0", "name": "web01"}])
def test_machines_are_listed_for_the_caller_and_the_subscription(use_case, params):
    """All subscriptions if the query names none."""
    calls = use_case("queries", list_machines=[(a_vm(), MachineAccess())])

    answer = call("list_virtual_machines", make_request("list_virtual_machines", params=params))

    ((_, (subscription, caller), named),) = calls
    assert json.loads(answer.get_body()) == {
        "value": [render_machine(a_vm(), MachineAccess(), NOON)],
        "continuationToken": None,
    }
    assert (subscription, caller.id) == (params.get("subscription"), "o")
    assert named["name"] == params.get("name")


@pytest.mark.parametrize(
    ("name", "verb", "machine"),
    [
        ("put_jit_policy", "put", {"id": vm_id(), "ports": [PORT]}),
        ("delete_jit_policy", "delete", {"id": vm_id()}),
    ],
)
def test_a_policy_is_changed_for_the_machines_of_the_body(use_case, name, verb, machine):
    """On behalf of the caller, for the audit trail."""
    calls = use_case("configurator", **{verb: []})

    answer = call(name, make_request(name, body={"virtualMachines": [machine]}))

    ((called, (machines, caller), _),) = calls
    assert (answer.status_code, called, caller.id) == (200, verb, "o")
    assert [each.id for each in machines] == [vm_id()]


@pytest.mark.parametrize("name", ["put_jit_policy", "delete_jit_policy"])
def test_a_faulty_body_never_reaches_the_use_case(name):
    """400, and Azure is not asked."""
    assert call(name, make_request(name, body={"virtualMachines": []})).status_code == 400
