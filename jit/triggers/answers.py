"""
The decorators of HTTP functions: the checks before a function, the headers after it.

A decorated function takes its bindings, and the keyword ``caller`` if it needs the person who
calls. The worker sees the bindings alone.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

import azure.functions as func

from jit import wiring
from jit.api.answer import add_headers
from jit.api.body import check_media_type
from jit.api.caller import read_caller
from jit.api.compression import pack_json
from jit.api.cross_origin import SAFE_METHODS, check_origin
from jit.api.problem import answer_or_problem
from jit.api.query import refuse_unknown
from jit.api.raw_path import check_path
from jit.domain.model.people import Person, Role

_CALLER = "caller"

Function = Callable[..., func.HttpResponse]
Check = Callable[[func.HttpRequest], Mapping[str, Person]]


def answers(
    *roles: Role, query: Sequence[str] | None = (), besides: str = ""
) -> Callable[[Function], Function]:
    """
    Return a decorator for a function that answers callers with one of *roles*.

    Before the function runs, it refuses, in this order: a path that is not plain, a change from
    another origin, a caller without such a role, a caller who calls too often, unknown query
    parameters, a body that is not called JSON. Each refusal and each error of the broker becomes
    a problem.

    Args:
        roles: At least one.
        query: The query parameters of the function; None if it reads the query itself and refuses
            unknown parameters together with faulty ones.
        besides: A right that a role alone does not give; the refusal says so.

    Raises:
        TypeError: There is no role; an empty list would let every signed-in caller in.
    """
    if not roles:
        raise TypeError("name the roles that the function answers")

    def check(req: func.HttpRequest) -> Mapping[str, Person]:
        caller = _admit_caller(req, *roles, besides=besides)
        if query is not None:
            refuse_unknown(req, *query)
        check_media_type(req)
        return {_CALLER: caller}

    return lambda function: _wrap(function, check)


def answers_signed_in(function: Function) -> Function:
    """Make *function* answer every caller who is signed in, also one without any role."""

    def check(req: func.HttpRequest) -> Mapping[str, Person]:
        caller = _admit_caller(req)
        refuse_unknown(req)
        return {_CALLER: caller}

    return _wrap(function, check)


def answers_anybody(function: Function) -> Function:
    """
    Make *function* answer anybody; it has no query parameters.

    Use it for paths that App Service does not authenticate: a principal there comes from the
    client, and nothing here reads it.
    """

    def check(req: func.HttpRequest) -> Mapping[str, Person]:
        refuse_unknown(req)
        return {}

    return _wrap(function, check)


def _admit_caller(req: func.HttpRequest, *roles: Role, besides: str = "") -> Person:
    """Return the caller, whose call is counted here: every route with a principal comes by."""
    caller = read_caller(req, wiring.settings(), *roles, besides=besides)
    is_change = req.method.upper() not in SAFE_METHODS
    wiring.call_counts().count(caller.id, is_change=is_change, now=wiring.clock())
    return caller


def _wrap(function: Function, check: Check) -> Function:
    signature = inspect.signature(function)

    @wraps(function)
    def answer_request(**bindings: Any) -> func.HttpResponse:
        req, settings = bindings["req"], wiring.settings()

        def act() -> func.HttpResponse:
            check_path(req)
            check_origin(req, settings.public_base_url)
            found = check(req).items()
            known = {name: value for name, value in found if name in signature.parameters}
            return function(**bindings, **known)

        answer = pack_json(answer_or_problem(req, settings, act), req)
        return add_headers(answer, wiring.clock())

    _hide_caller(answer_request, signature)
    return answer_request


def _hide_caller(function: Function, signature: inspect.Signature) -> None:
    """Leave the bindings alone in the signature of *function*: the worker refuses other names."""
    bindings = [each for name, each in signature.parameters.items() if name != _CALLER]
    hints = {name: hint for name, hint in function.__annotations__.items() if name != _CALLER}
    vars(function)["__signature__"] = signature.replace(parameters=bindings)
    function.__annotations__ = hints
