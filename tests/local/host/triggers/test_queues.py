"""Queue triggers, in one process, on a real queue."""

import base64
import threading
from datetime import timedelta

import azure.functions as func
import pytest
from azure.storage.queue import QueueServiceClient

from local.host.app import functions
from local.host.app.host_options import QueueOptions
from local.host.invocation import Invoker
from local.host.triggers import messages
from local.host.triggers.queues import Pace, QueueListener, _Held
from local.host.triggers.storage import Storage, ensure_queue

QUICK = Pace(longest_delay=0.1)
OPTIONS = QueueOptions(max_dequeue_count=3, visibility_timeout=timedelta(0))


class Worker:
    """A function with a memory: it keeps its arguments, and follows a script."""

    def __init__(self, failures=0):
        self.seen, self.failures = [], failures
        self.changed = threading.Condition()

    def __call__(self, msg):
        with self.changed:
            self.seen.append((msg.get_body(), msg.dequeue_count))
            self.changed.notify_all()
            if len(self.seen) <= self.failures:
                raise RuntimeError("as it was told")

    def wait(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.seen) >= count, 20)
            return self.seen


@pytest.fixture
def account(storage):
    """The test's own storage account, in the host's eyes."""
    return Storage(storage)


@pytest.fixture
def listen(account):
    """Start a listener on a queue; it stops at the end."""
    running = []

    def start(worker, name="orders", options=OPTIONS, pace=QUICK, queue=None):
        app = func.FunctionApp()

        @app.queue_trigger(arg_name="msg", queue_name=name, connection="AzureWebJobsStorage")
        def work(msg: func.QueueMessage) -> None:
            worker(msg)

        poison = None if name.endswith("-poison") else account.queue(f"{name}-poison")
        listener = QueueListener(
            functions.index(app)[0],
            queue or account.queue(name),
            poison,
            options,
            Invoker(lambda *_: None, 4),
            pace,
        )
        listener.start()
        running.append(listener)
        return listener

    yield start
    for listener in running:
        listener.stop()


def send(account, text, name="orders"):
    queue = account.queue(name)
    ensure_queue(queue)
    queue.send_message(base64.b64encode(text).decode())


def send_all(account, texts):
    for text in texts:
        send(account, text)


def drained(queue):
    """Wait until *queue* holds no message, seen or unseen."""
    waiting = threading.Event()
    rounds = (queue.get_queue_properties().approximate_message_count for _ in range(400))
    return any(count == 0 or waiting.wait(0.05) for count in rounds)


def test_a_message_is_handled_once_and_deleted(account, listen):
    """The queue is empty afterwards."""
    send(account, b"a")
    worker = Worker()
    listen(worker)

    assert worker.wait(1) == [(b"a", 1)]
    assert drained(account.queue("orders"))


def test_a_failed_message_comes_again(account, listen):
    """With a higher count, until it succeeds."""
    send(account, b"a")
    worker = Worker(failures=2)
    listen(worker)

    assert worker.wait(3) == [(b"a", 1), (b"a", 2), (b"a", 3)]
    assert drained(account.queue("orders"))


def test_a_message_that_keeps_failing_is_poison(account, listen):
    """After maxDequeueCount tries it moves on, unchanged, to a queue that is created for it."""
    send(account, b"a")
    listen(Worker(failures=99))
    poisoned = Worker()
    listen(poisoned, "orders-poison")

    assert poisoned.wait(1) == [(b"a", 1)]
    assert drained(account.queue("orders"))


def test_a_failed_poison_message_stays_invisible(account, listen):
    """It is not shown again before its hold ends, and never moves on."""
    send(account, b"a", "orders-poison")
    worker = Worker(failures=1)
    listener = listen(worker, "orders-poison")
    worker.wait(1)
    listener.stop()

    assert account.queue("orders-poison").get_queue_properties().approximate_message_count == 1
    assert account.queue("orders-poison").receive_message() is None


def test_a_message_that_cannot_be_decoded_is_poison_at_once(account, listen, storage):
    """No function can do anything with it."""
    ensure_queue(account.queue("orders"))
    account.queue("orders").send_message("not base64!")
    worker = Worker()
    listen(worker)
    assert drained(account.queue("orders"))

    with QueueServiceClient.from_connection_string(storage) as service:
        poison = service.get_queue_client("orders-poison").peek_messages()
    assert [message.content for message in poison] == ["not base64!"]
    assert worker.seen == []


def test_a_queue_that_is_missing_is_created(account, listen):
    """A fresh storage account needs no preparation."""
    worker = Worker()
    listen(worker)
    send(account, b"late")

    assert worker.wait(1) == [(b"late", 1)]


def test_a_queue_that_is_deleted_meanwhile_is_created_again(account, listen):
    """A listener outlives changes of its queue from outside."""
    send(account, b"a")
    worker = Worker()
    listen(worker)
    worker.wait(1)
    account.queue("orders").delete_queue()
    send(account, b"b")

    assert worker.wait(2)[-1] == (b"b", 1)


def test_many_messages_are_all_handled(account, listen):
    """More than one batch, none lost, none twice."""
    bodies = {str(number).encode() for number in range(40)}
    send_all(account, bodies)
    worker = Worker()
    listen(worker)

    assert {body for body, _ in worker.wait(40)} == bodies
    assert drained(account.queue("orders"))
    assert len(worker.seen) == 40


def test_two_listeners_share_the_work(account, listen):
    """Two instances on one account handle each message once."""
    first, second = Worker(), Worker()
    listen(first)
    listen(second)
    send_all(account, [str(number).encode() for number in range(30)])
    assert drained(account.queue("orders"))

    assert len(first.seen) + len(second.seen) == 30


class OneMessage:
    """A queue client with one message, which counts how often it is held again."""

    queue_name = "orders"

    def __init__(self, stored):
        self.pages, self.holds, self.deleted = [[stored]], [], []
        self.changed = threading.Condition()

    def receive_messages(self, **_):
        return self

    def by_page(self):
        return iter([self.pages.pop()] if self.pages else [[]])

    def update_message(self, _, receipt, visibility_timeout):
        with self.changed:
            self.holds.append((receipt, visibility_timeout))
            self.changed.notify_all()
        return self

    @property
    def pop_receipt(self):
        return f"receipt {len(self.holds)}"

    def delete_message(self, _, receipt):
        with self.changed:
            self.deleted.append(receipt)
            self.changed.notify_all()


def test_a_message_is_held_while_its_function_runs(account, listen):
    """It is held again before the hold ends, and deleted under the newest receipt."""
    send(account, b"a")
    stored = account.queue("orders").receive_message()
    queue = OneMessage(stored)
    leave = threading.Event()

    def slowly(_):
        assert leave.wait(20)

    listen(slowly, queue=queue, pace=Pace(longest_delay=0.01, hold_seconds=0.05))
    with queue.changed:
        held = queue.changed.wait_for(lambda: len(queue.holds) >= 3, 20)
    leave.set()
    with queue.changed:
        queue.changed.wait_for(lambda: queue.deleted, 20)

    assert held
    assert [receipt for receipt, _ in queue.holds[:2]] == [stored.pop_receipt, "receipt 1"]
    assert queue.deleted == [f"receipt {len(queue.holds)}"]


def test_a_poison_message_that_failed_too_often_is_left_alone(listen):
    """Neither run nor moved nor shown nor deleted: it expires where it is."""
    stored = messages.make_by_hand("YQ==")
    stored.dequeue_count = OPTIONS.max_dequeue_count + 1
    queue, worker = OneMessage(stored), Worker()
    listener = listen(worker, "orders-poison", queue=queue)
    listener._handle(listener._held.setdefault(stored.id, _Held(stored, "receipt", 0.0)))

    assert (worker.seen, queue.holds, queue.deleted) == ([], [], [])


def test_a_message_that_has_not_begun_is_given_back_at_the_end(listen):
    """Another instance need not wait ten minutes for it."""
    stored = messages.make_by_hand("YQ==")
    queue = OneMessage(stored)
    queue.pages.clear()
    listener = listen(Worker(), queue=queue)
    listener._held[stored.id] = _Held(stored, "receipt", float("inf"))
    listener.stop()

    assert queue.holds == [("receipt", 0)]
