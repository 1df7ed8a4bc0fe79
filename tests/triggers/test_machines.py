"""Functions of virtual machines: one use case each."""

import json

import pytest

from jit.api.continuation import write_token
from jit.api.render import render_machine
from jit.broker.requests.filters import Place
from jit.domain.model.people import Person
from jit.domain.model.shown_access import MachineAccess
from tests.builders.machines import a_vm
from tests.builders.values import vm_id
from tests.local.azure.sim import PRODUCTION
from tests.triggers.app_functions import CALLER_ID, call, make_request
from tests.triggers.conftest import NOON

CALLER = Person(id=CALLER_ID, name=CALLER_ID)
PORT = {"number": 22, "protocol": "TCP", "allowedSources": ["*"], "maxDuration": "PT3H"}


@pytest.mark.parametrize("params", [{}, {"subscription": "5c0ffee0", "name": "web01"}])
def test_machines_are_listed_for_the_caller_and_the_subscription(use_case, params):
    """All subscriptions if the query names none."""
    begin, end = Place((0, PRODUCTION), "a" * 26), Place((0, PRODUCTION), "b" * 26)
    calls = use_case("queries", list_machines=([(a_vm(), MachineAccess())], end))
    token = write_token(begin, params, CALLER)
    query = {**params, "continuationToken": token}

    answer = call("list_virtual_machines", make_request("list_virtual_machines", params=query))

    ((_, (subscription, caller), named),) = calls
    assert json.loads(answer.get_body()) == {
        "value": [render_machine(a_vm(), MachineAccess(), NOON)],
        "continuationToken": write_token(end, params, CALLER),
    }
    assert (subscription, caller.id) == (params.get("subscription"), CALLER_ID)
    assert (named["name"], named["begin"]) == (params.get("name"), begin)


def test_a_page_of_machines_is_kept_by_its_caller_and_asked_for_again(use_case):
    """Private, with a weak ETag; a page that is the same is 304 without a body."""
    use_case("queries", list_machines=([(a_vm(), MachineAccess())], None))
    first = call("list_virtual_machines", make_request("list_virtual_machines"))
    tag = first.headers["ETag"]

    same, other = (ask_again(each) for each in (f'W/"x", {tag}', 'W/"x"'))

    assert tag.startswith('W/"')
    assert (first.status_code, same.status_code, same.get_body()) == (200, 304, b"")
    assert (other.status_code, other.get_body()) == (200, first.get_body())
    for each in (first, same, other):
        assert (each.headers["ETag"], each.headers["Cache-Control"], each.headers["Vary"]) == (
            tag,
            "private, no-cache",
            "Accept-Encoding",
        )


def test_another_page_of_machines_has_another_etag(use_case):
    """Somebody is in now."""
    tags = []
    for vms in ([], [a_vm()]):
        use_case("queries", list_machines=([(vm, MachineAccess()) for vm in vms], None))
        tags.append(call("list_virtual_machines", make_request("list_virtual_machines")).headers)

    assert len({each["ETag"] for each in tags}) == 2


def ask_again(tags):
    plain = make_request("list_virtual_machines")
    headers = {**plain.headers, "If-None-Match": tags}
    return call("list_virtual_machines", make_request("list_virtual_machines", headers=headers))


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
    assert (answer.status_code, called, caller.id) == (200, verb, CALLER_ID)
    assert [each.id for each in machines] == [vm_id()]


@pytest.mark.parametrize("name", ["put_jit_policy", "delete_jit_policy"])
def test_a_faulty_body_never_reaches_the_use_case(name):
    """400, and Azure is not asked."""
    assert call(name, make_request(name, body={"virtualMachines": []})).status_code == 400
