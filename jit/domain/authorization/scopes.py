"""
Scopes: the places in Azure at which roles are assigned.

A scope covers all that lies below it. The list of a subscription holds scopes above it only if they
apply to it: the root and its management groups. So here these are one scope, above everything.

Source:
    "Understand scope for Azure RBAC" (https://learn.microsoft.com/azure/role-based-access-control/scope-overview).
"""

from __future__ import annotations

from jit.domain.authorization.permission_json import Unreadable
from jit.domain.values import arm_ids

ROOT_SCOPE = ""
"""The key of the scope that covers everything."""

_GROUPS = "/providers/microsoft.management/managementgroups/"
_LONGEST = 4096


def read_scope(text: object) -> str:
    """
    Return the key of a scope, as scopes are compared.

    Raises:
        Unreadable: It is no path.
    """
    if not isinstance(text, str) or not text.startswith("/") or len(text) > _LONGEST:
        raise Unreadable("a scope is a path that begins with a slash")
    key = arm_ids.key(text).removesuffix("/")
    if "//" in text:
        raise Unreadable("a scope with an empty part")
    is_group = key.startswith(_GROUPS) and "/" not in key[len(_GROUPS) :]
    return ROOT_SCOPE if is_group else key


def list_scopes_of(key: str, *, below: str = "") -> list[str]:
    """
    Return the keys of all scopes that cover a resource or a group, the widest first.

    Args:
        key: The key of the resource or the group; it is the last one.
        below: The key of a scope that covers it: only scopes below that one are listed. By
            default the root is the first one.
    """
    found = [] if below else [ROOT_SCOPE]
    end = key.find("/", len(below) + 1)
    while end > 0:
        found.append(key[:end])
        end = key.find("/", end + 1)
    return [*found, key]
