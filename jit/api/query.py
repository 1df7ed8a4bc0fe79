"""Query parameters of the API's requests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import azure.functions as func

from jit.domain.errors import InvalidRequest, Violation
from jit.domain.values.json_pointer import ROOT, at

TOKEN = "continuationToken"  # noqa: S105 - the name of a query parameter
OF_THE_HOST = frozenset({"code", "clientId"})
"""Query parameters of the host: a function key, and its name."""


def refuse_unknown(req: func.HttpRequest, *known: str) -> None:
    """
    Refuse query parameters that are not *known*.

    On a route that changes something, ``?dryrun=true`` must never act.

    Raises:
        InvalidRequest: It names each of them.
    """
    faults = list_unknown(set(req.params) - OF_THE_HOST, known)
    if faults:
        raise InvalidRequest("the query has faults", tuple(faults))


def list_unknown(names: Iterable[str], known: Sequence[str]) -> list[Violation]:
    """Return a fault for each of *names* that is not *known*."""
    detail = f"no such parameter; known are {', '.join(known)}" if known else "no such parameter"
    unknown = sorted(set(names) - set(known))
    return [Violation(at(ROOT, name), "unknown-field", detail) for name in unknown]


def read_flag(req: func.HttpRequest, name: str) -> bool:
    """Return a boolean of the query; False if it is missing."""
    text = str(req.params.get(name, "false")).lower()
    if text not in {"true", "false"}:
        detail = f"{name} is true or false"
        raise InvalidRequest(detail, (Violation(f"#/{name}", "wrong-type", detail),))
    return text == "true"
