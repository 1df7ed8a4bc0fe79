"""Query parameters of the API's requests."""

from __future__ import annotations

import azure.functions as func

from jit.domain.errors import InvalidRequest, Violation
from jit.domain.values.json_pointer import ROOT, at

_OF_THE_HOST = {"code", "clientId"}  # a function key, and its name


def refuse_unknown(req: func.HttpRequest, *known: str) -> None:
    """
    Refuse query parameters that are not *known*.

    On a route that changes something, ``?dryrun=true`` must never act.

    Raises:
        InvalidRequest: It names each of them.
    """
    unknown = sorted(set(req.params) - {*known, *_OF_THE_HOST})
    if unknown:
        faults = [
            Violation(at(ROOT, name), "unknown-field", "no such parameter") for name in unknown
        ]
        raise InvalidRequest("the query has faults", tuple(faults))


def read_flag(req: func.HttpRequest, name: str) -> bool:
    """Return a boolean of the query; False if it is missing."""
    text = str(req.params.get(name, "false")).lower()
    if text not in {"true", "false"}:
        detail = f"{name} is true or false"
        raise InvalidRequest(detail, (Violation(f"#/{name}", "wrong-type", detail),))
    return text == "true"
