"""
Faults of an app that can be found before the first invocation.

Some of them are refused by the real worker when it loads a function (``functions.py``
in Azure/azure-functions-python-worker): the app should not fail in the cloud first.
The others are checked nowhere else.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import azure.functions as func
from azure.functions import meta

from local.host.app import functions as functions_
from local.host.app import host_options, settings
from local.host.app.functions import Binding, Function
from local.host.triggers import schedule
from local.host.web import routes

# https://learn.microsoft.com/rest/api/storageservices/naming-queues-and-metadata
_QUEUE_NAME = re.compile(r"(?=.{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*")
_FUNCTION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,126}")
_SUPPORTED = {functions_.HTTP, functions_.QUEUE, functions_.TIMER}
_OUTPUTS = {functions_.HTTP_OUTPUT, functions_.QUEUE_OUTPUT}
_RESERVED = ("admin", "runtime")
_CONVERTERS: Any = meta.get_binding_registry()  # type: ignore[no-untyped-call]


def find_faults(app: func.FunctionApp, values: Mapping[str, str], host_json: object) -> list[str]:
    """
    Return all faults of *app* under the settings *values* and a parsed *host_json*: sentences.

    An app without faults can be started by the real host as well; connections
    by identity count as present.
    """
    found = list(host_options.find_faults(host_json))
    try:
        indexed = functions_.index(app)
    except ValueError as error:
        return [*found, str(error)]
    for function in indexed:
        found += (f"{function.name}: {fault}" for fault in _find_function_faults(function, values))
    served = functions_.select_by_trigger(indexed, functions_.HTTP)
    return [*found, *_find_overlaps(served), *_find_reserved_routes(served, host_json)]


def _find_function_faults(function: Function, values: Mapping[str, str]) -> Iterator[str]:
    if _FUNCTION_NAME.fullmatch(function.name) is None:
        yield "the name must be a letter, then letters, digits, - and _, at most 127"
    yield from _find_signature_faults(function)
    for binding in function.bindings:
        yield from _find_setting_faults(binding, values)
        yield from _find_binding_faults(binding, values)


def _find_signature_faults(function: Function) -> Iterator[str]:
    bound = {binding.name: binding for binding in function.bindings}
    bound.pop(functions_.RETURN, None)
    declared = set(inspect.signature(function.call).parameters)
    if "context" not in bound:
        declared.discard("context")
    for name in sorted(declared - set(bound)):
        yield f"the parameter {name} has no binding"
    for name in sorted(set(bound) - declared):
        yield f"the binding {name} has no parameter"
    try:
        hints = typing.get_type_hints(function.call)
    except Exception as error:  # noqa: BLE001 - an annotation may raise anything, and so ends loading
        yield f"its annotations cannot be evaluated at run time: {error}"
        return
    for name in sorted(declared & set(bound) & set(hints)):
        yield from _find_annotation_faults(bound[name], hints[name])
    if function.returns and "return" in hints:
        yield from _find_return_faults(function, hints["return"])


def _find_annotation_faults(binding: Binding, hint: Any) -> Iterator[str]:
    is_out = typing.get_origin(hint) is func.Out
    if is_out != binding.is_output:
        wish = "func.Out[...]" if binding.is_output else "an input type, not func.Out"
        yield f"the parameter {binding.name} must be annotated as {wish}"
        return
    inner = typing.get_args(hint)[0] if is_out else hint
    if inner in {str, bytes}:
        return
    if not isinstance(inner, type) and typing.get_origin(inner) is None:
        yield f"the annotation of {binding.name} is not a type: {inner!r}"
    elif isinstance(inner, types.GenericAlias):
        yield f"{binding.name}: the worker knows typing.List[...] and its like, not {inner!r}"
    elif not _fits(binding, inner):
        yield f"the annotation of {binding.name} does not fit a {binding.type} binding: {inner!r}"


def _fits(binding: Binding, kind: Any) -> bool:
    """Ask the worker's own converters whether *kind* can carry the data of *binding*."""
    converter = _CONVERTERS.get(binding.type)
    if converter is None:
        return True  # an unsupported binding is reported elsewhere
    name = "check_output_type_annotation" if binding.is_output else "check_input_type_annotation"
    try:
        return bool(getattr(converter, name)(kind))
    except TypeError:  # a generic alias where a class is expected
        return False


def _find_return_faults(function: Function, hint: Any) -> Iterator[str]:
    binding = next(b for b in function.bindings if b.name == functions_.RETURN)
    if not isinstance(hint, type) or not (hint in {str, bytes} or _fits(binding, hint)):
        yield f"the return annotation does not fit a {binding.type} binding: {hint!r}"


def _find_setting_faults(binding: Binding, values: Mapping[str, str]) -> Iterator[str]:
    texts = [value for value in binding.fields.values() if isinstance(value, str)]
    for name in sorted({name for text in texts for name in settings.names(text)}):
        if name not in values:
            yield f"%{name}% names a setting that does not exist"
    connection = binding.fields.get("connection")
    if isinstance(connection, str) and not settings.has_connection(connection, values):
        yield f"the connection {connection} is not configured"


def _find_binding_faults(binding: Binding, values: Mapping[str, str]) -> Iterator[str]:
    supported = _OUTPUTS if binding.is_output else _SUPPORTED
    if binding.type not in supported:
        yield f"the development host has no {binding.type} binding"
    try:
        yield from _find_value_faults(binding, values)
    except settings.MissingSetting:
        return  # already reported
    except (schedule.BadSchedule, routes.BadTemplate) as error:
        yield str(error)


def _find_value_faults(binding: Binding, values: Mapping[str, str]) -> Iterator[str]:
    if binding.type == functions_.TIMER:
        schedule.parse(settings.resolve(binding.fields["schedule"], values))
    elif binding.type == functions_.HTTP:
        routes.parse(binding.fields["route"])
        if str(binding.fields.get("authLevel")).upper() != "ANONYMOUS":
            yield "the development host knows no keys: the auth level must be anonymous"
    elif "queueName" in binding.fields:
        name = settings.resolve(binding.fields["queueName"], values)
        if _QUEUE_NAME.fullmatch(name) is None:
            yield f"{name!r} is not a queue name: 3 to 63 of a-z, 0-9 and single hyphens inside"


def _find_overlaps(functions: Sequence[Function]) -> Iterator[str]:
    """Yield where two functions want the same request; the one named first would get it."""
    for first, second in combinations(functions, 2):
        both = _effective_methods(first) & _effective_methods(second)
        if not both:
            continue
        try:
            mine = routes.parse(first.trigger.fields["route"])
            theirs = routes.parse(second.trigger.fields["route"])
        except routes.BadTemplate:
            continue  # already reported
        if mine.hides(theirs):
            yield (
                f"{second.name}: the route {theirs.text!r} ({', '.join(sorted(both))}) is hidden "
                f"by {mine.text!r} of {first.name}, which the host tries first"
            )


def _find_reserved_routes(functions: Sequence[Function], host_json: object) -> Iterator[str]:
    """Yield the routes that the host's own would cover; the prefix keeps them apart."""
    if not isinstance(host_json, dict) or host_options.route_prefix(host_json):
        return
    for function in functions:
        if function.trigger.fields["route"].partition("/")[0].lower() in _RESERVED:
            yield f"{function.name}: the host keeps {function.trigger.fields['route']!r} for itself"


def _effective_methods(function: Function) -> frozenset[str]:
    return list_methods(function) or frozenset(method.value for method in func.HttpMethod)


def list_methods(function: Function) -> frozenset[str]:
    """Return the HTTP methods that *function* lists; empty means every method."""
    return frozenset(str(method).upper() for method in function.trigger.fields.get("methods") or ())
