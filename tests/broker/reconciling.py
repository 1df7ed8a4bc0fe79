"""A broker that reconciles, and the foreign hands that give it something to do."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from jit import messages
from jit.domain.azure.companion_rule import build_companion_body, build_companion_name
from jit.domain.azure.firewall import digest_foreign_parts
from jit.domain.model.absence import ABSENT_AFTER
from jit.storage.audit_chain import Drainer
from tests.broker.inprocess import HERE, InProcess, farm, policy_of, wish
from tests.fakes.tables import FakeTable
from tests.local.azure.sim import DEVELOPMENT, FW_PROD, group, network

NSG_FARM = network("networkSecurityGroups", "nsg-farm-1", group("rg-farm-1", DEVELOPMENT))
COLLECTION = "MDC-JIT-NatRuleCollection"


def _only_reads(call: Mapping[str, Any]) -> bool:
    """Return True for a GET, and for the one POST that changes nothing."""
    return call["method"] == "GET" or "/listNetworkManager" in call["path"]


class Reconciling:
    """
    A broker and its reconciler.

    Attributes:
        broker: Everything else of the broker, and its Azure.
        audit: The table of the chain.
    """

    def __init__(self, broker: InProcess, *, remove_orphans: bool = False) -> None:
        self.broker = broker
        self.audit = FakeTable(lambda: broker.now, calls=broker.calls, name="audit")
        self.locks = broker.locks
        self.due_work = broker.use_cases.due_work()
        self.reconciler = broker.use_cases.reconciler(
            self.audit, broker.idempotency, remove_orphans=remove_orphans
        )

    @property
    def drainer(self) -> Drainer:
        """The drainer of the audit outbox; it reads the chains, too."""
        return self.reconciler.housekeeping.draining.drainer

    def run(self, subscription: str = DEVELOPMENT) -> None:
        """Play a message of the queue ``jit-reconcile``."""
        self.reconciler.run(subscription, now=self.broker.now)

    def run_twice(self, subscription: str = DEVELOPMENT) -> None:
        """Compare twice, a minute apart: a resource that both lack counts as deleted."""
        self.run(subscription)
        self.broker.advance(ABSENT_AFTER)
        self.run(subscription)

    def planned(self, *subscriptions: str) -> list[tuple[str, str]]:
        """Return action and class of each item of a plan."""
        names = subscriptions or (DEVELOPMENT,)
        items = self.reconciler.make_dry_run(now=self.broker.now, subscriptions=names)
        return [(item.action.value, item.kind.value) for item in items]

    def opened(self, vm: str = farm(1), minutes: float = 5, **changes: Any) -> str:
        """Ask for a path and let it open; return the request's id."""
        request_id = self.broker.ask(wish(vm, **changes))
        self.broker.live(minutes)
        return request_id

    def closed(self, vm: str = farm(1), minutes: float = 70, **changes: Any) -> str:
        """Ask for a path and let it open and end; return the request's id."""
        return self.opened(vm, minutes, **changes)

    def reconcile_messages(self) -> list[str]:
        """Return the subscriptions that wait to be compared."""
        return [subscription for subscription, drains in self._list_messages() if not drains]

    def drain_messages(self) -> list[str]:
        """Return the subscriptions whose audit outbox waits to be drained."""
        return [subscription for subscription, drains in self._list_messages() if drains]

    def _list_messages(self) -> list[tuple[str, bool]]:
        bodies = [each.text.encode() for each in self.broker.queues.waiting(messages.RECONCILE)]
        return [
            (messages.read(body, "subscription"), messages.has_part(body, messages.AUDIT))
            for body in bodies
        ]

    def policy_messages(self) -> list[str]:
        """Return the policies that wait for their worker."""
        sent = self.broker.queues.waiting(messages.POLICY)
        return [messages.read(each.text.encode(), "policy") for each in sent]

    def writes(self) -> list[tuple[str, str]]:
        """Return method and last name of every change that the broker asked of Azure."""
        log = self.broker.sim.control("GET", "log")
        return [
            (each["method"], each["path"].rsplit("/", 1)[-1])
            for each in log
            if each["principal"] == "broker" and not _only_reads(each)
        ]

    def allow_rules(self, nsg: str = NSG_FARM, *, minutes: float = 1) -> list[str]:
        """Return the names of Defender's rules in an NSG after the time that a deletion takes."""
        self.broker.live(minutes)
        return [name for name in self.broker.sim.rules(nsg) if "JITRule-" in name]

    def foreign_digest(self) -> str:
        """Return a digest of the parts of the firewall that are not Defender's."""
        return digest_foreign_parts(self.broker.sim.get(FW_PROD))

    def call_before(self, name: str, act: Callable[[], object], *, number: int = 1) -> None:
        """Call *act* once, just before the call *name* is made for the nth time."""
        left = [number]

        def before(called: str, _: int) -> None:
            if called == name and left and left[0] == 1:
                left.clear()
                act()
            elif called == name and left:
                left[0] -= 1

        self.broker.calls.before = before

    # ---- foreign hands ---------------------------------------------------------------------------

    def edit(self, **resources: Any) -> None:
        """Replace resources behind everybody's back; None deletes."""
        self.broker.sim.control("PUT", "state", {"resources": resources})

    def end_update(self, resource: str, state: str) -> None:
        """Let the last update of a resource have that outcome: its provisioning state."""
        body = self.broker.sim.get(resource)
        body["properties"]["provisioningState"] = state
        self.edit(**{resource: body})

    def wipe(self, nsg: str = NSG_FARM) -> None:
        """Take Defender's allow rules out of an NSG, as infrastructure as code does."""
        names = [name for name in self.broker.sim.rules(nsg) if "JITRule-" in name]
        self.edit(**{f"{nsg}/securityRules/{name}": None for name in names})

    def leave(self, number: int = 1, *, nsg: str = NSG_FARM, **changes: Any) -> str:
        """Put a rule named like Defender's into an NSG; return its name."""
        name = f"MicrosoftDefenderForCloud-JITRule-77-{number:032X}"
        self.put_rule(name, number, nsg=nsg, **changes)
        return name

    def put_rule(self, name: str, number: int = 1, *, nsg: str = NSG_FARM, **changes: Any) -> None:
        """Put a rule into an NSG that lets HERE reach port 22 of the first VM of the farm."""
        properties = {
            "priority": 2000 + number,
            "direction": "Inbound",
            "access": "Allow",
            "protocol": "Tcp",
            **({} if changes.get("sourceAddressPrefixes") else {"sourceAddressPrefix": HERE}),
            "sourcePortRange": "*",
            "destinationAddressPrefix": self.address(farm(1)),
            "destinationPortRange": "22",
            **changes,
        }
        self.edit(**{f"{nsg}/securityRules/{name}": {"properties": properties}})

    def leave_companion(self, owner: str, nsg: str, address: str, port: int) -> str:
        """Put a companion rule into an NSG; return its name."""
        body = build_companion_body(
            owner,
            private_ips=(address,),
            port=port,
            protocol="TCP",
            sources=("10.1.0.0/26",),
            priority=150,
        )
        name = build_companion_name(owner)
        self.edit(**{f"{nsg}/securityRules/{name}": body})
        return name

    def leave_nat(self, *rules: tuple[str, str, int], source: str = HERE) -> None:
        """Put DNAT rules (name, address, port) into Defender's collection of the firewall."""
        firewall = self.broker.sim.get(FW_PROD)
        own = [
            {
                "name": name,
                "protocols": ["TCP"],
                "sourceAddresses": [source],
                "sourceIpGroups": [],
                "destinationAddresses": ["52.137.62.53"],
                "destinationPorts": [str(10000 + port)],
                "translatedAddress": address,
                "translatedPort": str(port),
            }
            for name, address, port in rules
        ]
        collections = [
            each
            for each in firewall["properties"]["natRuleCollections"]
            if each["name"] != COLLECTION
        ]
        collection = {
            "name": COLLECTION,
            "properties": {"priority": 100, "action": {"type": "Dnat"}, "rules": own},
        }
        firewall["properties"]["natRuleCollections"] = [*collections, collection]
        self.edit(**{FW_PROD: firewall})

    def address(self, vm: str) -> str:
        """Return the private address of a VM."""
        reference = self.broker.sim.get(vm)["properties"]["networkProfile"]["networkInterfaces"][0]
        nic = self.broker.sim.get(reference["id"])
        return str(nic["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"])


def told(caplog: pytest.LogCaptureFixture, name: str) -> list[dict[str, Any]]:
    """Return the events of that name."""
    lines = (json.loads(record.getMessage()) for record in caplog.records if record.name == "jit")
    return [line for line in lines if line["event"] == name]


FARM_POLICY = policy_of(farm(1))
