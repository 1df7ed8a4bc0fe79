"""Rows of requests and grants: values are read back, and everything fits."""

import json
from dataclasses import fields, replace
from ipaddress import ip_network
from operator import attrgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.model.grant import CloseReason, Footprint, Grant, Initiate, Status
from jit.domain.model.machine import Connection, Via
from jit.domain.model.named_sources import mark_sources
from jit.domain.model.people import Person
from jit.domain.model.request import Decision, Request, Ticket
from jit.domain.values.request_ids import make_request_id
from jit.storage import keys, request_rows
from jit.storage.documents import REQUIRED
from jit.storage.keys import write_stamp
from jit.storage.request_rows import GRANT, REQUEST
from jit.storage.table import Op, Row, Verb
from tests.builders.grants import a_grant, changed
from tests.builders.values import FIREWALL_ID, HOUR, NOW, POLICY_ID, SUBSCRIPTION, vm_id
from tests.fakes.clock import FakeClock
from tests.fakes.tables import FakeTable
from tests.storage.strategies import instants, lists, networks, ports, spans, texts

REQUEST_ID = make_request_id(SUBSCRIPTION, NOW, bytes(10))

connections = st.builds(
    Connection, via=st.sampled_from(Via), address=texts, port=ports, command=texts
)
initiates = st.builds(
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
    initiate=initiates,
    footprint=st.builds(Footprint, rules=lists, companions=lists, private_ips=lists),
    **{name: st.none() | texts.filter(bool) for name in ("firewall_id", "note")},
    **{
        field.name: st.none() | instants
        for field in fields(Grant)
        if field.name.endswith("_at") and field.default is None
    },
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


# ---- reading back --------------------------------------------------------------------------------


@given(grants)
def test_a_grant_is_read_as_it_was_written(grant):
    """Every field, through JSON."""
    text = json.dumps(GRANT.write(grant))

    assert GRANT.read(json.loads(text)) == grant


OPTIONAL = [column for column in GRANT.columns if column.default is not REQUIRED]


def with_field(value, path, new):
    """Return *value* with another value of a field, which may lie in a group."""
    first, _, rest = path.partition(".")
    inner = with_field(getattr(value, first), rest, new) if rest else new
    return replace(value, **{first: inner})


@given(grants, st.sets(st.sampled_from(range(len(OPTIONAL)))))
def test_a_grant_of_an_older_version_is_read_with_defaults(grant, missing):
    """A new version must finish the work that an older one began."""
    unknown = [OPTIONAL[number] for number in missing]
    older = GRANT.write(grant)
    for column in unknown:
        older.pop(column.name, None)

    read = GRANT.read(older)

    for column in unknown:
        grant = with_field(grant, column.path, column.default)
    assert read == grant


def test_an_older_grant_has_the_defaults_of_a_new_grant_and_proves_nothing():
    """An empty `before` would prove that no rule was there before the initiate."""
    plain = a_grant()
    defaults = {column.path: column.default for column in OPTIONAL}
    new = {path: attrgetter(path)(plain) for path in defaults}

    assert defaults.pop("initiate.before") is None
    assert new.pop("initiate.before") == ()
    assert defaults == new


@given(grants)
def test_a_row_of_a_newer_version_is_read(grant):
    """Two versions run side by side during an update."""
    doc = GRANT.write(grant) | {"later": [1]}

    assert GRANT.read(doc) == grant


@given(grants, st.sampled_from(["id", "vm_id", "sources", "latest_end", "status"]))
def test_a_grant_without_a_required_column_is_an_error(grant, name):
    """An error keeps the row as it is."""
    doc = GRANT.write(grant)
    del doc[name]

    with pytest.raises((KeyError, TypeError)):
        GRANT.read(doc)


@given(st.lists(grants, max_size=3))
def test_the_grants_of_a_row_are_read_in_their_order(several):
    """Those of one request on one VM stand in one row."""
    row = Row(partition="p", key="k", values=request_rows.write_grants(several))

    assert request_rows.read_grants(row) == tuple(several)


@given(requests)
def test_a_request_is_read_as_it_was_written(request):
    """People see later the values that they sent."""
    text = json.dumps(REQUEST.write(request))

    assert REQUEST.read(json.loads(text)) == request


@given(grants.map(lambda grant: replace(grant, request_id=REQUEST_ID)))
def test_a_row_of_grants_is_found_under_its_policy_and_under_its_vm(grant):
    """The worker reads a whole policy; extension and revocation read the VMs of a request."""
    row = request_rows.write_grants_row([grant])

    for_policy = keys.key_range(keys.grants_prefix(grant.policy_id))
    for_vm = keys.key_range(keys.grants_prefix(grant.policy_id, grant.vm_id))
    assert for_policy[0] <= row.key < for_policy[1]
    assert for_vm[0] <= row.key < for_vm[1]


# ---- columns beside the document -----------------------------------------------------------------


def a_row(*grants_of_row, before=None):
    """A row of grants with a real request id."""
    return request_rows.write_grants_row(
        [replace(grant, request_id=REQUEST_ID) for grant in grants_of_row], before
    )


def test_a_row_of_grants_lies_in_its_subscriptions_partition():
    """Azure's throttling boundary is ours."""
    assert a_row(a_grant()).partition == SUBSCRIPTION


def test_a_row_is_due_when_the_first_of_its_live_grants_is():
    """Closed grants need no work."""
    row = a_row(
        a_grant("a", next_check_at=NOW + HOUR),
        a_grant("b", next_check_at=NOW + 2 * HOUR),
        a_grant("c", next_check_at=NOW, status=Status.CLOSED),
    )

    assert row.values["DueAt"] == write_stamp(NOW + HOUR)


def test_a_closed_row_is_due_until_it_is_moved():
    """The next pass moves it to history."""
    row = a_row(a_grant(next_check_at=NOW, status=Status.CLOSED))

    assert (row.values["DueAt"], row.values["Status"]) == (write_stamp(NOW), "closed")


def test_a_row_names_its_firewall_by_hash():
    """Without a firewall the column is empty."""
    walled, open_to_all = a_row(a_grant(firewall_id=FIREWALL_ID)), a_row(a_grant())

    assert walled.values["Firewall"] == keys.firewall_key(FIREWALL_ID).removeprefix("f|")
    assert open_to_all.values["Firewall"] == ""


def test_a_row_is_written_over_the_version_that_was_read():
    """Every write names the ETag it saw; a new row has none."""
    before = replace(a_row(a_grant()), etag="seen")

    assert a_row(a_grant(), before=before).etag == "seen"
    assert a_row(a_grant()).etag == ""


def test_a_requests_row_names_requester_ticket_and_creation():
    """Operators select by these columns."""
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

    row = request_rows.write_request_row(request)

    assert (row.partition, row.key) == (SUBSCRIPTION, f"r|{REQUEST_ID}")
    assert (row.values["Requester"], row.values["Ticket"]) == ("alice-id", "CHG1")
    assert request_rows.write_request_row(replace(request, ticket=None)).values["Ticket"] == ""


def test_a_tombstone_keeps_the_grants_until_its_day():
    """A rule that reappears is a leftover, not a stranger."""
    grant = a_grant(request_id=REQUEST_ID, rules=("rule-1",), status=Status.CLOSED)
    row = request_rows.write_grants_row([grant])

    stone = request_rows.write_tombstone_row(row, [grant], until=NOW + 7 * 24 * HOUR)

    first, last = keys.key_range(keys.tombstones_prefix(POLICY_ID))
    assert first <= stone.key < last
    assert stone.partition == row.partition
    assert stone.values["Until"] == write_stamp(NOW + 7 * 24 * HOUR)
    assert request_rows.read_tombstone_row(stone).grants == (grant,)


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
    row = request_rows.write_grants_row(WORST)

    (etag,) = FakeTable(FakeClock(NOW)).write([Op(Verb.INSERT, row)])

    assert etag
    assert request_rows.read_grants(row) == tuple(WORST)


def test_a_row_that_shrinks_leaves_no_part_behind():
    """The parts are those of one document, however many there were before."""
    table = FakeTable(FakeClock(NOW))
    table.write([Op(Verb.INSERT, request_rows.write_grants_row(WORST))])
    before = table.get(SUBSCRIPTION, request_rows.write_grants_row(WORST).key)

    table.write([Op(Verb.REPLACE, request_rows.write_grants_row([WORST[0]], before))])

    after = table.get(SUBSCRIPTION, request_rows.write_grants_row(WORST).key)
    assert after
    assert request_rows.read_grants(after) == (WORST[0],)


def test_the_row_of_a_grant_does_not_grow_with_the_people_who_share_its_port():
    """A thousand rows with a thousand sources each would be read by each pass."""
    crowd = tuple(ip_network(f"198.51.100.{number}/32") for number in range(200))
    shared = [
        a_carried(crowd[:count], mark_sources(frozenset(crowd[:count]))) for count in (20, 200)
    ]

    few, many = (request_rows.write_grants_row([grant]).values["Doc"] for grant in shared)

    assert len(str(few)) == len(str(many))


def a_carried(named, mark):
    """A grant whose newest initiate named those sources."""
    return changed(a_grant(REQUEST_ID), request_id=REQUEST_ID, asked=named, asked_mark=mark)
