"""
The running host: functions, their triggers, start and end.

A kill at any moment leaves some messages invisible for a while, and leases that
run out. An orderly end leaves nothing.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from local.host.app import functions as functions_
from local.host.app import settings
from local.host.app.functions import Binding, Function
from local.host.app.host_options import HostOptions
from local.host.invocation import Invoker, Response
from local.host.triggers import schedule
from local.host.web.admin import Admin
from local.host.web.dispatcher import Dispatcher
from local.host.web.platform_auth import Authentication
from local.host.web.server import Request, Server
from local.host.web.throttle import Throttle

if TYPE_CHECKING:  # imported when the first queue or timer needs them: half a second
    from local.host.triggers.queues import QueueListener
    from local.host.triggers.storage import Storage
    from local.host.triggers.timers import TimerListener

_log = logging.getLogger("local.host")
_DRAIN_SECONDS = 10.0
_LONGEST_DELAY = 1.0  # seconds between two looks at an empty queue: nobody pays for them here
_LOOK_SECONDS = 0.05  # how soon the server notices that it should stop
_TIMERS_CONNECTION = "AzureWebJobsStorage"


@dataclass(frozen=True, slots=True)
class Plan:
    """
    Everything that a host needs to know.

    Attributes:
        folder: The folder of the app; part of the names of its locks.
        functions: The functions of the app, in the order of the host.
        settings: The app's settings.
        options: The values of ``host.json``.
        authentication: Writes the headers of the caller.
        clock: The clock of the timers.
        port: The port to listen on, on loopback; 0 means any free port.
    """

    folder: Path
    functions: Sequence[Function]
    settings: Mapping[str, str]
    options: HostOptions
    authentication: Authentication
    clock: Callable[[], datetime]
    port: int


class Host:
    """A host of one app: ``start``, then ``stop``."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._storages: dict[str, Storage] = {}
        self._lock = threading.Lock()
        self._queues: list[QueueListener] = []
        self._timers: list[TimerListener] = []
        self.invoker = Invoker(self._send, _count_threads(plan.settings))
        self._admin = Admin(plan.functions, self.invoker)
        self._site = Dispatcher(
            functions_.select_by_trigger(plan.functions, functions_.HTTP),
            plan.options.route_prefix,
            plan.authentication,
            self.invoker,
        )
        self._throttle = Throttle(self._site.answer, plan.options.http)
        self.server = Server(plan.port, self._answer)

    def start(self) -> None:
        """Begin to listen, to read queues and to watch the clock."""
        select = functions_.select_by_trigger
        self._queues = [
            self._make_queue_listener(f) for f in select(self._plan.functions, functions_.QUEUE)
        ]
        self._timers = [
            self._make_timer_listener(f) for f in select(self._plan.functions, functions_.TIMER)
        ]
        for queue in self._queues:
            queue.start()
        for timer in self._timers:
            timer.start()
        serve = partial(self.server.serve_forever, _LOOK_SECONDS)
        threading.Thread(target=serve, name="http", daemon=True).start()

    def stop(self) -> None:
        """Take no new work, let running functions end (within bounds), give back the rest."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        for queue in self._queues:
            queue.stop()
        for timer in self._timers:
            timer.stop(max(0.0, deadline - time.monotonic()))
        self.server.drain(max(0.0, deadline - time.monotonic()))
        if not self.invoker.running.wait_for_none(max(0.0, deadline - time.monotonic())):
            _log.warning("some functions did not end in %g s", _DRAIN_SECONDS)

    def _answer(self, request: Request) -> Response:
        is_admin = request.path.lower().startswith("/admin/")
        return self._admin.answer(request) if is_admin else self._throttle.answer(request)

    def _make_queue_listener(self, function: Function) -> QueueListener:
        from local.host.triggers.queues import POISON, Pace, QueueListener

        storage, name = self._find_queue(function.trigger)
        poison = None if name.endswith(POISON) else storage.queue(name + POISON)
        options = self._plan.options.queues
        pace = Pace(min(_LONGEST_DELAY, options.max_polling_interval.total_seconds()))
        return QueueListener(function, storage.queue(name), poison, options, self.invoker, pace)

    def _make_timer_listener(self, function: Function) -> TimerListener:
        from local.host.triggers.timers import Lock, Monitor, TimerListener

        storage = self._open_storage(_TIMERS_CONNECTION)
        place = f"{_host_id(self._plan.folder)}/{function.name}"
        lease_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.server.url}/{place}"))
        monitored = function.trigger.fields.get("useMonitor", True)
        expression = settings.resolve(function.trigger.fields["schedule"], self._plan.settings)
        return TimerListener(
            function,
            schedule.parse(expression),
            self._plan.clock,
            Lock(storage, f"locks/{place}", lease_id),
            Monitor(storage.blob(f"timers/{place}")) if monitored else None,
            self.invoker,
        )

    def _send(self, binding: Binding, bodies: list[str | bytes]) -> None:
        from local.host.triggers import messages

        storage, name = self._find_queue(binding)
        messages.send(storage.queue(name), bodies, self._plan.options.queues.message_encoding)
        for listener in self._queues:
            if listener.queue_name == name:
                listener.wake()

    def _find_queue(self, binding: Binding) -> tuple[Storage, str]:
        name = settings.resolve(binding.fields["queueName"], self._plan.settings)
        return self._open_storage(binding.fields["connection"]), name

    def _open_storage(self, connection: str) -> Storage:
        """Return the account behind *connection*; raises ``MissingSetting`` without a string."""
        from local.host.triggers.storage import Storage

        text = settings.connection(connection, self._plan.settings)
        if text is None:
            raise settings.MissingSetting(f"{connection}: this host needs a connection string")
        with self._lock:
            return self._storages.setdefault(text, Storage(text))


def _count_threads(values: Mapping[str, str]) -> int:
    """Return how many synchronous functions run at once, as the worker decides it."""
    default = min(32, (os.cpu_count() or 1) + 4)
    return int(values.get("PYTHON_THREADPOOL_THREAD_COUNT") or default)


def _host_id(folder: Path) -> str:
    """Return an id that instances of the same app share, and no other app has."""
    return "local-" + hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
