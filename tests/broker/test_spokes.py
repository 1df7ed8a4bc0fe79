"""
Ways to a VM that the broker does not read: a load balancer's NAT rule, the firewall of a hub.

It supports neither. These laws say what it answers, and that this is so.
"""

import pytest

from jit.domain.errors import AccessDenied, Conflict
from jit.domain.model.machine import Support, Via
from tests.broker.inprocess import HERE, wish
from tests.builders.spokes import (
    IN_HUB,
    NSG,
    POLICY,
    VM,
    a_balancer,
    a_hub_firewall,
    a_spoke,
)
from tests.local.azure.sim import PRODUCTION, rule

FIREWALLS = "10.91.0.0/26"
"""AzureFirewallSubnet of the hub."""

ALLOW_FIREWALLS = rule(
    sourceAddressPrefix=FIREWALLS, destinationAddressPrefix="*", destinationPortRange="22"
)
NOBODY = "198.51.100.99"


@pytest.fixture(params=[a_balancer, a_hub_firewall], ids=["load balancer", "hub"])
def published(request, it):
    """A VM in a spoke, and a way to its port 22 that the broker does not read."""
    _put_spoke(it, request.param())
    return it


def _put_spoke(it, more):
    """Put in the spoke; Defender writes its deny rule when somebody writes the JIT policy."""
    it.edit(**a_spoke(), **more)
    policy = it.broker.sim.get(POLICY)
    assert it.broker.sim.call("PUT", POLICY, policy, as_="petra").status == 200
    it.broker.live(2)
    it.run(PRODUCTION)


def test_a_public_source_is_refused_although_packets_could_come(published):
    """The person must not wait for a path that the broker cannot observe."""
    with pytest.raises(AccessDenied) as refused:
        published.broker.ask(wish(VM, 22, HERE))

    assert [each.code for each in refused.value.violations] == ["source-not-private"]
    assert not published.broker.reachable(VM, 22, HERE)


def test_nobody_comes_in_by_it_while_a_private_source_has_a_grant(published):
    """The JIT deny rule stands in both ways; a grant opens one address of the hub."""
    request_id = published.broker.ask(wish(VM, 22, IN_HUB))
    published.broker.live(3)

    assert published.broker.status(request_id) == "open"
    assert published.broker.reachable(VM, 22, IN_HUB)
    assert not published.broker.reachable(VM, 22, NOBODY)
    published.broker.revoke(request_id)
    published.broker.live(10)
    assert published.broker.status(request_id) == "closed"
    assert not published.broker.reachable(VM, 22, IN_HUB)


def test_the_answer_about_such_a_vm_tells_what_the_broker_knows(published):
    """It has private addresses only: the broker supports it for private sources."""
    vm = published.broker.inventory.find_machine(VM)

    assert (vm.support, vm.via, vm.firewall_id) == (Support.CONFIGURED, Via.PRIVATE, None)


def test_packets_of_a_portal_user_come_by_a_load_balancer_until_defender_shuts_it(it):
    """The NSG sees the person's own address. The broker knows the request as other people's."""
    _put_spoke(it, a_balancer())
    it.broker.occupy(VM, 22, HERE, minutes=10)
    it.broker.live(1)
    it.run(PRODUCTION)
    during = it.broker.reachable(VM, 22, HERE)

    with pytest.raises(Conflict) as refused:
        it.broker.ask(wish(VM, 22, IN_HUB))
    it.broker.live(15)

    assert during
    assert [each.code for each in refused.value.violations] == ["occupied"]
    assert not it.broker.reachable(VM, 22, HERE)


def test_a_firewall_of_a_hub_let_in_by_a_customers_rule_is_told(it):
    """The NSG lets the hub's firewall in before JIT: a warning names that rule."""
    _put_spoke(it, a_hub_firewall())
    it.edit(**{f"{NSG}/securityRules/hub": {**ALLOW_FIREWALLS}})
    it.run(PRODUCTION)

    vm = it.broker.inventory.find_machine(VM)
    assert it.broker.reachable(VM, 22, NOBODY)
    assert [each.code for each in vm.warnings] == ["jit-bypassed"]


def test_a_grant_for_the_subnet_of_a_hubs_firewall_lets_everybody_in_whom_it_leads(it):
    """A limit: the broker does not read the NAT rules of a hub. The page for deciders says so."""
    _put_spoke(it, a_hub_firewall())
    request_id = it.broker.ask(wish(VM, 22, FIREWALLS))
    it.broker.live(3)
    during = it.broker.reachable(VM, 22, NOBODY)
    it.broker.revoke(request_id)
    it.broker.live(10)

    assert during
    assert it.broker.status(request_id) == "closed"
    assert not it.broker.reachable(VM, 22, NOBODY)
