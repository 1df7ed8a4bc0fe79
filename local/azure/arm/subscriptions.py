"""Microsoft.Resources: the subscriptions that a caller can see."""

from __future__ import annotations

from local.azure.arm.routing import SUBSCRIPTION, Call, Route, answer_page
from local.azure.values.http import Json, Response, answer

_READ = "Microsoft.Resources/subscriptions/read"


def list_visible(call: Call) -> Response:
    """Answer with the subscriptions that the caller may read; others do not appear."""
    may = call.world.directory.may
    shown = [
        _show_subscription(call, each)
        for each in sorted(call.world.subscriptions.values(), key=lambda each: str(each["id"]))
        if may(call.principal, _READ, f"/subscriptions/{each['id']}")
    ]
    return answer_page(call, shown)


def get(call: Call) -> Response:
    """Answer with one subscription."""
    subscription = call.world.subscriptions[call.names["subscription"].lower()]
    return answer(200, _show_subscription(call, subscription))


def _show_subscription(call: Call, subscription: Json) -> Json:
    return {
        "id": f"/subscriptions/{subscription['id']}",
        "subscriptionId": subscription["id"],
        "tenantId": call.world.tenant,
        "displayName": subscription["name"],
        "state": "Enabled",
        "subscriptionPolicies": {"spendingLimit": "Off", "quotaId": "Sponsored_2016-01-01"},
        "authorizationSource": "RoleBased",
    }


ROUTES = (
    Route("GET", "/subscriptions", "", list_visible),
    Route("GET", SUBSCRIPTION, _READ, get),
)
