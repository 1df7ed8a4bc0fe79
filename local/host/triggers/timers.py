"""
Timer triggers on the stack's clock: the instance that fires, the time, missed times.

As in the real host, one instance at a time runs a timer, under a blob lease,
and the next due time is kept in a blob. So a due time that no instance saw fires
once, late, as past due. A difference: a clock that jumps has missed the times
between. ``TimerListener`` and ``ScheduleMonitor`` in
https://github.com/Azure/azure-webjobs-sdk-extensions.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.functions.timer import TimerRequest
from azure.storage.blob import BlobClient, BlobLeaseClient

from local.host.app.functions import Function
from local.host.invocation import InvocationFailed, Invoker
from local.host.triggers.schedule import Schedule
from local.host.triggers.storage import Storage

_log = logging.getLogger("local.host")
_LOOK_SECONDS = 0.1
_LEASE_SECONDS = 15  # the shortest that storage grants
_RENEW_SECONDS = 5.0
_ASK_SECONDS = 1.0  # between two tries for a lease that another instance holds
_ON_TIME = timedelta(seconds=2)  # a busy machine may look this late without being past due


class Lock:
    """
    A blob lease: at most one instance of the host holds it.

    An instance asks with a lease id of its own that outlives its process. So an instance
    that was killed and started again need not wait for its own lease.
    """

    def __init__(self, storage: Storage, name: str, lease_id: str) -> None:
        self._storage = storage
        self._blob = storage.blob(name)
        self._lease = BlobLeaseClient(self._blob, lease_id)
        self._valid_until = 0.0
        self._ask_at = 0.0

    def held(self) -> bool:
        """Return True if the lease is ours; ask for it or renew it if it is time to."""
        now = time.monotonic()
        if now >= self._ask_at:
            self._ask(now)
        return time.monotonic() < self._valid_until

    def release(self) -> None:
        """Give the lease up, if it is ours."""
        if time.monotonic() < self._valid_until:
            self._valid_until = 0.0
            with contextlib.suppress(AzureError):  # then it runs out
                self._lease.release()

    def _ask(self, now: float) -> None:
        try:
            self._acquire()
            self._valid_until, self._ask_at = now + _LEASE_SECONDS, now + _RENEW_SECONDS
        except AzureError:  # another holds it, or storage is away: then it just runs out
            self._ask_at = now + _ASK_SECONDS

    def _acquire(self) -> None:
        """Take or renew: storage treats the holder's own lease id as a renewal."""
        try:
            self._lease.acquire(lease_duration=_LEASE_SECONDS)
        except ResourceNotFoundError:
            self._storage.ensure_container()
            with contextlib.suppress(ResourceExistsError, HttpResponseError):
                self._blob.upload_blob(b"", overwrite=False)  # another instance may be first
            self._lease.acquire(lease_duration=_LEASE_SECONDS)


@dataclass(frozen=True, slots=True)
class Status:
    """When a timer last fired and is due next, under which schedule."""

    expression: str
    last: datetime | None
    due: datetime


class Monitor:
    """Keeps the ``Status`` of one timer in a blob."""

    def __init__(self, blob: BlobClient) -> None:
        self._blob = blob

    def read(self) -> Status | None:
        """
        Return the stored status; None if there is none that can be read.

        Raises:
            AzureError: Storage is away.
        """
        try:
            document = json.loads(self._blob.download_blob().readall())
            last = document["Last"]
            return Status(
                expression=document["Schedule"],
                last=None if last is None else datetime.fromisoformat(last),
                due=datetime.fromisoformat(document["Next"]),
            )
        except (ResourceNotFoundError, KeyError, TypeError, ValueError):
            return None

    def write(self, status: Status) -> None:
        """
        Store *status*.

        Raises:
            AzureError: Storage is away.
        """
        document = {
            "Schedule": status.expression,
            "Last": None if status.last is None else status.last.isoformat(),
            "Next": status.due.isoformat(),
        }
        self._blob.upload_blob(json.dumps(document), overwrite=True)


class TimerListener:
    """
    Fires one function by its schedule.

    Args:
        function: The function; its trigger is a timer.
        schedule: When it is due.
        clock: Returns the time.
        lock: Held by the instance that fires.
        monitor: Remembers the due time; None if the trigger says ``use_monitor=False``.
        invoker: Runs the function.
    """

    def __init__(
        self,
        function: Function,
        schedule: Schedule,
        clock: Callable[[], datetime],
        lock: Lock,
        monitor: Monitor | None,
        invoker: Invoker,
    ) -> None:
        self._function, self._schedule, self._clock = function, schedule, clock
        self._lock, self._monitor, self._invoker = lock, monitor, invoker
        self._status: Status | None = None
        self._expected: datetime | None = None
        self._run_on_startup = bool(function.trigger.fields.get("runOnStartup"))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"timer-{function.name}")
        self._thread.daemon = True

    def start(self) -> None:
        """Begin to watch the clock; a due time from now on is not missed."""
        with contextlib.suppress(OSError, ValueError):  # the clock is not there yet
            self._expected = self._schedule.after(self._clock())
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Fire no more, wait up to *seconds* for a running function, release the lock."""
        self._stopping.set()
        self._thread.join(seconds)
        self._lock.release()

    def _watch(self) -> None:
        healthy = True
        while not self._stopping.wait(_LOOK_SECONDS):
            try:
                self.look()
                healthy = True
            except (AzureError, OSError, ValueError) as error:  # storage or the clock is away
                if healthy:
                    _log.warning("timer %s waits: %s", self._function.name, error)
                healthy = False

    def look(self) -> None:
        """
        Look at the clock once, and fire if it is time.

        Raises:
            AzureError: Storage is away.
            OSError: The clock is away.
        """
        now = self._clock()
        if not self._lock.held():
            self._status = None  # the instance that fires meanwhile stores the next due time
            self._expected = self._schedule.after(now)
            return
        status = self._status = self._read_status(now)
        if self._run_on_startup:
            self._run_on_startup = False
            self._fire(status, now, past_due=False)
        elif now >= status.due:
            self._fire(status, now, past_due=now - status.due > _ON_TIME)

    def _read_status(self, now: datetime) -> Status:
        """Return the next due time; a clock that was set back brings it back as well."""
        if self._status is None:
            self._status = self._load_status() or self._store_first_status(now)
            due = self._status.due.isoformat()
            _log.info("timer %s is ours; it is due at %s", self._function.name, due)
        status = self._status
        regular = self._schedule.after(now)
        return status if status.due <= regular else replace(status, due=regular)

    def _store_first_status(self, now: datetime) -> Status:
        """Return and store the status of a timer that has none yet."""
        due = self._expected or self._schedule.after(now)
        status = Status(self._schedule.expression, None, due)
        if self._monitor is not None:
            self._monitor.write(status)
        return status

    def _load_status(self) -> Status | None:
        stored = None if self._monitor is None else self._monitor.read()
        return stored if stored and stored.expression == self._schedule.expression else None

    def _fire(self, status: Status, now: datetime, *, past_due: bool) -> None:
        try:
            self._invoker.invoke(self._function, make_request(status, past_due=past_due))
        except InvocationFailed:
            _log.warning("timer %s failed; it is due again at its next time", self._function.name)
        self._status = Status(self._schedule.expression, now, self._schedule.after(now))
        if self._monitor is not None:
            self._monitor.write(self._status)


def make_request(status: Status | None, *, past_due: bool) -> TimerRequest:
    """Return the function's argument; *status* is None when it is fired by hand."""
    known: dict[str, Any] = {}
    if status is not None:
        last = status.last or datetime.min.replace(tzinfo=status.due.tzinfo)
        known = {"Last": last.isoformat(), "Next": status.due.isoformat()}
    return TimerRequest(past_due=past_due, schedule_status=known, schedule={"AdjustForDST": True})
