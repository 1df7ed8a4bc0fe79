"""The functions of the app by name, as the worker finds them, and calls of them."""

import base64
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

import azure.functions as func

import function_app
from jit.domain.model.people import Role
from jit.settings import Settings
from local.host.app import functions
from local.host.web import platform_auth

FUNCTIONS = {each.name: each for each in functions.index(function_app.app)}
ROUTES = sorted(name for name, each in FUNCTIONS.items() if each.trigger.type == functions.HTTP)
CHANGING = sorted(
    name
    for name in ROUTES
    if set(FUNCTIONS[name].trigger.fields["methods"]) - {"GET", "HEAD", "OPTIONS"}
)
TENANT = "7e4a4700-0000-4000-8000-000000000000"
CLIENT_ID = platform_auth.CLIENT_ID
CALLER_ID = "ca11e400-0000-4000-8000-000000000001"
PERSON = "a11ce000-0000-4000-8000-000000000001"
SETTINGS = Settings.from_env(
    {
        "AzureWebJobsStorage": "x",
        "JIT_PUBLIC_BASE_URL": "https://jit.example",
        "WEBSITE_HOSTNAME": "jit.example",
        "JIT_SUBSCRIPTIONS": "5c0ffee0-0000-4000-8000-000000000001",
        "WEBSITE_AUTH_ENABLED": "True",
        "JIT_APP_CLIENT_ID": CLIENT_ID,
        "JIT_TENANT_ID": TENANT,
    }
)


def find_call(name: str) -> Callable[..., Any]:
    """Return the callable of the function *name*."""
    return FUNCTIONS[name].call


def make_principal(roles: Iterable[str] = tuple(Role)) -> str:
    """Return the value of ``X-MS-CLIENT-PRINCIPAL`` for a person with *roles*."""
    own = [("oid", CALLER_ID), ("tid", TENANT), ("aud", CLIENT_ID)]
    pairs = [*own, *(("roles", role) for role in roles)]
    claims = [{"typ": kind, "val": value} for kind, value in pairs]
    document = {"auth_typ": "aad", "claims": claims}
    return base64.b64encode(json.dumps(document).encode()).decode()


def make_request(name: str, *, body: object = None, **changes: Any) -> func.HttpRequest:
    """Return a request for the function *name*, of a person with every role."""
    fields = FUNCTIONS[name].trigger.fields
    path = re.sub(r"\{\w+\}", "x", fields["route"])
    how: dict[str, Any] = {
        "method": min(fields["methods"]),
        "url": f"https://jit.example/{path}",
        "headers": {
            "X-MS-CLIENT-PRINCIPAL": make_principal(),
            "Content-Type": "application/json",
        },
        "params": {},
        "route_params": {"id": "x", "slug": "x", "oid": PERSON, "chain": "people"},
        "body": b"" if body is None else json.dumps(body).encode(),
    }
    return func.HttpRequest(**(how | changes))


class Out:
    """An output binding that keeps its value."""

    value: object = None

    def set(self, value: object) -> None:
        self.value = value


def call(name: str, req: func.HttpRequest) -> func.HttpResponse:
    """Call the function *name* as the worker does: every argument by its name."""
    return call_and_listen(name, req)[0]


def call_and_listen(name: str, req: func.HttpRequest) -> tuple[func.HttpResponse, object]:
    """Return the answer of *name*, and the messages that it sends; None if it sends none."""
    function, out = FUNCTIONS[name], Out()
    outputs = {binding.name: out for binding in function.outputs}
    answer: func.HttpResponse = function.call(**{function.trigger.name: req}, **outputs)
    return answer, out.value
