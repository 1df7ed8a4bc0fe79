"""
A crash at an exact call: the host kills itself when its app makes its n-th call to the outside.

Tests check the state that survives. Calls of the app count: to Azure, to tables, and sent messages.
The host's own reading of queues and its locks do not count.
"""

from __future__ import annotations

import itertools
import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

SETTING = "JIT_LOCAL_DIES"
"""``before 17``: that call is never made; ``after 17``: its answer never arrives; or ``never``."""

LEASE = timedelta(seconds=8)
"""
The broker's lease on a policy, shortened: it runs by the wall clock of the storage service, and a
crash would cost a test a minute.
"""

_log = logging.getLogger("local.host.crash_point")


@dataclass
class CrashPoint:
    """
    Waits for its call.

    Attributes:
        when: ``before``, ``after`` or ``never``.
        number: The number of the call, from 1.
        azure: The beginnings of the URLs of Azure and of its tokens.
        tables, queues: Hosts and ports of the storage account's endpoints.
        die: Ends this process between two instructions.
    """

    when: str
    number: int
    azure: tuple[str, ...]
    tables: str
    queues: str
    die: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGKILL)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def counts(self, method: str, url: str) -> bool:
        """Return True if a call is the app's own."""
        parts = urlsplit(url)
        if parts.netloc == self.queues:
            return method == "POST" and parts.path.endswith("/messages")
        return parts.netloc == self.tables or url.startswith(self.azure)

    def send(self, act: Any, request: requests.PreparedRequest) -> Any:
        """Make a call by *act*, or die before or after it."""
        method, url = str(request.method), str(request.url)
        if not self.counts(method, url):
            return act()
        with self._lock:
            number = next(self._numbers)
        _log.info("outside call %d: %s %s", number, method, urlsplit(url).path)
        self._strike("before", number)
        answer = act()
        self._strike("after", number)
        return answer

    def _strike(self, when: str, number: int) -> None:
        if (when, number) == (self.when, self.number):
            self.die()


def read_crash_point(settings: Mapping[str, str]) -> CrashPoint:
    """
    Return the crash point that *settings* ask for.

    Raises:
        ValueError: They ask for something else.
    """
    when, _, number = settings[SETTING].partition(" ")
    if when not in {"before", "after", "never"} or (when != "never" and not number):
        raise ValueError(f"{SETTING} is never, before <number> or after <number>")
    pairs = (item.partition("=") for item in settings["AzureWebJobsStorage"].split(";"))
    places = {name: urlsplit(value).netloc for name, _, value in pairs}
    return CrashPoint(
        when=when,
        number=int(number or 0),
        azure=(settings["JIT_ARM_ENDPOINT"], settings["IDENTITY_ENDPOINT"]),
        tables=places["TableEndpoint"],
        queues=places["QueueEndpoint"],
    )


def install(death: CrashPoint) -> None:
    """Let every call of this process pass by *death*: all clients here send by ``requests``."""
    original = HTTPAdapter.send

    def send(self: HTTPAdapter, request: requests.PreparedRequest, *args: Any, **how: Any) -> Any:
        return death.send(lambda: original(self, request, *args, **how), request)

    HTTPAdapter.send = send  # type: ignore[method-assign] # the one place that all calls pass
    from jit.broker import locks

    locks.LEASE = LEASE
