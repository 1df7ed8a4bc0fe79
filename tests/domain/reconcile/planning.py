"""Plans for the tests of a comparison, and their short form."""

from jit.domain.model.machine import Via
from jit.domain.reconcile.plan import make_plan
from tests.builders.values import FIREWALL_ID, NOW

NOTHING: list[object] = []
BEHIND = {"via": Via.FIREWALL, "firewall_id": FIREWALL_ID}


def planned(observed, *grants, tombstones=(), remove_orphans=False, now=NOW):
    return make_plan(observed, grants, tombstones, now=now, remove_orphans=remove_orphans)


def short(items):
    return [(item.action.value, item.kind.value, item.rule, item.grant) for item in items]
