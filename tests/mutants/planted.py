"""
The planted bugs: a piece of code, a careless change of it, and the tests that notice.

Each is one edit, and each is a mistake that systems of this kind have really been known for.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """
    One planted bug.

    Attributes:
        promise: The promise that it breaks, as in ``docs/promises.md``.
        path: The module, from the root.
        was: The code; it stands there exactly once.
        becomes: The bug.
        caught_by: The tests; each of them must fail.
    """

    name: str
    promise: str
    path: str
    was: str
    becomes: str
    caught_by: tuple[str, ...]


def law(path: str, name: str) -> str:
    """Return a test as pytest names it."""
    return f"{path}::{name}"


MUTANTS = (
    Mutant(
        name="a bar is not asked at acceptance",
        promise="P1",
        path="jit/broker/requests/acceptance/judgement.py",
        was="barred = () if kept.has_faults else self.bars.find_recent(people, now)\n",
        becomes="barred = ()\n",
        caught_by=(
            law(
                "tests/broker/test_bars.py",
                "test_a_barred_person_is_denied_before_any_policy_is_asked",
            ),
        ),
    ),
    Mutant(
        name="a bar is asked for the caller alone",
        promise="P1",
        path="jit/broker/requests/acceptance/judgement.py",
        was="people = (caller,) if missing else (caller, submission.requester)\n",
        becomes="people = (caller,)\n",
        caught_by=(
            law(
                "tests/broker/requests/test_on_behalf.py",
                "test_a_bar_on_the_person_or_on_the_caller_denies_the_request",
            ),
        ),
    ),
    Mutant(
        name="a caller learns of a bar on somebody for whom it may not ask",
        promise="P1",
        path="jit/broker/requests/acceptance/judgement.py",
        was="people = (caller,) if missing else (caller, submission.requester)\n",
        becomes="people = (caller, submission.requester)\n",
        caught_by=(
            law(
                "tests/broker/requests/test_on_behalf.py",
                "test_a_caller_who_may_not_ask_for_others_does_not_learn_who_is_barred",
            ),
        ),
    ),
    Mutant(
        name="the request of a barred caller is extended",
        promise="P1",
        path="jit/broker/requests/person_checks.py",
        was="        people = (caller, requester, request.asked_by)\n",
        becomes="        people = (caller, requester)\n",
        caught_by=(
            law(
                "tests/broker/requests/test_on_behalf.py",
                "test_nobody_extends_a_request_of_a_barred_person_or_caller",
            ),
        ),
    ),
    Mutant(
        name="another identity provider signs callers in",
        promise="P1",
        path="jit/domain/authorization/platform_authentication.py",
        was="        if name != _ENTRA and not is_off:\n",
        becomes="        if name == _CUSTOM and not is_off:\n",
        caught_by=(
            law(
                "tests/domain/authorization/test_platform_authentication.py",
                "test_another_provider_that_is_not_turned_off_is_a_fault",
            ),
        ),
    ),
    Mutant(
        name="a custom provider signs callers in",
        promise="P1",
        path="jit/domain/authorization/platform_authentication.py",
        was="            is_off = provider in (None, {})\n",
        becomes="            is_off = True\n",
        caught_by=(
            law(
                "tests/domain/authorization/test_platform_authentication.py",
                "test_a_custom_provider_is_a_fault",
            ),
        ),
    ),
    Mutant(
        name="a token of any issuer that writes the tenant is believed",
        promise="P1",
        path="jit/domain/authorization/token_claims.py",
        was='    return is_of_entra_id(issuer) and tenant in issuer.lower().split("/")\n',
        becomes='    return tenant in issuer.lower().split("/")\n',
        caught_by=(
            law(
                "tests/domain/authorization/test_token_claims.py",
                "test_a_token_of_another_tenant_or_for_another_audience_names_nobody",
            ),
        ),
    ),
    Mutant(
        name="anybody may ask for others",
        promise="P1",
        path="jit/domain/decision/on_behalf.py",
        was="    if Role.SYSTEM not in caller.roles:\n",
        becomes="    if not caller.roles:\n",
        caught_by=(
            law(
                "tests/domain/decision/test_on_behalf.py",
                "test_any_other_request_is_refused_and_the_role_named",
            ),
        ),
    ),
    Mutant(
        name="a bar is not asked at opening",
        promise="P1",
        path="jit/broker/policy_worker/worker.py",
        was="            view = self.barred.ask(grants, view, state)\n",
        becomes="",
        caught_by=(
            law(
                "tests/broker/policy_worker/test_barred_requests.py",
                "test_a_bar_after_acceptance_keeps_the_request_closed",
            ),
        ),
    ),
    Mutant(
        name="rights in Azure are not asked at acceptance",
        promise="P1",
        path="jit/broker/requests/acceptance/judgement.py",
        was="        return replace(judgement, findings=findings, rights=found.record)\n",
        becomes="        return replace(judgement, rights=found.record)\n",
        caught_by=(
            law("tests/broker/test_requester_rbac.py", "test_a_person_without_roles_is_denied"),
        ),
    ),
    Mutant(
        name="rights in Azure are not asked at opening",
        promise="P1",
        path="jit/broker/policy_worker/worker.py",
        was="            return self.unentitled.ask(grants, view, state)\n",
        becomes="            return view\n",
        caught_by=(
            law(
                "tests/broker/policy_worker/test_unentitled_requests.py",
                "test_a_role_that_is_lost_after_acceptance_keeps_the_request_closed",
            ),
        ),
    ),
    Mutant(
        name="rights that were read before the acceptance count at opening",
        promise="P1",
        path="jit/broker/policy_worker/unentitled_requests.py",
        was="        since = max(request.created_at, now + self._elapsed - OPENED_BY)\n",
        becomes="        since = now - OPENED_BY\n",
        caught_by=(
            law(
                "tests/broker/policy_worker/test_unentitled_requests.py",
                "test_a_role_that_is_lost_after_acceptance_keeps_the_request_closed",
            ),
        ),
    ),
    Mutant(
        name="rights that cannot be read are rights",
        promise="P1",
        path="jit/broker/policy_worker/unentitled_requests.py",
        was="        except Unavailable:\n            return (), UNPROVED\n",
        becomes="        except Unavailable:\n            return (), ''\n",
        caught_by=(
            law(
                "tests/broker/policy_worker/test_unentitled_requests.py",
                "test_without_an_answer_nothing_opens_and_closing_goes_on",
            ),
        ),
    ),
    Mutant(
        name="a deny assignment that cannot be read denies nothing",
        promise="P1",
        path="jit/domain/authorization/deny_assignments.py",
        was="        if not self.is_readable:\n            return None\n",
        becomes="        if not self.is_readable:\n            return False\n",
        caught_by=(
            law(
                "tests/domain/authorization/test_rights.py",
                "test_a_deny_assignment_that_cannot_be_read_leaves_nothing_allowed",
            ),
        ),
    ),
    Mutant(
        name="bars that cannot be read bar nobody",
        promise="P1",
        path="jit/broker/policy_worker/barred_requests.py",
        was="            return replace(view, unasked=frozenset(waiting))\n",
        becomes="            return view\n",
        caught_by=(
            law(
                "tests/broker/policy_worker/test_barred_requests.py",
                "test_without_bars_nothing_opens_and_closing_goes_on",
            ),
        ),
    ),
    Mutant(
        name="a path that opens is asked for although the bar of its person is not known",
        promise="P1",
        path="jit/domain/grants/admission.py",
        was="    return context.now + LOOK_WHILE_OPENING if is_held else None\n",
        becomes="    return None\n",
        caught_by=(
            law(
                "tests/domain/grants/test_initiate.py",
                "test_a_vm_port_waits_while_nobody_knows_if_a_person_of_an_opening_path_is_barred",
            ),
        ),
    ),
    Mutant(
        name="a path is called open although the bar of its person is not known",
        promise="P1",
        path="jit/domain/grants/opening.py",
        was="unread = unread or admission.explain_unknown_person(grant, context)\n",
        becomes="unread = unread or ''\n",
        caught_by=(
            law(
                "tests/broker/policy_worker/test_barred_requests.py",
                "test_a_path_that_azure_opens_while_bars_cannot_be_read_is_not_open",
            ),
        ),
    ),
    Mutant(
        name="a companion is written although the bar of its person is not known",
        promise="P1",
        path="jit/domain/grants/companions.py",
        was="        stopped = frozenset() if held else ",
        becomes="        stopped = ",
        caught_by=(
            law(
                "tests/domain/grants/test_companions.py",
                "test_a_vm_port_gets_no_companion_while_it_may_open_the_path_of_a_barred_person",
            ),
        ),
    ),
    Mutant(
        name="one list of a policy without a VM ends the access to it",
        promise="P6",
        path="jit/observer/policy.py",
        was="        view, doubted=frozenset(unlisted - proved), missing=",
        becomes="        view, doubted=view.doubted, missing=",
        caught_by=(
            law(
                "tests/observer/test_policy.py",
                "test_a_vm_that_two_looks_did_not_find_in_its_policy_was_taken_out",
            ),
        ),
    ),
    Mutant(
        name="the revocation of a bar dies with its process",
        promise="P3",
        path="jit/broker/reconcile/due_work.py",
        was="        if any(bar.revoking for bar in self.bars.read().known):\n",
        becomes="        if not self.bars:\n",
        caught_by=(
            law(
                "tests/broker/barring/test_bar_revocation.py",
                "test_the_timer_finishes_an_order_that_died_half_way",
            ),
        ),
    ),
    Mutant(
        name="the order of a bar is done while calls may be under way",
        promise="P3",
        path="jit/broker/barring/bar_changes.py",
        was="is_done = done.is_complete and now >= stored.bar.at + ORDER_LASTS\n",
        becomes="is_done = done.is_complete\n",
        caught_by=(
            law(
                "tests/broker/barring/test_bar_revocation.py",
                "test_a_booking_by_old_bars_is_revoked_by_the_timer",
            ),
        ),
    ),
    Mutant(
        name="each removal in a busy NSG waits longer than the one before",
        promise="P2",
        path="jit/broker/policy_worker/worker.py",
        was="step.grants, state.lease.row.changed_at, now",
        becomes="step.grants, None, now",
        caught_by=(
            law(
                "tests/broker/test_slow_settling.py",
                "test_revoked_rules_of_one_nsg_go_one_after_the_other_without_a_growing_wait",
            ),
        ),
    ),
    Mutant(
        name="leftovers in an NSG that is being updated wait for the schedule",
        promise="P2",
        path="jit/domain/reconcile/plan.py",
        was="    holders += observed.nsgs.values()\n",
        becomes="",
        caught_by=(
            law(
                "tests/broker/test_slow_settling.py",
                "test_leftovers_of_one_nsg_need_no_schedule_of_comparisons",
            ),
        ),
    ),
    Mutant(
        name="a scheduled grant promises a hand-over by those who are there today",
        promise="P6",
        path="jit/broker/requests/new_grants.py",
        was="        if grant.status is Status.SCHEDULED:\n",
        becomes="        if grant.status is None:\n",
        caught_by=(
            law(
                "tests/broker/requests/test_new_grants.py",
                "test_a_scheduled_grant_promises_no_hand_over",
            ),
        ),
    ),
    Mutant(
        name="an end waits until all parts of an initiate are asked for",
        promise="P2",
        path="jit/broker/azure_changes.py",
        was="            if outcome.is_enough(age):\n",
        becomes="            if outcome.is_enough(age / 100):\n",
        caught_by=(
            law(
                "tests/broker/test_long_openings.py",
                "test_a_revocation_waits_for_no_more_than_the_time_that_a_pass_has_to_ask",
            ),
        ),
    ),
    Mutant(
        name="a pass ends before Azure decides about any part",
        promise="P3",
        path="jit/broker/azure_changes.py",
        was="            if outcome.is_enough(age):\n",
        becomes="            if age >= TIME_TO_ASK:\n",
        caught_by=(
            law(
                "tests/broker/test_azure_changes.py",
                "test_a_pass_goes_on_until_azure_has_decided_about_some_port",
            ),
        ),
    ),
    Mutant(
        name="rows of callers are never removed",
        promise="P3",
        path="jit/broker/reconcile/housekeeping.py",
        was="            yield partial(self.idle.sweep_callers, now=now)\n",
        becomes="",
        caught_by=(
            law(
                "tests/broker/reconcile/test_housekeeping.py",
                "test_each_row_that_a_caller_makes_has_an_end",
            ),
        ),
    ),
    Mutant(
        name="a turn on a firewall is swept away with its holder",
        promise="P2",
        path="jit/storage/callers/idle_rows.py",
        was="    return not isinstance(found, FirewallRow) or not (found.holder or found.waiting)\n",
        becomes="    return found is not None\n",
        caught_by=(
            law(
                "tests/storage/callers/test_idle_rows.py",
                "test_a_firewall_that_somebody_holds_and_a_row_of_a_newer_version_stay",
            ),
        ),
    ),
    Mutant(
        name="a lifted bar forgets its order",
        promise="P3",
        path="jit/broker/barring/bar_changes.py",
        was="        if found.bar.revoking:\n",
        becomes="        if not found.bar:\n",
        caught_by=(
            law(
                "tests/broker/barring/test_bar_revocation.py",
                "test_a_lifted_bar_keeps_an_order_that_is_not_done",
            ),
        ),
    ),
    Mutant(
        name="the order of a bar that cannot be read is lost when it is lifted",
        promise="P3",
        path="jit/storage/people/bar_rows.py",
        was='row.values.get("Revoking") is not False\n',
        becomes='row.values.get("Revoking") is True\n',
        caught_by=(
            law(
                "tests/broker/barring/test_newer_bars.py",
                "test_a_lifted_bar_that_cannot_be_read_ends_access_if_that_may_be_its_order",
            ),
        ),
    ),
    Mutant(
        name="a bar that cannot be read is not in the list of bars",
        promise="P1",
        path="jit/broker/barring/bar_changes.py",
        was="return sorted([*known, *bars.unreadable], ",
        becomes="return sorted(known, ",
        caught_by=(
            law(
                "tests/broker/barring/test_newer_bars.py",
                "test_a_bar_that_cannot_be_read_bars_and_is_shown",
            ),
        ),
    ),
    Mutant(
        name="the call before the write",
        promise="P2",
        path="jit/broker/policy_worker/worker.py",
        was="        state.save(self.requests, {grant.id: grant for grant in step.grants}, chosen)\n",
        becomes=(
            "        self._act(step, view, state)\n"
            "        state.save(self.requests, {grant.id: grant for grant in step.grants}, chosen)\n"
        ),
        caught_by=(
            law(
                "tests/broker/test_crashes.py",
                "test_the_end_of_a_path_is_durable_before_its_beginning",
            ),
        ),
    ),
    Mutant(
        name="a Deny of a network manager is ignored",
        promise="P4",
        path="jit/domain/paths/blocks.py",
        was="            if obstacle := explain_obstacle(share):\n                return Block(obstacle)\n",
        becomes="            explain_obstacle(share)\n",
        caught_by=(
            law(
                "tests/domain/paths/test_admin_check.py",
                "test_a_deny_blocks_a_path_that_every_nsg_lets_through",
            ),
            law(
                "tests/broker/test_network_managers.py",
                "test_a_denied_path_is_not_open_and_says_why",
            ),
        ),
    ),
    Mutant(
        name="AlwaysAllow of a network manager is ignored at closing",
        promise="P2",
        path="jit/domain/grants/closing.py",
        was="bypass = admin_check.explain_bypass(grant, port.view)",
        becomes='bypass = ""',
        caught_by=(
            law(
                "tests/broker/test_network_managers.py",
                "test_what_is_always_allowed_is_said_when_a_grant_closes",
            ),
            law(
                "tests/broker/test_network_managers.py",
                "test_rules_that_are_not_known_keep_no_grant_from_closing",
            ),
        ),
    ),
    Mutant(
        name="unread rules of a network manager are taken for none",
        promise="P4",
        path="jit/domain/grants/opening.py",
        was="    unread = unread or admin_check.explain_unread(grant, port.view)\n",
        becomes="    unread = unread or admin_check.explain_unread(grant, port.view)[:0]\n",
        caught_by=(
            law(
                "tests/broker/test_network_managers.py",
                "test_a_path_does_not_open_while_the_rules_cannot_be_read",
            ),
            law(
                "tests/broker/test_network_managers.py",
                "test_without_the_permission_nothing_opens_and_the_note_says_what_to_do",
            ),
        ),
    ),
    Mutant(
        name="the end is fixed after the call",
        promise="P2",
        path="jit/domain/grants/admission.py",
        was="        expires_at=end,\n",
        becomes="        expires_at=None,\n",
        caught_by=(
            law(
                "tests/broker/test_crashes.py",
                "test_the_end_of_a_path_is_durable_before_its_beginning",
            ),
            law("tests/broker/policy_worker/test_worker.py", "test_a_path_is_closed_after_its_end"),
        ),
    ),
    Mutant(
        name="nothing is decided again at opening",
        promise="P1",
        path="jit/domain/grants/admission.py",
        was="    if why_not:\n",
        becomes="    if why_not and grant.initiate.attempts:\n",
        caught_by=(
            law(
                "tests/broker/requests/test_accept.py",
                "test_a_request_that_only_the_inventory_allows_is_denied_at_opening",
            ),
        ),
    ),
    Mutant(
        name="a row is replaced whatever it holds by now",
        promise="P3",
        path="jit/gateways/table_storage.py",
        was='    return {"etag": row.etag, "match_condition": MatchConditions.IfNotModified}\n',
        becomes='    return {"etag": "*", "match_condition": MatchConditions.IfPresent}\n',
        caught_by=(law("tests/gateways/test_table_storage.py", "test_a_lost_etag_is_a_conflict"),),
    ),
    Mutant(
        name="turn renewed",
        promise="P2",
        path="jit/broker/firewall_turns.py",
        was=(
            "    return waiting_line.is_first(row.waiting, arm_ids.row_hash(holder), closing=closing,"
            " now=now)\n"
        ),
        becomes=(
            "    return _is_holder(row, holder) or waiting_line.is_first(\n"
            "        row.waiting, arm_ids.row_hash(holder), closing=closing, now=now\n"
            "    )\n"
        ),
        caught_by=(
            law(
                "tests/broker/test_firewall_turns.py",
                "test_a_holder_takes_no_further_turn_while_somebody_waits",
            ),
        ),
    ),
    Mutant(
        name="closing not first",
        promise="P2",
        path="jit/domain/model/waiting_line.py",
        was="        return (not self.closing, self.since, self.holder)\n",
        becomes="        return (False, self.since, self.holder)\n",
        caught_by=(
            law("tests/domain/model/test_waiting_line.py", "test_closing_goes_before_opening"),
            law(
                "tests/broker/test_firewall_turns.py",
                "test_a_turn_to_close_is_taken_before_the_turns_to_open",
            ),
        ),
    ),
    Mutant(
        name="somebody else's lease is ignored",
        promise="P3",
        path="jit/broker/locks.py",
        was="    return version.read_at - version.written_at <= LEASE\n",
        becomes="    return False\n",
        caught_by=(
            law("tests/broker/test_locks.py", "test_a_policy_is_claimed_once"),
            law("tests/broker/test_locks.py", "test_a_lease_holds_to_its_end"),
        ),
    ),
    Mutant(
        name="without a message nothing is finished",
        promise="P3",
        path="jit/broker/reconcile/due_work.py",
        was="        self.wake(row.policy_id for row in self.requests.list_due(subscription, now))\n",
        becomes="        self.wake(())\n",
        caught_by=(
            law(
                "tests/broker/reconcile/test_due_work.py",
                "test_a_tick_wakes_each_policy_with_something_due_once",
            ),
        ),
    ),
    Mutant(
        name="one answer of 404 is taken for gone",
        promise="P2",
        path="jit/observer/policy.py",
        was='    gone = (key for key in read.absent if kind_of(key) == "nsgs")\n',
        becomes='    gone = (key for key in read.gone if kind_of(key) == "nsgs")\n',
        caught_by=(
            law(
                "tests/broker/test_vanished.py",
                "test_one_answer_of_404_does_not_prove_that_a_path_is_closed",
            ),
        ),
    ),
    Mutant(
        name="only the first address of an interface is known",
        promise="P2",
        path="jit/domain/inventory/topology.py",
        was="            for configuration, first in _configurations(nic):\n",
        becomes="            for configuration, first in list(_configurations(nic))[:1]:\n",
        caught_by=(
            law(
                "tests/broker/test_several_addresses.py",
                "test_a_grant_is_not_closed_while_the_rule_of_one_address_is_there",
            ),
        ),
    ),
    Mutant(
        name="the address that a person was told is never looked at again",
        promise="P4",
        path="jit/domain/reconcile/plan.py",
        was="    if grant.status is Status.OPEN and _is_moved(grant, path):\n",
        becomes="    if grant.status is Status.CLOSED and _is_moved(grant, path):\n",
        caught_by=(
            law(
                "tests/broker/test_several_addresses.py",
                "test_an_address_that_changes_while_a_grant_is_open_is_told_within_one_comparison",
            ),
        ),
    ),
    Mutant(
        name="absence is taken for closed",
        promise="P2",
        path="jit/domain/grants/closing.py",
        was="    if not rule_evidence.may_appear(grant, now):\n",
        becomes="    if rule_evidence is not None:\n",
        caught_by=(
            law(
                "tests/domain/grants/test_closing.py",
                "test_a_missing_rule_counts_only_after_it_could_exist",
            ),
        ),
    ),
    Mutant(
        name="a leftover is taken for the rule that was asked for",
        promise="P2",
        path="jit/domain/grants/rule_evidence.py",
        was="    new = [rule for rule in own if make_mark(rule) not in asked.before]\n",
        becomes="    new = list(own)\n",
        caught_by=(
            law(
                "tests/domain/grants/test_rule_evidence.py",
                "test_a_rule_that_was_there_before_says_nothing_of_the_initiate",
            ),
        ),
    ),
    Mutant(
        name="what may not be read is taken for gone",
        promise="P2",
        path="jit/gateways/arm_errors.py",
        was="    kind = {401: PermissionLost, 403: PermissionLost, 404: Gone}.get(status, Refused)\n",
        becomes="    kind = {401: Gone, 403: Gone, 404: Gone}.get(status, Refused)\n",
        caught_by=(
            law("tests/gateways/test_arm.py", "test_a_right_that_was_taken_away_is_its_own_error"),
            law(
                "tests/gateways/test_network.py",
                "test_a_right_that_was_taken_away_is_its_own_error",
            ),
        ),
    ),
    Mutant(
        name="a firewall that is updating counts as open",
        promise="P4",
        path="jit/domain/paths/effective.py",
        was='    return "" if firewall.settled else f"firewall {_name(firewall.id)} is being updated"\n',
        becomes='    return ""\n',
        caught_by=(
            law(
                "tests/broker/policy_worker/test_worker.py",
                "test_a_firewall_vm_is_not_open_before_the_firewall_is_updated",
            ),
            law(
                "tests/domain/paths/test_effective.py",
                "test_a_firewall_that_has_not_succeeded_is_unclear",
            ),
        ),
    ),
    Mutant(
        name="the NSG is judged for the person and not for the firewall",
        promise="P4",
        path="jit/domain/paths/blocks.py",
        was="    return _find_stopped(grant, view, nic, sources, public=False)\n",
        becomes="    return _find_stopped(grant, view, nic, grant.sources, public=False)\n",
        caught_by=(
            law(
                "tests/domain/paths/test_effective.py",
                "test_defenders_own_allow_rule_does_not_help_behind_a_firewall",
            ),
        ),
    ),
    Mutant(
        name="a name like Defender's is taken for proof",
        promise="P5",
        path="jit/domain/grants/removal.py",
        was="    return lets_in(rule, grant) and _opens_some_of(rule, asked)\n",
        becomes="    return asked is not None\n",
        caught_by=(
            law(
                "tests/domain/grants/test_removal.py",
                "test_a_rule_that_opens_something_else_belongs_to_no_grant",
            ),
            law(
                "tests/domain/grants/test_closing.py",
                "test_a_rule_that_is_not_proved_ours_is_never_removed",
            ),
            law(
                "tests/domain/test_reconcile_properties.py",
                "test_a_rule_named_for_removal_is_proved_to_be_of_a_grant_that_is_over",
            ),
        ),
    ),
    Mutant(
        name="a rule's sources are not compared with what was asked",
        promise="P5",
        path="jit/domain/grants/removal.py",
        was="    return rule.exact and Prefixes(rule.sources).are_among(asked)\n",
        becomes="    return rule.exact\n",
        caught_by=(
            law(
                "tests/domain/grants/test_closing.py",
                "test_a_rule_that_is_not_proved_ours_is_never_removed",
            ),
            law(
                "tests/domain/reconcile/test_plan.py",
                "test_an_orphan_that_an_open_grant_passes_through_is_only_reported",
            ),
        ),
    ),
    Mutant(
        name="requests of others do not hold a rule",
        promise="P5",
        path="jit/domain/grants/removal.py",
        was="        requests=tuple(entry for entry in evidence.foreign if may_need(entry, rule)),\n",
        becomes="        requests=(),\n",
        caught_by=(
            law(
                "tests/domain/grants/test_closing.py",
                "test_a_rule_that_lets_in_a_stranger_as_well_stays",
            ),
            law(
                "tests/domain/reconcile/test_plan.py",
                "test_a_leftover_inside_a_strangers_request_is_reported_and_stays",
            ),
        ),
    ),
    Mutant(
        name="a request without sources needs no rule",
        promise="P5",
        path="jit/domain/grants/removal.py",
        was="    return Prefixes(entry.sources).may_share_address(Prefixes(rule.sources))\n",
        becomes="    return bool(entry.sources) and Prefixes(entry.sources).may_share_address(\n"
        "        Prefixes(rule.sources)\n    )\n",
        caught_by=(
            law(
                "tests/domain/grants/test_closing.py",
                "test_no_rule_goes_while_a_strangers_request_is_listed_without_its_sources",
            ),
            law(
                "tests/domain/reconcile/test_plan.py",
                "test_a_strangers_request_without_sources_holds_everything",
            ),
            law(
                "tests/broker/test_azure_changes.py",
                "test_a_rule_that_a_new_foreign_request_may_need_is_not_removed",
            ),
        ),
    ),
    Mutant(
        name="each part of a refused initiate carries all texts",
        promise="P6",
        path="jit/broker/initiate_parts.py",
        was="        ids = (id_ for ask in asks for id_ in self.requests.get(ask.vm_port, ()))\n",
        becomes="        ids = (id_ for each in self.requests.values() for id_ in each if asks)\n",
        caught_by=(
            law(
                "tests/broker/test_initiate_parts.py",
                "test_each_port_opens_unless_azure_refuses_that_port",
            ),
            law(
                "tests/broker/policy_worker/test_send_initiate.py",
                "test_a_text_that_azure_refuses_keeps_nobody_out",
            ),
        ),
    ),
    Mutant(
        name="other grants do not hold a rule",
        promise="P6",
        path="jit/domain/grants/removal.py",
        was="        grants=tuple(users.values()),\n",
        becomes="        grants=(),\n",
        caught_by=(
            law(
                "tests/domain/grants/test_closing.py",
                "test_a_shared_rule_is_not_cut_from_under_a_live_grant",
            ),
            law(
                "tests/domain/reconcile/test_plan.py",
                "test_a_leftover_that_an_open_grant_still_needs_is_reported_and_stays",
            ),
        ),
    ),
    Mutant(
        name="a mark that we never stored is taken for ours",
        promise="P5",
        path="jit/domain/grants/policy_view.py",
        was=(
            "        return entry.initiate_id is None"
            " or entry.initiate_id not in self.policy.known_initiates\n"
        ),
        becomes="        return entry.initiate_id is None\n",
        caught_by=(
            law(
                "tests/domain/grants/test_policy_view.py",
                "test_a_mark_that_the_broker_does_not_know_is_a_strangers",
            ),
        ),
    ),
    Mutant(
        name="the requests of others are not read again before a removal",
        promise="P5",
        path="jit/broker/azure_changes.py",
        was="        return removal.keep_free_rules(rules, requests, known, now=now)\n",
        becomes="        return list(rules) if requests is not None else []\n",
        caught_by=(
            law(
                "tests/broker/test_azure_changes.py",
                "test_a_rule_that_a_new_foreign_request_may_need_is_not_removed",
            ),
        ),
    ),
    Mutant(
        name="the firewall is written whatever it holds by now",
        promise="P5",
        path="jit/gateways/network.py",
        was='_bytes(body), headers={"If-Match": etag}, **_STARTED\n',
        becomes='_bytes(body), headers={"If-Match": "*" if etag else etag}, **_STARTED\n',
        caught_by=(
            law(
                "tests/gateways/test_network.py",
                "test_a_firewall_that_somebody_changed_is_not_replaced",
            ),
        ),
    ),
    Mutant(
        name="sources that overlap are asked for",
        promise="P4",
        path="jit/domain/grants/shared_port.py",
        was="    return drop_covered(join_sources(grants))\n",
        becomes="    return join_sources(grants)\n",
        caught_by=(
            law(
                "tests/domain/grants/test_shared_port.py",
                "test_exactly_the_sources_of_grants_that_need_a_path_are_asked_for",
            ),
            law(
                "tests/machine/test_sharing_orders.py",
                "test_two_people_share_a_port_in_any_order",
            ),
        ),
    ),
    Mutant(
        name="the newcomer's sources alone are asked for",
        promise="P6",
        path="jit/domain/grants/shared_port.py",
        was="    return WantedRequest(_unite(live), end)\n",
        becomes="    return WantedRequest(_unite(live[-1:]), end)\n",
        caught_by=(
            law(
                "tests/domain/grants/test_shared_port.py",
                "test_exactly_the_sources_of_grants_that_need_a_path_are_asked_for",
            ),
            law(
                "tests/broker/policy_worker/test_worker.py",
                "test_a_second_person_joins_without_hurting_the_first",
            ),
        ),
    ),
    Mutant(
        name="a request of somebody else is superseded",
        promise="P6",
        path="jit/domain/grants/initiate.py",
        was="    if current is not None and context.is_foreign(current):\n",
        becomes="    if current is not None and context.is_foreign(current) and not live:\n",
        caught_by=(
            law(
                "tests/domain/grants/test_initiate.py",
                "test_a_strangers_request_from_the_same_place_is_joined",
            ),
        ),
    ),
    Mutant(
        name="several sources are asked for as one wide prefix",
        promise="P7",
        path="jit/domain/azure/initiate_body.py",
        was="    texts = [_prefix_text(source) for source in ask.sources]\n",
        becomes='    texts = ["*"] if ask.sources[1:] else [_prefix_text(ask.sources[0])]\n',
        caught_by=(
            law(
                "tests/domain/azure/test_initiate_body.py",
                "test_an_initiate_names_the_sources_and_no_others",
            ),
            law(
                "tests/broker/policy_worker/test_worker.py",
                "test_a_second_person_joins_without_hurting_the_first",
            ),
        ),
    ),
    Mutant(
        name="a path wider than asked is left open",
        promise="P7",
        path="jit/domain/grants/widened.py",
        was="    if entry is not None:\n",
        becomes="    if entry is not None and not entry.sources:\n",
        caught_by=(
            law(
                "tests/domain/grants/test_widened.py",
                "test_an_entry_that_lists_more_than_was_asked_closes_the_grant",
            ),
        ),
    ),
    Mutant(
        name="sources are judged one by one",
        promise="P7",
        path="jit/domain/requests/access_body.py",
        was="        violations=(*faults, *_find_wide_sum(body.sources, limits)),\n",
        becomes="        violations=faults,\n",
        caught_by=(
            law("tests/domain/requests/test_access_body.py", "test_ten_wide_sources_are_not_one"),
        ),
    ),
    Mutant(
        name="the live sources of a person are not counted",
        promise="P7",
        path="jit/domain/decision/person_limits.py",
        was="    sources = [*access.sources, *(each for grant in held for each in grant.own_sources)]\n",
        becomes="    sources = [*access.sources]\n",
        caught_by=(
            law(
                "tests/domain/decision/test_person_limits.py",
                "test_the_live_sources_of_a_person_on_a_port_count_together",
            ),
        ),
    ),
    Mutant(
        name="sum not counted",
        promise="P6",
        path="jit/broker/requests/accept.py",
        was="            *claim_request(person, new_id, now, counts_today=not submission.is_on_behalf),\n",
        becomes="            *claim_request(person, new_id, now)[1:],\n",
        caught_by=(
            law(
                "tests/broker/requests/acceptance/test_own_limits.py",
                "test_only_one_of_two_hosts_at_once_gets_the_last_place",
            ),
        ),
    ),
    Mutant(
        name="a place is never freed",
        promise="P6",
        path="jit/broker/policy_worker/archive.py",
        was="            self.people.delete_place(first.row.partition, person_id, first.request_id)\n",
        becomes="",
        caught_by=(
            law(
                "tests/broker/requests/acceptance/test_own_limits.py",
                "test_a_request_that_ends_frees_its_place",
            ),
        ),
    ),
    Mutant(
        name="requests that cannot be counted are none",
        promise="P6",
        path="jit/storage/callers/person_rows.py",
        was='            raise CannotTell("the requests of this person could not be counted") from error\n',
        becomes="            return PersonState(place, AcceptedRequests(person_id), {})\n",
        caught_by=(
            law(
                "tests/broker/requests/acceptance/test_own_limits.py",
                "test_requests_that_cannot_be_counted_are_not_none",
            ),
        ),
    ),
    Mutant(
        name="the same key makes a second request",
        promise="P8",
        path="jit/broker/requests/acceptance/repetitions.py",
        was="        return Repetition(known) if known is not None else Repetition(over=row)\n",
        becomes="        return Repetition(over=row)\n",
        caught_by=(
            law(
                "tests/storage/callers/test_idempotency_keys.py",
                "test_the_same_key_with_the_same_body_is_the_same_request",
            ),
        ),
    ),
    Mutant(
        name="the same key with another body is answered",
        promise="P8",
        path="jit/storage/callers/key_rows.py",
        was="        if self.body_hash != call.body_hash:\n",
        becomes='        if self.body_hash == "":\n',
        caught_by=(
            law(
                "tests/storage/callers/test_idempotency_keys.py",
                "test_the_same_key_with_another_body_is_a_conflict",
            ),
        ),
    ),
    Mutant(
        name="a request is stored without its key",
        promise="P8",
        path="jit/broker/requests/accept.py",
        was="        return self._store(request, grants, event, claims, now)\n",
        becomes="        return self._store(request, grants, event, claims[1:], now)\n",
        caught_by=(
            law(
                "tests/storage/callers/test_idempotency_keys.py",
                "test_many_at_the_same_moment_are_one_request",
            ),
        ),
    ),
    Mutant(
        name="a call that the version before accepted is accepted again",
        promise="P8",
        path="jit/storage/callers/earlier_keys.py",
        was="        if found.has_run_out(now) or owner != call.subscription:\n",
        becomes="        if found.has_run_out(now) or owner != call.caller:\n",
        caught_by=(
            law(
                "tests/storage/callers/test_earlier_keys.py",
                "test_a_call_that_an_older_version_accepted_is_not_accepted_again",
            ),
        ),
    ),
    Mutant(
        name="a key that was used anew is swept",
        promise="P8",
        path="jit/storage/callers/idempotency_keys.py",
        was="            if found.has_run_out(now):\n",
        becomes="            if True:\n",
        caught_by=(
            law(
                "tests/storage/callers/test_idempotency_keys.py",
                "test_the_end_of_a_key_that_was_used_anew_goes_alone",
            ),
        ),
    ),
    Mutant(
        name="a joiner is accepted beside anything",
        promise="P9",
        path="jit/domain/values/visible_text.py",
        was='        return "".join(around).isascii() or not all(map(_is_visible, around))\n',
        becomes='        return "".join(around).isascii() or not any(map(_is_visible, around))\n',
        caught_by=(
            law(
                "tests/domain/values/test_visible_text.py",
                "test_a_character_that_nobody_sees_is_hidden",
            ),
        ),
    ),
    Mutant(
        name="a change without its audit row",
        promise="P9",
        path="jit/broker/policy_worker/pass_state.py",
        was="        events = list_transitions(before, after, now=self.now)\n",
        becomes="        events = list_transitions(before, before, now=self.now)\n",
        caught_by=(
            law(
                "tests/broker/policy_worker/test_pass_state.py",
                "test_a_change_and_its_trail_are_stored_together",
            ),
        ),
    ),
    Mutant(
        name="a refusal for another reason is counted as the same",
        promise="P9",
        path="jit/domain/audit/refusal.py",
        was="        return sha256(write_canonical_json([*same, reasons]).encode()).hexdigest()\n",
        becomes="        return sha256(write_canonical_json(same).encode()).hexdigest()\n",
        caught_by=(
            law(
                "tests/domain/audit/test_refusal.py",
                "test_a_reason_beyond_the_named_ones_makes_another_refusal",
            ),
        ),
    ),
    Mutant(
        name="another web site of the same company may change things",
        promise="P1",
        path="jit/api/cross_origin.py",
        was='        return site not in {"same-origin", "none"}\n',
        becomes='        return site not in {"same-origin", "same-site", "none"}\n',
        caught_by=(
            law(
                "tests/api/test_cross_origin.py",
                "test_a_browser_may_not_change_things_for_another_page",
            ),
        ),
    ),
    Mutant(
        name="an old browser's origin is not read",
        promise="P1",
        path="jit/api/cross_origin.py",
        was="    return bool(origin) and not _is_own(origin, host, public_base_url)\n",
        becomes="    return not host and not _is_own(origin, host, public_base_url)\n",
        caught_by=(
            law(
                "tests/api/test_cross_origin.py",
                "test_an_old_browser_may_not_change_things_for_another_page",
            ),
        ),
    ),
    Mutant(
        name="a caller of another tenant is believed",
        promise="P1",
        path="jit/domain/authorization/token_claims.py",
        was='        single.get(_TENANT, "").lower() == tenant\n',
        becomes="        _TENANT in single\n",
        caught_by=(
            law(
                "tests/api/test_principal.py",
                "test_only_callers_of_the_own_tenant_are_believed",
            ),
        ),
    ),
    Mutant(
        name="a claim that must be single may be there twice",
        promise="P1",
        path="jit/domain/authorization/token_claims.py",
        was="            if not isinstance(value, str) or not value or kind in texts:\n",
        becomes="            if not isinstance(value, str) or not value:\n",
        caught_by=(
            law(
                "tests/domain/authorization/test_token_claims.py",
                "test_a_claim_that_must_be_single_is_there_once_and_is_a_text",
            ),
        ),
    ),
    Mutant(
        name="an application may show an ID token",
        promise="P1",
        path="jit/domain/authorization/token_claims.py",
        was="    return Kind.APPLICATION if has_client and _may_be_own(claims) else None\n",
        becomes="    return Kind.APPLICATION\n",
        caught_by=(
            law(
                "tests/domain/authorization/test_token_claims.py",
                "test_an_application_without_an_access_token_of_its_own_is_nobody",
            ),
        ),
    ),
    Mutant(
        name="the platform may exclude any path",
        promise="P1",
        path="jit/domain/authorization/platform_authentication.py",
        was="        if path not in EXCLUDED_PATHS:\n",
        becomes='        if path == "/*":\n',
        caught_by=(
            law(
                "tests/domain/authorization/test_platform_authentication.py",
                "test_any_other_excluded_path_is_a_fault",
            ),
        ),
    ),
    Mutant(
        name="the path that the front end received is not read",
        promise="P1",
        path="jit/api/raw_path.py",
        was='    targets = [req.url, *(req.headers.get(name, "") for name in _RAW_TARGETS)]\n',
        becomes="    targets = [req.url]\n",
        caught_by=(
            law(
                "tests/api/test_raw_path.py",
                "test_the_target_that_the_front_end_received_must_be_plain_too",
            ),
        ),
    ),
    Mutant(
        name="an escape in capital letters is plain",
        promise="P1",
        path="jit/api/raw_path.py",
        was='(?:^|/)\\.\\.?(?:/|$)", re.IGNORECASE)\n',
        becomes='(?:^|/)\\.\\.?(?:/|$)")\n',
        caught_by=(
            law(
                "tests/api/test_raw_path.py",
                "test_a_path_with_a_second_reading_is_not_plain",
            ),
        ),
    ),
    Mutant(
        name="a body without a media type is taken for JSON",
        promise="P1",
        path="jit/api/body.py",
        was="    if _JSON_TYPE.fullmatch(media_type) is None:\n",
        becomes="    if media_type and _JSON_TYPE.fullmatch(media_type) is None:\n",
        caught_by=(law("tests/api/test_body.py", "test_a_body_without_a_media_type_is_refused"),),
    ),
    Mutant(
        name="a function without roles answers everybody",
        promise="P1",
        path="jit/triggers/answers.py",
        was="    if not roles:\n        raise TypeError",
        becomes="    if not answers:\n        raise TypeError",
        caught_by=(law("tests/triggers/test_answers.py", "test_a_function_must_name_its_roles"),),
    ),
    Mutant(
        name="a subscription that was dropped is forgotten",
        promise="P2",
        path="jit/broker/reconcile/due_work.py",
        was="        return (*self.named, *(each for each in dropped if self.requests.has_grants(each)))\n",
        becomes="        return (*self.named, *(each for each in dropped if not each))\n",
        caught_by=(
            law(
                "tests/broker/test_lost_subscriptions.py",
                "test_a_dropped_subscription_is_compared_while_it_has_grants",
            ),
        ),
    ),
    Mutant(
        name="a timer that never ran is well",
        promise="P2",
        path="jit/broker/health.py",
        was='        yield Problem(code=TICK_LATE, detail="the timer tick has never run")\n',
        becomes="        yield from ()\n",
        caught_by=(
            law("tests/broker/test_health.py", "test_a_broker_that_never_ticked_is_not_well"),
        ),
    ),
    Mutant(
        name="a firewall that nobody compared is forgotten",
        promise="P5",
        path="jit/broker/firewall_turns.py",
        was=(
            '            raise StateConflict("the turn on the firewall could not be written")\n'
            "        _compare_foreign(before, foreign)\n"
        ),
        becomes='            raise StateConflict("the turn on the firewall could not be written")\n',
        caught_by=(
            law(
                "tests/broker/test_firewall_turns.py",
                "test_the_next_update_compares_the_digest_that_the_last_one_left",
            ),
        ),
    ),
    Mutant(
        name="every group is somebody else's",
        promise="P4",
        path="jit/domain/azure/nsg_rules.py",
        was="    own = [group for group in every if arm_ids.key(group) in memberships]\n",
        becomes="    own = [group for group in every if group in memberships]\n",
        caught_by=(
            law(
                "tests/domain/azure/test_nsg_effect.py",
                "test_the_memberships_of_the_interface_decide_about_a_rule_for_groups",
            ),
        ),
    ),
    Mutant(
        name="a duration that is not understood is the longest",
        promise="P1",
        path="jit/domain/azure/port_rules.py",
        was="_parse_duration(port.get(PolicyField.DURATION)) or timedelta(0),\n",
        becomes="_parse_duration(port.get(PolicyField.DURATION)) or timedelta(1),\n",
        caught_by=(
            law(
                "tests/domain/inventory/test_topology.py",
                "test_a_port_rule_allows_only_the_sources_that_can_be_read",
            ),
        ),
    ),
    Mutant(
        name="others are looked for only when the companion is added",
        promise="P7",
        path="jit/domain/grants/step.py",
        was="    withdraw,\n    accompany,\n",
        becomes="    accompany,\n",
        caught_by=(
            law(
                "tests/domain/grants/test_companions.py",
                "test_an_open_grant_loses_its_companion_as_soon_as_others_would_come_through_it",
            ),
            law(
                "tests/broker/test_foreign_nat.py",
                "test_nobody_else_comes_in_by_the_companion_of_an_open_grant",
            ),
        ),
    ),
    Mutant(
        name="a companion counts although others come through it",
        promise="P7",
        path="jit/domain/paths/companion_paths.py",
        was="    if path.state is PathState.OPEN or not (path.blocked_by or is_doubtful):\n",
        becomes="    if path.state is not PathState.OPEN:\n",
        caught_by=(
            law(
                "tests/domain/paths/test_companion_paths.py",
                "test_a_companion_does_not_count_while_others_would_come_through_it",
            ),
            law(
                "tests/domain/grants/test_companions.py",
                "test_no_companion_if_a_customers_nat_rule_leads_to_the_same_port",
            ),
        ),
    ),
    Mutant(
        name="the comparison looks at no companion of a live grant",
        promise="P7",
        path="jit/domain/reconcile/companion_check.py",
        was="        yield from items or _check_ways(found, observed, owners)\n",
        becomes="        yield from items\n",
        caught_by=(
            law(
                "tests/domain/reconcile/test_companion_check.py",
                "test_a_companion_by_which_others_would_come_in_goes",
            ),
            law("tests/broker/test_foreign_nat.py", "test_the_plan_says_what_the_run_does"),
        ),
    ),
    Mutant(
        name="a NAT rule for a name leads to no companion",
        promise="P7",
        path="jit/domain/paths/foreign_nat.py",
        was="    return to is None or any(to.overlaps(target) for target in targets)\n",
        becomes="    return to is not None and any(to.overlaps(target) for target in targets)\n",
        caught_by=(
            law(
                "tests/domain/paths/test_foreign_nat.py",
                "test_a_customers_rule_that_may_lead_to_the_port_is_a_foreign_way",
            ),
            law(
                "tests/broker/test_foreign_nat.py",
                "test_nobody_else_comes_in_by_the_companion_of_an_open_grant",
            ),
        ),
    ),
    Mutant(
        name="the name of a collection proves a NAT rule beside a companion",
        promise="P7",
        path="jit/domain/paths/foreign_nat.py",
        was="    return asked is None or Prefixes(rule.sources).are_inside(asked)\n",
        becomes="    return True\n",
        caught_by=(
            law(
                "tests/domain/paths/test_foreign_nat.py",
                "test_a_rule_in_defenders_collection_that_nobody_asked_for_is_foreign",
            ),
            law(
                "tests/domain/grants/test_companions.py",
                "test_a_leftover_of_defender_for_others_is_a_stranger_too",
            ),
        ),
    ),
    Mutant(
        name="a companion is added while the firewall is being updated",
        promise="P7",
        path="jit/domain/grants/companions.py",
        was="    if firewall is None or not firewall.settled:",
        becomes="    if firewall is None or firewall.failed:",
        caught_by=(
            law(
                "tests/domain/grants/test_companions.py",
                "test_no_companion_while_the_firewall_is_being_updated",
            ),
            law(
                "tests/broker/test_foreign_nat.py",
                "test_the_grant_opens_again_when_the_customer_takes_the_rule_back",
            ),
        ),
    ),
    Mutant(
        name="a closing grant takes the companion of the others",
        promise="P6",
        path="jit/domain/paths/companion_paths.py",
        was="    return list_standing_of([own for own in list_owners(grant) if own not in wanted], view)\n",
        becomes="    return list_standing(grant, view)\n",
        caught_by=(
            law(
                "tests/domain/grants/test_companions.py",
                "test_the_companion_goes_with_the_last_grant_that_wants_its_path",
            ),
            law(
                "tests/broker/test_shared_companions.py",
                "test_a_grant_that_ends_leaves_the_companion_to_the_others",
            ),
        ),
    ),
    Mutant(
        name="a grant is closed while a withdrawn companion lets its sources in",
        promise="P2",
        path="jit/domain/paths/companion_owners.py",
        was="    return frozenset(wanted - going)\n",
        becomes="    return frozenset(wanted)\n",
        caught_by=(
            law(
                "tests/domain/grants/test_companions.py",
                "test_a_grant_is_not_closed_while_others_come_in_by_the_companion_of_its_port",
            ),
            law(
                "tests/broker/test_foreign_nat.py",
                "test_a_grant_is_not_closed_while_its_sources_come_in_by_the_companion",
            ),
        ),
    ),
    Mutant(
        name="a newcomer forgets where the companion led before it came",
        promise="P6",
        path="jit/domain/grants/companions.py",
        was="    former = set(known).difference(list_addresses(port.view.vm))\n",
        becomes="    former: set[str] = set()\n",
        caught_by=(
            law(
                "tests/domain/grants/test_companions.py",
                "test_a_newcomer_is_not_closed_by_a_companion_for_a_former_address",
            ),
        ),
    ),
    Mutant(
        name="the last grant leaves a companion that another had written",
        promise="P2",
        path="jit/domain/paths/companion_owners.py",
        was="    return (grant.id, find_shared_owner(grant)) if may_share(grant) else (grant.id,)\n",
        becomes="    return (grant.id,)\n",
        caught_by=(
            law(
                "tests/domain/grants/test_companions.py",
                "test_the_companion_goes_with_the_last_grant_that_wants_its_path",
            ),
            law(
                "tests/domain/reconcile/test_companion_check.py",
                "test_a_shared_companion_of_grants_that_are_over_is_removed",
            ),
        ),
    ),
    Mutant(
        name="the comparison takes a companion that a grant still wants",
        promise="P6",
        path="jit/domain/reconcile/companion_check.py",
        was="    elif not wanting:\n",
        becomes="    elif len(wanting) < len(named):\n",
        caught_by=(
            law(
                "tests/domain/reconcile/test_companion_check.py",
                "test_a_shared_companion_stands_as_long_as_one_grant_wants_it",
            ),
        ),
    ),
    Mutant(
        name="a busy NSG is written to again in the same pass",
        promise="P2",
        path="jit/broker/azure_changes.py",
        was="            busy.note(resource_id, error)\n",
        becomes="",
        caught_by=(
            law(
                "tests/broker/test_busy_resources.py",
                "test_writes_to_one_resource_end_at_the_first_busy",
            ),
            law(
                "tests/broker/test_shared_companions.py",
                "test_a_pass_writes_no_more_to_an_nsg_that_is_busy",
            ),
        ),
    ),
    Mutant(
        name="one short list of VMs closes a grant",
        promise="P6",
        path="jit/domain/inventory/last_known.py",
        was="    if absence.is_proved(now):\n        return None\n",
        becomes="    if absence.since <= now:\n        return None\n",
        caught_by=(
            law(
                "tests/domain/inventory/test_last_known.py",
                "test_a_list_that_was_empty_once_changes_nothing_of_a_vm",
            ),
            law(
                "tests/broker/test_short_lists.py",
                "test_one_short_list_of_vms_closes_no_grant",
            ),
        ),
    ),
    Mutant(
        name="one empty list of firewalls withdraws a companion",
        promise="P6",
        path="jit/domain/inventory/last_known.py",
        was="    lost = [each for each in _list_owners(vm, last) if each not in listed]\n",
        becomes="    lost: list[str] = []\n",
        caught_by=(
            law(
                "tests/domain/inventory/test_last_known.py",
                "test_a_short_list_of_firewalls_hides_no_change_of_the_policy",
            ),
            law(
                "tests/broker/test_short_lists.py",
                "test_one_empty_list_takes_no_path_away",
            ),
        ),
    ),
    Mutant(
        name="a grant that needs a companion and may have none is hoped for",
        promise="P4",
        path="jit/domain/decision/jit_policy.py",
        was="    yield from _find_obstacles(access, port, machine, now)\n",
        becomes="",
        caught_by=(
            law(
                "tests/domain/decision/test_jit_policy.py",
                "test_a_port_that_could_not_open_is_refused_with_what_to_do",
            ),
            law(
                "tests/broker/test_foreign_nat.py",
                "test_a_request_for_a_published_port_is_refused_with_what_to_do",
            ),
        ),
    ),
    Mutant(
        name="a deny rule in front of Defender's rule is hoped for",
        promise="P4",
        path="jit/domain/obstacles/nsg_obstacles.py",
        was="if rule.priority < before]",
        becomes="if rule.priority < _FIRST]",
        caught_by=(
            law(
                "tests/domain/obstacles/test_nsg_obstacles.py",
                "test_a_deny_rule_in_front_of_every_free_priority_stops_its_sources",
            ),
            law(
                "tests/broker/test_standing_obstacles.py",
                "test_a_source_that_could_never_get_in_is_refused_and_the_vm_warns",
            ),
        ),
    ),
    Mutant(
        name="of two source fields that contradict each other, one counts",
        promise="P7",
        path="jit/domain/azure/port_rules.py",
        was='        return (f"{one!r} or {many!r}",)\n',
        becomes="        return (str(one), *map(str, many))\n",
        caught_by=(
            law(
                "tests/domain/azure/test_port_rules.py",
                "test_source_members_that_contradict_each_other_allow_nothing",
            ),
        ),
    ),
    Mutant(
        name="a grant opens while its VM is in two JIT policies",
        promise="P1",
        path="jit/observer/policy.py",
        was="if fault is not None and key not in unreadable and _is_hidden(fault, fresh.get(key))",
        becomes="if fault is not None and key in unreadable and _is_hidden(fault, fresh.get(key))",
        caught_by=(
            law(
                "tests/broker/test_policy_faults.py",
                "test_a_grant_waits_while_its_vm_is_in_two_policies_and_opens_afterwards",
            ),
        ),
    ),
    Mutant(
        name="callers at the same time look each for themselves",
        promise="P2",
        path="jit/broker/single_flight.py",
        was="is_first = self._running is None and not self._is_resting(now)",
        becomes="is_first = not self._is_resting(now)",
        caught_by=(
            law(
                "tests/broker/test_shared_looks.py",
                "test_callers_of_one_host_at_the_same_time_share_one_look",
            ),
        ),
    ),
    Mutant(
        name="whoever waits for a look that dies waits on",
        promise="P2",
        path="jit/broker/single_flight.py",
        was="            running.set_result(kept)\n",
        becomes="            if kept is not None:\n                running.set_result(kept)\n",
        caught_by=(
            law(
                "tests/broker/test_single_flight.py",
                "test_a_call_that_fails_leaves_nobody_waiting",
            ),
        ),
    ),
    Mutant(
        name="health looks whenever somebody asks",
        promise="P2",
        path="jit/broker/health.py",
        was="pause=PROBE_PAUSE,",
        becomes="pause=0.0,",
        caught_by=(
            law(
                "tests/broker/test_health.py",
                "test_a_probe_that_fails_is_made_again_after_ten_seconds",
            ),
            law(
                "tests/broker/test_azure_rate.py",
                "test_a_hundred_calls_of_ten_people_cost_azure_no_more_than_one",
            ),
        ),
    ),
    Mutant(
        name="each denial looks at Azure",
        promise="P2",
        path="jit/broker/look_pace.py",
        was="if row is not None and _is_recent(row):",
        becomes="if row is not None and row.owner and _is_recent(row):",
        caught_by=(
            law(
                "tests/broker/test_look_pace.py",
                "test_a_look_may_begin_30_seconds_after_the_end_of_the_last_one",
            ),
            law(
                "tests/broker/test_shared_looks.py",
                "test_denials_of_all_callers_and_hosts_make_one_look_in_30_seconds",
            ),
            law(
                "tests/broker/reconcile/test_dry_run.py",
                "test_a_second_dry_run_within_30_seconds_is_409_and_calls_nothing",
            ),
        ),
    ),
    Mutant(
        name="a list of an empty subscription reads Azure for ever",
        promise="P2",
        path="jit/broker/requests/pages/inventory_pages.py",
        was="if row is not None and row.compared_at is not None:",
        becomes="if known:",
        caught_by=(
            law(
                "tests/broker/requests/test_queries.py",
                "test_a_subscription_without_vms_is_not_read_again_at_each_list",
            ),
        ),
    ),
    Mutant(
        name="dry runs hold up the comparison",
        promise="P2",
        path="jit/broker/reconcile/dry_run.py",
        was="keys.PLAN",
        becomes="keys.COMPARISON",
        caught_by=(
            law("tests/broker/reconcile/test_dry_run.py", "test_dry_runs_put_off_no_comparison"),
        ),
    ),
    Mutant(
        name="each wish for a look is a look",
        promise="P4",
        path="jit/broker/requests/fresh_look.py",
        was="else max(now, last + LOOK_PAUSE)",
        becomes="else now",
        caught_by=(
            law(
                "tests/broker/requests/test_fresh_look.py",
                "test_a_policy_is_looked_at_once_in_half_a_minute_however_many_ask",
            ),
        ),
    ),
    Mutant(
        name="a look serves the one who caused it alone",
        promise="P4",
        path="jit/broker/policy_worker/worker.py",
        was="wishes=self.locks.list_wishes(policy_id) if look is not None else frozenset(),",
        becomes="wishes=frozenset(),",
        caught_by=(
            law(
                "tests/broker/requests/test_fresh_look.py",
                "test_the_next_look_at_a_policy_serves_everybody_who_asked_meanwhile",
            ),
        ),
    ),
    Mutant(
        name="many wishes push another one out",
        promise="P4",
        path="jit/broker/requests/fresh_look.py",
        was="< MOST_ASKED else ALL_PATHS",
        becomes="< MOST_ASKED else next(iter(recent))",
        caught_by=(
            law(
                "tests/broker/requests/test_fresh_look.py",
                "test_a_row_that_is_full_of_wishes_pushes_nobody_out",
            ),
        ),
    ),
    Mutant(
        name="new requests are not gathered",
        promise="P2",
        path="jit/broker/policy_worker/due_grants.py",
        was="if find_gathering_time(state.lease.row) > 0:",
        becomes="if find_gathering_time(state.lease.row) > 60:",
        caught_by=(
            law(
                "tests/broker/test_azure_rate.py",
                "test_new_requests_cost_azure_the_same_however_many_come",
            ),
        ),
    ),
    Mutant(
        name="tightening: a pass does not compare live grants with their policy",
        promise="P1",
        path="jit/domain/grants/step.py",
        was="    every = admission.decide_standing(grants, policy, now=now)\n",
        becomes="    every = tuple(grants)\n",
        caught_by=(
            law(
                "tests/broker/test_tightening.py",
                "test_a_live_grant_that_a_tightened_policy_no_longer_allows_is_closed_with_the_reason",
            ),
            law(
                "tests/domain/grants/test_admission.py",
                "test_a_standing_grant_that_its_policy_no_longer_allows_is_denied",
            ),
        ),
    ),
    Mutant(
        name="tightening: the longest access of live grants is not looked at",
        promise="P1",
        path="jit/domain/grants/admission.py",
        was="    return grant if end is None else replace(grant, expires_at=end)\n",
        becomes="    return grant\n",
        caught_by=(
            law(
                "tests/broker/test_tightening.py",
                "test_a_shorter_longest_access_brings_a_later_end_forward",
            ),
            law(
                "tests/broker/test_tightening.py",
                "test_an_extension_on_its_way_is_held_to_the_tightened_policy",
            ),
        ),
    ),
    Mutant(
        name="tightening: only the message tells of grants outside",
        promise="P3",
        path="jit/broker/configure/configure.py",
        was="            make_outside_due(self.requests, plan.policy_id, after, now=now)\n",
        becomes="            _ = make_outside_due\n",
        caught_by=(
            law(
                "tests/broker/test_tightening.py",
                "test_a_death_right_after_the_write_loses_nothing",
            ),
        ),
    ),
    Mutant(
        name="tightening: a comparison does not look for grants outside",
        promise="P3",
        path="jit/domain/reconcile/plan.py",
        was="        elif outside := plan_outside(grant, view.vm, now=owners.now):\n",
        becomes="        elif outside := plan_outside(grant, view.vm, now=owners.now) and None:\n",
        caught_by=(
            law(
                "tests/broker/test_tightening.py",
                "test_the_next_comparison_ends_access_outside_a_policy_that_was_narrowed_in_azure",
            ),
        ),
    ),
    Mutant(
        name="tightening: one 404 for a policy ends its access",
        promise="P6",
        path="jit/observer/policy.py",
        was="    is_deleted = arm_ids.row_hash(policy_id) in missed\n",
        becomes="    is_deleted = arm_ids.row_hash(policy_id) not in missed\n",
        caught_by=(
            law(
                "tests/broker/test_tightening.py",
                "test_a_deleted_policy_ends_its_access_after_two_looks",
            ),
            law(
                "tests/observer/test_policy.py",
                "test_a_policy_that_two_looks_did_not_find_has_no_entries",
            ),
        ),
    ),
    Mutant(
        name="an operator's change is written over an answer that lacks VMs",
        promise="P5",
        path="jit/broker/configure/configure.py",
        was="        if why:\n",
        becomes="        if why and before is None:\n",
        caught_by=(
            law(
                "tests/broker/test_odd_policies.py",
                "test_a_put_writes_nothing_over_an_answer_that_may_lack_vms",
            ),
            law(
                "tests/broker/test_odd_policies.py",
                "test_a_vm_that_only_the_inventory_has_in_the_policy_stops_a_change",
            ),
        ),
    ),
    Mutant(
        name="the requests of an answer without a list of VMs count as all",
        promise="P6",
        path="jit/observer/subscription.py",
        was="        if not policy_json.is_readable(found):\n",
        becomes="        if False:\n",
        caught_by=(
            law(
                "tests/broker/test_odd_policies.py",
                "test_one_answer_without_a_list_replaces_nobody_elses_request",
            ),
        ),
    ),
    Mutant(
        name="tightening: a wider source counts as narrower",
        promise="P6",
        path="jit/domain/policy_setup/narrowing.py",
        was="        and all(_allows(old, text) for text in new.allowed_sources)\n",
        becomes="        and any(_allows(old, text) for text in new.allowed_sources)\n",
        caught_by=(
            law(
                "tests/domain/policy_setup/test_narrowing.py",
                "test_one_thing_more_is_no_narrowing",
            ),
            law(
                "tests/broker/test_tightening.py",
                "test_a_change_that_widens_or_moves_waits_while_a_path_is_live",
            ),
        ),
    ),
    Mutant(
        name="the new is judged with what closes",
        promise="P2",
        path="jit/broker/policy_worker/worker.py",
        was="        if closing := choose_closing(state):\n",
        becomes="        if closing := choose_closing(state)[:0]:\n",
        caught_by=(
            law(
                "tests/broker/policy_worker/test_due_grants.py",
                "test_nothing_new_is_stored_before_what_must_close_is_removed",
            ),
        ),
    ),
    Mutant(
        name="each closing grant judges each rule anew",
        promise="P2",
        path="jit/domain/grants/closing.py",
        was="    return port.memo.recall((_judge, rule, now, elsewhere), judge)\n",
        becomes="    return judge()\n",
        caught_by=(
            law(
                "tests/domain/grants/test_step.py",
                "test_a_step_over_twice_as_many_grants_of_one_port_costs_twice_as_much",
            ),
        ),
    ),
    Mutant(
        name="a closed grant's source was never named",
        promise="P6",
        path="jit/domain/model/named_sources.py",
        was="    for grant in (*grants, *others):\n",
        becomes="    for grant in grants:\n",
        caught_by=(
            law(
                "tests/domain/model/test_named_sources.py",
                "test_a_grant_that_is_closed_by_now_still_tells_its_sources",
            ),
        ),
    ),
    Mutant(
        name="calls a minute are not counted",
        promise="P2",
        path="jit/triggers/answers.py",
        was="    wiring.call_counts().count(caller.id, is_change=is_change, now=wiring.clock())\n",
        becomes="",
        caught_by=(
            law(
                "tests/triggers/test_answers.py",
                "test_a_call_too_many_is_429_before_the_query_is_read_and_says_when_to_come_back",
            ),
        ),
    ),
    Mutant(
        name="a text is not compared with its salted hash",
        promise="P9",
        path="jit/domain/audit/export_line.py",
        was='        if sha256(raw + text.encode("utf-8", "surrogatepass")).hexdigest() != hashes[name]:\n',
        becomes="        if name not in hashes:\n",
        caught_by=(
            law(
                "tests/domain/audit/test_verification.py",
                "test_an_erased_text_cannot_be_replaced_by_another_one",
            ),
        ),
    ),
    Mutant(
        name="texts go before the record of their erasure is in the chain",
        promise="P9",
        path="jit/broker/auditing/erasures.py",
        was="            if self.outbox.has_changes_until(chain, stored.order.at):\n",
        becomes="            if self.outbox.has_refusals_until(chain, stored.order.at):\n",
        caught_by=(
            law(
                "tests/broker/auditing/test_erasures.py",
                "test_no_text_goes_before_the_record_of_the_order_is_in_the_chain",
            ),
        ),
    ),
    Mutant(
        name="a justification is a formula in a table of records",
        promise="P9",
        path="jit/api/audit/audit_answer.py",
        was='    return f"\'{cell}" if cell.startswith(_FORMULA) else cell\n',
        becomes="    return cell\n",
        caught_by=(
            law(
                "tests/api/audit/test_audit_answer.py",
                "test_a_cell_that_a_spreadsheet_would_compute_gets_an_apostrophe",
            ),
        ),
    ),
    Mutant(
        name="of events that share a row, only the first is recorded",
        promise="P9",
        path="jit/storage/audit_chain.py",
        was="            for event in read_events(row):\n",
        becomes="            for event in read_events(row)[:1]:\n",
        caught_by=(
            law(
                "tests/storage/test_audit_chain.py",
                "test_events_that_share_a_row_are_records_of_their_own",
            ),
        ),
    ),
    Mutant(
        name="rows of events do not count in a transaction",
        promise="P9",
        path="jit/storage/trail/event_rows.py",
        was="len(ops) + 1 + after.rows > OPERATIONS",
        becomes="len(ops) + 1 > OPERATIONS",
        caught_by=(
            law(
                "tests/storage/trail/test_event_rows.py",
                "test_the_events_of_a_crowd_take_few_rows_and_keep_their_order",
            ),
        ),
    ),
    Mutant(
        name="denials are recorded without being counted",
        promise="P9",
        path="jit/storage/outbox.py",
        was="                        admit()\n                        is_admitted = True\n",
        becomes="                        is_admitted = True\n",
        caught_by=(
            law(
                "tests/broker/test_denial_limit.py",
                "test_two_instances_that_deny_at_once_record_no_more_than_one_would",
            ),
            law(
                "tests/broker/test_denial_limit.py",
                "test_a_caller_is_denied_so_often_an_hour_and_then_429",
            ),
        ),
    ),
    Mutant(
        name="a call that was refused makes the caller wait longer",
        promise="P2",
        path="jit/broker/call_counts.py",
        was="        if minute.count <= most:\n            self._minutes[key] = minute\n",
        becomes="        self._minutes[key] = RateWindow(begin=now, count=minute.count)\n",
        caught_by=(
            law(
                "tests/broker/test_call_counts.py",
                "test_after_the_wait_the_next_call_passes_however_many_came_meanwhile",
            ),
        ),
    ),
    Mutant(
        name="an extension may move an end by a second",
        promise="P6",
        path="jit/domain/decision/extension.py",
        was="    return any(new_end >= end + LEAST_STEP for end in ends)\n",
        becomes="    return any(new_end > end for end in ends)\n",
        caught_by=(
            law(
                "tests/broker/requests/test_change.py",
                "test_an_extension_moves_an_end_by_five_minutes_at_least",
            ),
        ),
    ),
    Mutant(
        name="extensions do not wait for each other",
        promise="P6",
        path="jit/broker/requests/no_change.py",
        was="    return None if is_done or now >= until else until\n",
        becomes="    return None\n",
        caught_by=(
            law(
                "tests/broker/requests/test_change.py",
                "test_no_extension_comes_while_one_is_on_its_way",
            ),
            law(
                "tests/broker/requests/test_change.py",
                "test_an_extension_behind_a_firewall_is_on_its_way_for_its_update",
            ),
        ),
    ),
    Mutant(
        name="HTTP may take every thread of the worker",
        promise="P2",
        path="host.json",
        was='      "maxConcurrentRequests": 16,\n',
        becomes='      "maxConcurrentRequests": 48,\n',
        caught_by=(
            law(
                "tests/test_function_app.py",
                "test_http_leaves_each_queue_as_many_threads_as_it_works_on",
            ),
        ),
    ),
    Mutant(
        name="a token names the request of somebody else",
        promise="P9",
        path="jit/storage/lists/row_scan.py",
        was="        if self.search.sought.requester is None:\n",
        becomes="        if last:\n",
        caught_by=(
            law(
                "tests/storage/lists/test_row_scan.py",
                "test_a_scan_among_others_ends_at_the_last_full_hour",
            ),
            law(
                "tests/broker/requests/pages/test_request_pages.py",
                "test_a_token_between_others_requests_is_a_round_time",
            ),
        ),
    ),
    Mutant(
        name="a page of a list goes on until it is full",
        promise="P9",
        path="jit/broker/requests/pages/request_pages.py",
        was="if len(found) == _PAGE or budget.left < least:",
        becomes="if len(found) == _PAGE:",
        caught_by=(
            law(
                "tests/broker/requests/pages/test_request_pages.py",
                "test_a_list_of_twenty_subscriptions_goes_on_page_by_page",
            ),
        ),
    ),
    Mutant(
        name="a list misses the history that the version before wrote",
        promise="P9",
        path="jit/storage/lists/row_scan.py",
        was="        return count_machines(group[0]) == len(group) - 1\n",
        becomes="        return True\n",
        caught_by=(
            law(
                "tests/storage/lists/test_row_scan.py",
                "test_grants_without_the_columns_of_their_request_are_read_with_all_rows",
            ),
        ),
    ),
    Mutant(
        name="the policy forgets what Azure took before the rows of the grants say so",
        promise="P4",
        path="jit/broker/policy_worker/pass_state.py",
        was="        return earlier.union(filter(None, newest))\n",
        becomes="        return frozenset(filter(None, newest)) - self.lease.row.answered\n",
        caught_by=(
            law(
                "tests/broker/policy_worker/test_pass_state.py",
                "test_an_answer_of_an_earlier_pass_stands_until_the_rows_say_so",
            ),
        ),
    ),
    Mutant(
        name="a request moves while it has grants under another policy",
        promise="P2",
        path="jit/storage/moves/closed_requests.py",
        was="            if policies == {arm_ids.key(rows[0].policy_id)}:\n",
        becomes="            if policies:\n",
        caught_by=(
            law(
                "tests/storage/moves/test_closed_requests.py",
                "test_a_request_with_grants_under_another_policy_stays",
            ),
        ),
    ),
    Mutant(
        name="an answer to a part of an initiate counts for all parts",
        promise="P4",
        path="jit/broker/policy_worker/send_initiate.py",
        was="        if all(_is_just_taken(grant, outcome) for grant in asking):\n",
        becomes="        if any(_is_just_taken(grant, outcome) for grant in asking):\n",
        caught_by=(
            law(
                "tests/broker/policy_worker/test_send_initiate.py",
                "test_an_answer_to_a_part_of_an_initiate_stands_with_its_grants",
            ),
        ),
    ),
    Mutant(
        name="an initiate that outlasts its lease is noted as taken",
        promise="P2",
        path="jit/broker/policy_worker/send_initiate.py",
        was="        if not self.locks.is_held(state.lease):\n",
        becomes="        if False:\n",
        caught_by=(
            law(
                "tests/broker/policy_worker/test_send_initiate.py",
                "test_an_initiate_that_outlasts_its_lease_opens_nothing_for_a_closed_grant",
            ),
        ),
    ),
    Mutant(
        name="access without a grant is shown to a requester",
        promise="P9",
        path="jit/broker/requests/pages/access_pages.py",
        was="    kinds = (_GRANTS, _OTHERS) if may_see_all(caller) else (_OWN,)\n",
        becomes="    kinds = (_GRANTS, _OTHERS)\n",
        caught_by=(
            law(
                "tests/broker/requests/pages/test_access_pages.py",
                "test_a_requester_sees_no_access_without_a_grant",
            ),
            law(
                "tests/broker/requests/pages/test_access_pages.py",
                "test_a_forged_token_shows_a_requester_nothing_of_others",
            ),
        ),
    ),
    Mutant(
        name="a list of access in a strange subscription is empty",
        promise="P9",
        path="jit/broker/requests/pages/access_pages.py",
        was="        if text not in wanted:\n",
        becomes="        if text == field:\n",
        caught_by=(
            law(
                "tests/broker/requests/pages/test_access_pages.py",
                "test_a_subscription_that_is_not_looked_after_is_refused",
            ),
        ),
    ),
    Mutant(
        name="a path that must close is no access",
        promise="P9",
        path="jit/broker/requests/pages/access_pages.py",
        was="            if grant.may_have_path and ",
        becomes="            if grant.wants_path and ",
        caught_by=(
            law(
                "tests/broker/requests/pages/test_access_pages.py",
                "test_access_is_listed_from_the_call_of_azure_until_it_is_observed_gone",
            ),
        ),
    ),
    Mutant(
        name="access by a request that cannot be read is left out",
        promise="P9",
        path="jit/broker/requests/pages/access_pages.py",
        was="        return person is None or request is None or request.requester.matches(person)\n",
        becomes="        return request is not None and request.requester.matches(person or request.requester.id)\n",
        caught_by=(
            law(
                "tests/broker/requests/pages/test_access_pages.py",
                "test_a_grant_whose_request_cannot_be_read_is_listed_without_its_person",
            ),
        ),
    ),
    Mutant(
        name="access in a dropped subscription is left out",
        promise="P9",
        path="jit/broker/requests/pages/access_pages.py",
        was="caller, {*self.named, *rows}, self.named)",
        becomes="caller, self.named, self.named)",
        caught_by=(
            law(
                "tests/broker/requests/pages/test_access_pages.py",
                "test_access_in_a_dropped_subscription_is_listed_until_it_is_closed",
            ),
        ),
    ),
    Mutant(
        name="an initiate for another person opens a path without rights",
        promise="P1",
        path="jit/broker/policy_worker/unentitled_requests.py",
        was="        sure = self.ask(grants, view, state, frozenset(ask.vm_port for ask in asks))\n",
        becomes="        sure = self.ask(grants, view, state)\n",
        caught_by=(
            law(
                "tests/broker/policy_worker/test_unentitled_requests.py",
                "test_an_initiate_of_others_asks_for_the_rights_behind_its_sources",
            ),
        ),
    ),
    Mutant(
        name="an end waits for readings of rights",
        promise="P2",
        path="jit/broker/policy_worker/worker.py",
        was="            state.readings.may_begin = False  # no end waits for them\n",
        becomes="            state.readings.may_begin = True\n",
        caught_by=(
            law(
                "tests/broker/policy_worker/test_unentitled_requests.py",
                "test_a_removal_does_not_wait_for_readings_of_rights",
            ),
        ),
    ),
)
