"""VMs of lists that are too short: each stays as last known until a second list agrees."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jit.domain.inventory.last_known import keep_last_known
from jit.domain.inventory.topology import Snapshot, build_machines
from jit.domain.model.absence import ABSENT_AFTER, Absence
from jit.domain.model.machine import MachineWarning, Support, Via
from jit.domain.values.arm_ids import key
from tests.builders.values import NOW, NSG_ID, POLICY_ID, vm_id
from tests.domain.inventory.test_topology import (
    FIREWALL,
    NIC,
    PIP,
    VNET,
    arm_firewall,
    arm_nic,
    arm_policy,
    arm_port,
    arm_vm,
    arm_vnet,
)

SECOND = timedelta(seconds=1)
SOON, LATER = NOW + ABSENT_AFTER - SECOND, NOW + ABSENT_AFTER
WHOLE = Snapshot(
    machines=[arm_vm()],
    interfaces=[arm_nic(public=PIP)],
    networks=[arm_vnet()],
    firewalls=[arm_firewall()],
    public_ips=[{"id": PIP, "properties": {"ipAddress": "20.1.2.3"}}],
    policies=[arm_policy(arm_port())],
)
LISTS = {
    "machines": vm_id(),
    "interfaces": NIC,
    "networks": VNET,
    "firewalls": FIREWALL,
    "public_ips": PIP,
    "policies": POLICY_ID,
}
"""Each list with the only resource in it."""
WARNED = (MachineWarning(code="jit-bypassed", detail="a rule"),)


def merge(snapshot, last=(), now=NOW):
    """The VMs of a snapshot, completed by the last ones."""
    found = build_machines(snapshot, now=now)
    return tuple(keep_last_known(found, snapshot, last, now=now).values())


def known():
    """The VM as the whole lists show it, with a warning."""
    (vm,) = merge(WHOLE)
    assert (vm.via, vm.support, vm.absences) == (Via.FIREWALL, Support.CONFIGURED, ())
    return replace(vm, warnings=WARNED)


def stored(vm):
    """A VM as its row has it."""
    return replace(vm, is_in_doubt=False)


def without(name, snapshot=WHOLE):
    """A snapshot with one list empty."""
    return replace(snapshot, **{name: []})


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_was_empty_once_changes_nothing_of_a_vm(name):
    """It only notes what was missed, and since when."""
    vm = known()

    (kept,) = merge(without(name), [vm])

    absence = Absence(key=key(LISTS[name]), since=NOW)
    assert kept == replace(vm, absences=(absence,), is_in_doubt=True)


@pytest.mark.parametrize("name", LISTS)
def test_an_empty_list_within_the_minute_still_proves_nothing(name):
    """The first time stands: nobody writes the row again."""
    (first,) = merge(without(name), [known()])

    assert merge(without(name), [stored(first)], SOON) == (first,)


@pytest.mark.parametrize("name", LISTS)
def test_two_empty_lists_a_minute_apart_are_believed(name):
    """Then the VM is as the lists show it, or gone."""
    (first,) = merge(without(name), [known()])

    found = merge(without(name), [stored(first)], LATER)

    fresh = build_machines(without(name), now=LATER).values()
    assert [replace(vm, absences=()) for vm in found] == list(fresh)
    assert not any(vm.is_in_doubt for vm in found)


@pytest.mark.parametrize("name", LISTS)
def test_a_resource_that_is_listed_again_was_never_gone(name):
    """The minute begins anew with the next short list."""
    vm = known()
    (first,) = merge(without(name), [vm])

    (again,) = merge(WHOLE, [stored(first)], LATER)

    assert again == replace(vm, warnings=())


def test_a_reference_that_stays_dangling_keeps_its_first_time():
    """Else every second list would begin anew, and write the row of each VM."""
    (first,) = merge(without("public_ips"), [known()])
    (second,) = merge(without("public_ips"), [stored(first)], LATER)

    third = merge(without("public_ips"), [stored(second)], LATER + ABSENT_AFTER)

    assert third == (second,)
    assert second.absences == first.absences


def test_a_firewall_that_is_gone_is_not_missed_any_more():
    """Nothing refers to it but the VM as it was."""
    (first,) = merge(without("firewalls"), [known()])

    (second,) = merge(without("firewalls"), [stored(first)], LATER)

    assert (second.firewall_id, second.via, second.absences) == (None, Via.PUBLIC_IP, ())


def test_another_firewall_in_front_of_the_vm_counts_at_once():
    """Its NAT rules may lead others to the companion that the first one needed."""
    (vm,) = merge(replace(WHOLE, firewalls=[arm_firewall("fw-new")]), [known()])

    assert (vm.firewall_id, vm.is_in_doubt) == (FIREWALL.replace("fw-prod", "fw-new"), False)


def test_a_short_list_of_policies_hides_no_change_of_the_path():
    """The two parts of a VM are in doubt one by one."""
    moved = replace(WHOLE, interfaces=[arm_nic(ip="10.1.1.9", public=PIP)])

    (kept,) = merge(without("policies", moved), [known()])

    assert [nic.private_ip for nic in kept.interfaces] == ["10.1.1.9"]
    assert (kept.policy_id, kept.ports) == (POLICY_ID, known().ports)


def test_a_short_list_of_firewalls_hides_no_change_of_the_policy():
    """A port that was taken out of it is out at once."""
    narrowed = replace(WHOLE, policies=[arm_policy(arm_port(3389))])

    (kept,) = merge(without("firewalls", narrowed), [known()])

    assert [rule.number for rule in kept.ports] == [3389]
    assert (kept.firewall_id, kept.support) == (FIREWALL, Support.CONFIGURED)


def test_a_vm_that_was_unsupported_stays_so_while_its_path_is_in_doubt():
    """It has the reasons of its last known path."""
    bare = replace(WHOLE, firewalls=[], interfaces=[arm_nic(nsg=None)], public_ips=[])
    (vm,) = merge(bare)
    assert vm.support is Support.UNSUPPORTED

    (kept,) = merge(without("networks", bare), [vm])

    assert (kept.support, kept.reasons) == (vm.support, vm.reasons)


def test_a_vm_that_was_never_seen_has_nothing_to_keep():
    """It is as the lists show it; what they lack is noted."""
    (vm,) = merge(without("interfaces"))

    assert (vm.interfaces, vm.is_in_doubt) == ((), False)
    assert [each.key for each in vm.absences] == [key(NIC)]


def test_an_nsg_that_the_list_lacks_keeps_its_place_on_the_path():
    """The interface names it: only its rules are not known."""
    (vm,) = merge(replace(WHOLE, nsgs=[]), [known()])

    assert [nic.nsg_ids for nic in vm.interfaces] == [(NSG_ID,)]
    assert (vm.is_in_doubt, vm.absences) == (False, ())


def test_an_interface_that_was_taken_off_its_vm_is_not_missed():
    """The VM itself says that it has it no more."""
    other = NIC + "-new"
    changed = replace(WHOLE, machines=[arm_vm(other)], interfaces=[arm_nic(other)])

    (vm,) = merge(changed, [known()])

    assert ([nic.id for nic in vm.interfaces], vm.absences) == ([other], ())


@pytest.mark.parametrize(
    "odd",
    [
        {"id": POLICY_ID},
        {"id": POLICY_ID, "properties": {"virtualMachines": [{"ports": []}]}},
        {
            "id": POLICY_ID,
            "properties": {"virtualMachines": [], "provisioningState": "Updating"},
        },
    ],
)
def test_a_policy_that_may_name_more_vms_is_missed_like_one_that_the_list_lacks(odd):
    """A second list, a minute later, is believed."""
    vm, lists = known(), replace(WHOLE, policies=[odd])

    (kept,) = merge(lists, [vm])
    (later,) = merge(lists, [stored(kept)], LATER)

    absence = Absence(key=key(POLICY_ID), since=NOW)
    assert kept == replace(vm, absences=(absence,), is_in_doubt=True)
    assert (later.policy_id, later.support) == (None, Support.NOT_CONFIGURED)


def test_a_vm_that_an_unsettled_policy_names_is_as_the_policy_has_it():
    """Only the VMs that it lacks are in doubt."""
    policy = arm_policy(arm_port(2222))
    policy["properties"]["provisioningState"] = "Updating"

    (vm,) = merge(replace(WHOLE, policies=[policy]), [known()])

    assert ([rule.number for rule in vm.ports], vm.is_in_doubt) == ([2222], False)


def test_a_settled_policy_without_the_vm_is_believed_at_once():
    """Its owner took the VM out; access outside it ends."""
    (vm,) = merge(replace(WHOLE, policies=[arm_policy(vm=vm_id("other"))]), [known()])

    assert (vm.policy_id, vm.is_in_doubt) == (None, False)
