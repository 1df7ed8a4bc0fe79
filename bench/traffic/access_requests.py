"""Access requests as a caller sends them: bodies, headers, who asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from local.host.web import platform_auth
from local.stack import ROOT

SOURCE = "203.0.113.7"
_LANDSCAPE = ROOT / "local" / "landscape.json"
TENANT = platform_auth.read(_LANDSCAPE).tenant
"""The Entra tenant of everybody in the landscape."""


def make_body(
    machines: Sequence[str],
    ports: Sequence[int] = (22,),
    *,
    source: str = SOURCE,
    start: str | None = None,
) -> dict[str, Any]:
    """Return the body of ``POST access-requests`` for an hour's access to *ports* of each VM."""
    wanted = [{"number": port, "protocol": "TCP"} for port in ports]
    asked: dict[str, Any] = {
        "virtualMachines": [{"id": machine, "ports": wanted} for machine in machines],
        "sources": [source],
        "duration": "PT1H",
        "justification": "CHG0030001 benchmark",
    }
    return asked | ({"startTime": start} if start else {})


def make_headers(key: str, person: str = "alice") -> dict[str, str]:
    """Return the headers as they reach the app: behind App Service authentication."""
    given = platform_auth.read(_LANDSCAPE).headers(
        "/api/access-requests", [("X-Local-User", person)]
    )
    return {**dict(given), "Idempotency-Key": key, "Content-Type": "application/json"}
