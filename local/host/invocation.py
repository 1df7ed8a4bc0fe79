"""
How one function runs: arguments in, outputs out, one line in the log.

As in the real worker: output bindings leave after the function has returned and
are lost when it raises; a result without a ``$return`` binding is an error; at
most ``PYTHON_THREADPOOL_THREAD_COUNT`` synchronous functions run at once.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import azure.functions as func
from azure.functions import meta

from local.host.app import functions as functions_
from local.host.app.functions import Binding, Function
from local.host.running_count import RunningCount

_log = logging.getLogger("local.host")
_CONVERTERS: Any = meta.get_binding_registry()  # type: ignore[no-untyped-call]

Send = Callable[[Binding, list[str | bytes]], None]


class InvocationFailed(Exception):
    """The function raised, or its output cannot be sent. It is in the log."""


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response: its status, its headers in order, its body."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class Out(func.Out[Any]):
    """The value that a function hands to one output binding."""

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, val: Any) -> None:
        """Keep *val* until the function has returned."""
        self._value = val

    def get(self) -> Any:
        """Return the value that was set last, or None."""
        return self._value


@dataclass(frozen=True, slots=True)
class Context:
    """The value of a parameter named ``context`` (the worker's, without tracing)."""

    invocation_id: str
    function_name: str
    function_directory: str = ""
    trace_context: None = None
    retry_context: None = None
    thread_local_storage: threading.local = field(default_factory=threading.local)


class Invoker:
    """
    Runs functions.

    Args:
        send: Delivers the messages of a queue output binding, or raises.
        threads: How many synchronous functions may run at once.

    Attributes:
        threads: The same number.
        running: Counts the invocations that are under way.
    """

    def __init__(self, send: Send, threads: int) -> None:
        self._send = send
        self.threads = threads
        self._slots = threading.BoundedSemaphore(threads)
        self.running = RunningCount()
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def invoke(self, function: Function, argument: Any) -> Any:
        """
        Run *function* with *argument* for its trigger's parameter.

        Returns:
            The return value; for an HTTP function its ``Response``.

        Raises:
            InvocationFailed: It raised, or an output could not be sent.
        """
        invocation_id = str(uuid.uuid4())
        began = time.perf_counter()
        with self.running.one():
            try:
                result = self._run(function, argument, invocation_id)
            except Exception as error:
                _log.exception("%s (Id=%s) raised", function.name, invocation_id)
                _report(function, "Failed", invocation_id, began)
                raise InvocationFailed(function.name) from error
            _report(function, "Succeeded", invocation_id, began)
            return result

    def _run(self, function: Function, argument: Any, invocation_id: str) -> Any:
        outs = {b.name: Out() for b in function.outputs if b.name != functions_.RETURN}
        arguments: dict[str, Any] = {function.trigger.name: argument, **outs}
        if "context" in inspect.signature(function.call).parameters and "context" not in arguments:
            arguments["context"] = Context(invocation_id, function.name)
        result = self._call(function.call, arguments)
        if result is not None and not function.returns:
            raise TypeError(f"{function.name} without a $return binding returned {result!r}")
        answer = response(result) if function.trigger.type == functions_.HTTP else result
        for binding in function.outputs:
            given = result if binding.name == functions_.RETURN else outs[binding.name].get()
            if given is not None:
                self._send(binding, messages(given))
        return answer

    def _call(self, call: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
        if inspect.iscoroutinefunction(call):
            return asyncio.run_coroutine_threadsafe(call(**arguments), self._event_loop()).result()
        with self._slots:
            return call(**arguments)

    def _event_loop(self) -> asyncio.AbstractEventLoop:
        """Return the one event loop of every coroutine function, as in the worker."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, daemon=True).start()
            return self._loop


def messages(value: Any) -> list[str | bytes]:
    """
    Return the queue messages that the worker makes of an output *value*.

    A string or bytes is one message, a list or another iterable of strings one each.

    Raises:
        TypeError: The worker cannot encode it.
    """
    if isinstance(value, func.QueueMessage):
        return [value.get_body()]
    if isinstance(value, str | bytes):
        return [value]
    if isinstance(value, Iterable):
        return [_encode_item(item) for item in value]
    raise TypeError(f"a queue output cannot be a {type(value).__name__}")


def _encode_item(item: Any) -> str | bytes:
    if isinstance(item, func.QueueMessage):
        return item.get_body()
    if isinstance(item, str):
        return item
    raise TypeError(f"a queue output list cannot hold a {type(item).__name__}")


def response(result: Any) -> Response:
    """
    Return the return value of an HTTP function as the worker encodes it.

    Raises:
        NotImplementedError: It is neither an ``HttpResponse`` nor a string.
    """
    if isinstance(result, str):
        return Response(200, (("Content-Type", "text/plain; charset=utf-8"),), result.encode())
    value = _CONVERTERS.get("http").encode(result, expected_type=None).value
    headers = [(name, datum.value) for name, datum in value["headers"].items()]
    for jar in value["cookies"] or ():
        headers += (("Set-Cookie", morsel.OutputString()) for morsel in jar.values())
    return Response(int(value["status_code"].value), tuple(headers), value["body"].value)


def _report(function: Function, outcome: str, invocation_id: str, began: float) -> None:
    spent = (time.perf_counter() - began) * 1000
    _log.info("Executed %s (%s, Id=%s, %.0f ms)", function.name, outcome, invocation_id, spent)
