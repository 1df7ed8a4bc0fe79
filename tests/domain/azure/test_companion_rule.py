"""The broker's own NSG rule: its name, its body."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.azure.companion_rule import (
    build_companion_body,
    build_companion_name,
    parse_companion_name,
)
from jit.domain.azure.nsg_effect import Allowed, Blocked, evaluate
from tests.builders.nsgs import VNET, a_flow, arm_rule, rules_of
from tests.builders.values import VM

grant_ids = st.from_regex(r"[0-9a-z][0-9a-z-]{0,67}[0-9a-z]|[0-9a-z]", fullmatch=True)


def a_body(*, protocol="TCP", sources=("10.1.0.0/26",)):
    return build_companion_body(
        "abc-0-3389",
        private_ip=VM,
        port=3389,
        protocol=protocol,
        sources=sources,
        priority=4095,
    )


@given(grant_ids)
def test_a_companions_name_parses_back_to_its_grant(grant_id):
    """The name says whose it is."""
    parsed = parse_companion_name(build_companion_name(grant_id))

    assert parsed == grant_id


@given(grant_ids)
def test_a_companions_name_is_one_that_azure_takes(grant_id):
    """At most 80 characters; letters, digits, hyphens; no hyphen at the end."""
    name = build_companion_name(grant_id)

    assert re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z._-]{0,78}[0-9A-Za-z_]", name)


@pytest.mark.parametrize(
    "grant_id", ["", "-a", "a-", "a/b", "a b", "a.b", "é", "a\n", "a" * 70, "../x"]
)
def test_a_name_that_azure_would_refuse_is_not_built(grant_id):
    """An id is checked before it becomes part of a URL."""
    with pytest.raises(ValueError, match="cannot be part of a rule name"):
        build_companion_name(grant_id)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "jit-broker-",
        "jit-broker--a",
        "jit-broker-a\n",
        "my-jit-broker-a",
        "JIT-BROKER-a",
        "jit-broker",
        "jit-broker-" + "a" * 70,
        "MicrosoftDefenderForCloud-JITRule-1-" + "A" * 32,
    ],
)
def test_other_names_are_no_companions(name):
    """Only a name that we can write is parsed."""
    parsed = parse_companion_name(name)

    assert parsed is None


def test_a_companion_lets_in_the_firewall_to_that_port_and_nothing_else():
    """The body, field by field."""
    body = a_body()

    assert body == {
        "properties": {
            "description": "Companion of JIT access grant abc-0-3389; see its broker.",
            "protocol": "Tcp",
            "sourcePortRange": "*",
            "destinationPortRange": "3389",
            "sourceAddressPrefix": "10.1.0.0/26",
            "destinationAddressPrefix": VM,
            "access": "Allow",
            "priority": 4095,
            "direction": "Inbound",
        }
    }


def test_several_prefixes_of_the_firewall_subnet_become_a_list():
    """Azure takes the singular or the plural field, not both."""
    fields = a_body(sources=["10.1.0.0/26", "fd00::/64"])["properties"]

    assert fields["sourceAddressPrefixes"] == ["10.1.0.0/26", "fd00::/64"]
    assert "sourceAddressPrefix" not in fields


@pytest.mark.parametrize(
    ("protocol", "written"), [("TCP", "Tcp"), ("Tcp", "Tcp"), ("UDP", "Udp"), ("*", "*")]
)
def test_the_protocol_is_written_as_azure_spells_it(protocol, written):
    """JIT policies and NSGs differ in case."""
    body = a_body(protocol=protocol)

    assert body["properties"]["protocol"] == written


def test_a_companion_without_a_source_is_never_built():
    """No source could be read as any source."""
    with pytest.raises(ValueError, match="needs a source"):
        a_body(sources=[])


def test_a_companion_of_another_protocol_is_never_built():
    """A JIT policy cannot name another protocol."""
    with pytest.raises(ValueError, match="cannot carry 'ICMP'"):
        a_body(protocol="ICMP")


def test_a_description_fits_for_the_longest_grant_id():
    """Azure takes 140 characters."""
    body = build_companion_body(
        "a" * 69, private_ip=VM, port=22, protocol="*", sources=["10.1.0.0/26"], priority=100
    )

    assert len(body["properties"]["description"]) <= 140


@pytest.mark.parametrize(
    ("source", "port", "expected"),
    [
        ("10.1.0.0/26", 3389, Allowed),
        ("10.1.0.0/26", 22, Blocked),
        ("10.1.0.0/25", 3389, Blocked),
        ("203.0.113.7", 3389, Blocked),
    ],
)
def test_a_companion_overrules_a_deny_for_the_firewall_alone(source, port, expected):
    """Placed before the deny it lets the firewall's packets in, and nobody else's."""
    companion = {"name": build_companion_name("abc-0-3389"), **a_body()}
    rules = rules_of(companion, arm_rule(4096, "Deny", to=VM, port=["22", "3389"]))

    verdict = evaluate(rules, a_flow(source, port=port), VNET)

    assert type(verdict) is expected
