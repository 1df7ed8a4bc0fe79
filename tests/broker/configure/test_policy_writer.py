"""One JIT policy, replaced: written, read back, compared, every step in the trail."""

from datetime import timedelta

import pytest

from jit.domain.errors import AccessDenied, Conflict, InvalidRequest, Unavailable, Unknown
from jit.domain.model.machine import Support
from jit.domain.policy_setup.changes import PolicyAction
from tests.broker.configuring import OLGA, an_azure_port, codes, fault, writes
from tests.broker.reconciling import told
from tests.fakes.calls import Crash
from tests.local.azure.sim import (
    APP01,
    DB,
    DB01,
    NEW01,
    policy,
)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "InvalidJitNetworkAccessPolicy", InvalidRequest),
        (404, "ResourceNotFound", InvalidRequest),
        (403, "AuthorizationFailed", AccessDenied),
        (401, "InvalidAuthenticationToken", AccessDenied),
        (429, "TooManyRequests", Unavailable),
        (409, "AnotherOperationInProgress", Unavailable),
    ],
)
def test_a_refusal_of_azure_comes_in_the_brokers_words(site, status, code, kind):
    """A refusal is a problem of its own kind, and changes nothing."""
    before = site.entries()
    site.sim.faults(fault("PUT", answer={"status": status, "code": code}))
    with pytest.raises(kind):
        site.put(NEW01)

    assert site.entries() == before


def test_a_missing_permission_is_a_denial(site):
    """Without the right to write VMs Azure links no policy to them."""
    denied = ["Microsoft.Compute/virtualMachines/write"]
    site.sim.control("PUT", "state", {"deniedActions": denied})
    with pytest.raises(AccessDenied) as error:
        site.put(NEW01)

    assert codes(error) == [("#/virtualMachines/0/id", "refused-by-azure")]


@pytest.mark.parametrize(
    ("status", "kind", "event", "words"),
    [
        (403, AccessDenied, "permission.lost", "does not let the broker change JIT policy default"),
        (400, InvalidRequest, "policy.refused", "refused to change JIT policy default of rg-db"),
    ],
)
def test_a_refused_change_names_the_policy_to_people_and_to_queries(
    site, caplog, status, kind, event, words
):
    """Azure's code is in the log; the queries of events group by ``policy_id``."""
    site.sim.faults(fault("PUT", answer={"status": status, "code": "Whatever"}))
    with pytest.raises(kind, match=words):
        site.put(NEW01)

    (told_once,) = told(caplog, event)
    assert (told_once["policy_id"].lower(), told_once["code"]) == (policy(DB).lower(), "Whatever")


def test_a_subscription_that_may_not_be_read_is_named_to_queries(site, caplog):
    """The look before the change has no policy: the event has the refused call."""
    denied = ["Microsoft.Security/locations/jitNetworkAccessPolicies/read"]
    site.sim.control("PUT", "state", {"deniedActions": denied})
    with pytest.raises(AccessDenied, match="does not let the broker read the subscription"):
        site.put(NEW01)

    (lost,) = told(caplog, "permission.lost")
    assert "jitNetworkAccessPolicies" in lost["resource_id"]


def test_a_lost_answer_is_resolved_by_reading(site):
    """The write happened, and its answer did not come. The policy that is read back counts."""
    site.sim.faults(fault("PUT", drop="after"))
    (done,) = site.put(NEW01)

    assert done.action is PolicyAction.WRITTEN
    assert "new01" in site.entries()


def test_a_lost_call_is_an_outage(site):
    """Nothing happened, and nobody claims that it did."""
    site.sim.faults(fault("PUT", drop="before"))
    with pytest.raises(Unknown):
        site.put(NEW01)

    assert "new01" not in site.entries()


def test_a_policy_that_azure_changed_in_another_way_is_an_error(site):
    """An Owner who writes at the same moment wins silently at Azure, not here."""
    only_app = {"properties": {"virtualMachines": [{"id": APP01, "ports": [an_azure_port()]}]}}

    def overwrite(name, _number):
        if name == "policies.replace":
            site.azure.calls.after = lambda *_: None
            site.sim.call("PUT", policy(DB), {"kind": "Basic", **only_app}, as_="petra")

    site.azure.calls.after = overwrite
    with pytest.raises(Conflict, match="differs about") as error:
        site.put(NEW01)

    assert codes(error) == [("#/virtualMachines/0/id", "policy-differs")]


def test_nothing_is_written_after_the_lease_ran_out(site):
    """A reader that takes longer than a lease has lost the policy to another instance."""

    def take_over(name, _number):
        if name == "policies.get":
            site.azure.calls.after = lambda *_: None
            site.clock.advance(timedelta(minutes=2))
            site.turns.claim(policy(DB))

    site.azure.calls.after = take_over
    with pytest.raises(Unavailable, match="taken over"):
        site.put(NEW01)

    assert not writes(site)


def test_the_trail_has_the_caller_and_the_change(site):
    """Before and after of each VM, before the call and after it."""
    site.put(DB01)
    before = [port["number"] for port in site.trail()[0][2]["before"]]

    assert [(what, actor) for what, actor, _ in site.trail()] == [
        ("policy.change_began", OLGA.id),
        ("policy.changed", OLGA.id),
    ]
    assert before == [22, 3389, 5985]
    assert site.trail()[1][2]["after"] == site.entries()["db01"]["ports"]


def test_the_trail_has_each_failure(site):
    """A change that Azure refused is on record, with the reason."""
    site.sim.faults(fault("PUT", answer={"status": 400, "code": "Whatever"}))
    with pytest.raises(InvalidRequest):
        site.put(NEW01)

    assert [what for what, *_ in site.trail()] == ["policy.change_began", "policy.change_failed"]
    assert "Whatever" in site.trail()[1][2]["reason"]


def test_an_entry_too_long_for_a_row_is_on_record_by_its_digest(site):
    """A policy written elsewhere may hold more than a table's text."""
    ports = [an_azure_port(number=number) for number in range(1, 200)]
    body = {"properties": {"virtualMachines": [{"id": DB01, "ports": ports}]}}
    site.sim.call("PUT", policy(DB), {"kind": "Basic", **body}, as_="petra")
    site.put(DB01)

    assert site.trail()[0][2]["before"].keys() == {"sha256", "characters"}


CALLS = 26
"""How many calls a change of one policy makes to the outside."""


def dying(site, number, when):
    """Have the process die at one call, before or after it acted: then nothing else happens."""
    dead: list[str] = []

    def die(name, count):
        if dead or count == number:
            dead.append(name)
            raise Crash

    def buried(name, _count):
        if dead:
            die(name, 0)

    calls = site.azure.calls
    calls.before, calls.after = (die, buried) if when == "before" else (buried, die)


def test_a_change_makes_so_many_calls(site):
    """The crash points below are all there are."""
    site.put(NEW01)

    assert len(site.azure.calls.names) == CALLS


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(1, CALLS + 1))
def test_a_change_that_died_anywhere_is_finished_by_repeating_it(site, number, when):
    """No VM loses its rules after any last call, and the repetition completes the change."""
    before = site.entries()
    dying(site, number, when)
    with pytest.raises(Crash):
        site.put(NEW01)
    between = site.entries()
    site.azure.calls.before = site.azure.calls.after = lambda *_: None
    site.clock.advance(timedelta(minutes=2))  # a dead process's lease runs out
    site.put(NEW01)

    assert {name: between[name] for name in before} == before
    assert site.entries() == {**before, "new01": site.entries()["new01"]}
    assert site.inventory.find_machine(NEW01).support is Support.CONFIGURED
    assert site.trail()[0][0] == "policy.change_began"
