"""JIT policies that are narrowed while access under them is live or booked."""

from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest

from jit import messages
from jit.domain.errors import Conflict, Unavailable
from jit.domain.model.grant import CloseReason, Grant, Status
from jit.domain.requests.policy_bodies import read_policy_delete, read_policy_put
from tests.broker.inprocess import BOB, HERE, OLGA, THERE, InProcess, policy_of, wish
from tests.broker.reconciling import Reconciling
from tests.fakes.calls import Crash
from tests.local.azure.sim import APP01, DB, DB01, PRODUCTION, WEB01, policy
from tests.sizes import sample

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
CALLS = 24
"""How many calls a tightening with one live grant makes to the outside."""

ALLOWED = {
    22: {"protocol": "TCP", "allowedSources": ["*"], "maxDuration": "PT3H"},
    3389: {"protocol": "TCP", "allowedSources": ["203.0.113.0/24"], "maxDuration": "PT2H"},
    5985: {"protocol": "*", "allowedSources": ["*"], "maxDuration": "PT3H"},
}
"""The port rules of db01 in the landscape."""


def put(broker: InProcess, vm: str, ports: Any) -> str:
    """Play ``PUT virtual-machines/jit-policy``; return the action."""
    rules = [{"number": number, **rule} for number, rule in ports.items()]
    machines, faults = read_policy_put({"virtualMachines": [{"id": vm, "ports": rules}]})
    assert not faults
    (done,) = broker.use_cases.configurator().put(machines, OLGA, now=broker.now)
    return done.action.value


def delete(broker: InProcess, *vms: str) -> None:
    """Play ``DELETE virtual-machines/jit-policy``."""
    machines, _ = read_policy_delete({"virtualMachines": [{"id": vm} for vm in vms]})
    broker.use_cases.configurator().delete(machines, OLGA, now=broker.now)


def only(number: int, **changes: Any) -> dict[int, Any]:
    """One port of db01, with changes of its rule."""
    return {number: {**ALLOWED[number], **changes}}


def opened(broker: InProcess, vm: str = DB01, minutes: float = 3, **changes: Any) -> str:
    """Open a port; return the request's id."""
    request_id = broker.ask(wish(vm, **changes))
    broker.live(minutes)
    assert broker.status(request_id) == "open"
    return request_id


def ended(grant: Grant) -> tuple[Any, Any, list[str]]:
    """The status of a grant, its close reason and the codes of its denials."""
    return grant.status.value, grant.close_reason, [each.code for each in grant.denials]


# ---- live grants outside the new policy ----------------------------------------------------------


@pytest.mark.parametrize(
    ("ports", "code"),
    [
        (only(3389), "port-not-in-policy"),
        (only(22, allowedSources=["198.51.100.0/24"]), "source-not-allowed"),
    ],
)
def test_a_live_grant_that_a_tightened_policy_no_longer_allows_is_closed_with_the_reason(
    broker, ports, code
):
    """Its rules go at once, and also if Defender forgets a port that leaves its policy."""
    broker.sim.options(putForgetsRules=True, putTakesRequests=True)
    request_id = opened(broker)

    assert put(broker, DB01, ports) == "written"
    broker.live(1)
    grant = broker.grant(request_id)

    assert ended(grant) == ("closed", CloseReason.DENIED, [code])
    assert (broker.reachable(DB01), grant.closed_by) == (False, None)
    assert "db01" in (grant.note or "")


def test_a_grant_of_both_protocols_ends_if_the_policy_keeps_one(broker):
    """Its rule lets both in."""
    request_id = opened(broker, port=5985)

    put(broker, DB01, only(5985, protocol="TCP"))
    broker.live(1)

    assert ended(broker.grant(request_id)) == (
        "closed",
        CloseReason.DENIED,
        ["protocol-not-in-policy"],
    )


def test_a_grant_inside_the_tightened_policy_goes_on(broker):
    """Its neighbour on the VM port ends; the shared path is asked for anew without that one."""
    hers, his = opened(broker), broker.ask(wish(DB01, source=THERE), BOB)
    broker.live(3)

    put(broker, DB01, only(22, allowedSources=[HERE]))
    broker.live(5)

    assert [broker.status(hers), broker.status(his)] == ["open", "closed"]
    assert [broker.reachable(DB01), broker.reachable(DB01, source=THERE)] == [True, False]


def test_the_grants_of_other_vms_of_the_policy_stay_as_they_are(broker):
    """A PUT names all VMs of a policy; only the named one changes."""
    request_id = opened(broker, APP01, port=3389)
    before = broker.grant(request_id)

    put(broker, DB01, only(22))
    broker.live(2)

    assert broker.grant(request_id).expires_at == before.expires_at
    assert broker.status(request_id) == "open"


def test_a_vm_leaves_its_policy_although_access_to_it_is_live(broker):
    """The access ends after two looks; the other VM of the policy keeps its own."""
    gone, stays = opened(broker), opened(broker, APP01, port=3389)

    delete(broker, DB01)
    broker.deliver()
    assert broker.status(gone) == "open"
    broker.live(3)

    assert ended(broker.grant(gone)) == ("closed", CloseReason.DENIED, ["no-jit-policy"])
    assert (broker.status(stays), broker.reachable(DB01)) == ("open", False)


def test_access_behind_a_firewall_ends_with_its_port(broker):
    """The rule of the firewall and the companion go, too."""
    request_id = opened(broker, WEB01, minutes=7)

    put(broker, WEB01, {3389: {**ALLOWED[22]}})
    broker.live(7)

    assert ended(broker.grant(request_id)) == (
        "closed",
        CloseReason.DENIED,
        ["port-not-in-policy"],
    )
    assert not broker.reachable(WEB01)


def test_a_deleted_policy_ends_its_access_after_two_looks(broker):
    """One 404 may be a fault; a minute later the policy counts as deleted."""
    broker.sim.options(deleteForgetsRules=True)
    request_id = opened(broker)

    delete(broker, DB01, APP01)
    broker.deliver()
    first = broker.status(request_id)
    broker.live(4)

    assert (first, broker.sim.call("GET", policy(DB)).status) == ("open", 404)
    assert ended(broker.grant(request_id)) == ("closed", CloseReason.DENIED, ["no-jit-policy"])
    assert not broker.reachable(DB01)


# ---- ends ----------------------------------------------------------------------------------------


def test_a_shorter_longest_access_brings_a_later_end_forward(broker):
    """Nobody keeps access for longer than the policy gives from then on."""
    request_id = opened(broker, duration="PT3H")

    put(broker, DB01, only(22, maxDuration="PT1H"))
    narrowed = broker.now
    broker.live(2)
    grant = broker.grant(request_id)
    during = (broker.status(request_id), broker.reachable(DB01))
    broker.live(62)

    assert narrowed + HOUR - SECOND <= grant.expires_at <= narrowed + HOUR + MINUTE
    assert during == ("open", True)
    assert (broker.status(request_id), broker.grant(request_id).close_reason) == (
        "closed",
        CloseReason.EXPIRED,
    )
    assert not broker.reachable(DB01)


def test_an_end_within_the_shorter_longest_access_stays(broker):
    """Its length was allowed when it was decided."""
    request_id = opened(broker, duration="PT2H")
    before = broker.grant(request_id).expires_at
    broker.live(75)

    put(broker, DB01, only(22, maxDuration="PT1H"))
    broker.live(2)

    assert (broker.status(request_id), broker.grant(request_id).expires_at) == ("open", before)


def test_an_extension_on_its_way_is_held_to_the_tightened_policy(broker):
    """It was decided by the policy of before; the next look decides by that of now."""
    request_id = opened(broker)
    broker.extend(request_id, 3 * HOUR)

    put(broker, DB01, only(22, maxDuration="PT2H"))
    tightened = broker.now
    broker.live(2)

    assert broker.grant(request_id).expires_at <= tightened + 2 * HOUR + MINUTE
    assert broker.status(request_id) == "open"


# ---- bookings ------------------------------------------------------------------------------------


def test_a_booking_stands_in_nobodys_way_and_is_decided_again_when_it_opens(broker):
    """By the policy of then: the port that it wants is gone."""
    start = (broker.now + HOUR).isoformat()
    request_id = broker.ask(wish(DB01, startTime=start))

    put(broker, DB01, only(3389))
    before = broker.status(request_id)
    broker.live(62)

    assert before == "scheduled"
    assert ended(broker.grant(request_id)) == (
        "closed",
        CloseReason.DENIED,
        ["port-not-in-policy"],
    )
    assert broker.initiates() == []


@pytest.mark.parametrize("ports", [only(22, maxDuration="PT24H"), {**ALLOWED, 80: ALLOWED[22]}])
def test_a_booking_does_not_stop_a_widening_either(broker, ports):
    """Nothing was opened for it yet."""
    broker.ask(wish(DB01, startTime=(broker.now + HOUR).isoformat()))

    assert put(broker, DB01, ports) == "written"


# ---- what still has to wait ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "ports",
    [
        {**ALLOWED, 80: ALLOWED[22]},
        {**ALLOWED, **only(3389, allowedSources=["203.0.113.0/24", "198.51.100.0/24"])},
        {**ALLOWED, **only(3389, maxDuration="PT3H")},
        only(3389, protocol="UDP"),
    ],
)
def test_a_change_that_widens_or_moves_waits_while_a_path_is_live(broker, ports):
    """As before: it may give a live path rules that nobody decided."""
    opened(broker)

    with pytest.raises(Conflict, match="can only be narrowed") as error:
        put(broker, DB01, ports)

    assert [each.code for each in error.value.violations] == ["grant-live"]


def test_the_same_policy_again_is_no_conflict_while_a_path_is_live(broker):
    """An operator's call may be repeated."""
    opened(broker)

    assert put(broker, DB01, ALLOWED) == "unchanged"


# ---- races, outages, deaths ----------------------------------------------------------------------


def test_an_initiate_that_was_just_sent_opens_nothing_that_lasts(broker):
    """Defender writes the rule of a port that has left its policy meanwhile; it is removed."""
    request_id = broker.ask(wish(DB01))
    broker.deliver()
    sent = len(broker.initiates())

    put(broker, DB01, only(3389))
    broker.live(20)

    assert (sent, broker.grant(request_id).opened_at) == (1, None)
    assert ended(broker.grant(request_id)) == (
        "closed",
        CloseReason.DENIED,
        ["port-not-in-policy"],
    )
    assert not broker.reachable(DB01)


def test_a_pass_that_holds_the_policy_makes_the_operator_come_back(broker):
    """Two never act on one policy; the second call finds it free."""
    opened(broker)
    lease = broker.locks.claim(policy_of(DB01))
    with pytest.raises(Unavailable):
        put(broker, DB01, only(3389))
    broker.locks.keep(lease)

    assert put(broker, DB01, only(3389)) == "written"


def test_two_operators_at_once_narrow_both(broker):
    """The second reads the change of the first: there is no ETag, and nothing is lost."""
    put(broker, DB01, only(22))
    put(broker, APP01, {3389: {**ALLOWED[22], "maxDuration": "PT1H"}})
    machines = broker.sim.get(policy(DB))["properties"]["virtualMachines"]

    assert {
        entry["id"].rsplit("/", 1)[-1]: [
            (port["number"], port["maxRequestAccessDuration"]) for port in entry["ports"]
        ]
        for entry in machines
    } == {"db01": [(22, "PT3H")], "app01": [(3389, "PT1H")]}


def test_a_death_right_after_the_write_loses_nothing(broker):
    """No message was sent: the tick finds the grants that were made due before the write."""
    request_id = opened(broker)

    def die(name: str, _number: int) -> None:
        if name == "policies.replace":
            raise Crash

    broker.calls.after = die
    with pytest.raises(Crash):
        put(broker, DB01, only(3389))
    broker.calls.after = lambda *_: None
    while broker.queues.receive(messages.POLICY) is not None:
        pass
    broker.live(3)

    assert broker.status(request_id) == "closed"
    assert not broker.reachable(DB01)


@pytest.mark.scaled
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", list(sample(range(1, CALLS + 1), 5, first=4)))
def test_a_death_at_any_call_of_a_tightening_leaves_no_access_outside_the_policy(
    broker, number, when
):
    """The policy in Azure is the wish: it is as before, or the access that it lost ends."""
    it, request_id = Reconciling(broker), opened(broker)
    first = len(broker.calls.names)

    def die(_name: str, count: int) -> None:
        if count >= first + number:
            raise Crash

    setattr(broker.calls, when, die)
    with pytest.raises(Crash):
        put(broker, DB01, only(3389))
    setattr(broker.calls, when, lambda *_: None)
    broker.live(2)
    it.run(PRODUCTION)
    broker.live(1)
    ports = broker.sim.get(policy(DB))["properties"]["virtualMachines"][0]["ports"]
    is_allowed = 22 in [port["number"] for port in ports]

    assert (broker.status(request_id) == "open") is broker.reachable(DB01) is is_allowed


def test_a_tightening_makes_so_many_calls(broker):
    """The deaths above are all there are."""
    opened(broker)
    first = len(broker.calls.names)
    put(broker, DB01, only(3389))

    assert len(broker.calls.names) - first == CALLS


def test_the_next_comparison_ends_access_outside_a_policy_that_was_narrowed_in_azure(broker):
    """Nobody called the broker; the level counts, and not the call."""
    it, request_id = Reconciling(broker), opened(broker)
    there = broker.sim.get(policy(DB))
    entries = there["properties"]["virtualMachines"]
    kept = [each for each in entries if not each["id"].endswith("/db01")]
    narrowed = {"kind": "Basic", "properties": {"virtualMachines": kept}}
    broker.sim.call("PUT", policy(DB), narrowed, as_="petra")

    planned = it.planned(PRODUCTION)
    it.run(PRODUCTION)
    broker.live(3)

    assert planned == [("close", "outside")]
    assert ended(broker.grant(request_id)) == ("closed", CloseReason.DENIED, ["no-jit-policy"])


def test_access_ends_after_an_outage_too(broker):
    """The policy is written, and Azure falls silent: closing goes on when it answers."""
    request_id = opened(broker)
    put(broker, DB01, only(3389))
    broker.sim.faults({"match": {}, "times": 60, "answer": {"status": 503, "code": "Down"}})
    broker.live(1)
    during = broker.status(request_id)
    broker.sim.control("DELETE", "faults")
    broker.live(6)

    assert during == "open"
    assert ended(broker.grant(request_id)) == (
        "closed",
        CloseReason.DENIED,
        ["port-not-in-policy"],
    )
    assert not broker.reachable(DB01)


def answer_once(broker: InProcess, change: Callable[[Any], Any]) -> None:
    """Let the next read of a policy bring the policy as *change* makes it."""
    real = broker.azure.policies.get
    changes = [change]

    def get(policy_id: str) -> Any:
        found = real(policy_id)
        return changes.pop()(found) if changes else found

    object.__setattr__(broker.azure.policies, "get", get)


def with_properties(**changes: Any) -> Callable[[Any], Any]:
    """A change of some properties."""
    return lambda found: {**found, "properties": {**found["properties"], **changes}}


ODD = {
    "empty": lambda _found: {},
    "no properties": lambda found: {"id": found["id"]},
    "no list": lambda found: {**found, "properties": {"provisioningState": "Succeeded"}},
    "null": with_properties(virtualMachines=None),
    "text": with_properties(virtualMachines="x"),
    "no ids": with_properties(virtualMachines=[{"id": None, "ports": []}]),
    "no VM": with_properties(virtualMachines=[]),
    "updating": with_properties(virtualMachines=[], provisioningState="Updating"),
}
"""Answers after which nobody can tell yet which VMs a policy names."""


@pytest.mark.parametrize("name", ODD)
def test_one_odd_answer_about_a_policy_ends_no_live_access(broker, name):
    """It does not say that the VM was taken out."""
    request_id = opened(broker)

    answer_once(broker, ODD[name])
    broker.poll(request_id)
    broker.live(2)

    assert (broker.status(request_id), broker.reachable(DB01)) == ("open", True)


@pytest.mark.parametrize("name", sorted(ODD.keys() - {"no VM"}))
def test_one_odd_answer_about_a_policy_denies_no_accepted_request(broker, name):
    """It waits for the next answer."""
    request_id = broker.ask(wish(DB01))

    answer_once(broker, ODD[name])
    broker.live(5)

    assert broker.status(request_id) == "open"


def test_a_vm_that_its_policy_names_twice_keeps_its_end(broker):
    """Nobody knows which of the two entries counts."""
    it, request_id = Reconciling(broker), opened(broker, duration="PT3H")
    end = broker.grant(request_id).expires_at
    there = broker.sim.get(policy(DB))
    entries = there["properties"]["virtualMachines"]
    second = deepcopy(next(each for each in entries if each["id"].endswith("/db01")))
    for port in second["ports"]:
        port["maxRequestAccessDuration"] = "PT5M"
    entries.append(second)
    broker.sim.control("PUT", "state", {"resources": {policy(DB): there}})

    it.run(PRODUCTION)
    broker.poll(request_id)
    broker.live(2)

    assert (broker.status(request_id), broker.grant(request_id).expires_at) == ("open", end)


def test_a_policy_that_is_not_understood_ends_no_live_access(broker):
    """Nobody knows its limits; new access is refused."""
    request_id = opened(broker)
    there = broker.sim.get(policy(DB))
    entries = there["properties"]["virtualMachines"]
    for port in entries[0]["ports"]:
        port["allowedSourceAddressPrefix"] = "corp-vpn"
        port.pop("allowedSourceAddressPrefixes", None)
    broker.sim.control("PUT", "state", {"resources": {policy(DB): there}})
    Reconciling(broker).run(PRODUCTION)
    broker.live(2)

    assert broker.status(request_id) == "open"


# ---- others --------------------------------------------------------------------------------------


def test_a_portal_users_request_goes_back_with_the_tightened_policy(broker):
    """Even if Defender took the list of the body for all there is."""
    broker.sim.options(putTakesRequests=True)
    broker.occupy(APP01, 3389, THERE)
    broker.live(1)
    opened(broker)

    put(broker, DB01, only(3389))
    broker.live(2)
    requests = broker.sim.get(policy(DB))["properties"]["requests"]

    assert [each["requestor"] for each in requests if "petra" in each["requestor"]] != []
    assert broker.reachable(APP01, 3389, THERE)


def test_a_portal_users_request_for_a_port_that_left_is_not_the_brokers_to_end(broker):
    """Its rule is nobody's business here while it lasts (P5)."""
    broker.occupy(DB01, 22, THERE)
    broker.live(1)

    put(broker, DB01, only(3389))
    Reconciling(broker).run(PRODUCTION)
    broker.live(2)

    assert broker.reachable(DB01, 22, THERE)


def test_the_denial_is_in_the_trail_and_in_the_answer(broker):
    """The person who asked for the change stands beside it, with the ports before and after."""
    request_id = opened(broker)

    put(broker, DB01, only(3389))
    broker.live(1)
    rows = broker.outbox.list_oldest(PRODUCTION, limit=200)
    docs = "\n".join(str(row.values["Doc"]) for row in rows)

    assert "policy.changed" in docs
    assert "port 22 of db01 is no longer in its JIT policy" in docs
    assert broker.grant(request_id).status is Status.CLOSED
