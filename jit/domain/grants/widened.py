"""
Detection of paths that open more than was asked for.

The sources of an initiate are stored before the call, and each rule is recorded as it was first
seen. So both a request that Azure widened and a rule that somebody widened can be found. A path
that is wider than asked is closed, not mended.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from jit.domain.azure.defender_requests import DefenderRequest
from jit.domain.grants import lifetime, shared_port
from jit.domain.model.grant import CloseReason, Grant, Initiate
from jit.domain.paths import companion_paths
from jit.domain.paths.machine_view import MachineView
from jit.domain.paths.rules import PathRule, is_limited_to
from jit.domain.values import arm_ids
from jit.domain.values.memo import Memo
from jit.domain.values.prefix_index import find_same_set
from jit.domain.values.prefixes import Prefix, Prefixes


@dataclass(frozen=True, slots=True, kw_only=True)
class Widening:
    """
    A grant whose path was found to be wider than asked.

    Attributes:
        grant_id: The grant, which closes now.
        resource: The rule's id, or the id of the JIT policy whose request is wider.
        reason: A sentence for people.
    """

    grant_id: str
    resource: str
    reason: str


def list_asked_sources(
    grants: Iterable[Grant], foreign: Iterable[DefenderRequest]
) -> frozenset[Prefix]:
    """
    Return every source that was asked of Azure for one VM port.

    Args:
        grants: Grants of the VM port for which Azure was, or may have been, asked.
        foreign: Other people's requests for the VM port.
    """
    here = tuple(grants)
    asked = (grant.initiate for grant in here)
    named = {each.sources_mark or each.sources: each.sources for each in asked}  # each list once
    ours = [source for sources in named.values() for source in sources]
    theirs = Prefixes(tuple(text for entry in foreign for text in entry.sources))
    return find_same_set(frozenset((*shared_port.join_sources(here), *ours, *theirs.readable)))


def is_wider(rule: PathRule, asked: Iterable[Prefix]) -> bool:
    """
    Return True if a recorded *rule* opens more than was *asked* for.

    It does if it no longer leads to one port of one address of its grant, or lets in a source
    that was not asked for. A source that cannot be read may be anybody.
    """
    return not (rule.exact and is_limited_to(rule, asked))


def describe(rule_name: str) -> str:
    """Return the reason to close a grant if its rule was widened: a sentence for people."""
    return f"somebody widened rule {rule_name}"


def find_widening(
    grant: Grant,
    asked: frozenset[Prefix],
    requests: Sequence[DefenderRequest],
    rules: Iterable[PathRule],
    memo: Memo | None = None,
) -> Widening | None:
    """
    Return the request or the rule that opens more for *grant* than was asked for, if any does.

    Args:
        grant: One that wants a path.
        asked: Every source that anybody asked for on its VM port.
        requests: Defender's requests for the VM port.
        rules: All rules of the VM port.
        memo: Answers about *requests* and their initiates, for all grants of the VM port.
    """
    if not grant.wants_path:
        return None
    entry = _find_wider_request(grant.initiate, requests, memo or Memo())
    if entry is not None:
        texts = ", ".join(entry.sources)
        why = f"Defender opened it for {texts}, which is more than was asked for"
        return Widening(grant_id=grant.id, resource=grant.policy_id, reason=why)
    for rule in rules:
        if arm_ids.key(rule.id) in grant.rule_keys and is_wider(rule, asked):
            return Widening(grant_id=grant.id, resource=rule.id, reason=describe(rule.name))
    return None


def find_altered_companion(
    grant: Grant, view: MachineView, known: Mapping[str, Collection[str]]
) -> Widening | None:
    """
    Return the companion of *grant* that opens more than the broker wrote, if one does.

    Args:
        grant: Any grant on the VM of *view*.
        view: The VM as just read.
        known: As for ``companion_paths.find_altered``.
    """
    rule_id = companion_paths.find_altered(grant, view, known) if grant.wants_path else None
    if rule_id is None:
        return None
    reason = describe(arm_ids.name(rule_id))
    return Widening(grant_id=grant.id, resource=rule_id, reason=reason)


def close_grant(grant: Grant, widening: Widening, now: datetime) -> Grant:
    """Begin to close *grant* because of *widening*."""
    return lifetime.begin_closing(grant, CloseReason.FAILED, now, widening.reason)


def _find_wider_request(
    asked: Initiate, requests: Sequence[DefenderRequest], memo: Memo
) -> DefenderRequest | None:
    return memo.recall(
        (asked.newest, asked.sources_mark or asked.sources),
        lambda: next((entry for entry in requests if _is_wider_request(entry, asked)), None),
    )


def _is_wider_request(entry: DefenderRequest, asked: Initiate) -> bool:
    """Return True if Azure lists our newest initiate with sources that it did not name."""
    if not (entry.active and asked.sources and entry.initiate_id == asked.newest):
        return False
    return not Prefixes(entry.sources).are_inside(asked.sources)
