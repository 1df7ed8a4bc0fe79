"""A VM that no longer exists, rebuilt from its grants."""

from dataclasses import replace

from jit.domain.inventory.deleted_machine import rebuild_machine
from jit.domain.model.machine import Support, Via
from jit.domain.paths import rules
from jit.domain.paths.machine_view import MachineView
from tests.builders.firewalls import a_firewall, a_nat, nat_id
from tests.builders.grants import an_older, changed
from tests.builders.nsgs import an_allow, an_nsg, rule_id
from tests.builders.values import FIREWALL_ID, NSG_ID, VM, VM_ID


def test_it_has_the_addresses_and_nsgs_of_its_grants_rules():
    """Each once, however many grants name them."""
    vm = rebuild_machine(
        [an_older(1, rules=[1]), an_older(2, rules=[2], private_ips=(VM, "10.1.1.9"))]
    )

    assert rules.list_addresses(vm) == (VM, "10.1.1.9")
    assert {nsg for nic in vm.interfaces for nsg in nic.nsg_ids} == {NSG_ID.lower()}


def test_its_first_address_is_the_one_that_connections_reached():
    """The primary one is recorded first."""
    vm = rebuild_machine([an_older(private_ips=(VM, "10.1.1.9"))])

    assert vm.ordered_interfaces[0].private_ip == VM


def test_it_is_behind_the_firewall_of_its_grants():
    """NAT rules name no NSG."""
    grant = changed(an_older(), via=Via.FIREWALL, firewall_id=FIREWALL_ID, rules=(nat_id(),))
    vm = rebuild_machine([grant])

    assert (vm.via, vm.firewall_id) == (Via.FIREWALL, FIREWALL_ID)
    assert vm.interfaces[0].nsg_ids == ()


def test_a_companion_tells_an_nsg_too():
    """It was recorded before it was created."""
    grant = an_older(companions=(f"{NSG_ID}/securityRules/jit-broker-x",))

    assert rebuild_machine([grant]).interfaces[0].nsg_ids == (NSG_ID.lower(),)


def test_it_cannot_be_asked_for():
    """Nobody may decide about access by it."""
    vm = rebuild_machine([an_older()])

    assert (vm.id, vm.support, vm.ports) == (VM_ID, Support.UNSUPPORTED, ())


def test_a_look_finds_the_rules_that_outlived_it():
    """This is its purpose."""
    grant = replace(an_older(rules=[1]), via=Via.FIREWALL, firewall_id=FIREWALL_ID)
    nsgs = {NSG_ID.lower(): an_nsg(an_allow(number=1), deny=False)}
    view = MachineView(vm=rebuild_machine([grant]), nsgs=nsgs, firewall=a_firewall(a_nat()))

    found = rules.find_port_rules(view, grant.port)

    assert {rule.id for rule in found} == {rule_id(1), nat_id()}


def test_grants_that_never_saw_a_rule_give_a_vm_without_interfaces():
    """There is nothing to look at."""
    assert rebuild_machine([an_older(private_ips=())]).interfaces == ()
