"""A VM with the NSGs and the firewall on its path, as read just now."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace

from jit.domain.azure import arm_json, defender_rules, firewall, nsg_rules
from jit.domain.azure.arm_json import Resource
from jit.domain.azure.firewall import NatRule
from jit.domain.azure.nsg_rules import SecurityRule
from jit.domain.model.machine import Interface, VirtualMachine
from jit.domain.network_manager.security_admin_rules import NOT_READ, AdminRules
from jit.domain.values import arm_ids
from jit.domain.values.memo import Memo


@dataclass(frozen=True, slots=True, kw_only=True)
class NsgView:
    """
    An NSG as read.

    Attributes:
        settled: Its provisioning state is ``Succeeded``.
        allows: The allow rules of Defender among *rules*.
        failed: Its last update failed, so packets may meet other rules than the listed ones.
    """

    id: str
    settled: bool
    rules: tuple[SecurityRule, ...]
    allows: tuple[SecurityRule, ...]
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallView:
    """
    A classic-rules firewall as read.

    Attributes:
        settled: Its provisioning state is ``Succeeded``.
        failed: Its last update failed, so its instances may have different rules.
        etag: The version that was read.
        foreign: Digest of everything in it that is not Defender's.
        policy_id: ARM id of its firewall policy: then other NAT rules hold than *nat_rules*.
        deallocated: It has no IP configuration: it is stopped, and lets nothing through.
    """

    id: str
    settled: bool
    failed: bool
    etag: str
    foreign: str
    nat_rules: tuple[NatRule, ...]
    policy_id: str = ""
    deallocated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineView:
    """
    A VM with everything on its path, as read just now.

    Attributes:
        admin: The security admin rules of its network; they may be older than the rest.
        former: NSGs that are not on the path, as far as the VM is known, and have recorded rules.
        former_firewalls: The same of firewalls.
        holding: The *former_firewalls*, once rules are looked for in them too.
        unread_bastions: Keys of Bastions that could not be read, or their network could not.
        memo: Answers about this view that several grants ask for. A changed view has none.
    """

    vm: VirtualMachine
    nsgs: Mapping[str, NsgView]
    firewall: FirewallView | None = None
    admin: AdminRules = NOT_READ
    former: Mapping[str, NsgView] = field(default_factory=dict)
    former_firewalls: tuple[FirewallView, ...] = ()
    holding: tuple[FirewallView, ...] = ()
    unread_bastions: frozenset[str] = frozenset()
    memo: Memo = field(default_factory=Memo, init=False, compare=False, repr=False)

    @property
    def firewalls(self) -> tuple[FirewallView, ...]:
        """The firewalls to look for rules in: the one before the VM, and those of ``holding``."""
        return (*((self.firewall,) if self.firewall is not None else ()), *self.holding)

    def add_former(self) -> MachineView:
        """
        Return the view with the former NSGs and the former firewalls as holders of rules.

        A firewall that is deallocated lets nobody in. When it is started again, its rules do.
        """
        nsgs = {**self.former, **self.nsgs}
        return replace(self, nsgs=nsgs, holding=self.former_firewalls)

    def keep_former(self, keys: Container[str]) -> MachineView:
        """Return the view with those former NSGs and firewalls only whose keys are in *keys*."""
        return replace(
            self,
            former={key: nsg for key, nsg in self.former.items() if key in keys},
            holding=tuple(each for each in self.holding if arm_ids.key(each.id) in keys),
        )

    def nsgs_of(self, interface: Interface) -> list[NsgView] | None:
        """Return the NSGs of an interface; None if one of them could not be read."""
        found = [self.nsgs.get(arm_ids.key(nsg_id)) for nsg_id in interface.nsg_ids]
        return None if None in found else [nsg for nsg in found if nsg is not None]


def view_machine(
    vm: VirtualMachine,
    nsgs: Mapping[str, NsgView],
    firewalls: Mapping[str, FirewallView],
    admin: AdminRules = NOT_READ,
) -> MachineView:
    """Return a VM with the NSGs, the firewall and the security admin rules on its path."""
    keys = [arm_ids.key(nsg_id) for nic in vm.interfaces for nsg_id in nic.nsg_ids]
    return MachineView(
        vm=vm,
        nsgs={key: nsgs[key] for key in keys if key in nsgs},
        firewall=firewalls.get(arm_ids.key(vm.firewall_id)) if vm.firewall_id else None,
        admin=admin,
    )


def view_nsg(nsg: Resource) -> NsgView:
    """Return the view of an NSG, from its JSON."""
    rules = nsg_rules.parse_rules(nsg)
    state = arm_json.read_provisioning_state(nsg)
    return NsgView(
        id=arm_json.text(nsg, "id"),
        settled=state == "Succeeded",
        failed=state == "Failed",
        rules=rules,
        allows=defender_rules.find_allow_rules(rules),
    )


def view_firewall(body: Resource) -> FirewallView:
    """Return the view of a firewall, from its JSON."""
    state = arm_json.read_provisioning_state(body)
    return FirewallView(
        id=arm_json.text(body, "id"),
        settled=state == "Succeeded",
        failed=state == "Failed",
        etag=arm_json.read_etag(body) or "",
        foreign=firewall.digest_foreign_parts(body),
        nat_rules=firewall.parse_nat_rules(body),
        policy_id=firewall.read_firewall_policy_id(body) or "",
        deallocated=not firewall.list_subnet_ids(body),
    )
