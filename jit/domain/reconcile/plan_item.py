"""One line of the plan: a rule or a grant that is not as it should be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from jit.domain.paths.rules import PathRule


class PlanAction(StrEnum):
    """The action that an item asks for."""

    REMOVE_RULE = "remove-rule"
    REOPEN = "reopen"  # the policy's worker looks, and asks Defender again if the path is gone
    CLOSE = "close"  # the policy's worker ends the grant
    REPORT = "report"  # a person looks


class PlanClass(StrEnum):
    """The fault; ``class`` in the contract."""

    EXPIRED = "expired"  # a rule of a grant that is over
    MISSING = "missing"  # a grant without its rules
    MOVED = "moved"  # a grant whose address to connect to is another one now
    ALTERED = "altered"  # a grant's rule that somebody widened
    OUTSIDE = "outside"  # a live grant that its JIT policy no longer allows
    ORPHAN = "orphan"  # a rule without a grant
    HELD_BY_OTHER = "held-by-other"  # an expired one that somebody else still needs
    COMPANION = "companion"  # the broker's own rule, no longer needed


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanItem:
    """
    One line of a plan.

    Attributes:
        resource: ARM id of the NSG or firewall that holds the rule, or of the VM that lacks it.
        rule: The rule's name; a NAT rule's with its collection before it.
        grant: Id of the grant that it is about.
        policy_id: JIT policy under whose claim to act.
        path: The rule itself.
        is_decided_later: The policy's worker reads Defender's requests again before it acts.
        since: When the rule should have been gone, of a leftover. None if somebody is entitled to
            all sources that it lets in.
    """

    action: PlanAction
    kind: PlanClass
    resource: str
    reason: str
    rule: str | None = None
    grant: str | None = None
    policy_id: str | None = None
    path: PathRule | None = None
    since: datetime | None = None
    is_decided_later: bool = False

    def doc(self) -> dict[str, str | None]:
        """Return the item as the contract writes it."""
        return {
            "action": self.action.value,
            "class": self.kind.value,
            "resource": self.resource,
            "rule": self.rule,
            "grant": self.grant,
            "reason": self.reason,
        }
