"""
The cross-origin check: another web site cannot use the session of a signed-in person.

The algorithm is that of ``CrossOriginProtection`` in Go's ``net/http``: it trusts the header
``Sec-Fetch-Site`` of the browser, and compares ``Origin`` if an old browser does not send that
header (https://pkg.go.dev/net/http#CrossOriginProtection). The check of App Service authentication
covers POST only.
"""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

import azure.functions as func

from jit.domain.errors import Forbidden, Violation
from jit.domain.values.json_pointer import ROOT

CROSS_ORIGIN = "cross-origin"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110, section 9.2.1)."""


def check_origin(req: func.HttpRequest, public_base_url: str) -> None:
    """
    Refuse a change that a page of another web site has sent.

    Raises:
        Forbidden: With the code ``cross-origin``.
    """
    headers = {name: req.headers.get(name, "") for name in ("Sec-Fetch-Site", "Origin", "Host")}
    if is_cross_origin(
        req.method,
        site=headers["Sec-Fetch-Site"],
        origin=headers["Origin"],
        host=headers["Host"],
        public_base_url=public_base_url,
    ):
        detail = "a page of another web site cannot change anything here"
        raise Forbidden(detail, (Violation(ROOT, CROSS_ORIGIN, detail),))


def is_cross_origin(
    method: str, *, site: str, origin: str, host: str, public_base_url: str
) -> bool:
    """
    Return True if a browser sends a change for a page of another origin.

    A request without ``Sec-Fetch-Site`` and ``Origin`` does not come from a browser.

    Args:
        method: The method of the request; a safe one is never cross-origin.
        site: The header ``Sec-Fetch-Site``; empty if it is missing.
        origin: The header ``Origin``; empty if it is missing.
        host: The header ``Host``.
        public_base_url: The URL by which callers reach the broker.
    """
    if method.upper() in SAFE_METHODS:
        return False
    if site:
        return site not in {"same-origin", "none"}
    return bool(origin) and not _is_own(origin, host, public_base_url)


def _is_own(origin: str, host: str, public_base_url: str) -> bool:
    try:
        theirs, ours = urlsplit(origin.lower()), urlsplit(public_base_url.lower())
    except ValueError:
        return False
    return bool(theirs.netloc) and (theirs.netloc == host.lower() or _place(theirs) == _place(ours))


def _place(url: SplitResult) -> tuple[str, str]:
    """Return scheme and server; a browser leaves the default port out."""
    default = {"http": ":80", "https": ":443"}.get(url.scheme, "")
    return url.scheme, url.netloc.removesuffix(default)
