"""A process that fills the inventory, through the broker's own parts; it prints how many VMs."""

from __future__ import annotations

from jit import wiring


def main() -> None:
    """Read every subscription from Azure, remember what was found."""
    count = 0
    for subscription in wiring.observer().watched():
        machines = wiring.observer().machines(subscription, now=wiring.clock())
        wiring.inventory().write_machines(subscription, machines, complete=True)
        count += len(machines)
    print(count)


if __name__ == "__main__":
    main()
