"""Defender's rules, told from everybody else's by name, and matched to grants by what they open."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.azure.defender_rules import (
    JitAllow,
    JitKind,
    JitName,
    is_jit_allow_name,
    matches,
    matches_within,
    nsg_allow_rules,
    parse_jit_name,
)
from jit.domain.azure.firewall import nat_rules
from jit.domain.azure.nsg_rules import PortRange
from tests.builders.firewalls import arm_collection, arm_firewall, arm_nat_rule
from tests.builders.nsgs import NSG_ID, VM, arm_rule, rules_of

HEX = "0123456789ABCDEF" * 2
ALLOW = f"MicrosoftDefenderForCloud-JITRule-1234-{HEX}"
DENY = f"MicrosoftDefenderForCloud-JITRule_1234_{HEX}"
ALICE = ip_network("203.0.113.7/32")
DAVE = ip_network("198.51.100.0/24")


def an_allow(**changes):
    """One of Defender's allow rules, as read from an NSG."""
    wanted = {"name": ALLOW, "source": "203.0.113.7", "to": VM, "port": "22"}
    (rule,) = nsg_allow_rules(NSG_ID, rules_of(arm_rule(100, **(wanted | changes))))
    return rule


def a_nat_rule(*, collection="MDC-JIT-fw-prod", **changes):
    """One of Defender's DNAT rules, as read from a firewall."""
    firewall = arm_firewall(arm_collection(arm_nat_rule(**changes), name=collection))
    (rule,) = nat_rules(firewall)
    return rule


def both(rule, *, private_ip=VM, port=22, sources=(ALICE,)):
    """Whether *rule* matches exactly, and within."""
    wanted = {"private_ip": private_ip, "port": port, "sources": sources}
    return matches(rule, **wanted), matches_within(rule, **wanted)


# ---- names ------------------------------------------------------------------------------------


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
    """Recognition is exact: what it finds may be removed."""
    parsed = parse_jit_name(name)

    assert parsed is None


def test_only_allow_rules_have_allow_names():
    """A deny rule is Defender's too, but opens nothing."""
    found = [is_jit_allow_name(name) for name in (ALLOW, DENY, "allow-rdp")]

    assert found == [True, False, False]


# ---- allow rules of an NSG --------------------------------------------------------------------


def test_an_allow_rule_is_read_field_by_field():
    """What it opens, for whom, to which address."""
    rule = an_allow(protocol="Tcp")

    assert rule == JitAllow(
        id=f"{NSG_ID}/securityRules/{ALLOW}",
        nsg_id=NSG_ID,
        name=ALLOW,
        sources=("203.0.113.7",),
        destinations=(VM,),
        ports=(PortRange(22, 22),),
        protocol="TCP",
        priority=100,
        state="Succeeded",
        faults=(),
    )


def test_only_rules_with_an_allow_name_are_found():
    """Customers' rules, Defender's deny and Azure's defaults are other things."""
    rules = rules_of(arm_rule(100, name=ALLOW), arm_rule(200), arm_rule(4096, "Deny", name=DENY))

    found = nsg_allow_rules(NSG_ID, rules)

    assert [rule.name for rule in found] == [ALLOW]


@pytest.mark.parametrize("change", [{"access": "Deny"}, {"direction": "Outbound"}])
def test_a_rule_that_lets_nothing_in_is_left_out(change):
    """A name alone opens no port."""
    found = nsg_allow_rules(NSG_ID, rules_of(arm_rule(100, name=ALLOW, **change)))

    assert found == ()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"access": "Perhaps"}, "access is unknown"),
        ({"protocol": "Gre"}, "protocol is unknown"),
        ({"sourceApplicationSecurityGroups": [{"id": "/g"}]}, "application security groups"),
        ({"destinationApplicationSecurityGroups": [{"id": "/g"}]}, "application security groups"),
    ],
)
def test_an_altered_rule_is_found_and_names_its_fault(change, fault):
    """Someone has had a hand in it: reported, but nobody's grant."""
    rule = an_allow(**change)

    assert rule.faults == (fault,)
    assert not matches(rule, private_ip=VM, port=22, sources=[ALICE])


def test_a_rule_without_an_id_gets_the_one_that_azure_would_give():
    """The single-rule endpoint needs it."""
    nameless = {**arm_rule(100, name=ALLOW), "id": None}

    (rule,) = nsg_allow_rules(NSG_ID, rules_of(nameless))

    assert rule.id == f"{NSG_ID}/securityRules/{ALLOW}"


def test_a_rule_that_is_being_removed_says_so():
    """Its state travels with it."""
    rule = an_allow(provisioningState="Deleting")

    assert rule.state == "Deleting"


# ---- matching ---------------------------------------------------------------------------------

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
    """To remove it would touch what the grant has not asked for."""
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
    """A rule for a whole subnet matches nothing, even where the VM is given as that subnet."""
    found = both(an_allow(to="10.1.1.0/24"), private_ip="10.1.1.0/24")

    assert found == (False, False)


def test_a_rule_for_some_of_the_sources_matches_within_only():
    """Defender may write one rule for several sources, or one for each."""
    found = both(an_allow(), sources=[ALICE, DAVE])

    assert found == (False, True)


def test_a_rule_for_all_the_sources_matches_both_ways():
    """In whatever order it lists them."""
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
    """Of non-empty sets of prefixes."""
    rule = a_nat_rule(sourceAddresses=[str(prefix) for prefix in written])

    found = both(rule, port=3389, sources=given_sources)

    assert found == (
        bool(written) and written == given_sources,
        bool(written) and written <= given_sources,
    )
