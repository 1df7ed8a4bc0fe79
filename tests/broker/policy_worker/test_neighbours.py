"""One NSG on two networks with equal addresses: the VMs there have different JIT policies."""

from dataclasses import replace

import pytest

from jit.broker.policy_worker.neighbours import find_neighbours, find_remaining_rules
from jit.domain.model.grant import Status
from jit.domain.model.occupied_ports import list_others
from jit.domain.paths.rules import PathRule
from jit.domain.values.times import format_instant
from tests.broker.inprocess import BOB, DAVE, HERE, THERE, farm, wish
from tests.broker.reconciling import NSG_FARM, told
from tests.builders.grants import an_open
from tests.builders.machines import a_nic, a_view
from tests.builders.nsgs import an_allow, an_nsg, jit_name
from tests.builders.values import HOME, OFFICE, OTHER_NSG_ID
from tests.fakes.calls import Crash
from tests.local.azure.sim import DEVELOPMENT

ONE, OTHER = farm(1), farm(11)


def allows(it):
    """The names of Defender's allow rules in the NSG."""
    return [name for name in it.broker.sim.rules(NSG_FARM) if "-JITRule-" in name]


@pytest.fixture
def twins(it):
    """Two VMs of two JIT policies and two networks, with one address and one NSG."""
    (link,) = it.broker.sim.get(OTHER)["properties"]["networkProfile"]["networkInterfaces"]
    nic = it.broker.sim.get(link["id"])
    nic["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"] = it.address(ONE)
    nic["properties"]["networkSecurityGroup"] = {"id": NSG_FARM}
    it.edit(**{nic["id"]: nic})
    it.run(DEVELOPMENT)
    return it


def others(it, vm):
    """The access to a VM that no grant gives, as the last comparison found it."""
    return list_others(it.broker.inventory.find_machine(vm), now=it.broker.now)


def watch(it, vm, minutes):
    """Return if HERE reaches the VM, every ten seconds."""
    seen = set()
    for _ in range(6 * minutes):
        it.broker.live(1 / 6)
        seen.add(it.broker.reachable(vm))
    return seen


@pytest.mark.parametrize(("first", "second"), [(ONE, OTHER), (OTHER, ONE)])
@pytest.mark.parametrize("leaves", [ONE, OTHER])
def test_a_revocation_leaves_the_equal_rule_of_a_vm_under_another_policy(
    twins, first, second, leaves
):
    """The broker cannot tell whose rule it is; the other person's path has no gap."""
    broker = twins.broker
    names = {vm: twins.opened(vm, minutes=2) for vm in (first, second)}
    (stays,) = {ONE, OTHER} - {leaves}
    broker.revoke(names[leaves])

    assert watch(twins, stays, 5) == {True}
    assert broker.status(names[leaves]) == "closed"
    assert len(broker.initiates()) == 2

    broker.revoke(names[stays])
    broker.live(3)
    assert broker.status(names[stays]) == "closed"
    assert allows(twins) == []


def test_a_rule_for_a_source_that_only_the_leaver_has_goes_at_once(twins):
    """The end of one policy's grant does not wait for the other policy."""
    left = twins.opened(ONE, minutes=2)
    stays = twins.broker.ask(wish(OTHER, source=THERE), BOB)
    twins.broker.live(2)

    twins.broker.revoke(left)
    twins.broker.live(2)

    assert (twins.broker.status(left), twins.broker.status(stays)) == ("closed", "open")
    assert not twins.broker.reachable(ONE, source=HERE)
    assert twins.broker.reachable(OTHER, source=THERE)


def test_when_the_last_of_two_equal_grants_expires_no_rule_is_left(twins):
    """Each policy's end is kept, also for the rule that was left for the other."""
    left = twins.opened(ONE, minutes=2)
    stays = twins.opened(OTHER, minutes=2)
    twins.broker.revoke(left)

    twins.broker.live(70)

    assert (twins.broker.status(stays), allows(twins)) == ("closed", [])


def test_a_rule_that_stays_for_another_vm_is_told_when_the_grant_closes(twins, caplog):
    """It lets the leaver in: the note, an alert and the VM's page say so, until the other's end."""
    caplog.set_level("INFO", logger="jit")
    broker, left = twins.broker, twins.opened(ONE, minutes=2)
    stays = twins.broker.ask(wish(OTHER, duration="PT3H"), BOB)
    broker.live(2)
    broker.revoke(left)
    broker.live(5)
    twins.run(DEVELOPMENT)

    grant, (alert,) = broker.grant(left), told(caplog, "access.left_open")
    assert (grant.status, broker.reachable(ONE)) == ("closed", True)
    assert (alert["grant_id"], alert["reason"]) == (grant.id, grant.note)
    assert all(name in grant.note for name in allows(twins))
    assert format_instant(broker.grant(stays).expires_at) in grant.note
    assert {other.sources for other in others(twins, ONE)} == {(HERE,)}
    assert others(twins, OTHER) == []


def test_a_rule_for_several_people_of_another_vm_is_told_when_the_grant_closes(twins, caplog):
    """It proves nothing about the leaver, so it is not among the rules to remove: it stays."""
    caplog.set_level("INFO", logger="jit")
    broker = twins.broker
    broker.ask(wish(OTHER, duration="PT3H"), BOB)
    last = broker.ask(wish(OTHER, source=THERE, duration="PT3H"), DAVE)
    broker.live(5)
    left = twins.opened(ONE, minutes=2)
    broker.revoke(left)
    broker.live(10)

    grant, (alert,) = broker.grant(left), told(caplog, "access.left_open")
    assert (grant.status, broker.reachable(ONE)) == ("closed", True)
    assert (alert["grant_id"], alert["reason"]) == (grant.id, grant.note)
    assert all(name in grant.note for name in allows(twins))
    assert format_instant(broker.grant(last).expires_at) in grant.note


def test_the_alert_is_not_lost_if_the_process_dies_after_the_write_that_closes_the_grant(
    twins, caplog
):
    """Nobody looks at a closed grant again: the alert comes first, and may come twice."""
    caplog.set_level("INFO", logger="jit")
    broker, left = twins.broker, twins.opened(ONE, minutes=2)
    broker.ask(wish(OTHER, duration="PT3H"), BOB)
    broker.live(2)
    broker.revoke(left)
    before = len(broker.calls.names)

    def die(name, _):
        if name == "state.write" and "network.get_nsg" in broker.calls.names[before:]:
            raise Crash

    broker.calls.after = die
    with pytest.raises(Crash):
        broker.work(ONE)
    broker.calls.after = lambda *_: None

    grant, (alert,) = broker.grant(left), told(caplog, "access.left_open")
    assert (grant.status, broker.reachable(ONE)) == ("closed", True)
    assert (alert["grant_id"], alert["reason"]) == (grant.id, grant.note)


def test_a_grant_that_leaves_nothing_open_is_closed_without_a_word(twins, caplog):
    """The other VM's people come from elsewhere, or the VM's own grant needs the same rule."""
    left = twins.opened(ONE, minutes=2)
    twins.broker.ask(wish(OTHER, source=THERE), BOB)
    twins.broker.live(2)
    twins.broker.revoke(left)
    twins.broker.live(5)

    assert (twins.broker.status(left), twins.broker.grant(left).note) == ("closed", None)
    assert told(caplog, "access.left_open") == []


def test_storage_is_read_only_if_a_rule_of_an_nsg_is_to_go(twins):
    """Most passes remove nothing."""
    grant = twins.broker.grant(twins.opened(ONE, minutes=2))
    before = twins.broker.calls.count("state")

    assert find_neighbours(twins.broker.requests, [], [grant]) == ()
    assert twins.broker.calls.count("state") == before


def test_a_pass_that_closes_a_path_whose_rules_are_gone_reads_no_neighbours(twins):
    """Between the last look at Azure and the write it asks storage for nothing."""
    broker, left = twins.broker, twins.opened(ONE, minutes=2)
    twins.broker.ask(wish(OTHER, source=THERE), BOB)
    broker.live(2)
    broker.revoke(left)
    broker.work(ONE)
    broker.sim.advance("PT10S")
    before = len(broker.calls.names)
    broker.work(ONE)

    calls = broker.calls.names[before:]
    assert broker.status(left) == "closed"
    assert calls[calls.index("network.get_nsg") + 1] == "state.write"


def test_if_a_rule_is_shared_all_paths_by_its_nsg_count(twins):
    """If the shared rule stays, another rule of the NSG may go instead: somebody may need that."""
    broker = twins.broker
    leaver, sharer, beside = (
        broker.grant(twins.opened(vm, minutes=2)) for vm in (ONE, OTHER, farm(2))
    )
    rules = {
        rule_id: PathRule(
            id=rule_id,
            holder_id=NSG_FARM,
            name="a rule",
            collection=None,
            sources=(HERE,),
            target="10.21.0.4",
            exact=True,
        )
        for rule_id in {*sharer.footprint.rules, *leaver.footprint.rules}
    }
    shared = [rules[each] for each in sharer.footprint.rules]
    alone = [rules[each] for each in leaver.footprint.rules if each not in sharer.footprint.rules]

    found = find_neighbours(broker.requests, shared, [leaver])

    assert {grant.id for grant in found} == {sharer.id, beside.id}
    assert find_neighbours(broker.requests, alone, [leaver]) == ()


# ---- ways in that remain -------------------------------------------------------------------------

SHARED = an_allow("203.0.113.7", "198.51.100.0/24")


def remaining(view, *others):
    """The names of the rules by which a closed grant still comes in."""
    grant = replace(an_open(sources=(HOME,)), status=Status.CLOSED)
    return [rule.name for rule in find_remaining_rules([(grant, view)], (grant, *others))]


def test_a_rule_that_lets_a_closed_grant_in_remains():
    """Its other sources, which may be people of another VM, make no difference."""
    assert remaining(a_view(an_nsg(SHARED))) == [jit_name("-", 1)]


@pytest.mark.parametrize(
    ("view", "others"),
    [
        (a_view(an_nsg()), []),
        (a_view(an_nsg(an_allow("198.51.100.0/24"))), []),
        (a_view(an_nsg(SHARED), interfaces=(a_nic(nsg_ids=(OTHER_NSG_ID,)),)), []),
        (a_view(an_nsg(SHARED)), [an_open("g2")]),
    ],
    ids=["no rule", "other source", "an NSG that the VM has no more", "entitled by another grant"],
)
def test_no_rule_remains_by_which_nobody_comes_in_without_a_grant(view, others):
    """Then storage is not read."""
    assert remaining(view, *others) == []


def test_a_source_that_only_other_people_of_the_vm_port_have_does_not_count_as_entitled():
    """A colleague from elsewhere does not entitle the leaver."""
    assert remaining(a_view(an_nsg(SHARED)), an_open("g2", sources=(OFFICE,))) == [jit_name("-", 1)]
