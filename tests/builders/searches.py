"""Searches of lists: for everything, unless a test says otherwise."""

from datetime import UTC, datetime
from typing import Any

from jit.storage.lists.query_budget import QueryBudget
from jit.storage.lists.search import Search, Sought

LATEST = datetime(2027, 12, 31, tzinfo=UTC)


def a_search(
    *,
    after: str | None = "",
    room: int = 100,
    calls: int = 12,
    fits_request: Any = lambda _: True,
    fits: Any = lambda _: True,
    **sought: Any,
) -> Search:
    """Return a search; *sought* are fields of ``Sought``, *calls* those of its budget."""
    return Search(
        sought=Sought(**{"last": LATEST, **sought}),
        fits_request=fits_request,
        fits=fits,
        budget=QueryBudget(calls),
        room=room,
        after=after or "",
    )


def find_ids(stretch: Any) -> list[str]:
    """Return the ids of the requests that a search found."""
    return [stored.request.id for stored in stretch.requests]
