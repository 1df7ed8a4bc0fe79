"""
The throttle of HTTP requests: so many run at once, so many more wait, the others are refused.

The real host has one queue in front of all functions, and none in front of ``/admin``
(``WebJobsApplicationBuilderExtension.cs`` in Azure/azure-functions-host). It refuses a request with
429, the header ``X-FUNCTION-SCALEOUT`` and no body (``HttpThrottleMiddleware.cs``).
https://learn.microsoft.com/azure/azure-functions/functions-bindings-http-webhook#hostjson-settings
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from local.host.app.host_options import UNBOUNDED, HttpOptions
from local.host.invocation import Response

_log = logging.getLogger("local.host")
TOO_BUSY = Response(429, (("X-FUNCTION-SCALEOUT", "1"),))

R = TypeVar("R")


class Throttle(Generic[R]):
    """
    Stands in front of the site.

    Args:
        site: Answers a request.
        options: How many requests may run, and how many may be there at once.

    Attributes:
        outstanding: The number of requests that run or wait.
    """

    def __init__(self, site: Callable[[R], Response], options: HttpOptions) -> None:
        self._site = site
        self._most = options.max_outstanding_requests
        self._slots = _make_slots(options.max_concurrent_requests)
        self._lock = threading.Lock()
        self.outstanding = 0

    def answer(self, request: R) -> Response:
        """Return the site's answer to *request*, when it is its turn; or 429 at once."""
        with self._lock:
            if self._most != UNBOUNDED and self.outstanding >= self._most:
                _log.info("Http request queue limit of %d has been exceeded.", self._most)
                return TOO_BUSY
            self.outstanding += 1
        try:
            if self._slots is None:
                return self._site(request)
            with self._slots:
                return self._site(request)
        finally:
            with self._lock:
                self.outstanding -= 1


def _make_slots(most: int) -> threading.Semaphore | None:
    return None if most == UNBOUNDED else threading.BoundedSemaphore(most)
