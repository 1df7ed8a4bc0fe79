"""One VM port that a JIT request opens, from the call to its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from local.azure.control.faults import Subject
from local.azure.values import ids
from local.azure.values.http import Json
from local.azure.values.times import format_dotnet


@dataclass(frozen=True, slots=True)
class WantedPort:
    """
    One VM port of an initiate call.

    Attributes:
        machine: VM id as the caller wrote it.
        port: On the VM.
        protocol: The protocol of the policy's port.
        sources: One prefix or several.
        listed: True if the caller sent a list.
        end: When access ends.
        echoed: True if the policy's ``requests`` show the sources.
    """

    machine: str
    port: int
    protocol: str
    sources: tuple[str, ...]
    listed: bool
    end: datetime
    echoed: bool = True

    def entry(self, status: str) -> Json:
        """Return the port's entry for the policy's ``requests``."""
        sources: Json = (
            {"allowedSourceAddressPrefixes": list(self.sources)}
            if self.listed
            else {"allowedSourceAddressPrefix": self.sources[0]}
        )
        sources = sources if self.echoed else {}
        return {
            "number": self.port,
            **sources,
            "endTimeUtc": format_dotnet(self.end),
            "status": status,
            "statusReason": "UserRequested",
        }


@dataclass(eq=False, slots=True)
class Access:
    """
    One VM port being opened, open, or over.

    Attributes:
        number: Later requests have higher ones.
        policy: Id of the policy.
        machine: The VM as stored.
        wanted: The VM port of the request.
        entry: The port's entry in the policy's ``requests``, alive.
        subject: The initiate call, for faults.
        never: True if Defender never writes its rules.
        opened: True once Defender has begun to open it.
        live: False from the moment it is superseded or has ended.
        rules: Allow rules written, as (NSG id, rule name).
    """

    number: int
    policy: str
    machine: Json
    wanted: WantedPort
    entry: Json
    subject: Subject
    never: bool
    opened: bool = False
    live: bool = True
    rules: list[tuple[str, str]] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, int]:
        """The VM port."""
        return ids.key(self.machine["id"]), self.wanted.port

    def set_status(self, status: str, reason: str) -> None:
        """Show *status* with *reason* in the policy."""
        self.entry.update(status=status, statusReason=reason)

    def adopt(self, policy: Json) -> None:
        """Find the entry again after somebody has replaced the policy from outside."""
        for request in policy["properties"].get("requests", ()):
            for machine in request.get("virtualMachines", ()):
                for port in machine.get("ports", ()):
                    if ids.key(machine["id"]) == self.key[0] and self._is_entry(port):
                        self.entry = port

    def _is_entry(self, port: Json) -> bool:
        same = ("number", "endTimeUtc")
        return all(port.get(name) == self.entry[name] for name in same)


def group_by_machine(accesses: list[Access]) -> list[Json]:
    """Return the entries of *accesses* under their VMs, as ``requests`` shows them."""
    machines: dict[str, Json] = {}
    for access in accesses:
        name = access.wanted.machine
        shown = machines.setdefault(ids.key(name), {"id": name, "ports": []})
        shown["ports"].append(access.entry)
    return list(machines.values())
