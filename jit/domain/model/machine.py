"""Virtual machines, their interfaces, and the ports of their JIT policies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from jit.domain.model.absence import Absence
from jit.domain.model.bastion import Bastion
from jit.domain.values import arm_ids
from jit.domain.values.prefixes import Prefix

LONGEST_NAMES = 56
"""
The longest names of a policy and a VM together, in characters.

Source: https://learn.microsoft.com/azure/defender-for-cloud/just-in-time-access-usage
"""


class Via(StrEnum):
    """The way that packets take to a VM."""

    FIREWALL = "firewall"  # DNAT on a classic-rules Azure Firewall in the VM's own VNet
    PUBLIC_IP = "public-ip"  # a public address of the VM, guarded by NSGs
    PRIVATE = "private"  # the VNet only, guarded by NSGs


class Support(StrEnum):
    """The support of Defender's just-in-time access for a VM: the portal's three tabs."""

    CONFIGURED = "Configured"
    NOT_CONFIGURED = "NotConfigured"
    UNSUPPORTED = "Unsupported"


class VmPort(NamedTuple):
    """A port of a VM: the key of the VM's ARM id, and the number."""

    vm_key: str
    port: int

    @classmethod
    def of(cls, vm_id: str, port: int) -> VmPort:
        """Return the VM port of an ARM id, written in any case."""
        return cls(arm_ids.key(vm_id), port)


INTERNET = "Internet"
"""The service tag that a JIT policy may name as a source: any public address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRule:
    """
    The access that a JIT policy allows for one port of one VM.

    Attributes:
        number: Destination port.
        protocol: ``TCP``, ``UDP`` or ``*``.
        allowed_sources: ``*``, `INTERNET` or prefixes, as text. A text that is not understood is
            as Defender returns it.
        max_duration: The longest access Defender grants.

    Source:
        Microsoft.Security 2020-01-01, ``JitNetworkAccessPortRule``.
    """

    number: int
    protocol: str
    allowed_sources: tuple[str, ...]
    max_duration: timedelta


class PolicyField(StrEnum):
    """
    A field of a JIT policy, as Azure names it.

    Source:
        Microsoft.Security 2020-01-01, ``JitNetworkAccessPolicyVirtualMachine``.
    """

    ENTRIES = "virtualMachines"
    PORTS = "ports"
    NUMBER = "number"
    PROTOCOL = "protocol"
    SOURCE = "allowedSourceAddressPrefix"
    SOURCES = "allowedSourceAddressPrefixes"
    DURATION = "maxRequestAccessDuration"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFault:
    """
    A part of a VM's JIT policy that the broker does not understand.

    Attributes:
        port: The port that it is about; None if it is about the VM, or about no known port.
        field: A `PolicyField`, as text.
        detail: One clause for people.
    """

    port: int | None
    field: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """
    A network interface of a VM with one of its addresses (ARM: one IP configuration).

    A VM with several network interfaces, or several IP configurations on one, has several.

    Attributes:
        id: ARM id of the network interface.
        private_ip: Private address of the IP configuration; empty if it has none now.
        subnet_id: ARM id of its subnet.
        nsg_ids: NSGs that guard it: on the NIC, on the subnet, or both.
        public_ip: Its own public address, if any.
        public_ip_id: ARM id of that address.
        primary: True for the primary IP configuration of the VM's primary network interface.
        group_ids: ARM ids of the application security groups that it is a member of. None if they
            are not known, as in a row that an older version wrote.
    """

    id: str
    private_ip: str
    subnet_id: str
    nsg_ids: tuple[str, ...]
    public_ip: str | None = None
    public_ip_id: str | None = None
    primary: bool = True
    group_ids: tuple[str, ...] | None = None

    @property
    def group_keys(self) -> frozenset[str] | None:
        """The keys of its application security groups; None if they are not known."""
        return None if self.group_ids is None else frozenset(map(arm_ids.key, self.group_ids))


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupation:
    """
    A foreign, unexpired Defender request on one port of a VM.

    Attributes:
        requestor: The identity that made it, as Defender writes it: an e-mail address or an object
            id. None if it is not known.
    """

    port: int
    sources: tuple[str, ...]
    ends_at: datetime
    requestor: str | None = None


class Origin(StrEnum):
    """The origin of access that no grant gives."""

    PORTAL = "portal"  # a request in Defender that somebody else made
    ORPHAN = "orphan"  # a rule of Defender's form that no grant and no request accounts for


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherAccess:
    """
    Access to one port of a VM that no grant gives.

    Attributes:
        sources: Prefixes, as text; the first `MOST_SOURCES` of them.
        until: The end of a request, the latest possible time if it cannot be read; None for a rule
            without a request in force.
        requestor: As in `Occupation`.
    """

    port: int
    sources: tuple[str, ...]
    until: datetime | None
    requestor: str | None
    origin: Origin


MOST_OTHERS, MOST_SOURCES = 50, 20
"""Others that are kept of one VM, and sources of each of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineWarning:
    """Something about a VM that its owner should know."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """
    A standing reason why no grant can open one port of a VM, to any source or to some.

    Attributes:
        port: Port of the VM.
        code: Code of the violation: stable, kebab-case.
        detail: The reason, and the action to take: a part of a sentence for people.
        sources: The prefixes from which nothing gets in; empty for every source.
        until: It does not count from then on, because it was not read again; None for no limit.
    """

    port: int
    code: str
    detail: str
    sources: tuple[Prefix, ...] = ()
    until: datetime | None = None

    def is_in_force(self, port: int, now: datetime) -> bool:
        """Return True if it counts *now*, for *port*."""
        return self.port == port and (self.until is None or now < self.until)


def measure_names(policy_id: str, vm_id: str) -> int:
    """Return the number of characters that `LONGEST_NAMES` limits."""
    return sum(len(resource_id.rsplit("/", 1)[-1]) for resource_id in (policy_id, vm_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualMachine:
    """
    A VM as the inventory knows it.

    Attributes:
        id: ARM id.
        support: The support of JIT for it.
        reasons: Why it is not ``Configured``, in words.
        via: The way packets take; ``firewall`` when both ways exist.
        policy_id: ARM id of its JIT policy, if configured.
        ports: The policy's port rules for this VM.
        policy_faults: The parts of the policy that are not understood.
        firewall_id: Classic-rules firewall in its VNet, if any.
        firewall_sources: Prefixes of AzureFirewallSubnet: the sources that the VM sees.
        vnet_prefixes: Address space of its VNet (the tag ``VirtualNetwork`` covers at least it).
        occupations: Foreign requests in force when this was read.
        unsettled: Codes of the warnings that could not be judged when this was read, because
            something that they depend on was being updated. It is not stored.
        obstacles: Why some of its ports could not be opened when this was read.
        absences: The VM itself, or resources of it, that the lists of its subscription lack.
        is_in_doubt: True if it is as last known, in whole or in part, because the lists lack
            something that may still exist. It is not stored.
        others: Access beside *occupations* that no grant gives, as the last comparison found it.
            None if this reading cannot tell.
        bastions: The Bastions that reach it, the preferred one first. None if they are not known,
            as in a row that an older version wrote.
    """

    id: str
    name: str
    location: str
    support: Support
    reasons: tuple[str, ...] = ()
    via: Via = Via.PRIVATE
    policy_id: str | None = None
    ports: tuple[PortRule, ...] = ()
    policy_faults: tuple[PolicyFault, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    firewall_id: str | None = None
    firewall_sources: tuple[str, ...] = ()
    vnet_prefixes: tuple[str, ...] = ()
    occupations: tuple[Occupation, ...] = ()
    warnings: tuple[MachineWarning, ...] = ()
    unsettled: frozenset[str] = frozenset()
    obstacles: tuple[Obstacle, ...] = ()
    others: tuple[OtherAccess, ...] | None = None
    absences: tuple[Absence, ...] = ()
    is_in_doubt: bool = False

    @property
    def is_unlisted(self) -> bool:
        """True if the last list of VMs lacked it."""
        return any(absence.key == arm_ids.key(self.id) for absence in self.absences)

    bastions: tuple[Bastion, ...] | None = None

    @property
    def ordered_interfaces(self) -> tuple[Interface, ...]:
        """The interfaces in the order in which people are offered their addresses."""
        return tuple(sorted(self.interfaces, key=lambda nic: not nic.primary))

    def keep_warnings(self, last: VirtualMachine) -> VirtualMachine:
        """Return the VM with the warnings of *last* that could not be judged now."""
        kept = tuple(each for each in last.warnings if each.code in self.unsettled)
        return replace(self, warnings=(*self.warnings, *kept), unsettled=frozenset())

    @property
    def network_id(self) -> str:
        """ARM id of its virtual network, which all its interfaces are in; empty without any."""
        nic = next(iter(self.ordered_interfaces), None)
        return nic.subnet_id.rsplit("/subnets/", 1)[0] if nic is not None else ""

    @property
    def names_fit(self) -> bool:
        """False if the names of the VM and of its JIT policy are too long for Defender."""
        return self.policy_id is None or measure_names(self.policy_id, self.id) <= LONGEST_NAMES

    def find_rule(self, port: int) -> PortRule | None:
        """Return the policy's rule for *port*, if it has one."""
        return next((rule for rule in self.ports if rule.number == port), None)

    def find_policy_fault(self, port: int | None, *fields: str) -> PolicyFault | None:
        """Return the first fault of the policy about *port* in one of *fields*, if there is one."""
        faults = (fault for fault in self.policy_faults if fault.port == port)
        return next((fault for fault in faults if fault.field in fields), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """
    The address and command by which a person connects.

    Attributes:
        via: The way of the VM. By a Bastion the address is the VM's private one.
    """

    via: Via
    address: str
    port: int
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MachinePolicy:
    """
    The JIT policy that an operator wants for one VM.

    Attributes:
        id: ARM id as the caller wrote it, checked for form only.
        ports: At least one, unique by number; empty if the VM leaves its policy.
        pointer: Its place in the body, ``#/virtualMachines/0``.
    """

    id: str
    ports: tuple[PortRule, ...]
    pointer: str
