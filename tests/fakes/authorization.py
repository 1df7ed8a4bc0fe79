"""
Azure's lists of roles, role assignments and deny assignments, in memory.

Everybody is an owner of each subscription, until a test says otherwise: most tests are about
something else.
"""

from __future__ import annotations

from typing import Any

from jit.domain.azure.arm_json import Resource
from tests.builders.authorization import a_role, an_assignment


class FakeAuthorization:
    """
    An ``Arm`` that knows the three lists of Microsoft.Authorization.

    Attributes:
        roles: The role definitions.
        denials: The deny assignments.
        people: Lower-case object id -> the role assignments of that person; without an entry a
            person is an owner.
        paths: Each list that was asked for, with its filter.
    """

    def __init__(self) -> None:
        """Let everybody be an owner."""
        self.roles: list[Resource] = [a_role()]
        self.denials: list[Resource] = []
        self.people: dict[str, list[Resource]] = {}
        self.paths: list[tuple[str, str]] = []

    def get(self, resource_id: str, api_version: str) -> Resource:
        """Fail: nobody asks for a single one of them."""
        raise LookupError(f"{resource_id} {api_version}")

    def list(self, path: str, api_version: str, chosen: str = "") -> list[Resource]:
        """Return a list; assignments are those of the person in the filter."""
        del api_version
        self.paths.append((path, chosen))
        lists: dict[str, Any] = {"roleDefinitions": self.roles, "denyAssignments": self.denials}
        kind = path.rpartition("/")[2]
        if kind in lists:
            return list(lists[kind])
        oid = chosen.removeprefix("assignedTo('").removesuffix("')")
        scope = path.partition("/providers/")[0]
        return list(self.people.get(oid, [an_assignment(scope, principal=oid)]))
