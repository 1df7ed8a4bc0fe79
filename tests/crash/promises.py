"""
The promises, checked from outside while the broker lives.

What counts is the truth of the tables and of the simulator, never what the broker says of
itself: packets are judged by the simulator, whose request opened a rule is known to Defender.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from jit.domain.azure import defender_requests
from jit.domain.azure.companion_rule import parse_companion_name
from jit.domain.grants.timing import SHORTEST, TIMES
from jit.domain.model.grant import Grant, Status
from jit.domain.model.machine import Via
from jit.domain.values import arm_ids
from jit.storage.request_rows import read_grants
from jit.storage.stored import StoredRequest
from local.azure import ids
from local.azure.jit_access import Access
from local.azure.packets import Flow, judge

if TYPE_CHECKING:
    from tests.crash.plant import Broker, Plant

NOBODY = "198.51.100.99"
"""An address that nobody ever asks for."""

Door = tuple[str, int]
"""Key of a VM, and a port."""


@dataclass(frozen=True, slots=True)
class Stranger:
    """Somebody else's access: from its opening to its end nobody touches it."""

    door: Door
    source: str
    opened_by: datetime
    until: datetime


@dataclass
class Patience:
    """
    How long something may take.

    Attributes:
        closing: A path outlives its end by no more.
        gap: A path that is ``open`` is missing for no more.
    """

    closing: Mapping[Via, timedelta] = field(
        default_factory=lambda: {
            Via.PUBLIC_IP: timedelta(minutes=6),
            Via.PRIVATE: timedelta(minutes=6),
            Via.FIREWALL: timedelta(minutes=30),
        }
    )
    gap: timedelta = timedelta(0)

    def add(self, *spans: timedelta, gap: timedelta, timers_only: bool) -> None:
        """Be more patient by *spans*; by a minute and more where only the timers wake anybody."""
        self.gap += gap + (timedelta(minutes=1) if gap and timers_only else timedelta(0))
        more = sum(spans, timedelta(minutes=2) if timers_only else timedelta(0))
        self.closing = {via: span + more for via, span in self.closing.items()}


class Promises:
    """
    Looks on.

    Attributes:
        violations: What was promised and not kept; each once.
        patience: Of this life.
        configured: Keys of the VMs whose policy somebody wants changed.
    """

    def __init__(self) -> None:
        """See nothing yet."""
        self.violations: list[str] = []
        self.patience = Patience()
        self.initiates = 0
        self.worst: dict[str, timedelta] = {}
        self.configured: set[str] = set()
        self._plant: Plant | None = None
        self._accepted: dict[str, StoredRequest] = {}
        self._grants: dict[str, Grant] = {}
        self._strangers: list[Stranger] = []
        self._written: dict[tuple[str, str], Access] = {}
        self._since: dict[tuple[str, str], datetime] = {}
        self._customers: Any = None
        self._at_first = ""
        self._holders: list[str] = []
        self._rules: list[Any] = []
        self._judged: dict[tuple[Door, str], bool] = {}

    def watch(self, plant: Plant) -> None:
        """Look on at *plant* from now on."""
        self._plant = plant
        self._at_first = json.dumps([*plant.sim.azure.world.store.all()])
        self._customers = self._foreign()
        self._holders = list(self._customers)
        self._rules = [None for _ in self._holders]

    @property
    def plant(self) -> Plant:
        """What is watched."""
        if self._plant is None:
            raise LookupError("nothing is watched yet")
        return self._plant

    @property
    def now(self) -> datetime:
        """The present."""
        return self.plant.sim.now

    def broken(self, promise: str, what: str) -> None:
        """Note that *promise* was not kept."""
        text = f"{promise}: {what}"
        if text not in self.violations:
            self.violations.append(text)

    # ---- what is told ----------------------------------------------------------------------------

    def accepted(self, name: str, whole: StoredRequest) -> None:
        """Take note of a 202."""
        before = self._accepted.get(name)
        if before is not None and before.request.id != whole.request.id:
            self.broken("P8", f"{name} was answered with two ids")
        self._accepted[name] = whole

    def stranger(self, vm: str, port: int, source: str, until: datetime) -> None:
        """Take note of somebody else's access that was just asked for."""
        opened_by = self.now + timedelta(minutes=10)
        self._strangers.append(Stranger((ids.key(vm), port), source, opened_by, until))

    # ---- the witness of calls --------------------------------------------------------------------

    def begins(self, name: str, args: tuple[Any, ...]) -> None:
        """See a call that is about to act."""
        if name == "policies.initiate":
            self._initiate(*args)
        elif name == "policies.replace":
            self._replaces(*args)
        elif name == "network.delete_rule":
            self._deletes(args[0])
        elif name == "network.put_rule":
            self._puts(args[0])

    def ended(self, name: str, args: tuple[Any, ...]) -> None:
        """See a call that has acted, or failed."""
        if name == "state.write":
            self._stored()
        elif name.startswith("network.") and name not in {"network.nsg", "network.firewall"}:
            self._untouched(f"{name} {arm_ids.name(args[0])}")

    def _initiate(self, policy_id: str, body: Mapping[str, Any]) -> None:
        self.initiates += 1
        live = list(self._rows())
        policy = self.plant.sim.azure.world.store.get(policy_id) or {}
        listed = defender_requests.read(policy)
        mark = defender_requests.marked(str(body["justification"]))
        for vm in body["virtualMachines"]:
            for port in vm["ports"]:
                door = (ids.key(vm["id"]), port["number"])
                mine = [g for g in live if door_of(g) == door and g.wants_path and g.expires_at]
                self._asked(door, port, mine, mark)
                self._supersedes(door, listed)

    def _asked(self, door: Door, port: Mapping[str, Any], mine: list[Grant], mark: Any) -> None:
        until = datetime.fromisoformat(port["endTimeUtc"])
        ends = [grant.expires_at for grant in mine if grant.expires_at]
        where = f"{arm_ids.name(door[0])}:{door[1]}"
        if not any(mark in grant.initiates for grant in mine):
            self.broken("P1", f"an initiate for {where} that no grant recorded")
        if not ends or until > max(*ends, self.now + SHORTEST, key=lambda end: end):
            self.broken("P2", f"an initiate for {where} until {until}, stored are {ends}")
        for text in _sources(port):
            holders = [g for g in mine if ip_network(text) in g.sources and g.expires_at]
            if not holders:
                self.broken("P7", f"an initiate for {where} from {text}: nobody asked")
                continue
            last = max(g.expires_at for g in holders if g.expires_at)
            if until > max(last + TIMES[holders[0].via].lead, self.now + SHORTEST):
                self.broken("P6", f"{text} on {where} until {until}, asked until {last}")

    def _replaces(self, policy_id: str, body: Mapping[str, Any]) -> None:
        """See a policy replaced: what nobody asked to change goes back as it stands."""
        there = self.plant.sim.azure.world.store.get(policy_id) or {"properties": {}}
        if _kept(body, self.configured) != _kept(there, self.configured):
            self.broken("P5", "a policy is replaced with other VMs or requests changed")

    def _supersedes(
        self, door: Door, listed: tuple[defender_requests.DefenderRequest, ...]
    ) -> None:
        for entry in listed:
            same = (ids.key(entry.vm_id), entry.port) == door
            if same and entry.in_force(self.now) and entry.initiate_id is None:
                self.broken("P6", f"an initiate over somebody else's request for {door}")

    def _deletes(self, rule_id: str) -> None:
        self._gather()
        name, key = arm_ids.name(rule_id), ids.key(rule_id)
        owner = parse_companion_name(name)
        if owner is not None:
            grant = self._grant(owner)
            if grant is not None and grant.wants_path:
                self.broken("P6", f"the companion of {grant.status} grant {owner} removed")
            return
        nsg = key.split("/securityrules/", 1)[0]
        access = self._written.get((nsg, name))
        if access is None:
            self.broken("P5", f"rule {name} removed, which Defender did not write for a request")
        elif access.subject.principal != "broker":
            self.broken("P5", f"rule {name} removed, of {access.subject.principal}")

    def _puts(self, rule_id: str) -> None:
        name = arm_ids.name(rule_id)
        owner = parse_companion_name(name)
        grant = self._grant(owner or "")
        if grant is None or not grant.wants_path:
            self.broken("P5", f"rule {name} written for no open grant")
        elif ids.key(rule_id) not in {ids.key(item) for item in grant.companions}:
            self.broken("P2", f"companion {name} written before it was stored")

    # ---- the truth -------------------------------------------------------------------------------

    def _rows(self) -> Iterator[Grant]:
        """Yield every grant among the live rows."""
        for row in self.plant.state.rows("g|"):
            yield from read_grants(row)

    def _grant(self, grant_id: str) -> Grant | None:
        found = (grant for grant in self._rows() if grant.id == grant_id)
        return next(found, None) or self._grants.get(grant_id)

    def _stored(self) -> None:
        """See what has become of the grants: a path that is called open must be open."""
        for grant in self._rows():
            before = self._grants.get(grant.id)
            if grant.status is Status.OPEN and (
                before is None or before.status is not grant.status
            ):
                for source in grant.sources:
                    if not self._reaches(door_of(grant), str(source.network_address)):
                        self.broken("P4", f"{arm_ids.name(grant.vm_id)} open, but not for {source}")
            self._grants[grant.id] = grant

    def _reaches(self, door: Door, source: str) -> bool:
        """Let the simulator judge packets; its verdict stands until the next event in Azure."""
        rules = [self.plant.sim.azure.world.store.effective(item) for item in self._holders]
        if any(old is not new for old, new in zip(self._rules, rules, strict=True)):
            self._rules, self._judged = rules, {}
        if (door, source) not in self._judged:
            self._judged[door, source] = self._judge(door, source)
        return self._judged[door, source]

    def _judge(self, door: Door, source: str) -> bool:
        store = self.plant.sim.azure.world.store
        if store.get(door[0]) is None:
            return False  # somebody deleted the VM
        return bool(judge(store, Flow(source, door[0], door[1], "Tcp"))["reachable"])

    def _gather(self) -> None:
        """Remember which request of Defender's wrote which rule."""
        for access in _live(self.plant):
            for nsg, name in access.rules:
                self._written[ids.key(nsg), name] = access

    def _foreign(self) -> Any:
        """Return what belongs to customers: everything but the rules of requests and our own."""
        store = self.plant.sim.azure.world.store
        return {
            resource["id"]: json.dumps(customers(resource, self._passing), sort_keys=True)
            for resource in store.all()
            if resource["type"] in {ids.SECURITY_GROUPS, ids.FIREWALLS}
        }

    def _passing(self, name: str) -> bool:
        """Whether a rule comes and goes with requests, or came with a VM newly configured."""
        newly = bool(self.configured) and "JITRule_" in name and name not in self._at_first
        return _of_request(name) or newly

    def _untouched(self, what: str) -> None:
        if self._foreign() != self._customers:
            self.broken("P5", f"{what} changed what is not the broker's")

    # ---- at every instant ------------------------------------------------------------------------

    def look(self) -> None:
        """Compare who can come in with who may."""
        self._gather()
        live = list(self._rows())
        for door in {door_of(grant) for grant in self._grants.values()}:
            here = [grant for grant in live if door_of(grant) == door]
            self._outsiders(door, here)
            self._insiders(door, here)
        for stranger in self._strangers:
            self._undisturbed(stranger)

    def _outsiders(self, door: Door, here: list[Grant]) -> None:
        """Whoever can come in has a grant, or had one until just now."""
        known = [grant for grant in self._grants.values() if door_of(grant) == door]
        asked = {str(s.network_address) for grant in known for s in grant.sources}
        theirs = {each.source for each in self._strangers if each.door == door}
        via = known[0].via
        for source in {*asked, NOBODY} - theirs:
            may = [g for g in here if g.wants_path and _has(g, source)]
            name = f"{arm_ids.name(door[0])}:{door[1]} from {source}"
            late = not may and self._reaches(door, source)
            if late and source == NOBODY:
                self.broken("P7", f"{name} is open")
            self._lasts("P2", f"{name} outlives its grant", late, self.patience.closing[via])

    def _insiders(self, door: Door, here: list[Grant]) -> None:
        """Whoever was told ``open`` can come in, until the end."""
        for grant in here:
            expected = grant.status is Status.OPEN and (grant.expires_at or self.now) > self.now
            bears = grant.handover_at is not None and grant.handover_at <= self.now
            for source in grant.sources:
                cut = expected and not self._reaches(door, str(source.network_address))
                name = f"open grant {grant.port} from {source} of {arm_ids.name(door[0])} is cut"
                gap = max(self.patience.gap, timedelta(minutes=10 if bears else 0))
                self._lasts("P6", name, cut, gap)

    def _undisturbed(self, stranger: Stranger) -> None:
        expected = stranger.opened_by <= self.now < stranger.until
        cut = expected and not self._reaches(stranger.door, stranger.source)
        self._lasts("P6", f"somebody else's access to {stranger.door} is cut", cut, timedelta(0))

    def _lasts(self, promise: str, what: str, wrong: bool, allowed: timedelta) -> None:
        """Break *promise* once something *wrong* lasts longer than is *allowed*."""
        if not wrong:
            self._since.pop((promise, what), None)
            return
        span = self.now - self._since.setdefault((promise, what), self.now)
        self.worst[promise] = max(span, self.worst.get(promise, span))
        if span > allowed or not allowed:
            self.broken(promise, what)

    # ---- at the end ------------------------------------------------------------------------------

    def at_rest(self) -> bool:
        """Tell whether nothing is under way, here or in Azure, and nothing is left there."""
        world = self.plant.sim.azure.world
        busy = any(world.operations.running(item["id"]) for item in world.store.all())
        rows = [*self.plant.state.rows("r|"), *self.plant.state.rows("g|")]
        return not (rows or busy or self._left() or any(True for _ in _live(self.plant)))

    def rest(self, broker: Broker, *, at_rest: bool) -> None:
        """Judge what is left once everything is over."""
        if not at_rest:
            left = [f"{g.status} ({g.note})" for g in self._rows()]
            self.broken("P3", f"it never came to rest: {left or 'no grant is left'}")
        for name, whole in self._accepted.items():
            self._ended(name, broker.requests.load(whole.request.id))
        self._untouched("the broker")
        for rule in self._left():
            self.broken("P2", rule)

    def _ended(self, name: str, whole: StoredRequest | None) -> None:
        if whole is None:
            self.broken("P3", f"{name} was accepted and is lost")
        elif whole.status is not Status.CLOSED:
            self.broken("P3", f"{name} ended {whole.status}")

    def _left(self) -> list[str]:
        """Return the rules of requests that stand somewhere."""
        return [
            f"{name} is left in {resource['name']}"
            for resource in self.plant.sim.azure.world.store.all()
            if resource["type"] in {ids.SECURITY_GROUPS, ids.FIREWALLS}
            for name in requested(resource)
        ]


def door_of(grant: Grant) -> Door:
    """Return the VM port of a grant."""
    return ids.key(grant.vm_id), grant.port


def _kept(policy: Mapping[str, Any], changing: Container[str]) -> Any:
    """Return what of a policy must stay as it is while the VMs *changing* are configured."""
    properties = policy["properties"]
    machines = properties.get("virtualMachines", ())
    others = [each for each in machines if ids.key(each["id"]) not in changing]
    return others, properties.get("requests", [])


def _has(grant: Grant, source: str) -> bool:
    return any(str(item.network_address) == source for item in grant.sources)


def _sources(port: Mapping[str, Any]) -> list[str]:
    one = port.get("allowedSourceAddressPrefix")
    return [one] if one else list(port["allowedSourceAddressPrefixes"])


def _live(plant: Plant) -> Iterator[Access]:
    for accesses in plant.sim.azure.world.defender._live.values():
        yield from accesses


def customers(resource: Mapping[str, Any], passing: Callable[[str], bool]) -> Any:
    """Return an NSG or firewall without the rules that are *passing*."""
    kept = dict(resource["properties"])
    for kind, ours in (("securityRules", passing), ("natRuleCollections", _of_defender)):
        if kind in kept:
            kept[kind] = [each for each in kept[kind] if not ours(each["name"])]
    return _lasting(kept)


def _lasting(value: Any) -> Any:
    """Return *value* without versions and states: they change with every write beside it."""
    if isinstance(value, list):
        return [_lasting(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {k: _lasting(v) for k, v in value.items() if k not in {"etag", "provisioningState"}}


def _of_defender(name: str) -> bool:
    return name.startswith("MDC-JIT")


def _of_request(name: str) -> bool:
    return "JITRule-" in name or name.startswith("jit-broker-")


def requested(resource: Mapping[str, Any]) -> list[str]:
    properties = resource["properties"]
    names = [rule["name"] for rule in properties.get("securityRules", ())]
    nats = [
        rule["name"]
        for each in properties.get("natRuleCollections", ())
        if _of_defender(each["name"])
        for rule in each["properties"]["rules"]
    ]
    return [*filter(_of_request, names), *nats]
