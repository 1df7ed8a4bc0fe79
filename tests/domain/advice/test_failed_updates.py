"""Warnings about NSGs and firewalls whose last update failed."""

from jit.domain.advice.advise import add_warnings
from jit.domain.advice.failed_updates import find_failed, find_update_warnings
from jit.domain.inventory.topology import Snapshot
from jit.domain.network_manager.security_admin_rules import NOTHING_KNOWN
from tests.builders.firewalls import arm_firewall
from tests.builders.machines import a_configured_vm
from tests.builders.nsgs import arm_nsg
from tests.builders.values import FIREWALL_ID, NSG_ID


def in_state(resource, state):
    return {**resource, "properties": {**resource["properties"], "provisioningState": state}}


def test_a_vm_is_warned_of_its_own_resources_only():
    """Ids are compared without case; the detail has the action to take."""
    vm = a_configured_vm(firewall_id=FIREWALL_ID)
    failed = find_failed(
        [in_state(arm_nsg(), "Failed"), {**in_state(arm_nsg(), "Failed"), "id": f"{NSG_ID}-other"}],
        [in_state(arm_firewall(), "Succeeded")],
    )

    (warning,) = find_update_warnings(vm, {key.lower(): why for key, why in failed.items()})

    assert warning.code == "update-failed"
    assert "repeat it in Azure" in warning.detail


def test_the_last_word_stays_while_a_resource_is_being_updated():
    """Nobody knows yet if the update repairs it."""
    vm = a_configured_vm(firewall_id=None)
    nsgs = [in_state(arm_nsg(), "Updating")]

    (found,) = add_warnings([vm], Snapshot(nsgs=nsgs), NOTHING_KNOWN)

    assert "update-failed" in found.unsettled
