"""VMs: the interface that a connection reaches, the rule of a port, VM ports."""

from jit.domain.model.machine import LONGEST_NAMES, VmPort, measure_names
from jit.domain.values import arm_ids
from tests.builders.machines import a_nic, a_rule, a_vm
from tests.builders.values import vm_id


def test_a_vm_port_is_the_same_in_any_case_of_the_vms_id():
    """ARM ids are case-insensitive."""
    one, other = VmPort.of(vm_id().upper(), 22), VmPort.of(vm_id().lower(), 22)

    assert (one, one.vm_key, one.port) == (other, arm_ids.key(vm_id()), 22)
    assert one != VmPort.of(vm_id(), 3389)


def test_the_primary_interface_is_offered_first():
    """The order of the list does not matter."""
    second, first = a_nic(id="second", primary=False), a_nic(id="first", primary=True)
    vm = a_vm(interfaces=(second, first))

    assert vm.ordered_interfaces == (first, second)


def test_without_a_primary_interface_the_order_is_that_of_the_list():
    """An inventory that does not say which is primary still has an answer."""
    one, other = a_nic(id="one", primary=False), a_nic(id="other", primary=False)
    vm = a_vm(interfaces=(one, other))

    assert vm.ordered_interfaces == (one, other)


def test_a_vm_finds_the_rule_of_a_port():
    """By its number; a port without a rule has none."""
    vm = a_vm(ports=(a_rule(22), a_rule(3389)))

    assert vm.find_rule(3389) == a_rule(3389)
    assert vm.find_rule(443) is None


def test_names_are_counted_together():
    """Azure bounds the sum of both names, 56 characters."""
    policy = "/a/b/locations/l/policies/default"

    assert measure_names(policy, vm_id("w" * 49)) == LONGEST_NAMES
    assert a_vm("w" * 49, policy_id=policy).names_fit
    assert not a_vm("w" * 50, policy_id=policy).names_fit


def test_names_of_a_vm_in_no_policy_fit():
    """The name of its policy is chosen later."""
    assert a_vm("w" * 64, policy_id=None).names_fit
