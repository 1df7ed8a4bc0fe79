"""The control plane ``/_sim``: a test controls time, faults and state with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from local.azure.control import state
from local.azure.network import reachability
from local.azure.network.packets import Flow
from local.azure.values.http import ArmError, Json, Request, Response, answer
from local.azure.values.times import format_rfc3339, parse_duration
from local.azure.world import World


class Simulator(Protocol):
    """The simulator, as the control plane needs it: ``local.azure.simulator.Azure`` is one."""

    @property
    def world(self) -> World:
        """The present state."""

    @property
    def latency_seconds(self) -> float:
        """Seconds that a server waits before each answer of ARM."""

    def reset(self) -> None:
        """Restore the landscape."""


Verb = Callable[[Simulator, Request], Response]


def handle(azure: Simulator, request: Request) -> Response:
    """Answer a call to the control plane; nothing here needs a token."""
    name = request.path.removeprefix("/_sim").strip("/")
    verbs = _ROUTES.get(name)
    if verbs is None:
        return _refusal(404, f"there is no /_sim/{name}")
    verb = verbs.get(request.method)
    if verb is None:
        return _refusal(405, f"/_sim/{name} knows {', '.join(verbs)}")
    try:
        return verb(azure, request)
    except ArmError as error:
        return error.response()
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return _refusal(400, str(error))


def _get_clock(azure: Simulator, _: Request) -> Response:
    timeline = azure.world.timeline
    return answer(200, {"now": format_rfc3339(timeline.now), "frozen": timeline.frozen})


def _post_clock(azure: Simulator, request: Request) -> Response:
    body = request.json_object()
    _check_names(body, {"freeze", "advance"})
    timeline = azure.world.timeline
    span = parse_duration(body["advance"]) if "advance" in body else None
    if "freeze" in body:
        if not isinstance(body["freeze"], bool):
            raise ValueError("freeze is true or false")
        (timeline.freeze if body["freeze"] else timeline.release)()
    if span is not None:
        timeline.advance(span)
    return _get_clock(azure, request)


def _get_faults(azure: Simulator, _: Request) -> Response:
    return answer(200, {"faults": azure.world.faults.left()})


def _post_faults(azure: Simulator, request: Request) -> Response:
    body = request.json_object()
    _check_names(body, {"faults"})
    azure.world.faults.plan(body.get("faults"))
    return _get_faults(azure, request)


def _delete_faults(azure: Simulator, _: Request) -> Response:
    azure.world.faults.clear()
    return answer(204)


def _get_log(azure: Simulator, _: Request) -> Response:
    return answer(200, azure.world.journal.documents())


def _delete_log(azure: Simulator, _: Request) -> Response:
    azure.world.journal.clear()
    return answer(204)


def _get_state(azure: Simulator, _: Request) -> Response:
    return answer(200, state.show_state(azure.world))


def _put_state(azure: Simulator, request: Request) -> Response:
    state.patch_state(azure.world, request.json_object())
    return _get_state(azure, request)


def _post_reset(azure: Simulator, _: Request) -> Response:
    azure.reset()
    return answer(204)


def _post_token(azure: Simulator, request: Request) -> Response:
    body = request.json_object()
    _check_names(body, {"as", "audience"})
    principal = azure.world.directory.principals.get(str(body.get("as")))
    if principal is None:
        raise ValueError(f"nobody is called {body.get('as')!r}")
    audience = str(body.get("audience", "https://management.azure.com"))
    token, expires = azure.world.tokens.issue(principal, audience)
    return answer(200, {"access_token": token, "expires_on": str(expires), "id": principal.id})


def _get_latency(azure: Simulator, _: Request) -> Response:
    return answer(200, {"seconds": azure.latency_seconds})


def _put_latency(azure: Simulator, request: Request) -> Response:
    body = request.json_object()
    _check_names(body, {"seconds"})
    seconds = body.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= 60:  # noqa: PLR2004
        raise ValueError("seconds is a number from 0 to 60")
    azure.world.latency_seconds = float(seconds)
    return _get_latency(azure, request)


def _get_reachable(azure: Simulator, request: Request) -> Response:
    query = request.query
    flow = Flow(query["source"], query["vm"], int(query["port"]), query.get("protocol", "Tcp"))
    return answer(200, reachability.evaluate_flow(azure.world.store, flow, azure.world.admin_rules))


def _check_names(body: Json, known: set[str]) -> None:
    unknown = body.keys() - known
    if unknown or not body:
        raise ValueError(f"known are {', '.join(sorted(known))}; unknown: {sorted(unknown)}")


def _refusal(status: int, message: str) -> Response:
    return answer(status, {"error": {"code": "SimulatorRefused", "message": message}})


_ROUTES: dict[str, dict[str, Verb]] = {
    "clock": {"GET": _get_clock, "POST": _post_clock},
    "faults": {"GET": _get_faults, "POST": _post_faults, "DELETE": _delete_faults},
    "latency": {"GET": _get_latency, "PUT": _put_latency},
    "log": {"GET": _get_log, "DELETE": _delete_log},
    "reachable": {"GET": _get_reachable},
    "reset": {"POST": _post_reset},
    "state": {"GET": _get_state, "PUT": _put_state},
    "token": {"POST": _post_token},
}
