"""The address and the command by which a person connects to an open path."""

from __future__ import annotations

from jit.domain.model.bastion import Bastion
from jit.domain.model.grant import Grant
from jit.domain.model.machine import Connection
from jit.domain.values import arm_ids

_COMMANDS = {3389: "mstsc /v:{host}:{port}", 22: "ssh -p {port} user@{address}"}
"""By port. ``host`` has brackets around an IPv6 address. ssh takes the bare address (ssh(1))."""

_BASTION_VERBS = {3389: ("rdp", ""), 22: ("ssh", " --auth-type password --username user")}
"""By port: the command's verb and the rest of the line."""

_LAST_SYSTEM_PORT, _TUNNELS = 1023, 50_000
"""Only an administrator may listen on a port up to 1023, so such tunnels begin at another one."""


def build_connection(grant: Grant, address: str, port: int) -> Connection:
    """Return the way to connect to the path of *grant*: by that address and port."""
    command = _COMMANDS.get(grant.port, "{host}:{port}")
    host = f"[{address}]" if ":" in address else address
    return Connection(
        via=grant.via,
        address=address,
        port=port,
        command=command.format(address=address, host=host, port=port),
    )


def build_bastion_command(grant: Grant, bastion: Bastion) -> str:
    """
    Return the way to connect by *bastion* to the path of *grant*.

    It is a command of the Azure CLI, or the page of the VM in the portal if the Bastion takes
    browsers only.

    Source:
        https://learn.microsoft.com/cli/azure/network/bastion (``rdp``, ``ssh``, ``tunnel``).
    """
    if not bastion.native:
        return f"https://portal.azure.com/#resource{grant.vm_id}"
    verb, more = _BASTION_VERBS.get(grant.port, _tunnel(grant.port))
    return (
        f"az network bastion {verb} --name {bastion.name}"
        f" --resource-group {arm_ids.resource_group(bastion.id)}"
        f" --subscription {arm_ids.subscription(bastion.id)}"
        f" --target-resource-id {grant.vm_id}{more}"
    )


def _tunnel(port: int) -> tuple[str, str]:
    """Return the verb and the rest of a tunnel to *port*, from a local port of the same number."""
    local = port if port > _LAST_SYSTEM_PORT else _TUNNELS + port
    return "tunnel", f" --resource-port {port} --port {local}"
