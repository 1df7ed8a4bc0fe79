"""A process that fills the inventory, through the broker's own parts; it prints how many VMs."""

from __future__ import annotations

from jit import wiring


def main() -> None:
    """Read every subscription from Azure, remember what was found."""
    count = 0
    for subscription in wiring.settings().subscriptions:
        machines = wiring.observer().machines(subscription, now=wiring.clock())
        wiring.store().remember_machines(subscription, machines, complete=True)
        count += len(machines)
    print(count)


if __name__ == "__main__":
    main()
