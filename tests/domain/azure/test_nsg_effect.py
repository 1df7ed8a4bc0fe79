"""The evaluator's laws, one at a time, where the model's random rules would seldom look."""

import pytest

from jit.domain.azure.nsg_effect import (
    Allowed,
    Blocked,
    CannotTell,
    evaluate,
    evaluate_path,
    find_free_priority,
    may_concern,
)
from jit.domain.azure.nsg_rules import parse_rules
from tests.builders.nsgs import VNET, a_flow, arm_nsg, arm_rule, asg_id, rules_of, to_groups
from tests.builders.values import VM

FIREWALL_SUBNET = "10.1.0.0/26"
JIT_DENY = arm_rule(
    4096,
    "Deny",
    name="MicrosoftDefenderForCloud-JITRule_-1_" + "A" * 32,
    to=VM,
    port=["22", "3389"],
)
JIT_ALLOW = arm_rule(
    100,
    name="MicrosoftDefenderForCloud-JITRule-1-" + "B" * 32,
    source="203.0.113.7",
    to=VM,
    port="22",
)


def named(verdict):
    """The kind of a verdict and the rule that it names."""
    return type(verdict), verdict.rule.name if verdict.rule else None


def test_the_jit_deny_stops_a_source_without_a_grant():
    """A closed JIT port is closed to everyone outside."""
    verdict = evaluate(rules_of(JIT_DENY), a_flow(), VNET)

    assert named(verdict) == (Blocked, JIT_DENY["name"])


def test_the_jit_allow_opens_the_port_for_its_source():
    """A grant's rule decides before the deny."""
    verdict = evaluate(rules_of(JIT_DENY, JIT_ALLOW), a_flow("203.0.113.7"), VNET)

    assert named(verdict) == (Allowed, JIT_ALLOW["name"])


def test_the_jit_allow_does_not_let_the_firewall_through():
    """DNAT traffic carries the firewall's address: the requester's rule does not match it."""
    verdict = evaluate(rules_of(JIT_DENY, JIT_ALLOW), a_flow(FIREWALL_SUBNET), VNET)

    assert named(verdict) == (Blocked, JIT_DENY["name"])


def test_a_deny_before_the_jit_allow_keeps_the_port_shut():
    """Present is not effective."""
    early = arm_rule(99, "Deny", name="freeze", port="20-25")

    verdict = evaluate(rules_of(early, JIT_ALLOW), a_flow(), VNET)

    assert named(verdict) == (Blocked, "freeze")


@pytest.mark.parametrize("piece", ["203.0.113.0/32", "203.0.113.255/32", "203.0.113.64/26"])
def test_a_prefix_is_blocked_where_a_rule_stops_a_piece_of_it(piece):
    """All of the source must get through."""
    rules = rules_of(arm_rule(100, "Deny", name="piece", source=piece), arm_rule(200))

    verdict = evaluate(rules, a_flow("203.0.113.0/24"), VNET)

    assert named(verdict) == (Blocked, "piece")


def test_a_prefix_is_blocked_where_a_rule_allows_only_a_piece_of_it():
    """The default deny takes the rest of the prefix."""
    rules = rules_of(arm_rule(100, source="203.0.113.0/25"))

    verdict = evaluate(rules, a_flow("203.0.113.0/24"), VNET)

    assert named(verdict) == (Blocked, "DenyAllInBound")


def test_a_prefix_is_allowed_where_several_rules_allow_its_pieces():
    """No single rule needs to cover it."""
    rules = rules_of(
        arm_rule(100, source="203.0.113.0/25"), arm_rule(200, source="203.0.113.128/25")
    )

    verdict = evaluate(rules, a_flow("203.0.113.0/24"), VNET)

    assert named(verdict) == (Allowed, "rule-100")


def test_the_first_of_several_blocking_rules_is_named():
    """A rule before that one overrules them all."""
    rules = rules_of(
        arm_rule(300, "Deny", source="203.0.113.0/32"),
        arm_rule(200, "Deny", source="203.0.113.9/32"),
        arm_rule(250, "Deny", source="203.0.113.99/32"),
        arm_rule(400),
    )

    verdict = evaluate(rules, a_flow("203.0.113.0/24"), VNET)

    assert named(verdict) == (Blocked, "rule-200")


@pytest.mark.parametrize(
    ("opened", "asked", "expected"),
    [
        ("Tcp", "TCP", Allowed),
        ("Tcp", "UDP", Blocked),
        ("Tcp", "*", Blocked),
        ("*", "*", Allowed),
        ("Udp", "udp", Allowed),
        ("Icmp", "TCP", Blocked),
    ],
)
def test_any_protocol_means_both_tcp_and_udp(opened, asked, expected):
    """A flow of any protocol is open only if both protocols are."""
    verdict = evaluate(rules_of(arm_rule(100, protocol=opened)), a_flow(protocol=asked), VNET)

    assert type(verdict) is expected


def test_tcp_and_udp_may_be_allowed_by_two_rules():
    """Each protocol finds its own rule."""
    rules = rules_of(arm_rule(100, protocol="Tcp"), arm_rule(200, protocol="Udp"))

    verdict = evaluate(rules, a_flow(protocol="*"), VNET)

    assert type(verdict) is Allowed


@pytest.mark.parametrize(
    ("port", "expected"),
    [("22", Allowed), ("20-22", Allowed), (["80", "22-25"], Allowed), ("23-80", Blocked)],
)
def test_a_port_is_found_in_ranges_and_lists(port, expected):
    """Both ends of a range belong to it."""
    verdict = evaluate(rules_of(arm_rule(100, port=port)), a_flow(port=22), VNET)

    assert type(verdict) is expected


@pytest.mark.parametrize(
    ("to", "expected"), [(VM, Allowed), ("10.1.1.0/24", Allowed), ("10.1.1.5", Blocked)]
)
def test_a_rule_for_another_machine_does_not_count(to, expected):
    """The destination is the VM's private address."""
    verdict = evaluate(rules_of(arm_rule(100, to=to)), a_flow(), VNET)

    assert type(verdict) is expected


def test_outbound_rules_do_not_count():
    """A flow is inbound."""
    verdict = evaluate(rules_of(arm_rule(100, direction="Outbound")), a_flow(), VNET)

    assert named(verdict) == (Blocked, "DenyAllInBound")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("10.1.9.9", (Allowed, "AllowVnetInBound")),
        ("192.168.1.1", (CannotTell, "AllowVnetInBound")),
        ("203.0.113.7", (Blocked, "DenyAllInBound")),
        ("168.63.129.16", (Allowed, "AllowAzureLoadBalancerInBound")),
    ],
)
def test_default_rules_decide_if_no_other_rule_does(source, expected):
    """The VNet and the probe get in, the internet does not, a private stranger is a doubt."""
    verdict = evaluate(rules_of(), a_flow(source), VNET)

    assert named(verdict) == expected


@pytest.mark.parametrize(
    "doubtful",
    [
        {"source": "AzureCloud"},
        {"sourceApplicationSecurityGroups": [{"id": "/g"}], "source": None},
        {"destinationApplicationSecurityGroups": [{"id": "/g"}], "to": None},
        {"to": "Storage.WestEurope"},
        {"sourcePortRange": "1024-65535"},
        {"protocol": "Gre"},
        {"destinationPortRange": "many"},
        {"priority": None},
        {"provisioningState": "Updating"},
        {"provisioningState": "Failed"},
    ],
)
def test_a_rule_that_may_or_may_not_apply_is_a_doubt(doubtful):
    """If the two readings end differently, the verdict is a doubt."""
    rules = rules_of(arm_rule(100, "Deny", name="odd", **doubtful), arm_rule(200))

    verdict = evaluate(rules, a_flow(), VNET)

    assert isinstance(verdict, CannotTell)
    assert named(verdict) == (CannotTell, "odd")
    assert "odd" in verdict.why


@pytest.mark.parametrize("access", ["Allow", "Deny"])
def test_a_doubt_that_changes_nothing_is_no_doubt(access):
    """Both readings of the tag end alike."""
    rules = rules_of(arm_rule(100, access, source="AzureCloud"), arm_rule(200, access, name="sure"))

    verdict = evaluate(rules, a_flow(), VNET)

    assert named(verdict) == ({"Allow": Allowed, "Deny": Blocked}[access], "sure")


def test_a_rule_in_change_is_a_doubt_even_if_its_new_text_agrees():
    """Until it is applied, its old text may act, and that may say the opposite."""
    rules = rules_of(arm_rule(100, name="odd", provisioningState="Updating"), arm_rule(200))

    verdict = evaluate(rules, a_flow(), VNET)

    assert named(verdict) == (CannotTell, "odd")


def test_a_rule_under_change_may_be_one_of_another_protocol():
    """Its old text is not known, so its protocols are not known either."""
    rules = rules_of(
        arm_rule(100, "Deny", name="odd", protocol="Icmp", provisioningState="Updating"),
        arm_rule(200),
    )

    verdict = evaluate(rules, a_flow(), VNET)

    assert named(verdict) == (CannotTell, "odd")


def test_a_doubtful_rule_behind_the_deciding_one_does_not_matter():
    """Nothing behind the first sure rule is asked."""
    rules = rules_of(arm_rule(100, name="sure"), arm_rule(200, "Deny", source="AzureCloud"))

    verdict = evaluate(rules, a_flow(), VNET)

    assert named(verdict) == (Allowed, "sure")


def test_a_part_that_is_certainly_blocked_blocks_the_flow_despite_doubts():
    """The whole source cannot get through any more."""
    rules = rules_of(
        arm_rule(100, "Deny", name="piece", source="203.0.113.9"),
        arm_rule(150, source="AzureCloud"),
    )

    verdict = evaluate(rules, a_flow("203.0.113.0/24"), VNET)

    assert named(verdict) == (Blocked, "piece")


def test_a_body_without_default_rules_leaves_the_rest_in_doubt():
    """Azure always has them: a list without them is not the whole truth."""
    rules = parse_rules(arm_nsg(arm_rule(100, port="443"), defaults=[]))

    verdict = evaluate(rules, a_flow(), VNET)

    assert verdict == CannotTell(None, "no rule is known to decide")


def test_the_doubtful_rule_is_named_if_no_rule_certainly_decides():
    """The message helps a person to find it."""
    rules = parse_rules(arm_nsg(arm_rule(100, name="odd", source="AzureCloud"), defaults=[]))

    verdict = evaluate(rules, a_flow(), VNET)

    assert named(verdict) == (CannotTell, "odd")


def test_ipv6_is_evaluated_by_its_own_prefixes():
    """An IPv4 wildcard is not an IPv6 one."""
    rules = rules_of(arm_rule(100, source="0.0.0.0/0"), arm_rule(200, source="2001:db8:7::/48"))
    flow = a_flow("2001:db8:7::1/128", to="fd00::4")

    verdict = evaluate(rules, flow, ["10.1.0.0/16", "fd00::/64"])

    assert named(verdict) == (Allowed, "rule-200")


def test_a_flow_between_two_families_is_a_doubt():
    """No packet is like that; nothing is claimed and nothing breaks."""
    verdict = evaluate(rules_of(arm_rule(100)), a_flow("2001:db8::1"), VNET)

    assert verdict == CannotTell(None, "2001:db8::1/128 cannot send to 10.1.1.4")


def test_a_vnet_that_is_no_prefix_is_an_error():
    """The VNet's address space comes from Azure and must be readable."""
    with pytest.raises(ValueError, match="vnet-prod"):
        evaluate(rules_of(), a_flow(), ["vnet-prod"])


# ---- application security groups -------------------------------------------------------------

WEB, DB = asg_id("web"), asg_id("db")


@pytest.mark.parametrize(
    ("groups", "memberships", "kind"),
    [
        (["db"], [WEB], Allowed),
        (["db"], [], Allowed),
        (["web"], [WEB], Blocked),
        (["web"], [WEB.upper(), DB], Blocked),
        (["web", "db"], [WEB, DB], Blocked),
        (["web", "db"], [WEB], CannotTell),
        (["web"], None, CannotTell),
    ],
)
def test_the_memberships_of_the_interface_decide_about_a_rule_for_groups(groups, memberships, kind):
    """Not known is a doubt. A second group is one too: it may have no member."""
    deny = arm_rule(90, "Deny", **to_groups(*groups))
    rules = rules_of(deny, JIT_ALLOW, JIT_DENY)

    assert type(evaluate(rules, a_flow(groups=memberships), VNET)) is kind


def test_a_group_as_source_is_a_doubt_for_its_members_too():
    """The members of the source are other interfaces, which are not read."""
    groups = {"sourceAddressPrefix": None, "sourceApplicationSecurityGroups": [{"id": WEB}]}
    rules = rules_of(arm_rule(90, "Deny", **groups), JIT_ALLOW, JIT_DENY)

    assert type(evaluate(rules, a_flow(groups=[WEB]), VNET)) is CannotTell


@pytest.mark.parametrize(
    ("changes", "concerns"),
    [
        ({}, True),
        ({"provisioningState": "Updating"}, True),
        ({"provisioningState": "Updating", "destinationAddressPrefix": "10.1.1.5"}, False),
        ({"provisioningState": "Failed", "destinationPortRange": "3389"}, False),
        ({"provisioningState": "Updating", "destinationPortRange": "?"}, True),
        ({"direction": "Outbound"}, False),
        (to_groups("db"), False),
        (to_groups("web"), True),
    ],
)
def test_a_rule_concerns_a_flow_by_its_text(changes, concerns):
    """Also while it is not in force; a rule that cannot be read may concern every flow."""
    (rule,) = (rule for rule in rules_of(arm_rule(300, **changes)) if rule.name == "rule-300")

    assert may_concern(rule, a_flow(groups=[WEB]), VNET) is concerns


# ---- paths -----------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_each_nsg_on_the_way_must_let_the_flow_through(order):
    """Subnet or interface, one is enough to stop it."""
    nsgs = [rules_of(arm_rule(100)), rules_of(JIT_DENY)]

    verdict = evaluate_path(nsgs[order], a_flow(), VNET, public=True)

    assert named(verdict) == (Blocked, JIT_DENY["name"])


def test_a_flow_that_every_nsg_allows_is_allowed():
    """Both say yes."""
    nsgs = [rules_of(arm_rule(100)), rules_of(arm_rule(200))]

    verdict = evaluate_path(nsgs, a_flow(), VNET, public=True)

    assert type(verdict) is Allowed


def test_a_doubt_in_one_nsg_is_a_doubt_on_the_path():
    """One yes and one perhaps make a perhaps."""
    nsgs = [rules_of(arm_rule(100)), rules_of(arm_rule(100, source="AzureCloud"))]

    verdict = evaluate_path(nsgs, a_flow(), VNET, public=True)

    assert type(verdict) is CannotTell


def test_a_public_path_without_any_nsg_is_a_doubt():
    """A Basic public IP would be open, a Standard one shut."""
    verdict = evaluate_path([], a_flow(), VNET, public=True)

    assert isinstance(verdict, CannotTell)
    assert verdict.rule is None


def test_a_private_path_without_any_nsg_is_open():
    """Inside the VNet nothing stops a packet but an NSG."""
    verdict = evaluate_path([], a_flow(FIREWALL_SUBNET), VNET, public=False)

    assert verdict == Allowed(None)


# ---- priorities ------------------------------------------------------------------------------


def test_the_free_priority_is_the_last_one_before_the_blocking_rule():
    """It overrules as little as it can."""
    priority = find_free_priority(rules_of(JIT_DENY), below=4096)

    assert priority == 4095


def test_a_taken_priority_is_skipped():
    """Two inbound rules cannot share one."""
    rules = rules_of(arm_rule(1000, "Deny"), arm_rule(999), arm_rule(998))

    priority = find_free_priority(rules, below=1000)

    assert priority == 997


def test_an_outbound_rule_takes_no_inbound_priority():
    """Azure counts each direction on its own."""
    rules = rules_of(arm_rule(999, direction="Outbound"))

    priority = find_free_priority(rules, below=1000)

    assert priority == 999


def test_a_default_rule_is_overruled_by_the_largest_number_of_ones_own():
    """Nobody may use a number above 4096."""
    priority = find_free_priority(rules_of(), below=65500)

    assert priority == 4096


@pytest.mark.parametrize(("below", "lowest"), [(100, 100), (102, 100), (300, 300)])
def test_there_is_no_free_priority_if_all_are_taken(below, lowest):
    """A rule that cannot be placed is not placed somewhere else."""
    rules = rules_of(arm_rule(100), arm_rule(101))

    priority = find_free_priority(rules, below=below, lowest=lowest)

    assert priority is None
