"""Everybody on one VM port behind a firewall shares one companion rule in each NSG."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from jit.domain.paths.companion_owners import find_shared_owner
from jit.storage.table import Op, Verb
from tests.broker.inprocess import ALICE, BOB, CAROL, DAVE, HERE, THERE, wish
from tests.broker.reconciling import Reconciling
from tests.local.azure.sim import NSG_WEB, PRODUCTION, WEB01
from tests.sizes import examples

OPENED, UPDATED = 8, 15  # minutes: to open behind the firewall, to close there
CROWD = examples(6, 100)
WEB_ADDRESS = "10.1.1.4"
PEOPLE = (ALICE, BOB, CAROL, DAVE)
BUSY = {"status": 429, "code": "RetryableErrorDueToAnotherOperation"}


def ask(it: Reconciling, source: str = HERE, number: int = 0, **changes: Any) -> str:
    return it.broker.ask(wish(WEB01, 3389, source=source, **changes), PEOPLE[number % 4])


def companions(it: Reconciling) -> list[str]:
    return [name for name in it.broker.sim.rules(NSG_WEB) if name.startswith("jit-broker-")]


def nsg_writes(it: Reconciling) -> int:
    """The writes of single rules that the broker asked of Azure."""
    return it.broker.calls.count("network.put_rule") + it.broker.calls.count("network.delete_rule")


def statuses(it: Reconciling, ids: list[str]) -> set[str]:
    return {it.broker.status(each) for each in ids}


@pytest.mark.scaled
def test_a_crowd_on_one_port_writes_one_companion_and_the_last_one_removes_it(it):
    """The number of NSG writes does not depend on the number of people, and nobody fails."""
    ids = [ask(it, f"203.0.113.{number + 1}", number) for number in range(CROWD)]
    it.broker.live(OPENED)
    opened, there = statuses(it, ids), companions(it)

    it.broker.live(90)

    assert (opened, len(there)) == ({"open"}, 1)
    assert {str(it.broker.grant(each).close_reason) for each in ids} == {"expired"}
    assert (companions(it), nsg_writes(it)) == ([], 2)


def test_a_grant_that_ends_leaves_the_companion_to_the_others(it):
    """It is closed without it: its own NAT rule is gone, and the others stay connected."""
    first, last = ask(it), ask(it, THERE, 1)
    it.broker.live(OPENED)
    it.broker.revoke(first)
    it.broker.live(UPDATED)

    assert (it.broker.status(first), it.broker.status(last)) == ("closed", "open")
    assert (len(companions(it)), it.broker.calls.count("network.put_rule")) == (1, 1)
    assert not it.broker.reachable(WEB01, 3389, HERE)
    assert it.broker.reachable(WEB01, 3389, THERE)


def test_the_last_of_them_removes_the_companion_though_another_had_it_written(it):
    """A grant that found it standing rests on it, too."""
    first = ask(it)
    it.broker.live(OPENED)
    last = ask(it, THERE, 1)
    it.broker.live(OPENED)
    it.broker.revoke(first)
    it.broker.live(UPDATED)
    it.broker.revoke(last, BOB)

    it.broker.live(UPDATED)

    assert statuses(it, [first, last]) == {"closed"}
    assert (companions(it), it.broker.calls.count("network.put_rule")) == ([], 1)


def test_the_comparison_removes_a_companion_that_nobody_owns_any_more(it):
    """A write came late: its grants are closed, and nobody would look again."""
    request_id = it.closed(WEB01, port=3389, minutes=90)
    owner = find_shared_owner(it.broker.grant(request_id))
    name = it.leave_companion(owner, NSG_WEB, WEB_ADDRESS, 3389)

    planned = it.planned(PRODUCTION)
    it.run(PRODUCTION)
    it.broker.live(1)

    assert planned == [("remove-rule", "companion")]
    assert name not in it.broker.sim.rules(NSG_WEB)


def test_a_companion_that_stands_keeps_the_tombstone_of_its_last_grant(it):
    """Without it, nothing would prove that the broker wrote it. A busy NSG tells nothing yet."""
    request_id = it.closed(WEB01, port=3389, minutes=90)
    owner = find_shared_owner(it.broker.grant(request_id))
    it.leave_companion(owner, NSG_WEB, WEB_ADDRESS, 3389)
    it.broker.advance(timedelta(days=8))
    web = it.broker.sim.call("GET", NSG_WEB, as_="petra").json()
    it.broker.sim.call("PUT", NSG_WEB, web, as_="petra")
    it.run(PRODUCTION)
    it.broker.live(1)

    assert it.planned(PRODUCTION) == [("remove-rule", "companion")]


def test_a_companion_of_a_vm_port_that_no_grant_ever_had_is_reported_and_stays(it):
    """Its name alone is no proof: another broker builds the same one."""
    request_id = it.closed(WEB01, port=3389, minutes=90)
    owner = find_shared_owner(it.broker.grant(request_id))
    it.broker.state.write([Op(Verb.DELETE, row) for row in it.broker.state.rows("t|")])
    name = it.leave_companion(owner, NSG_WEB, WEB_ADDRESS, 3389)

    planned = it.planned(PRODUCTION)
    it.run(PRODUCTION)
    it.broker.live(1)

    assert planned == [("report", "orphan")]
    assert name in it.broker.sim.rules(NSG_WEB)


# ---- companions of an older version --------------------------------------------------------------


def open_as_before(it: Reconciling, **changes: Any) -> str:
    """Open a path whose companion is its grant's own, as an older version would have left it."""
    request_id = ask(it, **changes)
    it.broker.live(OPENED)
    (shared,) = companions(it)
    it.broker.sim.call("DELETE", f"{NSG_WEB}/securityRules/{shared}", as_="petra")
    (row,) = it.broker.whole(request_id).rows
    (grant,) = row.grants
    own = it.leave_companion(grant.id, NSG_WEB, WEB_ADDRESS, 3389)
    recorded = (f"{NSG_WEB}/securityRules/{own}",)
    footprint = replace(grant.footprint, companions=recorded)
    it.broker.requests.save([(row, (replace(grant, footprint=footprint),))], [])
    it.broker.live(1)
    assert companions(it) == [own]
    assert it.broker.status(request_id) == "open"
    return request_id


def test_a_grant_of_an_older_version_keeps_its_own_companion_and_takes_it_away(it):
    """The comparison knows the rule, and writes no other."""
    request_id = open_as_before(it)
    planned, (own,) = it.planned(PRODUCTION), companions(it)
    it.run(PRODUCTION)
    it.broker.live(1)
    kept = companions(it)
    it.broker.revoke(request_id)
    it.broker.live(UPDATED)

    assert (planned, kept) == ([], [own])
    assert (it.broker.status(request_id), companions(it)) == ("closed", [])


def test_a_newcomer_does_not_rest_on_the_companion_of_an_older_version(it):
    """That one goes with its grant; the shared one stays for the newcomer."""
    old = open_as_before(it)
    new = ask(it, THERE, 1)
    it.broker.live(OPENED)
    both = companions(it)
    it.broker.revoke(old)
    it.broker.live(UPDATED)

    assert (len(both), len(companions(it))) == (2, 1)
    assert (it.broker.status(old), it.broker.status(new)) == ("closed", "open")
    assert it.broker.reachable(WEB01, 3389, THERE)


# ---- busy ----------------------------------------------------------------------------------------


def test_a_pass_writes_no_more_to_an_nsg_that_is_busy(it):
    """Two VM ports need a companion each; Azure is busy with the NSG."""
    it.broker.sim.faults(
        {"match": {"method": "PUT", "path": "jit-broker-"}, "times": 1, "answer": BUSY}
    )
    body = wish(WEB01, 3389)
    body["virtualMachines"][0]["ports"].append({"number": 22})
    request_id = it.broker.ask(body)

    it.broker.work(WEB01)
    tried = it.broker.calls.count("network.put_rule")
    it.broker.live(OPENED)

    assert tried == 1
    assert it.broker.status(request_id) == "open"
    assert len(companions(it)) == 2


# ---- a VM that gets another private address ------------------------------------------------------

NEW_ADDRESS, NOBODY = "10.1.1.44", "198.51.100.99"


def renumber(it: Reconciling, *, guarded: bool) -> None:
    """Give the VM another private address; if *guarded*, Defender's deny rule follows it."""
    nic_id = it.broker.sim.get(WEB01)["properties"]["networkProfile"]["networkInterfaces"][0]["id"]
    nic = it.broker.sim.get(nic_id)
    nic["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"] = NEW_ADDRESS
    it.edit(**{nic_id: nic})
    if guarded:
        ((name, deny),) = [
            each for each in it.broker.sim.rules(NSG_WEB).items() if "JITRule_-" in each[0]
        ]
        moved = {**deny, "destinationAddressPrefix": NEW_ADDRESS}
        it.edit(**{f"{NSG_WEB}/securityRules/{name}": {"properties": moved}})


@pytest.mark.parametrize("guarded", [False, True])
def test_a_newcomer_comes_in_at_another_address_and_outlives_the_first_grant(it, guarded):
    """
    The companion was written for the address before. If that stops packets, it is rewritten.

    The companion for that address may still stand. The newcomer takes it away.
    """
    first = ask(it, duration="PT2H")
    it.broker.live(OPENED)
    renumber(it, guarded=guarded)
    it.run(PRODUCTION)
    it.broker.live(OPENED)

    newcomer = ask(it, THERE, 1, duration="PT2H")
    it.broker.live(OPENED)
    planned = it.planned(PRODUCTION)
    it.run(PRODUCTION)
    it.broker.live(1)

    assert (planned, statuses(it, [first, newcomer])) == ([], {"open"})
    (name,) = companions(it)
    rule = it.broker.sim.rules(NSG_WEB)[name]
    assert rule["destinationAddressPrefix"] == (NEW_ADDRESS if guarded else WEB_ADDRESS)
    reached = [it.broker.reachable(WEB01, 3389, each) for each in (HERE, THERE, NOBODY)]
    assert reached == [True, True, False]

    it.broker.revoke(first)
    it.broker.live(UPDATED)
    it.run(PRODUCTION)
    it.broker.live(1)

    assert (it.broker.status(first), it.broker.status(newcomer)) == ("closed", "open")
    reached = [it.broker.reachable(WEB01, 3389, each) for each in (HERE, THERE, NOBODY)]
    assert reached == [False, True, False]
    it.broker.revoke(newcomer, BOB)
    it.broker.live(UPDATED)
    assert (it.broker.status(newcomer), companions(it)) == ("closed", [])
