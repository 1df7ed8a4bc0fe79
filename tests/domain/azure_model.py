"""
Just enough of Azure for the controller: one VM, its NSG, its firewall, Defender's memory.

Defender keeps one request per VM port; it writes rules some time after the call, swaps them when
a newer request comes, removes them at the end unless it forgets. A firewall's update takes
minutes, one at a time.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import ip_network
from itertools import combinations

from jit.domain.azure.defender_requests import DefenderRequest
from jit.domain.azure.initiate_body import PortToOpen
from jit.domain.grants.policy_view import PolicyView
from jit.domain.paths.machine_view import FirewallView, MachineView, NsgView
from jit.domain.reconcile.observation import Observation
from jit.domain.values import arm_ids
from jit.domain.values.prefixes import Prefix
from tests.builders.admin_rules import ALLOW, ALWAYS, DENY, GROUP, admin_rules, arm_admin
from tests.builders.defender import an_entry
from tests.builders.firewalls import a_customers, a_firewall, a_nat
from tests.builders.machines import a_view, behind
from tests.builders.nsgs import an_allow, an_nsg, arm_rule, jit_name
from tests.builders.values import FIREWALL_ID, NSG_ID, vm_id

OPENS_AFTER = timedelta(seconds=40)
UPDATES_FOR = timedelta(minutes=4)
EXPIRES_LATE = timedelta(seconds=30)


ADMIN = {
    "nothing": admin_rules(),
    "allow": admin_rules(arm_admin(ALLOW, port="0-65535")),
    "deny": admin_rules(arm_admin(DENY, port="0-65535")),
    "may deny": admin_rules(arm_admin(DENY, GROUP, port="0-65535")),
    "always allow": admin_rules(arm_admin(ALWAYS, port="0-65535")),
    "unread": admin_rules(unread="nobody may read them"),
}
"""The rules that a network manager may have. Nobody knows the members of a group: here, all."""


@dataclass
class Request:
    """A request that Defender has taken; ``stage`` is waiting, open or over."""

    number: int
    port: int
    sources: tuple[Prefix, ...]
    end: datetime
    initiate_id: str | None
    started: datetime
    never: bool = False
    stage: str = "waiting"
    reason: str = "UserRequested"

    @property
    def opens(self) -> datetime:
        """When Defender writes its rules."""
        return self.started + OPENS_AFTER

    def in_force(self, now: datetime) -> bool:
        """True if it may let somebody in."""
        return self.stage != "over" and self.end > now


@dataclass
class Azure:
    """
    A VM, its NSG, its firewall and Defender, on a clock of its own.

    Attributes:
        allows: Defender's NSG rules: name to its request.
        nats: DNAT rules by port, as the firewall holds them: at most one a VM port.
        writes: DNAT changes that wait for the firewall.
        busy_until: When the firewall's running update ends.
        published: Ports that a customer's own NAT rule leads everybody to.
        companions: The broker's own NSG rules by id.
        forgetful: Defender forgets to remove rules.
        silent: Defender takes requests and never writes a rule.
        admin: What a network manager does with packets before the NSG: a key of ``ADMIN``.
    """

    now: datetime
    walled: bool = False
    requests: list[Request] = field(default_factory=list)
    allows: dict[str, Request] = field(default_factory=dict)
    nats: dict[int, Request] = field(default_factory=dict)
    writes: list[dict[int, Request | None]] = field(default_factory=list)
    busy_until: datetime | None = None
    published: set[int] = field(default_factory=set)
    companions: dict[str, dict[str, object]] = field(default_factory=dict)
    forgetful: bool = False
    silent: bool = False
    admin: str = "nothing"

    # ---- calls -----------------------------------------------------------------------------------

    def initiate(self, asks: Iterable[PortToOpen], initiate_id: str) -> None:
        """Take the broker's requests; 202 is all that it says."""
        for ask in asks:
            self.take(ask.port, ask.sources, ask.until, initiate_id)

    def take(
        self, port: int, sources: Iterable[Prefix], end: datetime, initiate_id: str | None = None
    ) -> None:
        """Take a request, anybody's. A rule whose prefixes overlap can never be written."""
        number, found = len(self.requests), tuple(sources)
        never = self.silent or any(one.overlaps(other) for one, other in combinations(found, 2))
        self.requests.append(Request(number, port, found, end, initiate_id, self.now, never))

    def delete(self, rule_id: str) -> None:
        """Delete one NSG rule; deleting nothing is fine."""
        self.companions.pop(rule_id, None)
        self.allows.pop(rule_id.rsplit("/", 1)[-1], None)

    def take_out(self, port: int) -> None:
        """Take a DNAT rule out; the firewall must be at rest."""
        if self.busy_until is not None:
            raise AssertionError("the firewall was changed while it was being updated")
        self._write({port: None})

    def publish(self, port: int, *, on: bool) -> None:
        """Let a customer's NAT rule lead to *port*, or no more; the firewall must be at rest."""
        if self.walled and self.busy_until is None:
            (self.published.add if on else self.published.discard)(port)
            self.busy_until = self.now + UPDATES_FOR

    # ---- time ------------------------------------------------------------------------------------

    def advance(self, to: datetime) -> None:
        """Let everything happen that is due until *to*, in order."""
        while (moment := self._next()) is not None and moment <= to:
            self.now = max(self.now, moment)
            self._happen()
        self.now = to

    def _next(self) -> datetime | None:
        waiting = [item.opens for item in self.requests if item.stage == "waiting"]
        ends = [item.end + EXPIRES_LATE for item in self.requests if item.stage != "over"]
        return min([*waiting, *ends, *filter(None, [self.busy_until])], default=None)

    def _happen(self) -> None:
        if self.busy_until is not None and self.busy_until <= self.now:
            self.busy_until = None
            self._start()
        for request in self.requests:
            if request.stage == "waiting" and request.opens <= self.now:
                self._open(request)
            if request.stage != "over" and request.end + EXPIRES_LATE <= self.now:
                self._finish(request, "Expired")
                self._clear(request)

    def _open(self, request: Request) -> None:
        older = [
            other
            for other in self.requests
            if other.port == request.port and other.number < request.number
        ]
        for other in (item for item in older if item.stage != "over"):
            self._finish(other, "NewerRequestInitiated")
        request.stage = "open"
        if not request.never:
            self.allows[jit_name("-", request.number)] = request
            self._write({request.port: request})

    def _finish(self, request: Request, reason: str) -> None:
        request.stage, request.reason = "over", reason
        if not self.forgetful:
            self.allows.pop(jit_name("-", request.number), None)

    def _clear(self, request: Request) -> None:
        if not self.forgetful and self._planned().get(request.port) is request:
            self._write({request.port: None})

    def _planned(self) -> dict[int, Request | None]:
        """The DNAT rules as they will be once every waiting write is done."""
        planned: dict[int, Request | None] = dict(self.nats)
        for write in self.writes:
            planned |= write
        return planned

    def _write(self, change: dict[int, Request | None]) -> None:
        if self.walled:
            self.writes.append(change)
            self._start()

    def _start(self) -> None:
        """Begin the next update of the firewall; its body shows it at once, as ``Updating``."""
        if self.busy_until is None and self.writes:
            merged = {**self.nats, **self.writes.pop(0)}
            self.nats = {port: item for port, item in merged.items() if item is not None}
            self.busy_until = self.now + UPDATES_FOR

    # ---- views -----------------------------------------------------------------------------------

    def world(self, known: Iterable[str]) -> PolicyView:
        """Return a fresh look at everything; the firewall's turn is ours."""
        return PolicyView(
            found=True,
            requests=tuple(self._entry(item) for item in self.requests),
            machines={arm_ids.key(vm_id()): self.view()},
            known_initiates=frozenset(known),
            free_firewalls=frozenset({arm_ids.key(FIREWALL_ID)}),
        )

    def observed(self) -> Observation:
        """Return the same as a whole subscription's lists."""
        view = self.view()
        front = {arm_ids.key(view.firewall.id): view.firewall} if view.firewall else {}
        return Observation(
            nsgs=view.nsgs,
            firewalls=front,
            machines={arm_ids.key(vm_id()): view},
            entries=tuple(self._entry(item) for item in self.requests),
        )

    def view(self) -> MachineView:
        """Return the VM with the NSG and firewall on its path."""
        numbered = enumerate(sorted(self.allows.items()))
        rules = [self._allow(100 + place, name, item) for place, (name, item) in numbered]
        nsg = _parse_nsg(json.dumps([*rules, *self.companions.values()]))
        found: MachineView = self._behind(nsg) if self.walled else a_view(nsg)
        return replace(found, admin=ADMIN[self.admin])

    def _behind(self, nsg: NsgView) -> MachineView:
        nats = [
            a_nat(*map(str, item.sources), port=port, mapped=10_000 + port)
            for port, item in self.nats.items()
        ]
        jump = [a_nat("*", port=port, mapped=port, name=f"p{port}") for port in self.published]
        firewall = _parse_firewall(
            json.dumps(nats), json.dumps(sorted(jump, key=str)), self.busy_until is None
        )
        view: MachineView = behind(firewall, nsg)
        return view

    def _allow(self, priority: int, name: str, request: Request) -> dict[str, object]:
        rule = an_allow(
            *map(str, request.sources),
            number=request.number,
            priority=priority,
            port=str(request.port),
        )
        return {**rule, "id": f"{NSG_ID}/securityRules/{name}"}

    def _entry(self, request: Request) -> DefenderRequest:
        entry: DefenderRequest = an_entry(
            *map(str, request.sources),
            port=request.port,
            initiate_id=request.initiate_id,
            ends_at=request.end,
            active=request.stage != "over",
            reason=request.reason,
            started_at=request.started + timedelta(microseconds=request.number),
        )
        return entry

    def add_companion(self, rule_id: str, body: dict[str, object]) -> None:
        """Create or replace a companion rule."""
        properties = {**dict(body["properties"]), "provisioningState": "Succeeded"}  # type: ignore[call-overload] # JSON
        name = rule_id.rsplit("/", 1)[-1]
        self.companions[rule_id] = {**arm_rule(4000, name=name), "properties": properties}

    def doors(self, port: int) -> list[Request]:
        """Return the requests whose rules let somebody reach *port*."""
        through_nsg = [item for item in self.allows.values() if item.port == port]
        return [*through_nsg, *([self.nats[port]] if port in self.nats else [])]

    def list_accompanied_ports(self) -> set[int]:
        """Return the ports that a companion lets the firewall reach."""
        bodies = (rule["properties"] for rule in self.companions.values())
        return {int(body["destinationPortRange"]) for body in bodies}  # type: ignore[index] # JSON

    def lets_in(self, source: Prefix, port: int) -> bool:
        """Return True if packets from the whole of *source* reach *port*."""
        if self.admin in {"deny", "may deny"}:
            return False
        nat = self.nats.get(port)
        doors = ([nat] if nat else []) if self.walled else self.doors(port)
        return any(
            source.subnet_of(ip_network(allowed))  # type: ignore[arg-type] # IPv4 in this model
            for item in doors
            for allowed in item.sources
        )


@lru_cache(maxsize=1000)
def _parse_nsg(rules: str) -> NsgView:
    """Return an NSG with these rules; a run sees the same ones many times."""
    found: NsgView = an_nsg(*json.loads(rules))
    return found


@lru_cache(maxsize=1000)
def _parse_firewall(rules: str, customers: str, settled: bool) -> FirewallView:
    others = [a_customers(*rules_there) for rules_there in [json.loads(customers)] if rules_there]
    found: FirewallView = a_firewall(*json.loads(rules), settled=settled, others=others)
    return found
