"""
Rights: the actions that Azure RBAC gives one person in one subscription.

`Rights` is built once of the lists of Azure, and asked for many VMs. A deny assignment wins over
each role. An item that cannot be read gives nothing: nobody can tell then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from jit.domain.authorization.deny_assignments import DenyAssignment
from jit.domain.authorization.needed_actions import ALL
from jit.domain.authorization.role_assignments import RoleAssignment
from jit.domain.authorization.role_definitions import GrantedActions, Roles
from jit.domain.authorization.scopes import list_scopes_of
from jit.domain.values import arm_ids


class RightsRules(NamedTuple):
    """The rules of a subscription that hold for everybody: its roles and its deny assignments."""

    roles: Roles
    denials: Sequence[DenyAssignment]


class ActionBits(NamedTuple):
    """
    The needed actions at one scope, by the answer to them. Each is a set of bits.

    Attributes:
        granted: By a role without a condition.
        conditional: By a role with a condition.
        unclear: Perhaps by a role that cannot be read.
        denied: By a deny assignment.
        doubted: Perhaps by a deny assignment that cannot be read, or that names a group.
    """

    granted: int = 0
    conditional: int = 0
    unclear: int = 0
    denied: int = 0
    doubted: int = 0

    def join(self, other: ActionBits) -> ActionBits:
        """Return the answers of both as one."""
        return ActionBits(*(one | more for one, more in zip(self, other, strict=True)))

    @property
    def allowed(self) -> int:
        """The actions that the person certainly has."""
        return self.granted & ~self.denied & ~self.doubted

    @property
    def untold(self) -> int:
        """The actions that the person may have or lack: nobody can tell."""
        return (self.granted | self.unclear) & ~self.denied & ~self.allowed


_NOTHING = ActionBits()


@dataclass(frozen=True, slots=True)
class Rights:
    """
    The rights of one person in one subscription.

    Attributes:
        inherited: Key of a scope -> the actions there and below.
        exact: Key of a scope -> the actions that are denied there, and not below.
    """

    inherited: Mapping[str, ActionBits]
    exact: Mapping[str, ActionBits]
    _groups: dict[str, ActionBits] = field(default_factory=dict, compare=False, repr=False)
    """Key of a group -> its answer, kept: most resources of a VM lie in one group."""

    def find_at(self, resource_id: str) -> ActionBits:
        """Return the needed actions at a resource or a group, by its ARM id."""
        key = arm_ids.key(resource_id).rstrip("/")
        group = key.partition("/providers/")[0]
        found = self._groups.get(group)
        if found is None:
            found = self._groups[group] = self._join(list_scopes_of(group), _NOTHING)
        if len(group) < len(key):
            found = self._join(list_scopes_of(key, below=group), found)
        exact = self.exact.get(key)
        return found if exact is None else found.join(exact)

    def _join(self, scopes: Iterable[str], found: ActionBits) -> ActionBits:
        for scope in scopes:
            here = self.inherited.get(scope)
            if here is not None:
                found = found.join(here)
        return found


def build_rights(
    rules: RightsRules,
    assignments: Iterable[RoleAssignment],
    person_id: str,
    groups: frozenset[str] | None = None,
) -> Rights:
    """
    Return the rights of a person.

    Args:
        rules: The roles and deny assignments of the subscription.
        assignments: Those of the person, by groups too.
        person_id: Lower-case object id.
        groups: Lower-case object ids of the person's groups; None if they are not known. They
            matter only to a deny assignment that names a group.
    """
    inherited: dict[str, ActionBits] = {}
    exact: dict[str, ActionBits] = {}
    for each in assignments:
        _add(inherited, each.scope, _read_assigned(each, rules.roles))
    for denial in rules.denials:
        applies = denial.judge_person(person_id, groups)
        if applies is not False:
            bits = ActionBits(**{"doubted" if applies is None else "denied": denial.denied})
            _add(exact if denial.is_exact else inherited, denial.scope, bits)
    return Rights(inherited, exact)


def _add(found: dict[str, ActionBits], scope: str, bits: ActionBits) -> None:
    found[scope] = found.get(scope, _NOTHING).join(bits)


def _read_assigned(assignment: RoleAssignment, roles: Roles) -> ActionBits:
    """Return the actions of an assignment; one whose role is not known may grant each of them."""
    actions: GrantedActions | None = None
    if assignment.role is not None:
        actions = roles.get(assignment.role)
    if actions is None:
        return ActionBits(unclear=ALL)
    if assignment.is_conditional:
        return ActionBits(conditional=actions.granted | actions.conditional)
    return ActionBits(granted=actions.granted, conditional=actions.conditional)
