"""NAT rules of others that may lead to a VM port."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.azure.firewall import NatRule
from jit.domain.model.grant import Grant
from jit.domain.paths.foreign_nat import find_foreign_way, may_lead_to
from tests.builders.firewalls import a_customers, a_firewall, a_nat
from tests.builders.grants import an_open, through_firewall
from tests.builders.machines import a_nic, a_view, behind
from tests.builders.nsgs import an_nsg, arm_companion
from tests.builders.values import ELSEWHERE, FIREWALL_ID, HERE, HOME, NETWORK, VM

GRANT = through_firewall(an_open())
IN_GROUP = {"sourceAddresses": [], "sourceIpGroups": ["/ipGroups/staff"]}
BY_NAME = {"translatedAddress": "", "translatedFqdn": "web01.corp.example"}
ALIKE = {
    "from anywhere": {"sourceAddresses": ["*"]},
    "from the grant's own source": {"sourceAddresses": [HERE]},
    "from nowhere": {"sourceAddresses": []},
    "from a private address": {"sourceAddresses": ["10.9.0.0/16"]},
    "from an IP group": IN_GROUP,
    "to a name": BY_NAME,
    "to a name beside an address": {"translatedFqdn": "other.corp.example", "to": "10.9.9.9"},
    "to a prefix": {"to": "10.1.1.0/24"},
    "to an address that cannot be read": {"to": "10.1.1.4-10.1.1.9"},
    "to a range of ports": {"translatedPort": "20-25"},
    "to a port that cannot be read": {"translatedPort": "ssh"},
    "to no port": {"translatedPort": ""},
    "on a private address of the firewall": {"destinationAddresses": ["10.1.0.4"]},
    "on a range of ports": {"destinationPorts": ["10000-10100", "20000"]},
    "for any protocol": {"protocols": ["Any"]},
    "for both protocols": {"protocols": ["TCP", "UDP"]},
    "for no protocol": {"protocols": []},
}
"""Customers' rules that lead to port 22 of the VM, or may do so."""

APART = {
    "to another machine": {"to": "10.1.1.5"},
    "to another port": {"port": 3389},
    "to other ports": {"translatedPort": "23-30"},
    "for packets that the companion stops": {"protocols": ["UDP"]},
    "to a name, on another port": {**BY_NAME, "port": 3389},
}
"""Customers' rules that certainly do not."""


def behind_both(*rules, **changes):
    """The VM behind a firewall with Defender's rule and a customer's *rules*."""
    return behind(a_firewall(a_nat(), others=[a_customers(*rules)]), an_nsg(), **changes)


def way(view, grant: Grant = GRANT, asked=(HOME,)):
    return find_foreign_way(grant, view, asked)


@pytest.mark.parametrize("changes", ALIKE.values(), ids=ALIKE)
def test_a_customers_rule_that_may_lead_to_the_port_is_a_foreign_way(changes):
    """Neither its sources nor its destination count: they may change. Doubt leads there."""
    found = way(behind_both(a_nat(name="ssh", **changes)))

    assert found is not None
    assert (found.firewall_id, found.rule) == (FIREWALL_ID, "jump/ssh")
    assert "jump/ssh of firewall fw-prod" in found.explain()


@pytest.mark.parametrize("changes", APART.values(), ids=APART)
def test_a_customers_rule_that_leads_elsewhere_is_none(changes):
    """A companion opens one port of one address."""
    assert way(behind_both(a_nat(name="ssh", **changes))) is None


def test_every_collection_is_looked_at():
    """The second rule of the second collection counts as well."""
    others = [
        a_customers(a_nat(name="a", port=80)),
        a_customers(a_nat(name="b", port=81), a_nat(name="c", to=VM), name="late"),
    ]
    found = way(behind(a_firewall(a_nat(), others=others)))

    assert found is not None
    assert found.rule == "late/c"


def test_defenders_rule_for_the_grants_is_their_own():
    """The companion is made for it."""
    assert way(behind(a_firewall(a_nat()))) is None
    assert way(behind(a_firewall(a_nat())), asked=None) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"sourceAddresses": ["*"]},
        {"sourceAddresses": [HERE, "198.51.100.77"]},
        IN_GROUP,
        {"sourceAddresses": []},
        BY_NAME,
        {"translatedPort": "22-23"},
        {"to": "10.1.1.0/24"},
    ],
)
def test_a_rule_in_defenders_collection_that_nobody_asked_for_is_foreign(changes):
    """The name of a collection proves nothing: anybody may write into it."""
    found = way(behind(a_firewall(a_nat(), a_nat(name="mine", **changes))))

    assert found is not None
    assert found.rule.endswith("/mine")


def test_a_source_that_another_grant_of_the_port_asked_for_is_no_foreign_one():
    """Grants of one VM port share Defender's rule."""
    shared = behind(a_firewall(a_nat(HERE, str(ELSEWHERE))))

    assert way(shared, asked=(HOME, ELSEWHERE)) is None
    assert way(shared, asked=(HOME,)) is not None


def test_the_addresses_of_a_vm_are_all_that_its_companion_may_lead_to():
    """Now, before, and by the companion itself: another VM may have the old address by now."""
    before = through_firewall(an_open(private_ips=("10.1.1.7",)))
    second = (a_nic(), a_nic("second", private_ip="10.1.1.8", primary=False))
    old = an_nsg(arm_companion("g1", destinationAddressPrefix="10.1.1.9"))

    for to in ("10.1.1.7", "10.1.1.8", "10.1.1.9"):
        firewall = a_firewall(a_nat(), others=[a_customers(a_nat(name="ssh", to=to))])
        assert way(behind(firewall, old, interfaces=second), before) is not None, to


def test_a_firewall_that_follows_a_policy_has_ways_that_nobody_read():
    """Its classic rules hold no longer."""
    policy = f"{NETWORK}/firewallPolicies/central"
    found = way(behind(a_firewall(a_nat(), policy_id=policy)))

    assert found is not None
    assert (found.rule, "firewall policy central" in found.title) == ("", True)


def test_a_vm_that_no_classic_firewall_guards_any_more_has_a_foreign_way():
    """Its companion serves nobody. A firewall that could not be read is another matter."""
    assert way(a_view()) is not None
    assert way(behind(None)) is None


def test_a_grant_that_comes_another_way_has_no_foreign_way():
    """It has no companion."""
    assert way(behind_both(a_nat("*", name="ssh")), an_open()) is None


TEXTS = st.sampled_from(["", "*", "10.1.1.4", "10.1.1.0/24", "10.1.1.5", "web01", "10.1.1.4-9"])
PORTS = st.sampled_from(["", "*", "22", "20-30", "80", "ssh", "99999"])
PROTOCOLS = st.lists(st.sampled_from(["TCP", "UDP", "Any", "tcp", "ICMP"]), max_size=3)


@given(to=TEXTS, fqdn=st.sampled_from(["", "web01.corp"]), port=PORTS, protocols=PROTOCOLS)
def test_only_a_rule_that_was_read_in_full_leads_elsewhere(to, fqdn, port, protocols):
    """Doubt counts as leading there: to clear a rule, one of its parts must be clear."""
    rule = NatRule(
        collection="jump",
        priority=200,
        name="ssh",
        protocols=tuple(protocols),
        sources=("*",),
        ip_groups=(),
        destinations=("52.137.62.53",),
        ports=("22",),
        translated_address=to,
        translated_fqdn=fqdn,
        translated_port=port,
    )
    elsewhere = port == "80" or (to == "10.1.1.5" and not fqdn) or protocols_are(protocols, "UDP")

    assert may_lead_to(rule, (ip_network(VM),), 22, "TCP") is not elsewhere
    assert may_lead_to(rule, (ip_network(VM),), 22, "*") or not may_lead_to(
        rule, (ip_network(VM),), 22, "TCP"
    )


def protocols_are(protocols, only):
    return bool(protocols) and {text.upper() for text in protocols} == {only}
