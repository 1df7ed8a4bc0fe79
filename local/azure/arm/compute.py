"""Microsoft.Compute: virtual machines, to read."""

from __future__ import annotations

from local.azure.arm.routing import GROUP, SUBSCRIPTION, Call, Route, answer_page, not_found_error
from local.azure.values import ids
from local.azure.values.http import Json, Response, answer

_READ = f"{ids.MACHINES}/read"
_PATH = f"/providers/{ids.MACHINES}"


def list_all(call: Call) -> Response:
    """Answer with the VMs of the subscription or group; their ids shout the group's name."""
    found = call.world.store.list_of_type(
        ids.MACHINES, call.names["subscription"], call.names.get("group")
    )
    with_view = call.request.query.get("statusonly") == "true"
    return answer_page(
        call, [_show_machine(each, ids.upper_case_group(each["id"]), with_view) for each in found]
    )


def get(call: Call) -> Response:
    """Answer with one VM; with its power state where ``$expand=instanceView`` asks for it."""
    machine = _find_machine(call)
    with_view = call.request.query.get("$expand", "").lower() == "instanceview"
    return answer(200, _show_machine(machine, machine["id"], with_view))


def instance_view(call: Call) -> Response:
    """Answer with the VM's power state alone."""
    return answer(200, _find_machine(call)["properties"].get("instanceView", {}))


def _find_machine(call: Call) -> Json:
    wanted = call.id(ids.MACHINES, "machine")
    machine = call.world.store.get(wanted)
    if machine is None:
        raise not_found_error(wanted)
    return machine


def _show_machine(machine: Json, shown_id: str, with_view: bool) -> Json:
    hidden = () if with_view else ("instanceView",)
    properties = {k: v for k, v in machine["properties"].items() if k not in hidden}
    return {**machine, "id": shown_id, "properties": properties}


ROUTES = (
    Route("GET", SUBSCRIPTION + _PATH, _READ, list_all),
    Route("GET", GROUP + _PATH, _READ, list_all),
    Route("GET", f"{GROUP}{_PATH}/{{machine}}", _READ, get),
    Route(
        "GET",
        f"{GROUP}{_PATH}/{{machine}}/instanceView",
        f"{ids.MACHINES}/instanceView/read",
        instance_view,
    ),
)
