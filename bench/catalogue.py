"""Which benchmarks there are: by the names of their figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bench.benchmarks import (
    alike_subscriptions,
    cold_start,
    crowd,
    fifty_vms,
    firewall_burst,
    firewall_turns,
    list_pages,
    load,
    one_port_crowd,
    reconcile_run,
    requester_rights,
    warm_accept,
)
from bench.benchmarks.trail import audit_flood, audit_pages, audit_verify
from bench.measures.figures import Figure

Benchmark = Callable[[], Iterator[Figure]]

BENCHMARKS: dict[str, Benchmark] = {
    "cold_start_cpu_ratio": cold_start.cold_start_cpu_ratio,
    "cold_first_accept_ratio": cold_start.cold_first_accept_ratio,
    "rbac_arm_calls_per_request": requester_rights.rbac_arm_calls_per_request,
    "rbac_evaluations_per_second": requester_rights.rbac_evaluations_per_second,
    "accept_cpu_ratio": warm_accept.accept_cpu_ratio,
    "accept_per_second": load.accept_per_second,
    "initiate_calls_for_burst": load.initiate_calls_for_burst,
    "firewall_updates_for_burst": firewall_burst.firewall_updates_for_burst,
    "nsg_writes_for_crowd": one_port_crowd.nsg_writes_for_crowd,
    "open_50_vms_arm_rounds": fifty_vms.open_50_vms_arm_rounds,
    "open_50_vms_ratio": fifty_vms.open_50_vms_ratio,
    "reconcile_arm_calls": reconcile_run.reconcile,
    "reconcile_seconds": reconcile_run.reconcile,
    "firewall_updates_until_closed": firewall_turns.firewall_updates_until_closed,
    "list_page_queries": list_pages.list_page_queries,
    "audit_drain_ratio": audit_flood.audit_flood,
    "audit_wait_seconds": audit_flood.audit_flood,
    "audit_verify_ratio": audit_verify.audit_verify_ratio,
    "audit_page_memory_ratio": audit_pages.audit_page_memory_ratio,
    "pass_cpu_seconds": crowd.pass_cpu_seconds,
    "pass_cpu_growth": crowd.pass_cpu_seconds,
    "pass_floor_seconds": crowd.pass_cpu_seconds,
    "revoke_answer_seconds": crowd.revoked_under_load,
    "revoke_gone_seconds": crowd.revoked_under_load,
    "peak_rss_mb": alike_subscriptions.peak_rss_mb,
}
"""Each yields one or more figures; those of several names appear under each of them."""
