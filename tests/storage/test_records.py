"""Rows: what is written is read back, keys sort and find as they should, everything fits."""

import json
import re
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.model.grant import CloseReason, Footprint, Grant, Initiate, Status
from jit.domain.model.machine import (
    Connection,
    Interface,
    MachineWarning,
    Occupation,
    PortRule,
    Support,
    Via,
    VirtualMachine,
)
from jit.domain.model.people import Person
from jit.domain.model.request import Decision, Request, Ticket
from jit.domain.values.request_ids import new_request_id
from jit.storage import records
from jit.storage.table import Op, Row, Verb
from tests.builders.bodies import NOW, SUBSCRIPTION, vm_id
from tests.builders.firewalls import FIREWALL_ID
from tests.builders.grants import HOUR, POLICY_ID, a_grant
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable

REQUEST_ID = new_request_id(SUBSCRIPTION, NOW, bytes(10))

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
instants = st.integers(0, 7000 * 365 * 86_400 * 1_000_000).map(
    lambda microseconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
)
spans = st.timedeltas(timedelta(0), timedelta(days=365))
ports = st.integers(1, 65535)
networks = st.sampled_from(
    [ip_network(text) for text in ("203.0.113.7/32", "198.51.100.0/24", "2001:db8::/64")]
)
lists = st.lists(texts, max_size=3).map(tuple)
connections = st.builds(
    Connection, via=st.sampled_from(Via), address=texts, port=ports, command=texts
)
grants = st.builds(
    Grant,
    id=texts,
    request_id=texts,
    vm_id=texts,
    policy_id=texts,
    port=ports,
    protocol=st.sampled_from(["TCP", "UDP", "*"]),
    sources=st.lists(networks, min_size=1, max_size=3).map(tuple),
    via=st.sampled_from(Via),
    starts_at=instants,
    duration=spans,
    latest_end=instants,
    next_check_at=instants,
    status=st.sampled_from(Status),
    close_reason=st.none() | st.sampled_from(CloseReason),
    connection=st.none() | connections,
    initiate=st.builds(
        Initiate,
        ids=lists,
        at=st.none() | instants,
        sources=st.lists(networks, max_size=3).map(tuple),
        until=st.none() | instants,
        attempts=st.integers(0, 100),
        reopens=st.integers(0, 3),
        answered=st.booleans(),
        before=st.none() | lists,
        written=st.booleans(),
        seen=st.booleans(),
    ),
    footprint=st.builds(Footprint, rules=lists, companions=lists, private_ips=lists),
    **{name: st.none() | texts.filter(bool) for name in ("firewall_id", "note")},
    **{
        field.name: st.none() | instants
        for field in fields(Grant)
        if field.name.endswith("_at") and field.default is None
    },
)
machines = st.builds(
    VirtualMachine,
    id=texts.map(lambda text: f"/{text}"),
    name=texts,
    location=texts,
    support=st.sampled_from(Support),
    reasons=lists,
    via=st.sampled_from(Via),
    policy_id=st.none() | texts,
    ports=st.lists(
        st.builds(
            PortRule, number=ports, protocol=texts, allowed_sources=lists, max_duration=spans
        ),
        max_size=2,
    ).map(tuple),
    interfaces=st.lists(
        st.builds(
            Interface,
            id=texts,
            private_ip=texts,
            subnet_id=texts,
            nsg_ids=lists,
            public_ip=st.none() | texts,
            public_ip_id=st.none() | texts,
            primary=st.booleans(),
        ),
        max_size=2,
    ).map(tuple),
    firewall_id=st.none() | texts,
    firewall_sources=lists,
    vnet_prefixes=lists,
    occupations=st.lists(
        st.builds(Occupation, port=ports, sources=lists, ends_at=instants), max_size=2
    ).map(tuple),
    warnings=st.lists(st.builds(MachineWarning, code=texts, detail=texts), max_size=2).map(tuple),
)
requests = st.builds(
    Request,
    id=texts,
    requester=st.builds(Person, id=texts, name=texts),
    justification=texts,
    created_at=instants,
    starts_at=instants,
    duration=spans,
    sources=st.lists(networks, max_size=3).map(tuple),
    policies=lists,
    decision=st.builds(Decision, allowed=st.just(True), rule=texts),
    ticket=st.none() | st.builds(Ticket, system=texts, id=texts),
)


# ---- what is written is read back --------------------------------------------------------------

REQUIRED = {
    "id",
    "request_id",
    "vm_id",
    "policy_id",
    "port",
    "protocol",
    "sources",
    "via",
    "starts_at",
    "seconds",
    "latest_end",
    "next_check_at",
    "status",
}
"""Keys that every version writes."""

KEYS = REQUIRED | {
    "firewall_id",
    "expires_at",
    "claimed_at",
    "handover_at",
    "opened_at",
    "lost_at",
    "closing_at",
    "closed_at",
    "unclear_at",
    "close_reason",
    "connection",
    "initiates",
    "initiated_at",
    "asked",
    "asked_until",
    "attempts",
    "reopens",
    "answered",
    "before",
    "written",
    "seen",
    "rules",
    "companions",
    "private_ips",
    "note",
}


def test_the_stored_keys_of_a_grant_are_a_contract():
    """Another version reads them; attributes may be renamed, keys may not."""
    assert records.grant_doc(a_grant()).keys() == KEYS


@given(grants)
def test_a_grant_is_read_as_it_was_written(grant):
    """Every field, through JSON."""
    text = json.dumps(records.grant_doc(grant))

    assert records.grant_of(json.loads(text)) == grant


@given(grants, st.data())
def test_a_row_of_an_older_version_is_read_with_defaults(grant, data):
    """What it was not written with: a new version must finish what an older one began."""
    doc = records.grant_doc(grant)
    unknown = data.draw(st.sets(st.sampled_from(sorted(doc.keys() - REQUIRED))))
    older = {name: value for name, value in doc.items() if name not in unknown}

    read = records.grant_of(older)

    defaults = records.grant_doc(a_grant()) | {"before": None}
    assert read == records.grant_of(doc | {name: defaults[name] for name in unknown})


@given(grants)
def test_a_row_of_a_newer_version_is_read(grant):
    """Two versions run side by side during an update."""
    doc = records.grant_doc(grant) | {"later": [1]}

    assert records.grant_of(doc) == grant


@given(grants, st.sampled_from(["id", "vm_id", "sources", "latest_end", "status"]))
def test_a_row_without_what_every_version_writes_is_not_guessed_at(grant, name):
    """An error keeps the row as it is."""
    doc = records.grant_doc(grant)
    del doc[name]

    with pytest.raises((KeyError, TypeError)):
        records.grant_of(doc)


@given(st.lists(grants, max_size=3))
def test_the_grants_of_a_row_are_read_in_their_order(several):
    """Those of one request on one VM stand in one row."""
    row = Row(partition="p", key="k", values=records.grants_values(several))

    assert records.grants_of(row) == tuple(several)


@given(requests)
def test_a_request_is_read_as_it_was_written(request):
    """What people see of it later is what they sent."""
    text = json.dumps(records.request_doc(request))

    assert records.request_of(json.loads(text)) == request


@given(machines)
def test_a_machine_is_read_as_it_was_written(machine):
    """The inventory decides at the door."""
    row = records.machine_row(machine, SUBSCRIPTION)

    assert records.machine_of(row) == machine


@given(instants)
def test_an_instant_is_read_as_it_was_written(moment):
    """To the microsecond, in UTC."""
    read = records.instant(records.stamp(moment))

    assert (read, read.tzinfo) == (moment, UTC)


@given(instants, instants)
def test_text_order_is_time_order(one, other):
    """Queries of the table compare text."""
    assert (records.stamp(one) < records.stamp(other)) == (one < other)


def test_never_is_later_than_every_instant():
    """What needs nobody is due at the end of time."""
    last = records.stamp(datetime(9000, 12, 31, tzinfo=UTC))

    assert last < records.NEVER


# ---- keys --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        records.grants_prefix,
        records.tombstones_prefix,
        records.machine_key,
        records.policy_key,
        records.firewall_key,
    ],
)
def test_a_key_does_not_depend_on_the_case_of_an_id(key):
    """ARM writes ids as it likes."""
    assert key(POLICY_ID.upper()) == key(POLICY_ID.lower())


@given(st.text())
def test_a_key_holds_only_what_the_service_takes(text):
    """Whatever an id holds: slashes, question marks, any length."""
    keys = [records.grants_prefix(text, text), records.machine_key(text), records.policy_key(text)]

    assert all(re.fullmatch(r"[gvp](\|[a-z2-7]{26}){1,2}", key) for key in keys)


@given(grants.map(lambda grant: replace(grant, request_id=REQUEST_ID)))
def test_a_row_of_grants_is_found_under_its_policy_and_under_its_vm(grant):
    """The worker asks for a policy, extension and revocation for a request's VMs."""
    row = records.grants_row([grant])

    for_policy = records.span(records.grants_prefix(grant.policy_id))
    for_vm = records.span(records.grants_prefix(grant.policy_id, grant.vm_id))
    assert for_policy[0] <= row.key < for_policy[1]
    assert for_vm[0] <= row.key < for_vm[1]


def test_a_span_holds_no_neighbour():
    """Another policy's hash sorts outside."""
    first, last = records.span("g|aaaa")

    assert first <= "g|aaaa|x" < last
    assert not first <= "g|aaaab|x" < last
    assert not first <= "g|aaaa" < last


# ---- what stands beside the document -------------------------------------------------------------


def a_row(*grants_of_row, before=None):
    """A row of grants with a real request id."""
    return records.grants_row(
        [replace(grant, request_id=REQUEST_ID) for grant in grants_of_row], before
    )


def test_a_row_of_grants_lies_in_its_subscriptions_partition():
    """Azure's throttling boundary is ours."""
    assert a_row(a_grant()).partition == SUBSCRIPTION


def test_a_row_is_due_when_the_first_of_its_live_grants_is():
    """Closed ones need nobody."""
    row = a_row(
        a_grant("a", next_check_at=NOW + HOUR),
        a_grant("b", next_check_at=NOW + 2 * HOUR),
        a_grant("c", next_check_at=NOW, status=Status.CLOSED),
    )

    assert row.values["DueAt"] == records.stamp(NOW + HOUR)


def test_a_closed_row_is_due_until_it_is_moved():
    """Somebody has to move it to history."""
    row = a_row(a_grant(next_check_at=NOW, status=Status.CLOSED))

    assert (row.values["DueAt"], row.values["Status"]) == (records.stamp(NOW), "closed")


def test_a_row_names_its_firewall_by_hash_or_not_at_all():
    """Turns of a firewall are found by it."""
    walled, open_to_all = a_row(a_grant(firewall_id=FIREWALL_ID)), a_row(a_grant())

    assert walled.values["Firewall"] == records.firewall_key(FIREWALL_ID).removeprefix("f|")
    assert open_to_all.values["Firewall"] == ""


def test_a_row_is_written_over_the_version_that_was_read():
    """Every write names the ETag it saw; a new row has none."""
    before = replace(a_row(a_grant()), etag="seen")

    assert a_row(a_grant(), before=before).etag == "seen"
    assert a_row(a_grant()).etag == ""


def test_a_requests_row_says_what_lists_filter_by():
    """Who asked, for which ticket, when."""
    request = Request(
        id=REQUEST_ID,
        requester=Person(id="alice-id", name="Alice"),
        justification="patch",
        created_at=NOW,
        starts_at=NOW,
        duration=HOUR,
        sources=(),
        policies=(POLICY_ID,),
        decision=Decision(allowed=True, rule="jit-policy"),
        ticket=Ticket(system="servicenow", id="CHG1"),
    )

    row = records.request_row(request)

    assert (row.partition, row.key) == (SUBSCRIPTION, f"r|{REQUEST_ID}")
    assert (row.values["Requester"], row.values["Ticket"]) == ("alice-id", "CHG1")
    assert records.request_row(replace(request, ticket=None)).values["Ticket"] == ""


def test_a_tombstone_keeps_the_grants_until_its_day():
    """A rule that reappears is a leftover, not a stranger."""
    grant = a_grant(request_id=REQUEST_ID, rules=("rule-1",), status=Status.CLOSED)
    row = records.grants_row([grant])

    stone = records.tombstone_row(row, [grant], until=NOW + 7 * 24 * HOUR)

    first, last = records.span(records.tombstones_prefix(POLICY_ID))
    assert first <= stone.key < last
    assert stone.partition == row.partition
    assert stone.values["Until"] == records.stamp(NOW + 7 * 24 * HOUR)
    assert records.grants_of(stone) == (grant,)


def test_a_machines_row_is_written_over_the_version_that_was_read():
    """The inventory too names the ETag it saw."""
    machine = VirtualMachine(
        id=vm_id(), name="web01", location="westeurope", support=Support.CONFIGURED
    )

    row = records.machine_row(machine, SUBSCRIPTION, etag="seen")

    assert (row.partition, row.key, row.etag) == (
        SUBSCRIPTION,
        records.machine_key(vm_id()),
        "seen",
    )


# ---- everything fits -----------------------------------------------------------------------------

LONG = f"{vm_id()}/{'n' * 300}"
WORST = [
    a_grant(
        f"{REQUEST_ID}-89-{port}",
        request_id=REQUEST_ID,
        port=port,
        sources=tuple(ip_network(f"198.51.100.{number}") for number in range(10)),
        initiates=tuple("i" * 26 for _ in range(12)),
        rules=tuple(f"{LONG}{number}" for number in range(24)),
        companions=tuple(f"{LONG}{number}" for number in range(4)),
        note="é" * 500,
    )
    for port in range(65526, 65536)
]


def test_the_largest_row_of_grants_fits_the_table():
    """Ten ports behind several interfaces, handed over again and again."""
    row = records.grants_row(WORST)

    (etag,) = FakeTable(FakeClock(NOW)).write([Op(Verb.INSERT, row)])

    assert etag
    assert records.grants_of(row) == tuple(WORST)


def test_a_row_that_shrinks_leaves_no_part_behind():
    """The parts are those of one document, however many there were before."""
    table = FakeTable(FakeClock(NOW))
    table.write([Op(Verb.INSERT, records.grants_row(WORST))])
    before = table.get(SUBSCRIPTION, records.grants_row(WORST).key)

    table.write([Op(Verb.REPLACE, records.grants_row([WORST[0]], before))])

    after = table.get(SUBSCRIPTION, records.grants_row(WORST).key)
    assert after
    assert records.grants_of(after) == (WORST[0],)
