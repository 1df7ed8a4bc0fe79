"""Which benchmarks there are: by the names of their figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bench import bursting, cold, load, opening, reconciling, scaling, warm
from bench.figures import Figure

Benchmark = Callable[[], Iterator[Figure]]

BENCHMARKS: dict[str, Benchmark] = {
    "cold_start_cpu_ratio": cold.cold_start_cpu_ratio,
    "cold_first_accept_ratio": cold.cold_first_accept_ratio,
    "accept_cpu_ratio": warm.accept_cpu_ratio,
    "accept_per_second": load.accept_per_second,
    "initiate_calls_for_burst": load.initiate_calls_for_burst,
    "firewall_updates_for_burst": bursting.firewall_updates_for_burst,
    "open_50_vms_arm_rounds": opening.open_50_vms_arm_rounds,
    "open_50_vms_ratio": opening.open_50_vms_ratio,
    "reconcile_arm_calls": reconciling.reconcile,
    "reconcile_seconds": reconciling.reconcile,
    "peak_rss_mb": scaling.peak_rss_mb,
}
"""Each yields one or more figures; those of several names appear under each of them."""
