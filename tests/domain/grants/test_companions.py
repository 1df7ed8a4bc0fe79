"""When a grant behind a firewall needs a companion rule, and which."""

from datetime import timedelta

import pytest

from jit.domain.azure.companion_rule import build_companion_name
from jit.domain.grants.companions import Companion, PortPaths, plan_companions
from jit.domain.model.grant import CloseReason, Status
from jit.domain.paths import companion_paths, effective
from jit.domain.paths.companion_owners import find_shared_owner
from jit.domain.values.arm_ids import key
from tests.builders.defender import an_entry
from tests.builders.firewalls import a_customers, a_firewall, a_nat
from tests.builders.grants import an_open, an_opening, changed, through_firewall
from tests.builders.machines import a_nic, behind
from tests.builders.nsgs import an_allow, an_nsg, arm_companion, arm_rule
from tests.builders.values import BEHIND, NOW, NSG_ID, OTHER_NSG_ID, VM
from tests.domain.steps import LET_IN, STRANGER, a_world, stepped

GRANT = through_firewall(an_opening())


def planned(grant, path, view, *, taken=()):
    """The grant, and the companions that it needs on a path."""
    (after,), companions = plan_companions(
        (grant,), PortPaths(view, {grant.id: path}), taken=taken, now=NOW
    )
    return after, companions


def wished(view, *, grant=GRANT, taken=()):
    """The companions that a grant needs after a look at its path."""
    return planned(grant, companion_paths.observe_path(grant, view), view, taken=taken)


def test_a_companion_lets_the_firewalls_own_addresses_reach_the_port():
    """Packets come from AzureFirewallSubnet, which Defender's allow rule does not name."""
    _, (companion,) = wished(behind(a_firewall(a_nat()), an_nsg(an_allow())))

    rule = companion.body["properties"]
    assert companion.nsg_id == NSG_ID
    assert rule["sourceAddressPrefix"] == BEHIND
    assert (rule["destinationAddressPrefix"], rule["destinationPortRange"]) == (VM, "22")
    assert (rule["protocol"], rule["access"], rule["direction"]) == ("Tcp", "Allow", "Inbound")


def test_a_companion_decides_just_before_the_rule_that_blocks():
    """It disturbs the fewest of the customer's rules."""
    _, (companion,) = wished(behind(a_firewall(a_nat()), an_nsg(an_allow())))

    assert companion.priority == 4095


def test_a_customers_deny_above_is_outdone_as_well():
    """The blocking rule is not always Defender's."""
    customers = arm_rule(300, "Deny", name="no-ssh", port="22")

    _, (companion,) = wished(behind(a_firewall(a_nat()), an_nsg(an_allow(), customers)))

    assert companion.priority == 299


def test_the_grant_names_its_companions_before_they_exist():
    """A pass that reads the row after a crash knows which rules may be there."""
    grant, (companion,) = wished(behind(a_firewall(a_nat()), an_nsg(an_allow())))

    assert grant.footprint.companions == (companion.rule_id,)
    name = build_companion_name(find_shared_owner(grant))
    assert companion.rule_id == f"{NSG_ID}/securityRules/{name}"
    assert grant.next_check_at == NOW + timedelta(seconds=5)


def test_wishing_again_names_the_companion_once():
    """A second look before Azure has written the rule changes nothing."""
    view = behind(a_firewall(a_nat()), an_nsg(an_allow()))
    once, first = wished(view)

    twice, second = wished(view, grant=once)

    assert (twice.footprint, second) == (once.footprint, first)


def test_every_nsg_that_blocks_gets_a_companion():
    """On the interface and on the subnet."""
    view = behind(
        a_firewall(a_nat()),
        an_nsg(an_allow()),
        an_nsg(nsg_id=OTHER_NSG_ID),
        interfaces=(a_nic(public_ip=None, public_ip_id=None, nsg_ids=(NSG_ID, OTHER_NSG_ID)),),
    )

    _, companions = wished(view)

    assert {companion.nsg_id for companion in companions} == {NSG_ID, OTHER_NSG_ID}


def test_a_priority_that_this_step_has_given_away_is_not_free():
    """Two VM ports must not write one priority twice."""
    other = Companion(rule_id="other", nsg_id=NSG_ID, priority=4095, body={})

    _, (companion,) = wished(behind(a_firewall(a_nat()), an_nsg(an_allow())), taken=(other,))

    assert companion.priority == 4094


def test_another_nsgs_companions_take_no_priority_here():
    """Priorities are an NSG's own."""
    other = Companion(rule_id="other", nsg_id=OTHER_NSG_ID, priority=4000, body={})

    _, (companion,) = wished(behind(a_firewall(a_nat()), an_nsg(an_allow())), taken=(other,))

    assert companion.priority == 4095


def test_no_companion_if_a_customers_nat_rule_leads_to_the_same_port():
    """It would let those in for whom that NAT rule was blocked until now."""
    firewall = a_firewall(a_nat(), others=[a_customers(a_nat("*", name="ssh"))])
    view = behind(firewall, an_nsg(an_allow()))

    grant, companions = wished(view)

    assert (grant, companions) == (GRANT, ())
    assert "NAT rule jump/ssh of" in companion_paths.observe_path(GRANT, view).why


def test_no_companion_while_the_firewall_is_being_updated():
    """A NAT rule that it no longer lists lets people in until the update has ended."""
    _, companions = wished(behind(a_firewall(a_nat(), settled=False), an_nsg(an_allow())))

    assert companions == ()


@pytest.mark.parametrize("changes", [{"to": "10.1.1.5"}, {"port": 3389}])
def test_nat_rules_to_other_ports_or_machines_are_no_hindrance(changes):
    """The companion opens one port of one address."""
    firewall = a_firewall(a_nat(), others=[a_customers(a_nat("*", **changes))])

    _, companions = wished(behind(firewall, an_nsg(an_allow())))

    assert len(companions) == 1


def test_no_companion_if_nothing_blocks():
    """A customer's own allow for the firewall subnet will do."""
    own = arm_rule(300, name="from-firewall", source=BEHIND, port="22")

    grant, companions = wished(behind(a_firewall(a_nat()), an_nsg(an_allow(), own)))

    assert (grant, companions) == (GRANT, ())


def test_without_a_free_priority_the_grant_says_so():
    """From 100 to the rule that blocks, every number is taken."""
    taken = [arm_rule(number, name=f"r{number}", port="80") for number in (100, 101)]
    blocking = arm_rule(102, "Deny", name="no-ssh", port="22")

    grant, companions = wished(behind(a_firewall(a_nat()), an_nsg(*taken, blocking)))

    assert companions == ()
    assert grant.note == "no free priority in NSG above 102"


def test_an_nsg_that_vanished_between_two_reads_gets_none():
    """An NSG that is no longer on the path cannot be written to."""
    view = behind(a_firewall(a_nat()), an_nsg(an_allow()))
    look = effective.PathView(state=effective.PathState.BLOCKED, blocked_by={"gone": 4096})

    grant, companions = planned(GRANT, look, view)

    assert companions == ()
    assert grant.footprint.companions == ()


@pytest.mark.parametrize("hole", [{"firewall": None}, {"interfaces": ()}])
def test_without_a_firewall_or_an_interface_there_is_nothing_to_accompany(hole):
    """The broker does not write to unknown resources."""
    view = behind(**{"firewall": a_firewall(a_nat()), **hole})
    look = effective.PathView(state=effective.PathState.BLOCKED, blocked_by={key(NSG_ID): 4096})

    outcome = planned(GRANT, look, view)

    assert outcome == (GRANT, ())


# ---- shared by the grants of a VM port -----------------------------------------------------------


def both_planned(view, *grants, paths=None, withdrawn=()):
    """The grants of a VM port, and the companions that they need."""
    seen = {grant.id: companion_paths.observe_path(grant, view) for grant in grants}
    port = PortPaths(view, seen | (paths or {}), None, withdrawn)
    return plan_companions(grants, port, taken=(), now=NOW)


OTHER = through_firewall(an_opening("g2"))
SHARED = arm_companion(find_shared_owner(GRANT), priority=300)
SHARED_ID = f"{NSG_ID}/securityRules/{SHARED['name']}"


def test_the_grants_of_a_vm_port_share_one_companion():
    """Each of them names it before it exists, and looks for it soon."""
    grants, (companion,) = both_planned(
        behind(a_firewall(a_nat()), an_nsg(an_allow())), GRANT, OTHER
    )

    assert [grant.footprint.companions for grant in grants] == [(companion.rule_id,)] * 2
    assert companion.rule_id == SHARED_ID
    assert {grant.next_check_at for grant in grants} == {NOW + timedelta(seconds=5)}


def test_a_grant_that_finds_the_companion_standing_names_it_too():
    """It may be the last one that rests on it."""
    standing = an_nsg(an_allow(), SHARED)

    (first, last), made = both_planned(
        behind(a_firewall(a_nat()), standing), GRANT, through_firewall(an_open("g2"))
    )

    assert made == ()
    assert (first.footprint.companions, last.footprint.companions) == ((SHARED_ID,), (SHARED_ID,))


@pytest.mark.parametrize("status", [Status.PENDING, Status.CLOSING])
def test_a_grant_that_wants_no_path_gets_no_companion(status):
    """It would outlive it."""
    idle = through_firewall(an_opening(status=status))

    (after,), made = both_planned(behind(a_firewall(a_nat()), an_nsg(an_allow(), SHARED)), idle)

    assert (after, made) == (idle, ())


def test_a_companion_serves_every_address_that_the_paths_lead_to():
    """Two grants must not write it for one address each, in turn, for ever."""
    second = a_nic("nic-2", private_ip="10.1.1.5", public_ip=None, public_ip_id=None)
    first = a_nic(public_ip=None, public_ip_id=None)
    view = behind(a_firewall(a_nat()), an_nsg(an_allow()), interfaces=(first, second))
    there = effective.PathView(
        state=effective.PathState.BLOCKED, blocked_by={NSG_ID: 200}, address="10.1.1.5"
    )

    _, (companion,) = both_planned(view, GRANT, OTHER, paths={"g2": there})

    rule = companion.body["properties"]
    assert rule["destinationAddressPrefixes"] == [VM, "10.1.1.5"]
    assert companion.priority == 199


def test_a_way_of_others_to_one_of_them_bars_the_companion_of_all():
    """The rule would let them in for any of the grants. Each that waits for it says why."""
    firewall = a_firewall(a_nat(), others=[a_customers(a_nat("*", name="ssh", to="10.1.1.9"))])
    moved = changed(OTHER, status=Status.OPEN, private_ips=("10.1.1.9",))

    (waiting, _), made = both_planned(behind(firewall, an_nsg(an_allow())), GRANT, moved)

    assert made == ()
    assert (waiting.note or "").startswith("NAT rule jump/ssh")
    assert waiting.hindrance == waiting.note


def test_an_open_grant_looks_soon_if_its_companion_goes_for_another():
    """It is cut off, and must not be called open until its end."""
    standing = an_nsg(an_allow(), SHARED)
    later = through_firewall(an_open("g2", next_check_at=NOW + timedelta(hours=1)))

    (after,), _ = both_planned(behind(a_firewall(a_nat()), standing), later, withdrawn=(SHARED_ID,))

    assert after.next_check_at == NOW + timedelta(minutes=1)


def test_the_companion_goes_with_the_last_grant_that_wants_its_path():
    """While one is left, the others close without it."""
    standing = an_nsg(an_allow(), SHARED)
    ending = through_firewall(an_open(status=Status.CLOSING, close_reason=CloseReason.REVOKED))
    left = through_firewall(an_open("g2"))
    world = a_world(behind(a_firewall(a_nat()), standing), an_entry())

    shared, alone = stepped(ending, left, world=world), stepped(ending, world=world)

    assert shared.companion_removals == ()
    assert alone.companion_removals == (SHARED_ID,)
    assert [grant.status for grant in shared.grants] == [Status.CLOSED, Status.OPEN]
    assert [grant.status for grant in alone.grants] == [Status.CLOSING]


# ---- in a step -----------------------------------------------------------------------------------


def test_a_blocked_path_behind_a_firewall_gets_its_companion():
    """Named by the grant before it is created."""
    world = a_world(behind(a_firewall(a_nat()), an_nsg(an_allow())), an_entry())

    done = stepped(through_firewall(an_opening()), world=world)

    (wish,) = done.companions
    assert done.grants[0].footprint.companions == (wish.rule_id,)


UNASKED = frozenset({GRANT.request_id})


@pytest.mark.parametrize(
    ("grant", "count"), [(GRANT, 0), (changed(GRANT, opened_at=NOW, lost_at=NOW), 1)]
)
def test_a_vm_port_gets_no_companion_while_it_may_open_the_path_of_a_barred_person(grant, count):
    """One companion serves all grants of the VM port. A bar closes no grant that was open once."""
    other = through_firewall(an_opening("g2", request_id="request-g2"))
    blocked = behind(a_firewall(a_nat()), an_nsg(an_allow()))

    done = stepped(grant, other, world=a_world(blocked, an_entry(), unasked=UNASKED))

    assert len(done.companions) == count
    assert [bool(each.footprint.companions) for each in done.grants] == [bool(count)] * 2


def test_an_effective_path_gets_no_companion():
    """It is there already."""
    world = a_world(behind(a_firewall(a_nat()), LET_IN), an_entry())

    done = stepped(through_firewall(an_opening()), world=world)

    assert (done.companions, done.grants[0].status) == ((), Status.OPEN)


def test_a_grant_that_joined_a_stranger_gets_its_companion_too():
    """Without it the path would never be effective."""
    joined = through_firewall(an_opening(initiates=(), initiated_at=None))
    world = a_world(behind(a_firewall(a_nat()), an_nsg(an_allow())), an_entry(initiate_id=STRANGER))

    done = stepped(joined, world=world)

    assert len(done.companions) == 1


JUMP = a_customers(a_nat("*", name="ssh"))
"""A NAT rule collection by which a customer lets everybody in."""


def test_an_open_grant_loses_its_companion_as_soon_as_others_would_come_through_it():
    """It says why, is open no longer, and the next step adds none."""
    world = a_world(behind(a_firewall(a_nat(), others=[JUMP]), LET_IN), an_entry())

    done = stepped(through_firewall(an_open()), world=world)

    (grant,) = done.grants
    assert done.companion_removals == (f"{NSG_ID}/securityRules/jit-broker-g1",)
    assert [item.way.rule for item in done.withdrawals] == ["jump/ssh"]
    assert (grant.status, grant.lost_at, done.companions) == (Status.OPENING, NOW, ())
    assert "NAT rule jump/ssh" in (grant.note or "")


def test_a_customers_rule_is_never_touched():
    """P5: only the companion goes."""
    world = a_world(behind(a_firewall(a_nat(), others=[JUMP]), LET_IN), an_entry())

    done = stepped(through_firewall(an_open()), world=world)

    assert (done.removals, done.asks) == ((), ())


def test_a_grant_whose_companion_went_comes_back_when_the_others_are_gone():
    """The firewall must have finished its update: until then they still come in."""
    lost = through_firewall(an_opening(opened_at=NOW, written=True, seen=True, lost_at=NOW))
    views = [
        behind(a_firewall(a_nat(), settled=settled), an_nsg(an_allow()))
        for settled in (False, True)
    ]

    early, late = (stepped(lost, world=a_world(view, an_entry())) for view in views)

    assert (len(early.companions), len(late.companions)) == (0, 1)


def test_a_grant_whose_companion_went_fails_if_the_others_stay():
    """With the reason, after the time that opening has."""
    world = a_world(behind(a_firewall(a_nat(), others=[JUMP]), an_nsg(an_allow())), an_entry())
    long_ago = NOW - timedelta(minutes=40)
    times = {"admitted_at": long_ago, "opened_at": long_ago, "lost_at": long_ago}
    lost = through_firewall(an_opening(seen=True, **times))

    (grant,) = stepped(lost, world=world).grants

    assert (grant.status, grant.close_reason) == (Status.CLOSING, CloseReason.FAILED)
    assert (grant.note or "").startswith("not open in time: NAT rule jump/ssh")


def test_a_leftover_of_defender_for_others_is_a_stranger_too():
    """A portal user's access is over, and Defender forgot its NAT rule."""
    leftover = a_nat("192.0.2.66", name="MDC-JIT-web01-22-old", mapped=10023)
    world = a_world(behind(a_firewall(a_nat(), leftover), LET_IN), an_entry())

    done = stepped(through_firewall(an_open()), world=world)

    assert len(done.withdrawals) == 1


def test_a_grant_is_not_closed_while_others_come_in_by_the_companion_of_its_port():
    """Its own sources do, too. It is closed as soon as the companion is gone."""
    ending = through_firewall(an_open(status=Status.CLOSING, close_reason=CloseReason.REVOKED))
    left = through_firewall(an_open("g2"))
    front = a_firewall(a_nat(), others=[JUMP])
    there, gone = an_nsg(an_allow(), SHARED), an_nsg(an_allow())

    early, late = (
        stepped(ending, left, world=a_world(behind(front, nsg), an_entry()))
        for nsg in (there, gone)
    )

    assert early.companion_removals == (SHARED_ID,)
    assert [grant.status for grant in early.grants] == [Status.CLOSING, Status.OPENING]
    assert f"still there: {SHARED['name']}" in (early.grants[0].note or "")
    assert late.grants[0].status is Status.CLOSED


# ---- after the VM got another address ------------------------------------------------------------

FORMER = "10.1.1.9"
STALE = arm_companion(find_shared_owner(GRANT), priority=300, destinationAddressPrefix=FORMER)
OLDER = through_firewall(an_open(private_ips=(FORMER, VM), companions=(SHARED_ID,)))
TO_FIREWALL = arm_rule(200, name="from-firewall", source=BEHIND, port="22")


@pytest.mark.parametrize("status", [Status.OPEN, Status.CLOSING])
def test_a_newcomer_is_not_closed_by_a_companion_for_a_former_address(status):
    """It remembers that address: the grant that knew it may end first."""
    older = changed(OLDER, status=status)
    world = a_world(behind(a_firewall(a_nat()), an_nsg(an_allow(), STALE, TO_FIREWALL)), an_entry())

    together = stepped(older, OTHER, world=world)
    newcomer = together.grants[1]
    alone = stepped(newcomer, world=world)

    assert together.widenings == alone.widenings == ()
    assert FORMER in newcomer.footprint.private_ips
    assert (newcomer.status, alone.grants[0].status) == (Status.OPEN, Status.OPEN)


def test_an_address_that_no_grant_of_the_port_recorded_is_not_remembered():
    """Somebody wrote it into the rule: it closes every grant."""
    world = a_world(behind(a_firewall(a_nat()), an_nsg(an_allow(), STALE)), an_entry())

    done = stepped(through_firewall(an_open()), OTHER, world=world)

    assert {grant.status for grant in done.grants} == {Status.CLOSING}
    assert [grant.footprint.private_ips for grant in done.grants] == [(VM,), (VM,)]


def test_a_companion_is_written_again_for_the_address_that_a_newcomer_needs():
    """It leads to the former address, so the firewall's packets are stopped."""
    world = a_world(behind(a_firewall(a_nat()), an_nsg(an_allow(), STALE)), an_entry())

    done = stepped(OLDER, OTHER, world=world)

    (companion,) = done.companions
    assert companion.rule_id == SHARED_ID
    assert companion.body["properties"]["destinationAddressPrefix"] == VM
    assert done.grants[1].status is Status.OPENING
