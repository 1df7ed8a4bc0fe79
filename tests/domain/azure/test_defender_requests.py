"""Requests in a JIT policy: their fields, and which of them are ours."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.azure.defender_requests import (
    find_occupations,
    find_port_requests,
    mark_reason,
    parse_mark,
    parse_requests,
)
from jit.domain.model.machine import Occupation
from tests.builders.defender import an_entry
from tests.builders.values import MINE, NEXT, NOW, vm_id

FOREVER = datetime.max.replace(tzinfo=UTC)


def arm_port(number=22, **changes):
    """One port of a request as ARM returns it; a change to None removes the field."""
    fields = {
        "number": number,
        "allowedSourceAddressPrefix": "203.0.113.7",
        "endTimeUtc": "2026-11-22T20:00:00.5691611Z",
        "status": "Initiated",
        "statusReason": "UserRequested",
        "mappedPort": 10022,
        **changes,
    }
    return {key: value for key, value in fields.items() if value is not None}


def arm_request(*ports, justification="portal", start="2026-11-22T18:00:00Z", machine=None):
    """One request of a policy."""
    return {
        "virtualMachines": [{"id": machine or vm_id(), "ports": list(ports or [arm_port()])}],
        "startTimeUtc": start,
        "requestor": "petra@contoso.com",
        "justification": justification,
    }


def a_policy(*requests):
    """A policy with those requests."""
    return {"id": "default", "properties": {"virtualMachines": [], "requests": list(requests)}}


def test_a_request_has_its_vm_port_sources_and_end():
    """Every field, with Azure's seven digits of fraction cut to six."""
    (entry,) = parse_requests(a_policy(arm_request(justification=mark_reason(MINE, "patch"))))

    assert entry == an_entry(
        "203.0.113.7",
        ends_at=datetime(2026, 11, 22, 20, 0, 0, 569161, tzinfo=UTC),
        mapped_port=10022,
        requestor="petra@contoso.com",
    )


@pytest.mark.parametrize(
    ("fields", "sources"),
    [
        ({}, ("203.0.113.7",)),
        (
            {"allowedSourceAddressPrefixes": ["203.0.113.7", "198.51.100.0/24"]},
            ("203.0.113.7", "198.51.100.0/24"),
        ),
        ({"allowedSourceAddressPrefixes": []}, ("203.0.113.7",)),
        ({"allowedSourceAddressPrefix": None}, ()),
        ({"allowedSourceAddressPrefix": 7}, ()),
    ],
)
def test_sources_come_from_either_field(fields, sources):
    """One prefix or a list of them; ARM sends the one or the other."""
    (entry,) = parse_requests(a_policy(arm_request(arm_port(**fields))))

    assert entry.sources == sources


@pytest.mark.parametrize(
    ("status", "active"),
    [
        ("Initiated", True),
        ("Initiating", True),
        ("Surprise", True),
        (None, True),
        ("Revoked", False),
    ],
)
def test_only_a_revoked_entry_is_not_in_force(status, active):
    """The enum is open: an unknown status may let somebody in."""
    (entry,) = parse_requests(a_policy(arm_request(arm_port(status=status))))

    assert entry.active is active


@pytest.mark.parametrize("end", [None, "", "soon", 7, "2026-11-22T20:00:00"])
def test_an_end_that_cannot_be_read_never_passes(end):
    """Doubt keeps others' access untouched."""
    (entry,) = parse_requests(a_policy(arm_request(arm_port(endTimeUtc=end))))

    assert entry.ends_at == FOREVER
    assert entry.is_in_force(NOW + timedelta(days=1000))


@pytest.mark.parametrize(
    ("active", "ends_at", "expected"),
    [
        (True, NOW + timedelta(seconds=1), True),
        (True, NOW, False),
        (False, NOW + timedelta(hours=1), False),
    ],
)
def test_an_entry_is_in_force_until_its_end_unless_revoked(active, ends_at, expected):
    """At its end it no longer is."""
    entry = an_entry(active=active, ends_at=ends_at)

    assert entry.is_in_force(NOW) is expected


@pytest.mark.parametrize("mapped", [None, 0, "10022"])
def test_a_mapped_port_that_is_not_known_yet_is_none(mapped):
    """The firewall's port comes with the firewall's update."""
    (entry,) = parse_requests(a_policy(arm_request(arm_port(mappedPort=mapped))))

    assert entry.mapped_port is None


def test_entries_come_oldest_first():
    """A newer request revokes an older one; the order of the list does not matter."""
    late = arm_request(
        start="2026-11-22T18:00:00.0000002Z", justification=mark_reason(NEXT, "late")
    )
    soon = arm_request(start="2026-11-22T17:59:59Z", justification=mark_reason(MINE, "soon"))

    found = parse_requests(a_policy(late, soon))

    assert [entry.initiate_id for entry in found] == [MINE, NEXT]


def test_an_entry_without_a_start_is_the_oldest():
    """A request without a date supersedes nothing."""
    found = parse_requests(
        a_policy(arm_request(), arm_request(start="?", justification=mark_reason(MINE, "x")))
    )

    assert [entry.initiate_id for entry in found] == [MINE, None]


def test_an_entry_for_each_port_of_each_vm():
    """One request may open many VM ports."""
    request = arm_request(arm_port(22), arm_port(3389))
    request["virtualMachines"].append({"id": vm_id("db01"), "ports": [arm_port(22)]})

    found = parse_requests(a_policy(request))

    assert [(entry.vm_id, entry.port) for entry in found] == [
        (vm_id(), 22),
        (vm_id(), 3389),
        (vm_id("db01"), 22),
    ]


@pytest.mark.parametrize(
    "policy",
    [
        {},
        {"properties": None},
        {"properties": {"requests": None}},
        {"properties": {"requests": {"a": 1}}},
        a_policy("x", None, 7),
        a_policy({"virtualMachines": "x"}),
        a_policy({"virtualMachines": [None, {"ports": [None, "x"]}]}),
        a_policy(arm_request(arm_port(None))),
        a_policy(arm_request(arm_port("22"))),
    ],
)
def test_json_that_is_no_request_is_left_out(policy):
    """A body of another shape is no reason to fail."""
    found = parse_requests(policy)

    assert found == ()


def test_requests_of_a_vm_port_are_found_in_any_case_of_its_id():
    """ARM writes ids as it likes."""
    mine = an_entry(vm_id=vm_id().upper())
    others = (an_entry(port=3389), an_entry(vm_id=vm_id("db01")))

    found = find_port_requests((mine, *others), vm_id(), 22)

    assert found == (mine,)


# ---- which are ours --------------------------------------------------------------------------


@given(st.text())
def test_a_marked_justification_names_its_initiate_for_any_reason(reason):
    """The proof is at the head, so the reason cannot change it."""
    text = mark_reason(MINE, reason)

    assert parse_mark(text) == MINE
    assert len(text) <= 512


@given(st.text(max_size=30))
def test_a_mark_counts_at_the_head_only(prefix):
    """A person who quotes a mark in a justification does not make the request ours."""
    text = f"{prefix}x{mark_reason(MINE, 'quoted')}"

    assert parse_mark(text) is None


@given(st.one_of(st.text(), st.from_regex(r"\[jit-broker [a-z0-9]{24,28}\].*", fullmatch=True)))
def test_only_an_id_that_the_broker_could_have_made_is_a_mark(text):
    """26 characters of base32, in brackets, and nothing near it."""
    found = parse_mark(text)

    assert found is None or re.fullmatch(r"[a-z2-7]{26}", found)


def test_vm_ports_of_foreign_requests_are_occupied():
    """Neither our own requests, nor revoked or past ones."""
    policy = a_policy(
        arm_request(arm_port(22), arm_port(3389, status="Revoked")),
        arm_request(arm_port(5985, endTimeUtc="2026-11-22T18:00:00Z")),
        arm_request(arm_port(5986), justification=mark_reason(MINE, "ours")),
    )

    found = find_occupations(parse_requests(policy), now=NOW)

    assert found == (
        Occupation(
            port=22,
            sources=("203.0.113.7",),
            ends_at=datetime(2026, 11, 22, 20, 0, 0, 569161, tzinfo=UTC),
            requestor="petra@contoso.com",
        ),
    )
