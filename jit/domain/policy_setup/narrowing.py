"""
Narrowing: a change of a JIT policy that allows nothing that was not allowed before.

Such a change may be made while access is live. Any other change may give a live grant another path
than the one that was decided, so it waits.
"""

from __future__ import annotations

from collections.abc import Iterable

from jit.domain.azure import policy_json
from jit.domain.azure.arm_json import Resource
from jit.domain.azure.port_rules import parse_port_rules
from jit.domain.decision.jit_policy import refuse_source
from jit.domain.model.machine import PortRule, Via
from jit.domain.values.prefixes import read_prefix


def is_narrowing(before: Resource | None, after: Resource | None) -> bool:
    """
    Return True if *after* allows nothing that *before* does not allow.

    Args:
        before: The policy as read; None if there is none.
        after: The policy as it shall be; None if it shall not exist.

    Returns:
        False in doubt. The same rules in another spelling are a narrowing.
    """
    old, new = policy_json.group_entries(before), policy_json.group_entries(after)
    changed = policy_json.find_differences(before, after)
    return all(_has_narrower_rules(old.get(key), new[key]) for key in changed if key in new)


def _has_narrower_rules(before: Resource | None, after: Resource) -> bool:
    old = tuple(parse_port_rules(before)) if before is not None else ()
    return all(_is_covered(rule, old) for rule in parse_port_rules(after))


def _is_covered(rule: PortRule, before: Iterable[PortRule]) -> bool:
    """Return True if each rule that was there for the port allows all that *rule* allows."""
    same = [old for old in before if old.number == rule.number]
    return bool(same) and all(_covers(old, rule) for old in same)


def _covers(old: PortRule, new: PortRule) -> bool:
    return (
        new.max_duration <= old.max_duration
        and old.protocol in {new.protocol, "*"}
        and all(_allows(old, text) for text in new.allowed_sources)
    )


def _allows(rule: PortRule, text: str) -> bool:
    """Return True if *rule* allows the source *text*; a source that is no prefix only by name."""
    prefix = read_prefix(text)
    if text in rule.allowed_sources or prefix is None:
        return text in rule.allowed_sources
    return refuse_source(prefix, rule, Via.PRIVATE) is None
