"""Connections to Azure Resource Manager, kept open for as many threads as may read at once."""

from __future__ import annotations

from typing import Any

import requests
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

KEPT = 64
"""
Connections to one host. Beyond the ten that ``requests`` keeps, each parallel read would open
one, throw it away, and log a warning about it.
"""

_TIMEOUTS = {"connection_timeout": 5, "read_timeout": 30}
"""Seconds; a function never waits for a slow operation, only for an answer."""

_NEVER = Retry(total=False, redirect=False, raise_on_status=False)


def build_connections() -> Any:
    """
    Return a ``RequestsTransport`` for one gateway's clients.

    It repeats nothing: that is the pipeline's business.
    """
    session = requests.Session()
    session.mount("https://", HTTPAdapter(pool_maxsize=KEPT, max_retries=_NEVER))
    session.mount("http://", HTTPAdapter(pool_maxsize=KEPT, max_retries=_NEVER))
    return RequestsTransport(session=session, **_TIMEOUTS)
