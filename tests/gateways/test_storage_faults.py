"""The real storage clients over a service that fails: each fault becomes one of our errors."""

from datetime import timedelta
from uuid import uuid4

import pytest
from azure.data.tables import TableClient
from azure.storage.queue import QueueClient

from jit.domain.errors import Defect, Unavailable, Unknown
from jit.gateways import queue_storage, table_storage
from jit.gateways.queue_storage import StorageQueues
from jit.gateways.table_storage import StorageTable
from jit.storage.table import Op, Row, Verb, Where
from tests.gateways.wires import PAGE_OF_A_PROXY, Wire, answers, lost_after, refused, silent

NOWHERE = (
    "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;"
    "TableEndpoint=http://127.0.0.1:1/a;QueueEndpoint=http://127.0.0.1:1/a"
)
TABLE_NOT_FOUND = answers(
    404, b'{"odata.error":{"code":"TableNotFound","message":{"lang":"en","value":"none"}}}'
)
OUTAGES = [
    (refused, Unavailable),
    (silent, Unknown),
    (answers(408), Unknown),
    (answers(429), Unknown),
    (answers(500), Unknown),
    (answers(503), Unknown),
    (answers(401), Unavailable),
    (answers(403), Unavailable),
    (PAGE_OF_A_PROXY, Unknown),
]
IDS = ["refused", "silent", "408", "429", "500", "503", "401", "403", "proxy"]


def a_table(wire, connection=NOWHERE, name="t", **timing):
    client = TableClient.from_connection_string(
        connection, name, transport=wire.transport, **(timing or {"retry_total": 0})
    )
    return StorageTable(client)


def some_queues(wire, connection=NOWHERE, **timing):
    return StorageQueues(
        lambda name: QueueClient.from_connection_string(
            connection, name, transport=wire.transport, **(timing or {"retry_total": 0})
        )
    )


def insert(*keys):
    return [Op(Verb.INSERT, Row(partition="p", key=key, values={"A": "1"})) for key in keys]


# ---- tables --------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [step for step, _ in OUTAGES], ids=IDS)
def test_a_read_that_fails_is_an_outage(step):
    """Nothing was changed: the caller may simply repeat."""
    with pytest.raises(Unavailable) as point:
        a_table(Wire(step)).get("p", "k")
    with pytest.raises(Unavailable) as range_:
        a_table(Wire(step)).query(Where(partition="p"))

    assert (type(point.value), type(range_.value)) == (Unavailable, Unavailable)


@pytest.mark.parametrize(
    "op", [*insert("k"), Op(Verb.DELETE, Row(partition="p", key="k", values={}, etag="e"))]
)
@pytest.mark.parametrize(("step", "kind"), OUTAGES, ids=IDS)
def test_a_write_that_fails_is_unknown_unless_nothing_was_sent(op, step, kind):
    """The caller does not know the outcome, and must read first."""
    with pytest.raises(Unavailable) as error:
        a_table(Wire(step)).write([op])

    assert type(error.value) is kind


@pytest.mark.parametrize(("step", "kind"), OUTAGES, ids=IDS)
def test_a_transaction_that_fails_is_unknown_unless_nothing_was_sent(step, kind):
    """All of it, or none: a page of a proxy is no answer of the table's."""
    with pytest.raises(Unavailable) as error:
        a_table(Wire(step)).write(insert("1", "2"))

    assert type(error.value) is kind


@pytest.mark.parametrize("keys", [["1"], ["1", "2"]], ids=["single", "transaction"])
def test_a_write_with_a_lost_answer_may_have_happened(azurite, keys):
    """It did here: reading tells."""
    name = f"t{uuid4().hex}"
    a_table(Wire(), azurite, name).write(insert("0"))
    with pytest.raises(Unknown):
        a_table(Wire(lost_after), azurite, name).write(insert(*keys))

    assert a_table(Wire(), azurite, name).get("p", "1") is not None


def test_a_refused_write_is_a_defect():
    """A 400 is our own mistake; repeating it would not help."""
    with pytest.raises(Defect):
        a_table(Wire(answers(400))).write(insert("k"))


def test_a_date_that_is_none_is_an_outage():
    """An answer that cannot be understood is no answer."""
    with pytest.raises(Unavailable):
        a_table(Wire(answers(200, b"{}", headers={"Date": "the day before"}))).get("p", "k")


def test_a_table_that_another_instance_created_first_is_used(azurite):
    """Two instances find a new account empty: both write."""
    name = f"t{uuid4().hex}"
    a_table(Wire(), azurite, name).write(insert("theirs"))
    ours = a_table(Wire(TABLE_NOT_FOUND), azurite, name)
    ours.write(insert("ours", "ours too"))

    assert [row.key for row in ours.query(Where()).rows] == ["ours", "ours too", "theirs"]


def test_a_table_that_is_being_deleted_is_an_outage(azurite):
    """It exists, says the service, and has no rows that could be written."""
    name = f"t{uuid4().hex}"
    a_table(Wire(), azurite, name).write(insert("0"))
    being_deleted = answers(409, b'{"odata.error":{"code":"TableAlreadyExists"}}')
    table = a_table(Wire(TABLE_NOT_FOUND, being_deleted, TABLE_NOT_FOUND), azurite, name)
    with pytest.raises(Unavailable):
        table.write(insert("1", "2"))

    assert a_table(Wire(), azurite, name).get("p", "1") is None


def test_a_table_that_cannot_be_created_is_an_outage():
    """The second step fails like any other call."""
    with pytest.raises(Unavailable):
        a_table(Wire(TABLE_NOT_FOUND, answers(403))).write(insert("1", "2"))


def test_the_table_client_waits_for_seconds_only():
    """The SDK repeats a few times; minutes are the queue's."""
    wire = Wire(*[answers(503)] * 20)
    with pytest.raises(Unavailable):
        a_table(wire, **table_storage.TIMING).get("p", "k")

    assert len(wire.sent) == 3
    assert sum(wire.slept) < 10


# ---- queues --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "step",
    [refused, silent, answers(401), answers(403), answers(429), answers(500), answers(503)],
    ids=["refused", "silent", "401", "403", "429", "500", "503"],
)
def test_a_message_that_was_not_taken_is_an_outage(step):
    """A message is a hint: the sender reports the loss and goes on."""
    with pytest.raises(Unavailable):
        some_queues(Wire(step)).send("jit-policy", "x")


def test_a_queue_that_cannot_be_created_is_an_outage():
    """The second step fails like any other call."""
    missing = answers(404, headers={"x-ms-error-code": "QueueNotFound"})
    with pytest.raises(Unavailable):
        some_queues(Wire(missing, answers(403))).send("jit-policy", "x")


@pytest.mark.parametrize(
    ("delay", "hidden"),
    [
        (timedelta(0), "visibilitytimeout=0"),
        (timedelta(milliseconds=1), "visibilitytimeout=1"),
        (timedelta(minutes=10), "visibilitytimeout=600"),
        (timedelta(days=30), "visibilitytimeout=604800"),
    ],
)
def test_a_delay_is_sent_in_whole_seconds_and_never_shortened(delay, hidden):
    """A hint that comes early finds nothing due."""
    wire = Wire(answers(503))
    with pytest.raises(Unavailable):
        some_queues(wire).send("jit-policy", "x", delay=delay)

    assert hidden in str(wire.sent[0].url)


def test_the_queue_client_waits_for_seconds_only():
    """At the SDK's own pace one lost message would hold a function for over a minute."""
    wire = Wire(*[answers(503)] * 20)
    with pytest.raises(Unavailable):
        some_queues(wire, **queue_storage.TIMING).send("jit-policy", "x")

    assert len(wire.sent) == 3
    assert sum(wire.slept) < 10
