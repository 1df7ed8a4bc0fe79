"""JIT policies changed through the real gateways, over the simulator in this process."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jit.domain.errors import AccessDenied, Conflict, InvalidRequest, Unavailable
from jit.domain.model.grant import Status
from jit.domain.model.machine import Support, Via
from jit.domain.policy_setup.changes import PolicyAction
from jit.domain.values.arm_ids import key
from jit.messages import POLICY
from tests.broker.configuring import FARM51, PORTS, an_azure_port, codes, fault, writes
from tests.local.azure.sim import (
    APP01,
    DB,
    DB01,
    DEVELOPMENT,
    HUB01,
    NEW01,
    NSG_NEW,
    PRODUCTION,
    WEB,
    WEB01,
    machine,
    policy,
)

# ---- writes --------------------------------------------------------------------------------------


def test_a_vm_without_policy_joins_the_policy_of_its_group(site):
    """Its neighbours in the policy keep every rule they had."""
    before = site.entries()
    (done,) = site.put(NEW01)

    assert done.action is PolicyAction.WRITTEN
    assert site.entries() == {**before, "new01": site.entries()["new01"]}
    assert site.entries()["new01"]["ports"] == [
        {
            "number": 22,
            "protocol": "TCP",
            "allowedSourceAddressPrefix": "10.0.0.0/8",
            "maxRequestAccessDuration": "PT2H",
        }
    ]


def test_a_missing_policy_is_created_under_the_name_default(site):
    """The first VM of a group and location brings its policy with it."""
    site.delete(WEB01)
    (done,) = site.put(WEB01)

    assert (key(done.policy_id), done.action) == (key(policy(WEB)), PolicyAction.CREATED)
    assert [rule.number for rule in done.machines[0].ports] == [22]


def test_a_vm_stays_in_the_policy_that_holds_it(site):
    """A policy of another name keeps its VMs; no second one is made."""
    other = policy(DB, name="night-shift")
    site.delete(DB01)
    body = {"properties": {"virtualMachines": [{"id": DB01, "ports": [an_azure_port()]}]}}
    site.sim.call("PUT", other, {"kind": "Basic", **body}, as_="petra")
    (done,) = site.put(DB01)

    assert done.policy_id == other
    assert "db01" not in site.entries()


def test_the_body_sent_to_azure_keeps_requests_and_unknown_fields(site):
    """Recorded requests and fields of tomorrow go back as they were read."""
    site.sim.initiate(DB01, 22, as_="petra")
    site.sim.advance("PT5M")
    read = site.sim.get(policy(DB))
    site.put(NEW01)
    log = site.sim.control("GET", "log")
    sent = next(entry for entry in log if entry["method"] == "PUT")["requestBody"]

    assert sent["properties"]["requests"] == read["properties"]["requests"]
    assert {**sent, "properties": None} == {**read, "properties": None}


def test_vms_of_several_groups_are_written_into_their_own_policies(site):
    """Each policy has its own result."""
    done = site.put(WEB01, NEW01)

    assert [(item.policy_id, [vm.name for vm in item.machines]) for item in done] == [
        (policy(WEB), ["web01"]),
        (policy(DB), ["new01"]),
    ]


def test_an_id_in_another_case_is_the_same_vm(site):
    """ARM ids vary in case; the policy gets Azure's spelling, once."""
    site.put(DB01.upper().replace("/SUBSCRIPTIONS", "/subscriptions"))

    assert [port["number"] for port in site.entries()["db01"]["ports"]] == [22]
    assert len(site.entries()) == 2


def test_the_same_wish_again_writes_nothing(site):
    """A repetition finds the policy as it should be."""
    site.put(NEW01)
    count = len(writes(site))
    (done,) = site.put(NEW01)

    assert done.action is PolicyAction.UNCHANGED
    assert len(writes(site)) == count


def test_the_inventory_knows_at_once(site):
    """A request right after the answer is decided by the new rules."""
    site.put(NEW01)
    known = site.inventory.find_machine(NEW01)

    assert known is not None
    assert known.support is Support.CONFIGURED
    assert [(rule.number, rule.max_duration) for rule in known.ports] == [(22, timedelta(hours=2))]


def test_warnings_of_the_inventory_are_kept(site):
    """The findings of the last full look about a VM are still true."""
    from jit.domain.model.machine import MachineWarning

    site.put(NEW01)
    known = site.inventory.find_machine(NEW01)
    warned = replace(known, warnings=(MachineWarning(code="bypass", detail="a rule"),))
    site.inventory.write_machines(PRODUCTION, [warned], complete=False)
    site.put(NEW01, ports=[{**PORTS[0], "number": 2222}])

    assert site.inventory.find_machine(NEW01).warnings == warned.warnings


def test_one_short_list_takes_no_firewall_away(site):
    """The companion of an open grant would go with it."""
    site.put(WEB01)
    before = site.inventory.find_machine(WEB01)
    path = f"/subscriptions/{PRODUCTION}/providers/Microsoft.Network/azureFirewalls"
    site.sim.faults({"match": {"path": path}, "omit": [""]})
    site.put(WEB01, ports=[{**PORTS[0], "number": 2222}])
    known = site.inventory.find_machine(WEB01)

    assert (known.firewall_id, known.via) == (before.firewall_id, Via.FIREWALL)
    assert [rule.number for rule in known.ports] == [2222]


def test_defender_denies_the_port_from_then_on(site):
    """A configured port is closed for everybody who has not asked."""
    site.put(NEW01, ports=[{**PORTS[0], "number": 2222}])
    site.sim.advance("PT1M")

    assert [rule["destinationPortRange"] for rule in site.sim.denies(NSG_NEW)] == ["2222"]


# ---- VMs that are taken out ----------------------------------------------------------------------


def test_a_policy_that_was_listed_and_then_is_called_absent_is_not_written_anew(site):
    """A PUT replaces all VMs: one wrong 404 would take the others out of their protection."""
    before = site.sim.get(policy(DB))
    absent = {"match": {"method": "GET", "path": "jitNetworkAccessPolicies/default"}}
    site.sim.faults(absent | {"answer": {"status": 404, "code": "ResourceNotFound"}})

    with pytest.raises(Unavailable, match="has just vanished"):
        site.put(NEW01)

    assert site.sim.get(policy(DB)) == before


def test_a_vm_taken_out_leaves_the_others_alone(site):
    """A delete removes one entry."""
    before = site.entries()
    (done,) = site.delete(DB01)

    assert done.action is PolicyAction.WRITTEN
    assert site.entries() == {"app01": before["app01"]}
    assert done.machines[0].support is Support.NOT_CONFIGURED


def test_a_policy_without_vms_is_deleted(site):
    """Nothing is left of a policy whose last VM goes."""
    (done,) = site.delete(DB01, APP01)

    assert (done.action, site.sim.call("GET", policy(DB)).status) == (PolicyAction.DELETED, 404)


def test_taking_out_a_vm_that_is_in_no_policy_changes_nothing(site):
    """A delete names the state to reach, not a step."""
    (done,) = site.delete(NEW01)

    assert (done.policy_id, done.action) == (None, PolicyAction.UNCHANGED)
    assert not writes(site)


def test_a_vm_that_no_longer_exists_can_be_taken_out(site):
    """A policy may name a VM longer than the VM lives."""
    site.sim.control("PUT", "state", {"resources": {DB01: None}})
    (done,) = site.delete(DB01)

    assert (done.machines, list(site.entries())) == ((), ["app01"])


# ---- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vm_id", "code"),
    [
        (machine("nowhere", DB), "vm-not-found"),
        (HUB01, "vm-unsupported"),
        (DB01.replace(PRODUCTION, "00000000-0000-4000-8000-000000000009"), "subscriptions-differ"),
    ],
)
def test_a_vm_that_cannot_be_configured_is_named(site, vm_id, code):
    """One bad VM stops the whole request, before anything is written."""
    with pytest.raises(InvalidRequest) as error:
        site.put(NEW01, vm_id)

    assert codes(error) == [("#/virtualMachines/1/id", code)]
    assert not writes(site)


def test_an_unsupported_vm_is_refused_with_the_reason(site):
    """The answer says why, as the list of VMs does."""
    with pytest.raises(InvalidRequest) as error:
        site.put(HUB01)

    assert "firewall policy" in error.value.violations[0].detail


def test_names_that_azure_would_not_take_are_refused(site):
    """The names of policy and VM have 56 characters at most, together."""
    longest = machine("w" * 50, DB)
    resource = site.sim.get(NEW01)
    site.sim.control(
        "PUT", "state", {"resources": {longest: {**resource, "id": longest, "name": "w" * 50}}}
    )
    with pytest.raises(InvalidRequest) as error:
        site.put(longest)

    assert codes(error) == [("#/virtualMachines/0/id", "names-too-long")]


@pytest.mark.parametrize(
    ("vm_id", "code"),
    [
        (machine("nowhere", DB), "vm-not-found"),
        (DB01.replace(PRODUCTION, "00000000-0000-4000-8000-000000000009"), "not-watched"),
    ],
)
def test_a_vm_that_nobody_knows_cannot_be_taken_out(site, vm_id, code):
    """A misspelt id is a fault, not a success."""
    with pytest.raises(InvalidRequest) as error:
        site.delete(vm_id)

    assert codes(error) == [("#/virtualMachines/0/id", code)]


def test_a_subscription_that_is_not_watched_is_refused(site):
    """The broker configures where it reconciles, nowhere else."""
    site.named = (DEVELOPMENT,)
    with pytest.raises(InvalidRequest) as error:
        site.put(NEW01)

    assert codes(error) == [("#/virtualMachines/0/id", "not-watched")]


def test_vms_of_several_subscriptions_are_refused_before_azure_is_asked(site):
    """As in an access request: one body, one subscription."""
    with pytest.raises(InvalidRequest) as error:
        site.put(NEW01, FARM51, DB01)

    assert codes(error) == [("#/virtualMachines/1/id", "subscriptions-differ")]
    assert site.azure.calls.names == []


@pytest.mark.parametrize("status", [Status.OPENING, Status.OPEN, Status.CLOSING])
def test_a_policy_is_not_widened_while_access_under_it_is_live(site, status):
    """A granted path keeps the rules it was granted under; the VM is named."""
    request = site.grant(DB01, status=status)
    with pytest.raises(Conflict) as error:
        site.put(WEB01, NEW01)

    assert codes(error) == [("#/virtualMachines/1/id", "grant-live")]
    assert error.value.violations[0].detail == (
        f"db01 has access under this policy: port 22 ({status}) of request {request.id}"
    )
    assert not writes(site)


@pytest.mark.parametrize(
    "status", [Status.SCHEDULED, Status.AWAITING_APPROVAL, Status.PENDING, Status.CLOSED]
)
def test_bookings_and_closed_access_stand_in_nobodys_way(site, status):
    """A booking is decided again when it opens, and a grant that is over protects nothing."""
    site.grant(DB01, status=status)
    (done,) = site.put(NEW01)

    assert done.action is PolicyAction.WRITTEN


def test_access_that_comes_while_the_claim_is_taken_is_seen(site):
    """The last look at the grants is under the claim: nobody opens anything after it."""

    def accept(name, _number):
        if name == "state.write" and not site.table.rows("g|"):
            site.azure.calls.before = lambda *_: None
            site.grant(DB01, status=Status.OPENING)

    site.azure.calls.before = accept
    with pytest.raises(Conflict):
        site.put(NEW01)

    assert not writes(site)
    assert [sent.text for sent in site.queues.waiting(POLICY)] != []


def test_a_policy_that_is_being_worked_on_is_busy(site):
    """One writer at a time; the answer says when to come back."""
    site.turns.claim(policy(DB))
    with pytest.raises(Unavailable) as error:
        site.put(NEW01)

    assert error.value.retry_after_seconds == 10
    assert not writes(site)


def test_the_claim_is_given_back(site):
    """The worker can go on right after."""
    site.put(NEW01)

    assert site.turns.claim(policy(DB)) is not None


def test_the_claim_is_given_back_after_a_failure(site):
    """A refused change blocks nobody."""
    site.sim.faults(fault("PUT", answer={"status": 400, "code": "InvalidJitNetworkAccessPolicy"}))
    with pytest.raises(InvalidRequest):
        site.put(NEW01)

    assert site.turns.claim(policy(DB)) is not None


def test_the_waiting_times_of_the_worker_survive_the_lease(site):
    """Azure's wish to be left alone, and the count of failures, are the worker's."""
    until = site.sim.now + timedelta(minutes=5)
    site.turns.release(site.turns.claim(policy(DB)), not_before=until, attempts=3)
    site.put(NEW01)
    claim = site.turns.claim(policy(DB))

    assert (claim.row.not_before, claim.row.attempts) == (until, 3)


def test_one_busy_policy_does_not_stop_the_others(site):
    """The error says how many are as asked; a repetition does the rest."""
    site.turns.claim(policy(WEB))
    with pytest.raises(Unavailable, match="1 of 2 JIT policies are as asked"):
        site.put(WEB01, NEW01)

    assert "new01" in site.entries()


def test_refusals_of_several_policies_come_together(site):
    """Every VM that is not as asked has its violation."""
    site.sim.faults(fault("PUT", times=2, answer={"status": 400, "code": "Whatever"}))
    with pytest.raises(InvalidRequest, match="0 of 2") as error:
        site.put(WEB01, NEW01)

    assert codes(error) == [
        ("#/virtualMachines/0/id", "refused-by-azure"),
        ("#/virtualMachines/1/id", "refused-by-azure"),
    ]


# ---- when Azure fails ----------------------------------------------------------------------------


def test_a_subscription_that_may_not_be_read_is_a_denial(site):
    """The first look fails like any other call."""
    site.sim.control("PUT", "state", {"deniedActions": ["Microsoft.Network/*/read"]})

    with pytest.raises(AccessDenied):
        site.put(NEW01)


def test_a_deaf_queue_does_not_undo_the_change(site):
    """A message is a hint; the timer finds the same work."""
    site.grant(DB01, status=Status.CLOSED)

    def deaf(name, _number):
        if name == "queues.send":
            raise Unavailable("no queue")

    site.azure.calls.before = deaf
    (done,) = site.put(NEW01)

    assert done.action is PolicyAction.WRITTEN
