"""
Requests as a JIT policy lists them: Defender's own memory of who may come in.

Defender keeps one request per VM port; a newer one revokes the older one. ``requests[]`` has no
ids, so the broker writes an initiate id of its own at the head of each justification: an entry is
ours if, and only if, that id is one that we stored before the call.

Source: Microsoft.Security 2020-01-01, ``JitNetworkAccessRequest``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from jit.domain.model.machine import Occupation
from jit.domain.values import arm_ids, times

_MARK = re.compile(r"^\[jit-broker ([a-z2-7]{26})\]")
_JUSTIFICATION_LIMIT = 512  # assumed: Azure documents no limit


@dataclass(frozen=True, slots=True, kw_only=True)
class DefenderRequest:
    """
    One port of one VM in one of a policy's requests.

    Attributes:
        initiate_id: Our initiate's id if the justification carries one, else None.
        sources: Prefixes, as text.
        ends_at: End of access; UTC.
        active: Whether Defender counts it as in force (anything but ``Revoked``).
        reason: ``statusReason``, an open enum.
        mapped_port: External port on the firewall, once known.
        started_at: When it was asked for.
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

    def in_force(self, now: datetime) -> bool:
        """Tell whether it may let somebody in at *now*."""
        return self.active and self.ends_at > now


def mark(initiate_id: str, reason: str) -> str:
    """Return a justification that can be recognised as ours, and read by people."""
    return f"[jit-broker {initiate_id}] {reason}"[:_JUSTIFICATION_LIMIT]


def marked(justification: str) -> str | None:
    """Return the initiate id at the head of *justification*, if there is one."""
    found = _MARK.match(justification)
    return found.group(1) if found else None


def read(policy: Mapping[str, object]) -> tuple[DefenderRequest, ...]:
    """Return every readable entry of *policy* (as ARM returns it), oldest first."""
    properties = policy.get("properties")
    requests = properties.get("requests") if isinstance(properties, Mapping) else None
    found = [entry for request in _objects(requests) for entry in _entries(request)]
    return tuple(sorted(found, key=lambda entry: entry.started_at))


def of_port(
    entries: Iterable[DefenderRequest], vm_id: str, port: int
) -> tuple[DefenderRequest, ...]:
    """Return the entries of one VM port, in the order given."""
    key = arm_ids.key(vm_id)
    return tuple(item for item in entries if item.port == port and arm_ids.key(item.vm_id) == key)


def occupations(found: Iterable[DefenderRequest], *, now: datetime) -> tuple[Occupation, ...]:
    """
    Return the foreign requests in force among the entries of one VM.

    Foreign here is what carries no mark of this broker at all; whether a marked entry is really
    ours is checked against the stored initiate ids where it matters, at opening.
    """
    return tuple(
        Occupation(port=item.port, sources=item.sources, ends_at=item.ends_at)
        for item in found
        if item.initiate_id is None and item.in_force(now)
    )


def _objects(value: object) -> Iterator[Mapping[str, object]]:
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, Mapping))


def _entries(request: Mapping[str, object]) -> Iterator[DefenderRequest]:
    started = _instant(request.get("startTimeUtc")) or datetime.min.replace(tzinfo=UTC)
    initiate_id = marked(str(request.get("justification") or ""))
    for vm in _objects(request.get("virtualMachines")):
        for port in _objects(vm.get("ports")):
            entry = _entry(str(vm.get("id") or ""), port, started, initiate_id)
            if entry is not None:
                yield entry


def _entry(
    vm_id: str, port: Mapping[str, object], started: datetime, initiate_id: str | None
) -> DefenderRequest | None:
    number, mapped = port.get("number"), port.get("mappedPort")
    if not isinstance(number, int):
        return None
    return DefenderRequest(
        vm_id=vm_id,
        port=number,
        initiate_id=initiate_id,
        sources=_sources(port),
        # An end that cannot be read never passes: doubt keeps others' access untouched.
        ends_at=_instant(port.get("endTimeUtc")) or datetime.max.replace(tzinfo=UTC),
        active=port.get("status") != "Revoked",
        reason=str(port.get("statusReason") or ""),
        mapped_port=mapped if isinstance(mapped, int) and mapped else None,
        started_at=started,
    )


def _sources(port: Mapping[str, object]) -> tuple[str, ...]:
    many = port.get("allowedSourceAddressPrefixes")
    if isinstance(many, list) and many:
        return tuple(str(item) for item in many)
    one = port.get("allowedSourceAddressPrefix")
    return (one,) if isinstance(one, str) and one else ()


def _instant(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        return times.parse_instant(value)
    except ValueError:
        return None
