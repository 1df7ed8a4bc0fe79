"""One request by its id, for a caller who may see it."""

from __future__ import annotations

from jit.domain.errors import NotFound
from jit.domain.model.people import Person
from jit.storage.request_store import RequestStore
from jit.storage.stored import StoredRequest

_SHOWN = 64  # characters of an id that a caller made up


def find_visible(requests: RequestStore, request_id: str, caller: Person) -> StoredRequest:
    """
    Return a request with its grants, live or finished.

    Raises:
        NotFound: There is no such request, or *caller* may not see it: both look the same.
    """
    stored = requests.load(request_id)
    if stored is None or not stored.request.is_visible_to(caller):
        raise NotFound(f"there is no request {request_id[:_SHOWN]}")
    return stored
