"""A resource that is busy with one change takes no other in the same pass."""

from typing import Any

import pytest

from jit.broker.azure_changes import Actions
from jit.broker.busy_resources import BusyResources
from jit.domain.errors import Busy, Refused, Throttled, Unknown
from tests.builders.values import NSG_ID, OTHER_NSG_ID

BUSY = Busy("another operation runs on that resource")


class Network:
    """Answers each deletion with an error, and counts them."""

    def __init__(self, error):
        self.error, self.deleted = error, []

    def delete_rule(self, rule_id):
        self.deleted.append(rule_id)
        raise self.error


def removed(error, *rule_ids, busy=None):
    """The deletions that Azure saw, and the errors."""
    network: Any = Network(error)
    unused: Any = None
    actions = Actions(lambda: unused, lambda: network, unused)
    return network.deleted, actions.remove_rules(rule_ids, busy)


RULES = [f"{NSG_ID}/securityRules/r{number}" for number in range(3)]
ELSEWHERE = f"{OTHER_NSG_ID}/securityRules/r"


@pytest.mark.parametrize("error", [BUSY, Throttled("slower")])
def test_writes_to_one_resource_end_at_the_first_busy(error):
    """The others are postponed; another NSG is not concerned."""
    seen, errors = removed(error, *RULES, ELSEWHERE)

    assert seen == [RULES[0], ELSEWHERE]
    assert errors == [error] * 4


@pytest.mark.parametrize("error", [Refused("no", code="ScopeLocked"), Unknown("lost")])
def test_a_rule_that_is_refused_stops_no_other(error):
    """It may be that rule alone."""
    seen, _ = removed(error, *RULES)

    assert seen == RULES


def test_a_resource_stays_busy_for_the_whole_pass():
    """Companions, Defender's rules and the firewall are written one after the other."""
    busy = BusyResources()
    removed(BUSY, RULES[0], busy=busy)

    seen, errors = removed(BUSY, RULES[1].upper(), busy=busy)

    assert (seen, errors) == ([], [BUSY])
    assert busy.find(NSG_ID) is BUSY
    assert busy.find(OTHER_NSG_ID) is None
