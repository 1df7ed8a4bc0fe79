"""
The effect of security admin rules on a flow, before any NSG sees it.

``Deny`` and ``AlwaysAllow`` end the evaluation; ``Allow`` and silence leave it to the NSGs. As for
NSGs, there is no guess: if the addresses of a rule are not known, both readings count.

Within one network manager the smallest priority number decides. Azure documents no order for two
rules with one priority, so each of them may be the first. If two network managers disagree, the one
with the wider scope wins; the scopes are not known here, so each of them may win.

Source:
    https://learn.microsoft.com/azure/virtual-network-manager/concept-security-admins
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, summarize_address_range
from itertools import chain

from jit.domain.azure.nsg_effect import Flow, Part, split_flow
from jit.domain.network_manager.security_admin_rules import AdminAccess, AdminRule
from jit.domain.values import arm_ids
from jit.domain.values.prefixes import Prefix


class Outcome(Enum):
    """The ends that the stage may have for a packet."""

    DENIED = "denied"  # no NSG is asked
    PASSED = "passed"  # no NSG is asked
    LEFT = "left"  # the NSGs decide


_OUTCOMES = {
    AdminAccess.ALLOW: frozenset({Outcome.LEFT}),
    AdminAccess.ALWAYS_ALLOW: frozenset({Outcome.PASSED}),
    AdminAccess.DENY: frozenset({Outcome.DENIED}),
}
_ANY = frozenset(Outcome)


@dataclass(frozen=True, slots=True)
class Share:
    """
    A share of a flow that fares alike in the stage.

    Attributes:
        flow: The share.
        outcomes: What the stage may do with it, at least one; with two or more it is a doubt.
        rules: The rules that decide, or may do so.
    """

    flow: Flow
    outcomes: frozenset[Outcome]
    rules: tuple[AdminRule, ...] = ()

    def name_rules(self, outcome: Outcome) -> str:
        """Return the titles of the rules that have *outcome*, or may have it."""
        found = (rule.title for rule in self.rules if outcome in _list_outcomes(rule))
        return ", ".join(dict.fromkeys(found))


def split_at_admin_rules(
    rules: Sequence[AdminRule], flow: Flow, vnet_prefixes: Iterable[str]
) -> Iterator[Share]:
    """
    Yield *flow* in shares: what Virtual Network Managers do with each part of it.

    Args:
        rules: The inbound rules of the VM's network (``parse_admin_rules``).
        flow: From one source prefix to one VM port, both of one IP version.
        vnet_prefixes: As for ``nsg_effect.evaluate``.

    Raises:
        ValueError: One of *vnet_prefixes* is no prefix.
    """
    if not rules:
        yield Share(flow, frozenset({Outcome.LEFT}))
        return
    groups = _group_by_manager(rules)
    orders = [_list_orders(group) for group in groups]
    by_id = {id(rule.flows): rule for rule in rules}
    parts = split_flow(
        [[rule.flows for rule in order] for order in chain(*orders)], flow, vnet_prefixes
    )
    judged = [_judge_part(views, [len(each) for each in orders], by_id) for views in parts]
    for first, last, protocol, (outcomes, deciders) in _join_parts(judged, flow):
        for prefix in _summarize(first, last, flow.source.version):
            yield Share(replace(flow, source=prefix, protocol=protocol), outcomes, deciders)


# ---- who decides ---------------------------------------------------------------------------------


def _group_by_manager(rules: Iterable[AdminRule]) -> list[list[AdminRule]]:
    groups: dict[str, list[AdminRule]] = {}
    for rule in rules:
        groups.setdefault(arm_ids.key(rule.manager), []).append(rule)
    return list(groups.values())


def _list_orders(rules: list[AdminRule]) -> list[list[AdminRule]]:
    """Return *rules* in each order that may be Azure's: one, unless two share a priority."""
    if len({rule.flows.priority for rule in rules}) == len(rules):
        return [rules]
    return [
        sorted(rules, key=lambda rule: (rule.flows.priority, rule.access is not first))
        for first in (*AdminAccess, None)
    ]


_Ruling = tuple[frozenset[Outcome], tuple[AdminRule, ...]]
_Judged = tuple[Part, _Ruling]


def _judge_part(
    views: Sequence[Part], sizes: Iterable[int], by_id: dict[int, AdminRule]
) -> _Judged:
    """Return a part of the flow with its outcomes; *views* has a part for each order of rules."""
    found: set[Outcome] = set()
    deciders: dict[int, AdminRule] = {}
    may_be_silent, rest = True, list(views)
    for size in sizes:
        own, rest = rest[:size], rest[size:]
        may_be_silent = may_be_silent and any(view.decider is None for view in own)
        for view in own:
            for flows in (*view.doubts, *([view.decider] if view.decider else ())):
                rule = by_id[id(flows)]
                deciders[id(flows)] = rule
                found |= _list_outcomes(rule)
    outcomes = found | ({Outcome.LEFT} if may_be_silent else set())
    return views[0], (frozenset(outcomes), tuple(deciders.values()))


def _list_outcomes(rule: AdminRule) -> frozenset[Outcome]:
    """Return the outcomes that *rule* has or may have if it takes a packet."""
    if rule.access is None or rule.flows.faults or not rule.flows.in_force:
        return _ANY
    return _OUTCOMES[rule.access]


# ---- shares --------------------------------------------------------------------------------------


def _join_parts(judged: Sequence[_Judged], flow: Flow) -> Iterator[tuple[int, int, str, _Ruling]]:
    """Yield first and last address, protocol and ruling; neighbours that fare alike are one."""
    end = int(flow.source.broadcast_address)
    for protocol in dict.fromkeys(part.protocol for part, _ in judged):
        own = [(part.address, ruling) for part, ruling in judged if part.protocol is protocol]
        kept = [item for place, item in enumerate(own) if not place or own[place - 1][1] != item[1]]
        lasts = [first - 1 for first, _ in kept[1:]] + [end]
        for (first, ruling), last in zip(kept, lasts, strict=True):
            yield first, last, protocol.value, ruling


def _summarize(first: int, last: int, version: int) -> Iterator[Prefix]:
    """Yield the prefixes that have the addresses from *first* to *last*."""
    if version == 4:  # noqa: PLR2004 # IPv4
        yield from summarize_address_range(IPv4Address(first), IPv4Address(last))
    else:
        yield from summarize_address_range(IPv6Address(first), IPv6Address(last))
