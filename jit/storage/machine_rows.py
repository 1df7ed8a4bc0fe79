"""Rows of virtual machines: the inventory."""

from __future__ import annotations

from typing import Any

from jit.domain.model.machine import (
    Interface,
    MachineWarning,
    Occupation,
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
    SPAN,
    TEXTS,
    Column,
    ColumnMap,
    RowKind,
    by_position,
    enum,
    read_document,
    read_text,
    several,
    write_document,
)
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
_OCCUPATION = by_position(Occupation, port=PLAIN, sources=TEXTS, ends_at=INSTANT)
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
    Column("interfaces", "interfaces", several(_INTERFACE)),
    Column("firewall_id", "firewall_id"),
    Column("firewall_sources", "firewall_sources", TEXTS),
    Column("vnet_prefixes", "vnet_prefixes", TEXTS),
    Column("occupations", "occupations", several(_OCCUPATION)),
    Column("warnings", "warnings", several(_WARNING)),
)
"""The document of a VM."""

VM_ID = "Vm"


def write_machine_row(vm: VirtualMachine, partition: str, *, etag: str = "") -> Row:
    """Return the inventory row of a VM; see `is_too_large`."""
    document = write_document(MACHINE.write(vm), sort_keys=True)
    values: dict[str, Any] = MACHINE_KIND.add_format({VM_ID: vm.id, **document})
    return Row(partition=partition, key=keys.machine_key(vm.id), values=values, etag=etag)


def read_machine(row: Row) -> VirtualMachine:
    """
    Return the VM of a row.

    Raises:
        Defect: This version cannot read the row.
    """
    return MACHINE_KIND.read(row, parse_machine)


def parse_machine(row: Row) -> VirtualMachine:
    """Return the VM of a row of a known format."""
    return MACHINE.read(read_document(row))


def is_too_large(row: Row) -> bool:
    """Return True if the table refuses the document of a row; nothing is cut to make it fit."""
    return len(read_text(row)) > LARGEST
