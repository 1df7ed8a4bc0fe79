"""The functions of the app by name, as the worker finds them, and requests for them."""

import base64
import json
from collections.abc import Callable, Iterable
from typing import Any

import azure.functions as func

import function_app
from jit.domain.model.people import Role
from local.host import functions

FUNCTIONS = {each.name: each for each in functions.index(function_app.app)}
ROUTES = {name: each for name, each in FUNCTIONS.items() if each.trigger.type == functions.HTTP}
SAFE = {"GET", "HEAD", "OPTIONS"}
CHANGING = sorted(
    name for name, each in ROUTES.items() if not SAFE.issuperset(each.trigger.fields["methods"])
)


def find_call(name: str) -> Callable[..., Any]:
    """Return the callable of the function *name*."""
    return FUNCTIONS[name].call


def make_principal(roles: Iterable[str] = tuple(Role), oid: str = "o") -> str:
    """Return the value of ``X-MS-CLIENT-PRINCIPAL`` for a person with *roles*."""
    claims = [{"typ": "oid", "val": oid}, *({"typ": "roles", "val": role} for role in roles)]
    return base64.b64encode(json.dumps({"claims": claims}).encode()).decode()


class Out:
    """An output binding that keeps what was set."""

    def __init__(self) -> None:
        self.value: object = None

    def set(self, value: object) -> None:
        self.value = value


def make_request(name: str, **changes: Any) -> func.HttpRequest:
    """Return a request for the route of the function *name*, of a person with every role."""
    fields = FUNCTIONS[name].trigger.fields
    route = fields["route"].replace("{id}", "x")
    how: dict[str, Any] = {
        "method": fields["methods"][0],
        "url": f"https://jit.example/{route}",
        "headers": {"X-MS-CLIENT-PRINCIPAL": make_principal()},
        "params": {},
        "route_params": {"id": "x"},
        "body": b"",
    }
    return func.HttpRequest(**(how | changes))


def call(name: str, req: func.HttpRequest) -> func.HttpResponse:
    """Call the function *name* as the worker does: every argument by its name."""
    function = FUNCTIONS[name]
    outputs = {binding.name: Out() for binding in function.outputs}
    answer: func.HttpResponse = function.call(**{function.trigger.name: req}, **outputs)
    return answer
