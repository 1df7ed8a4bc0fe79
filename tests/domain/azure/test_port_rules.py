"""The port rules of a JIT policy: clear values are understood, and the rest is named."""

from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.azure.port_rules import find_policy_faults, parse_port_rules
from jit.domain.model.machine import PolicyFault
from jit.domain.values.prefixes import Prefixes

POLICY, OTHER = {"id": "/policies/default"}, {"id": "/policies/other"}


def a_port(**changes: Any) -> dict[str, Any]:
    port = {
        "number": 22,
        "protocol": "TCP",
        "allowedSourceAddressPrefix": "*",
        "maxRequestAccessDuration": "PT3H",
        **changes,
    }
    return {name: value for name, value in port.items() if value is not None}


def rule_of(**changes):
    (rule,) = parse_port_rules({"ports": [a_port(**changes)]})
    return rule


def faults_of(*ports):
    return list(find_policy_faults([(POLICY, {"ports": list(ports)})]))


def fields_of(*ports):
    return [(fault.port, fault.field) for fault in faults_of(*ports)]


@pytest.mark.parametrize(
    ("written", "protocol"),
    [("TCP", "TCP"), ("Tcp", "TCP"), ("udp", "UDP"), ("*", "*"), ("", "*"), (None, "*")],
)
def test_a_protocol_is_understood_in_any_case(written, protocol):
    """None at all is any, as before."""
    port = {"protocol": written}

    assert (rule_of(**port).protocol, faults_of(a_port(**port))) == (protocol, [])


@pytest.mark.parametrize(
    ("written", "sources"),
    [
        ("*", ("*",)),
        ("Internet", ("Internet",)),
        ("INTERNET", ("Internet",)),
        ("203.0.113.7", ("203.0.113.7",)),
        ("203.0.113.0/24", ("203.0.113.0/24",)),
        ("203.0.113.7/24", ("203.0.113.0/24",)),
        ("2001:DB8::1/32", ("2001:db8::/32",)),
        (["203.0.113.7/24", "10.0.0.0/8"], ("203.0.113.0/24", "10.0.0.0/8")),
    ],
)
def test_a_source_is_understood_with_host_bits_as_the_tag_internet_and_as_a_list(written, sources):
    """A list in the member for one source is the list that it says."""
    port = {"allowedSourceAddressPrefix": written}

    assert (rule_of(**port).allowed_sources, faults_of(a_port(**port))) == (sources, [])


@pytest.mark.parametrize(
    ("written", "hours"),
    [
        ("PT3H", 3),
        ("pt3h", 3),
        ("3:00:00", 3),
        ("03:00:00", 3),
        ("1.00:00:00", 24),
        ("P1D", 24),
        ("23:30:00", 23.5),
    ],
)
def test_a_duration_is_understood_as_iso_8601_and_as_dotnet(written, hours):
    """Both have one meaning."""
    port = {"maxRequestAccessDuration": written}

    found = (rule_of(**port).max_duration, faults_of(a_port(**port)))

    assert found == (timedelta(hours=hours), [])


@pytest.mark.parametrize(
    ("change", "field", "shown"),
    [
        ({"protocol": "Any"}, "protocol", "'Any'"),
        ({"protocol": 6}, "protocol", "6"),
        ({"allowedSourceAddressPrefix": None}, "allowedSourceAddressPrefix", "''"),
        (
            {"allowedSourceAddressPrefix": "AzureCloud"},
            "allowedSourceAddressPrefix",
            "'AzureCloud'",
        ),
        ({"allowedSourceAddressPrefix": "10.0.0.0/33"}, "allowedSourceAddressPrefix", "/33"),
        (
            {"allowedSourceAddressPrefix": "10.0.0.0/255.0.0.0"},
            "allowedSourceAddressPrefix",
            "255.0.0.0",
        ),
        (
            {"allowedSourceAddressPrefix": "10.0.0.0/8,10.1.0.0/16"},
            "allowedSourceAddressPrefix",
            "10.1.0.0",
        ),
        (
            {
                "allowedSourceAddressPrefix": None,
                "allowedSourceAddressPrefixes": ["10.0.0.0/8", 7, "?"],
            },
            "allowedSourceAddressPrefixes",
            "'7' (and 1 more)",
        ),
        ({"maxRequestAccessDuration": "3:00"}, "maxRequestAccessDuration", "'3:00'"),
        ({"maxRequestAccessDuration": "25:00:00"}, "maxRequestAccessDuration", "'25:00:00'"),
        ({"maxRequestAccessDuration": "P1M"}, "maxRequestAccessDuration", "'P1M'"),
        ({"maxRequestAccessDuration": "PT0S"}, "maxRequestAccessDuration", "'PT0S'"),
        ({"maxRequestAccessDuration": 3}, "maxRequestAccessDuration", "3"),
        ({"maxRequestAccessDuration": None}, "maxRequestAccessDuration", "None"),
    ],
)
def test_a_part_without_one_clear_meaning_is_named_with_its_field_and_text(change, field, shown):
    """The port stays in the policy, so that the warning can name it."""
    (fault,) = faults_of(a_port(**change))

    assert (fault.port, fault.field) == (22, field)
    assert shown in fault.detail


ONE, WIDE = "203.0.113.7", ["203.0.113.0/24"]
ANYBODY = (ip_network(ONE), ip_network("2001:db8::7"))


def sources_of(one, many):
    """The sources that allow an address, and the fields with faults, of a port with both."""
    port = {"allowedSourceAddressPrefix": one, "allowedSourceAddressPrefixes": many}
    allowed = rule_of(**port).allowed_sources
    found = [text for text in allowed if any(map(Prefixes((text,)).covers, ANYBODY))]
    return found, [field for _, field in fields_of(a_port(**port))]


@pytest.mark.parametrize(
    ("one", "many"),
    [
        (ONE, WIDE),
        ("*", WIDE),
        (ONE, ["*"]),
        (ONE, [ONE, "203.0.113.8"]),
        ([ONE], WIDE),
        (7, WIDE),
        (ONE, "203.0.113.0/24"),
        (None, "203.0.113.0/24"),
        (ONE, {}),
        (ONE, False),
    ],
)
def test_source_members_that_contradict_each_other_allow_nothing(one, many):
    """Neither the wider one nor the narrower one counts: nobody knows which one is meant."""
    assert sources_of(one, many) == ([], ["allowedSourceAddressPrefixes"])


@pytest.mark.parametrize(
    ("one", "many"),
    [
        (ONE, []),
        (ONE, ""),
        ("", [ONE]),
        ([], [ONE]),
        (ONE, [ONE]),
        (ONE, [f"{ONE}/32"]),
        ([ONE], [ONE, ONE]),
    ],
)
def test_source_members_that_say_the_same_are_understood(one, many):
    """An empty member says nothing."""
    found, fields = sources_of(one, many)

    assert (set(found) <= {ONE, f"{ONE}/32"}, bool(found), fields) == (True, True, [])


@pytest.mark.parametrize("written", ["203.0.113.7/0", "128.0.0.0/0", "2001:db8::1/0"])
def test_a_prefix_of_length_0_with_host_bits_allows_nothing(written):
    """It reads as everything, and one address may be meant."""
    assert sources_of(written, None) == ([], ["allowedSourceAddressPrefix"])
    assert sources_of(None, [written]) == ([], ["allowedSourceAddressPrefixes"])


@pytest.mark.parametrize("written", ["0.0.0.0/0", "::/0"])
def test_a_prefix_of_length_0_without_host_bits_is_everything(written):
    """It has one meaning."""
    assert sources_of(written, None) == ([written], [])


@pytest.mark.parametrize(
    "item", [None, "22", {}, a_port(number="22"), a_port(number=0), a_port(number=65536)]
)
def test_a_port_without_a_number_is_no_rule_and_is_named(item):
    """Nobody can ask for it; the other ports are as they are."""
    ports = [item, a_port(number=443)]

    assert [rule.number for rule in parse_port_rules({"ports": ports})] == [443]
    assert fields_of(*ports) == [(None, "number")]


def test_two_rules_for_one_port_are_a_fault_if_they_differ():
    """Nobody knows which one counts."""
    assert fields_of(a_port(), a_port(protocol="UDP")) == [(22, "number")]
    assert fields_of(a_port(), a_port(protocol="tcp")) == []


@pytest.mark.parametrize("ports", [None, "22", {}])
def test_a_list_of_ports_that_is_none_is_named(ports):
    """An empty list is clear."""
    found = [fault.field for fault in find_policy_faults([(POLICY, {"ports": ports})])]

    assert (found, faults_of()) == (["ports"], [])


@pytest.mark.parametrize(
    ("policies", "told"),
    [
        ([POLICY, OTHER], "/policies/default and /policies/other"),
        ([POLICY, POLICY], "/policies/default twice"),
    ],
)
def test_a_vm_that_is_named_twice_is_a_fault(policies, told):
    """In two policies, or twice in one; nobody knows which rules count."""
    found = list(find_policy_faults([(policy, {"ports": [a_port()]}) for policy in policies]))

    assert found == [PolicyFault(port=None, field="virtualMachines", detail=f"the VM is in {told}")]


def test_a_vm_in_no_policy_has_no_fault():
    """Nothing is there to misunderstand."""
    assert list(find_policy_faults([])) == []


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=99),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(a_port(), JSON)) | JSON)
def test_whatever_stands_in_a_policy_is_a_rule_or_a_short_fault(item):
    """Policies are written by anybody."""
    rules = list(parse_port_rules({"ports": [item]}))
    faults = faults_of(item)

    allows = [rule for rule in rules if rule.max_duration > timedelta(0) and rule.allowed_sources]
    assert allows or faults
    assert all(len(fault.detail) < 200 for fault in faults)
