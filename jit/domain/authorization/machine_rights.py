"""
The rights of a person about one VM: may the person ask for access to it?

Each action is judged at the resource that it is about: the VM, its JIT policy, its network
interfaces, its public addresses. If the inventory knows no resource of a kind, the VM's
resource group counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from jit.domain.authorization.needed_actions import (
    BIT,
    INITIATE,
    READ_ADDRESSES,
    READ_INTERFACES,
    READ_MACHINE,
    READ_POLICIES,
    list_actions,
)
from jit.domain.authorization.rights import ActionBits, Rights
from jit.domain.errors import Violation
from jit.domain.model.machine import VirtualMachine

MISSING_ACTION = "rbac-missing-action"
CONDITION = "rbac-condition"

_POLICY_BITS = BIT[INITIATE] | BIT[READ_POLICIES]

_LACKS = (
    "this person lacks the action {action} at {scope}: an owner there can assign a role that has "
    "it; a role for which the person is eligible (PIM) must be activated first"
)
_DENIED = "a deny assignment takes the action {action} at {scope} from this person"
_CONDITIONAL = (
    "this person has the action {action} at {scope} only under a condition, which the broker does "
    "not judge: an owner there can assign a role without a condition"
)
_UNTOLD = "it could not be told if this person has the action {action} at {scope}"


class RightsAnswer(NamedTuple):
    """
    The answer of Azure RBAC about one person and one VM.

    Attributes:
        violations: The reasons to refuse; each names an action and a scope.
        untold: A sentence about an action that the person may have or lack; empty without one.
    """

    violations: tuple[Violation, ...] = ()
    untold: str = ""

    @property
    def is_allowed(self) -> bool | None:
        """True if the person may ask, None if nobody can tell."""
        if self.violations:
            return False
        return None if self.untold else True


def judge_machine(rights: Rights, vm: VirtualMachine, pointer: str) -> RightsAnswer:
    """
    Return the answer about *vm*.

    Args:
        rights: Those of the person in the subscription of the VM.
        vm: As the inventory or a look knows it.
        pointer: The place of the VM in the body.
    """
    violations: list[Violation] = []
    untold = ""
    for bits, resource_id in _list_needs(vm):
        found = rights.find_at(resource_id)
        lacking = bits & ~found.allowed
        if lacking:
            violations += _refuse(lacking & ~found.untold, found, resource_id, pointer)
            for action in list_actions(lacking & found.untold)[:1]:
                untold = untold or _UNTOLD.format(action=action, scope=resource_id)
    return RightsAnswer(tuple(violations), untold)


def _list_needs(vm: VirtualMachine) -> Iterator[tuple[int, str]]:
    """Yield the needed actions, as bits, with the resource at which they are needed."""
    group = vm.id.partition("/providers/")[0]
    yield _POLICY_BITS, vm.policy_id or group
    yield BIT[READ_MACHINE], vm.id
    for resource_id in _list_each((nic.id for nic in vm.interfaces), group):
        yield BIT[READ_INTERFACES], resource_id
    for resource_id in _list_each((nic.public_ip_id for nic in vm.interfaces), group):
        yield BIT[READ_ADDRESSES], resource_id


def _list_each(ids: Iterator[str | None], group: str) -> list[str]:
    """Return the ids that are there, each once; the group if there is none."""
    return list(dict.fromkeys(filter(None, ids))) or [group]


def _refuse(bits: int, found: ActionBits, scope: str, pointer: str) -> Iterator[Violation]:
    for action in list_actions(bits):
        code, detail = MISSING_ACTION, _LACKS
        if found.denied & BIT[action]:
            detail = _DENIED
        elif found.conditional & BIT[action]:
            code, detail = CONDITION, _CONDITIONAL
        yield Violation(pointer, code, detail.format(action=action, scope=scope))
