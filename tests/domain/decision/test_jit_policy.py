"""Decisions by the JIT policy: every reason to refuse a wish."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.decision.jit_policy import decide, find_effective_protocol
from jit.domain.decision.verdict import Finding, FindingKind
from jit.domain.errors import Violation
from jit.domain.limits import LIMITS, Limits
from jit.domain.model.machine import Obstacle, Occupation, PolicyFault, Support, Via
from jit.domain.values import arm_ids
from tests.builders.bodies import a_draft, a_machine, a_port
from tests.builders.machines import a_rule, a_vm, inventory
from tests.builders.values import NOW, POLICY_ID, vm_id

ID = "#/virtualMachines/0/id"
NUMBER = "#/virtualMachines/0/ports/0/number"
PROTOCOL = "#/virtualMachines/0/ports/0/protocol"
SOURCE = "#/sources/0"
HOUR = timedelta(hours=1)


def wanting(*ports, **changes):
    """A draft that wants these ports of web01."""
    return a_draft(virtualMachines=[a_machine(ports=list(ports))], **changes)


def found(wish, *machines):
    """Return kind, place and code of each finding against *wish*."""
    return [
        (finding.kind, finding.violation.pointer, finding.violation.code)
        for finding in decide(wish, inventory(*machines), now=NOW)
    ]


def details(wish, *machines):
    """The same, in words."""
    return [item.violation.detail for item in decide(wish, inventory(*machines), now=NOW)]


# ---- allowed wishes


@pytest.mark.parametrize(
    ("wish", "machine"),
    [
        (a_draft(), a_vm()),
        (a_draft(duration="PT3H"), a_vm()),
        (a_draft(), a_vm(ports=(a_rule(allowed_sources=("203.0.113.0/24",)),))),
        (a_draft(), a_vm(ports=(a_rule(allowed_sources=("203.0.113.7",)),))),
        (a_draft(sources=["203.0.113.0/24"]), a_vm()),
        (a_draft(sources=["192.0.2.1", "198.51.100.1"]), a_vm(via=Via.FIREWALL)),
        (a_draft(duration="PT15M"), a_vm(via=Via.FIREWALL)),
        (a_draft(duration="PT5M"), a_vm()),
        (a_draft(duration="PT5M", sources=["10.0.0.5"]), a_vm(via=Via.PRIVATE)),
        (a_draft(sources=["10.0.0.5"]), a_vm(via=Via.PRIVATE)),
        (a_draft(sources=["100.64.0.5", "192.168.0.0/24"]), a_vm(via=Via.PRIVATE)),
        (a_draft(sources=["2a02::1"]), a_vm(ports=(a_rule(allowed_sources=("2a02::/32",)),))),
        (wanting(a_port(protocol="TCP")), a_vm(ports=(a_rule(protocol="*"),))),
        (wanting(a_port(protocol="UDP")), a_vm(ports=(a_rule(protocol="*"),))),
        (wanting(a_port(protocol="*")), a_vm(ports=(a_rule(protocol="*"),))),
        (wanting(a_port(protocol="TCP")), a_vm()),
        (a_draft(virtualMachines=[a_machine("WEB01")]), a_vm()),
    ],
)
def test_a_wish_within_the_policy_is_granted(wish, machine):
    """A single address inside an allowed prefix, private sources on private paths, all limits."""
    assert found(wish, machine) == []


def test_a_checked_request_is_decided_like_its_draft():
    """The decision is taken again at opening, without the body."""
    draft = wanting(a_port(), a_port(3389), sources=["10.0.0.5"], duration="PT4H")

    assert draft.request is not None
    assert found(draft.request, a_vm()) == found(draft, a_vm()) != []


# ---- the VM


@pytest.mark.parametrize(
    ("machines", "code"),
    [
        ([], "vm-not-found"),
        ([a_vm("web02")], "vm-not-found"),
        ([a_vm(support=Support.NOT_CONFIGURED)], "no-jit-policy"),
        ([a_vm(support=Support.UNSUPPORTED, reasons=("no NSG",))], "vm-unsupported"),
    ],
)
def test_a_vm_that_cannot_be_served_is_refused(machines, code):
    """Silence is not consent: one finding, at its id, and none about its ports."""
    wish = wanting(a_port(4711), sources=["10.0.0.5"], duration="PT10M")

    assert found(wish, *machines) == [(FindingKind.POLICY, ID, code)]


def test_an_unsupported_vm_says_why():
    """The portal's third tab leaves people guessing; the broker does not."""
    hub = a_vm(support=Support.UNSUPPORTED, reasons=("behind a firewall policy", "no NSG"))

    assert details(a_draft(), hub) == ["web01 cannot be served: behind a firewall policy; no NSG"]


def test_an_unknown_vm_is_named():
    """So that the reader of many findings knows which."""
    assert details(a_draft()) == [
        "web01 is not among the VMs the broker sees: GET virtual-machines lists the ids"
    ]


def test_a_vm_without_a_policy_says_who_can_help():
    """A requester cannot."""
    machine = a_vm(support=Support.NOT_CONFIGURED)

    assert details(a_draft(), machine) == [
        "web01 is in no JIT policy: an operator can put it into one"
    ]


# ---- the port


@pytest.mark.parametrize(
    ("port", "rule", "finding"),
    [
        (a_port(3389), a_rule(22), (FindingKind.POLICY, NUMBER, "port-not-in-policy")),
        (
            a_port(protocol="UDP"),
            a_rule(),
            (FindingKind.POLICY, PROTOCOL, "protocol-not-in-policy"),
        ),
        (a_port(protocol="*"), a_rule(), (FindingKind.POLICY, PROTOCOL, "protocol-not-in-policy")),
        (
            a_port(protocol="TCP"),
            a_rule(protocol="UDP"),
            (FindingKind.POLICY, PROTOCOL, "protocol-not-in-policy"),
        ),
    ],
)
def test_a_port_outside_the_policy_is_refused(port, rule, finding):
    """Neither another port nor more than the rule opens."""
    assert found(wanting(port), a_vm(ports=(rule,))) == [finding]


@pytest.mark.parametrize(
    ("ports", "words"),
    [
        ((a_rule(22),), "which has 22"),
        ((a_rule(22), a_rule(3389)), "which has 22 and 3389"),
        (tuple(map(a_rule, range(1, 12))), "which has 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"),
        ((), "which has none"),
    ],
)
def test_a_refused_port_comes_with_the_allowed_ones(ports, words):
    """The next try need not be a guess."""
    (detail,) = details(wanting(a_port(4711)), a_vm(ports=ports))

    assert detail == f"port 4711 of web01 is not in its JIT policy, {words}"


@pytest.mark.parametrize(
    ("source", "allowed", "words"),
    [
        (
            "203.0.113.7",
            ("10.0.0.0/8",),
            "its JIT policy allows 10.0.0.0/8; GET my-address shows the caller's address",
        ),
        (
            "203.0.113.7",
            tuple(f"10.{n}.0.0/16" for n in range(9)),
            (
                "its JIT policy allows 10.0.0.0/16, 10.1.0.0/16, 10.2.0.0/16, 10.3.0.0/16"
                " and 5 more; GET my-address shows the caller's address"
            ),
        ),
        ("2a02::1", ("*",), "its JIT policy names no IPv6 prefix; name an IPv4 address"),
    ],
)
def test_a_refused_source_comes_with_the_allowed_ones(source, allowed, words):
    """And with the way to one's own address."""
    machine = a_vm(ports=(a_rule(allowed_sources=allowed),))

    (detail,) = details(a_draft(sources=[source]), machine)

    assert detail.endswith(f" may not reach port 22 of web01: {words}")


def test_a_source_behind_a_firewall_must_be_ipv4():
    """No policy can change that."""
    rule = a_rule(allowed_sources=("2a02::/32",))

    (detail,) = details(a_draft(sources=["2a02::1"]), a_vm(via=Via.FIREWALL, ports=(rule,)))

    assert detail.endswith("an Azure Firewall has no IPv6; name an IPv4 address")


def test_a_private_source_comes_with_the_way_to_the_public_one():
    """A person sees the private address on the own computer."""
    assert details(a_draft(sources=["192.168.0.7"]), a_vm()) == [
        (
            "192.168.0.7/32 is not public, but web01 is reached over the internet:"
            " GET my-address shows the caller's address"
        )
    ]


@pytest.mark.parametrize(
    ("asked", "ruled", "shown"),
    [
        (None, "TCP", "TCP"),
        (None, "*", "*"),
        ("TCP", "TCP", "TCP"),
        ("TCP", "*", "*"),
        ("UDP", "*", "*"),
        ("*", "*", "*"),
        ("UDP", "TCP", None),
        ("TCP", "UDP", None),
        ("*", "TCP", None),
    ],
)
def test_a_grant_shows_the_protocol_of_the_rule(asked, ruled, shown):
    """An initiate has no protocol, so the policy's protocol opens."""
    assert find_effective_protocol(asked, a_rule(protocol=ruled)) == shown


# ---- the source


@pytest.mark.parametrize(
    ("source", "allowed", "via", "expected"),
    [
        ("203.0.113.7", ("198.51.100.0/24",), Via.PUBLIC_IP, "source-not-allowed"),
        ("203.0.113.0/24", ("203.0.113.0/25",), Via.PUBLIC_IP, "source-not-allowed"),
        ("203.0.113.7", ("garbage", ""), Via.PUBLIC_IP, "source-not-allowed"),
        ("203.0.113.7", (), Via.PUBLIC_IP, "source-not-allowed"),
        ("2a02::1", ("*",), Via.PUBLIC_IP, "ipv6-not-allowed"),
        ("fd00::1", ("203.0.113.0/24",), Via.PRIVATE, "ipv6-not-allowed"),
        ("2a02::1", ("2a02::/32",), Via.FIREWALL, "ipv6-not-allowed"),
        ("2a02::1", ("2a03::/32",), Via.PUBLIC_IP, "source-not-allowed"),
    ],
)
def test_a_source_outside_the_policy_is_refused(source, allowed, via, expected):
    """At its own place, so that the other sources may stay."""
    machine = a_vm(via=via, ports=(a_rule(allowed_sources=allowed),))

    assert found(a_draft(sources=[source]), machine) == [
        (FindingKind.POLICY, "#/sources/0", expected)
    ]


@pytest.mark.parametrize("via", [Via.FIREWALL, Via.PUBLIC_IP])
@pytest.mark.parametrize(
    "source",
    ["10.0.0.5", "172.16.0.0/24", "192.168.1.1", "100.64.0.1", "198.18.0.1", "192.0.0.1"],
)
def test_a_private_source_cannot_come_over_the_internet(source, via):
    """The body is at fault: no policy could make it work."""
    assert found(a_draft(sources=[source]), a_vm(via=via)) == [
        (FindingKind.BODY, "#/sources/0", "source-not-public")
    ]


@pytest.mark.parametrize("source", ["fd00::1", "2001:db8::1"])
def test_a_local_ipv6_source_cannot_come_over_the_internet(source):
    """Unique local and documentation addresses, even if the policy names them."""
    machine = a_vm(ports=(a_rule(allowed_sources=("fd00::/8", "2001:db8::/32")),))

    assert found(a_draft(sources=[source]), machine) == [
        (FindingKind.BODY, "#/sources/0", "source-not-public")
    ]


def test_a_public_source_cannot_reach_a_vm_with_private_addresses_only():
    """No path leads from the internet to it, so nothing is opened for it."""
    machine = a_vm(via=Via.PRIVATE, vnet_prefixes=("10.1.0.0/16",))

    assert found(a_draft(sources=["203.0.113.7"]), machine) == [
        (FindingKind.POLICY, "#/sources/0", "source-not-private")
    ]


def test_a_public_address_inside_the_vms_own_network_reaches_it():
    """Some companies use public addresses in their virtual networks."""
    machine = a_vm(via=Via.PRIVATE, vnet_prefixes=("203.0.113.0/24",))

    assert found(a_draft(sources=["203.0.113.7"]), machine) == []


def test_each_source_is_judged_at_its_place_in_the_body():
    """A faulty entry before it does not shift the pointer."""
    wish = a_draft(sources=["nonsense", "10.0.0.5", "203.0.113.7"])

    assert found(wish, a_vm()) == [(FindingKind.BODY, "#/sources/1", "source-not-public")]


v4 = st.builds(
    lambda host, length: ip_network((host << 8, length), strict=False),
    st.integers(0, 2**24 - 1),
    st.integers(24, 32),
)


@given(v4, st.lists(v4.map(str), max_size=4).map(tuple))
def test_nothing_passes_that_lies_outside_every_allowed_prefix(source, allowed):
    """Property: granted means wholly inside one of them."""
    wish = replace(a_draft(), sources=(source,))
    rule = a_rule(allowed_sources=allowed)
    machine = a_vm(via=Via.PRIVATE, ports=(rule,), vnet_prefixes=("0.0.0.0/0",))
    inside = any(source.subnet_of(ip_network(prefix)) for prefix in allowed)

    assert (found(wish, machine) == []) is inside


# ---- the duration


def test_a_port_allows_no_more_than_its_own_maximum():
    """The sentence names the port and the limit."""
    wish = wanting(a_port(), a_port(3389))
    machine = a_vm(ports=(a_rule(max_duration=HOUR), a_rule(3389, max_duration=2 * HOUR)))

    detail = "port 22 of web01 allows at most PT1H"

    assert decide(wish, inventory(machine), now=NOW) == (
        Finding(FindingKind.POLICY, Violation("#/duration", "duration-too-long", detail)),
    )


def test_access_behind_a_firewall_lasts_fifteen_minutes_at_least():
    """Its update takes minutes, so no policy can allow it: the body is at fault."""
    assert found(a_draft(duration="PT14M59S"), a_vm(via=Via.FIREWALL)) == [
        (FindingKind.BODY, "#/duration", "duration-too-short")
    ]


def test_the_shortest_access_behind_a_firewall_is_a_limit_like_the_others():
    """It comes from the limits, not from a number in the code."""
    limits = Limits(shortest_behind_firewall=3 * HOUR)
    findings = decide(a_draft(), inventory(a_vm(via=Via.FIREWALL)), now=NOW, limits=limits)

    assert [finding.violation.detail for finding in findings] == [
        "web01 is behind a firewall: at least PT3H"
    ]


# ---- someone else on the port


def occupied(*sources_, ends_in=HOUR, port=22):
    """Web01 with a foreign request in force."""
    return a_vm(occupations=(Occupation(port=port, sources=sources_, ends_at=NOW + ends_in),))


def test_a_port_held_by_a_foreign_request_is_occupied():
    """Defender keeps one request a port: ours would silently end theirs."""
    findings = decide(a_draft(), inventory(occupied("198.51.100.9")), now=NOW)

    assert [(item.kind, item.violation.pointer, item.violation.detail) for item in findings] == [
        (
            FindingKind.OCCUPIED,
            NUMBER,
            (
                "port 22 of web01 is occupied until 2026-11-22T19:00:00Z:"
                " ask then, or with a startTime from then on"
            ),
        )
    ]


@pytest.mark.parametrize(
    "held",
    [
        ("203.0.113.0/24",),
        ("203.0.113.7", "198.51.100.9"),
        ("*",),
        (),
        ("garbage",),
    ],
)
def test_only_the_same_sources_join(held):
    """Wider, more, everything or unreadable: theirs would change by our initiate."""
    assert found(a_draft(), occupied(*held)) == [(FindingKind.OCCUPIED, NUMBER, "occupied")]


@pytest.mark.parametrize(
    ("wish", "machine"),
    [
        (a_draft(), occupied("203.0.113.7")),
        (a_draft(), occupied("203.0.113.7/32")),
        (
            a_draft(sources=["203.0.113.7", "198.51.100.9"]),
            occupied("198.51.100.9", "203.0.113.7"),
        ),
        (a_draft(), occupied("198.51.100.9", port=3389)),
        (a_draft(), occupied("198.51.100.9", ends_in=timedelta(0))),
        (a_draft(), occupied("198.51.100.9", ends_in=-HOUR)),
        (a_draft(startTime="2026-11-22T19:00:00Z"), occupied("198.51.100.9")),
        (a_draft(sources=["203.0.113.7", "nonsense"]), occupied("198.51.100.9")),
    ],
)
def test_a_foreign_request_that_is_not_in_the_way_does_not_matter(wish, machine):
    """Same sources, another port, over by the start; or nobody can tell while sources are bad."""
    assert found(wish, machine) == []


def test_a_port_is_occupied_until_the_last_one_leaves():
    """The caller learns the time to come back."""
    machine = a_vm(
        occupations=(
            Occupation(port=22, sources=("198.51.100.9",), ends_at=NOW + 2 * HOUR),
            Occupation(port=22, sources=("192.0.2.9",), ends_at=NOW + HOUR),
        )
    )

    assert details(a_draft(), machine) == [
        (
            "port 22 of web01 is occupied until 2026-11-22T20:00:00Z:"
            " ask then, or with a startTime from then on"
        )
    ]


def test_a_start_within_the_grace_counts_as_now():
    """A request that ended in between occupies nothing."""
    machine = occupied("198.51.100.9", ends_in=-timedelta(seconds=1))

    assert found(a_draft(startTime="2026-11-22T17:59:30Z"), machine) == []


# ---- all at once


def test_everything_that_stands_against_a_wish_is_found():
    """One round trip is enough to learn all of it, from every VM and port."""
    wish = a_draft(
        virtualMachines=[
            a_machine("web01", ports=[a_port(22, protocol="UDP"), a_port(4711)]),
            a_machine("new01"),
            a_machine("gone"),
        ],
        sources=["203.0.113.7", "10.0.0.5"],
        duration="PT14M",
    )
    web01 = a_vm(
        via=Via.FIREWALL,
        ports=(a_rule(allowed_sources=("203.0.113.0/24",), max_duration=timedelta(minutes=10)),),
        occupations=(Occupation(port=22, sources=("192.0.2.1",), ends_at=NOW + HOUR),),
    )

    assert found(wish, web01, a_vm("new01", support=Support.NOT_CONFIGURED)) == [
        (FindingKind.BODY, "#/duration", "duration-too-short"),
        (FindingKind.BODY, "#/sources/1", "source-not-public"),
        (FindingKind.POLICY, PROTOCOL, "protocol-not-in-policy"),
        (FindingKind.POLICY, "#/duration", "duration-too-long"),
        (FindingKind.POLICY, "#/sources/1", "source-not-allowed"),
        (FindingKind.OCCUPIED, NUMBER, "occupied"),
        (FindingKind.POLICY, "#/virtualMachines/0/ports/1/number", "port-not-in-policy"),
        (FindingKind.POLICY, "#/virtualMachines/1/id", "no-jit-policy"),
        (FindingKind.POLICY, "#/virtualMachines/2/id", "vm-not-found"),
    ]


def test_the_good_parts_of_a_faulty_body_are_judged():
    """Without a duration and without a good source, the port is still known to be wrong."""
    wish = wanting(a_port(4711), sources=["*"], duration="P1M")

    assert found(wish, a_vm()) == [(FindingKind.POLICY, NUMBER, "port-not-in-policy")]


def test_a_lookup_is_by_the_key_of_an_id():
    """Azure spells one VM in several ways."""
    machine = a_vm(id=vm_id().replace("resourceGroups", "resourcegroups").upper())

    assert found(a_draft(), machine) == []


# ---- which subscriptions are looked after


def test_a_vm_of_a_subscription_that_is_no_longer_looked_after_is_refused():
    """The inventory may still hold it; its rules would not be compared any more."""
    elsewhere = replace(LIMITS, subscriptions=("0" * 8 + "-0000-4000-8000-" + "0" * 12,))

    findings = decide(a_draft(), inventory(a_vm()), now=NOW, limits=elsewhere)

    assert [(item.kind, item.violation.pointer) for item in findings] == [(FindingKind.POLICY, ID)]


def test_a_vm_of_a_subscription_that_is_looked_after_may_be_asked_for():
    """Named in any case of letters."""
    own = replace(LIMITS, subscriptions=(arm_ids.subscription(vm_id()),))

    assert decide(a_draft(), inventory(a_vm()), now=NOW, limits=own) == ()


def test_a_vm_whose_names_are_too_long_for_defender_is_refused_at_once():
    """Its rule could never be written: the request would only fail after its time to open."""
    long = "p" * 52
    machine = a_vm(policy_id=f"{POLICY_ID.rsplit('/', 1)[0]}/{long}")

    (detail,) = details(a_draft(), machine)
    assert found(a_draft(), machine) == [(FindingKind.POLICY, ID, "names-too-long")]
    assert "shorter name" in detail


# ---- policies that are not understood


def unclear(field, port=22, **changes):
    """A VM whose policy has a fault in that field."""
    fault = PolicyFault(port=port, field=field, detail="why")
    return a_vm(policy_faults=(fault,), **changes)


@pytest.mark.parametrize(
    ("machine", "pointer"),
    [
        (unclear("virtualMachines", None), ID),
        (unclear("number", None, ports=()), NUMBER),
        (unclear("ports", None, ports=()), NUMBER),
        (unclear("number"), NUMBER),
        (unclear("protocol", ports=(a_rule(protocol="Any"),)), NUMBER),
        (unclear("maxRequestAccessDuration", ports=(a_rule(max_duration=0 * HOUR),)), NUMBER),
        (unclear("allowedSourceAddressPrefix", ports=(a_rule(allowed_sources=("x",)),)), SOURCE),
        (unclear("allowedSourceAddressPrefixes", ports=(a_rule(allowed_sources=("x",)),)), SOURCE),
    ],
)
def test_a_part_that_is_not_understood_is_the_reason_of_the_refusal(machine, pointer):
    """Not the number that the broker has in its place, such as a maximum of nothing."""
    assert found(a_draft(), machine) == [(FindingKind.POLICY, pointer, "policy-not-understood")]


@pytest.mark.parametrize(
    "machine",
    [
        unclear("number", None),
        unclear("protocol", 3389),
        unclear("allowedSourceAddressPrefixes", ports=(a_rule(allowed_sources=("*", "x")),)),
    ],
)
def test_a_fault_elsewhere_refuses_nothing(machine):
    """It is about another port, or another source allows the request."""
    assert found(a_draft(), machine) == []


@pytest.mark.parametrize(
    ("via", "code"),
    [(Via.PUBLIC_IP, "policy-not-understood"), (Via.FIREWALL, "ipv6-not-allowed")],
)
def test_an_unclear_source_may_be_an_ipv6_prefix_unless_none_could_ever_pass(via, code):
    """Whether the policy names one is not known; through a firewall it would not matter."""
    sources = "allowedSourceAddressPrefixes"
    machine = unclear(sources, via=via, ports=(a_rule(allowed_sources=("x",)),))

    assert [each for _, _, each in found(a_draft(sources=["2a02::1"]), machine)] == [code]


def test_the_refusal_says_that_the_policy_is_the_reason():
    """And which field to correct."""
    machine = unclear("maxRequestAccessDuration", ports=(a_rule(max_duration=0 * HOUR),))

    (detail,) = details(a_draft(), machine)

    assert detail == (
        "port 22 of web01 cannot be asked for, because its JIT policy is not understood: "
        "maxRequestAccessDuration: why; correct the policy"
    )


@pytest.mark.parametrize(
    ("source", "via", "codes"),
    [
        ("203.0.113.7", Via.PUBLIC_IP, []),
        ("203.0.113.7", Via.FIREWALL, []),
        ("10.0.0.5", Via.PRIVATE, ["source-not-allowed"]),
        ("100.64.0.5", Via.PRIVATE, ["source-not-allowed"]),
        ("2a02::1", Via.PUBLIC_IP, ["ipv6-not-allowed"]),
    ],
)
def test_the_tag_internet_contains_each_public_address(source, via, codes):
    """No private one; and, like ``*``, no IPv6."""
    machine = a_vm(via=via, ports=(a_rule(allowed_sources=("Internet",)),))

    assert [code for _, _, code in found(a_draft(sources=[source]), machine)] == codes


def test_a_prefix_beside_the_tag_internet_counts_too():
    """A private network may be allowed as well."""
    machine = a_vm(via=Via.PRIVATE, ports=(a_rule(allowed_sources=("Internet", "10.0.0.0/8")),))

    assert found(a_draft(sources=["10.0.0.5"]), machine) == []


def test_a_port_that_could_not_open_is_refused_with_what_to_do():
    """At once, and not after 40 minutes of hope. Other ports are not concerned."""
    obstacles = (Obstacle(port=22, code="nat-rule-blocks", detail="a NAT rule; ask its owner"),)
    machine = a_vm(obstacles=obstacles, ports=(a_rule(22), a_rule(3389)))

    assert found(wanting(a_port(22), a_port(3389)), machine) == [
        (FindingKind.POLICY, NUMBER, "nat-rule-blocks")
    ]
    assert details(wanting(a_port(22)), machine) == [
        "port 22 of web01 cannot be opened: a NAT rule; ask its owner"
    ]


def stopping(*sources, **changes):
    """A VM with an obstacle for these sources to port 22."""
    stopped = tuple(map(ip_network, sources))
    obstacle = Obstacle(port=22, code="nsg-rule-blocks", detail="why", sources=stopped, **changes)
    return a_vm(obstacles=(obstacle,))


@pytest.mark.parametrize(
    ("sources", "pointers"),
    [
        (["203.0.113.7"], ["#/sources/0"]),
        (["198.51.100.9", "203.0.113.0/24"], ["#/sources/1"]),
        (["203.0.113.7", "203.0.113.200"], ["#/sources/0"]),
        (["198.51.100.9"], []),
    ],
)
def test_a_source_that_is_stopped_is_refused_and_the_others_are_not(sources, pointers):
    """A path is open only if all of each source passes, so a part is enough."""
    machine = stopping("203.0.113.0/25", "2a02::/32")

    assert found(a_draft(sources=sources), machine) == [
        (FindingKind.POLICY, pointer, "nsg-rule-blocks") for pointer in pointers
    ]


def test_the_refusal_names_the_source_that_is_stopped():
    """With the reason and the action of the obstacle."""
    (detail,) = details(a_draft(), stopping("203.0.113.0/25"))

    assert detail == "port 22 of web01 cannot be opened to 203.0.113.7/32: why"


def test_an_obstacle_that_was_not_read_again_in_time_refuses_nothing():
    """It may be gone; the look that would call a path open reads it anew."""
    over, not_yet = NOW, NOW + timedelta(seconds=1)

    assert found(a_draft(), stopping("203.0.113.0/25", until=over)) == []
    assert len(found(a_draft(), stopping("203.0.113.0/25", until=not_yet))) == 1
