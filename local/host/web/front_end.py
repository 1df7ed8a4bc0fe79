"""
The front end of App Service: the parts of it that a request meets before the host.

It adds the headers of a proxy, and it hands the host a path that is not always the path of the
client. Microsoft documents neither. This is the worse case: each change lets more paths reach a
function.

* ``%2f`` becomes a slash, as users report (azure-functions-host#5619, #3998).
* A backslash and ``%5c`` become a slash, and several slashes become one: assumptions.

``routes.split`` then decodes the other escapes and resolves dot segments, as Kestrel does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

ADDRESS = "x-local-address"
_SLASHES = re.compile(r"(?:/|\\|%2f|%5c)+", re.IGNORECASE)
# App Service writes the client's target into these two, as users' dumps of headers show.
_TARGETS = ("X-Original-URL", "X-WAWS-Unencoded-URL")
_OWN = {ADDRESS, "x-forwarded-for", "x-forwarded-proto", *(name.lower() for name in _TARGETS)}


def rewrite_path(path: str) -> str:
    """Return *path*, still percent-encoded, as the host sees it."""
    return _SLASHES.sub("/", path)


def add_headers(
    headers: Iterable[tuple[str, str]], peer: tuple[str, int], target: str
) -> list[tuple[str, str]]:
    """
    Return *headers* and the headers that the front end adds.

    Args:
        headers: The client's headers. ``X-Local-Address`` names the peer's address instead of the
            real one, which is always loopback here. ``X-Forwarded-For`` is kept and extended.
        peer: Address and port of the connection's other end.
        target: Path and query as the client sent them.
    """
    given = list(headers)
    address = next((value for name, value in given if name.lower() == ADDRESS), peer[0])
    hop = f"[{address}]:{peer[1]}" if ":" in address else f"{address}:{peer[1]}"
    chain = [value for name, value in given if name.lower() == "x-forwarded-for"]
    return [
        *((name, value) for name, value in given if name.lower() not in _OWN),
        ("X-Forwarded-For", ", ".join([*chain, hop])),
        ("X-Forwarded-Proto", "http"),
        *((name, target) for name in _TARGETS),
    ]
