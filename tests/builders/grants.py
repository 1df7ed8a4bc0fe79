"""Builders of grants, of VMs with what is on their paths, and of Defender's entries for them."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network

from jit.domain.azure import defender_rules, firewall, nsg_rules
from jit.domain.azure.defender_requests import DefenderRequest
from jit.domain.model.grant import Status
from jit.domain.model.machine import Interface, Via
from jit.domain.paths.machine_view import FirewallView, MachineView, NsgView
from jit.domain.values import arm_ids
from tests.builders.bodies import NOW, SUBSCRIPTION, a_rule, a_vm, vm_id
from tests.builders.firewalls import FIREWALL_ID, JIT_COLLECTION, arm_collection, arm_firewall
from tests.builders.firewalls import arm_nat_rule as arm_nat
from tests.builders.flat_grants import built
from tests.builders.nsgs import NSG_ID, VM, arm_nsg, arm_rule

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
POLICY_ID = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-web/providers/Microsoft.Security"
    "/locations/westeurope/jitNetworkAccessPolicies/default"
)
SUBNET_ID = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-web/providers/Microsoft.Network"
    "/virtualNetworks/vnet-prod/subnets/snet-web"
)
OTHER_NSG_ID = NSG_ID.replace("nsg-web", "nsg-subnet")
FRONT = "52.137.62.53"
PUBLIC = "20.71.10.11"
BEHIND = "10.1.0.0/26"
HOME = ip_network("203.0.113.7/32")
OFFICE = ip_network("198.51.100.0/24")
ELSEWHERE = ip_network("192.0.2.1/32")
MINE = "a" * 26
NEXT = "b" * 26


def a_grant(name="g1", **changes):
    """A grant of two hours for SSH from HOME, due now, nothing done about it yet."""
    return built(
        **{
            "id": name,
            "request_id": f"request-{name}",
            "vm_id": vm_id(),
            "policy_id": POLICY_ID,
            "port": 22,
            "protocol": "TCP",
            "sources": (HOME,),
            "via": Via.PUBLIC_IP,
            "starts_at": NOW,
            "duration": 2 * HOUR,
            "latest_end": NOW + 4 * HOUR,
            "next_check_at": NOW,
            **changes,
        }
    )


def an_opening(name="g1", **changes):
    """A grant whose initiate has been answered just now."""
    return a_grant(
        name,
        **{
            "status": Status.OPENING,
            "admitted_at": NOW,
            "expires_at": NOW + 2 * HOUR,
            "initiates": (MINE,),
            "initiated_at": NOW,
            "answered": True,
            "attempts": 1,
            **changes,
        },
    )


def an_open(name="g1", **changes):
    """A grant that was observed open."""
    seen = {
        "status": Status.OPEN,
        "opened_at": NOW,
        "written": True,
        "seen": True,
        "private_ips": (VM,),
    }
    return an_opening(name, **{**seen, **changes})


def an_entry(*sources, initiate_id=MINE, **changes):
    """Defender's entry for SSH to the VM: in force for two hours."""
    return DefenderRequest(
        **{
            "vm_id": vm_id(),
            "port": 22,
            "initiate_id": initiate_id,
            "sources": sources or (str(HOME.network_address),),
            "ends_at": NOW + 2 * HOUR,
            "active": True,
            "reason": "UserRequested",
            "mapped_port": None,
            "started_at": NOW,
            **changes,
        }
    )


# ---- what is on the path ---------------------------------------------------------------------


def jit_name(kind="-", number=1):
    """A name as Defender gives it: ``-`` for an allow rule, ``_`` for a deny rule."""
    return f"MicrosoftDefenderForCloud-JITRule{kind}-17{kind}{number:032X}"


def an_allow(*sources, number=1, priority=100, port="22", to=VM, **changes):
    """One of Defender's allow rules."""
    texts = [*sources] if sources else [str(HOME.network_address)]
    return arm_rule(
        priority,
        name=jit_name("-", number),
        source=texts[0] if len(texts) == 1 else texts,
        port=port,
        to=to,
        **changes,
    )


def the_deny(*ports, priority=4096, to=VM):
    """Defender's deny rule of the VM."""
    return arm_rule(priority, "Deny", name=jit_name("_"), port=[*ports] or ["22"], to=to)


def a_guard(*rules, nsg_id=NSG_ID, settled=True):
    """An NSG with those rules, Defender's deny and Azure's defaults."""
    body = arm_nsg(*(_moved(rule, nsg_id) for rule in (*rules, the_deny("22", "3389"))))
    parsed = nsg_rules.parse_rules(body)
    return NsgView(
        id=nsg_id,
        settled=settled,
        rules=parsed,
        allows=defender_rules.find_allow_rules(parsed),
    )


def _moved(rule, nsg_id):
    return {**rule, "id": f"{nsg_id}/securityRules/{rule['name']}"}


def a_nat(*sources, port=22, mapped=10022, to=VM, name=None, **changes):
    """One of Defender's DNAT rules, as ARM writes it."""
    fields = {
        "sourceAddresses": [*sources] or [str(HOME.network_address)],
        "destinationAddresses": [FRONT],
        "destinationPorts": [str(mapped)],
        "translatedAddress": to,
        "translatedPort": str(port),
        **changes,
    }
    return arm_nat(name or f"MDC-JIT-web01-{port}", **fields)


def a_firewall(*rules, collection=JIT_COLLECTION, settled=True, failed=False):
    """A firewall with those DNAT rules."""
    body = arm_firewall(arm_collection(*rules, name=collection))
    return FirewallView(
        id=FIREWALL_ID,
        settled=settled,
        failed=failed,
        etag='W/"7"',
        foreign=firewall.foreign_digest(body),
        nat_rules=firewall.nat_rules(body),
    )


def a_nic(**changes):
    """The VM's interface, with a public address, guarded by an NSG of its own."""
    return Interface(
        **{
            "id": f"{NSG_ID.rsplit('/', 2)[0]}/networkInterfaces/web01-nic",
            "private_ip": VM,
            "subnet_id": SUBNET_ID,
            "nsg_ids": (NSG_ID,),
            "public_ip": PUBLIC,
            **changes,
        }
    )


def a_machine(**changes):
    """A configured VM with SSH and RDP in its policy, reached by its public address."""
    return a_vm(
        **{
            "policy_id": POLICY_ID,
            "ports": (a_rule(22), a_rule(3389)),
            "interfaces": (a_nic(),),
            "vnet_prefixes": ("10.1.0.0/16",),
            **changes,
        }
    )


def a_view(*nsgs, firewall=None, **changes):
    """The VM with those NSGs on its path; an NSG with Defender's deny alone if none is given."""
    held = nsgs or (a_guard(),)
    return MachineView(
        vm=a_machine(**changes),
        nsgs={arm_ids.key(nsg.id): nsg for nsg in held},
        firewall=firewall,
    )


def behind(firewall, *nsgs, **changes):
    """The VM behind *firewall*, without a public address of its own."""
    way = {
        "via": Via.FIREWALL,
        "firewall_id": FIREWALL_ID,
        "firewall_sources": (BEHIND,),
        "interfaces": (a_nic(public_ip=None),),
    }
    return a_view(*nsgs, firewall=firewall, **{**way, **changes})


def through_firewall(grant):
    """The same grant, behind the firewall."""
    return replace(grant, via=Via.FIREWALL, firewall_id=FIREWALL_ID)
