"""JIT policies as JSON: port rules are changed, and everything else stays."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.azure import policy_json
from jit.domain.azure.port_rules import parse_port_rules
from jit.domain.model.machine import PortRule
from jit.domain.values import arm_ids
from tests.builders.machines import a_rule
from tests.builders.values import vm_id

REQUESTS = [{"requestor": "petra", "virtualMachines": [], "unknownToUs": {"a": [1]}}]


def an_entry(name="web01", **changes):
    """A VM entry as Azure returns it."""
    port = {
        "number": 22,
        "protocol": "TCP",
        "allowedSourceAddressPrefix": "*",
        "maxRequestAccessDuration": "PT3H",
    }
    return {"id": vm_id(name), "ports": [port], **changes}


def a_policy(*entries):
    """A policy as Azure returns it, with fields that nobody here knows."""
    return {
        "id": "the id",
        "kind": "Basic",
        "newField": {"x": 1},
        "properties": {
            "provisioningState": "Succeeded",
            "virtualMachines": list(entries),
            "requests": REQUESTS,
            "otherNewField": True,
        },
    }


def entries_of(policy):
    return policy["properties"]["virtualMachines"]


rules = st.builds(
    PortRule,
    number=st.integers(1, 65535),
    protocol=st.sampled_from(["TCP", "UDP", "*"]),
    allowed_sources=st.sampled_from(
        [("*",), ("10.0.0.0/8",), ("203.0.113.7/32", "2001:db8::/64"), ("2001:db8::1/128",)]
    ),
    max_duration=st.integers(5, 24 * 60).map(lambda minutes: timedelta(minutes=minutes)),
)
wishes = st.dictionaries(
    st.sampled_from(["WEB01", "db01", "new01"]).map(vm_id),
    st.lists(rules, min_size=1, max_size=4, unique_by=lambda rule: rule.number),
    min_size=1,
    max_size=3,
)
policies = st.none() | st.lists(
    st.sampled_from(["web01", "db01", "other01", "other02"]), unique=True
).map(lambda names: a_policy(*map(an_entry, names)))


@given(policies, wishes)
def test_putting_twice_is_putting_once(policy, wish):
    """A repeated request finds nothing to change."""
    once = policy_json.set_port_rules(policy, wish)

    assert policy_json.set_port_rules(once, wish) == once


@given(policies, wishes)
def test_a_policy_has_the_rules_that_were_put_into_it(policy, wish):
    """Rules read back from the policy are the wanted rules."""
    said = policy_json.group_entries(policy_json.set_port_rules(policy, wish))
    first = next(iter(wish))

    assert [
        (rule.number, rule.protocol, rule.max_duration)
        for rule in parse_port_rules(said[arm_ids.key(first)])
    ] == [(rule.number, rule.protocol, rule.max_duration) for rule in wish[first]]


@given(policies, wishes)
def test_everything_else_stays_as_it_was_read(policy, wish):
    """Other VMs and unknown fields of the policy survive a change byte for byte."""
    keys = {arm_ids.key(item) for item in wish}
    before: dict[str, Any] = policy or {"kind": "Basic", "properties": {}}
    after: dict[str, Any] = policy_json.set_port_rules(policy, wish)
    foreign = [item for item in entries_of(after) if arm_ids.key(item["id"]) not in keys]

    assert foreign == [
        item
        for item in before["properties"].get("virtualMachines", [])
        if arm_ids.key(item["id"]) not in keys
    ]
    assert {**after, "properties": {**after["properties"], "virtualMachines": None}} == {
        **before,
        "properties": {**before["properties"], "virtualMachines": None},
    }


@given(policies, wishes)
def test_removing_the_vms_that_were_put_in_leaves_the_others(policy, wish):
    """No VM of a delete stays, every other one does."""
    after = policy_json.remove_machines(policy_json.set_port_rules(policy, wish), wish)
    keys = {arm_ids.key(item) for item in wish}

    assert (
        policy_json.group_entries(after).keys() == policy_json.group_entries(policy).keys() - keys
    )


@given(policies, wishes)
def test_a_policy_is_unlike_itself_exactly_where_it_was_changed(policy, wish):
    """Comparing names no VM that was left alone."""
    keys = {arm_ids.key(item) for item in wish}

    assert (
        set(policy_json.find_differences(policy, policy_json.set_port_rules(policy, wish))) <= keys
    )


def test_an_entry_keeps_its_members_beside_its_ports():
    """Defender writes the firewall's public address, and may write further members later."""
    entry = an_entry(publicIpAddress="52.137.62.53", ports=[{"number": 22, "newInPort": 1}])
    after = policy_json.set_port_rules(a_policy(entry), {vm_id("WEB01"): [a_rule(22), a_rule(23)]})

    assert entries_of(after) == [
        {
            "id": vm_id("web01"),
            "publicIpAddress": "52.137.62.53",
            "ports": [
                {
                    "newInPort": 1,
                    "number": 22,
                    "protocol": "TCP",
                    "allowedSourceAddressPrefix": "*",
                    "maxRequestAccessDuration": "PT3H",
                },
                {
                    "number": 23,
                    "protocol": "TCP",
                    "allowedSourceAddressPrefix": "*",
                    "maxRequestAccessDuration": "PT3H",
                },
            ],
        }
    ]


@pytest.mark.parametrize(
    ("sources", "written"),
    [
        (("*",), {"allowedSourceAddressPrefix": "*"}),
        (("10.0.0.0/8",), {"allowedSourceAddressPrefix": "10.0.0.0/8"}),
        (("203.0.113.7/32",), {"allowedSourceAddressPrefix": "203.0.113.7"}),
        (("2001:db8::1/128",), {"allowedSourceAddressPrefix": "2001:db8::1"}),
        (("2001:db8::/32",), {"allowedSourceAddressPrefix": "2001:db8::/32"}),
        (
            ("10.0.0.0/8", "203.0.113.7/32"),
            {"allowedSourceAddressPrefixes": ["10.0.0.0/8", "203.0.113.7"]},
        ),
    ],
)
def test_one_source_goes_alone_and_several_as_a_list(sources, written):
    """The two fields exclude each other; a lone address is spelled as an initiate spells it."""
    after = policy_json.set_port_rules(None, {vm_id(): [a_rule(allowed_sources=sources)]})
    (port,) = entries_of(after)[0]["ports"]

    assert {k: v for k, v in port.items() if k.startswith("allowed")} == written


@pytest.mark.parametrize(
    "spelled",
    [
        an_entry(ports=[{**an_entry()["ports"][0], "maxRequestAccessDuration": "PT180M"}]),
        an_entry(id=vm_id("WEB01")),
        an_entry(publicIpAddress="52.137.62.53"),
    ],
)
def test_azures_own_spelling_makes_no_difference(spelled):
    """The comparison ignores the spelling."""
    assert policy_json.find_differences(a_policy(an_entry()), a_policy(spelled)) == ()


@pytest.mark.parametrize(
    "other",
    [
        None,
        a_policy(),
        a_policy(an_entry(ports=[])),
        a_policy(an_entry(ports=[{**an_entry()["ports"][0], "protocol": "*"}])),
        a_policy(an_entry(ports=[{**an_entry()["ports"][0], "number": 23}])),
        a_policy(
            an_entry(ports=[{**an_entry()["ports"][0], "allowedSourceAddressPrefix": "10.0.0.0/8"}])
        ),
        a_policy(an_entry(ports=[{**an_entry()["ports"][0], "maxRequestAccessDuration": "PT4H"}])),
    ],
)
def test_a_different_meaning_is_named_by_its_vm(other):
    """A missing VM, port, source or another duration is a difference."""
    assert policy_json.find_differences(a_policy(an_entry()), other) == (arm_ids.key(vm_id()),)


def test_an_entry_that_cannot_be_read_is_sent_back_as_it_is():
    """Hostile or future entries are not ours to repair."""
    strange = ["text", {"noId": 1}, {"id": 7, "ports": "x"}]
    after = policy_json.set_port_rules(a_policy(*strange), {vm_id(): [a_rule()]})

    assert entries_of(after)[:3] == strange


@pytest.mark.parametrize("body", [{}, {"properties": {}}, {"properties": {"virtualMachines": 7}}])
def test_a_policy_without_vms_holds_none(body):
    """A missing list is an empty one."""
    assert policy_json.group_entries(body) == {}


def test_the_entries_of_vms_are_read_with_their_faults():
    """A VM that the policy names twice has one; the last entry counts."""
    policy = a_policy(
        an_entry("web01"), an_entry("DB01"), an_entry("web01", ports=[]), an_entry("app01")
    )
    found = policy_json.read_entries(policy, {vm_id("web01").lower(), vm_id("db01").lower()})
    web01, db01 = found[vm_id("web01").lower()], found[vm_id("db01").lower()]

    assert list(found) == [vm_id("web01").lower(), vm_id("db01").lower()]
    assert (web01.ports, [fault.field for fault in web01.faults]) == ((), ["virtualMachines"])
    assert ([rule.number for rule in db01.ports], db01.faults) == ([22], ())


def test_no_policy_has_no_entries():
    """None stands for a policy that does not exist."""
    assert policy_json.read_entries(None, {vm_id()}) == {}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"properties": None},
        {"properties": {}},
        {"properties": {"virtualMachines": None}},
        {"properties": {"virtualMachines": "x"}},
        {"properties": {"virtualMachines": {}}},
    ],
)
def test_a_policy_without_a_readable_list_of_vms_does_not_say_which_vms_it_names(body):
    """Azure always sends the list."""
    assert not policy_json.has_list(body)


@pytest.mark.parametrize("item", ["x", {}, {"id": None}, {"id": ""}])
def test_an_item_without_an_id_may_be_about_any_vm(item):
    """Azure names a VM in each item."""
    body = {"properties": {"virtualMachines": [an_entry(), item]}}

    assert policy_json.has_list(body)
    assert policy_json.has_nameless_entry(body)


@pytest.mark.parametrize("entries", [[], [an_entry()], [an_entry(), an_entry("db01")]])
def test_a_policy_with_a_list_of_vms_names_all_its_vms(entries):
    """An empty list names none."""
    assert policy_json.has_list(a_policy(*entries))
    assert not policy_json.has_nameless_entry(a_policy(*entries))


def with_state(state, *entries):
    """A policy with a provisioning state."""
    policy = a_policy(*entries)
    return {**policy, "properties": {**policy["properties"], "provisioningState": state}}


@pytest.mark.parametrize(
    ("policy", "may"),
    [
        (a_policy(an_entry()), False),
        (a_policy(), False),
        (with_state("", an_entry()), False),
        (with_state("Updating", an_entry()), True),
        (a_policy(an_entry(), {"ports": []}), True),
        ({"id": "the id"}, True),
    ],
)
def test_an_unsettled_or_unreadable_policy_may_name_more_vms(policy, may):
    """A VM that it lacks may be in it."""
    assert policy_json.may_name_more(policy) is may


@pytest.mark.parametrize(
    ("changes", "can"),
    [
        ({}, True),
        ({"requests": None}, True),
        ({"requests": "x"}, False),
        ({"virtualMachines": None}, False),
        ({"virtualMachines": "x"}, False),
    ],
)
def test_the_requests_of_a_policy_are_all_if_both_lists_can_be_read(changes, can):
    """Azure may leave out requests, but not the list of VMs."""
    policy = a_policy(an_entry())

    assert policy_json.is_readable({**policy, "properties": policy["properties"] | changes}) is can
