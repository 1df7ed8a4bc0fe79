"""A subscription as it was read: Defender's rules in it, and how exactly they lead to one place."""

import pytest

from jit.domain.reconcile.observation import list_jit_rules
from tests.builders.firewalls import a_firewall, a_nat, arm_collection, nat_id
from tests.builders.machines import an_observation
from tests.builders.nsgs import an_allow, arm_companion, arm_rule, jit_name
from tests.builders.values import FIREWALL_ID, NSG_ID, VM


def found(observed):
    """The one rule of Defender's."""
    (rule,) = list_jit_rules(observed)
    return rule


def test_only_rules_with_names_of_defender_are_found():
    """Those of customers, the broker's companions and Defender's denies are not."""
    deny = arm_rule(300, "Deny", name="MicrosoftDefenderForCloud-JITRule_1_" + "A" * 32)
    customers = arm_collection(a_nat(name="jit-1"), name="customer")
    front = a_firewall(a_nat(name="jit-2"), others=[customers])
    observed = an_observation(
        an_allow(number=1), arm_rule(200, name="customer"), deny, arm_companion(), firewall=front
    )

    assert [rule.title for rule in list_jit_rules(observed)] == [
        jit_name(number=1),
        "MDC-JIT-fw-prod/jit-2",
    ]


def test_a_rule_of_an_nsg_stands_where_it_was_read():
    """Its id, its holder, the one address that it leads to."""
    rule = found(an_observation(an_allow(number=1)))

    assert (rule.path.holder_id, rule.path.collection, rule.path.target) == (NSG_ID, None, VM)
    assert (rule.addresses, rule.settled, rule.path.exact) == (frozenset({VM}), True, True)


def test_a_nat_rule_leads_to_the_translated_address_and_port():
    """People connect to another port of the firewall."""
    rule = found(an_observation(firewall=a_firewall(a_nat())))

    assert (rule.path.id, rule.path.holder_id) == (nat_id(), FIREWALL_ID)
    assert (rule.path.target, rule.path.port, rule.path.exact) == (VM, 22, True)
    assert (rule.leads_to(22), rule.leads_to(13389)) == (True, False)


@pytest.mark.parametrize(
    "changes",
    [
        {"port": ["22", "3389"]},
        {"port": "22-23"},
        {"to": [VM, "10.1.1.9"]},
        {"to": "10.1.1.0/24"},
        {"to": "*"},
        {"sourceApplicationSecurityGroups": [{"id": "/asg"}]},
    ],
)
def test_a_rule_that_leads_to_more_than_one_place_is_not_exact(changes):
    """Defender writes one port of one address."""
    assert not found(an_observation(an_allow(number=1, **changes))).path.exact


@pytest.mark.parametrize(
    "changes",
    [
        {"sourceIpGroups": ["/g"]},
        {"translatedAddress": ""},
        {"translatedFqdn": "web01.example.com"},
    ],
)
def test_a_nat_rule_for_a_group_or_a_name_is_not_exact(changes):
    """Nobody knows the members of the group, or the address behind the name."""
    assert not found(an_observation(firewall=a_firewall(a_nat(**changes)))).path.exact


def test_a_nat_rule_with_an_unreadable_port_leads_to_none():
    """The firewall takes numbers only; an empty text is no number."""
    rule = found(an_observation(firewall=a_firewall(a_nat(translatedPort=""))))

    assert (rule.path.port, rule.leads_to(22)) == (0, False)


@pytest.mark.parametrize(
    "observed",
    [
        an_observation(an_allow(number=1), settled=False),
        an_observation(an_allow(number=1, provisioningState="Updating")),
        an_observation(firewall=a_firewall(a_nat(), settled=False)),
        an_observation(firewall=a_firewall(a_nat(), failed=True)),
    ],
)
def test_a_rule_is_settled_only_if_its_holders_last_update_succeeded(observed):
    """Its list may not be in force before."""
    assert not found(observed).settled
