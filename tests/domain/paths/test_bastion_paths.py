"""Paths by a Bastion: NSGs decide, on the primary address; beside them, the paths of sources."""

from dataclasses import replace

import pytest

from jit.domain.model.machine import Via
from jit.domain.paths import bastion_paths, companion_paths
from jit.domain.paths.effective import PathState
from tests.builders.bastions import by_bastion
from tests.builders.firewalls import a_firewall, a_nat
from tests.builders.grants import an_opening, through_firewall
from tests.builders.machines import a_nic, a_view, behind
from tests.builders.nsgs import an_allow, an_nsg
from tests.builders.values import BASTION_NET, FRONT, HERE, HOME, PUBLIC, VM

GRANT = by_bastion(an_opening())
BOTH = by_bastion(an_opening(), HOME)
OPENED, HALF = an_allow(BASTION_NET), an_allow(HERE)
WHOLE = an_allow(HERE, BASTION_NET)


def observed(grant, view, asked=None):
    return bastion_paths.observe_path(grant, view, asked)


def state(grant, *rules, **changes):
    """The state of a path with those rules in the NSG of the VM."""
    return observed(grant, a_view(an_nsg(*rules, **changes))).state


def test_a_path_by_a_bastion_leads_to_the_private_address():
    """Although the VM has a public one; the note says how to come."""
    path = observed(GRANT, a_view(an_nsg(OPENED)))

    assert (path.state, path.connection.address, path.connection.port) == (PathState.OPEN, VM, 22)
    assert path.connection.command.startswith("az network bastion ssh --name bas-prod ")
    assert path.why.startswith("come by Bastion bas-prod: in the portal, choose Connect")
    assert "were not looked at" in path.why


@pytest.mark.parametrize(
    ("rules", "found"),
    [((), PathState.ABSENT), ((HALF,), PathState.ABSENT), ((OPENED,), PathState.OPEN)],
)
def test_the_nsg_must_let_the_bastion_in(rules, found):
    """A rule for another source is not its path."""
    assert state(GRANT, *rules) is found


def test_an_nsg_that_is_being_updated_is_unclear():
    """As for every other path."""
    assert state(GRANT, OPENED, settled=False) is PathState.UNCLEAR


def test_behind_a_firewall_only_the_nsg_matters():
    """Neither its update nor its NAT rules say anything about a Bastion."""
    grant = through_firewall(GRANT)
    fw = a_firewall(a_nat(BASTION_NET), settled=False)

    assert observed(grant, behind(fw, an_nsg(OPENED))).state is PathState.OPEN
    assert observed(grant, behind(fw, an_nsg())).state is PathState.PARTIAL
    assert observed(grant, behind(fw, an_nsg())).blocked_by in (None, {})


def test_a_nat_rule_for_the_bastions_subnet_belongs_to_the_path():
    """It is recorded, so that it is gone before the grant is closed."""
    view = behind(a_firewall(a_nat(BASTION_NET)), an_nsg(OPENED))

    kinds = [rule.collection is None for rule in observed(through_firewall(GRANT), view).rules]
    assert sorted(kinds) == [False, True]


def test_a_bastion_connects_to_the_primary_address():
    """A rule for another address of the VM opens nothing for it, and belongs to the path."""
    nics = (a_nic(primary=False, private_ip="10.1.1.9"), a_nic())
    view = a_view(an_nsg(an_allow(BASTION_NET, to="10.1.1.9")), interfaces=nics)

    path = observed(GRANT, view)
    assert path.state is PathState.PARTIAL
    assert len(path.rules) == 1


# ---- with sources ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        ((), PathState.ABSENT),
        ((HALF,), PathState.PARTIAL),
        ((OPENED,), PathState.PARTIAL),
        ((WHOLE,), PathState.OPEN),
    ],
)
def test_a_grant_with_both_is_open_if_both_ways_are(rules, found):
    """The person was promised both."""
    assert state(BOTH, *rules) is found


def test_the_connection_of_a_grant_with_both_is_that_of_its_sources():
    """The note tells of the Bastion."""
    path = observed(BOTH, a_view(an_nsg(WHOLE)))

    assert path.connection.address == PUBLIC
    assert "come by Bastion bas-prod" in path.why


def test_a_grant_with_both_behind_a_firewall_gets_its_companion():
    """The NAT rule is there, and the NSG stops the firewall's addresses."""
    grant = through_firewall(BOTH)
    view = behind(a_firewall(a_nat(HERE, BASTION_NET)), an_nsg(WHOLE))

    path = observed(grant, view)
    assert path.state is PathState.BLOCKED
    assert path.blocked_by
    assert path.address == VM
    assert FRONT not in str(path.connection)


@pytest.mark.parametrize(
    ("rules", "found"),
    [((), True), ((HALF,), True), ((WHOLE,), False)],
    ids=["none", "source", "both"],
)
def test_a_way_that_is_certainly_shut_counts_while_the_other_one_is_unclear(rules, found):
    """The firewall is being updated, and the NSG tells about the Bastion."""
    fw = a_firewall(a_nat(HERE, BASTION_NET), settled=False)

    path = observed(through_firewall(BOTH), behind(fw, an_nsg(*rules, deny=False)))

    assert (path.state, path.leaving) == (PathState.UNCLEAR, found)


def test_without_a_bastion_the_path_is_the_one_of_the_sources():
    """Nothing else is looked at."""
    grant = replace(an_opening(), via=Via.PUBLIC_IP)
    view = a_view(an_nsg(HALF))

    assert observed(grant, view) == companion_paths.observe_path(grant, view)
