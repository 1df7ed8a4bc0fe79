"""The contract of queues: the same laws for those in memory and for the real client."""

import base64
from datetime import timedelta
from uuid import uuid4

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import QueueClient

from jit.domain.errors import Defect
from jit.gateways.queue_storage import StorageQueues
from tests.fakes.clock import FakeClock
from tests.fakes.queues import FakeQueues


class InMemory:
    """Fake queues, and a look at them."""

    def __init__(self, _request):
        self.clock = FakeClock()
        self.queues = FakeQueues(self.clock)

    def total(self, queue):
        return len(self.queues.waiting(queue))

    def visible(self, queue):
        return [sent.text for sent in self.queues.waiting(queue) if sent.visible_at <= self.clock()]


class InAzurite:
    """Real queues, and a look at them with another client."""

    def __init__(self, request):
        self._request = request
        self.queues = StorageQueues(self.client)

    def client(self, queue):
        connection = self._request.getfixturevalue("azurite")
        client = QueueClient.from_connection_string(connection, queue, retry_total=0)
        self._request.addfinalizer(client.close)
        return client

    def total(self, queue):
        return self.client(queue).get_queue_properties().approximate_message_count

    def visible(self, queue):
        found = self.client(queue).peek_messages(max_messages=32)
        return [base64.b64decode(message.content, validate=True).decode() for message in found]


class OverTls(InAzurite):
    """The same over TLS, with the real managed identity credential."""

    def __init__(self, request):
        names = ("tls_storage", "managed_identity")
        self._storage, self._identity = map(request.getfixturevalue, names)
        super().__init__(request)

    def client(self, queue):
        client = QueueClient(
            self._storage.endpoints["Queue"],
            queue,
            credential=self._identity,
            retry_total=0,
            connection_verify=str(self._storage.certificate),
        )
        self._request.addfinalizer(client.close)
        return client


@pytest.fixture(params=[InMemory, InAzurite, OverTls], ids=["fake", "azurite", "tls"])
def place(request):
    return request.param(request)


@pytest.fixture
def queue():
    """The name of a queue that does not exist yet."""
    return f"jit-{uuid4().hex}"


def test_the_first_message_creates_its_queue(place, queue):
    """Nobody has to create a queue before sending to it."""
    place.queues.send(queue, '{"policy": "ü"}')

    assert place.visible(queue) == ['{"policy": "ü"}']


def test_messages_stay_on_their_queue(place, queue):
    """Two queues of one client do not mix."""
    place.queues.send(queue, "one")
    place.queues.send(f"{queue}-poison", "two")

    assert (place.visible(queue), place.visible(f"{queue}-poison")) == (["one"], ["two"])


@pytest.mark.parametrize("delay", [timedelta(minutes=10), timedelta(days=7)])
def test_a_delayed_message_waits_out_of_sight(place, queue, delay):
    """It is there, nobody sees it yet."""
    place.queues.send(queue, "now")
    place.queues.send(queue, "later", delay=delay)

    assert (place.visible(queue), place.total(queue)) == (["now"], 2)


@pytest.mark.parametrize("delay", [timedelta(days=8), timedelta(days=10_000)])
def test_a_delay_longer_than_a_queue_can_hold_is_cut(place, queue, delay):
    """Seven days is the most; who comes back early looks and goes away again."""
    place.queues.send(queue, "later", delay=delay)

    assert (place.visible(queue), place.total(queue)) == ([], 1)


def test_a_delay_into_the_past_is_none(place, queue):
    """An overdue message is due now."""
    place.queues.send(queue, "overdue", delay=-timedelta(hours=1))

    assert place.visible(queue) == ["overdue"]


def test_a_message_that_the_service_cannot_hold_is_a_defect(place, queue):
    """64 KiB of base64; messages carry keys, so this is far off."""
    place.queues.send(queue, "x" * 48 * 1024)
    with pytest.raises(Defect):
        place.queues.send(queue, "x" * (48 * 1024 + 1))

    assert place.total(queue) == 1


@pytest.mark.parametrize("name", ["UPPER", "a", "a_b"])
def test_a_name_that_the_service_cannot_hold_is_a_defect(place, name):
    """Queue names are constants of the contract; a bad one is our own mistake."""
    with pytest.raises(Defect):
        place.queues.send(name, "x")


def test_another_instance_may_create_the_queue_first(request, queue):
    """Two instances find a new account empty: both send."""
    place = InAzurite(request)

    class Slow(QueueClient):
        def create_queue(self, **_):
            place.client(queue).create_queue()
            raise ResourceExistsError("the other instance was quicker")

    slow = Slow.from_connection_string(request.getfixturevalue("azurite"), queue)
    StorageQueues(lambda _: slow).send(queue, "mine")
    slow.close()

    assert place.visible(queue) == ["mine"]


# ---- the fake alone ------------------------------------------------------------------------------


def test_the_fakes_messages_come_when_their_time_has_come():
    """Oldest first, each once, none before its time."""
    place = InMemory(None)
    place.queues.send("jit-policy", "late", delay=timedelta(minutes=10))
    place.queues.send("jit-policy", "soon", delay=timedelta(minutes=1))
    before = place.queues.receive("jit-policy")
    place.clock.advance(timedelta(minutes=10))
    after = [place.queues.receive("jit-policy") for _ in range(3)]

    assert (before, after) == (None, ["soon", "late", None])


def test_the_fakes_delays_are_whole_seconds():
    """A part of a second counts as a whole one: a hint that comes early finds nothing due."""
    place = InMemory(None)
    place.queues.send("jit-policy", "x", delay=timedelta(milliseconds=1))
    (sent,) = place.queues.waiting("jit-policy")

    assert sent.visible_at - place.clock() == timedelta(seconds=1)


def test_the_fakes_messages_can_all_be_lost():
    """They are hints; a test takes them away to prove it."""
    place = InMemory(None)
    place.queues.send("jit-policy", "x")
    place.queues.lose()

    assert place.queues.waiting("jit-policy") == ()
