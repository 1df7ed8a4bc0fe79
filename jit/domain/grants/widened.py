"""
What opens more than was asked for: an entry that Defender widened, a rule that somebody did.

The sources of an initiate are stored before the call, and each rule is recorded as it was first
seen, so that either can be told. A path that is wider than asked is closed, not mended.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jit.domain.azure.defender_requests import DefenderRequest
from jit.domain.grants import lifetime, shared_port
from jit.domain.grants.policy_view import StepContext
from jit.domain.model.grant import CloseReason, Grant
from jit.domain.paths.rules import PathRule, all_within, opens_only, readable
from jit.domain.values import arm_ids
from jit.domain.values.prefixes import Prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """
    A grant whose path was found to be wider than asked.

    Attributes:
        grant_id: The grant, which closes now.
        resource: The rule's id, or the id of the JIT policy whose entry is wider.
        reason: A sentence for people.
    """

    grant_id: str
    resource: str
    reason: str


def asked_for(grants: Iterable[Grant], foreign: Iterable[DefenderRequest]) -> frozenset[Prefix]:
    """
    Return every source that was asked of Azure for one VM port.

    Args:
        grants: Grants of the VM port for which Azure was asked.
        foreign: Other people's requests for the VM port.
    """
    here = tuple(grants)
    ours = [source for grant in here for source in grant.asked]
    theirs = [text for entry in foreign for text in entry.sources]
    return frozenset((*shared_port.union(here), *ours, *readable(theirs)))


def is_wider(rule: PathRule, asked: Iterable[Prefix]) -> bool:
    """
    Return True if a recorded *rule* opens more than was *asked* for.

    It does if it no longer leads to one port of one address of its grant, or lets in a source
    that was not asked for. A source that cannot be read may be anybody.
    """
    return not (rule.exact and opens_only(rule, asked))


def asking(group: Iterable[Grant]) -> list[Grant]:
    """Leave out who waits: a rule for what is booked for tomorrow is today nobody's."""
    return [each for each in group if each.may_have_path]


def found(
    grant: Grant,
    asked: frozenset[Prefix],
    seen: Sequence[DefenderRequest],
    rules: Iterable[PathRule],
) -> Excess | None:
    """
    Return what opens more for *grant* than was asked for, if anything does.

    Args:
        grant: One that wants a path.
        asked: What is asked for on its VM port, by anybody.
        seen: Defender's entries for the VM port.
        rules: All rules of the VM port.
    """
    if not grant.wants_path:
        return None
    entry = next((item for item in seen if _widened(item, grant)), None)
    if entry is not None:
        texts = ", ".join(entry.sources)
        why = f"Defender opened it for {texts}, which is more than was asked for"
        return Excess(grant_id=grant.id, resource=grant.policy_id, reason=why)
    recorded = {arm_ids.key(rule_id) for rule_id in grant.rules}
    for rule in rules:
        if arm_ids.key(rule.id) in recorded and is_wider(rule, asked):
            why = f"somebody widened rule {rule.name}"
            return Excess(grant_id=grant.id, resource=rule.id, reason=why)
    return None


def closed(grant: Grant, excess: Excess, context: StepContext) -> Grant:
    """Return *grant* on its way out because of *excess*."""
    return lifetime.begin_closing(grant, CloseReason.FAILED, context.now, excess.reason)


def _widened(entry: DefenderRequest, grant: Grant) -> bool:
    """Whether Azure lists our newest initiate with sources that it did not name."""
    if not (entry.active and grant.asked and entry.initiate_id == grant.initiates[-1]):
        return False
    prefixes = readable(entry.sources)
    whole = len(prefixes) == len(entry.sources)
    return not (whole and all_within(prefixes, grant.asked))
