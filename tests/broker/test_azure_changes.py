"""Calls to Azure: the last look before a removal."""

import json
import logging
from datetime import timedelta
from itertools import chain, repeat
from typing import Any

import pytest

from jit.broker.azure_changes import TIME_TO_ASK, Actions
from jit.broker.initiate_parts import Reasons
from jit.broker.locks import LEASE
from jit.domain.azure.initiate_body import PortToOpen
from jit.domain.errors import (
    PermissionLost,
    Refused,
    StateConflict,
    Throttled,
    Unavailable,
    Unknown,
)
from jit.domain.paths import rules
from tests.broker.inprocess import HERE, THERE, InProcess, policy_of
from tests.builders.values import HOME, NOW, POLICY_ID, vm_id
from tests.local.azure.sim import DB01


@pytest.fixture
def broker():
    """A broker, its storage, its Azure."""
    return InProcess()


A_RULE = rules.PathRule(
    id=f"{DB01}/rule",
    holder_id=DB01,
    name="rule",
    collection=None,
    sources=(HERE,),
    target="10.1.2.4",
    exact=True,
    vm_id=DB01,
    port=22,
)


@pytest.mark.parametrize(
    ("sources", "listed", "kept"),
    [([HERE], True, []), ([THERE], True, [DB01]), ([HERE, THERE], False, [])],
    ids=["for it", "for another", "for we know not whom"],
)
def test_a_rule_that_a_new_foreign_request_may_need_is_not_removed(broker, sources, listed, kept):
    """Somebody used the portal between the look and the removal."""
    broker.sim.options(echoPrefixLists=listed)
    actions = Actions(
        lambda: broker.azure.policies, lambda: broker.azure.network, broker.locks.firewalls
    )
    broker.sim.initiate(DB01, 22, sources if len(sources) > 1 else sources[0], 60, as_="petra")

    found = actions.keep_removable(policy_of(DB01), [A_RULE], frozenset(), now=broker.now)

    assert [each.vm_id for each in found] == kept


ASKS = [
    PortToOpen(vm_id=vm_id(number), port=22, sources=(HOME,), until=NOW + timedelta(hours=1))
    for number in range(4)
]


AT_ONCE = timedelta(0)
ALWAYS = repeat(AT_ONCE)


class Defender:
    """Refuses every initiate that names one of *bad* VMs, or has one of *bad* words."""

    def __init__(self, error, *bad):
        self.error, self.bad, self.sizes, self.texts = error, bad, [], []

    def initiate(self, _policy_id, body):
        names = [machine["id"] for machine in body["virtualMachines"]]
        self.sizes.append(len(names))
        self.texts.append(body["justification"])
        words = body["justification"].split()
        if any(each in words or vm_id(each) in names for each in self.bad):
            raise self.error


class HangingDefender(Defender):
    """Answers 503 to the other initiates that name the first VM."""

    def initiate(self, policy_id, body):
        super().initiate(policy_id, body)
        if vm_id(0) in [machine["id"] for machine in body["virtualMachines"]]:
            raise Unavailable("no answer")


class AnsweringDefender:
    """Gives one answer after the other."""

    def __init__(self, *answers):
        self.answers = iter(answers)

    def initiate(self, _policy_id, _body):
        raise next(self.answers)


def outcome(defender, ages=ALWAYS):
    """The outcome of the four asks."""
    unused: Any = None
    actions = Actions(lambda: defender, lambda: unused, unused)
    left = iter(ages)
    reasons = Reasons(
        requests={ask.vm_port: ("why",) for ask in ASKS},
        write=lambda ids: " ".join(("[mark]", *ids)),
    )
    return actions.initiate(POLICY_ID, ASKS, reasons, lambda: next(left))


def test_one_that_is_refused_keeps_nobody_else_out():
    """The halves without it are taken."""
    defender = Defender(Refused("no", code="VmNotFound"), 2)

    found = outcome(defender)

    assert defender.sizes == [4, 4, 2, 2, 1, 1]
    assert defender.texts == ["[mark] why", "[mark]", *["[mark] why"] * 4]
    assert {port for _, port in found.answered} == {22}
    assert (len(found.answered), list(found.refused.values())) == (3, ["VmNotFound"])


def test_a_pass_that_has_lost_its_policy_asks_for_no_more_halves():
    """Another instance has taken over: both asking would exchange people's paths twice."""
    error = PermissionLost("no", code="AuthorizationFailed", azure_status=403)
    defender = Defender(error, 0, 1, 2, 3)

    with pytest.raises(StateConflict):
        outcome(defender, chain([AT_ONCE, AT_ONCE], repeat(None)))

    assert defender.sizes == [4, 2]


def test_a_pass_that_has_asked_for_long_leaves_the_rest_to_the_next_one():
    """An end may wait. Nothing of the rest is on its way, and the answers so far count."""
    defender = Defender(Refused("no", code="VmNotFound"), 2)

    found = outcome(defender, chain([AT_ONCE] * 3, repeat(TIME_TO_ASK)))

    assert defender.sizes == [4, 4, 2]
    assert (len(found.answered), len(found.untaken), found.refused) == (2, 2, {})
    assert found.note != ""


def test_a_pass_goes_on_until_azure_has_decided_about_some_port():
    """However late it is: else each pass would begin with the same parts, and end before a port."""
    defender = Defender(Refused("no", code="VmNotFound"), 0, 1, 2, 3)

    found = outcome(defender, repeat(2 * TIME_TO_ASK))

    assert defender.sizes == [4, 4, 2, 1, 1]
    assert (len(found.refused), len(found.untaken)) == (1, 3)


def test_a_part_that_hangs_keeps_no_other_part_from_being_asked_for():
    """A 503 decides nothing: the next pass would stop at the same part, and the next one, too."""
    defender = HangingDefender(Refused("no", code="VmNotFound"), 3)

    found = outcome(defender, repeat(1.5 * TIME_TO_ASK))

    assert defender.sizes == [4, 4, 2, 2, 1]
    assert (len(found.answered), len(found.untaken)) == (1, 1)


def test_a_pass_ends_before_its_lease_if_azure_answers_about_no_part():
    """Its outcome, and the pause that Azure wants, must be stored."""
    defender = HangingDefender(Refused("no", code="VmNotFound"), 3)

    found = outcome(defender, chain([AT_ONCE] * 3, repeat(2 * TIME_TO_ASK)))

    assert defender.sizes == [4, 4, 2]
    assert (found.answered, found.refused, len(found.untaken)) == (set(), {}, 2)
    assert 2 * TIME_TO_ASK < LEASE


def test_the_longest_pause_of_all_parts_counts():
    """A later part that hangs does not shorten the pause that Azure wants."""
    refused, later = Refused("no", code="VmNotFound"), Throttled("later", retry_after_seconds=300)
    defender = AnsweringDefender(refused, refused, later, Unavailable("down"))

    assert outcome(defender).wait == timedelta(seconds=300)


def test_a_text_that_azure_refuses_is_told_with_its_code(caplog):
    """No text is in the log: the broker never logs justifications."""
    caplog.set_level(logging.WARNING, logger="jit")
    defender = Defender(Refused("no", code="InvalidJustification"), "why")

    found = outcome(defender)

    (event,) = [json.loads(record.message) for record in caplog.records]
    assert (len(found.answered), found.refused) == (4, {})
    assert event == {
        "event": "initiate.text_refused",
        "policy_id": POLICY_ID,
        "vm_id": vm_id(0),
        "code": "InvalidJustification",
    }


@pytest.mark.parametrize(
    ("error", "untaken"), [(Throttled("later"), 4), (Unknown("its answer was lost"), 0)]
)
def test_only_a_put_off_initiate_is_known_to_have_no_effect(error, untaken):
    """A lost answer may have been a yes."""
    found = outcome(Defender(error, 0))

    assert (len(found.untaken), len(found.answered), found.wait is not None) == (untaken, 0, True)


@pytest.mark.parametrize("odd", [{}, {"properties": {"virtualMachines": [], "requests": "x"}}])
def test_no_rule_counts_as_free_by_an_answer_that_cannot_be_read(broker, odd):
    """A person whose request it lacks may need the rule."""
    object.__setattr__(broker.azure.policies, "get", lambda _: odd)
    actions = Actions(
        lambda: broker.azure.policies, lambda: broker.azure.network, broker.locks.firewalls
    )

    with pytest.raises(Unavailable, match="cannot be read"):
        actions.keep_removable(policy_of(DB01), [A_RULE], frozenset(), now=broker.now)
