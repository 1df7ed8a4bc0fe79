"""The stage before the NSGs, alone and against a model that tries every packet."""

from ipaddress import ip_address, ip_network
from itertools import permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jit.domain.network_manager.admin_stage import Outcome, split_at_admin_rules
from jit.domain.network_manager.security_admin_rules import parse_admin_rules
from tests.builders.admin_rules import ALLOW, ALWAYS, DENY, GROUP, MANAGER, OTHER_MANAGER, arm_admin
from tests.builders.nsgs import VNET, a_flow
from tests.sizes import examples

DENIED, PASSED, LEFT = {Outcome.DENIED}, {Outcome.PASSED}, {Outcome.LEFT}
WHOLE = "203.0.113.0/29"


def split(*items, flow=None):
    """The shares of a flow."""
    return list(split_at_admin_rules(parse_admin_rules(items), flow or a_flow(), VNET))


def outcomes(*items, flow=None):
    """The outcomes of a flow that fares alike."""
    (share,) = split(*items, flow=flow)
    return share.outcomes


def test_without_rules_the_flow_is_left_to_the_nsgs():
    """Nobody manages the network."""
    (share,) = split()

    assert (share.flow, share.outcomes, share.rules) == (a_flow(), LEFT, ())


@pytest.mark.parametrize(("access", "expected"), [(DENY, DENIED), (ALWAYS, PASSED), (ALLOW, LEFT)])
def test_each_access_has_its_outcome(access, expected):
    """Deny and AlwaysAllow end the evaluation, Allow goes on."""
    assert outcomes(arm_admin(access)) == expected


def test_the_smallest_number_decides():
    """Whatever comes behind it."""
    assert outcomes(arm_admin(ALLOW, number=5), arm_admin(DENY, number=6)) == LEFT


@pytest.mark.parametrize(
    "changes",
    [
        {"port": "23-80"},
        {"protocol": "Udp"},
        {"direction": "Outbound"},
        {"destinations": [{"addressPrefix": "10.1.1.5", "addressPrefixType": "IPPrefix"}]},
        {"sources": [{"addressPrefix": "10.0.0.0/8", "addressPrefixType": "IPPrefix"}]},
    ],
)
def test_a_rule_for_another_flow_says_nothing(changes):
    """Port, protocol, direction and both ends must match."""
    assert outcomes(arm_admin(DENY, **changes)) == LEFT


def test_a_tag_means_the_same_as_in_an_nsg():
    """The internet is denied; the firewall's subnet is not."""
    rule = arm_admin(DENY, "Internet")

    assert outcomes(rule) == DENIED
    assert outcomes(rule, flow=a_flow("10.1.0.4")) == LEFT


@pytest.mark.parametrize(
    "rule",
    [
        arm_admin(DENY, GROUP),
        arm_admin(DENY, "AzureCloud"),
        arm_admin(DENY, sourcePortRanges=["1024-2048"]),
    ],
)
def test_a_deny_that_may_not_apply_is_a_doubt(rule):
    """A network group cannot be resolved here."""
    assert outcomes(rule) == DENIED | LEFT


def test_a_rule_that_cannot_be_read_or_is_changed_may_do_anything():
    """All three ends are possible."""
    assert outcomes(arm_admin(access="Perhaps")) == DENIED | PASSED | LEFT
    assert outcomes(arm_admin(provisioningState="Updating")) == DENIED | PASSED | LEFT


def test_a_doubt_about_what_happens_anyway_is_none():
    """Both readings end alike."""
    assert outcomes(arm_admin(DENY, GROUP, number=1), arm_admin(DENY, number=2)) == DENIED


def test_two_rules_with_one_number_may_come_in_either_order():
    """Azure documents none."""
    assert outcomes(arm_admin(DENY), arm_admin(ALWAYS)) == DENIED | PASSED
    assert outcomes(arm_admin(DENY), arm_admin(ALWAYS, port="443")) == DENIED


def test_two_managers_that_disagree_are_a_doubt():
    """The wider scope wins, and the scopes are not known here."""
    one, other = arm_admin(DENY), arm_admin(ALWAYS, manager=OTHER_MANAGER, number=1)

    assert outcomes(one, other) == DENIED | PASSED
    assert outcomes(one, arm_admin(ALLOW, manager=OTHER_MANAGER)) == DENIED | LEFT


def test_a_manager_without_a_word_about_the_flow_leaves_it_to_the_other():
    """Silence is no Allow."""
    silent = arm_admin(ALWAYS, port="443", manager=OTHER_MANAGER)

    assert outcomes(arm_admin(DENY), silent) == DENIED


def test_a_flow_is_split_where_its_parts_fare_differently():
    """The shares are prefixes, and no address is lost."""
    shares = split(arm_admin(DENY, "203.0.113.4/30"), flow=a_flow(WHOLE))

    assert [(str(share.flow.source), share.outcomes) for share in shares] == [
        ("203.0.113.0/30", LEFT),
        ("203.0.113.4/30", DENIED),
    ]


def test_both_protocols_of_a_port_for_any_are_judged():
    """One of them may be denied."""
    shares = split(arm_admin(DENY, protocol="Udp"), flow=a_flow(protocol="*"))

    assert {share.flow.protocol: share.outcomes for share in shares} == {
        "TCP": LEFT,
        "UDP": DENIED,
    }


def test_an_outcome_names_its_rules():
    """People look for them in the portal."""
    (share,) = split(arm_admin(DENY, GROUP, number=1), arm_admin(ALLOW, number=2))

    assert (
        share.name_rules(Outcome.DENIED) == "security admin rule deny-1 of network manager nm-hub"
    )
    assert share.name_rules(Outcome.PASSED) == ""


# ---- every packet --------------------------------------------------------------------------------

SOURCES = ["*", "203.0.113.0/30", "203.0.113.2/31", "203.0.113.5", "10.0.0.0/8", "2001:db8::/32"]
UNKNOWN = ["AzureCloud", GROUP]


@st.composite
def rules(draw):
    """Up to five rules of two managers, few numbers, so that ties are common."""
    return [
        arm_admin(
            draw(st.sampled_from([DENY, ALWAYS, ALLOW])),
            *draw(st.lists(st.sampled_from([*SOURCES, *UNKNOWN]), min_size=1, max_size=2)),
            port=draw(st.sampled_from(["22", "20-30", "443", "0-65535"])),
            number=draw(st.integers(1, 3)),
            manager=draw(st.sampled_from([MANAGER, MANAGER, OTHER_MANAGER])),
            name=f"rule-{place}",
            protocol=draw(st.sampled_from(["Any", "Tcp", "Udp"])),
            **draw(st.sampled_from([{}, {}, {"direction": "Outbound"}])),
        )
        for place in range(draw(st.integers(0, 5)))
    ]


def takes(item, address, protocol, reading):
    """Does one rule take a packet, if unknown addresses contain it as *reading* says?"""
    body = item["properties"]
    low, _, high = body["destinationPortRanges"][0].partition("-")
    if body["direction"] != "Inbound" or not int(low) <= 22 <= int(high or low):
        return False
    if body["protocol"] not in {"Any", protocol}:
        return False
    texts = [each["addressPrefix"] for each in body["sources"]]
    return any(
        reading if text in UNKNOWN else text == "*" or address in ip_network(text) for text in texts
    )


def model(items, address, protocol):
    """All ends that a packet may have: every reading, every order of ties, every manager first."""
    ends = {DENY: Outcome.DENIED, ALWAYS: Outcome.PASSED, ALLOW: Outcome.LEFT}
    found = set()
    unsure = [
        item
        for item in items
        if {*UNKNOWN} & {each["addressPrefix"] for each in item["properties"]["sources"]}
    ]
    for answers in product([True, False], repeat=len(unsure)):
        readings = {item["id"]: answer for item, answer in zip(unsure, answers, strict=True)}
        for order in permutations(items):
            for managers in ((MANAGER, OTHER_MANAGER), (OTHER_MANAGER, MANAGER)):
                ranked = sorted(
                    order,
                    key=lambda item: (
                        managers.index(item["id"].partition("/securityAdmin")[0]),
                        item["properties"]["priority"],
                    ),
                )
                decider = next(
                    (
                        item
                        for item in ranked
                        if takes(item, address, protocol, readings.get(item["id"], False))
                    ),
                    None,
                )
                access = decider["properties"]["access"] if decider else ALLOW
                found.add(ends[access])
    return found


@settings(max_examples=examples(60, 1500), deadline=None)
@given(items=rules(), protocol=st.sampled_from(["TCP", "UDP"]))
def test_every_packet_fares_as_in_the_model(items, protocol):
    """Each address of the flow is in one share, and that share has exactly the model's ends."""
    flow = a_flow(WHOLE, protocol=protocol)
    shares = split(*items, flow=flow)

    for address in ip_network(WHOLE):
        (share,) = [each for each in shares if address in each.flow.source]
        assert share.outcomes == model(items, ip_address(address), protocol.title())
