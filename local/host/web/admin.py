"""
The host's own routes: its status, its functions, and firing one by hand.

https://learn.microsoft.com/azure/azure-functions/functions-manually-run-non-http
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from local.host.app import functions as functions_
from local.host.app.functions import Function
from local.host.invocation import InvocationFailed, Invoker, Response
from local.host.web.server import Request

_log = logging.getLogger("local.host")
_JSON = (("Content-Type", "application/json"),)
WAIT = "x-local-wait"
_PATIENCE_SECONDS = 25.0


class Admin:
    """
    Answers the paths under ``/admin``.

    ``POST /admin/functions/{name}`` with ``{"input": "…"}`` fires a timer or
    queue function and answers 202 once it has started; with ``X-Local-Wait:
    true`` it answers when the function has ended: 200, or 500 if it failed. With that header
    ``GET /admin/host/status`` answers when no function runs: 200, or 503 after a while.
    """

    def __init__(self, functions: Sequence[Function], invoker: Invoker) -> None:
        self._functions = {function.name.lower(): function for function in functions}
        self._invoker = invoker

    def answer(self, request: Request) -> Response:
        """Return the response to a *request* whose path begins with ``/admin``."""
        method, path = request.method, request.path.rstrip("/").lower()
        if method == "GET" and path == "/admin/host/ping":
            return Response(200)
        if method == "GET" and path == "/admin/host/status":
            return self._answer_status(request)
        if method == "GET" and path == "/admin/functions":
            return _answer_json([_show_function(function) for function in self._functions.values()])
        function = self._functions.get(path.removeprefix("/admin/functions/"))
        if method == "POST" and function is not None:
            return self._fire(function, request)
        return Response(404)

    def _answer_status(self, request: Request) -> Response:
        if _must_wait(request) and not self._invoker.running.wait_for_none(_PATIENCE_SECONDS):
            return Response(503)
        return _answer_json({"state": "Running", "functions": len(self._functions)})

    def _fire(self, function: Function, request: Request) -> Response:
        try:
            argument = _build_argument(function, _read_input(request.body))
        except ValueError as error:
            return Response(400, (("Content-Type", "text/plain"),), str(error).encode())
        if _must_wait(request):
            return Response(200 if self._run_function(function, argument) else 500)
        threading.Thread(target=self._run_function, args=(function, argument), daemon=True).start()
        return Response(202)

    def _run_function(self, function: Function, argument: Any) -> bool:
        try:
            self._invoker.invoke(function, argument)
        except InvocationFailed:
            return False
        return True


def _must_wait(request: Request) -> bool:
    return (request.header(WAIT) or "").lower() == "true"


def _read_input(body: bytes) -> str:
    """Return the ``input`` of the request's *body*; an empty body means an empty input."""
    document = json.loads(body or b"{}")
    value = document.get("input", "") if isinstance(document, Mapping) else None
    if not isinstance(value, str):
        raise ValueError('the body must be {"input": "<text>"}')  # noqa: TRY004 - one kind of fault
    return value


def _build_argument(function: Function, text: str) -> Any:
    """Return the trigger's argument; the storage SDKs are imported only if it needs them."""
    if function.trigger.type == functions_.TIMER:
        from local.host.triggers import timers

        return timers.make_request(None, past_due=False)
    if function.trigger.type == functions_.QUEUE:
        from local.host.triggers import messages

        return messages.choose_argument(function)(messages.make_by_hand(text), text.encode())
    raise ValueError(f"{function.name} is called by its route, not from here")


def _show_function(function: Function) -> dict[str, Any]:
    return {"name": function.name, "trigger": function.trigger.type, **function.trigger.fields}


def _answer_json(document: object) -> Response:
    return Response(200, _JSON, json.dumps(document).encode())
