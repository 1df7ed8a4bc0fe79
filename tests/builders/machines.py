"""Builders of VMs, and of views: a VM with the NSGs and the firewall on its path."""

from dataclasses import replace

from jit.domain.model.machine import Interface, PortRule, Support, Via, VirtualMachine
from jit.domain.network_manager.security_admin_rules import NONE
from jit.domain.paths.machine_view import MachineView
from jit.domain.reconcile.observation import Observation
from jit.domain.values import arm_ids
from tests.builders.firewalls import a_firewall
from tests.builders.nsgs import an_nsg
from tests.builders.values import (
    BEHIND,
    FIREWALL_ID,
    HOUR,
    NETWORK,
    NSG_ID,
    POLICY_ID,
    PUBLIC,
    SUBNET_ID,
    VM,
    vm_id,
)


def a_rule(number=22, **changes):
    """The port rule of one port."""
    return PortRule(
        **{
            "number": number,
            "protocol": "TCP",
            "allowed_sources": ("*",),
            "max_duration": 3 * HOUR,
            **changes,
        }
    )


def a_nic(name="web01", **changes):
    """The interface of a VM, with a public address and an NSG."""
    return Interface(
        **{
            "id": f"{NETWORK}/networkInterfaces/{name}-nic",
            "private_ip": VM,
            "subnet_id": SUBNET_ID,
            "nsg_ids": (NSG_ID,),
            "public_ip": PUBLIC,
            "public_ip_id": f"{NETWORK}/publicIPAddresses/pip-{name}",
            **changes,
        }
    )


def a_vm(name="web01", **changes):
    """A VM with a public address, in a policy that allows port 22."""
    return VirtualMachine(
        **{
            "id": vm_id(name),
            "name": name,
            "location": "westeurope",
            "support": Support.CONFIGURED,
            "via": Via.PUBLIC_IP,
            "ports": (a_rule(),),
            **changes,
        }
    )


def a_configured_vm(name="web01", *, address=VM, nsgs=(NSG_ID,), firewall=False, **changes):
    """A VM in a policy for SSH and RDP, with its interface; behind the firewall if *firewall*."""
    way = {"via": Via.FIREWALL, "firewall_id": FIREWALL_ID, "firewall_sources": (BEHIND,)}
    public = {"public_ip": None, "public_ip_id": None} if firewall else {}
    return a_vm(
        name,
        **{
            "policy_id": POLICY_ID,
            "ports": (a_rule(22), a_rule(3389)),
            "interfaces": (a_nic(name, private_ip=address, nsg_ids=nsgs, **public),),
            "vnet_prefixes": ("10.1.0.0/16",),
            **(way if firewall else {}),
            **changes,
        },
    )


def inventory(*machines):
    """Those VMs by key, as a decision needs them."""
    return {arm_ids.key(machine.id): machine for machine in machines}


def a_view(*nsgs, firewall=None, admin=NONE, **changes):
    """The VM with those NSGs on its path; without any, an NSG with Defender's deny rule only."""
    held = nsgs or (an_nsg(),)
    return MachineView(
        vm=a_configured_vm(**changes),
        nsgs={arm_ids.key(nsg.id): nsg for nsg in held},
        firewall=firewall,
        admin=admin,
    )


def behind(firewall, *nsgs, **changes):
    """The VM behind *firewall*, without a public address of its own."""
    view = a_view(*nsgs, firewall=firewall)
    return replace(view, vm=a_configured_vm(firewall=True, **changes))


def an_observation(*rules, nats=(), vms=None, entries=(), settled=True, firewall=None):
    """A subscription with one NSG without a deny rule, one VM, and a firewall if it has *nats*."""
    nsg = an_nsg(*rules, settled=settled, deny=False)
    front = firewall or (a_firewall(*nats) if nats else None)
    machines = vms if vms is not None else (a_configured_vm(firewall=front is not None),)
    nsgs = {arm_ids.key(nsg.id): nsg}
    fronts = {arm_ids.key(front.id): front} if front is not None else {}
    views = {
        arm_ids.key(vm.id): MachineView(vm=vm, nsgs=nsgs, firewall=front, admin=NONE)
        for vm in machines
    }
    return Observation(nsgs=nsgs, firewalls=fronts, machines=views, entries=tuple(entries))
