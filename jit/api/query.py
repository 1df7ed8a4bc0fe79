"""Query parameters of the HTTP contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import azure.functions as func

from jit.domain.errors import InvalidRequest, Violation
from jit.domain.values.json_pointer import ROOT, at

if TYPE_CHECKING:  # the use cases' results: whoever renders one has loaded it already
    pass
_PLATFORM = {"code", "clientId"}  # of the Functions host: a function key, and its name


def only(req: func.HttpRequest, *known: str) -> None:
    """
    Refuse parameters of the query that the contract does not have.

    On a route that changes something, ``?dryrun=true`` must not act in earnest.

    Raises:
        InvalidRequest: Each of them is named.
    """
    unknown = sorted(set(req.params) - {*known, *_PLATFORM})
    if unknown:
        faults = [
            Violation(at(ROOT, name), "unknown-field", "no such parameter") for name in unknown
        ]
        raise InvalidRequest("the query has faults", tuple(faults))


def flag(req: func.HttpRequest, name: str) -> bool:
    """Return a boolean of the query; false where it is missing."""
    text = str(req.params.get(name, "false")).lower()
    if text not in {"true", "false"}:
        detail = f"{name} is true or false"
        raise InvalidRequest(detail, (Violation(f"#/{name}", "wrong-type", detail),))
    return text == "true"
