"""A process that fills the inventory by the broker's own parts, and prints the number of VMs."""

from __future__ import annotations

from jit import wiring


def main() -> None:
    """Read every subscription from Azure, remember its machines."""
    count = 0
    for subscription in wiring.settings().subscriptions:
        machines = wiring.observer().read_machines(subscription, now=wiring.clock())
        wiring.inventory().write_machines(subscription, machines, complete=True)
        count += len(machines)
    print(count)


if __name__ == "__main__":
    main()
