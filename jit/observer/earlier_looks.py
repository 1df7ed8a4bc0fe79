"""Earlier looks: facts that a look at a policy takes from the looks before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from jit.domain.network_manager.security_admin_rules import NOTHING_KNOWN, KnownAdminRules


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierLooks:
    """
    The facts that looks before this one found.

    Attributes:
        missed: Hashes of the ids of NSGs and firewalls, and of the policy, for which Azure answered
            404, at least a minute ago. One that it does not list either is gone with its rules.
        recorded: By VM key, NSGs and firewalls with rules that its closing grants recorded, and
            that the inventory does not name any more.
        admin: The security admin rules of networks that are not read now.
    """

    missed: frozenset[str] = frozenset()
    recorded: Mapping[str, frozenset[str]] = field(default_factory=dict)
    admin: KnownAdminRules = NOTHING_KNOWN
