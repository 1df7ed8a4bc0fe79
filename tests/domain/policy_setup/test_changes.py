"""Changes of JIT policies: which policies, in which way, and the reasons to refuse."""

from dataclasses import replace

import pytest

from jit.domain.azure import policy_json
from jit.domain.azure.port_rules import parse_port_rules
from jit.domain.inventory.topology import Snapshot
from jit.domain.model.grant import Status
from jit.domain.model.machine import MachinePolicy, Support
from jit.domain.policy_setup import changes, naming
from jit.domain.policy_setup.changes import PolicyAction, SubscriptionLook
from jit.domain.values import arm_ids
from tests.builders.grants import a_grant
from tests.builders.machines import a_rule, a_vm
from tests.builders.values import OTHER_SUBSCRIPTION, SUBSCRIPTION, vm_id

ENTRY = {
    "id": vm_id(),
    "ports": [
        {
            "number": 22,
            "protocol": "TCP",
            "allowedSourceAddressPrefix": "*",
            "maxRequestAccessDuration": "PT3H",
        }
    ],
}
BARE = a_vm(policy_id=None, support=Support.NOT_CONFIGURED)
DEFAULT = naming.build_default_id(BARE)


def a_policy(*entries, policy_id=DEFAULT):
    """A JIT policy as ARM returns it."""
    return {"id": policy_id, "kind": "Basic", "properties": {"virtualMachines": list(entries)}}


def looks(*machines, policies=()):
    """One subscription that the broker serves."""
    found = {arm_ids.key(vm.id): vm for vm in machines}
    return {SUBSCRIPTION: SubscriptionLook(Snapshot(policies=policies), found)}


def wanted(name="web01", *numbers, **changes):
    """A VM with the ports that its policy shall have."""
    ports = tuple(a_rule(number) for number in numbers)
    return replace(
        MachinePolicy(id=vm_id(name), ports=ports, pointer="#/virtualMachines/0"), **changes
    )


def codes(violations):
    """Place and code of each violation."""
    return [(violation.pointer, violation.code) for violation in violations]


@pytest.mark.parametrize(
    ("item", "vm", "code"),
    [
        (wanted("web01", 22), BARE, None),
        (wanted("gone", 22), BARE, "vm-not-found"),
        (wanted("web01", 22), replace(BARE, support=Support.UNSUPPORTED), "vm-unsupported"),
        (wanted(id=vm_id(subscription=OTHER_SUBSCRIPTION)), BARE, "not-watched"),
        (wanted("w" * 50, 22), a_vm("w" * 50, policy_id=None), "names-too-long"),
    ],
)
def test_a_vm_can_be_put_under_jit_unless_it_has_a_fault(item, vm, code):
    """The fault stands at the id of the VM."""
    found = codes(changes.find_put_faults(item, looks(vm)))

    assert found == ([("#/virtualMachines/0/id", code)] if code else [])


@pytest.mark.parametrize(
    ("item", "machines", "policies", "code"),
    [
        (wanted(), (BARE,), (), None),
        (wanted(), (), (a_policy(ENTRY),), None),
        (wanted(), (), (a_policy(),), "vm-not-found"),
        (wanted(id=vm_id(subscription=OTHER_SUBSCRIPTION)), (), (), "not-watched"),
    ],
)
def test_a_vm_that_is_gone_can_leave_the_policy_that_names_it(item, machines, policies, code):
    """An entry of a deleted VM is taken out in this way."""
    found = codes(changes.find_delete_faults(item, looks(*machines, policies=policies)))

    assert found == ([("#/virtualMachines/0/id", code)] if code else [])


def test_a_vm_belongs_in_its_policy_or_in_the_default_one_as_azure_spells_it():
    """Defender accepts it in no other place."""
    spelled = DEFAULT.replace("default", "Default")
    (look,) = looks(BARE, policies=(a_policy(policy_id=spelled),)).values()

    assert look.choose_policy(replace(BARE, policy_id="/its/own")) == "/its/own"
    assert look.choose_policy(BARE) == spelled
    assert SubscriptionLook(Snapshot(), {}).choose_policy(BARE) == DEFAULT


def test_vms_of_one_policy_share_a_plan():
    """A PUT replaces a whole policy."""
    one, two = BARE, a_vm("web02", policy_id=None)
    elsewhere = a_vm("web03", policy_id=DEFAULT.replace("default", "own"))
    items = [wanted("web01", 22), wanted("web02", 22), wanted("web03", 22)]

    plans = changes.plan_put(items, looks(one, two, elsewhere))

    assert [[arm_ids.name(item.id) for item in plan.wanted] for plan in plans] == [
        ["web01", "web02"],
        ["web03"],
    ]
    assert [arm_ids.name(plan.policy_id) for plan in plans] == ["default", "own"]


def test_a_plan_sets_ports_and_removes_vms_and_an_empty_policy_is_deleted():
    """None means that the policy shall not exist."""
    there = looks(BARE, policies=(a_policy(ENTRY),))
    (put,) = changes.plan_put([wanted("web01", 3389)], there)
    (delete,) = changes.plan_delete([wanted()], there)

    (entry,) = policy_json.group_entries(put.apply_to(a_policy(ENTRY))).values()

    assert [rule.number for rule in parse_port_rules(entry)] == [3389]
    assert delete.apply_to(a_policy(ENTRY)) is None
    assert put.apply_to(None) is not None


@pytest.mark.parametrize(
    ("before", "after", "action"),
    [
        (a_policy(ENTRY), a_policy(ENTRY), PolicyAction.UNCHANGED),
        (None, a_policy(ENTRY), PolicyAction.CREATED),
        (a_policy(ENTRY), a_policy({**ENTRY, "ports": []}), PolicyAction.WRITTEN),
        (a_policy(ENTRY), None, PolicyAction.DELETED),
    ],
)
def test_the_action_follows_from_the_difference(before, after, action):
    """Policies with the same port rules are not written."""
    assert changes.find_action(before, after) is action


def test_a_live_grant_forbids_the_change_of_its_vm():
    """Its end could not be kept with other rules."""
    (plan,) = changes.plan_put([wanted("web01", 22)], looks(BARE))

    live = plan.find_conflicts([a_grant(status=Status.OPEN)])

    assert codes(live) == [("#/virtualMachines/0/id", "grant-live")]
    assert plan.find_conflicts([a_grant(status=Status.CLOSED)]) == ()
