"""Microsoft.Network: what is only read, with the polling of what is written."""

from __future__ import annotations

from local.azure.arm.operations import Operation
from local.azure.arm.routing import GROUP, SUBSCRIPTION, Call, Handler, Route, not_found, page
from local.azure.values import ids
from local.azure.values.http import ArmError, Json, Response, answer

_LOCATION = f"{SUBSCRIPTION}/providers/Microsoft.Network/locations/{{location}}"


def lister(type_: str) -> Handler:
    """Return the handler of the lists of *type_*, by subscription or group."""

    def list_all(call: Call) -> Response:
        group = call.names.get("group")
        return page(call, call.world.store.of_type(type_, call.names["subscription"], group))

    return list_all


def getter(type_: str) -> Handler:
    """Return the handler that gets one resource of *type_*."""

    def get(call: Call) -> Response:
        return shown(200, existing(call, type_))

    return get


def existing(call: Call, type_: str) -> Json:
    """
    Return the resource that the path names.

    Raises:
        ArmError: 404.
    """
    wanted = call.id(type_, "name")
    resource = call.world.store.get(wanted)
    if resource is None:
        raise not_found(wanted)
    return resource


def shown(status: int, resource: Json, headers: dict[str, str] | None = None) -> Response:
    """Answer with *resource*, its etag also as a header."""
    tag = {"ETag": resource["etag"]} if "etag" in resource else {}
    return answer(status, resource, {**tag, **(headers or {})})


def reading(type_: str) -> tuple[Route, ...]:
    """Return the routes that read resources of *type_*: two lists, one get."""
    path, action = f"/providers/{type_}", f"{type_}/read"
    return (
        Route("GET", SUBSCRIPTION + path, action, lister(type_)),
        Route("GET", GROUP + path, action, lister(type_)),
        Route("GET", f"{GROUP}{path}/{{name}}", action, getter(type_)),
    )


def list_subnets(call: Call) -> Response:
    """Answer with the subnets of a virtual network."""
    return page(call, existing(call, ids.NETWORKS)["properties"]["subnets"])


def get_subnet(call: Call) -> Response:
    """Answer with one subnet."""
    wanted = call.names["subnet"].lower()
    for subnet in existing(call, ids.NETWORKS)["properties"]["subnets"]:
        if subnet["name"].lower() == wanted:
            return shown(200, subnet)
    raise not_found(call.id(f"{ids.NETWORKS}/subnets", "name", "subnet"))


def poll(call: Call) -> Response:
    """Answer how far an operation has come."""
    return answer(200, _operation(call).document())


def result(call: Call) -> Response:
    """Answer 202 while an operation runs, then 204: what a delete's ``Location`` leads to."""
    running = _operation(call).status == "InProgress"
    here = {"Location": call.request.url} if running else {}
    return answer(202 if running else 204, headers=here)


def _operation(call: Call) -> Operation:
    operation = call.world.operations.find(call.names["operation"])
    if operation is None:
        message = f"Operation {call.names['operation']} not found."
        raise ArmError(404, "OperationNotFound", message)
    return operation


ROUTES = (
    *reading(ids.INTERFACES),
    *reading(ids.ADDRESSES),
    *reading(ids.NETWORKS),
    *reading(ids.BASTIONS),
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
        result,
    ),
)
