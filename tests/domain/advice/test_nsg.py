"""Warnings about the NSGs that should keep the JIT ports of a VM closed."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.advice.nsg import find_bastion_warnings, find_jit_warnings
from jit.domain.azure.companion_rule import build_companion_name
from jit.domain.azure.nsg_effect import Allowed, CannotTell, evaluate_path
from jit.domain.model.machine import PortRule
from jit.domain.values import arm_ids
from tests.builders.nsgs import VNET, a_flow, arm_rule, asg_id, rules_of, to_groups
from tests.builders.values import VM

HEX = "0123456789ABCDEF" * 2
BASTION = "10.1.2.0/26"


def jit_deny(priority=4096, **changes):
    wanted = {
        "name": f"MicrosoftDefenderForCloud-JITRule_7_{HEX}",
        "to": VM,
        "port": ["22", "3389"],
    }
    return arm_rule(priority, "Deny", **(wanted | changes))


def jit_allow(priority=100, **changes):
    wanted = {"name": f"MicrosoftDefenderForCloud-JITRule-7-{HEX}", "to": VM, "port": "22"}
    return arm_rule(priority, **(wanted | changes))


def a_port(number=22, protocol="TCP"):
    return PortRule(
        number=number,
        protocol=protocol,
        allowed_sources=("*",),
        max_duration=timedelta(hours=3),
    )


def warned(*nsgs, ports=(22,), protocol="TCP", private_ip=VM, groups=None):
    """The warnings about an interface with these NSGs: code and detail."""
    found = find_jit_warnings(
        [rules_of(*rules) for rules in nsgs],
        private_ip=private_ip,
        ports=[a_port(number, protocol) for number in ports],
        vnet_prefixes=VNET,
        groups=groups,
    )
    return [(warning.code, warning.detail) for warning in found]


MISSING = (
    "no NSG has the deny rule of the JIT policy; configure JIT for the VM again, and see that no "
    "other tool removes the rule"
)
MOVE = "remove that rule, or move it behind the deny rule"


def codes(*nsgs, **changes):
    return [code for code, _ in warned(*nsgs, **changes)]


def bastion_codes(*nsgs, prefixes=(BASTION,), protocol="TCP"):
    found = find_bastion_warnings(
        [rules_of(*rules) for rules in nsgs],
        private_ip=VM,
        ports=[a_port(protocol=protocol)],
        bastion_prefixes=prefixes,
        vnet_prefixes=VNET,
    )
    return [warning.code for warning in found]


# ---- deny rules ------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["TCP", "UDP", "*", "Tcp"])
def test_a_deny_that_nothing_precedes_is_no_news(protocol):
    """All is as Defender meant it."""
    found = warned([jit_deny()], ports=(22, 3389), protocol=protocol)

    assert found == []


def test_a_port_of_the_policy_without_a_deny_is_missing_it():
    """Someone, or a template, has removed Defender's rule."""
    found = warned([arm_rule(300, port="443")], ports=(22,))

    assert found == [("deny-missing", f"port 22: {MISSING}")]


@pytest.mark.parametrize(
    "change",
    [
        {"port": "3389"},
        {"to": "10.1.1.5"},
        {"to": "Internet"},
        {"name": "deny-all"},
        {"name": f"MicrosoftDefenderForCloud-JITRule-7-{HEX}"},
        {"direction": "Outbound"},
        {"access": "Allow"},
        {"provisioningState": "Failed"},
    ],
)
def test_a_rule_that_is_not_defenders_deny_for_the_port_does_not_count(change):
    """Name, effect, address and port must all be right."""
    found = codes([jit_deny(**change)])

    assert found == ["deny-missing"]


def test_each_port_is_judged_on_its_own():
    """One deny rule may cover some of the ports only."""
    found = warned([jit_deny(port="22")], ports=(22, 3389))

    assert found == [("deny-missing", f"port 3389: {MISSING}")]


def test_one_nsg_with_the_deny_is_enough():
    """Defender writes it into the NSG of the subnet or of the interface."""
    found = codes([arm_rule(300)], [jit_deny()])

    assert found == []


def test_an_interface_without_an_nsg_has_nothing_to_warn_about():
    """Its ports are held shut by the firewall, or JIT does not support it."""
    found = codes()

    assert found == []


def test_a_standing_allow_before_the_deny_bypasses_jit():
    """The rule is named, with its priority."""
    found = warned([jit_deny(), arm_rule(300, name="office", source="198.51.100.0/24")])

    why = "port 22: let in before the JIT deny rule by office (priority 300)"
    assert found == [("jit-bypassed", f"{why}; {MOVE}")]


def test_all_the_bypassing_rules_are_named():
    """In the order in which they decide."""
    office = arm_rule(300, name="office", source="198.51.100.0/24")
    home = arm_rule(200, name="home", source="203.0.113.0/24", port="20-30")

    found = warned([jit_deny(), office, home])

    assert [detail.rpartition(" by ")[2] for _, detail in found] == [
        f"home (priority 200), office (priority 300); {MOVE}"
    ]


@pytest.mark.parametrize("source", ["*", "0.0.0.0/0", ["0.0.0.0/1", "128.0.0.0/1"]])
def test_an_allow_for_everyone_shadows_the_deny(source):
    """Nothing is left for the deny to decide."""
    found = codes([jit_deny(), arm_rule(300, source=source)])

    assert found == ["deny-shadowed"]


def test_an_allow_behind_the_deny_is_harmless():
    """It is the allow that never decides."""
    found = codes([jit_deny(1000), arm_rule(1001, source="*", port="22")])

    assert found == []


@pytest.mark.parametrize(
    "temporary",
    [
        jit_allow(source="203.0.113.7"),
        arm_rule(4095, name=build_companion_name("abc-0-22"), port="22"),
    ],
)
def test_rules_of_a_grant_are_no_bypass(temporary):
    """It goes when the grant goes."""
    found = codes([jit_deny(), temporary])

    assert found == []


def test_an_allow_for_another_protocol_is_harmless():
    """The policy's port is TCP."""
    found = codes([jit_deny(), arm_rule(300, protocol="Udp")])

    assert found == []


def test_an_allow_for_one_protocol_bypasses_a_port_of_any():
    """A part of the port is open."""
    found = codes([jit_deny(), arm_rule(300, protocol="Udp")], protocol="*")

    assert found == ["jit-bypassed"]


@pytest.mark.parametrize(
    "unknown",
    [
        {"source": "AzureCloud"},
        {"sourceApplicationSecurityGroups": [{"id": "/g"}], "source": None},
        {"destinationApplicationSecurityGroups": [{"id": "/g"}], "to": None},
        {"access": "Perhaps"},
        {"provisioningState": "Updating"},
    ],
)
def test_an_allow_rule_with_unknown_sources_counts(unknown):
    """It may let somebody in, and that is worth a look."""
    found = codes([jit_deny(), arm_rule(300, **unknown)])

    assert found == ["jit-bypassed"]


@pytest.mark.parametrize("behind", [[], [arm_rule(1001)]])
def test_a_deny_that_is_just_being_written_is_no_news(behind):
    """Least of all advice to remove it; the next comparison sees it settled."""
    found = codes([jit_deny(1000, provisioningState="Updating"), *behind])

    assert found == []


def test_a_rule_before_a_deny_in_change_gives_a_warning():
    """It would still be before it afterwards."""
    found = warned([jit_deny(1000, provisioningState="Updating"), arm_rule(300, name="office")])

    why = "port 22: let in before the JIT deny rule by office (priority 300)"
    assert found == [("deny-shadowed", f"{why}; {MOVE}")]


OTHER_DENY = {"name": f"MicrosoftDefenderForCloud-JITRule_8_{HEX}", "to": "10.1.1.5"}


@pytest.mark.parametrize("state", ["Updating", "Deleting", "Failed", "Succeeded"])
@pytest.mark.parametrize(
    "foreign",
    [
        jit_deny(3000, **OTHER_DENY),
        arm_rule(3000, to="10.1.1.5"),
        arm_rule(3000, port="443"),
        arm_rule(3000, "Deny", to="10.1.1.5"),
    ],
    ids=["another VM's deny", "another VM", "another port", "a customer's deny"],
)
def test_a_rule_for_another_vm_or_port_is_never_named(foreign, state):
    """Whatever its state is; to remove another VM's deny rule would be wrong advice."""
    properties = {**foreign["properties"], "provisioningState": state}

    assert warned([jit_deny(), {**foreign, "properties": properties}]) == []


@pytest.mark.parametrize("fault", [{"port": ["22", "?"]}, {"protocol": "Gre"}])
def test_a_deny_rule_of_defenders_that_cannot_be_read_is_never_named(fault):
    """It denies, and the rest of it does not matter."""
    strange = jit_deny(3000, **{**OTHER_DENY, **fault})

    found = warned([jit_deny(), strange, arm_rule(3500, name="office", source="192.0.2.0/24")])

    why = "port 22: let in before the JIT deny rule by office (priority 3500)"
    assert found == [("jit-bypassed", f"{why}; {MOVE}")]


@pytest.mark.parametrize(
    ("groups", "found"),
    [({asg_id("db")}, []), (set(), []), ({asg_id("web")}, ["deny-shadowed"])],
)
def test_a_rule_for_a_group_bypasses_jit_on_its_members_only(groups, found):
    """The memberships of the interface are known."""
    door = arm_rule(300, **to_groups("web"))

    assert codes([jit_deny(), door], groups=frozenset(map(arm_ids.key, groups))) == found


def test_a_customers_deny_before_the_allow_keeps_the_port_closed():
    """The allow that never decides bypasses nothing."""
    shut = arm_rule(200, "Deny", name="shut")

    found = codes([jit_deny(), shut, arm_rule(300)])

    assert found == []


def test_a_second_nsg_that_keeps_the_port_closed_prevents_a_bypass():
    """Both NSGs must let a packet through."""
    shut = arm_rule(200, "Deny", name="shut", port="22")

    found = codes([jit_deny(), arm_rule(300)], [shut])

    assert found == []


def test_a_second_nsg_that_lets_in_others_prevents_a_bypass_too():
    """No packet passes both."""
    office = arm_rule(300, source="198.51.100.0/24", to=VM, port="22")
    rest = arm_rule(200, "Deny", source="198.51.100.0/24")

    found = codes([jit_deny(), office], [rest, arm_rule(300)])

    assert found == []


def test_only_the_rules_that_precede_a_deny_are_named():
    """The other NSG's ordinary rules are not to blame."""
    found = warned([jit_deny(), arm_rule(300, name="office")], [arm_rule(400, name="web")])

    why = "port 22: let in before the JIT deny rule by office (priority 300)"
    assert found == [("deny-shadowed", f"{why}; {MOVE}")]


def test_an_ipv6_interface_is_judged_by_ipv6_rules():
    """The deny rule of its own address counts, also for IPv6."""
    deny = jit_deny(to="fd00::4")

    found = codes([deny, arm_rule(300, source="0.0.0.0/0")], private_ip="fd00::4")

    assert found == []


def test_an_address_that_is_none_is_an_error():
    """The caller must know the interface's address."""
    with pytest.raises(ValueError, match="web01"):
        warned([jit_deny()], private_ip="web01")


standing = st.lists(
    st.builds(
        lambda number, access, source: arm_rule(number, access, source=source),
        st.integers(100, 4000),
        st.sampled_from(["Allow", "Deny"]),
        st.sampled_from(["*", "203.0.113.0/24", "10.1.9.0/24", "AzureCloud", "VirtualNetwork"]),
    ),
    unique_by=lambda rule: rule["properties"]["priority"],
    max_size=4,
)
visitors = st.sampled_from(["203.0.113.7", "10.1.9.9", "8.8.8.8", "192.168.1.1"])


@given(standing, standing, visitors)
def test_every_source_that_gets_in_without_a_grant_gives_a_warning(first, second, visitor):
    """No warning means that nobody passes, or may pass, the JIT deny."""
    nsgs = [[*first, jit_deny()], second]
    verdict = evaluate_path(
        [rules_of(*rules) for rules in nsgs], a_flow(visitor), VNET, public=True
    )

    warnings = codes(*nsgs)

    assert bool(warnings) >= isinstance(verdict, (Allowed, CannotTell))


# ---- Bastion ---------------------------------------------------------------------------------


def test_the_jit_deny_cuts_off_a_bastion():
    """Its subnet would get in by the default rules, were it not for the deny."""
    found = find_bastion_warnings(
        [rules_of(jit_deny())],
        private_ip=VM,
        ports=[a_port()],
        bastion_prefixes=[BASTION],
        vnet_prefixes=VNET,
    )

    (warning,) = found
    assert warning.code == "bastion-cut-off"
    assert warning.detail == (
        "port 22: the JIT deny rule stops the Bastion 10.1.2.0/26; ask for access with "
        '"via": "bastion", which opens the port for it'
    )


def test_a_bastion_in_a_peered_network_is_cut_off_too():
    """Its prefix belongs to the tag VirtualNetwork, although it lies outside the VNet."""
    found = bastion_codes([jit_deny()], prefixes=("10.77.0.0/26",))

    assert found == ["bastion-cut-off"]


@pytest.mark.parametrize("source", [BASTION, "VirtualNetwork", "10.0.0.0/8", "*"])
def test_a_standing_allow_before_the_deny_lets_a_bastion_bypass_jit(source):
    """Everyone with rights on the Bastion gets in at any time."""
    found = bastion_codes([jit_deny(), arm_rule(300, source=source, port="22")])

    assert found == ["bastion-bypass"]


def test_the_rule_that_lets_a_bastion_past_jit_is_named():
    """It is in the NSG with the deny rule; rules of other NSGs and of grants are not named."""
    guarded = [jit_deny(), jit_allow(source=BASTION), arm_rule(300, name="ops", source=BASTION)]
    nsgs = [guarded, [arm_rule(200, name="web")]]
    (found,) = find_bastion_warnings(
        [rules_of(*rules) for rules in nsgs],
        private_ip=VM,
        ports=[a_port()],
        bastion_prefixes=[BASTION],
        vnet_prefixes=VNET,
    )

    why = "port 22: the Bastion 10.1.2.0/26 gets in without a grant by ops (priority 300)"
    assert (found.code, found.detail) == ("bastion-bypass", f"{why}; {MOVE}")


def test_a_bastion_that_comes_from_the_hosts_address_is_cut_off_like_any_other():
    """The SKU Developer: the default rules let the host in, the deny does not."""
    found = bastion_codes([jit_deny()], prefixes=("168.63.129.16/32",))

    assert found == ["bastion-cut-off"]


def test_a_grant_for_the_bastion_ends_the_cut_and_is_no_bypass():
    """Access by Bastion works as it should."""
    found = bastion_codes([jit_deny(), jit_allow(source=BASTION)])

    assert found == []


def test_a_grant_for_somebody_else_does_not_help_the_bastion():
    """Its packets come from its subnet, not from the person's address."""
    found = bastion_codes([jit_deny(), jit_allow(source="203.0.113.7")])

    assert found == ["bastion-cut-off"]


def test_an_allow_for_a_piece_of_its_subnet_leaves_a_bastion_cut_off():
    """Any of its instances may be the one that connects."""
    found = bastion_codes([jit_deny(), arm_rule(300, source="10.1.2.0/27", port="22")])

    assert found == ["bastion-cut-off"]


@pytest.mark.parametrize("priority", [200, 4000])
def test_a_bastion_that_the_customer_stops_is_not_jits_doing(priority):
    """Without the JIT deny it would not get in either."""
    shut = arm_rule(priority, "Deny", name="shut", source=BASTION)

    found = bastion_codes([jit_deny(1000), shut])

    assert found == []


def test_a_bastion_in_doubt_gives_no_warning():
    """A guess would cry wolf."""
    found = bastion_codes([jit_deny(), arm_rule(300, source="AzureCloud")])

    assert found == []


@pytest.mark.parametrize(
    ("rules", "changes"),
    [
        ([], {}),
        ([jit_deny()], {"prefixes": ()}),
        ([jit_deny()], {"prefixes": ("fd00::/64",)}),
        ([jit_deny()], {"protocol": "UDP"}),
        ([jit_deny(port="3389")], {}),
    ],
)
def test_there_is_no_warning_if_jit_does_not_concern_the_bastion(rules, changes):
    """No deny, no Bastion, another family, another protocol, another port."""
    found = bastion_codes(rules, **changes)

    assert found == []


def test_the_other_nsg_on_the_way_counts_for_a_bastion_too():
    """The subnet's NSG stops it; the interface's NSG does not matter."""
    found = bastion_codes([arm_rule(300, "Deny")], [jit_deny(), arm_rule(200)])

    assert found == []
