"""Routes: which handler answers a call, which permission it takes, at which scope."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from local.azure.arm.directory import Principal
from local.azure.arm.operations import Effects
from local.azure.values import ids
from local.azure.values.http import ArmError, Json, Request, Response, answer
from local.azure.world import World

_PARAMETER = re.compile(r"\{(\w+)(\.\.\.)?\}")
SUBSCRIPTION = "/subscriptions/{subscription}"
GROUP = SUBSCRIPTION + "/resourceGroups/{group}"


@dataclass(frozen=True, slots=True)
class Call:
    """
    A request that has found its route and may be answered.

    Attributes:
        world: Everything the simulator knows.
        request: As it came.
        names: The path's parameters, decoded.
        principal: The caller.
        effects: The effects of a fault on the slow part.
    """

    world: World
    request: Request
    names: dict[str, str]
    principal: Principal
    effects: Effects

    @property
    def api_version(self) -> str:
        """The api-version that the client speaks."""
        return self.request.query["api-version"]

    def id(self, type_: str, *parameters: str) -> str:
        """Return the id of a resource of *type_*, its names taken from path *parameters*."""
        names = [self.names[each] for each in parameters]
        return ids.build(self.names["subscription"], self.names["group"], type_, *names)

    def require(self, action: str, scope: str) -> None:
        """
        Have the caller's permission checked for something beside the call itself.

        Raises:
            ArmError: 403 in ARM's words.
        """
        if not self.world.directory.may(self.principal, action, scope):
            raise forbidden_error(self.principal, action, scope)

    def require_link(self, action: str, link: str, doing: str, scope: str) -> None:
        """
        Have the caller's permission checked on a resource that the body refers to.

        Raises:
            ArmError: 403 ``LinkedAuthorizationFailed``.
        """
        if self.world.directory.may(self.principal, action, link):
            return
        raise ArmError(
            403,
            "LinkedAuthorizationFailed",
            f"The client '{self.principal.address}' with object id '{self.principal.id}' has "
            f"permission to perform action '{doing}' on scope '{scope}'; however, it does not "
            f"have permission to perform action(s) '{action}' on the linked scope(s) '{link}' "
            "(respectively) or the linked scope(s) are invalid.",
        )


Handler = Callable[[Call], Response]


@dataclass(frozen=True)
class Route:
    """
    One operation of a provider.

    Attributes:
        method: HTTP method.
        template: Path with ``{names}``; ``{name...}`` takes several segments.
        action: The permission it takes.
        handler: Answers it.
    """

    method: str
    template: str
    action: str
    handler: Handler

    def matcher(self) -> re.Pattern[str]:
        """Return the pattern of the paths that this route answers; without case."""
        parts = _PARAMETER.sub(
            lambda name: f"(?P<{name[1]}>{'.+?' if name[2] else '[^/]+'})", self.template
        )
        return re.compile(parts + "/?", re.IGNORECASE)

    def scope(self, path: str) -> str:
        """
        Return the scope at which the permission is checked.

        That is the resource itself, or the owner of a collection or an action.
        """
        path = path.rstrip("/")
        if self.template.endswith("}"):
            return path
        owner = path.rsplit("/", 1)[0]
        return re.sub(r"/providers/[^/]+$", "", owner)


class Router:
    """All routes; finds the one for a request."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = [(route, route.matcher()) for route in routes]

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """
        Return the route for *path* with the path's parameters.

        Raises:
            ArmError: 404 if no provider knows the path, 405 if it has no such method.
        """
        known = False
        for route, pattern in self._routes:
            match = pattern.fullmatch(path)
            if match is not None and route.method == method:
                return route, {name: unquote(text) for name, text in match.groupdict().items()}
            known = known or match is not None
        raise _no_route_error(method, path, known=known)


def _no_route_error(method: str, path: str, *, known: bool) -> ArmError:
    if known:
        message = f"The requested resource does not support http method '{method}'."
        return ArmError(405, "MethodNotAllowed", message)
    namespace = re.search(r"/providers/([^/]+)/?([^/]*)", path, re.IGNORECASE)
    if namespace is None:
        return ArmError(404, "NotFound", f"The path '{path}' is not simulated.")
    return ArmError(
        404,
        "InvalidResourceType",
        f"The resource type '{namespace[2]}' could not be found in the namespace "
        f"'{namespace[1]}', or this operation of it is not simulated.",
    )


def forbidden_error(principal: Principal, action: str, scope: str) -> ArmError:
    """Return ARM's refusal of *action* at *scope*."""
    return ArmError(
        403,
        "AuthorizationFailed",
        f"The client '{principal.address}' with object id '{principal.id}' does not have "
        f"authorization to perform action '{action}' over scope '{scope}' or the scope is "
        "invalid. If access was recently granted, please refresh your credentials.",
    )


def not_found_error(resource_id: str) -> ArmError:
    """Return ARM's answer for a resource that is not there."""
    parts = ids.parse(resource_id)
    what = resource_id if parts is None else f"{parts.type}/{'/'.join(parts.names)}"
    group = "" if parts is None else parts.group
    return ArmError(
        404,
        "ResourceNotFound",
        f"The Resource '{what}' under resource group '{group}' was not found. For more details "
        "please go to https://aka.ms/ARMResourceNotFoundFix",
        headers={"x-ms-failure-cause": "gateway"},
    )


def answer_page(call: Call, items: list[Json]) -> Response:
    """
    Answer with one page of *items*, which are in the order of their ids.

    The absolute ``nextLink`` names the last id that was shown, so that items which
    come or go between two pages shift nothing.
    """
    size = call.world.options.page_size
    after = _read_token(call.request.query.get("$skiptoken"))
    rest = [item for item in items if ids.key(item["id"]) > after]
    document: Json = {"value": rest[:size]}
    if len(rest) > size:
        token = _make_token(ids.key(rest[size - 1]["id"]))
        query = {**call.request.query, "$skiptoken": token}
        joined = "&".join(f"{quote(name, safe='$-')}={quote(text)}" for name, text in query.items())
        document["nextLink"] = f"{call.request.base}{call.request.path}?{joined}"
    return answer(200, document)


def _make_token(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def _read_token(token: str | None) -> str:
    try:
        if token is None:
            return ""
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError as error:
        raise ArmError(400, "InvalidSkipToken", "The $skiptoken is not valid.") from error
