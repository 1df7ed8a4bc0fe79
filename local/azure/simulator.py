"""The simulated Azure as a function: a request in, an answer out, no socket, no waiting."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import chain

from local.azure.arm import authorization, compute, subscriptions
from local.azure.arm.directory import Principal
from local.azure.arm.operations import Effects
from local.azure.arm.routing import Call, Handler, Router, forbidden_error
from local.azure.arm.versions import check_version
from local.azure.control import endpoints
from local.azure.control.faults import Fault, Subject
from local.azure.control.journal import Entry
from local.azure.defender import jit_policies, pricings
from local.azure.landscape.file import Landscape
from local.azure.network import admin_rules, firewalls, reads, security_groups
from local.azure.timeline import Timeline
from local.azure.values import ids
from local.azure.values.http import ArmError, Dropped, Request, Response
from local.azure.world import World, create_world

_PROVIDERS = (
    subscriptions,
    authorization,
    compute,
    reads,
    security_groups,
    firewalls,
    admin_rules,
    pricings,
    jit_policies,
)
Work = Callable[[Effects], Response]
_TOKEN_PATH = "/msi/token"  # noqa: S105 - the place of tokens, not a token


class Azure:
    """
    The simulator, safe to call from many threads.

    Args:
        landscape: The resources at first, and again after a reset.
        timeline: Its clock.
        identity_header: The secret of the identity endpoint; None accepts any.
    """

    def __init__(
        self, landscape: Landscape, timeline: Timeline, identity_header: str | None = None
    ) -> None:
        self._landscape = landscape
        self._timeline = timeline
        self._identity_header = identity_header
        self._lock = threading.RLock()
        self._router = Router(chain.from_iterable(each.ROUTES for each in _PROVIDERS))
        self._world = create_world(landscape, timeline, identity_header)

    @property
    def latency_seconds(self) -> float:
        """How long a server in front should wait before each answer of ARM's."""
        return self._world.latency_seconds

    @property
    def world(self) -> World:
        """The present state; tests look at it."""
        return self._world

    def reset(self) -> None:
        """Restore the landscape; the clock ticks in real time again."""
        with self._lock:
            self._timeline.reset()
            self._world = create_world(self._landscape, self._timeline, self._identity_header)

    def handle(self, request: Request) -> Response:
        """
        Answer *request*, after running the events that are due.

        Raises:
            Dropped: A fault wants the connection to break without an answer.
        """
        with self._lock:
            self._timeline.settle()
            if request.path.startswith("/_sim"):
                return endpoints.handle(self, request)
            return self._answer_and_log(request)

    def _answer_and_log(self, request: Request) -> Response:
        """Answer a call of Azure's own, noting it in the log."""
        exchange = _Exchange(self._world, self._router, request)
        response: Response | None = None
        try:
            response = exchange.run()
        finally:
            self._world.journal.add(
                Entry(
                    at=self._timeline.now,
                    request=request,
                    response=exchange.lost if response is None else response,
                    principal=None if exchange.principal is None else exchange.principal.name,
                    dropped=exchange.dropped,
                )
            )
        return response


class _Exchange:
    """One call on its way through the checks that every call of ARM's passes."""

    def __init__(self, world: World, router: Router, request: Request) -> None:
        self._world = world
        self._router = router
        self._request = request
        self.principal: Principal | None = None
        self.dropped: str | None = None
        self.lost: Response | None = None

    def run(self) -> Response:
        """Return the answer, or raise ``Dropped``."""
        if self._request.path != _TOKEN_PATH:
            return self._run_arm()
        return self._run_with_faults(
            lambda _: self._world.tokens.answer_managed_identity(self._request)
        )

    def _run_arm(self) -> Response:
        try:
            principal = self._world.tokens.find_holder(self._request)
        except ArmError as error:
            return error.response().with_headers(self._make_headers())
        self.principal = principal
        response = self._run_with_faults(lambda effects: self._answer(principal, effects))
        return response.with_headers(self._make_headers())

    def _run_with_faults(self, work: Work) -> Response:
        name = "" if self.principal is None else self.principal.name
        body = self._request.body.decode("utf-8", "replace")
        path = self._request.decoded_path
        fault = self._world.faults.strike(Subject(self._request.method, path, body, name))
        if fault is None:
            return work(Effects())
        return self._apply_fault(fault, work)

    def _apply_fault(self, fault: Fault, work: Work) -> Response:
        if fault.document.get("drop") == "before":
            self.dropped = "before"
            raise Dropped("before")
        instead = fault.response()
        response = fault.shorten(work(fault.effects()) if instead is None else instead)
        if fault.document.get("drop") == "after":
            self.dropped, self.lost = "after", response
            raise Dropped("after")
        return response

    def _answer(self, principal: Principal, effects: Effects) -> Response:
        try:
            return self._check_and_handle(principal, effects)
        except ArmError as error:
            return error.response()

    def _check_and_handle(self, principal: Principal, effects: Effects) -> Response:
        request, world = self._request, self._world
        if "api-version" not in request.query:
            raise ArmError(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            )
        route, names = self._router.find(request.method, request.path)
        check_version(request.decoded_path, request.query["api-version"], world.api_versions)
        quota = _take_quota(world, principal, names, request.method)
        _check_subscription(world, names)
        scope = route.scope(request.decoded_path)
        if route.action and not world.directory.may(principal, route.action, scope):
            raise forbidden_error(principal, route.action, scope)
        _check_group(world, names)
        return _call_handler(Call(world, request, names, principal, effects), route.handler, quota)

    def _make_headers(self) -> dict[str, str]:
        given = self._request.headers.get("x-ms-correlation-request-id")
        mine, now = self._world.guids.new(), self._world.timeline.now
        return {
            "Cache-Control": "no-cache",
            "x-ms-request-id": mine,
            "x-ms-correlation-request-id": given or mine,
            "x-ms-routing-request-id": f"WESTEUROPE:{now:%Y%m%dT%H%M%SZ}:{mine}",
        }


def _take_quota(
    world: World, principal: Principal, names: dict[str, str], method: str
) -> dict[str, str]:
    if not world.options.throttling:
        return {}
    return world.throttle.take(principal.id, names.get("subscription", "tenant"), method)


def _call_handler(call: Call, handler: Handler, quota: dict[str, str]) -> Response:
    """Answer by *handler*; an error has the headers of the quota as well."""
    try:
        return handler(call).with_headers(quota)
    except ArmError as error:
        return error.response().with_headers(quota)


def _check_subscription(world: World, names: dict[str, str]) -> None:
    subscription = names.get("subscription")
    if subscription is not None and subscription.lower() not in world.subscriptions:
        message = f"The subscription '{subscription}' could not be found."
        raise ArmError(404, "SubscriptionNotFound", message)


def _check_group(world: World, names: dict[str, str]) -> None:
    group = names.get("group")
    if group is None:
        return
    if (names["subscription"].lower(), ids.lower(group)) not in world.groups:
        message = f"Resource group '{group}' could not be found."
        raise ArmError(404, "ResourceGroupNotFound", message)
