"""Microsoft.Network: resources that are only read, and the polling of operations."""

from __future__ import annotations

from local.azure.arm.operations import Operation
from local.azure.arm.routing import (
    GROUP,
    SUBSCRIPTION,
    Call,
    Handler,
    Route,
    answer_page,
    not_found_error,
)
from local.azure.arm.versions import show_in_version
from local.azure.values import ids
from local.azure.values.http import ArmError, Json, Response, answer

_LOCATION = f"{SUBSCRIPTION}/providers/Microsoft.Network/locations/{{location}}"


def make_lister(type_: str) -> Handler:
    """Return the handler of the lists of *type_*, by subscription or group."""

    def list_all(call: Call) -> Response:
        group = call.names.get("group")
        found = call.world.store.list_of_type(type_, call.names["subscription"], group)
        return answer_page(call, [show_in_version(each, call.api_version) for each in found])

    return list_all


def make_getter(type_: str) -> Handler:
    """Return the handler that gets one resource of *type_*."""

    def get(call: Call) -> Response:
        return answer_resource(call, 200, find_existing(call, type_))

    return get


def find_existing(call: Call, type_: str) -> Json:
    """
    Return the resource that the path names.

    Raises:
        ArmError: 404.
    """
    wanted = call.id(type_, "name")
    resource = call.world.store.get(wanted)
    if resource is None:
        raise not_found_error(wanted)
    return resource


def answer_resource(
    call: Call, status: int, resource: Json, headers: dict[str, str] | None = None
) -> Response:
    """Answer with *resource* as the call's version shows it, its etag also as a header."""
    tag = {"ETag": resource["etag"]} if "etag" in resource else {}
    shown = show_in_version(resource, call.api_version)
    return answer(status, shown, {**tag, **(headers or {})})


def list_read_routes(type_: str) -> tuple[Route, ...]:
    """Return the routes that read resources of *type_*: two lists, one get."""
    path, action = f"/providers/{type_}", f"{type_}/read"
    return (
        Route("GET", SUBSCRIPTION + path, action, make_lister(type_)),
        Route("GET", GROUP + path, action, make_lister(type_)),
        Route("GET", f"{GROUP}{path}/{{name}}", action, make_getter(type_)),
    )


def list_subnets(call: Call) -> Response:
    """Answer with the subnets of a virtual network."""
    return answer_page(call, find_existing(call, ids.NETWORKS)["properties"]["subnets"])


def get_subnet(call: Call) -> Response:
    """Answer with one subnet."""
    wanted = call.names["subnet"].lower()
    for subnet in find_existing(call, ids.NETWORKS)["properties"]["subnets"]:
        if subnet["name"].lower() == wanted:
            return answer_resource(call, 200, subnet)
    raise not_found_error(call.id(f"{ids.NETWORKS}/subnets", "name", "subnet"))


def poll(call: Call) -> Response:
    """Answer how far an operation has come."""
    return answer(200, _find_operation(call).document())


def answer_result(call: Call) -> Response:
    """Answer 202 while an operation runs, then 204; the ``Location`` of a delete leads here."""
    running = _find_operation(call).status == "InProgress"
    here = {"Location": call.request.url} if running else {}
    return answer(202 if running else 204, headers=here)


def _find_operation(call: Call) -> Operation:
    operation = call.world.operations.find(call.names["operation"])
    if operation is None:
        message = f"Operation {call.names['operation']} not found."
        raise ArmError(404, "OperationNotFound", message)
    return operation


ROUTES = (
    *list_read_routes(ids.INTERFACES),
    *list_read_routes(ids.ADDRESSES),
    *list_read_routes(ids.NETWORKS),
    *list_read_routes(ids.BASTIONS),
    *list_read_routes(ids.ROUTE_TABLES),
    Route(
        "GET",
        f"{GROUP}/providers/{ids.NETWORKS}/{{name}}/subnets",
        f"{ids.NETWORKS}/subnets/read",
        list_subnets,
    ),
    Route(
        "GET",
        f"{GROUP}/providers/{ids.NETWORKS}/{{name}}/subnets/{{subnet}}",
        f"{ids.NETWORKS}/subnets/read",
        get_subnet,
    ),
    Route(
        "GET",
        f"{_LOCATION}/operations/{{operation}}",
        "Microsoft.Network/locations/operations/read",
        poll,
    ),
    Route(
        "GET",
        f"{_LOCATION}/operationResults/{{operation}}",
        "Microsoft.Network/locations/operationResults/read",
        answer_result,
    ),
)
