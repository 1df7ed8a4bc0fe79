"""Rules of Defender: recognised by name, and matched to grants by port, address and sources."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.azure.defender_rules import (
    JitKind,
    JitName,
    find_allow_rules,
    is_altered,
    is_jit_allow_name,
    matches,
    matches_within,
    opens_one_port,
    parse_jit_name,
)
from jit.domain.azure.firewall import parse_nat_rules
from jit.domain.azure.nsg_rules import PortRange, RuleProtocol
from tests.builders.firewalls import arm_collection, arm_firewall, arm_nat_rule
from tests.builders.nsgs import arm_rule, rules_of
from tests.builders.values import NSG_ID, VM

HEX = "0123456789ABCDEF" * 2
ALLOW = f"MicrosoftDefenderForCloud-JITRule-1234-{HEX}"
DENY = f"MicrosoftDefenderForCloud-JITRule_1234_{HEX}"
ALICE = ip_network("203.0.113.7/32")
DAVE = ip_network("198.51.100.0/24")


def an_allow(**changes):
    """One of Defender's allow rules, as read from an NSG."""
    wanted = {"name": ALLOW, "source": "203.0.113.7", "to": VM, "port": "22"}
    (rule,) = find_allow_rules(rules_of(arm_rule(100, **(wanted | changes))))
    return rule


def a_nat_rule(*, collection="MDC-JIT-fw-prod", **changes):
    """One of Defender's DNAT rules, as read from a firewall."""
    firewall = arm_firewall(arm_collection(arm_nat_rule(**changes), name=collection))
    (rule,) = parse_nat_rules(firewall)
    return rule


def both(rule, *, private_ip=VM, port=22, sources=(ALICE,)):
    """Return the answers of `matches` and `matches_within`."""
    wanted = {"private_ip": private_ip, "port": port, "sources": sources}
    return matches(rule, **wanted), matches_within(rule, **wanted)


# ---- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize("brand", ["SecurityCenter", "MicrosoftDefenderForCloud"])
@pytest.mark.parametrize(("mark", "kind"), [("_", JitKind.DENY), ("-", JitKind.ALLOW)])
@pytest.mark.parametrize("number", [0, 1234, -1234, -(2**31), 2**31 - 1])
def test_names_of_both_generations_are_read(brand, mark, kind, number):
    """Brand, kind, number and digits come back."""
    parsed = parse_jit_name(f"{brand}-JITRule{mark}{number}{mark}{HEX}")

    assert parsed == JitName(kind, number, HEX)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "allow-rdp",
        f"MicrosoftDefenderForCloud-JITRule_1234-{HEX}",
        f"MicrosoftDefenderForCloud-JITRule-1234_{HEX}",
        f"MicrosoftDefenderForCloud-JITRule-1234-{HEX[:31]}",
        f"MicrosoftDefenderForCloud-JITRule-1234-{HEX}0",
        f"MicrosoftDefenderForCloud-JITRule-1234-{HEX.lower()}",
        f"MicrosoftDefenderForCloud-JITRule--{HEX}",
        f"MicrosoftDefenderForCloud-JITRule-12345678901-{HEX}",
        f"MicrosoftDefenderForCloud-JITRule-\u0661-{HEX}",
        f"microsoftdefenderforcloud-jitrule-1234-{HEX}",
        f"my-MicrosoftDefenderForCloud-JITRule-1234-{HEX}",
        f"{ALLOW}\n",
    ],
)
def test_a_name_that_only_looks_like_defenders_is_not(name):
    """Recognition is exact, because a recognised rule may be removed."""
    parsed = parse_jit_name(name)

    assert parsed is None


def test_only_allow_rules_have_allow_names():
    """A deny rule is Defender's too, but opens nothing."""
    found = [is_jit_allow_name(name) for name in (ALLOW, DENY, "allow-rdp")]

    assert found == [True, False, False]


# ---- allow rules of an NSG -------------------------------------------------------------------


def test_an_allow_rule_is_read_field_by_field():
    """Port, sources and destination."""
    rule = an_allow(protocol="Tcp")

    assert (rule.id, rule.name) == (f"{NSG_ID}/securityRules/{ALLOW}", ALLOW)
    assert (rule.sources, rule.destinations) == (("203.0.113.7",), (VM,))
    assert (rule.destination_ports, rule.protocol) == ((PortRange(22, 22),), RuleProtocol.TCP)
    assert (rule.priority, rule.state, rule.faults) == (100, "Succeeded", ())
    assert opens_one_port(rule)


def test_only_rules_with_an_allow_name_are_found():
    """Customers' rules, Defender's deny and Azure's defaults are other things."""
    rules = rules_of(arm_rule(100, name=ALLOW), arm_rule(200), arm_rule(4096, "Deny", name=DENY))

    found = find_allow_rules(rules)

    assert [rule.name for rule in found] == [ALLOW]


@pytest.mark.parametrize("change", [{"access": "Deny"}, {"direction": "Outbound"}])
def test_a_rule_that_lets_nothing_in_is_left_out(change):
    """A name alone opens no port."""
    found = find_allow_rules(rules_of(arm_rule(100, name=ALLOW, **change)))

    assert found == ()


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        ({"access": "Perhaps"}, ("access is unknown",)),
        ({"protocol": "Gre"}, ("protocol is unknown",)),
        ({"sourceApplicationSecurityGroups": [{"id": "/g"}]}, ()),
        ({"destinationApplicationSecurityGroups": [{"id": "/g"}]}, ()),
    ],
)
def test_an_altered_rule_is_found_but_matches_no_grant(change, faults):
    """Somebody has changed it: it is reported."""
    rule = an_allow(**change)

    assert rule.faults == faults
    assert is_altered(rule)
    assert not opens_one_port(rule)
    assert not matches(rule, private_ip=VM, port=22, sources=[ALICE])


@pytest.mark.parametrize(
    "change",
    [
        {"port": "22-23"},
        {"port": ["22", "3389"]},
        {"port": "*"},
        {"to": "10.1.1.0/24"},
        {"to": "*"},
        {"to": [VM, "10.1.1.9"]},
    ],
)
def test_a_rule_for_more_than_one_port_or_address_is_not_exact(change):
    """Defender opens one port of one VM with each rule."""
    rule = an_allow(**change)

    assert not is_altered(rule)
    assert not opens_one_port(rule)


def test_a_rule_without_an_id_gets_the_one_that_azure_would_give():
    """The single-rule endpoint needs it."""
    nameless = {**arm_rule(100, name=ALLOW), "id": None}

    (rule,) = find_allow_rules(rules_of(nameless))

    assert rule.id == f"{NSG_ID}/securityRules/{ALLOW}"


def test_a_rule_that_is_being_removed_says_so():
    """Its state travels with it."""
    rule = an_allow(provisioningState="Deleting")

    assert rule.state == "Deleting"


# ---- matching --------------------------------------------------------------------------------

BUILDERS = [
    pytest.param(an_allow, id="nsg"),
    pytest.param(lambda **_: a_nat_rule(translatedPort="22"), id="firewall"),
]


@pytest.mark.parametrize("build", BUILDERS)
def test_a_rule_matches_the_grant_it_was_made_for(build):
    """Address, port and source agree."""
    found = both(build())

    assert found == (True, True)


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize(
    "change",
    [
        {"private_ip": "10.1.1.5"},
        {"private_ip": "10.1.1.0/24"},
        {"private_ip": ""},
        {"port": 3389},
        {"sources": [DAVE]},
        {"sources": [ip_network("203.0.113.0/24")]},
        {"sources": []},
    ],
)
def test_a_rule_matches_no_other_grant(build, change):
    """One difference is enough, in either way of comparing."""
    found = both(build(), **change)

    assert found == (False, False)


@pytest.mark.parametrize(
    "change",
    [
        {"port": "22-23"},
        {"port": ["22", "3389"]},
        {"port": "*"},
        {"to": "10.1.1.0/24"},
        {"to": [VM, "10.1.1.5"]},
        {"to": "*"},
        {"source": "*"},
        {"source": "Internet"},
        {"source": ["203.0.113.7", "Internet"]},
    ],
)
def test_an_nsg_rule_that_opens_more_matches_nothing(change):
    """Its removal would close more than the grant opened."""
    found = both(an_allow(**change))

    assert found == (False, False)


@pytest.mark.parametrize(
    "change",
    [
        {"collection": "customer-dnat"},
        {"sourceIpGroups": ["/g"]},
        {"translatedFqdn": "web01"},
        {"translatedAddress": ""},
        {"sourceAddresses": ["*"]},
        {"sourceAddresses": ["203.0.113.7-203.0.113.9"]},
        {"sourceAddresses": []},
    ],
)
def test_a_nat_rule_that_defender_would_not_write_matches_nothing(change):
    """A customer's rule to the same VM port is the customer's."""
    found = both(a_nat_rule(**change), port=3389)

    assert found == (False, False)


@pytest.mark.parametrize("source", ["203.0.113.7", "203.0.113.7/32"])
@pytest.mark.parametrize("to", [VM, f"{VM}/32"])
def test_one_address_is_one_address_with_or_without_its_length(source, to):
    """Azure drops or keeps ``/32`` as it pleases."""
    rule = an_allow(source=source, to=to)

    assert matches(rule, private_ip=VM, port=22, sources=[ALICE])


def test_a_network_is_no_vm():
    """A rule for a whole subnet matches nothing, even if the subnet is given as the VM."""
    found = both(an_allow(to="10.1.1.0/24"), private_ip="10.1.1.0/24")

    assert found == (False, False)


def test_a_rule_for_some_of_the_sources_matches_within_only():
    """Defender may write one rule for several sources, or one for each."""
    found = both(an_allow(), sources=[ALICE, DAVE])

    assert found == (False, True)


def test_a_rule_for_all_the_sources_matches_both_ways():
    """The order does not matter."""
    rule = an_allow(source=["198.51.100.0/24", "203.0.113.7/32"])

    found = both(rule, sources=[ALICE, DAVE])

    assert found == (True, True)


def test_a_rule_for_more_sources_matches_neither_way():
    """Somebody else uses it too."""
    rule = an_allow(source=["198.51.100.0/24", "203.0.113.7/32"])

    found = both(rule)

    assert found == (False, False)


prefixes = st.sets(st.sampled_from([ALICE, DAVE, ip_network("192.0.2.0/25")]), max_size=3)


@given(prefixes, prefixes)
def test_matching_is_equality_and_matching_within_is_inclusion(written, given_sources):
    """Both are sets of prefixes, and not empty."""
    rule = a_nat_rule(sourceAddresses=[str(prefix) for prefix in written])

    found = both(rule, port=3389, sources=given_sources)

    assert found == (
        bool(written) and written == given_sources,
        bool(written) and written <= given_sources,
    )
