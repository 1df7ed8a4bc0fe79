"""
The dispatcher of requests: it finds the function of a request and builds its argument.

Status codes are the real host's: 404 without a body if no route and method match
(never 405), 500 without a body if a function raises. 401 is the answer of App
Service authentication, which the platform gives before the host is asked.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from azure.functions.http import HttpRequest

from local.host.app import checks
from local.host.app.functions import Function
from local.host.invocation import InvocationFailed, Invoker, Response
from local.host.web import front_end, platform_auth, routes
from local.host.web.server import Request

_log = logging.getLogger("local.host")
_BAD_HEADER = re.compile(r"[^\t\x20-\x7e]")  # the real host sends ASCII, and no line breaks


@dataclass(frozen=True, slots=True)
class _Route:
    template: routes.Template
    methods: frozenset[str]
    function: Function


class Dispatcher:
    """
    Answers requests with the app's HTTP functions.

    Args:
        functions: The HTTP functions, in the order of the host.
        prefix: The path under which all routes lie.
        authentication: Writes the principal headers.
        invoker: Runs the functions.
    """

    def __init__(
        self,
        functions: Sequence[Function],
        prefix: str,
        authentication: platform_auth.Authentication,
        invoker: Invoker,
    ) -> None:
        self._authentication, self._invoker = authentication, invoker
        self._routes = [
            _Route(
                routes.parse(f"{prefix}/{function.trigger.fields['route']}".strip("/")),
                checks.list_methods(function),
                function,
            )
            for function in functions
        ]

    def answer(self, request: Request) -> Response:
        """Return the response of the function whose route matches *request*, or a 404."""
        try:
            path = routes.split(front_end.rewrite_path(request.path))
        except ValueError:
            return Response(400)
        for route in self._routes:
            found = route.template.match(path)
            if found is not None and (not route.methods or request.method in route.methods):
                return self._invoke(route.function, request, found)
        return Response(404)

    def _invoke(
        self, function: Function, request: Request, route_params: Mapping[str, str]
    ) -> Response:
        try:
            headers = self._authentication.headers(request.path, request.headers)
        except platform_auth.UnknownPerson as error:
            return Response(401, (("Content-Type", "text/plain"),), str(error).encode())
        headers = front_end.add_headers(headers, request.peer, request.target)
        argument = _build_request(request, headers, route_params)
        try:
            answer: Response = self._invoker.invoke(function, argument)
        except InvocationFailed:
            return Response(500)
        if any(_BAD_HEADER.search(name + value) for name, value in answer.headers):
            _log.error("%s returned a header that is not one line of ASCII", function.name)
            return Response(500)
        return answer


def _build_request(
    request: Request, headers: Sequence[tuple[str, str]], route_params: Mapping[str, str]
) -> HttpRequest:
    """
    Build the argument that the worker hands to the function: repeated names joined by commas.

    The URL has the target as the client sent it. The real host builds the URL from the path by
    which it routes (``ToRpcHttp`` in its ``GrpcMessageConversionExtensions.cs``), with dot
    segments resolved; the header ``X-Original-URL`` has the client's target in both.
    """
    host = request.header("host") or "localhost"
    return HttpRequest(
        method=request.method,
        url=f"http://{host}{request.target}",
        headers=_join_values((name.lower(), value) for name, value in headers),
        params=_join_values(parse_qsl(request.query, keep_blank_values=True)),
        route_params=dict(route_params),
        body_type="bytes",
        body=request.body,
    )


def _join_values(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined
