"""The body of an access request: its good parts, and every fault."""

import re
from datetime import timedelta
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain import limits
from jit.domain.limits import Limits
from jit.domain.model.request import AccessRequest, Ticket, WantedMachine, WantedPort
from jit.domain.requests import access_body, fields, idempotency_key, json_node, network_fields
from jit.domain.requests.access_body import read_access_request
from jit.domain.values import arm_ids, object_ids, prefixes, times
from jit.domain.values.times import format_instant
from tests.builders.bodies import a_body, a_draft, a_machine, a_port, faults
from tests.builders.values import NOW, OTHER_SUBSCRIPTION, vm_id

ALICE = "a11ce000-0000-4000-8000-000000000001"

SECOND = timedelta(seconds=1)
FIRST_VM = "#/virtualMachines/0"
FIRST_PORT = f"{FIRST_VM}/ports/0"


def ports(*items):
    """The VMs of a body that wants these ports of one VM."""
    return [a_machine(ports=list(items))]


def test_the_whole_body_of_the_contract_is_read():
    """Every field that the contract has today, in the domain's nouns."""
    draft = a_draft(
        virtualMachines=[a_machine(ports=[a_port(3389, protocol="TCP"), a_port(22)])],
        sources=["203.0.113.7", "198.51.100.0/25"],
        startTime="2026-11-22T19:00:00+01:00",
        ticket={"system": "servicenow", "id": "CHG0030001"},
        dryRun=True,
    )

    assert (draft.violations, draft.dry_run, draft.request) == (
        (),
        True,
        AccessRequest(
            machines=(
                WantedMachine(
                    id=vm_id(),
                    ports=(
                        WantedPort(number=3389, protocol="TCP", pointer=FIRST_PORT),
                        WantedPort(number=22, protocol=None, pointer=f"{FIRST_VM}/ports/1"),
                    ),
                    pointer=FIRST_VM,
                ),
            ),
            sources=(ip_network("203.0.113.7/32"), ip_network("198.51.100.0/25")),
            duration=timedelta(hours=2),
            starts_at=NOW,
            justification="CHG0030001 monthly patch",
            ticket=Ticket(system="servicenow", id="CHG0030001"),
        ),
    )


def test_the_optional_fields_are_optional():
    """Not before now, without a ticket, for real."""
    draft = a_draft()

    assert draft.request is not None
    assert (draft.request.starts_at, draft.request.ticket, draft.dry_run) == (None, None, False)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        # the object itself
        ({"virtualMachines": None}, [("#/virtualMachines", "missing-field")]),
        ({"sources": None}, [("#/sources", "missing-field")]),
        ({"duration": None}, [("#/duration", "missing-field")]),
        ({"justification": None}, [("#/justification", "missing-field")]),
        ({"source": "203.0.113.7"}, [("#/source", "unknown-field")]),
        ({"Duration": "PT1H"}, [("#/Duration", "unknown-field")]),
        ({"onBehalfOf": "someone"}, [("#/onBehalfOf", "object-id-malformed")]),
        ({"onBehalfOf": ""}, [("#/onBehalfOf", "object-id-malformed")]),
        ({"onBehalfOf": f"{ALICE} "}, [("#/onBehalfOf", "object-id-malformed")]),
        ({"onBehalfOf": "0" * 32}, [("#/onBehalfOf", "object-id-malformed")]),
        (
            {"onBehalfOf": "00000000-0000-0000-0000-000000000000"},
            [("#/onBehalfOf", "object-id-malformed")],
        ),
        ({"onBehalfOf": [ALICE]}, [("#/onBehalfOf", "wrong-type")]),
        ({"onBehalfOf": 7}, [("#/onBehalfOf", "wrong-type")]),
        ({"callbackUrl": "https://example.com"}, [("#/callbackUrl", "not-supported")]),
        ({"dryRun": "true"}, [("#/dryRun", "wrong-type")]),
        ({"dryRun": 1}, [("#/dryRun", "wrong-type")]),
        # VMs
        ({"virtualMachines": {}}, [("#/virtualMachines", "wrong-type")]),
        ({"virtualMachines": vm_id()}, [("#/virtualMachines", "wrong-type")]),
        ({"virtualMachines": []}, [("#/virtualMachines", "too-few")]),
        ({"virtualMachines": [vm_id()]}, [(FIRST_VM, "wrong-type")]),
        ({"virtualMachines": [{"id": vm_id()}]}, [(f"{FIRST_VM}/ports", "missing-field")]),
        ({"virtualMachines": [{"ports": [a_port()]}]}, [(f"{FIRST_VM}/id", "missing-field")]),
        (
            {"virtualMachines": [a_machine() | {"name": "web01"}]},
            [(f"{FIRST_VM}/name", "unknown-field")],
        ),
        ({"virtualMachines": [a_machine() | {"id": 7}]}, [(f"{FIRST_VM}/id", "wrong-type")]),
        ({"virtualMachines": [a_machine("..")]}, [(f"{FIRST_VM}/id", "vm-id-malformed")]),
        (
            {"virtualMachines": [a_machine("web01/extensions/agent")]},
            [(f"{FIRST_VM}/id", "vm-id-not-a-vm")],
        ),
        (
            {"virtualMachines": [a_machine("web01"), a_machine("WEB01")]},
            [("#/virtualMachines/1/id", "duplicate-vm")],
        ),
        (
            {"virtualMachines": [a_machine(), a_machine(subscription=OTHER_SUBSCRIPTION)]},
            [("#/virtualMachines/1/id", "subscriptions-differ")],
        ),
        (
            {"virtualMachines": [a_machine(f"farm{index}") for index in range(91)]},
            [("#/virtualMachines", "too-many")],
        ),
        # ports
        ({"virtualMachines": ports()}, [(f"{FIRST_VM}/ports", "too-few")]),
        (
            {"virtualMachines": [{"id": vm_id(), "ports": 22}]},
            [(f"{FIRST_VM}/ports", "wrong-type")],
        ),
        ({"virtualMachines": ports(22)}, [(FIRST_PORT, "wrong-type")]),
        ({"virtualMachines": ports({})}, [(f"{FIRST_PORT}/number", "missing-field")]),
        ({"virtualMachines": ports(a_port(True))}, [(f"{FIRST_PORT}/number", "wrong-type")]),
        ({"virtualMachines": ports(a_port(3389.0))}, [(f"{FIRST_PORT}/number", "wrong-type")]),
        ({"virtualMachines": ports(a_port("22"))}, [(f"{FIRST_PORT}/number", "wrong-type")]),
        ({"virtualMachines": ports(a_port("22-23"))}, [(f"{FIRST_PORT}/number", "wrong-type")]),
        ({"virtualMachines": ports(a_port("*"))}, [(f"{FIRST_PORT}/number", "wrong-type")]),
        ({"virtualMachines": ports(a_port(0))}, [(f"{FIRST_PORT}/number", "port-out-of-range")]),
        ({"virtualMachines": ports(a_port(-22))}, [(f"{FIRST_PORT}/number", "port-out-of-range")]),
        (
            {"virtualMachines": ports(a_port(65_536))},
            [(f"{FIRST_PORT}/number", "port-out-of-range")],
        ),
        (
            {"virtualMachines": ports(a_port(10**39))},
            [(f"{FIRST_PORT}/number", "port-out-of-range")],
        ),
        (
            {"virtualMachines": ports(a_port(22), a_port(22, protocol="UDP"))},
            [(f"{FIRST_VM}/ports/1/number", "duplicate-port")],
        ),
        (
            {"virtualMachines": ports(a_port(22, protocol="tcp"))},
            [(f"{FIRST_PORT}/protocol", "protocol-unknown")],
        ),
        (
            {"virtualMachines": ports(a_port(22, protocol="ICMP"))},
            [(f"{FIRST_PORT}/protocol", "protocol-unknown")],
        ),
        (
            {"virtualMachines": ports(a_port(22, protocol=6))},
            [(f"{FIRST_PORT}/protocol", "wrong-type")],
        ),
        (
            {"virtualMachines": ports(a_port(22, endTime="PT1H"))},
            [(f"{FIRST_PORT}/endTime", "unknown-field")],
        ),
        (
            {"virtualMachines": ports(*(a_port(number) for number in range(1, 12)))},
            [(f"{FIRST_VM}/ports", "too-many")],
        ),
        # sources
        ({"sources": "203.0.113.7"}, [("#/sources", "wrong-type")]),
        ({"sources": []}, [("#/sources", "too-few")]),
        ({"sources": [None]}, [("#/sources/0", "wrong-type")]),
        ({"sources": [3405803783]}, [("#/sources/0", "wrong-type")]),
        ({"sources": ["*"]}, [("#/sources/0", "source-any")]),
        ({"sources": ["0.0.0.0/0"]}, [("#/sources/0", "source-any")]),
        ({"sources": ["203.0.0.0/16"]}, [("#/sources/0", "source-too-wide")]),
        ({"sources": ["203.0.113.7/24"]}, [("#/sources/0", "source-host-bits")]),
        ({"sources": ["VirtualNetwork"]}, [("#/sources/0", "source-malformed")]),
        ({"sources": ["127.0.0.1"]}, [("#/sources/0", "source-reserved")]),
        ({"sources": ["169.254.169.254"]}, [("#/sources/0", "source-reserved")]),
        ({"sources": ["224.0.0.1"]}, [("#/sources/0", "source-reserved")]),
        ({"sources": ["255.255.255.255"]}, [("#/sources/0", "source-reserved")]),
        (
            {"sources": ["203.0.113.7", "203.0.113.7/32"]},
            [("#/sources/1", "duplicate-source")],
        ),
        ({"sources": ["203.0.113.7", "203.0.113.0/24"]}, [("#/sources/1", "source-overlap")]),
        ({"sources": ["203.0.113.0/24", "203.0.113.7"]}, [("#/sources/1", "source-overlap")]),
        ({"sources": ["203.0.113.7", "2a02::1"]}, [("#/sources/1", "source-families")]),
        (
            {"sources": ["2a02::1", "203.0.113.7", "2a02::2"]},
            [("#/sources/1", "source-families")],
        ),
        (
            {"sources": [f"203.0.113.{index}" for index in range(11)]},
            [("#/sources", "too-many")],
        ),
        (
            {"sources": ["nonsense", "10.0.0.1/8", "203.0.113.7"]},
            [
                ("#/sources/0", "source-malformed"),
                ("#/sources/1", "source-host-bits"),
                ("#/sources/1", "source-too-wide"),
            ],
        ),
        # the duration
        ({"duration": 7200}, [("#/duration", "wrong-type")]),
        ({"duration": "2h"}, [("#/duration", "duration-malformed")]),
        ({"duration": "P1M"}, [("#/duration", "duration-ambiguous")]),
        ({"duration": "-PT2H"}, [("#/duration", "duration-negative")]),
        ({"duration": "P999999D"}, [("#/duration", "duration-overflow")]),
        ({"duration": "PT0S"}, [("#/duration", "duration-too-short")]),
        ({"duration": "PT4M59.999999S"}, [("#/duration", "duration-too-short")]),
        ({"duration": "PT24H0.000001S"}, [("#/duration", "duration-too-long")]),
        ({"duration": "P2D"}, [("#/duration", "duration-too-long")]),
        # the start
        ({"startTime": 1795370400}, [("#/startTime", "wrong-type")]),
        ({"startTime": "tonight"}, [("#/startTime", "time-malformed")]),
        ({"startTime": "2026-11-22T19:00:00"}, [("#/startTime", "time-without-zone")]),
        ({"startTime": "9999-11-22T19:00:00Z"}, [("#/startTime", "time-out-of-range")]),
        ({"startTime": "2025-11-22T19:00:00Z"}, [("#/startTime", "start-in-past")]),
        ({"startTime": "2026-12-22T18:00:01Z"}, [("#/startTime", "start-too-far")]),
        # the justification
        ({"justification": ["a", "b"]}, [("#/justification", "wrong-type")]),
        ({"justification": ""}, [("#/justification", "text-too-short")]),
        ({"justification": "four"}, [("#/justification", "text-too-short")]),
        ({"justification": " " * 100}, [("#/justification", "text-too-short")]),
        ({"justification": " four "}, [("#/justification", "text-too-short")]),
        ({"justification": "\u3000" * 10}, [("#/justification", "text-too-short")]),
        ({"justification": "x" * 501}, [("#/justification", "text-too-long")]),
        ({"justification": "two\nlines"}, [("#/justification", "text-not-one-line")]),
        ({"justification": "two\r\nlines\n"}, [("#/justification", "text-not-one-line")]),
        ({"justification": "two\u2028lines"}, [("#/justification", "text-not-one-line")]),
        ({"justification": "two\u2029lines"}, [("#/justification", "text-not-one-line")]),
        ({"justification": "two\x85lines"}, [("#/justification", "text-not-one-line")]),
        ({"justification": "a tab\there"}, [("#/justification", "text-not-one-line")]),
        ({"justification": "a null\x00"}, [("#/justification", "text-not-one-line")]),
        ({"justification": "\x1b[2J clear"}, [("#/justification", "text-not-one-line")]),
        ({"justification": "safe \u202etxet"}, [("#/justification", "text-hidden-character")]),
        ({"justification": "safe \u2066text"}, [("#/justification", "text-hidden-character")]),
        (
            {"justification": "\u200b" * 10},
            [("#/justification", "text-hidden-character"), ("#/justification", "text-too-short")],
        ),
        ({"justification": "\ufeff a text"}, [("#/justification", "text-hidden-character")]),
        ({"justification": "a half \ud800"}, [("#/justification", "text-hidden-character")]),
        (
            {"justification": "I \u2764\ufe0f patches"},
            [("#/justification", "text-hidden-character")],
        ),
        ({"justification": "\ue000 patch"}, [("#/justification", "text-hidden-character")]),
        ({"justification": "patch \u200d"}, [("#/justification", "text-hidden-character")]),
        ({"justification": "a b c d"}, [("#/justification", "text-too-short")]),
        ({"justification": "e" + "\u0301" * 9}, [("#/justification", "text-too-short")]),
        ({"justification": "tag \U000e0041 text"}, [("#/justification", "text-hidden-character")]),
        # the ticket
        ({"ticket": "CHG0030001"}, [("#/ticket", "wrong-type")]),
        (
            {"ticket": {}},
            [("#/ticket/system", "missing-field"), ("#/ticket/id", "missing-field")],
        ),
        ({"ticket": {"system": "s", "id": 7}}, [("#/ticket/id", "wrong-type")]),
        ({"ticket": {"system": "s", "id": ""}}, [("#/ticket/id", "text-too-short")]),
        ({"ticket": {"system": "s", "id": "x" * 129}}, [("#/ticket/id", "text-too-long")]),
        ({"ticket": {"system": "s" * 65, "id": "x"}}, [("#/ticket/system", "text-too-long")]),
        ({"ticket": {"system": "a\nb", "id": "x"}}, [("#/ticket/system", "text-not-one-line")]),
        (
            {"ticket": {"system": "s", "id": "CHG\u200d"}},
            [("#/ticket/id", "text-hidden-character")],
        ),
        ({"ticket": {"system": "s", "id": "\u0301"}}, [("#/ticket/id", "text-too-short")]),
        (
            {"ticket": {"system": "s", "id": "x", "url": "https://example.com"}},
            [("#/ticket/url", "unknown-field")],
        ),
    ],
)
def test_a_faulty_body_is_refused_and_the_fault_named(change, found):
    """Exactly the faults it has, each where it stands; no request comes of it."""
    draft = a_draft(**change)

    assert (faults(draft.violations), draft.request) == (found, None)


@pytest.mark.parametrize(
    "name", ["virtualMachines", "sources", "duration", "justification", "startTime", "ticket"]
)
def test_null_is_not_the_same_as_absent(name):
    """An expression of the caller that came out empty must not mean "now" or "no ticket"."""
    draft = read_access_request(a_body() | {name: None}, now=NOW)

    assert faults(draft.violations) == [(f"#/{name}", "wrong-type")]


@pytest.mark.parametrize("value", [None, True, 1, "", []])
def test_a_body_is_an_object(value):
    """One fault, not one for each missing field."""
    draft = read_access_request(value, now=NOW)

    assert faults(draft.violations) == [("#", "wrong-type")]


def test_all_faults_are_named_at_once():
    """A caller repairs a body in one round trip."""
    draft = a_draft(
        virtualMachines=[a_machine(ports=[a_port(0)]), a_machine("..")],
        sources=["*"],
        duration="P1M",
        startTime="tonight",
        justification="x",
        ticket={"system": "s"},
        surprise=1,
    )

    assert set(faults(draft.violations)) == {
        ("#/surprise", "unknown-field"),
        (f"{FIRST_PORT}/number", "port-out-of-range"),
        ("#/virtualMachines/1/id", "vm-id-malformed"),
        ("#/sources/0", "source-any"),
        ("#/duration", "duration-ambiguous"),
        ("#/startTime", "time-malformed"),
        ("#/justification", "text-too-short"),
        ("#/ticket/id", "missing-field"),
    }


def test_the_good_parts_of_a_faulty_body_are_kept():
    """The policy can be asked about them in the same round trip, at the body's own places."""
    draft = a_draft(
        virtualMachines=[a_machine(".."), a_machine("web02", ports=[a_port(0), a_port(22)])],
        sources=["*", "203.0.113.7"],
        justification="x",
    )

    assert (draft.machines, draft.sources, draft.duration) == (
        (
            WantedMachine(
                id=vm_id("web02"),
                ports=(
                    WantedPort(number=22, protocol=None, pointer="#/virtualMachines/1/ports/1"),
                ),
                pointer="#/virtualMachines/1",
            ),
        ),
        (None, ip_network("203.0.113.7/32")),
        timedelta(hours=2),
    )


@pytest.mark.parametrize(
    "change",
    [
        {"virtualMachines": [a_machine(f"farm{index}") for index in range(90)]},
        {"virtualMachines": ports(*(a_port(number) for number in range(1, 11)))},
        {"virtualMachines": ports(a_port(1), a_port(65_535))},
        {"virtualMachines": [a_machine(), a_machine(group="rg-db")]},
        {"virtualMachines": [a_machine("a"), a_machine("b", subscription=vm_id()[15:51].upper())]},
        {"virtualMachines": ports(a_port(protocol="TCP"), a_port(53, protocol="UDP"))},
        {"virtualMachines": ports(a_port(protocol="*"))},
        {"sources": [f"203.0.113.{index}" for index in range(10)]},
        {"sources": ["203.0.113.0/25", "203.0.113.128/25"]},
        {"sources": ["2a02::/65", "2a02:0:0:1::/65"]},
        {"duration": "PT5M"},
        {"duration": "PT24H"},
        {"duration": "P1D"},
        {"startTime": format_instant(NOW)},
        {"startTime": format_instant(NOW - timedelta(seconds=60))},
        {"startTime": format_instant(NOW + timedelta(days=7))},
        {"justification": "12345"},
        {"justification": "x" * 500},
        {"justification": "  " + "x" * 500 + "  "},
        {"justification": "Größe prüfen, 日本語, \U0001f468\u200d\U0001f4bb"},
        {"ticket": {"system": "s" * 64, "id": "x" * 128}},
        {"dryRun": False},
    ],
)
def test_a_body_at_the_limits_is_read(change):
    """The last value that is allowed is allowed."""
    assert a_draft(**change).violations == ()


@pytest.mark.parametrize(
    ("startTime", "code"),
    [
        (format_instant(NOW - timedelta(seconds=60) - timedelta(microseconds=1)), "start-in-past"),
        (format_instant(NOW + timedelta(days=7) + timedelta(microseconds=1)), "start-too-far"),
    ],
)
def test_a_start_just_outside_is_refused(startTime, code):  # noqa: N803 - the body's own name
    """A minute of grace for the caller's clock, none for the horizon."""
    assert faults(a_draft(startTime=startTime).violations) == [("#/startTime", code)]


def test_settings_move_the_limits():
    """`JIT_WIDEST_SOURCE` and `JIT_START_HORIZON` are an operator's to choose."""
    moved = Limits(widest_source_v4=28, start_horizon=timedelta(days=1))
    body = a_body(sources=["203.0.113.0/27"], startTime="2026-11-23T18:00:01Z")
    draft = read_access_request(body, now=NOW, limits=moved)

    assert faults(draft.violations) == [
        ("#/sources/0", "source-too-wide"),
        ("#/startTime", "start-too-far"),
    ]


def test_spaces_around_a_justification_are_dropped():
    """The audit trail keeps the words of the caller."""
    assert a_draft(justification="  monthly patch ").justification == "monthly patch"


def test_a_list_of_faults_without_end_is_cut():
    """The answer to a hostile body stays small, and says that it is not complete."""
    draft = a_draft(**{f"x{index}": 1 for index in range(5000)})

    assert (len(draft.violations), faults(draft.violations[-1:])) == (
        1001,
        [("#", "too-many-violations")],
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
broken_bodies = st.builds(
    lambda changes: {**a_body(), **changes},
    st.dictionaries(
        st.sampled_from([*a_body(), "startTime", "ticket", "dryRun"]), json_values, max_size=3
    ),
)


@given(json_values | broken_bodies)
def test_any_json_value_is_a_request_or_has_faults(value):
    """One of the two, never both, never an error of another kind."""
    draft = read_access_request(value, now=NOW)

    assert (draft.request is None) == bool(draft.violations)


def test_a_vm_of_another_subscription_is_sent_as_a_second_request():
    """The sentence names it."""
    machines = [a_machine("web01"), a_machine("farm01", subscription=OTHER_SUBSCRIPTION)]

    (violation,) = a_draft(virtualMachines=machines).violations

    assert violation.detail.endswith(": send farm01 as a second request")


# ---- the table of codes


def test_the_person_named_is_an_object_id_in_lower_case():
    """A body that names nobody asks for its caller."""
    named = read_access_request(a_body(onBehalfOf=ALICE.upper()), now=NOW)

    assert (named.violations, named.on_behalf_of) == ((), ALICE)
    assert read_access_request(a_body(), now=NOW).on_behalf_of is None


def test_the_table_of_codes_is_complete():
    """Programs act on codes: the module that gives them out lists them all."""
    modules = (
        arm_ids,
        access_body,
        fields,
        idempotency_key,
        json_node,
        limits,
        network_fields,
        object_ids,
        prefixes,
        times,
    )
    codes = {
        value
        for module in modules
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str) and re.fullmatch("[a-z]+(-[a-z0-9]+)+", value)
    }
    rows = re.findall(r"^(?:\* .{15}|  {17}) (.*)$", access_body.__doc__ or "", re.MULTILINE)

    assert set(re.findall("[a-z]+(?:-[a-z0-9]+)+", " ".join(rows))) == codes


@pytest.mark.parametrize(
    ("sources", "widest", "codes"),
    [
        (["198.51.100.0/25", "203.0.113.0/25"], 24, []),
        (["198.51.100.0/24", "203.0.113.7"], 24, ["sources-too-many-addresses"]),
        (["198.51.100.1", "203.0.113.7"], 32, ["sources-too-many-addresses"]),
        (["198.51.100.1", "203.0.113.7"], 31, []),
        (["198.51.100.0/24", "none"], 24, ["source-malformed"]),
    ],
)
def test_ten_wide_sources_are_not_one(sources, widest, codes):
    """Each of them is allowed alone."""
    draft = read_access_request(
        a_body(sources=sources), now=NOW, limits=Limits(widest_source_v4=widest)
    )

    assert [each.code for each in draft.violations] == codes
    assert (draft.request is None) is bool(codes)
    assert all(str(2 ** (32 - widest)) in v.detail for v in draft.violations if "sum" in v.code)
