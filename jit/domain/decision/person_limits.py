"""Limits of one person: live requests, requests a day, live grants and addresses on a VM port."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from jit.domain.decision.verdict import Finding, FindingKind
from jit.domain.errors import Violation
from jit.domain.limits import Limits
from jit.domain.model.grant import Grant
from jit.domain.model.machine import VmPort
from jit.domain.model.request import AccessRequest, WantedPort
from jit.domain.model.sums.accepted_requests import DAY, AcceptedRequests
from jit.domain.model.sums.address_sums import TOO_MANY_ADDRESSES, find_exceeded_sum
from jit.domain.values.json_pointer import ROOT, at

LIMIT_LIVE_REQUESTS = "limit-live-requests"
LIMIT_LIVE_ON_PORT = "limit-live-on-port"
LIMIT_REQUESTS_PER_DAY = "limit-requests-per-day"

_WAIT = 60  # seconds: access that is given back is gone from storage by then

OwnGrants = Mapping[VmPort, Sequence[Grant]]
"""The live grants of one person, by VM port."""


def find_full_counts(
    live: int, accepted: AcceptedRequests, *, now: datetime, limits: Limits
) -> Iterator[Finding]:
    """
    Yield a finding for each number of requests that one more would exceed.

    Args:
        live: Requests of the person in the subscription that are not closed.
        accepted: Those of the person in the subscription.
        now: Aware, UTC.
        limits: The numbers.
    """
    if live >= limits.live_requests:
        detail = (
            f"one person may have {limits.live_requests} live requests in a subscription:"
            " give one back, or wait until one ends"
        )
        yield _limit(ROOT, LIMIT_LIVE_REQUESTS, detail, _WAIT)
    today = accepted.list_recent(now)
    if len(today) >= limits.requests_per_day:
        free_at = today[-limits.requests_per_day] + DAY
        detail = (
            f"one person may make {limits.requests_per_day} requests in a subscription within"
            " 24 hours"
        )
        yield _limit(ROOT, LIMIT_REQUESTS_PER_DAY, detail, _count_seconds(free_at - now))


def find_full_ports(
    access: AccessRequest, own: OwnGrants, *, now: datetime, limits: Limits
) -> Iterator[Finding]:
    """
    Yield the findings for the ports of *access* that its person has had enough of.

    Args:
        access: The access that the person wants.
        own: The person's live grants on these ports.
        now: Aware, UTC.
        limits: The numbers.
    """
    for machine in access.machines:
        for port in machine.ports:
            held = own.get(VmPort.of(machine.id, port.number), ())
            if held:
                yield from _find_wide_port(access, port, held, limits)
            if len(held) >= limits.live_on_one_port:
                yield _find_full_port(port, held, now, limits)


def _find_full_port(
    port: WantedPort, held: Sequence[Grant], now: datetime, limits: Limits
) -> Finding:
    """Return the finding for a port on which a person has enough grants."""
    ends = sorted(grant.expires_at or grant.latest_end for grant in held)
    wait = _count_seconds(ends[-limits.live_on_one_port] - now)
    detail = (
        f"one person may have {limits.live_on_one_port} live grants on a port:"
        " give one back, or wait until one ends"
    )
    return _limit(at(port.pointer, "number"), LIMIT_LIVE_ON_PORT, detail, wait)


def _find_wide_port(
    access: AccessRequest, port: WantedPort, held: Sequence[Grant], limits: Limits
) -> Iterator[Finding]:
    """
    Yield a finding if *access* and the grants *held* open a port to too many addresses.

    The subnet of a Bastion does not count: the person did not choose it.
    """
    sources = [*access.sources, *(each for grant in held for each in grant.own_sources)]
    v4, v6 = limits.widest_source_v4, limits.widest_source_v6
    most = find_exceeded_sum(sources, widest_v4=v4, widest_v6=v6)
    if most is not None and access.sources:
        detail = (
            f"with the live grants of this person, port {port.number} would be open to more than"
            f" {most} addresses, as many as one prefix may cover"
        )
        violation = Violation(at(port.pointer, "number"), TOO_MANY_ADDRESSES, detail)
        yield Finding(FindingKind.BODY, violation)


def _limit(pointer: str, code: str, detail: str, wait: int) -> Finding:
    return Finding(FindingKind.LIMIT, Violation(pointer, code, detail), wait)


def _count_seconds(span: timedelta) -> int:
    return max(1, math.ceil(span / timedelta(seconds=1)))
