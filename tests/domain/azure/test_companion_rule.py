"""The broker's own NSG rule: its name, its body."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.azure.companion_rule import (
    build_companion_body,
    build_companion_name,
    build_shared_owner,
    is_shared_owner,
    parse_companion_name,
)
from jit.domain.azure.nsg_effect import Allowed, Blocked, evaluate
from jit.domain.values.request_ids import make_request_id
from tests.builders.nsgs import VNET, a_flow, arm_rule, rules_of
from tests.builders.values import NOW, POLICY_ID, SUBSCRIPTION, VM, vm_id

grant_ids = st.from_regex(r"[0-9a-z][0-9a-z-]{0,67}[0-9a-z]|[0-9a-z]", fullmatch=True)


def a_body(*, protocol="TCP", sources=("10.1.0.0/26",)):
    return build_companion_body(
        "abc-0-3389",
        private_ips=(VM,),
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


@given(st.integers(1, 65535), st.sampled_from(["TCP", "UDP", "*"]))
def test_every_instance_builds_the_same_name_for_a_vm_port(port, protocol):
    """The case of ids and protocols does not matter, as in Azure."""
    owner = build_shared_owner(POLICY_ID, vm_id(), port, protocol)

    assert owner == build_shared_owner(POLICY_ID.upper(), vm_id().upper(), port, protocol.lower())
    assert parse_companion_name(build_companion_name(owner)) == owner
    assert is_shared_owner(owner)


@pytest.mark.parametrize(
    "other",
    [
        (POLICY_ID + "2", vm_id(), 22, "TCP"),
        (POLICY_ID, vm_id("web02"), 22, "TCP"),
        (POLICY_ID, vm_id(), 23, "TCP"),
        (POLICY_ID, vm_id(), 22, "*"),
    ],
)
def test_another_vm_port_has_another_name(other):
    """Another policy has one too, and its worker does not know these grants."""
    assert build_shared_owner(*other) != build_shared_owner(POLICY_ID, vm_id(), 22, "TCP")


def test_the_id_of_a_grant_is_no_shared_owner():
    """A grant's id ends with its port."""
    newest = make_request_id(SUBSCRIPTION, NOW, bytes(10))

    assert not is_shared_owner(f"{newest}-0-22")
    assert not is_shared_owner("vmport-22-0-22")


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
            "description": "Companion of JIT access for abc-0-3389; see its broker.",
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


def test_a_companion_without_a_destination_is_never_built():
    """No destination could be read as any."""
    with pytest.raises(ValueError, match="needs a destination"):
        build_companion_body(
            "a", private_ips=(), port=22, protocol="TCP", sources=["10.1.0.0/26"], priority=100
        )


def test_a_companion_for_several_addresses_lists_them():
    """Paths of one VM port may lead to two interfaces for a while."""
    body = build_companion_body(
        "a",
        private_ips=[VM, "10.1.1.5"],
        port=22,
        protocol="TCP",
        sources=["10.1.0.0/26"],
        priority=100,
    )

    assert body["properties"]["destinationAddressPrefixes"] == [VM, "10.1.1.5"]
    assert "destinationAddressPrefix" not in body["properties"]


def test_a_companion_of_another_protocol_is_never_built():
    """A JIT policy cannot name another protocol."""
    with pytest.raises(ValueError, match="cannot carry 'ICMP'"):
        a_body(protocol="ICMP")


def test_a_description_fits_for_the_longest_grant_id():
    """Azure takes 140 characters."""
    body = build_companion_body(
        "a" * 69, private_ips=(VM,), port=22, protocol="*", sources=["10.1.0.0/26"], priority=100
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
