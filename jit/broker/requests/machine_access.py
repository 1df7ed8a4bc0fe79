"""The live grants on virtual machines, as a caller may see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from jit.broker.requests.last_look import add_last_look
from jit.domain.model.grant import Grant
from jit.domain.model.people import SEES_ALL, Person
from jit.domain.model.request import Request
from jit.domain.model.shown_access import ShownGrant
from jit.storage.subscription_rows import SubscriptionRow


def group_shown(
    grants: Iterable[Grant],
    requests: Mapping[str, Request],
    caller: Person,
    row: SubscriptionRow | None,
) -> dict[str, list[ShownGrant]]:
    """
    Return the live *grants* as *caller* may see them, by the key of their VM.

    Args:
        grants: The VMs of one subscription.
        requests: Its live requests by id.
        caller: May see the own requests, or all of them.
        row: The row of the subscription.
    """
    found: dict[str, list[ShownGrant]] = {}
    for grant in grants:
        if not grant.live:
            continue
        request = requests.get(grant.request_id)
        is_seen = request.is_visible_to(caller) if request is not None else may_see_all(caller)
        if is_seen or grant.may_have_path:
            shown = ShownGrant(
                grant=add_last_look(grant, row),
                requester=request.requester if request is not None else None,
                is_hidden=not is_seen,
            )
            found.setdefault(grant.vm_key, []).append(shown)
    return found


def may_see_all(caller: Person) -> bool:
    """Return True if *caller* may see everybody's requests."""
    return bool(SEES_ALL & caller.roles)
