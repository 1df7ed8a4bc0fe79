"""Claims: one worker at a time for a policy, one policy at a time for a firewall."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest

from jit.broker.locks import LEASE, TURN, Locks
from tests.broker.inprocess import farm, policy_of
from tests.local.azure.sim import DB01, FW_PROD, WEB01

POLICY, OTHER = policy_of(WEB01), policy_of(DB01)
SECOND = timedelta(seconds=1)


@pytest.fixture
def turns(broker):
    """Claims in an empty table."""
    return Locks(broker.store)


# ---- policies ------------------------------------------------------------------------------------


def test_a_policy_is_claimed_once(turns):
    """Whoever comes second has nothing to do."""
    turns.claim(POLICY)

    assert turns.claim(POLICY) is None


def test_a_policy_is_the_same_in_any_case(turns):
    """Azure writes ids in several ways."""
    turns.claim(POLICY)

    assert turns.claim(POLICY.upper().replace("/SUBSCRIPTIONS", "/subscriptions")) is None


def test_another_policy_is_another_claim(turns):
    """Policies do not wait for each other."""
    turns.claim(POLICY)

    assert turns.claim(OTHER) is not None


def test_a_policy_that_was_given_back_is_free(turns):
    """At once."""
    turns.release(turns.claim(POLICY))

    assert turns.claim(POLICY) is not None


def test_a_lease_holds_to_its_end(broker, turns):
    """A slow pass is not overtaken."""
    turns.claim(POLICY)
    broker.advance(LEASE)

    assert turns.claim(POLICY) is None


def test_a_lease_that_nobody_gave_back_runs_out(broker, turns):
    """A dead instance holds nothing for ever."""
    turns.claim(POLICY)
    broker.advance(LEASE + 2 * SECOND)

    assert turns.claim(POLICY) is not None


def test_a_claim_that_was_taken_over_is_not_given_back_by_its_first_holder(broker, turns):
    """The second holder keeps it."""
    late = turns.claim(POLICY)
    broker.advance(LEASE + 2 * SECOND)
    turns.claim(POLICY)

    turns.release(late)

    assert turns.claim(POLICY) is None


def test_of_many_at_the_same_moment_one_wins(turns):
    """The row's ETag decides."""
    together = Barrier(8)

    def claim(_: int) -> bool:
        together.wait()
        return turns.claim(POLICY) is not None

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(claim, range(8)))

    assert sum(won) == 1


def test_when_to_come_back_is_remembered(broker, turns):
    """What Azure asked for outlives the pass that heard it."""
    later = broker.now + timedelta(seconds=90)
    turns.release(turns.claim(POLICY), not_before=later, attempts=3)

    claim = turns.claim(POLICY)

    assert (claim.not_before, claim.attempts) == (later, 3)


def test_a_first_claim_has_nothing_to_wait_for(turns):
    """No initiate was just made, and none failed."""
    claim = turns.claim(POLICY)

    assert (claim.not_before, claim.attempts, claim.quiet_seconds) == (None, 0, 0)


def test_after_an_initiate_more_requests_are_gathered_for_a_moment(turns):
    """A burst becomes few calls."""
    turns.release(turns.claim(POLICY), initiated=True)

    assert turns.claim(POLICY).quiet_seconds > 0


def test_a_long_burst_is_gathered_for_longer(broker, turns):
    """The second initiate in a row waits longer than the first, ten seconds at most."""
    turns.release(turns.claim(POLICY), initiated=True)
    first = turns.claim(POLICY)
    turns.release(first, initiated=True)

    second = turns.claim(POLICY)

    assert first.quiet_seconds < second.quiet_seconds <= 10


def test_gathering_ends_by_itself(broker, turns):
    """Nobody waits for company that does not come."""
    turns.release(turns.claim(POLICY), initiated=True)
    broker.advance(timedelta(seconds=11))

    assert turns.claim(POLICY).quiet_seconds == 0


# ---- firewalls -----------------------------------------------------------------------------------


def test_a_firewall_that_nobody_has_is_free(broker, turns):
    """The first to come takes it."""
    assert turns.firewall_free(FW_PROD, POLICY, broker.now)
    assert turns.take_firewall(FW_PROD, POLICY, broker.now)


def test_a_firewalls_turn_belongs_to_one_policy(broker, turns):
    """One update at a time is all that a firewall takes."""
    turns.take_firewall(FW_PROD, POLICY, broker.now)

    assert not turns.firewall_free(FW_PROD, OTHER, broker.now)
    assert not turns.take_firewall(FW_PROD, OTHER, broker.now)


def test_a_policy_keeps_the_turn_that_it_has(broker, turns):
    """Its next pass goes on."""
    turns.take_firewall(FW_PROD, POLICY, broker.now)

    assert turns.take_firewall(FW_PROD, POLICY, broker.now)


def test_a_turn_that_was_given_back_is_free(broker, turns):
    """For anybody."""
    turns.take_firewall(FW_PROD, POLICY, broker.now)
    turns.return_firewall(FW_PROD, POLICY)

    assert turns.take_firewall(FW_PROD, OTHER, broker.now)


def test_nobody_gives_back_anothers_turn(broker, turns):
    """A late pass of another policy changes nothing."""
    turns.take_firewall(FW_PROD, POLICY, broker.now)
    turns.return_firewall(FW_PROD, OTHER)

    assert not turns.firewall_free(FW_PROD, OTHER, broker.now)


def test_a_turn_that_nobody_gave_back_runs_out(broker, turns):
    """An operation that was forgotten does not stop everybody."""
    turns.take_firewall(FW_PROD, POLICY, broker.now)

    assert not turns.firewall_free(FW_PROD, OTHER, broker.now + TURN)
    assert turns.firewall_free(FW_PROD, OTHER, broker.now + TURN + SECOND)


def test_an_operation_is_remembered_with_the_turn(broker, turns):
    """Its URL, and what must come back unchanged."""
    turns.take_firewall(FW_PROD, POLICY, broker.now)
    turns.note_operation(FW_PROD, url="https://x/operations/1", foreign="digest")

    assert turns.noted(FW_PROD) == ("https://x/operations/1", "digest")


def test_an_operation_is_forgotten_with_the_turn(broker, turns):
    """The next holder begins with nothing."""
    turns.take_firewall(FW_PROD, POLICY, broker.now)
    turns.note_operation(FW_PROD, url="https://x/operations/1", foreign="digest")
    turns.return_firewall(FW_PROD, POLICY)

    assert turns.noted(FW_PROD) == ("", "")


def test_a_claim_on_a_policy_says_nothing_about_others_in_its_subscription(turns):
    """Ten policies are worked by ten instances."""
    claims = [turns.claim(policy_of(farm(number))) for number in (1, 11, 21, 31, 41)]

    assert None not in claims
