"""A person without rights in Azure gets nothing, and learns the action, scope and next step."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from jit.broker.look_pace import LOOK_PAUSE
from jit.domain.errors import AccessDenied, CannotTell, InvalidRequest, Unavailable
from jit.domain.values.times import format_instant
from jit.settings import RequesterRbac
from tests.broker.inprocess import ALICE, AUDRA, BOB, farm, person, policy_of, wish
from tests.builders.authorization import a_deny, a_principal, an_assignment
from tests.local.azure.sim import DB01, DEVELOPMENT, HUB01, WEB01

MINUTE = timedelta(minutes=1)


@pytest.fixture
def poor(broker):
    """A broker whose requester Alice has no role in Azure."""
    broker.authorization.people[ALICE.id] = []
    return broker


def codes(error):
    return [each.code for each in error.value.violations]


def events(broker, what):
    docs = [json.loads(str(row.values["Doc"])) for row in broker.state.rows("a|")]
    return [each for each in docs if each["what"] == what]


def lose_lists(broker, monkeypatch):
    def fail(path, api_version, chosen=""):
        raise Unavailable("no answer", retry_after_seconds=17)

    monkeypatch.setattr(broker.authorization, "list", fail)


def test_a_person_without_roles_is_denied(poor):
    """403 with each missing action and its scope, and a record."""
    with pytest.raises(AccessDenied) as error:
        poor.accept(wish(farm(1)))

    assert codes(error) == ["rbac-missing-action"] * 5
    first = error.value.violations[0]
    action = "Microsoft.Security/locations/jitNetworkAccessPolicies/initiate/action"
    assert (first.pointer, f"{action} at {policy_of(farm(1))}" in first.detail) == (
        "#/virtualMachines/0/id",
        True,
    )
    (found,) = events(poor, "request.denied")
    assert found["requestId"] == error.value.request_id
    assert poor.state.rows("r|") == ()


def test_each_vm_is_judged_on_its_own(broker):
    """The group of the other VM is not covered."""
    scope = farm(1).partition("/providers/")[0]
    broker.authorization.people[ALICE.id] = [an_assignment(scope)]

    with pytest.raises(AccessDenied) as error:
        broker.accept(wish((farm(1), farm(11))))

    assert {each.pointer for each in error.value.violations} == {"#/virtualMachines/1/id"}
    assert broker.accept(wish(farm(1)))


def test_rights_are_named_before_the_jit_policy(poor):
    """All faults at once, the deciding ones first."""
    with pytest.raises(AccessDenied) as error:
        poor.accept(wish(farm(1), 4711))

    assert codes(error) == [*["rbac-missing-action"] * 5, "port-not-in-policy"]


def test_a_fault_comes_before_the_rights(poor):
    """And Azure is not asked about its person."""
    with pytest.raises(InvalidRequest):
        poor.accept(wish(farm(1), duration="P2D"))
    assert poor.calls.count("rights.") == 0


def test_a_barred_person_is_not_asked_about(poor):
    poor.bar(ALICE)

    with pytest.raises(AccessDenied) as error:
        poor.accept(wish(farm(1)))
    assert (codes(error), poor.calls.count("rights.")) == (["barred"], 0)


def test_rights_are_not_read_for_a_vm_that_is_not_known(poor):
    """A subscription that the broker does not look after is one of these cases."""
    elsewhere = DB01.replace("5c0ffee0", "0badcafe")

    for vm in (f"{DB01}x", elsewhere):
        with pytest.raises(AccessDenied) as error:
            poor.accept(wish(vm))
        assert codes(error) == ["vm-not-found"]
    assert poor.calls.count("rights.") == 0


def test_a_vm_without_a_policy_is_judged_too(poor):
    with pytest.raises(AccessDenied) as error:
        poor.accept(wish(HUB01))

    assert codes(error)[0] == "rbac-missing-action"
    assert "vm-unsupported" in codes(error)


def test_a_dry_run_tells_of_the_rights(poor):
    decision = poor.preview(wish(farm(1)))

    assert (decision.allowed, {each.code for each in decision.errors}) == (
        False,
        {"rbac-missing-action"},
    )


def test_other_people_ask_as_before(poor):
    assert poor.accept(wish(farm(1)), BOB)


def test_the_record_of_an_acceptance_has_the_time_of_the_reading(broker):
    broker.preview(wish(farm(1)))
    read_at = broker.now
    broker.advance(MINUTE)
    broker.accept(wish(farm(1)))

    (found,) = events(broker, "request.accepted")
    assert found["facts"]["rbac"] == {
        "allowed": True,
        "readAt": format_instant(read_at),
        "errors": [],
    }


def test_a_report_accepts_and_records_its_reasons(poor):
    """The dry run has no fault either."""
    poor.name(*poor.subscriptions, requester_rbac=RequesterRbac.REPORT)

    assert poor.preview(wish(farm(1))).allowed
    assert poor.accept(wish(farm(1)))

    (found,) = events(poor, "request.accepted")
    rbac = found["facts"]["rbac"]
    assert rbac["allowed"] is False
    assert [each["code"] for each in rbac["errors"]] == ["rbac-missing-action"] * 5


def test_a_report_that_nobody_can_give_is_recorded_as_such(poor, monkeypatch):
    poor.name(*poor.subscriptions, requester_rbac=RequesterRbac.REPORT)
    lose_lists(poor, monkeypatch)

    assert poor.accept(wish(farm(1)))
    assert events(poor, "request.accepted")[0]["facts"]["rbac"]["allowed"] is None


def test_rights_that_are_off_are_neither_read_nor_recorded(poor):
    poor.name(*poor.subscriptions, requester_rbac=RequesterRbac.OFF)

    assert poor.accept(wish(farm(1)))
    assert poor.calls.count("rights.") == 0
    assert "rbac" not in events(poor, "request.accepted")[0]["facts"]


def test_if_rights_cannot_be_read_nothing_is_accepted(broker, monkeypatch):
    """503 with the wait, and the key stays free. Kept rights are enough."""
    broker.preview(wish(farm(1)), BOB)
    lose_lists(broker, monkeypatch)

    for ask in (broker.accept, broker.preview):
        with pytest.raises(CannotTell) as error:
            ask(wish(farm(1)))
        assert (codes(error), error.value.retry_after_seconds) == (["cannot-tell"], 17)
    assert broker.accept(wish(farm(1)), BOB)
    assert events(broker, "request.denied") == []

    monkeypatch.undo()
    broker.advance(LOOK_PAUSE)
    assert broker.accept(wish(farm(1)), key="CHG0030001")


def test_a_repetition_gets_the_request_of_the_first_call(broker, monkeypatch):
    """Without rights, and while nobody can tell: it gives no new access."""
    first = broker.accept(wish(farm(1)), key="CHG0030001").request.id
    broker.authorization.people[ALICE.id] = []
    broker.advance(6 * MINUTE)
    assert broker.accept(wish(farm(1)), key="CHG0030001").request.id == first

    lose_lists(broker, monkeypatch)
    broker.advance(6 * MINUTE)
    assert broker.accept(wish(farm(1)), key="CHG0030001").request.id == first


def test_a_denial_leaves_the_key_free(poor):
    """The person may activate a role and repeat the call, after half a minute."""
    with pytest.raises(AccessDenied):
        poor.accept(wish(farm(1)), key="CHG0030001")
    poor.authorization.people.clear()
    poor.advance(LOOK_PAUSE)

    assert poor.accept(wish(farm(1)), key="CHG0030001")


def test_many_calls_of_one_person_cost_azure_three_lists(poor):
    """A refusal too: the next reading comes after half a minute."""
    for number in range(30):
        with pytest.raises(AccessDenied):
            poor.accept(wish(farm(1), justification=f"reason number {number}"))

    assert poor.calls.count("rights.") == 3


# ---- lists of virtual machines -------------------------------------------------------------------


def list_own(broker, caller=ALICE, **query):
    """The answers about the VMs of a list, by name."""
    found, _ = broker.queries.list_machines(DEVELOPMENT, caller, now=broker.now, **query)
    return {vm.name: access.may_request for vm, access in found}


def test_a_list_says_for_which_vms_the_caller_may_ask(broker):
    """By the same rights that decide about a request."""
    scope = farm(1).partition("/providers/")[0]
    broker.authorization.people[ALICE.id] = [an_assignment(scope)]

    found = list_own(broker)

    assert (found["farm01"].may, found["farm01"].reason) == (True, None)
    assert found["farm11"].may is False
    assert "lacks the action" in str(found["farm11"].reason)
    assert set(list_own(broker, mine=True)) == {
        name for name, answer in found.items() if answer.may
    }


def test_a_list_is_answered_although_nobody_can_tell(broker, monkeypatch):
    """The own machines are all then: a failure hides none."""
    lose_lists(broker, monkeypatch)

    found = list_own(broker, mine=True)

    assert {each.may for each in found.values()} == {None}
    assert set(found) == set(list_own(broker))


def test_a_caller_who_is_no_requester_may_not_ask(broker):
    """Azure is not read for them."""
    assert {each.may for each in list_own(broker, AUDRA).values()} == {False}
    assert list_own(broker, AUDRA, mine=True) == {}
    assert broker.calls.count("rights.") == 0


def test_many_people_cost_azure_one_list_each(broker):
    """However often each of them asks within five minutes, and two for all of them together."""
    people = [replace(ALICE, id=f"c40d0000-0000-4000-8000-{n:012d}") for n in range(1, 11)]

    for _ in range(10):
        for caller in people:
            list_own(broker, caller)
            broker.preview(wish(farm(1)), caller)
    assert broker.calls.count("rights.") == 2 + len(people)


def test_a_list_costs_azure_three_lists_at_most(broker):
    """A hundred of them within five minutes cost no more."""
    for _ in range(100):
        list_own(broker)

    assert broker.calls.count("rights.") == 3


def test_every_requester_may_ask_if_rights_do_not_count(poor):
    poor.name(*poor.subscriptions, requester_rbac=RequesterRbac.OFF)

    assert {each.may for each in list_own(poor).values()} == {True}


# ---- people of the landscape, by the lists of Azure ----------------------------------------------


@pytest.fixture
def real(broker):
    """A broker that reads the lists of the simulated Azure."""
    broker.roles = broker.azure.arm
    broker.name(*broker.subscriptions)
    return broker


@pytest.mark.parametrize("name", ["alice", "bob", "carol", "dave"])
def test_the_requesters_of_the_landscape_may_ask_everywhere(real, name):
    for vm in (farm(1), DB01, WEB01):
        assert real.preview(wish(vm, 3389 if vm == WEB01 else 22), person(name)).errors == ()


def test_erin_has_rights_by_a_group_at_one_group_of_resources(real):
    """The group is a member of another group."""
    erin = person("erin")

    assert real.preview(wish(WEB01, 3389), erin).errors == ()
    assert {each.code for each in real.preview(wish(DB01), erin).errors} == {"rbac-missing-action"}


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("frank", "rbac-missing-action", "lacks the action"),
        ("grace", "rbac-missing-action", "a deny assignment takes the action"),
        ("heidi", "rbac-condition", "only under a condition"),
    ],
)
def test_each_refusal_of_the_landscape_has_its_words(real, name, code, words):
    """No role, a deny assignment, a condition."""
    errors = real.preview(wish(DB01), person(name)).errors

    assert (errors[0].code, words in errors[0].detail) == (code, True)


def test_a_request_opens_by_the_lists_of_azure(real):
    request_id = real.ask(wish(DB01))
    real.live(5)

    assert real.status(request_id) == "open"


def test_a_throttled_list_is_tried_again_later(real):
    """503, then the request is accepted."""
    real.sim.faults(
        {
            "match": {"path": "roleAssignments"},
            "times": 1,
            "answer": {"status": 429, "retryAfter": 7},
        }
    )

    with pytest.raises(CannotTell):
        real.accept(wish(DB01))
    real.advance(MINUTE)
    assert real.accept(wish(DB01))


def test_the_groups_of_a_token_decide_nothing(broker):
    """They may not be all groups, and nobody knows them when the path opens."""
    everywhere = f"/subscriptions/{DEVELOPMENT}"
    team = a_principal("7ea30000-0000-4000-8000-0000000000aa", "Group")
    broker.authorization.denials.append(a_deny(everywhere, principals=[team]))

    with pytest.raises(CannotTell):
        broker.accept(wish(farm(1)), replace(ALICE, groups=frozenset()))
