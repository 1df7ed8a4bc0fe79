"""Builders for reconcile: grants, rules in NSGs and firewalls, requests in Defender."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

from jit.domain.azure.companion_rule import companion_body, companion_name
from jit.domain.azure.defender_requests import DefenderRequest
from jit.domain.azure.defender_rules import find_allow_rules
from jit.domain.azure.firewall import nat_rules
from jit.domain.model.grant import CloseReason, Status
from jit.domain.model.machine import Connection, Interface, PortRule, Support, Via, VirtualMachine
from jit.domain.paths.machine_view import FirewallView, MachineView, NsgView
from jit.domain.reconcile.observation import Observation
from jit.domain.values import arm_ids
from tests.builders.firewalls import FIREWALL_ID, arm_collection, arm_firewall, arm_nat_rule
from tests.builders.flat_grants import built
from tests.builders.nsgs import NSG_ID, VM, arm_rule, rules_of

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
GROUP = NSG_ID.partition("/providers/")[0]
VM_ID = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/web01"
OTHER_VM_ID = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/web02"
POLICY_ID = (
    f"{GROUP}/providers/Microsoft.Security/locations/westeurope/jitNetworkAccessPolicies/default"
)
SUBNETS = "10.1.0.0/26"
HERE, THERE = "203.0.113.7", "198.51.100.20"
INITIATE, FOREIGN = "a" * 26, None
MAPPED = 13389


def name_of(number):
    """The name of one of Defender's allow rules."""
    return f"MicrosoftDefenderForCloud-JITRule-1234-{number:032X}"


def rule_id(number):
    return f"{NSG_ID}/securityRules/{name_of(number)}"


def allow(number, source=HERE, /, *, port="22", to=VM, **changes):
    """One of Defender's allow rules."""
    return arm_rule(100 + number, name=name_of(number), source=source, port=port, to=to, **changes)


def a_guard(*rules, settled=True, nsg_id=NSG_ID):
    """An NSG with these rules, Azure's defaults and a rule that lets the VNet in."""
    parsed = rules_of(*rules)
    allows = find_allow_rules(parsed)
    return NsgView(id=nsg_id, settled=settled, rules=parsed, allows=allows)


def nat(name="jit-1", source=HERE, **changes):
    """One of Defender's DNAT rules: the public port 13389 leads to port 22 of the VM."""
    fields = {"sourceAddresses": [source], "translatedAddress": VM, "translatedPort": "22"}
    return arm_nat_rule(name, **(fields | changes))


def nat_id(name="jit-1"):
    return f"{FIREWALL_ID}/natRuleCollections/MDC-JIT-fw-prod/rules/{name}"


def a_firewall(*rules, settled=True, failed=False, others=()):
    """A firewall with these of Defender's DNAT rules, and the collections *others*."""
    body = arm_firewall(arm_collection(*rules), *others)
    return FirewallView(
        id=FIREWALL_ID,
        settled=settled,
        failed=failed,
        etag='W/"7"',
        foreign="digest",
        nat_rules=nat_rules(body),
    )


def a_vm(vm_id=VM_ID, address=VM, *, firewall=False, nsgs=(NSG_ID,), **changes):
    nic = Interface(
        id=f"{GROUP}/providers/Microsoft.Network/networkInterfaces/{arm_ids.name(vm_id)}-nic",
        private_ip=address,
        subnet_id=f"{GROUP}/providers/Microsoft.Network/virtualNetworks/vnet-prod/subnets/web",
        nsg_ids=nsgs,
        public_ip="20.71.10.11",
        public_ip_id=f"{GROUP}/providers/Microsoft.Network/publicIPAddresses/pip",
    )
    fields = {
        "id": vm_id,
        "name": arm_ids.name(vm_id),
        "location": "westeurope",
        "support": Support.CONFIGURED,
        "via": Via.FIREWALL if firewall else Via.PUBLIC_IP,
        "policy_id": POLICY_ID,
        "ports": (PortRule(number=22, protocol="TCP", allowed_sources=("*",), max_duration=HOUR),),
        "interfaces": (nic,),
        "firewall_id": FIREWALL_ID if firewall else None,
        "firewall_sources": (SUBNETS,) if firewall else (),
        "vnet_prefixes": ("10.1.0.0/16",),
    }
    return VirtualMachine(**(fields | changes))


def entry(source=HERE, /, *, initiate_id=INITIATE, minutes=30, vm_id=VM_ID, port=22, **changes):
    """A request as Defender's policy lists it, that ends so many minutes from now."""
    fields = {
        "vm_id": vm_id,
        "port": port,
        "initiate_id": initiate_id,
        "sources": (source,),
        "ends_at": NOON + minutes * MINUTE,
        "active": True,
        "reason": "UserRequested",
        "mapped_port": None,
        "started_at": NOON - HOUR,
    }
    return DefenderRequest(**(fields | changes))


def seen(*rules, nats=(), vms=None, entries=(), settled=True, firewall=None):
    """A subscription with one NSG, one VM unless told, and a firewall where there are *nats*."""
    nsg = a_guard(*rules, settled=settled)
    front = firewall or (a_firewall(*nats) if nats else None)
    machines = vms if vms is not None else (a_vm(firewall=front is not None),)
    nsgs = {arm_ids.key(nsg.id): nsg}
    fronts = {arm_ids.key(front.id): front} if front is not None else {}
    views = {arm_ids.key(vm.id): MachineView(vm=vm, nsgs=nsgs, firewall=front) for vm in machines}
    return Observation(nsgs=nsgs, firewalls=fronts, machines=views, entries=tuple(entries))


def a_grant(number=1, /, *, status=Status.OPEN, sources=(HERE,), rules=(), **changes):
    """A grant of port 22 of the VM that was opened an hour ago and ends in 30 minutes."""
    fields = {
        "id": f"request{number}-0-22",
        "request_id": f"request{number}",
        "vm_id": VM_ID,
        "policy_id": POLICY_ID,
        "port": 22,
        "protocol": "TCP",
        "sources": tuple(ip_network(source) for source in sources),
        "via": Via.PUBLIC_IP,
        "starts_at": NOON - HOUR,
        "duration": HOUR,
        "latest_end": NOON + HOUR,
        "next_check_at": NOON + HOUR,
        "status": status,
        "expires_at": NOON + 30 * MINUTE,
        "admitted_at": NOON - HOUR,
        "opened_at": NOON - HOUR,
        "connection": Connection(via=Via.PUBLIC_IP, address="20.71.10.11", port=22, command="ssh"),
        "initiates": (INITIATE,),
        "initiated_at": NOON - HOUR,
        "answered": True,
        "seen": True,
        "rules": tuple(map(rule_id, rules)),
        "private_ips": (VM,),
    }
    return built(**(fields | changes))


def ended(
    number=1, /, *, ago=20 * MINUTE, reason=CloseReason.EXPIRED, status=Status.CLOSED, **changes
):
    """A grant whose end was so long *ago*, closed unless told otherwise."""
    end = NOON - ago
    fields = {
        "expires_at": end,
        "closing_at": end,
        "closed_at": end,
        "close_reason": reason,
        "status": status,
    }
    return a_grant(number, **(fields | changes))


def arm_companion(grant_id="request1-0-22", /, *, name=None, **changes):
    """The companion rule of a grant, as an NSG holds it."""
    body = companion_body(
        grant_id, private_ip=VM, port=22, protocol="TCP", sources=(SUBNETS,), priority=99 + 1
    )
    named = name or companion_name(grant_id)
    fields = {"provisioningState": "Succeeded", **body["properties"], **changes}
    return {"id": f"{NSG_ID}/securityRules/{named}", "name": named, "properties": fields}
