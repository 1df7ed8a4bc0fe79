"""The body of an initiate: the VM ports to open, as Defender's API takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network

from jit.domain.model.machine import VmPort
from jit.domain.values import arm_ids
from jit.domain.values.prefixes import Prefix
from jit.domain.values.times import format_instant


@dataclass(frozen=True, slots=True, kw_only=True)
class PortToOpen:
    """One VM port of an initiate: exactly these sources, until then."""

    vm_id: str
    port: int
    sources: tuple[Prefix, ...]
    until: datetime
    firewall_id: str | None = None

    @property
    def vm_port(self) -> VmPort:
        """The VM port to open."""
        return VmPort.of(self.vm_id, self.port)


def build_initiate_body(asks: Sequence[PortToOpen], justification: str) -> Mapping[str, object]:
    """
    Return the body of an initiate.

    Several sources go as a list, which the service takes and the published contract lacks
    (https://github.com/Azure/azure-rest-api-specs/issues/32158).
    """
    machines: dict[str, list[Mapping[str, object]]] = {}
    ids = {arm_ids.key(ask.vm_id): ask.vm_id for ask in asks}
    for ask in asks:
        machines.setdefault(arm_ids.key(ask.vm_id), []).append(_port_body(ask))
    return {
        "virtualMachines": [{"id": ids[key], "ports": ports} for key, ports in machines.items()],
        "justification": justification,
    }


def _port_body(ask: PortToOpen) -> Mapping[str, object]:
    texts = [_prefix_text(source) for source in ask.sources]
    where: Mapping[str, object] = (
        {"allowedSourceAddressPrefix": texts[0]}
        if len(texts) == 1
        else {"allowedSourceAddressPrefixes": texts}
    )
    return {"number": ask.port, "endTimeUtc": format_instant(ask.until), **where}


def _prefix_text(source: Prefix) -> str:
    """Write a lone address without its length, as Defender's own examples do."""
    full = 32 if isinstance(source, IPv4Network) else 128
    return str(source.network_address) if source.prefixlen == full else str(source)
