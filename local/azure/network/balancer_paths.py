"""
The paths through load balancers: an inbound NAT rule leads to one VM.

The VM sees the address that the packet comes from: nothing translates the source. Load-balancing
rules of a backend pool are not simulated.

Source:
    https://learn.microsoft.com/azure/load-balancer/inbound-nat-rules;
    https://learn.microsoft.com/azure/load-balancer/load-balancer-overview#secure-by-default
"""

from __future__ import annotations

from collections.abc import Iterator

from local.azure.arm.store import Store
from local.azure.network.packets import Flow, Path
from local.azure.network.topology import Interface
from local.azure.values import ids
from local.azure.values.http import Json


def list_balancer_paths(
    store: Store, interface: Interface, flow: Flow, *, inside: bool
) -> Iterator[Path]:
    """Yield the paths of *flow* to *interface*; *inside* tells if it comes from the network."""
    subscription = interface.id.split("/")[2]
    for balancer in store.list_of_type(ids.LOAD_BALANCERS, subscription):
        for rule in balancer["properties"].get("inboundNatRules", ()):
            if _leads_to(rule["properties"], interface, flow):
                yield from _build_path(store, balancer, rule["properties"], interface, flow, inside)


def _leads_to(rule: Json, interface: Interface, flow: Flow) -> bool:
    target = rule.get("backendIPConfiguration")
    return (
        target is not None
        and ids.key(target["id"]) == ids.key(interface.configuration)
        and rule["backendPort"] == flow.port
        and rule["protocol"].lower() in {"all", flow.protocol.lower()}
    )


def _build_path(
    store: Store, balancer: Json, rule: Json, interface: Interface, flow: Flow, inside: bool
) -> Iterator[Path]:
    name = rule["frontendIPConfiguration"]["id"].rsplit("/", 1)[-1].lower()
    for frontend in balancer["properties"].get("frontendIPConfigurations", ()):
        public = frontend["properties"].get("publicIPAddress")
        if frontend["name"].lower() == name and inside == (public is None):
            address = _find_address(store, frontend["properties"])
            if address is not None:
                guarded = interface.group or interface.subnet_group
                closed = None if guarded else "a standard load balancer without an NSG is closed"
                port = rule["frontendPort"]
                yield Path("loadBalancer", address, port, (flow.source,), interface, closed)


def _find_address(store: Store, frontend: Json) -> str | None:
    link = frontend.get("publicIPAddress")
    if link is None:
        return frontend.get("privateIPAddress")
    public = store.get(link["id"])
    return None if public is None else public["properties"].get("ipAddress")
