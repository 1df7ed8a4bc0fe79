"""One pass over a JIT policy: its writes."""

from dataclasses import replace

from jit.broker.policy_worker.pass_state import Pass
from jit.domain.grants.policy_view import PolicyView, name_entry
from jit.domain.model.grant import Status
from jit.domain.model.policy_entry import PolicyEntry
from jit.domain.values import arm_ids
from tests.broker.inprocess import InProcess, wish
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
