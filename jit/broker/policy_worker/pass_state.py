"""The state of one pass over a JIT policy: its rows, its lease, its outcome so far."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from jit import telemetry
from jit.broker.busy_resources import BusyResources
from jit.broker.locks import PolicyLease
from jit.broker.look_pace import ALL_PATHS
from jit.broker.rights.recent_readings import Dated
from jit.domain.audit.event import list_transitions
from jit.domain.authorization.rights import Rights, RightsRules
from jit.domain.authorization.role_assignments import RoleAssignment
from jit.domain.errors import Unavailable
from jit.domain.grants.lifetime import needs_look
from jit.domain.grants.policy_view import PolicyView, name_entry
from jit.domain.model.absence import ABSENT_AFTER
from jit.domain.model.grant import CloseReason, Grant
from jit.domain.model.named_sources import fill_sources
from jit.domain.model.request import Request
from jit.domain.paths.effective import FAILED_UPDATE
from jit.domain.values import arm_ids
from jit.storage.request_store import RequestStore
from jit.storage.stored import GrantRow

BuiltRights = tuple[Dated[RightsRules], Dated[tuple[RoleAssignment, ...]], Rights]

RULES = "*"
"""In place of a person: the rules that hold for everybody."""

_NAMED = 5
_FORGOTTEN_AFTER = timedelta(days=1)


@dataclass(slots=True)
class PassReadings:
    """
    The readings of people's rights in Azure that one pass knows.

    Attributes:
        rules: Those of the subscription; None before.
        own: Object id -> the role assignments of that person.
        built: Object id -> the rights of that person, after the two readings that gave them.
        lost: Object ids of people whose rights could not be read, and `RULES`. They are not read
            again in this pass.
        people: The people whose role assignments this pass asked Azure for.
        deadline: Seconds of a clock that never goes back: nobody is read later in this pass.
        may_begin: False while the pass closes what must close: nobody is read.
        put_off: Keys of the VMs with grants whose people were therefore not read.
    """

    rules: Dated[RightsRules] | None = None
    own: dict[str, Dated[tuple[RoleAssignment, ...]]] = field(default_factory=dict)
    built: dict[str, BuiltRights] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    people: int = 0
    deadline: float | None = None
    may_begin: bool = True
    put_off: set[str] = field(default_factory=set)

    def is_lost(self, person_id: str) -> bool:
        """Return True if the rights of a person could not be read in this pass."""
        return RULES in self.lost or person_id in self.lost


@dataclass(slots=True)
class Pass:
    """
    The state of one pass.

    Attributes:
        lease: The right to act on the policy.
        rows: Unfinished grants of the policy, as last written.
        tombstones: Grants closed in the last days, or by this pass.
        unreadable: Hashes of the ids of VMs with a row of grants that this version cannot read.
        unknown_past:
            Hashes of the ids of VMs with an unreadable tombstone. Their old requests in Defender
            look like other people's. New grants wait there, and closing goes on.
        look: Id of a request whose open paths somebody wants looked at.
        wishes: Hashes of more such requests, or `ALL_PATHS`.
        initiated: True if an initiate was sent to Defender.
        asks_from: The instant before which Azure takes no initiate, if it said so in this pass.
        closed_first: Keys of firewalls from which this pass removed rules: it opens nothing there.
        missing: By hash of the id, since when Azure lacks an NSG, firewall, entry or the policy.
        outage: The error by which storage did not move a request; raised when all else is done.
        busy: NSGs and firewalls that took no change.
        requests: Request id -> the request, as read in this pass; None if that could not be read.
        readings: The readings of people's rights in Azure.
        unwritten: Ids of grants whose initiate Azure took, while their rows do not say so yet.
    """

    policy_id: str
    now: datetime
    lease: PolicyLease
    rows: tuple[GrantRow, ...]
    tombstones: tuple[GrantRow, ...]
    unreadable: frozenset[str] = frozenset()
    unknown_past: frozenset[str] = frozenset()
    look: str | None = None
    wishes: frozenset[str] = frozenset()
    initiated: bool = False
    asks_from: datetime | None = None
    closed_first: frozenset[str] = frozenset()
    missing: Mapping[str, datetime] = field(default_factory=dict)
    outage: Unavailable | None = None
    busy: BusyResources = field(default_factory=BusyResources)
    requests: dict[str, Request | None] = field(default_factory=dict)
    readings: PassReadings = field(default_factory=PassReadings)
    unwritten: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Remember what earlier passes missed and heard, and the sources of initiates."""
        self.missing = self.lease.row.missing
        found = {grant.id: grant for grant in fill_sources(self.grants, self._closed)}
        self.rows = tuple(
            GrantRow(row.row, tuple(found[grant.id] for grant in row.grants)) for row in self.rows
        )
        heard = self.lease.row.answered
        self.note_answered(grant.id for grant in self.grants if grant.initiate.newest in heard)

    @property
    def answered(self) -> frozenset[str]:
        """
        Ids of initiates that Azure took, as long as the row of a grant does not say so.

        Rows that this pass cannot read may have grants with the earlier ones.
        """
        newest = (g.initiate.newest for g in self.grants if g.live and g.id in self.unwritten)
        earlier = self.lease.row.answered if self.unreadable else frozenset()
        return earlier.union(filter(None, newest))

    def note_answered(self, grants: Iterable[str]) -> None:
        """
        Note that Azure took the newest initiate of *grants*, by their ids.

        Their rows say so with the next change. Until then the row of the policy does: a crowd
        would be written once more. If both are lost, the answer is, and the broker looks again.
        """
        taken = {*grants}
        self.unwritten |= {g.id for g in self.grants if g.id in taken and not g.initiate.answered}
        self.rows = tuple(
            replace(row, grants=tuple(_mark_answered(g, self.unwritten) for g in row.grants))
            for row in self.rows
        )

    def read_requests(
        self, ids: Collection[str], store: RequestStore
    ) -> Mapping[str, Request | None]:
        """Return live requests by id, each read once a pass; None for an unreadable one."""
        if new := [each for each in dict.fromkeys(ids) if each not in self.requests]:
            self.requests |= store.find_requests(new)
        return self.requests

    @property
    def _closed(self) -> list[Grant]:
        return [grant for row in self.tombstones for grant in row.grants]

    @property
    def waits_until(self) -> datetime | None:
        """The instant before which Azure takes no initiate, as known by now."""
        return self.asks_from or self.lease.row.asks_from

    @property
    def missed(self) -> frozenset[str]:
        """Hashes of the ids of resources that were missing long enough ago."""
        found = self.missing.items()
        return frozenset(name for name, since in found if since + ABSENT_AFTER <= self.now)

    def note_missing(self, view: PolicyView) -> None:
        """
        Note the resources that Azure did not find; forget the ones that it found.

        A row takes the first notes alone: those of this look first, the oldest before the others.
        Notes of resources that this look did not need follow, the newest first, because the oldest
        may belong to grants that are closed.
        """
        views = [machine.add_former() for machine in view.machines.values()]
        ids = [nsg.id for machine in views for nsg in machine.nsgs.values()]
        ids += [firewall.id for machine in views for firewall in machine.firewalls]
        ids += [self.policy_id] if view.found else []
        ids += [name_entry(self.policy_id, key) for key in (*(view.entries or ()), *self._ended)]
        seen = set(map(arm_ids.row_hash, ids))
        kept = {
            name: since
            for name, since in self.missing.items()
            if name not in seen and since + _FORGOTTEN_AFTER > self.now
        }
        new = {
            name: self.missing.get(name, self.now) for name in map(arm_ids.row_hash, view.missing)
        }
        first = sorted(new.items(), key=lambda note: (note[1], note[0]))
        rest = sorted(kept.items(), key=lambda note: note[1], reverse=True)
        self.missing = {**dict(first), **{name: at for name, at in rest if name not in new}}

    @property
    def _ended(self) -> set[str]:
        """Keys of VMs whose grants under the policy are all closed."""
        closed = [grant for row in self.tombstones for grant in row.grants]
        live = {grant.vm_key for grant in self.grants if grant.live}
        return {grant.vm_key for grant in (*closed, *self.grants)} - live

    @property
    def grants(self) -> list[Grant]:
        """Every unfinished grant of the policy."""
        return [grant for row in self.rows for grant in row.grants]

    def is_held_back(self, machine: str, *, is_new: bool) -> bool:
        """Return True if this pass could do nothing for such a grant of *machine*, a hash."""
        return machine in self.unreadable or (is_new and machine in self.unknown_past)

    def is_asked_for(self, grant: Grant) -> bool:
        """Return True if somebody wants the path of *grant* looked at, and its last look is old."""
        return needs_look(grant, now=self.now) and (
            grant.request_id == self.look
            or ALL_PATHS in self.wishes
            or (bool(self.wishes) and arm_ids.row_hash(grant.request_id) in self.wishes)
        )

    @property
    def initiate_ids(self) -> frozenset[str]:
        """Ids of the broker's own initiates."""
        every = (*self.grants, *self._closed)
        return frozenset(id_ for grant in every for id_ in grant.initiate.ids)

    def make_tombstones(self, requests: Collection[str]) -> None:
        """Let the rows of *requests* be tombstones: Defender still lists their initiates."""
        moved = tuple(row for row in self.rows if row.request_id in requests)
        self.rows = tuple(row for row in self.rows if row.request_id not in requests)
        self.tombstones = (*self.tombstones, *moved)

    def replace_rows(self, written: Collection[GrantRow]) -> None:
        """Let rows that were just written take the place of their older versions."""
        by_key = {row.row.key: row for row in written}
        self.rows = tuple(by_key.get(row.row.key, row) for row in self.rows)

    def save(
        self, requests: RequestStore, changed: Mapping[str, Grant], before: Sequence[Grant]
    ) -> None:
        """
        Store changed grants over the rows of this pass, with their audit rows.

        Args:
            requests: The store.
            changed: Grants by their ids; they may be equal to the stored ones.
            before: The grants that *changed* was made from.

        Raises:
            StateConflict: Somebody wrote a row since it was read.
        """
        changes = [
            (row, tuple(changed.get(grant.id, grant) for grant in row.grants))
            for row in self.rows
            if any(changed.get(grant.id, grant) != grant for grant in row.grants)
        ]
        if not changes:
            return
        after = [changed[grant.id] for grant in before if grant.id in changed]
        events = list_transitions(before, after, now=self.now)
        self.replace_rows(requests.save(changes, events))
        self.unwritten -= {grant.id for _, grants in changes for grant in grants}
        for event in events:
            telemetry.event(event.what, grant_id=event.grant_id, request_id=event.request_id)
        not_closing = {grant.id for grant in before if grant.close_reason is None}
        failed = [g for g in after if g.close_reason is CloseReason.FAILED and g.id in not_closing]
        if failed:
            _alert_failed(self.policy_id, failed)
        denied = [g for g in after if g.close_reason is CloseReason.DENIED and g.id in not_closing]
        if outside := [grant for grant in denied if grant.admitted_at is not None]:
            _warn_outside(self.policy_id, outside)
        _alert_stuck(before, after)


def _mark_answered(grant: Grant, answered: Collection[str]) -> Grant:
    if grant.id not in answered or grant.initiate.answered:
        return grant
    return replace(grant, initiate=replace(grant.initiate, answered=True))


def _alert_stuck(before: Sequence[Grant], after: Sequence[Grant]) -> None:
    """Raise an alert when grants begin to wait for a person to repeat a failed update in Azure."""
    told = {grant.id: grant.note for grant in before}
    waiting = [g for g in after if g.live and g.note and FAILED_UPDATE in g.note]
    new = [grant for grant in waiting if told[grant.id] != grant.note]
    for note in dict.fromkeys(grant.note for grant in new):
        found = [grant for grant in new if grant.note == note]
        telemetry.alert("update.failed", resource_id=found[0].vm_id, reason=note, count=len(found))


def _warn_outside(policy_id: str, outside: Sequence[Grant]) -> None:
    """Name the grants that end in one write because their JIT policy no longer allows them."""
    telemetry.warning(
        "grants.outside_policy",
        policy_id=policy_id,
        count=len(outside),
        grants=[grant.id for grant in outside[:_NAMED]],
        reasons=sorted({grant.note or "" for grant in outside})[:_NAMED],
    )


def _alert_failed(policy_id: str, failed: Sequence[Grant]) -> None:
    """Raise one alert for all grants that failed in one write."""
    telemetry.alert(
        "grants.failed",
        policy_id=policy_id,
        count=len(failed),
        grants=[grant.id for grant in failed[:_NAMED]],
        reasons=sorted({grant.note or "" for grant in failed})[:_NAMED],
    )
