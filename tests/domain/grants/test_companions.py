"""When a grant behind a firewall needs a companion rule, and which."""

from datetime import timedelta

import pytest

from jit.domain.azure.companion_rule import build_companion_name
from jit.domain.grants.companions import Companion, plan_companion
from jit.domain.model.grant import CloseReason, Status
from jit.domain.paths import companion_paths, effective
from jit.domain.values.arm_ids import key
from tests.builders.defender import an_entry
from tests.builders.firewalls import a_customers, a_firewall, a_nat
from tests.builders.grants import an_open, an_opening, through_firewall
from tests.builders.machines import a_nic, behind
from tests.builders.nsgs import an_allow, an_nsg, arm_rule
from tests.builders.values import BEHIND, NOW, NSG_ID, OTHER_NSG_ID, VM
from tests.domain.steps import LET_IN, STRANGER, a_world, stepped

GRANT = through_firewall(an_opening())


def wished(view, *, grant=GRANT, taken=()):
    """The companions that a grant needs after a look at its path."""
    return plan_companion(
        grant, companion_paths.observe_path(grant, view), view, taken=taken, now=NOW
    )


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
    assert companion.rule_id == f"{NSG_ID}/securityRules/{build_companion_name(grant.id)}"
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
    """Two grants of one VM port must not write one priority twice."""
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

    grant, companions = plan_companion(GRANT, look, view, taken=(), now=NOW)

    assert companions == ()
    assert grant.footprint.companions == ()


@pytest.mark.parametrize("hole", [{"firewall": None}, {"interfaces": ()}])
def test_without_a_firewall_or_an_interface_there_is_nothing_to_accompany(hole):
    """The broker does not write to unknown resources."""
    view = behind(**{"firewall": a_firewall(a_nat()), **hole})
    look = effective.PathView(state=effective.PathState.BLOCKED, blocked_by={key(NSG_ID): 4096})

    outcome = plan_companion(GRANT, look, view, taken=(), now=NOW)

    assert outcome == (GRANT, ())


# ---- in a step -----------------------------------------------------------------------------------


def test_a_blocked_path_behind_a_firewall_gets_its_companion():
    """Named by the grant before it is created."""
    world = a_world(behind(a_firewall(a_nat()), an_nsg(an_allow())), an_entry())

    done = stepped(through_firewall(an_opening()), world=world)

    (wish,) = done.companions
    assert done.grants[0].footprint.companions == (wish.rule_id,)


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
