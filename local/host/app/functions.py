"""The app's functions as plain data, in the order in which the real host knows them."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import azure.functions as func

HTTP, QUEUE, TIMER = "httpTrigger", "queueTrigger", "timerTrigger"
QUEUE_OUTPUT, HTTP_OUTPUT = "queue", "http"
RETURN = "$return"


@dataclass(frozen=True, slots=True)
class Binding:
    """
    One binding of a function, as ``function.json`` would hold it.

    Attributes:
        name: The parameter that it fills, or ``$return``.
        type: For example ``queueTrigger`` or ``http``.
        is_output: True if data flows out of the function.
        fields: Everything else: ``queueName``, ``route``, ``schedule`` …
    """

    name: str
    type: str
    is_output: bool
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the app: its name, the Python callable, its bindings."""

    name: str
    call: Callable[..., Any]
    trigger: Binding
    bindings: tuple[Binding, ...]

    @property
    def outputs(self) -> tuple[Binding, ...]:
        """The bindings through which it sends, without its HTTP response."""
        return tuple(b for b in self.bindings if b.is_output and b.type != HTTP_OUTPUT)

    @property
    def returns(self) -> bool:
        """True if a binding takes its return value."""
        return any(binding.name == RETURN for binding in self.bindings)


def load(folder: Path) -> func.FunctionApp:
    """
    Import ``function_app.py`` of *folder* and return its ``app``, as the worker does.

    Raises:
        Exception: The import of the app raised it.
        TypeError: There is no ``FunctionApp`` named ``app``.
    """
    sys.path.insert(0, str(folder))
    app = getattr(importlib.import_module("function_app"), "app", None)
    if not isinstance(app, func.FunctionApp):
        raise TypeError("function_app.py has no FunctionApp named app")
    return app


def index(app: func.FunctionApp) -> tuple[Function, ...]:
    """
    Return the functions of *app* by name, ignoring case: the order of the real host.

    The order matters, because the first matching route wins
    (https://github.com/Azure/azure-functions-host/issues/3153).

    Raises:
        ValueError: A name occurs twice, or a function has no trigger.
    """
    app.functions_bindings = None  # or a second call would see every name twice
    found = (_read_function(function) for function in app.get_functions())
    return tuple(sorted(found, key=lambda function: function.name.upper()))


def select_by_trigger(functions: Iterable[Function], trigger: str) -> tuple[Function, ...]:
    """Return those of *functions* whose trigger has the type *trigger*."""
    return tuple(function for function in functions if function.trigger.type == trigger)


def _read_function(function: Any) -> Function:
    bindings = tuple(
        _read_binding(raw) for raw in json.loads(function.get_function_json())["bindings"]
    )
    name, trigger_name = function.get_function_name(), function.get_trigger().name
    trigger = next(b for b in bindings if b.name == trigger_name and not b.is_output)
    if trigger.type == HTTP and not trigger.fields.get("route"):
        # The real host does the same: an empty route is never the root.
        trigger = replace(trigger, fields={**trigger.fields, "route": name})
    return Function(name, function.get_user_function(), trigger, bindings)


def _read_binding(raw: Mapping[str, Any]) -> Binding:
    known = {"name", "type", "direction"}
    return Binding(
        name=raw["name"],
        type=raw["type"],
        is_output=str(raw["direction"]).lower() == "out",
        fields={key: value for key, value in raw.items() if key not in known},
    )
