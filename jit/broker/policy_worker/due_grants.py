"""The grants that a pass has work for."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from jit.broker.locks import find_gathering_time
from jit.broker.policy_worker.pass_state import Pass
from jit.domain.grants import lifetime
from jit.domain.model.grant import Grant, Status, status_of
from jit.domain.values import arm_ids
from jit.storage import keys
from jit.storage.request_rows import NEW, GrantSummary
from jit.storage.stored import ReadableRows


def choose_closing(state: Pass) -> list[Grant]:
    """
    Return the begun grants of each VM with a grant that is due to close: ends come first.

    The grants that stay on the VM are among them: they tell which rules must stay. New grants are
    not: however many there are, no end waits for a decision about them.
    """
    begun = [grant for grant in state.grants if grant.live and not _is_new(grant)]
    closing = {grant.vm_key for grant in begun if _is_due_to_close(grant, state)}
    return [grant for grant in begun if grant.vm_key in closing]


def _is_due_to_close(grant: Grant, state: Pass) -> bool:
    today = lifetime.advance_by_clock(grant, now=state.now)
    return today.status is Status.CLOSING and grant.next_check_at <= state.now


def choose_due(state: Pass) -> list[Grant]:
    """
    Return the live grants of each VM with due work; while gathering, new grants wait.

    A VM is due too if somebody asked for a look at it, and its last look is old, or if the closing
    part of the pass left its new grants for later.
    """
    live = [grant for grant in state.grants if grant.live]
    if find_gathering_time(state.lease.row) > 0:
        live = [grant for grant in live if not _is_new(grant)]
    held = {grant.id for grant in list_held_back(state)}
    live = [grant for grant in live if grant.id not in held]
    due = {grant.vm_key for grant in live if _is_due(grant, state)}
    return [grant for grant in live if grant.vm_key in due]


def _is_due(grant: Grant, state: Pass) -> bool:
    is_left = grant.vm_key in state.readings.put_off
    return is_left or state.is_asked_for(grant) or grant.next_check_at <= state.now


def list_held_back(state: Pass) -> list[Grant]:
    """Return the new grants on VMs whose past cannot be read: only their time passes."""
    new = [grant for grant in state.grants if _is_new(grant)] if state.unknown_past else []
    return [g for g in new if state.is_held_back(arm_ids.row_hash(g.vm_id), is_new=True)]


def _is_new(grant: Grant) -> bool:
    return grant.status in NEW


class NextWork(NamedTuple):
    """
    A row of grants that needs work again.

    Attributes:
        due_at: When it does.
        is_new: True if Azure was not asked for its grants yet.
    """

    due_at: datetime
    is_new: bool


def list_next_work(state: Pass, found: ReadableRows[GrantSummary]) -> list[NextWork]:
    """
    Return the work that a pass leaves, and the rows that others made due meanwhile.

    Args:
        state: The pass, after its last write.
        found: The rows of the policy that are due soon.
    """
    known = (
        (keys.read_machine(row.row.key), NextWork(row.due_at, status_of(row.grants) in NEW))
        for row in state.rows
    )
    others = ((machine, NextWork(row.due_at, row.is_new)) for machine, row in found.by_machine)
    return [
        work
        for machine, work in (*known, *others)
        if machine not in found.unreadable and not state.is_held_back(machine, is_new=work.is_new)
    ]
