"""One pass over a JIT policy: its writes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jit.broker.locks import PolicyLease
from jit.broker.policy_worker.pass_state import Pass
from jit.domain.errors import StateConflict
from jit.domain.grants.policy_view import PolicyView, name_entry
from jit.domain.model.grant import Status
from jit.domain.model.policy_entry import PolicyEntry
from jit.domain.values import arm_ids
from tests.broker.inprocess import InProcess, farm, wish
from tests.local.azure.sim import DB01


def test_a_change_and_its_trail_are_stored_together():
    """In one transaction: neither without the other."""
    broker = InProcess()
    whole = broker.accept(wish(DB01))
    (grant,) = whole.grants
    claim = broker.locks.claim(grant.policy_id)
    assert claim is not None
    state = Pass(
        policy_id=grant.policy_id,
        now=broker.now,
        lease=claim,
        rows=broker.requests.list_policy_grants(grant.policy_id).rows,
        tombstones=(),
    )
    opening = replace(grant.advance(Status.OPENING), expires_at=grant.latest_end)

    state.save(broker.requests, {grant.id: opening}, [grant])

    trail = broker.outbox.list_oldest(
        broker.requests.list_policy_grants(grant.policy_id).rows[0].row.partition, limit=99
    )
    assert state.grants == [opening]
    assert sum(grant.id in str(row.values["Doc"]) for row in trail) == 1
    assert replace(opening, status=Status.PENDING, expires_at=None) == grant


def test_a_policy_that_is_found_again_was_never_missing():
    """Two looks in a row must miss it, not two in its life."""
    broker = InProcess()
    (grant,) = broker.accept(wish(DB01)).grants
    claim = broker.locks.claim(grant.policy_id)
    assert claim is not None
    state = Pass(policy_id=grant.policy_id, now=broker.now, lease=claim, rows=(), tombstones=())
    key, name = arm_ids.key(grant.policy_id), arm_ids.row_hash(grant.policy_id)
    gone = PolicyView(found=False, requests=(), machines={}, missing=frozenset({key}))

    state.note_missing(gone)
    missed = dict(state.missing)
    state.note_missing(PolicyView(found=True, requests=(), machines={}))

    assert (missed, state.missing) == ({name: broker.now}, {})


def test_an_entry_that_is_found_again_was_never_missing():
    """Two looks in a row must lack a VM of the policy."""
    broker = InProcess()
    (grant,) = broker.accept(wish(DB01)).grants
    claim = broker.locks.claim(grant.policy_id)
    assert claim is not None
    state = Pass(policy_id=grant.policy_id, now=broker.now, lease=claim, rows=(), tombstones=())
    name = name_entry(grant.policy_id, grant.vm_key)
    lacking = PolicyView(
        found=True, requests=(), machines={}, entries={}, missing=frozenset({name})
    )

    state.note_missing(lacking)
    missed = dict(state.missing)
    state.note_missing(replace(lacking, entries={grant.vm_key: PolicyEntry()}, missing=frozenset()))

    assert (missed, state.missing) == ({arm_ids.row_hash(name): broker.now}, {})


def a_full_pass(broker, count):
    """A pass whose row has *count* notes of other resources, the newest last."""
    whole = broker.accept(wish(DB01))
    (grant,) = whole.grants
    claim = broker.locks.claim(grant.policy_id)
    assert claim is not None
    notes = {f"{n:026d}": broker.now - timedelta(seconds=count - n) for n in range(count)}
    lease = PolicyLease(replace(claim.row, missing=notes))
    rows = broker.requests.list_policy_grants(grant.policy_id).rows
    return Pass(policy_id=grant.policy_id, now=broker.now, lease=lease, rows=rows, tombstones=())


def test_notes_of_this_look_are_kept_before_those_of_others():
    """Each grant that waits for a second look gets it, however many notes are left over."""
    broker = InProcess()
    state = a_full_pass(broker, 1000)
    (grant,) = state.grants
    name = name_entry(state.policy_id, grant.vm_key)

    state.note_missing(
        PolicyView(found=True, requests=(), machines={}, entries={}, missing=frozenset({name}))
    )
    broker.locks.release(state.lease, missing=state.missing)

    row = broker.locks.read_policy(state.policy_id)
    assert row is not None
    assert row.owner == ""
    kept = list(row.missing)
    assert kept[0] == arm_ids.row_hash(name)
    assert kept[1:] == [f"{n:026d}" for n in range(999, 999 - len(kept) + 1, -1)]


def test_of_too_many_notes_of_one_look_the_oldest_are_kept():
    """They are proved first, and make room for the others."""
    broker = InProcess()
    state = a_full_pass(broker, 0)
    first, second = ({f"/nsg{n}{n % 2}" for n in range(size)} for size in (400, 800))

    for ids in (first, second):
        view = PolicyView(found=True, requests=(), machines={}, entries={}, missing=frozenset(ids))
        state.note_missing(view)
        state.now += timedelta(seconds=60)

    assert set(list(state.missing)[:400]) == set(map(arm_ids.row_hash, first))


def test_the_entry_of_a_vm_whose_grants_are_closed_is_not_noted_any_more():
    """Else the notes of a day stand in one column."""
    broker = InProcess()
    state = a_full_pass(broker, 0)
    (row,) = state.rows
    (grant,) = row.grants
    name = name_entry(state.policy_id, grant.vm_key)
    lacking = PolicyView(
        found=True, requests=(), machines={}, entries={}, missing=frozenset({name})
    )
    state.note_missing(lacking)
    live = dict(state.missing)
    closed = replace(grant, status=Status.CLOSED)
    state.rows = (replace(row, grants=(closed,)),)

    state.note_missing(replace(lacking, missing=frozenset()))

    assert (list(live), state.missing) == ([arm_ids.row_hash(name)], {})


def test_an_answer_stands_with_the_policy_until_all_rows_say_so():
    """Also if a pass can write a part of the rows only, or none."""
    broker = InProcess()
    policy_id = broker.accept(wish((farm(1), farm(2)))).grants[0].policy_id
    broker.requests.save([(row, ask(row)) for row in read_rows(broker, policy_id)], [])
    state = begin_pass(broker, policy_id)
    state.note_answered(grant.id for grant in state.grants)
    first, second = state.grants
    both = state.answered

    state.save(broker.requests, {first.id: replace(first, note="changed")}, state.grants)
    one = state.answered
    (row,) = (each for each in read_rows(broker, policy_id) if second in ask(each, answered=True))
    broker.requests.save([(row, row.grants)], [])
    with pytest.raises(StateConflict):
        state.save(broker.requests, {second.id: replace(second, note="changed")}, state.grants)

    assert both == one == state.answered == {"one"}
    told = {g.id: g.initiate.answered for row in read_rows(broker, policy_id) for g in row.grants}
    assert told == {first.id: True, second.id: False}


def test_an_answer_of_an_earlier_pass_stands_until_the_rows_say_so():
    """A pass that changes nothing hands it on."""
    broker = InProcess()
    policy_id = broker.accept(wish(farm(1))).grants[0].policy_id
    broker.requests.save([(row, ask(row)) for row in read_rows(broker, policy_id)], [])
    earlier = begin_pass(broker, policy_id)
    earlier.note_answered(grant.id for grant in earlier.grants)
    broker.locks.release(earlier.lease.note_answered(earlier.answered))

    later = begin_pass(broker, policy_id)

    assert later.answered == {"one"}
    assert all(grant.initiate.answered for grant in later.grants)


def begin_pass(broker, policy_id):
    claim = broker.locks.claim(policy_id)
    assert claim is not None
    rows = read_rows(broker, policy_id)
    return Pass(policy_id=policy_id, now=broker.now, lease=claim, rows=rows, tombstones=())


def read_rows(broker, policy_id):
    return broker.requests.list_policy_grants(policy_id).rows


def ask(row, *, answered=False):
    """Return the grants of a row as an initiate leaves them, with Azure's answer or without."""
    return [
        replace(g, initiate=replace(g.initiate, ids=("one",), answered=answered))
        for g in row.grants
    ]
