"""Raw paths of requests: a path with two readings is not found."""

from __future__ import annotations

import re

import azure.functions as func

from jit.domain.errors import NotFound

# App Service compares the raw path with its excluded paths, and the host routes by a normalised
# one. ``/page/../api/x`` is an excluded path for the first and a route of the API for the second.
_TWO_READINGS = re.compile(r"%2e|%2f|%5c|\\|//|;|(?:^|/)\.\.?(?:/|$)", re.IGNORECASE)
_SERVER = re.compile(r"[a-z][a-z0-9+.-]*://[^/]*", re.IGNORECASE)
# The host builds the URL of a request from the normalised path; the front end of App Service puts
# the target of the client into these headers.
_RAW_TARGETS = ("X-Original-URL", "X-WAWS-Unencoded-URL")


def check_path(req: func.HttpRequest) -> None:
    """
    Refuse a request whose raw path is not plain.

    Raises:
        NotFound: Its URL, or the target that the front end received, has two readings.
    """
    targets = [req.url, *(req.headers.get(name, "") for name in _RAW_TARGETS)]
    if not all(map(is_plain, targets)):
        raise NotFound("there is no such path")


def is_plain(target: str) -> bool:
    r"""
    Return True if every part of the platform reads the path of *target* alike.

    A path with ``%2e``, ``%2f``, ``%5c``, ``\``, ``//``, ``;`` or a dot segment is not plain, in
    any letter case.

    Args:
        target: A URL, or a path with or without a query, as the client sent it.
    """
    return _TWO_READINGS.search(read_path(target)) is None


def read_path(target: str) -> str:
    """
    Return the path of *target*, without a server and a query.

    The server in a request's URL is its header ``Host``, which a caller chooses: ``http://[/api``
    is no URL, but it has a path.

    Args:
        target: A URL, or a path with or without a query, as the client sent it.
    """
    path = _SERVER.sub("", target, count=1) if _SERVER.match(target) else target
    return path.partition("?")[0]
