"""JIT policies changed through the real gateways, over the simulator in this process."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from jit.domain.errors import AccessDenied, Conflict, InvalidRequest, Unavailable, Unknown
from jit.domain.limits import LIMITS
from jit.domain.model.grant import Status
from jit.domain.model.machine import Support
from jit.domain.model.people import Person
from jit.domain.policy_setup.changes import PolicyAction
from jit.domain.requests.bodies import read_policy_delete, read_policy_put
from jit.domain.values.arm_ids import key
from jit.messages import POLICY
from tests.builders.stored_grants import a_grant, a_request
from tests.builders.stores import Surroundings, UseCases, stores_over
from tests.fakes.azure import SimulatedAzure
from tests.fakes.calls import Crash
from tests.fakes.clock import FakeClock
from tests.fakes.queues import FakeQueues
from tests.fakes.tables import FakeTable
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
    Sim,
    group,
    machine,
    policy,
)

OLGA = Person(id="01ga", name="Olga")
PORTS = [{"number": 22, "protocol": "TCP", "allowedSources": ["10.0.0.0/8"], "maxDuration": "PT2H"}]
FARM51 = machine("farm51", group("rg-farm-1", DEVELOPMENT))


class Site:
    """A broker's configurator with everything around it."""

    def __init__(self):
        self.sim = Sim()
        self.azure = SimulatedAzure(self.sim)
        self.clock = FakeClock(self.sim.now)
        self.table = FakeTable(self.clock, calls=self.azure.calls, name="state")
        self.stores = stores_over(self.table, FakeTable(self.clock))
        self.requests, self.inventory = self.stores.requests, self.stores.inventory
        self.queues = FakeQueues(self.clock, calls=self.azure.calls)
        self.turns = self.stores.locks
        self.named = (PRODUCTION, DEVELOPMENT)

    @property
    def configurator(self):
        observer = self.azure.observer()
        around = Surroundings(
            observer=lambda: observer,
            queues=self.queues,
            policies=lambda: self.azure.policies,
            network=lambda: self.azure.network,
            limits=replace(LIMITS, subscriptions=self.named),
        )
        return UseCases(self.stores, around).configurator()

    def put(self, *ids, ports=None):
        body = [{"id": vm_id, "ports": ports or PORTS} for vm_id in ids]
        machines, faults = read_policy_put({"virtualMachines": body})
        assert not faults
        return self.configurator.put(machines, OLGA, now=self.sim.now)

    def delete(self, *ids):
        machines, faults = read_policy_delete({"virtualMachines": [{"id": i} for i in ids]})
        assert not faults
        return self.configurator.delete(machines, OLGA, now=self.sim.now)

    def entries(self, where=DB):
        """The VM entries of the group's policy ``default``, by VM name."""
        found = self.sim.get(policy(where))["properties"]["virtualMachines"]
        return {entry["id"].rsplit("/", 1)[-1]: entry for entry in found}

    def grant(self, vm_id=DB01, **changes):
        """Store a request with one grant on a VM of the group's policy."""
        request = a_request(self.sim.now, policy(vm_id.partition("/providers/")[0]))
        self.requests.insert(request, [a_grant(request, vm_id, **changes)], [])
        return request

    def trail(self):
        """The events in the outbox."""
        docs = [json.loads(str(row.values["Doc"])) for row in self.table.rows("a|")]
        return [(doc["what"], doc["actor"], doc["facts"]) for doc in docs]


@pytest.fixture
def site():
    return Site()


def codes(error):
    return [(v.pointer, v.code) for v in error.value.violations]


def writes(site):
    return [
        name for name in site.azure.calls.names if name in {"policies.replace", "policies.delete"}
    ]


# ---- what is written -----------------------------------------------------------------------------


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


def an_azure_port(**changes):
    return {
        "number": 3389,
        "protocol": "*",
        "allowedSourceAddressPrefix": "*",
        "maxRequestAccessDuration": "PT1H",
        **changes,
    }


def test_the_body_sent_to_azure_keeps_requests_and_unknown_fields(site):
    """What Azure remembers, and what it will invent, goes back as it was read."""
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
    """What the last full look found about a VM is still true."""
    from jit.domain.model.machine import MachineWarning

    site.put(NEW01)
    known = site.inventory.find_machine(NEW01)
    warned = replace(known, warnings=(MachineWarning(code="bypass", detail="a rule"),))
    site.inventory.write_machines(PRODUCTION, [warned], complete=False)
    site.put(NEW01, ports=[{**PORTS[0], "number": 2222}])

    assert site.inventory.find_machine(NEW01).warnings == warned.warnings


def test_defender_denies_the_port_from_then_on(site):
    """A configured port is closed for everybody who has not asked."""
    site.put(NEW01, ports=[{**PORTS[0], "number": 2222}])
    site.sim.advance("PT1M")

    assert [rule["destinationPortRange"] for rule in site.sim.denies(NSG_NEW)] == ["2222"]


# ---- what is taken out ---------------------------------------------------------------------------


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
    """A delete says how it shall be, not what to do."""
    (done,) = site.delete(NEW01)

    assert (done.policy_id, done.action) == (None, PolicyAction.UNCHANGED)
    assert not writes(site)


def test_a_vm_that_no_longer_exists_can_be_taken_out(site):
    """A policy may name a VM longer than the VM lives."""
    site.sim.control("PUT", "state", {"resources": {DB01: None}})
    (done,) = site.delete(DB01)

    assert (done.machines, list(site.entries())) == ((), ["app01"])


# ---- what is refused -----------------------------------------------------------------------------


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


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.CLOSED])
def test_a_policy_is_not_changed_while_access_under_it_is_live(site, status):
    """Whoever has, or will get, a path keeps the rules it was granted under; the VM is named."""
    request = site.grant(DB01, status=status)
    with pytest.raises(Conflict) as error:
        site.put(WEB01, NEW01)

    assert codes(error) == [("#/virtualMachines/1/id", "grant-live")]
    assert error.value.violations[0].detail == (
        f"db01 has access under this policy: port 22 ({status}) of request {request.id}"
    )
    assert not writes(site)


def test_closed_access_stands_in_nobodys_way(site):
    """A grant that is over protects nothing."""
    site.grant(DB01, status=Status.CLOSED)
    (done,) = site.put(NEW01)

    assert done.action is PolicyAction.WRITTEN


def test_access_that_comes_while_the_claim_is_taken_is_seen(site):
    """The last look at the grants is under the claim: nobody opens anything after it."""

    def accept(name, _number):
        if name == "state.write" and not site.table.rows("g|"):
            site.azure.calls.before = lambda *_: None
            site.grant(DB01)

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


def test_what_the_worker_waits_for_survives_the_claim(site):
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


def test_refusals_of_several_policies_are_told_together(site):
    """Every VM that is not as asked has its violation."""
    site.sim.faults(fault("PUT", times=2, answer={"status": 400, "code": "Whatever"}))
    with pytest.raises(InvalidRequest, match="0 of 2") as error:
        site.put(WEB01, NEW01)

    assert codes(error) == [
        ("#/virtualMachines/0/id", "refused-by-azure"),
        ("#/virtualMachines/1/id", "refused-by-azure"),
    ]


# ---- when Azure fails ----------------------------------------------------------------------------


def fault(method, *, times=1, **what):
    return {
        "match": {"method": method, "path": "jitNetworkAccessPolicies/default"},
        "times": times,
        **what,
    }


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
def test_azures_refusal_is_told_in_the_brokers_words(site, status, code, kind):
    """A refusal is a problem of its own kind, and changes nothing."""
    before = site.entries()
    site.sim.faults(fault("PUT", answer={"status": status, "code": code}))
    with pytest.raises(kind):
        site.put(NEW01)

    assert site.entries() == before


def test_a_missing_permission_is_told_to_the_caller(site):
    """Without the right to write VMs Azure links no policy to them."""
    denied = ["Microsoft.Compute/virtualMachines/write"]
    site.sim.control("PUT", "state", {"deniedActions": denied})
    with pytest.raises(AccessDenied) as error:
        site.put(NEW01)

    assert codes(error) == [("#/virtualMachines/0/id", "refused-by-azure")]


def test_a_subscription_that_may_not_be_read_is_told_to_the_caller(site):
    """The first look fails like any other call."""
    site.sim.control("PUT", "state", {"deniedActions": ["Microsoft.Network/*/read"]})

    with pytest.raises(AccessDenied):
        site.put(NEW01)


def test_a_lost_answer_is_resolved_by_reading(site):
    """The write happened, the answer did not come: what counts is what is there."""
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
    """Who reads for longer than a lease has lost the claim to somebody else."""

    def take_over(name, _number):
        if name == "policies.get":
            site.azure.calls.after = lambda *_: None
            site.clock.advance(timedelta(minutes=2))
            site.turns.claim(policy(DB))

    site.azure.calls.after = take_over
    with pytest.raises(Unavailable, match="taken over"):
        site.put(NEW01)

    assert not writes(site)


def test_a_deaf_queue_does_not_undo_what_was_done(site):
    """A message is a hint; the timer finds what it would have told."""
    site.grant(DB01, status=Status.CLOSED)

    def deaf(name, _number):
        if name == "queues.send":
            raise Unavailable("no queue")

    site.azure.calls.before = deaf
    (done,) = site.put(NEW01)

    assert done.action is PolicyAction.WRITTEN


# ---- the trail -----------------------------------------------------------------------------------


def test_the_trail_says_who_changed_what(site):
    """Before and after of each VM, before the call and after it."""
    site.put(DB01)
    before = [port["number"] for port in site.trail()[0][2]["before"]]

    assert [(what, actor) for what, actor, _ in site.trail()] == [
        ("policy.change_began", OLGA.id),
        ("policy.changed", OLGA.id),
    ]
    assert before == [22, 3389, 5985]
    assert site.trail()[1][2]["after"] == site.entries()["db01"]["ports"]


def test_the_trail_says_what_failed(site):
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


# ---- crashes -------------------------------------------------------------------------------------

CALLS = 23
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
    """Whatever call was the last one: no VM loses its rules, and the repetition gets there."""
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
