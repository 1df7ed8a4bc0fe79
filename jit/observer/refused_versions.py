"""Alerts about API versions that Azure refuses: type, version, and the versions that it takes."""

from __future__ import annotations

from jit import telemetry
from jit.domain.errors import VersionRefused


def alert_refused_version(error: VersionRefused, **place: str) -> None:
    """Raise an alert about a refused version; *place* names the subscription or the resource."""
    telemetry.alert(
        "api_version.refused",
        type=error.kind,
        version=error.version,
        supported=list(error.supported),
        **place,
    )
