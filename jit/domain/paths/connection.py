"""The address and the command by which a person connects to an open path."""

from __future__ import annotations

from jit.domain.model.grant import Grant
from jit.domain.model.machine import Connection

_COMMANDS = {3389: "mstsc /v:{host}:{port}", 22: "ssh -p {port} user@{address}"}
"""By port. ``host`` has brackets around an IPv6 address. ssh takes the bare address (ssh(1))."""


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
