"""Views of VMs: NSGs and firewalls as read, and those of one VM."""

import pytest

from jit.domain.paths.machine_view import MachineView, view_firewall, view_machine, view_nsg
from tests.builders.firewalls import a_firewall, arm_collection, arm_firewall, arm_nat_rule
from tests.builders.machines import a_configured_vm, a_nic
from tests.builders.nsgs import an_allow, an_nsg, arm_nsg, arm_rule
from tests.builders.values import FIREWALL_ID, NETWORK, NSG_ID, OTHER_NSG_ID


@pytest.mark.parametrize(
    ("state", "settled", "failed"),
    [("Succeeded", True, False), ("Failed", False, True), ("Updating", False, False)],
)
def test_only_a_resource_that_succeeded_is_settled(state, settled, failed):
    """NSGs and firewalls alike."""
    nsg = arm_nsg()
    nsg["properties"]["provisioningState"] = state
    views = view_nsg(nsg), view_firewall(arm_firewall(provisioningState=state))

    assert [view.settled for view in views] == [settled, settled]
    assert [view.failed for view in views] == [failed, failed]


def test_a_view_of_an_nsg_has_all_rules_and_names_defenders_allow_rules():
    """Customers' rules and default rules are rules, but no allow rules."""
    view = view_nsg(arm_nsg(an_allow(), arm_rule(300, name="own")))

    assert view.id == NSG_ID
    assert {"own", "DenyAllInBound"} <= {rule.name for rule in view.rules}
    assert [rule.name for rule in view.allows] == [an_allow()["name"]]


def test_a_view_of_a_firewall_has_its_version_and_its_nat_rules():
    """The ETag is for the next write."""
    view = view_firewall(arm_firewall(arm_collection(arm_nat_rule("jit-1"))))

    assert (view.id, view.etag) == (FIREWALL_ID, 'W/"7"')
    assert [rule.name for rule in view.nat_rules] == ["jit-1"]


def test_a_view_of_a_firewall_says_which_policy_it_follows():
    """Then its own NAT rules are not in force."""
    policy = f"{NETWORK}/firewallPolicies/central"

    assert view_firewall(arm_firewall(firewallPolicy={"id": policy})).policy_id == policy
    assert view_firewall(arm_firewall()).policy_id == ""


def test_a_machine_has_the_nsgs_and_the_firewall_on_its_path_alone():
    """Ids in another case are the same ids."""
    own, other = an_nsg(), an_nsg(nsg_id=OTHER_NSG_ID)
    nsgs = {own.id.lower(): own, other.id.lower(): other}
    firewalls = {FIREWALL_ID.lower(): a_firewall()}

    alone = view_machine(a_configured_vm(), nsgs, firewalls)
    behind = view_machine(a_configured_vm(firewall_id=FIREWALL_ID.upper()), nsgs, firewalls)

    assert (list(alone.nsgs.values()), alone.firewall) == ([own], None)
    assert behind.firewall == a_firewall()


def test_a_view_keeps_the_former_holders_that_are_asked_about_and_its_own_path():
    """A grant asks about those that may have its rule."""
    firewall, key = a_firewall(), NSG_ID.lower()
    view = MachineView(
        vm=a_configured_vm(),
        nsgs={},
        firewall=firewall,
        former={key: an_nsg(), OTHER_NSG_ID.lower(): an_nsg(nsg_id=OTHER_NSG_ID)},
        former_firewalls=(firewall,),
    ).add_former()

    one, other = view.keep_former({key}), view.keep_former({FIREWALL_ID.lower()})

    assert (list(one.former), one.firewalls) == ([key], (firewall,))
    assert (list(other.former), other.firewalls) == ([], (firewall, firewall))


def test_the_nsgs_of_an_interface_are_unknown_if_one_was_not_read():
    """Half of them would say nothing about packets."""
    nsgs = {NSG_ID.lower(): an_nsg()}
    view = view_machine(a_configured_vm(), nsgs, {})

    assert view.nsgs_of(a_nic()) == [an_nsg()]
    assert view.nsgs_of(a_nic(nsg_ids=(NSG_ID, OTHER_NSG_ID))) is None
    assert view.nsgs_of(a_nic(nsg_ids=())) == []
