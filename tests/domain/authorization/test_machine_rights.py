"""The rights about one VM: each action at the resource that it is about."""

import pytest

from jit.domain.authorization.machine_rights import CONDITION, MISSING_ACTION, judge_machine
from jit.domain.authorization.needed_actions import (
    INITIATE,
    NEEDED,
    READ_ADDRESSES,
    READ_INTERFACES,
    READ_MACHINE,
    READ_POLICIES,
)
from tests.builders.authorization import HERE, a_deny, a_role, an_assignment
from tests.builders.machines import a_configured_vm, a_nic, a_vm
from tests.builders.values import GROUP, NETWORK, POLICY_ID, VM_ID
from tests.domain.authorization.test_rights import build

VM = a_configured_vm()
NIC, ADDRESS = VM.interfaces[0].id, VM.interfaces[0].public_ip_id
PLACES = {
    INITIATE: POLICY_ID,
    READ_POLICIES: POLICY_ID,
    READ_MACHINE: VM_ID,
    READ_INTERFACES: NIC,
    READ_ADDRESSES: ADDRESS,
}


def judge(rights, vm=VM):
    return judge_machine(rights, vm, "#/virtualMachines/0/id")


def codes(answer):
    return [each.code for each in answer.violations]


def test_an_owner_may_ask():
    answer = judge(build(an_assignment()))

    assert (answer.is_allowed, answer.violations, answer.untold) == (True, (), "")


def test_each_missing_action_is_named_with_its_scope():
    """In the order of the documentation, and with the next step of the person."""
    answer = judge(build())

    assert (answer.is_allowed, codes(answer)) == (False, [MISSING_ACTION] * len(NEEDED))
    for violation, (action, scope) in zip(answer.violations, PLACES.items(), strict=True):
        assert f"{action} at {scope}" in violation.detail
        assert "(PIM) must be activated first" in violation.detail
        assert violation.pointer == "#/virtualMachines/0/id"


@pytest.mark.parametrize("action", NEEDED)
def test_one_right_less_is_one_reason(action):
    """Each right is needed at its own resource, and nowhere else."""
    rest = [each for each in NEEDED if each != action]
    everywhere = [an_assignment(role=each) for each in rest]
    there = an_assignment(PLACES[action], role=action)
    roles = [a_role(each, name=each.replace("/", "-")) for each in NEEDED]

    def named(assignment):
        properties = assignment["properties"]
        role = str(properties["roleDefinitionId"]).partition("roleDefinitions/")[2]
        name = role.replace("/", "-")
        return {**assignment, "properties": {**properties, "roleDefinitionId": f"/x/{name}"}}

    without = judge(build(*map(named, everywhere), roles=roles))
    complete = judge(build(*map(named, [*everywhere, there]), roles=roles))

    assert [action in each.detail for each in without.violations] == [True]
    assert complete.is_allowed


def test_the_group_stands_for_resources_that_are_not_known():
    """A VM without a policy, interfaces and addresses."""
    answer = judge(build(), a_vm())

    assert sum(f"at {GROUP}:" in each.detail for each in answer.violations) == 4
    assert judge(build(an_assignment(GROUP)), a_vm()).is_allowed


def test_each_interface_counts_once():
    """An interface with two addresses; another one in a foreign group."""
    theirs = NETWORK.replace("rg-web", "rg-net")
    nics = (a_nic(), a_nic(private_ip="10.1.1.5"), a_nic(id=f"{theirs}/networkInterfaces/nic"))
    answer = judge(build(an_assignment(GROUP)), a_configured_vm(interfaces=nics))

    (violation,) = answer.violations
    assert f"{READ_INTERFACES} at {theirs}/networkInterfaces/nic" in violation.detail


def test_a_condition_has_a_code_of_its_own():
    answer = judge(build(an_assignment(condition="@Resource[x]")))

    assert set(codes(answer)) == {CONDITION}
    assert "condition" in answer.violations[0].detail


def test_a_deny_assignment_is_named():
    answer = judge(build(an_assignment(), denials=[a_deny(without=["*/read"])]))

    (violation,) = answer.violations
    assert violation.code == MISSING_ACTION
    assert violation.detail.startswith(
        f"a deny assignment takes the action {INITIATE} at {POLICY_ID}"
    )


def test_an_unknown_action_is_no_reason_to_refuse():
    answer = judge(build(an_assignment(role="of-nobody")))

    assert (answer.is_allowed, answer.violations) == (None, ())
    assert (
        answer.untold
        == f"it could not be told if this person has the action {INITIATE} at {POLICY_ID}"
    )


def test_a_reason_to_refuse_counts_before_one_that_nobody_can_tell():
    """More knowledge could not change the answer."""
    lost = an_assignment(VM_ID, role="of-nobody")
    answer = judge(build(lost))

    assert answer.is_allowed is False
    assert not any(READ_MACHINE in each.detail for each in answer.violations)


def test_letter_case_of_ids_does_not_matter():
    assert judge(build(an_assignment(HERE.upper()))).is_allowed
    assert judge(build(*map(an_assignment, [GROUP.upper()]))).is_allowed
