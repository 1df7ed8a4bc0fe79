"""
Decision about access that stands: does its JIT policy still allow it?

A policy may be narrowed at any time, by an operator here or by somebody in Azure. Access that it no
longer allows ends then. A part of a policy that is not understood allows no new access. It ends no
access that stands, because its meaning is not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from jit.domain.decision.jit_policy import (
    NO_JIT_POLICY,
    PORT_NOT_IN_POLICY,
    PROTOCOL_NOT_IN_POLICY,
    SOURCE_NOT_ALLOWED,
    find_effective_protocol,
    refuse_source,
)
from jit.domain.errors import Violation
from jit.domain.model.grant import Grant
from jit.domain.model.machine import PolicyField, PortRule
from jit.domain.model.policy_entry import PolicyEntry
from jit.domain.values import arm_ids
from jit.domain.values.json_pointer import ROOT, at
from jit.domain.values.listing import list_few

_SLACK = timedelta(seconds=30)
"""An end may be this much later: clocks differ, and no look may cut an end that was just given."""


def find_denials(grant: Grant, entry: PolicyEntry | None) -> tuple[Violation, ...]:
    """
    Return the reasons in its JIT policy against the access of *grant*.

    Args:
        grant: One that has, or may get, a path.
        entry: The entry of its VM in its policy; None if the policy has none.

    Returns:
        Empty if the policy allows it, or is not understood there.
    """
    return tuple(_find_denials(grant, entry))


def find_earlier_end(grant: Grant, entry: PolicyEntry | None, *, now: datetime) -> datetime | None:
    """
    Return the end that its JIT policy leaves *grant*, if it has an end and that is too late.

    Nobody keeps access for longer than the policy gives from *now* on. The end is in whole seconds.
    """
    rule = entry.find_rule(grant.port) if entry is not None else None
    if entry is None or rule is None or grant.expires_at is None:
        return None
    if entry.has_fault(None, PolicyField.ENTRIES):
        return None
    if entry.has_fault(grant.port, PolicyField.NUMBER, PolicyField.DURATION):
        return None
    latest = (now + rule.max_duration).replace(microsecond=0)
    return latest if grant.expires_at > latest + _SLACK else None


def _find_denials(grant: Grant, entry: PolicyEntry | None) -> Iterator[Violation]:
    name = arm_ids.name(grant.vm_id)
    if entry is None:
        detail = f"{name} is no longer in its JIT policy"
        yield Violation(at(grant.machine_pointer, "id"), NO_JIT_POLICY, detail)
        return
    if entry.has_fault(None, PolicyField.ENTRIES):
        return
    rule = entry.find_rule(grant.port)
    if rule is not None:
        yield from _check_rule(grant, rule, entry)
    elif not entry.has_fault(None, PolicyField.PORTS, PolicyField.NUMBER):
        detail = f"port {grant.port} of {name} is no longer in its JIT policy"
        yield Violation(grant.machine_pointer, PORT_NOT_IN_POLICY, detail)


def _check_rule(grant: Grant, rule: PortRule, entry: PolicyEntry) -> Iterator[Violation]:
    """Yield the reasons in the protocol and the sources of *rule*, as far as it is clear."""
    name = f"port {grant.port} of {arm_ids.name(grant.vm_id)}"
    if entry.has_fault(grant.port, PolicyField.NUMBER):
        return
    is_clear = not entry.has_fault(grant.port, PolicyField.PROTOCOL)
    if is_clear and find_effective_protocol(grant.protocol, rule) is None:
        detail = f"{name} now allows {rule.protocol}, not {grant.protocol}"
        yield Violation(grant.machine_pointer, PROTOCOL_NOT_IN_POLICY, detail)
    if entry.has_fault(grant.port, PolicyField.SOURCE, PolicyField.SOURCES):
        return
    refused = [each for each in grant.sources if refuse_source(each, rule, grant.via)]
    if refused:
        allowed = list_few(rule.allowed_sources)
        detail = f"{list_few(map(str, refused))} may no longer reach {name}, which allows {allowed}"
        yield Violation(at(ROOT, "sources"), SOURCE_NOT_ALLOWED, detail)
