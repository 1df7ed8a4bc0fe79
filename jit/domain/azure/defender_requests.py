"""
The requests in a JIT policy: Defender's list of the sources that may reach each VM port.

Defender keeps one request per VM port; a newer one revokes the older one. ``requests[]`` has no
ids, so the broker writes its own initiate id at the head of each justification. A request is ours
if, and only if, we stored that id before the call.

Source: Microsoft.Security 2020-01-01, ``JitNetworkAccessRequest``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from jit.domain.azure import arm_json
from jit.domain.azure.arm_json import Resource
from jit.domain.model.machine import Occupation
from jit.domain.values import arm_ids, times

_MARK = re.compile(r"^\[jit-broker ([a-z2-7]{26})\]")
_JUSTIFICATION_LIMIT = 512  # assumed: Azure documents no limit
_NAME_LIMIT = 256  # of an identity, for the rows that keep it


@dataclass(frozen=True, slots=True, kw_only=True)
class DefenderRequest:
    """
    One port of one VM in one of a policy's requests.

    Attributes:
        initiate_id: Our initiate's id if the justification carries one, else None.
        sources: Prefixes, as text.
        ends_at: End of access; UTC.
        active: True unless its status in Defender is ``Revoked``.
        reason: ``statusReason``, an open enum.
        mapped_port: External port on the firewall, once known.
        started_at: The time of the initiate; UTC.
        requestor: The identity that made it, as Azure writes it; None if it is not given.
    """

    vm_id: str
    port: int
    initiate_id: str | None
    sources: tuple[str, ...]
    ends_at: datetime
    active: bool
    reason: str
    mapped_port: int | None
    started_at: datetime
    requestor: str | None = None

    def is_in_force(self, now: datetime) -> bool:
        """Return True if it may let somebody in at *now*."""
        return self.active and self.ends_at > now


def mark_reason(initiate_id: str, reason: str) -> str:
    """Return a justification that names our initiate and a *reason*, which may be empty."""
    return f"[jit-broker {initiate_id}] {reason}"[:_JUSTIFICATION_LIMIT].rstrip()


def parse_mark(justification: str) -> str | None:
    """Return the initiate id at the head of *justification*, or None."""
    found = _MARK.match(justification)
    return found.group(1) if found else None


def parse_requests(policy: Resource) -> tuple[DefenderRequest, ...]:
    """Return every readable request of *policy* (as ARM returns it), oldest first."""
    requests = arm_json.mappings(arm_json.properties(policy), "requests")
    found = [item for request in requests for item in _requests(request)]
    return tuple(sorted(found, key=lambda item: item.started_at))


def find_port_requests(
    entries: Iterable[DefenderRequest], vm_id: str, port: int
) -> tuple[DefenderRequest, ...]:
    """Return the requests for one VM port, in the order of *entries*."""
    key = arm_ids.key(vm_id)
    return tuple(item for item in entries if item.port == port and arm_ids.key(item.vm_id) == key)


def find_occupations(found: Iterable[DefenderRequest], *, now: datetime) -> tuple[Occupation, ...]:
    """
    Return the foreign requests in force among the requests for one VM.

    A request counts as foreign here if it has no initiate id. A person can copy an initiate id, so
    opening compares it with the stored ids.
    """
    return tuple(
        Occupation(
            port=item.port,
            sources=item.sources,
            ends_at=item.ends_at,
            requestor=item.requestor,
        )
        for item in found
        if item.initiate_id is None and item.is_in_force(now)
    )


def _requests(request: Resource) -> Iterator[DefenderRequest]:
    started = _instant(arm_json.text(request, "startTimeUtc"))
    started_at = started or datetime.min.replace(tzinfo=UTC)
    initiate_id = parse_mark(arm_json.text(request, "justification"))
    requestor = arm_json.text(request, "requestor")[:_NAME_LIMIT] or None
    for vm in arm_json.mappings(request, "virtualMachines"):
        for port in arm_json.mappings(vm, "ports"):
            found = _request(arm_json.text(vm, "id"), port, started_at, initiate_id)
            if found is not None:
                yield replace(found, requestor=requestor)


def _request(
    vm_id: str, port: Resource, started_at: datetime, initiate_id: str | None
) -> DefenderRequest | None:
    number = arm_json.number(port, "number")
    if number is None:
        return None
    return DefenderRequest(
        vm_id=vm_id,
        port=number,
        initiate_id=initiate_id,
        sources=arm_json.one_or_many(
            port,
            "allowedSourceAddressPrefix",
            "allowedSourceAddressPrefixes",
            keep_all=True,
        ),
        # If the end cannot be read, the request never ends: in doubt we leave others' access alone.
        ends_at=_instant(arm_json.text(port, "endTimeUtc")) or datetime.max.replace(tzinfo=UTC),
        active=arm_json.text(port, "status") != "Revoked",
        reason=arm_json.text(port, "statusReason"),
        mapped_port=arm_json.number(port, "mappedPort") or None,
        started_at=started_at,
    )


def _instant(written: str) -> datetime | None:
    try:
        return times.parse_instant(written)
    except ValueError:
        return None
