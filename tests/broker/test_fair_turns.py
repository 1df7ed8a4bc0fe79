"""One requester changes an own request once a minute; the others behind the firewall get a turn."""

import pytest

from jit import messages
from tests.broker.inprocess import ALICE, BOB, HERE, THERE, wish
from tests.broker.reconciling import Reconciling
from tests.builders.web_machines import ADDRESS, add_web_machines
from tests.local.azure.sim import FW_PROD, PRODUCTION

GREEDY_SOURCES = "203.0.113.{}"
MOST_UPDATES = 2
LONGEST = 15  # minutes: two updates of four minutes, each found a minute late, and some to spare
LEFT = "MDC-JIT-left-3389"


class Neighbours:
    """
    Three VMs behind one firewall, each with a JIT policy of its own.

    Attributes:
        others: The VMs of the people who wait; the first VM is the greedy requester's.
        updates: Ids of the updates of the firewall that ran when a minute began.
    """

    def __init__(self, it: Reconciling) -> None:
        self.it, self.broker = it, it.broker
        self.greedy, *self.others = add_web_machines(self.broker.sim, 3)
        self.last: str | None = None
        self.asked = 100
        self.updates: set[str] = set()

    def open_others(self) -> list[str]:
        """Open a path to each of the other VMs; return the requests' ids."""
        ids = [self.broker.ask(wish(vm, 22, THERE), BOB) for vm in self.others]
        self.broker.live(14)
        return ids

    def live(self, minutes: int = 1) -> None:
        """Let time pass while Alice asks from another address each minute, and drops the last."""
        for _ in range(minutes):
            self.updates |= self._find_running()
            self.asked += 1
            before = self.last
            source = GREEDY_SOURCES.format(self.asked)
            self.last = self.broker.ask(wish(self.greedy, 22, source), ALICE)
            if before is not None:
                self.broker.revoke(before, ALICE)
            self.broker.live(1)

    def live_until(self, request_id: str, status: str) -> int:
        """Live until a request has a status; return the firewall's updates that began meanwhile."""
        before = self.updates | self._find_running()
        for _ in range(LONGEST):
            self.live()
            if self.broker.status(request_id) == status:
                break
        return len(self.updates - before)

    def leave_rule(self) -> None:
        """Let a rule of a closed grant come back."""
        request_id = self.broker.ask(wish(self.others[0], 3389, HERE), BOB)
        self.broker.live(8)
        self.broker.revoke(request_id, BOB)
        self.broker.live(30)
        assert self.broker.status(request_id) == "closed"
        self.it.leave_nat((LEFT, ADDRESS.format(102), 3389))

    def live_until_no_rule_is_left(self) -> int:
        """Live and compare as often as comparisons ask; return the updates that began meanwhile."""
        before = self.updates | self._find_running()
        self.it.run(PRODUCTION)
        for _ in range(LONGEST):
            self.live()
            if LEFT not in self.list_rules():
                break
            if self.broker.queues.receive(messages.RECONCILE) is not None:
                self.it.run(PRODUCTION)
        return len(self.updates - before)

    def list_rules(self) -> list[str]:
        """Return the names of Defender's rules in the firewall."""
        return [rule["name"] for rule in self.broker.sim.nat()]

    def _find_running(self) -> set[str]:
        """Return the id of the firewall's update that runs, Defender's too. It takes 4 minutes."""
        running = self.broker.sim.azure.world.operations.find_running(FW_PROD)
        return set() if running is None else {running.id}


@pytest.fixture
def neighbours(it):
    return Neighbours(it)


def test_a_revoked_path_closes_after_two_updates_while_a_neighbour_changes_a_request(neighbours):
    """The neighbour's turn ends at the first settled moment, and closing comes first."""
    first, second = neighbours.open_others()
    neighbours.live(3)
    updates = []
    for request_id in (first, second):
        neighbours.broker.revoke(request_id, BOB)
        updates.append(neighbours.live_until(request_id, "closed"))

    statuses = [neighbours.broker.status(each) for each in (first, second)]
    assert statuses == ["closed", "closed"]
    assert max(updates) <= MOST_UPDATES


def test_a_new_path_opens_while_a_neighbour_changes_a_request(neighbours):
    """A wait to open gets a turn after the running update, and after the closing that it left."""
    neighbours.live(3)

    request_id = neighbours.broker.ask(wish(neighbours.others[0], 22, THERE), BOB)
    updates = neighbours.live_until(request_id, "open")

    assert neighbours.broker.status(request_id) == "open"
    assert updates <= MOST_UPDATES


def test_a_leftover_of_a_firewall_goes_while_a_neighbour_changes_a_request(neighbours):
    """The comparison stands in the same line as the policies."""
    neighbours.leave_rule()
    neighbours.live(3)

    updates = neighbours.live_until_no_rule_is_left()

    assert LEFT not in neighbours.list_rules()
    assert updates <= MOST_UPDATES
