"""
The one proof that a rule of Defender's may be removed (promise P5).

``judge`` answers three questions about one rule. Which grants is it proved to belong to? Which
other grants have their path by it? Which requests of other people in Defender may need it? The
policy's worker and the comparison of a subscription ask the same function; each collects the
evidence that it can see. The caller decides when to remove a rule that may be removed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from jit.domain.azure import defender_requests
from jit.domain.azure.defender_requests import DefenderRequest
from jit.domain.grants.lifetime import has_asked_azure
from jit.domain.grants.timing import FOREIGN_GRACE
from jit.domain.model.grant import Grant
from jit.domain.model.machine import VirtualMachine, VmPort
from jit.domain.paths.rules import PathRule, keep_rules_for, keep_rules_to, may_let_in
from jit.domain.values import arm_ids
from jit.domain.values.prefixes import Prefix, Prefixes, read_prefix
from jit.domain.values.times import format_instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """
    All that is known about the owners and the users of one rule.

    Attributes:
        recorded_by: Grants that recorded the rule, as ``is_recorded`` says.
        on_port: Grants on the VM ports that the rule leads to. Only among them its form is a proof.
        users: Grants that may have their path by the rule.
        asked: VM port -> every source that the broker asked of Azure there.
        listed: Defender's requests for these VM ports whose initiates prove a rule; may be empty.
        foreign: Other people's requests that still count, for the VM ports that the rule leads to.
    """

    recorded_by: Sequence[Grant]
    on_port: Sequence[Grant]
    users: Sequence[Grant]
    asked: Mapping[VmPort, Collection[Prefix]]
    foreign: Sequence[DefenderRequest]
    listed: Sequence[DefenderRequest] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """
    The owners and the users of a rule.

    Attributes:
        owners: Grants that the rule is proved to belong to; empty if it is not ours.
        grants: Grants that should have a path now and that the rule lets in.
        requests: Other people's requests in Defender that may need the rule.
        owner_ids: The ids of *owners*.
    """

    owners: tuple[Grant, ...]
    grants: tuple[Grant, ...]
    requests: tuple[DefenderRequest, ...]

    owner_ids: frozenset[str] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Note the ids of the owners: each closing grant of a VM port asks if it is one."""
        object.__setattr__(self, "owner_ids", frozenset(owner.id for owner in self.owners))

    @property
    def may_be_removed(self) -> bool:
        """True if the rule is proved to be ours and nobody else needs it."""
        return bool(self.owners) and not self.grants and not self.requests


def judge(rule: PathRule, evidence: Evidence, *, now: datetime) -> Judgement:
    """
    Return the owners and the users of *rule*.

    Args:
        rule: One of Defender's rules, as it was just read.
        evidence: All that the caller knows about it.
        now: Aware, UTC.
    """
    recorded = list(evidence.recorded_by)
    names = {grant.id for grant in recorded}
    others = (grant for grant in evidence.on_port if grant.id not in names)
    matching = [grant for grant in others if _is_proved_by_form(rule, grant, evidence)]
    users = {grant.id: grant for grant in evidence.users if _needs(grant, rule, now)}
    return Judgement(
        owners=(*recorded, *matching),
        grants=tuple(users.values()),
        requests=tuple(entry for entry in evidence.foreign if may_need(entry, rule)),
    )


# ---- owners --------------------------------------------------------------------------------------


def is_recorded(rule: PathRule, grant: Grant, addresses: Collection[str]) -> bool:
    """
    Return True if *grant* recorded *rule*, which proves that it is the grant's.

    Names of NSG rules are unique. Defender may use the name of a NAT rule again (assumed), so a
    NAT rule must also still lead where the grant leads, from one of its sources. *addresses* are
    the private addresses of the grant's VM, now and when its rules were seen.
    """
    if arm_ids.key(rule.id) not in grant.rule_keys:
        return False
    if rule.collection is None:
        return True
    return rule.target in addresses and rule.port == grant.port and lets_in(rule, grant)


def is_listed(rule: PathRule, grant: Grant, listed: Iterable[DefenderRequest]) -> bool:
    """Return True if *rule* opens exactly sources that Defender lists for our initiates."""
    ids = grant.initiate.ids
    return _opens_listed(rule, tuple(entry for entry in listed if entry.initiate_id in ids))


@lru_cache(maxsize=256)  # the grants of a VM port have the same initiates
def _opens_listed(rule: PathRule, entries: tuple[DefenderRequest, ...]) -> bool:
    texts = {text for entry in entries for text in entry.sources}
    named = {*texts, *Prefixes(tuple(texts)).readable}
    return (
        rule.exact
        and bool(rule.sources)
        and all(text in named or read_prefix(text) in named for text in rule.sources)
    )


def _is_proved_by_form(rule: PathRule, grant: Grant, evidence: Evidence) -> bool:
    """Return True if Defender writes such a *rule* for the sources asked on the grant's VM port."""
    if not has_asked_azure(grant):
        return False
    if is_listed(rule, grant, evidence.listed):
        return True
    asked = evidence.asked.get(grant.vm_port, ())
    return lets_in(rule, grant) and _opens_some_of(rule, asked)


def _opens_some_of(rule: PathRule, asked: Collection[Prefix]) -> bool:
    """
    Return True if *rule* opens one port of one address to prefixes that were *asked* for.

    A prefix inside one that was asked for is another prefix. Defender does not write it.
    """
    return rule.exact and Prefixes(rule.sources).are_among(asked)


# ---- users ---------------------------------------------------------------------------------------


def lets_in(rule: PathRule, grant: Grant) -> bool:
    """Return True if *rule* lets in any address of the grant's sources."""
    return may_let_in(rule, grant.sources)


def wants_path_now(grant: Grant, now: datetime) -> bool:
    """Return True if *grant* should have a path at *now*."""
    return grant.wants_path and (grant.expires_at is None or grant.expires_at > now)


def _needs(grant: Grant, rule: PathRule, now: datetime) -> bool:
    return wants_path_now(grant, now) and lets_in(rule, grant)


def find_foreign_requests(
    entries: Iterable[DefenderRequest], known: Collection[str], *, now: datetime
) -> list[DefenderRequest]:
    """
    Return other people's requests that still count.

    A request counts while it is in force. After its end it counts for a while, so that Azure
    removes its rules first.

    Args:
        entries: Defender's requests.
        known: Ids of all initiates that this broker stored.
        now: Aware, UTC.
    """
    return [
        entry
        for entry in entries
        if entry.initiate_id not in known
        and (entry.active or entry.reason == "Expired")
        and (entry.is_in_force(now) or now - entry.ends_at < FOREIGN_GRACE)
    ]


def may_need(entry: DefenderRequest, rule: PathRule) -> bool:
    """
    Return True if the request *entry* may depend on *rule*.

    A request, or a rule, without readable sources may be for anybody.
    """
    return Prefixes(entry.sources).may_share_address(Prefixes(rule.sources))


def keep_free_rules(
    rules: Iterable[PathRule],
    entries: Iterable[DefenderRequest],
    known: Collection[str],
    *,
    now: datetime,
) -> list[PathRule]:
    """
    Return the *rules* that no other person's request needs. A request counts while it is in force.

    Defender may list a request as active after its end. Nobody is entitled to its rule any more.

    Args:
        rules: Each with the VM port that it was looked up for.
        entries: Defender's requests of the policy, read just now.
        known: Ids of all initiates that this broker stored.
        now: Aware, UTC.
    """
    foreign = [
        entry for entry in entries if entry.is_in_force(now) and entry.initiate_id not in known
    ]
    return [
        rule
        for rule in rules
        if not any(
            may_need(entry, rule)
            for entry in defender_requests.find_port_requests(foreign, rule.vm_id, rule.port)
        )
    ]


# ---- sources that it may open --------------------------------------------------------------------


def is_accounted_for(
    rule: PathRule, grants: Iterable[Grant], requests: Iterable[DefenderRequest] = ()
) -> bool:
    """Return True if *rule* opens no more than *grants* and *requests* are entitled to."""
    sources, entitled = Prefixes(rule.sources), Prefixes(list_entitled_sources(grants, requests))
    readable = bool(sources.texts) and not sources.unreadable
    return readable and entitled.covers_all(sources.readable)


def list_entitled_sources(
    grants: Iterable[Grant], requests: Iterable[DefenderRequest] = ()
) -> tuple[str, ...]:
    """Return the sources of *grants* and of *requests*, as text."""
    ours = (str(source) for grant in grants for source in grant.sources)
    return (*ours, *(text for entry in requests for text in entry.sources))


def list_unentitled(
    grant: Grant, others: Iterable[Grant], requests: Iterable[DefenderRequest] = ()
) -> list[Prefix]:
    """Return the sources of *grant* that *others* and *requests* are not entitled to."""
    return list_uncovered(grant, Prefixes(list_entitled_sources(others, requests)))


def list_uncovered(grant: Grant, entitled: Prefixes) -> list[Prefix]:
    """Return the sources of *grant* that no *entitled* prefix covers."""
    return [source for source in grant.sources if not entitled.covers(source)]


def explain_shared(
    users: Mapping[PathRule, Collection[Grant]], sources: Collection[Prefix], vm: VirtualMachine
) -> str:
    """
    Return the rules that let *sources* in to *vm* and stay because other VMs need them.

    Args:
        users: Rules of the VM port, each with the grants of other VMs that need it.
        sources: Sources that nobody is entitled to on this VM port any more.
        vm: The VM as just read. A rule that does not lead to it lets nobody in to it.
    """
    leading = keep_rules_to(keep_rules_for(users, sources), vm)
    return "; ".join(_explain_kept(rule, users[rule]) for rule in leading if users[rule])


def _explain_kept(rule: PathRule, users: Iterable[Grant]) -> str:
    end = max(user.expires_at or user.latest_end for user in users)
    return (
        f"{rule.name} in {arm_ids.name(rule.holder_id)} still lets its sources in: another virtual "
        f"machine with the same address needs the rule until {format_instant(end)}"
    )
