"""Microsoft.Network: network security groups, each rule also by an endpoint of its own."""

from __future__ import annotations

from local.azure.arm.operations import (
    Operation,
    check_precondition,
    find_result_url,
    list_operation_headers,
)
from local.azure.arm.routing import GROUP, Call, Route, answer_page
from local.azure.landscape.arm_forms import group_properties
from local.azure.network import body_shapes, security_rules
from local.azure.network.reads import answer_resource, find_existing, list_read_routes
from local.azure.values import ids
from local.azure.values.http import ArmError, Json, Response, answer
from local.azure.world import World

_TYPE = ids.SECURITY_GROUPS
_RULES = f"{_TYPE}/securityRules"
_GROUP_PATH = f"{GROUP}/providers/{_TYPE}/{{name}}"
_RULE_PATH = f"{_GROUP_PATH}/securityRules/{{rule}}"


def list_rules(call: Call) -> Response:
    """Answer with the rules of a group, without Azure's default ones."""
    return answer_page(call, find_existing(call, _TYPE)["properties"]["securityRules"])


def get_rule(call: Call) -> Response:
    """Answer with one rule."""
    rule = _find_rule(find_existing(call, _TYPE), call.names["rule"])
    if rule is None:
        wanted = call.id(_RULES, "name", "rule")
        raise ArmError(404, "NotFound", f"Resource {wanted} not found.", details=[])
    return answer_resource(call, 200, rule)


def put_rule(call: Call) -> Response:
    """Write one rule: 201 for a new one, else 200; effective when the operation has ended."""
    group = find_existing(call, _TYPE)
    old = _find_rule(group, call.names["rule"])
    rule = security_rules.read(call.names["rule"], call.request.json_object().get("properties"))
    _require_free(call.world, group)
    _check_preconditions(call, old)
    rules = [each for each in group["properties"]["securityRules"] if each is not old]
    security_rules.check_together([*rules, rule])
    group["properties"]["securityRules"] = [*rules, rule]
    operation = _begin(call, group, "PutSecurityRuleOperation")
    return answer_resource(
        call, 201 if old is None else 200, rule, _operation_headers(call, operation, group)
    )


def delete_rule(call: Call) -> Response:
    """Delete one rule: it shows ``Deleting``, goes when the operation has ended."""
    group = find_existing(call, _TYPE)
    rule = _find_rule(group, call.names["rule"])
    if rule is None:
        return answer(204)
    _require_free(call.world, group)
    _check_preconditions(call, rule)
    rule["properties"]["provisioningState"] = "Deleting"
    operation = _begin(call, group, "DeleteSecurityRuleOperation", commit_delete=True)
    return _answer_deleting(call, operation, group)


def put_group(call: Call) -> Response:
    """Write a whole group: rules that the body does not name are gone."""
    wanted = call.id(_TYPE, "name")
    old = call.world.store.get(wanted)
    body = call.request.json_object()
    body_shapes.check(body, body_shapes.SECURITY_GROUP)
    security_rules.check_name(call.names["name"])
    sent = (body.get("properties") or {}).get("securityRules") or []
    rules = [security_rules.read(each["name"], each["properties"]) for each in sent]
    security_rules.check_together(rules)
    if old is not None:
        _require_free(call.world, old)
    _check_preconditions(call, old)
    group = _build_group(call, wanted, body, rules, old)
    call.world.store.add(group)
    operation = _begin(call, group, "PutNetworkSecurityGroupOperation")
    return answer_resource(
        call, 201 if old is None else 200, group, _operation_headers(call, operation, group)
    )


def delete_group(call: Call) -> Response:
    """Delete a group that nothing uses."""
    group = call.world.store.get(call.id(_TYPE, "name"))
    if group is None:
        return answer(204)
    _refuse_in_use(group)
    _require_free(call.world, group)
    _check_preconditions(call, group)
    operation = call.world.operations.begin(
        group,
        "DeleteNetworkSecurityGroupOperation",
        call.world.options.nsg_seconds,
        effects=call.effects,
        commit=lambda: call.world.store.remove(group["id"]),
    )
    return _answer_deleting(call, operation, group)


def _build_group(call: Call, wanted: str, body: Json, rules: list[Json], old: Json | None) -> Json:
    if not body.get("location"):
        message = "The location property is required for this definition."
        raise ArmError(400, "LocationRequired", message)
    kept = {} if old is None else old["properties"]
    users = {name: kept[name] for name in ("networkInterfaces", "subnets") if name in kept}
    return {
        "name": call.names["name"] if old is None else old["name"],
        "id": wanted if old is None else old["id"],
        "type": _TYPE,
        "location": body["location"],
        **({"tags": body["tags"]} if "tags" in body else {}),
        "properties": {**group_properties(rules), **users},
    }


def _refuse_in_use(group: Json) -> None:
    users = [
        each["id"]
        for name in ("networkInterfaces", "subnets")
        for each in group["properties"].get(name, ())
    ]
    if users:
        raise ArmError(
            400,
            "InUseNetworkSecurityGroupCannotBeDeleted",
            f"Network security group {group['id']} cannot be deleted because it is in use by the "
            f"following resources: {', '.join(users)}.",
            details=[],
        )


def _find_rule(group: Json, name: str) -> Json | None:
    rules = group["properties"]["securityRules"]
    return next((each for each in rules if each["name"].lower() == name.lower()), None)


def _check_preconditions(call: Call, present: Json | None) -> None:
    check_precondition(present, call.request.headers.get("if-match"))
    if present is not None and call.request.headers.get("if-none-match") == "*":
        check_precondition(present, "*none*")


def _require_free(world: World, group: Json) -> None:
    """Have a group to write to: refuse, or cancel the older write, while it is updating."""
    running = world.operations.find_running(group["id"])
    if running is None:
        return
    if world.options.newer_cancels_older:
        world.operations.cancel(running)
        return
    seconds = world.options.busy_seconds
    raise ArmError(
        429,
        "RetryableError",
        "A retryable error occurred.",
        details=[
            {
                "code": "RetryableErrorDueToAnotherOperation",
                "message": f"Operation {running.name} ({running.id}) is updating resource "
                f"{group['id']}. The call can be retried in {seconds} seconds.",
            }
        ],
        headers={"Retry-After": str(seconds)},
    )


def _begin(call: Call, group: Json, name: str, *, commit_delete: bool = False) -> Operation:
    def commit() -> None:
        rules = group["properties"]["securityRules"]
        going = [each for each in rules if each["properties"]["provisioningState"] == "Deleting"]
        group["properties"]["securityRules"] = [each for each in rules if each not in going]

    operations = call.world.operations
    seconds = call.world.options.nsg_seconds
    if commit_delete:
        return operations.begin(group, name, seconds, effects=call.effects, commit=commit)
    return operations.begin(group, name, seconds, effects=call.effects)


def _operation_headers(call: Call, operation: Operation, group: Json) -> dict[str, str]:
    return list_operation_headers(call.request.base, operation, group["location"], call.api_version)


def _answer_deleting(call: Call, operation: Operation, group: Json) -> Response:
    where = (call.request.base, operation, group["location"], call.api_version)
    return answer(
        202, headers={**list_operation_headers(*where), "Location": find_result_url(*where)}
    )


ROUTES = (
    *list_read_routes(_TYPE),
    Route("PUT", _GROUP_PATH, f"{_TYPE}/write", put_group),
    Route("DELETE", _GROUP_PATH, f"{_TYPE}/delete", delete_group),
    Route("GET", f"{_GROUP_PATH}/securityRules", f"{_RULES}/read", list_rules),
    Route("GET", _RULE_PATH, f"{_RULES}/read", get_rule),
    Route("PUT", _RULE_PATH, f"{_RULES}/write", put_rule),
    Route("DELETE", _RULE_PATH, f"{_RULES}/delete", delete_rule),
)
