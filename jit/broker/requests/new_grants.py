"""Grants of a new access request, with the hand-overs that other grants on a VM port cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from jit.broker.requests.own_requests import OwnRequests
from jit.domain.decision.bastion_access import find_bastion, join_sources
from jit.domain.decision.jit_policy import OCCUPIED, find_effective_protocol
from jit.domain.decision.verdict import Finding, FindingKind
from jit.domain.errors import CannotTell, Violation
from jit.domain.grants import shared_port
from jit.domain.model.grant import Grant, Status
from jit.domain.model.machine import Via, VirtualMachine, VmPort
from jit.domain.model.request import AccessRequest, WantedPort
from jit.domain.values import arm_ids
from jit.domain.values.times import format_instant
from jit.storage import keys
from jit.storage.request_store import RequestStore

OPENS_LATEST = timedelta(hours=1)
"""A grant is given up if it could not be opened this long after its start."""

_FEW = 3  # VMs; if there are more, one query for the whole policy is cheaper

Machines = Mapping[str, VirtualMachine]
"""By the key of the VM's id."""

OtherGrants = Mapping[VmPort, Sequence[Grant]]
"""The live grants of other requests by VM port."""


def build_grants(
    request_id: str,
    access: AccessRequest,
    machines: Machines,
    *,
    starts_at: datetime,
    now: datetime,
) -> list[Grant]:
    """
    Return one grant for each port of each VM of an allowed request.

    Args:
        request_id: The id of the request.
        access: Allowed by the JIT policies of *machines*.
        machines: Every VM of *access*.
        starts_at: Not before *now*.
        now: Aware, UTC.
    """
    status = Status.SCHEDULED if starts_at > now else Status.PENDING
    return [
        _build_grant(
            f"{request_id}-{index}-{port.number}", port, machine, access, starts_at, status
        )
        for index, (machine, ports) in enumerate(
            (machines[arm_ids.key(wanted.id)], wanted.ports) for wanted in access.machines
        )
        for port in ports
    ]


def _build_grant(
    grant_id: str,
    port: WantedPort,
    machine: VirtualMachine,
    access: AccessRequest,
    starts_at: datetime,
    status: Status,
) -> Grant:
    rule = machine.find_rule(port.number)
    return Grant(
        id=grant_id,
        request_id=grant_id.rsplit("-", 2)[0],
        vm_id=machine.id,
        policy_id=machine.policy_id or "",
        port=port.number,
        protocol=(find_effective_protocol(port.protocol, rule) if rule else None) or "*",
        sources=join_sources(access, machine),
        via=machine.via,
        bastion=find_bastion(machine) if access.by_bastion else None,
        firewall_id=machine.firewall_id if machine.via is Via.FIREWALL else None,
        starts_at=starts_at,
        duration=access.duration,
        latest_end=starts_at + OPENS_LATEST + access.duration,
        next_check_at=starts_at,
        status=status,
    )


def find_other_families(
    grants: Sequence[Grant], others: OtherGrants, own: OwnRequests
) -> tuple[Finding, ...]:
    """
    Return the grants whose ports are used by the other IP version.

    Args:
        grants: New ones.
        others: As `list_other_grants` returns them.
        own: If one of the caller's own requests uses the port, it is named.
    """
    found: list[Finding] = []
    for grant in grants:
        other = shared_port.find_other_family(grant, others.get(grant.vm_port, ()))
        if other is not None:
            until = format_instant(other.expires_at or other.latest_end)
            detail = (
                f"port {grant.port} of {arm_ids.name(grant.vm_id)} is used from addresses of the"
                f" other IP version until {until}"
            )
            detail = own.name_in(detail, [other])
            found.append(Finding(FindingKind.OCCUPIED, Violation("#/sources", OCCUPIED, detail)))
    return tuple(found)


def find_crowded_ports(grants: Sequence[Grant], others: OtherGrants) -> tuple[Finding, ...]:
    """Return the new *grants* on ports that have as many sources as a rule takes."""
    crowded = (g for g in grants if shared_port.is_crowded(g, others.get(g.vm_port, ())))
    return tuple(
        Finding(
            FindingKind.OCCUPIED,
            Violation("#/sources", OCCUPIED, shared_port.CROWDED.format(grant.port)),
        )
        for grant in crowded
    )


def announce_handovers(
    grants: Sequence[Grant], machines: Machines, others: OtherGrants, *, now: datetime
) -> list[Grant]:
    """
    Return *grants* with the instants at which the shared paths of their ports change hands.

    A scheduled grant has none: other grants may be on the port at its start. It hears of its
    hand-over when it opens.
    """
    done: list[Grant] = []
    for grant in grants:
        if grant.status is Status.SCHEDULED:
            done.append(grant)
            continue
        occupations = machines[arm_ids.key(grant.vm_id)].occupations
        ends = (each.ends_at for each in reversed(occupations) if each.port == grant.port)
        handover_at = shared_port.find_handover(
            grant,
            others.get(grant.vm_port, []),
            end=max(grant.starts_at, now) + grant.duration,
            now=now,
            held=next(ends, None),
        )
        done.append(replace(grant, handover_at=handover_at))
    return done


def list_other_grants(
    grants: Sequence[Grant], requests: RequestStore, *, counted: bool = False
) -> OtherGrants:
    """
    Return the live grants on the same VM ports: one query for each VM, or for each policy.

    Args:
        grants: New ones of one request.
        requests: The store of the others.
        counted: The person may have some of the others, so each of them must be known.

    Raises:
        CannotTell: A grant on one of the VMs must be known, and this version cannot read it.
    """
    by_machine = {arm_ids.key(grant.vm_id): grant for grant in grants}
    is_few = len(by_machine) <= _FEW
    prefixes = {
        keys.grants_prefix(grant.policy_id, grant.vm_id if is_few else None)
        for grant in by_machine.values()
    }
    partition = arm_ids.subscription(grants[0].vm_id)
    wanted = {arm_ids.row_hash(grant.vm_id) for grant in grants}
    found: dict[VmPort, list[Grant]] = {}
    for prefix in sorted(prefixes):
        there = requests.list_readable_grants(partition, prefix)
        if counted and not wanted.isdisjoint(there.unreadable):
            raise CannotTell("the grants on a virtual machine could not be counted")
        for row in there.rows:
            for grant in filter(_is_live, row.grants):
                found.setdefault(grant.vm_port, []).append(grant)
    return found


def _is_live(grant: Grant) -> bool:
    return grant.live
