"""Rows of virtual machines: the inventory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jit.domain.model.absence import Absence
from jit.domain.model.machine import (
    Interface,
    MachineWarning,
    Obstacle,
    Occupation,
    Origin,
    OtherAccess,
    PolicyFault,
    PortRule,
    Support,
    Via,
    VirtualMachine,
)
from jit.storage import keys
from jit.storage.documents import (
    INSTANT,
    LARGEST,
    PLAIN,
    PREFIXES,
    SPAN,
    TEXTS,
    Column,
    ColumnMap,
    RowKind,
    by_position,
    enum,
    optional,
    read_document,
    read_text,
    several,
    write_document,
)
from jit.storage.networks.bastion_documents import BASTION
from jit.storage.table import Row

MACHINE_KIND = RowKind("machines")

_PORT_RULE = by_position(
    PortRule, number=PLAIN, protocol=PLAIN, allowed_sources=TEXTS, max_duration=SPAN
)
_INTERFACE = by_position(
    Interface,
    id=PLAIN,
    private_ip=PLAIN,
    subnet_id=PLAIN,
    nsg_ids=TEXTS,
    public_ip=PLAIN,
    public_ip_id=PLAIN,
    primary=PLAIN,
)
_POLICY_FAULT = by_position(PolicyFault, port=PLAIN, field=PLAIN, detail=PLAIN)
_OCCUPATION = by_position(Occupation, port=PLAIN, sources=TEXTS, ends_at=INSTANT)
_OBSTACLE = by_position(Obstacle, port=PLAIN, code=PLAIN, detail=PLAIN)
_ABSENCE = by_position(Absence, key=PLAIN, since=INSTANT)
_OTHER = by_position(
    OtherAccess,
    port=PLAIN,
    sources=TEXTS,
    until=optional(INSTANT),
    requestor=PLAIN,
    origin=enum(Origin),
)
_WARNING = by_position(MachineWarning, code=PLAIN, detail=PLAIN)

MACHINE = ColumnMap(
    VirtualMachine,
    Column("id", "id"),
    Column("name", "name"),
    Column("location", "location"),
    Column("support", "support", enum(Support)),
    Column("reasons", "reasons", TEXTS),
    Column("via", "via", enum(Via)),
    Column("policy_id", "policy_id"),
    Column("ports", "ports", several(_PORT_RULE)),
    Column("policy_faults", "policy_faults", several(_POLICY_FAULT), default=()),
    Column("interfaces", "interfaces", several(_INTERFACE)),
    Column("firewall_id", "firewall_id"),
    Column("firewall_sources", "firewall_sources", TEXTS),
    Column("vnet_prefixes", "vnet_prefixes", TEXTS),
    Column("occupations", "occupations", several(_OCCUPATION)),
    Column("warnings", "warnings", several(_WARNING)),
    Column("obstacles", "obstacles", several(_OBSTACLE), default=()),
    Column("absences", "absences", several(_ABSENCE), default=()),
    Column("others", "others", optional(several(_OTHER)), default=None),
    Column("bastions", "bastions", optional(several(BASTION.form)), default=None),
)
"""The document of a VM, without the columns `_GROUPS`, `_PARTIAL` and `_REQUESTORS`."""

_GROUPS = ("groups", several(optional(TEXTS)))
"""
The column of the application security groups of each interface, in their order; null if unknown.

It stands beside the interfaces, whose lists an older version reads by position.
"""

_REQUESTORS = ("requestors", TEXTS)
"""The column of the requestor of each occupation, in their order; empty if none is known."""

_PARTIAL = (
    "partial_obstacles",
    several(
        by_position(
            Obstacle,
            port=PLAIN,
            code=PLAIN,
            detail=PLAIN,
            sources=PREFIXES,
            until=optional(INSTANT),
        )
    ),
)
"""
The column of the obstacles that stop some sources only, or that count for some time only.

An older version does not know it. It would take them for obstacles to every source.
"""

VM_ID = "Vm"


def write_machine_row(vm: VirtualMachine, partition: str, *, etag: str = "") -> Row:
    """Return the inventory row of a VM; see `is_too_large`."""
    document = write_document(build_document(vm), sort_keys=True)
    values: dict[str, Any] = MACHINE_KIND.add_format({VM_ID: vm.id, **document})
    return Row(partition=partition, key=keys.machine_key(vm.id), values=values, etag=etag)


def build_document(vm: VirtualMachine) -> dict[str, Any]:
    """Return the document of a VM as JSON."""
    groups, groups_form = _GROUPS
    partial, partial_form = _PARTIAL
    requestors, texts = _REQUESTORS
    whole = tuple(filter(_is_whole, vm.obstacles))
    known = [each.requestor for each in vm.occupations]
    return {
        **MACHINE.write(replace(vm, obstacles=whole)),
        groups: groups_form.write([nic.group_ids for nic in vm.interfaces]),
        partial: partial_form.write(each for each in vm.obstacles if not _is_whole(each)),
        requestors: texts.write(known if any(known) else ()),
    }


def _is_whole(obstacle: Obstacle) -> bool:
    """Return True if *obstacle* stops every source, without a limit of time."""
    return not obstacle.sources and obstacle.until is None


def read_machine(row: Row) -> VirtualMachine:
    """
    Return the VM of a row.

    Raises:
        Defect: This version cannot read the row.
    """
    return MACHINE_KIND.read(row, parse_machine)


def parse_machine(row: Row) -> VirtualMachine:
    """Return the VM of a row of a known format."""
    document = read_document(row)
    vm = _add_partial(_add_groups(MACHINE.read(document), document), document)
    return _add_requestors(vm, document)


def _add_partial(vm: VirtualMachine, document: Mapping[str, Any]) -> VirtualMachine:
    """Return *vm* with the obstacles of the column `_PARTIAL`; an older version wrote none."""
    name, form = _PARTIAL
    return replace(vm, obstacles=(*vm.obstacles, *form.read(document.get(name, ()))))


def _add_groups(vm: VirtualMachine, document: Mapping[str, Any]) -> VirtualMachine:
    """Return *vm* with the groups of its interfaces; an older version did not write them."""
    name, form = _GROUPS
    if name not in document:
        return vm
    pairs = zip(vm.interfaces, form.read(document[name]), strict=True)
    return replace(vm, interfaces=tuple(replace(nic, group_ids=ids) for nic, ids in pairs))


def _add_requestors(vm: VirtualMachine, document: Mapping[str, Any]) -> VirtualMachine:
    """Return *vm* with the requestors of its occupations; an older version did not write them."""
    name, form = _REQUESTORS
    if not document.get(name):
        return vm
    pairs = zip(vm.occupations, form.read(document[name]), strict=True)
    return replace(vm, occupations=tuple(replace(o, requestor=by) for o, by in pairs))


def is_too_large(row: Row) -> bool:
    """Return True if the table refuses the document of a row; nothing is cut to make it fit."""
    return len(read_text(row)) > LARGEST
