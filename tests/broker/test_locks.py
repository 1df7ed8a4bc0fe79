"""Claims: one worker at a time for a policy."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest

from jit.broker.locks import LEASE, find_gathering_time
from jit.domain.errors import Defect
from tests.broker.inprocess import farm, policy_of, wish
from tests.local.azure.sim import DB01, DEVELOPMENT, WEB01

POLICY, OTHER = policy_of(WEB01), policy_of(DB01)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.fixture
def locks(broker):
    """Claims in an empty table."""
    return broker.locks


def refuse_large_rows(broker, monkeypatch):
    """Let the table refuse each control row with notes or names."""
    write = broker.state.write

    def refuse(ops):
        if any(op.row.values.get(name) for op in ops for name in ("Missing", "Told")):
            raise Defect("a text has 64 KiB of UTF-16 at most")
        return write(ops)

    monkeypatch.setattr(broker.state, "write", refuse)


# ---- policies ------------------------------------------------------------------------------------


def test_a_policy_is_claimed_once(locks):
    """The second instance has nothing to do."""
    locks.claim(POLICY)

    assert locks.claim(POLICY) is None


def test_a_policy_is_the_same_in_any_case(locks):
    """Azure writes ids in several ways."""
    locks.claim(POLICY)

    assert locks.claim(POLICY.upper().replace("/SUBSCRIPTIONS", "/subscriptions")) is None


def test_another_policy_is_another_claim(locks):
    """Policies do not wait for each other."""
    locks.claim(POLICY)

    assert locks.claim(OTHER) is not None


def test_a_policy_that_was_given_back_is_free(locks):
    """At once."""
    locks.release(locks.claim(POLICY))

    assert locks.claim(POLICY) is not None


def test_a_policy_with_too_many_notes_is_given_back_with_the_first_of_them(broker, locks):
    """One column of a row has all notes, and a row that is too large is not written."""
    notes = {f"{number:026d}": broker.now for number in range(1000)}

    locks.release(locks.claim(POLICY), missing=notes)

    kept = locks.read_policy(POLICY).missing
    assert locks.claim(POLICY) is not None
    assert list(kept) == list(notes)[: len(kept)]
    assert len(kept) == 545


def test_a_policy_whose_notes_the_table_refuses_is_given_back_without_them(
    broker, locks, monkeypatch, caplog
):
    """No value may keep a lease."""
    claim = locks.claim(POLICY)
    refuse_large_rows(broker, monkeypatch)

    locks.release(claim, missing={"a": broker.now}, attempts=3)

    row = locks.read_policy(POLICY)
    assert (row.owner, row.missing, row.attempts) == ("", {}, 3)
    assert "row.refused" in caplog.text


def test_a_comparison_whose_names_the_table_refuses_is_given_back_without_them(
    broker, locks, monkeypatch
):
    """The next comparison begins at once, and reports them again."""
    lease = locks.claim_comparison(DEVELOPMENT)
    refuse_large_rows(broker, monkeypatch)

    locks.release_comparison(lease, ["a"])

    assert locks.claim_comparison(DEVELOPMENT) is not None


def test_a_lease_holds_to_its_end(broker, locks):
    """A slow pass is not overtaken."""
    locks.claim(POLICY)
    broker.advance(LEASE)

    assert locks.claim(POLICY) is None


def test_a_lease_that_nobody_gave_back_runs_out(broker, locks):
    """A dead instance holds nothing for ever."""
    locks.claim(POLICY)
    broker.advance(LEASE + 2 * SECOND)

    assert locks.claim(POLICY) is not None


def test_a_claim_that_was_taken_over_is_not_given_back_by_its_first_holder(broker, locks):
    """The second holder keeps it."""
    late = locks.claim(POLICY)
    broker.advance(LEASE + 2 * SECOND)
    locks.claim(POLICY)

    locks.release(late)

    assert locks.claim(POLICY) is None


def test_a_claim_has_an_age_until_it_is_taken_over(broker, locks):
    """By the clock of the storage service, in whole seconds."""
    lease = locks.claim(POLICY)
    assert locks.find_age(lease) < 2 * SECOND
    broker.advance(LEASE + 2 * SECOND)
    assert LEASE <= locks.find_age(lease) <= LEASE + 4 * SECOND

    locks.claim(POLICY)

    assert locks.find_age(lease) is None


def test_one_of_many_at_the_same_moment_wins(locks):
    """The row's ETag decides."""
    together = Barrier(8)

    def claim(_: int) -> bool:
        together.wait()
        return locks.claim(POLICY) is not None

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(claim, range(8)))

    assert sum(won) == 1


def test_when_to_come_back_is_remembered(broker, locks):
    """Azure's wish to wait outlives the pass that got it."""
    later = broker.now + timedelta(seconds=90)
    locks.release(locks.claim(POLICY), not_before=later, attempts=3)

    claim = locks.claim(POLICY)

    assert (claim.row.not_before, claim.row.attempts) == (later, 3)


def test_a_first_claim_has_nothing_to_wait_for(locks):
    """No initiate was just made, and none failed."""
    claim = locks.claim(POLICY)

    assert (claim.row.not_before, claim.row.attempts, find_gathering_time(claim.row)) == (
        None,
        0,
        0,
    )


def test_after_an_initiate_more_requests_are_gathered_for_a_moment(locks):
    """A burst becomes few calls."""
    locks.release(locks.claim(POLICY), initiated=True)

    assert find_gathering_time(locks.claim(POLICY).row) > 0


def test_a_long_burst_is_gathered_for_longer(broker, locks):
    """The second initiate in a row waits longer than the first, ten seconds at most."""
    locks.release(locks.claim(POLICY), initiated=True)
    first = locks.claim(POLICY)
    locks.release(first, initiated=True)

    second = locks.claim(POLICY)

    assert find_gathering_time(first.row) < find_gathering_time(second.row) <= 10


def test_gathering_ends_by_itself(broker, locks):
    """Nobody waits for company that does not come."""
    locks.release(locks.claim(POLICY), initiated=True)
    broker.advance(timedelta(seconds=11))

    assert find_gathering_time(locks.claim(POLICY).row) == 0


def test_a_claim_on_a_policy_says_nothing_about_others_in_its_subscription(locks):
    """Ten policies are worked by ten instances."""
    claims = [locks.claim(policy_of(farm(number))) for number in (1, 11, 21, 31, 41)]

    assert None not in claims


def test_a_lease_tells_how_long_it_lasted_at_most(broker):
    """By the service's clock, which has whole seconds; three seconds are left for other clocks."""
    broker.ask(wish(farm(1)))
    lease = broker.locks.claim(policy_of(farm(1)))
    broker.advance(timedelta(seconds=10))
    later = broker.locks.read_policy(policy_of(farm(1)))

    assert timedelta(seconds=13) <= lease.find_length(later) <= timedelta(seconds=14)
    assert lease.find_length(replace(later, version=replace(later.version, read_at=None))) == MINUTE
    broker.advance(timedelta(minutes=5))
    assert lease.find_length(broker.locks.read_policy(policy_of(farm(1)))) == MINUTE
