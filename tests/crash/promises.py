"""
The promises, checked from outside while the broker runs.

The checks read the tables and the simulator, never a report by the broker. The simulator judges
packets; its Defender knows which request wrote a rule.
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
from jit.domain.paths.companion_owners import list_owners
from jit.domain.values import arm_ids
from jit.storage.request_rows import read_grants
from jit.storage.stored import StoredRequest
from jit.storage.table import Row
from local.azure.defender.access import Access
from local.azure.network.packets import Flow
from local.azure.network.reachability import evaluate_flow
from local.azure.values import ids

if TYPE_CHECKING:
    from tests.crash.durable_parts import BrokerProcess, DurableParts

NOBODY = "198.51.100.99"
"""An address that nobody asks for."""

VmPort = tuple[str, int]
"""The key of a VM's id, and a port."""


@dataclass(frozen=True, slots=True)
class ForeignAccess:
    """Access that is not the broker's: nothing may touch it from its opening to its end."""

    vm_port: VmPort
    source: str
    opened_by: datetime
    until: datetime


@dataclass
class Tolerance:
    """
    How long a deviation may last.

    Attributes:
        closing: The longest time that a path may outlive its end.
        gap: The longest time that a path may be missing while its grant is ``open``.
        exposure: How long others may come in by the companion of a port that a customer publishes.
    """

    closing: Mapping[Via, timedelta] = field(
        default_factory=lambda: {
            Via.PUBLIC_IP: timedelta(minutes=6),
            Via.PRIVATE: timedelta(minutes=6),
            Via.FIREWALL: timedelta(minutes=30),
        }
    )
    gap: timedelta = timedelta(0)
    exposure: timedelta = timedelta(0)

    def extend(self, *spans: timedelta, gap: timedelta, timers_only: bool) -> None:
        """Add *spans*, and a minute or two if only the timers wake the workers."""
        self.gap += gap + (timedelta(minutes=1) if gap and timers_only else timedelta(0))
        more = sum(spans, timedelta(minutes=2) if timers_only else timedelta(0))
        self.closing = {via: span + more for via, span in self.closing.items()}
        self.exposure += more if self.exposure else timedelta(0)


class PromiseChecker:
    """
    Checks the promises during a run.

    Attributes:
        violations: The promises that were not kept; each once.
        tolerance: How long deviations may last in this run.
        initiates: How many initiates the broker sent.
        worst: The longest deviation so far, by promise.
        configured: Keys of the VMs whose policy an operator changes through the broker.
        published: VM ports that a customer's NAT rule leads, or has led, everybody to.
    """

    def __init__(self) -> None:
        """Begin without observations."""
        self.violations: list[str] = []
        self.tolerance = Tolerance()
        self.initiates = 0
        self.worst: dict[str, timedelta] = {}
        self.configured: set[str] = set()
        self.published: set[VmPort] = set()
        self._parts: DurableParts | None = None
        self._accepted: dict[str, StoredRequest] = {}
        self._grants: dict[str, Grant] = {}
        self._foreign_accesses: list[ForeignAccess] = []
        self._written: dict[tuple[str, str], Access] = {}
        self._since: dict[tuple[str, str], datetime] = {}
        self._customers: Any = None
        self._at_first = ""
        self._holders: list[str] = []
        self._rules: list[Any] = []
        self._admin = ""
        self._parsed: dict[str, tuple[Row, tuple[Grant, ...]]] = {}
        self._judged: dict[tuple[VmPort, str, bool], bool] = {}

    def watch(self, parts: DurableParts) -> None:
        """Check *parts* from now on."""
        self._parts = parts
        self._at_first = json.dumps([*parts.sim.azure.world.store.all()])
        self._customers = self._customers_rules()
        self._holders = list(self._customers)
        self._rules = [None for _ in self._holders]

    @property
    def parts(self) -> DurableParts:
        """The parts that are checked."""
        if self._parts is None:
            raise LookupError("there is nothing to check yet")
        return self._parts

    @property
    def now(self) -> datetime:
        """The time of the run."""
        return self.parts.sim.now

    def add_violation(self, promise: str, what: str) -> None:
        """Record that *promise* was not kept."""
        text = f"{promise}: {what}"
        if text not in self.violations:
            self.violations.append(text)

    # ---- observations ----------------------------------------------------------------------------

    def note_accepted(self, name: str, whole: StoredRequest) -> None:
        """Record a 202 answer."""
        before = self._accepted.get(name)
        if before is not None and before.request.id != whole.request.id:
            self.add_violation("P8", f"{name} was answered with two ids")
        self._accepted[name] = whole

    def note_foreign_access(self, vm: str, port: int, source: str, until: datetime) -> None:
        """Record access that somebody else has just asked Defender for."""
        opened_by = self.now + timedelta(minutes=10)
        self._foreign_accesses.append(ForeignAccess((ids.key(vm), port), source, opened_by, until))

    def note_customer_change(self) -> None:
        """Note that customers have changed their own rules."""
        self._customers = self._customers_rules()

    # ---- the hooks of calls ----------------------------------------------------------------------

    def before_call(self, name: str, args: tuple[Any, ...]) -> None:
        """Check a call that is about to act."""
        if name == "policies.initiate":
            self._check_initiate(*args)
        elif name == "policies.replace":
            self._check_replacement(*args)
        elif name == "network.delete_rule":
            self._check_deletion(args[0])
        elif name == "network.put_rule":
            self._check_put(args[0])

    def after_call(self, name: str, args: tuple[Any, ...]) -> None:
        """Check the state after a call that has acted, or failed."""
        if name == "state.write":
            self._check_stored_grants()
        elif name.startswith("network.") and name not in {
            "network.get_nsg",
            "network.get_firewall",
        }:
            self._check_customers_rules(f"{name} {arm_ids.name(args[0])}")

    def _check_initiate(self, policy_id: str, body: Mapping[str, Any]) -> None:
        self.initiates += 1
        live = list(self._rows())
        policy = self.parts.sim.azure.world.store.get(policy_id) or {}
        listed = defender_requests.parse_requests(policy)
        mark = defender_requests.parse_mark(str(body["justification"]))
        for vm in body["virtualMachines"]:
            for port in vm["ports"]:
                vm_port = (ids.key(vm["id"]), port["number"])
                mine = [
                    g for g in live if vm_port_of(g) == vm_port and g.wants_path and g.expires_at
                ]
                self._check_asked_port(vm_port, port, mine, mark)
                self._check_superseding(vm_port, listed)

    def _check_asked_port(
        self, vm_port: VmPort, port: Mapping[str, Any], mine: list[Grant], mark: Any
    ) -> None:
        until = datetime.fromisoformat(port["endTimeUtc"])
        ends = [grant.expires_at for grant in mine if grant.expires_at]
        where = f"{arm_ids.name(vm_port[0])}:{vm_port[1]}"
        if not any(mark in grant.initiate.ids for grant in mine):
            self.add_violation("P1", f"an initiate for {where} that no grant recorded")
        if not ends or until > max(*ends, self.now + SHORTEST, key=lambda end: end):
            self.add_violation("P2", f"an initiate for {where} until {until}, stored are {ends}")
        for text in _sources(port):
            holders = [g for g in mine if ip_network(text) in g.sources and g.expires_at]
            if not holders:
                self.add_violation("P7", f"an initiate for {where} from {text}: nobody asked")
                continue
            last = max(g.expires_at for g in holders if g.expires_at)
            if until > max(last + TIMES[holders[0].via].lead, self.now + SHORTEST):
                self.add_violation("P6", f"{text} on {where} until {until}, asked until {last}")

    def _check_replacement(self, policy_id: str, body: Mapping[str, Any]) -> None:
        """Check a replaced policy: only the VMs that an operator configures may change."""
        there = self.parts.sim.azure.world.store.get(policy_id) or {"properties": {}}
        if _kept(body, self.configured) != _kept(there, self.configured):
            self.add_violation("P5", "a policy is replaced with other VMs or requests changed")

    def _check_superseding(
        self, vm_port: VmPort, listed: tuple[defender_requests.DefenderRequest, ...]
    ) -> None:
        for entry in listed:
            same = (ids.key(entry.vm_id), entry.port) == vm_port
            if same and entry.is_in_force(self.now) and entry.initiate_id is None:
                self.add_violation("P6", f"an initiate over somebody else's request for {vm_port}")

    def _check_deletion(self, rule_id: str) -> None:
        self._remember_rules()
        name, key = arm_ids.name(rule_id), ids.key(rule_id)
        owner = parse_companion_name(name)
        if owner is not None:
            for grant in self._accompanied(owner):
                if grant.wants_path and vm_port_of(grant) not in self.published:
                    self.add_violation("P6", f"companion {name} of {grant.status} grant removed")
            return
        nsg = key.split("/securityrules/", 1)[0]
        access = self._written.get((nsg, name))
        if access is None:
            self.add_violation(
                "P5", f"rule {name} removed, which Defender did not write for a request"
            )
        elif access.subject.principal != "broker":
            self.add_violation("P5", f"rule {name} removed, of {access.subject.principal}")

    def _check_put(self, rule_id: str) -> None:
        name = arm_ids.name(rule_id)
        wanting = [g for g in self._accompanied(parse_companion_name(name) or "") if g.wants_path]
        recorded = {ids.key(item) for grant in wanting for item in grant.footprint.companions}
        if not wanting:
            self.add_violation("P5", f"rule {name} written for no open grant")
        elif ids.key(rule_id) not in recorded:
            self.add_violation("P2", f"companion {name} written before it was stored")

    # ---- the truth -------------------------------------------------------------------------------

    def _rows(self) -> Iterator[Grant]:
        """Yield every grant of the live rows."""
        for row in self.parts.state.rows("g|"):
            parsed = self._parsed.get(row.key)
            if parsed is None or parsed[0] is not row:
                parsed = self._parsed[row.key] = row, read_grants(row)
            yield from parsed[1]

    def _accompanied(self, owner: str) -> list[Grant]:
        """Return the grants that the companions of *owner* are for, as they are stored."""
        now = self._grants | {grant.id: grant for grant in self._rows()}
        return [grant for grant in now.values() if owner in list_owners(grant)]

    def _check_stored_grants(self) -> None:
        """Check the stored grants: a path that the broker calls open must be open."""
        for grant in self._rows():
            before = self._grants.get(grant.id)
            if grant.status is Status.OPEN and (
                before is None or before.status is not grant.status
            ):
                for source in grant.sources:
                    if not self._reaches(vm_port_of(grant), str(source.network_address)):
                        self.add_violation(
                            "P4", f"{arm_ids.name(grant.vm_id)} open, but not for {source}"
                        )
            self._grants[grant.id] = grant

    def _reaches(self, vm_port: VmPort, source: str, *, always: bool = True) -> bool:
        """
        Let the simulator judge packets; its verdict is valid until the next event in Azure.

        Without *always*, no security admin rule allows anything before the NSGs.
        """
        rules = [self.parts.sim.azure.world.store.effective(item) for item in self._holders]
        admin = json.dumps(self.parts.sim.azure.world.admin_rules)
        changed = any(old is not new for old, new in zip(self._rules, rules, strict=True))
        if changed or admin != self._admin:
            self._rules, self._admin, self._judged = rules, admin, {}
        asked = (vm_port, source, always)
        if asked not in self._judged:
            self._judged[asked] = self._judge(vm_port, source, always=always)
        return self._judged[asked]

    def _judge(self, vm_port: VmPort, source: str, *, always: bool) -> bool:
        world = self.parts.sim.azure.world
        if world.store.get(vm_port[0]) is None:
            return False  # the VM was deleted
        flow = Flow(source, vm_port[0], vm_port[1], "Tcp")
        rules = world.admin_rules if always else _without_always(world.admin_rules)
        return bool(evaluate_flow(world.store, flow, rules)["reachable"])

    def _remember_rules(self) -> None:
        """Remember the request in Defender of each rule."""
        for access in live_accesses(self.parts):
            for nsg, name in access.rules:
                self._written[ids.key(nsg), name] = access

    def _customers_rules(self) -> Any:
        """Return all rules except those of requests and of the broker."""
        store = self.parts.sim.azure.world.store
        return {
            resource["id"]: json.dumps(customers(resource, self._is_temporary), sort_keys=True)
            for resource in store.all()
            if resource["type"] in {ids.SECURITY_GROUPS, ids.FIREWALLS}
        }

    def _is_temporary(self, name: str) -> bool:
        """Return True for the rule of a request and for the deny rule of a newly configured VM."""
        newly = bool(self.configured) and "JITRule_" in name and name not in self._at_first
        return _is_request_rule(name) or newly

    def _check_customers_rules(self, what: str) -> None:
        if self._customers_rules() != self._customers:
            self.add_violation("P5", f"{what} changed what is not the broker's")

    # ---- after every event -----------------------------------------------------------------------

    def check_now(self) -> None:
        """Compare the sources that reach a VM port with the sources that may."""
        self._remember_rules()
        live = list(self._rows())
        for vm_port in {vm_port_of(grant) for grant in self._grants.values()}:
            here = [grant for grant in live if vm_port_of(grant) == vm_port]
            self._check_outsiders(vm_port, here)
            self._check_insiders(vm_port, here)
        for access in self._foreign_accesses:
            self._check_foreign_access(access)

    def _check_outsiders(self, vm_port: VmPort, here: list[Grant]) -> None:
        """Check that each source that reaches the VM port has, or just had, a grant."""
        known = [grant for grant in self._grants.values() if vm_port_of(grant) == vm_port]
        asked = {str(s.network_address) for grant in known for s in grant.sources}
        theirs = {each.source for each in self._foreign_accesses if each.vm_port == vm_port}
        via = known[0].via
        for source in {*asked, NOBODY} - theirs:
            may = [g for g in here if g.wants_path and _has_source(g, source)]
            name = f"{arm_ids.name(vm_port[0])}:{vm_port[1]} from {source}"
            late = not may and self._reaches(vm_port, source)
            late = late and self._reaches(vm_port, source, always=False)  # else it is the owner's
            late = late and not self._is_owners_way(vm_port)
            if source == NOBODY:
                known_way = vm_port in self.published
                exposure = self.tolerance.exposure if known_way else timedelta(0)
                self._check_lasting("P7", f"{name} is open", late, exposure)
            self._check_lasting(
                "P2", f"{name} outlives its grant", late, self.tolerance.closing[via]
            )

    def _is_owners_way(self, vm_port: VmPort) -> bool:  # noqa: ARG002 - a subclass looks
        """Return True if owners lead everybody to a VM port, without any rule of a request."""
        return False

    def _check_insiders(self, vm_port: VmPort, here: list[Grant]) -> None:
        """Check that an ``open`` grant lets its sources in until its end."""
        for grant in here:
            expected = grant.status is Status.OPEN and (grant.expires_at or self.now) > self.now
            hands_over = grant.handover_at is not None and grant.handover_at <= self.now
            for source in grant.sources:
                cut = expected and not self._reaches(vm_port, str(source.network_address))
                name = f"open grant {grant.port} from {source} of {arm_ids.name(vm_port[0])} is cut"
                gap = max(self.tolerance.gap, timedelta(minutes=10 if hands_over else 0))
                self._check_lasting("P6", name, cut, gap)

    def _check_foreign_access(self, access: ForeignAccess) -> None:
        expected = access.opened_by <= self.now < access.until
        cut = expected and not self._reaches(access.vm_port, access.source)
        self._check_lasting(
            "P6", f"somebody else's access to {access.vm_port} is cut", cut, timedelta(0)
        )

    def _check_lasting(self, promise: str, text: str, wrong: bool, allowed: timedelta) -> None:
        """Add a violation *text* if it is *wrong* for longer than *allowed*."""
        if not wrong:
            self._since.pop((promise, text), None)
            return
        span = self.now - self._since.setdefault((promise, text), self.now)
        self.worst[promise] = max(span, self.worst.get(promise, span))
        if span > allowed or not allowed:
            self.add_violation(promise, text)

    # ---- at the end ------------------------------------------------------------------------------

    def is_at_rest(self) -> bool:
        """Return True if nothing is under way anywhere and no rule is left in Azure."""
        world = self.parts.sim.azure.world
        busy = any(world.operations.find_running(item["id"]) for item in world.store.all())
        rows = [*self.parts.state.rows("r|"), *self.parts.state.rows("g|")]
        return not (
            rows or busy or self._rules_left() or any(True for _ in live_accesses(self.parts))
        )

    def check_end(self, broker: BrokerProcess, *, at_rest: bool) -> None:
        """Check the end state."""
        if not at_rest:
            left = [f"{g.status} ({g.note})" for g in self._rows()]
            self.add_violation("P3", f"it never came to rest: {left or 'no grant is left'}")
        for name, whole in self._accepted.items():
            self._check_closed(name, broker.requests.load(whole.request.id))
        self._check_customers_rules("the broker")
        for rule in self._rules_left():
            self.add_violation("P2", rule)

    def _check_closed(self, name: str, whole: StoredRequest | None) -> None:
        if whole is None:
            self.add_violation("P3", f"{name} was accepted and is lost")
        elif whole.status is not Status.CLOSED:
            self.add_violation("P3", f"{name} ended {whole.status}")

    def _rules_left(self) -> list[str]:
        """Return a text for each rule of a request that is left in Azure."""
        return [
            f"{name} is left in {resource['name']}"
            for resource in self.parts.sim.azure.world.store.all()
            if resource["type"] in {ids.SECURITY_GROUPS, ids.FIREWALLS}
            for name in requested(resource)
        ]


def _without_always(rules: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Return security admin rules without those that let packets in before the NSGs."""
    return {
        network: [each for each in held if each["properties"]["access"] != "AlwaysAllow"]
        for network, held in rules.items()
    }


def vm_port_of(grant: Grant) -> VmPort:
    """Return the VM port of a grant."""
    return ids.key(grant.vm_id), grant.port


def _kept(policy: Mapping[str, Any], changing: Container[str]) -> Any:
    """Return the part of a policy that must not change while the VMs *changing* are configured."""
    properties = policy["properties"]
    machines = properties.get("virtualMachines", ())
    others = [each for each in machines if ids.key(each["id"]) not in changing]
    return others, properties.get("requests", [])


def _has_source(grant: Grant, source: str) -> bool:
    return any(str(item.network_address) == source for item in grant.sources)


def _sources(port: Mapping[str, Any]) -> list[str]:
    one = port.get("allowedSourceAddressPrefix")
    return [one] if one else list(port["allowedSourceAddressPrefixes"])


def live_accesses(parts: DurableParts) -> Iterator[Access]:
    for accesses in parts.sim.azure.world.defender._live.values():
        yield from accesses


def customers(resource: Mapping[str, Any], temporary: Callable[[str], bool]) -> Any:
    """Return the properties of an NSG or firewall without the rules that are *temporary*."""
    kept = dict(resource["properties"])
    for kind, left_out in (
        ("securityRules", temporary),
        ("natRuleCollections", _is_defender_collection),
    ):
        if kind in kept:
            kept[kind] = [each for each in kept[kind] if not left_out(each["name"])]
    return _without_versions(kept)


def _without_versions(value: Any) -> Any:
    """Return *value* without ETags and states: they change with every write of the resource."""
    if isinstance(value, list):
        return [_without_versions(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        k: _without_versions(v) for k, v in value.items() if k not in {"etag", "provisioningState"}
    }


def _is_defender_collection(name: str) -> bool:
    return name.startswith("MDC-JIT")


def _is_request_rule(name: str) -> bool:
    return "JITRule-" in name or name.startswith("jit-broker-")


def requested(resource: Mapping[str, Any]) -> list[str]:
    """Return the names of the rules in an NSG or firewall that belong to requests."""
    properties = resource["properties"]
    names = [rule["name"] for rule in properties.get("securityRules", ())]
    nats = [
        rule["name"]
        for each in properties.get("natRuleCollections", ())
        if _is_defender_collection(each["name"])
        for rule in each["properties"]["rules"]
    ]
    return [*filter(_is_request_rule, names), *nats]
