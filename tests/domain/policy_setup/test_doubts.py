"""Doubts about the VMs of a JIT policy that an operator changes."""

import pytest

from jit.domain.policy_setup.changes import PolicyPlan
from jit.domain.policy_setup.doubts import explain_doubt, find_hidden_homes
from jit.domain.values.arm_ids import key
from tests.builders.machines import a_vm
from tests.builders.values import SUBSCRIPTION, vm_id
from tests.domain.policy_setup.test_changes import DEFAULT, ENTRY, a_policy, looks, wanted

OTHER = {**ENTRY, "id": vm_id("web02")}
NIGHT = DEFAULT.replace("default", "night-shift")


def doubt(answer, *, listed=(ENTRY, OTHER), known=()):
    """Why an answer may lack VMs, for a change of web01."""
    policies = [] if listed is None else [a_policy(*listed)]
    plan = PolicyPlan(DEFAULT, looks(policies=policies)[SUBSCRIPTION], (wanted("web01", 22),))
    return explain_doubt(plan, answer, known)


def settled(state, *entries):
    """A policy with a provisioning state."""
    policy = a_policy(*entries)
    return {**policy, "properties": {**policy["properties"], "provisioningState": state}}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({}, "cannot be read"),
        ({"properties": {"virtualMachines": None}}, "cannot be read"),
        (a_policy(ENTRY, OTHER, {"ports": []}), "has no id"),
        (a_policy(ENTRY, OTHER, "x"), "has no id"),
        (settled("Updating", ENTRY, OTHER), "Azure is changing it"),
        (a_policy(ENTRY), "Azure lists web02 in it"),
        (a_policy(), "Azure lists web01, web02 in it"),
        (None, "Azure lists web01, web02 in it"),
    ],
)
def test_an_answer_that_may_lack_vms_is_a_doubt(answer, words):
    """It is said in words for people."""
    assert words in doubt(answer)


@pytest.mark.parametrize("state", ["", "Succeeded", "Failed", "Canceled"])
def test_an_answer_with_all_vms_is_certain_if_azure_changes_nothing(state):
    """More VMs than the list had are no doubt."""
    assert doubt(settled(state, ENTRY, OTHER)) == ""
    assert doubt(settled(state, ENTRY, OTHER), listed=[ENTRY]) == ""


@pytest.mark.parametrize("answer", [None, a_policy(ENTRY)])
def test_another_vm_of_the_inventory_that_list_and_answer_lack_is_a_doubt(answer):
    """The letter case of its policy does not matter."""
    vm = a_vm("web02", policy_id=DEFAULT.upper())

    assert "web02, which the last comparison found" in doubt(answer, listed=None, known=[vm])


@pytest.mark.parametrize(
    "vm",
    [a_vm("web01", policy_id=DEFAULT), a_vm("web02", policy_id=NIGHT), a_vm(policy_id=None)],
)
def test_the_vm_of_the_change_and_vms_of_other_policies_are_no_doubt(vm):
    """A policy that does not exist yet is made."""
    assert doubt(None, listed=None, known=[vm]) == ""


def test_of_many_vms_some_are_named():
    """A problem has a bounded length."""
    vms = [a_vm(f"vm{number}", policy_id=DEFAULT) for number in range(8)]

    assert "vm0, vm1, vm2, vm3, vm4 and 3 more" in doubt(None, listed=None, known=vms)


def homes(*policies, known=None):
    """The policies that may have web01 although the list does not show it."""
    return list(find_hidden_homes(vm_id(), looks(policies=policies)[SUBSCRIPTION], known))


def test_a_vm_that_the_list_shows_in_a_policy_has_no_hidden_one():
    """Not even if the inventory had it in another one: it was moved."""
    assert homes(a_policy(ENTRY), {"id": NIGHT}, known=NIGHT) == []


def test_a_vm_in_no_policy_may_be_in_that_of_the_inventory_or_in_one_that_cannot_be_read():
    """Defender takes VMs of the policy's own resource group only."""
    far = NIGHT.replace("rg-web", "rg-web-2")
    assert key(far) != key(NIGHT)

    assert homes(known=DEFAULT) == [DEFAULT]
    assert homes({"id": NIGHT}, {"id": far}, {"id": ""}, a_policy(OTHER)) == [NIGHT]
    assert homes(a_policy(OTHER)) == []
