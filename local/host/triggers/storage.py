"""
The host's own clients of queues and blobs: short retries, silent, many threads.

They are not the app's: their calls must not appear in the app's log, and a storage
outage must show within seconds, not after the SDK's default minute.
"""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any

import requests
from azure.core.exceptions import ResourceExistsError
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import BlobClient, BlobServiceClient
from azure.storage.blob import LinearRetry as BlobRetry
from azure.storage.queue import LinearRetry, QueueClient, QueueServiceClient
from requests.adapters import HTTPAdapter

HOSTS_CONTAINER = "azure-webjobs-hosts"  # the real host keeps its locks there as well
_CONNECTIONS = 64
_SILENT = logging.getLogger("local.host.silent")
_SILENT.disabled = True


class Storage:
    """Queues and the host's own blobs of the account that *connection_string* names."""

    def __init__(self, connection_string: str) -> None:
        self._connection_string = connection_string

    def queue(self, name: str) -> QueueClient:
        """Return a client of one queue that neither encodes nor decodes."""
        return self._queues.get_queue_client(name)

    def blob(self, name: str) -> BlobClient:
        """Return a client of one blob among the host's own."""
        return self._blobs.get_blob_client(HOSTS_CONTAINER, name)

    def ensure_container(self) -> None:
        """Create the container of the host's own blobs if it is not there."""
        try:
            self._blobs.create_container(HOSTS_CONTAINER)
        except ResourceExistsError:
            return

    @cached_property
    def _queues(self) -> QueueServiceClient:
        return QueueServiceClient.from_connection_string(
            self._connection_string, retry_policy=LinearRetry(**_RETRY), **_client_options()
        )

    @cached_property
    def _blobs(self) -> BlobServiceClient:
        return BlobServiceClient.from_connection_string(
            self._connection_string, retry_policy=BlobRetry(**_RETRY), **_client_options()
        )


_RETRY: dict[str, Any] = {"backoff": 0.2, "retry_total": 2, "random_jitter_range": 0.1}


def ensure_queue(queue: QueueClient) -> None:
    """Create *queue* if it is not there."""
    try:
        queue.create_queue()
    except ResourceExistsError:
        return


def _client_options() -> dict[str, Any]:
    """Return the options of both kinds of client: a pool for all threads, timeouts, no log."""
    session = requests.Session()
    session.mount("http://", HTTPAdapter(pool_maxsize=_CONNECTIONS))
    session.mount("https://", HTTPAdapter(pool_maxsize=_CONNECTIONS))
    transport = RequestsTransport(session=session, session_owner=False)
    return {
        "transport": transport,
        "logger": _SILENT,
        "connection_timeout": 5,
        "read_timeout": 20,
    }
