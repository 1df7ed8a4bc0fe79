"""Rights in Azure, asked before access is given: young enough to allow, younger to refuse."""

from datetime import timedelta

import pytest

from jit.broker.rights.asked_rights import AskedRights
from jit.broker.rights.kept_rights import KeptRights
from jit.broker.rights.reading_pace import ReadingPace
from jit.broker.rights.rights_reader import RightsReader
from jit.domain.authorization.needed_actions import INITIATE
from jit.domain.decision.verdict import FindingKind
from jit.domain.errors import CannotTell, Unavailable
from jit.domain.model.shown_access import YES
from jit.domain.values.times import format_instant
from tests.builders.authorization import PERSON, a_deny, a_principal, an_assignment
from tests.builders.machines import a_configured_vm
from tests.builders.values import MINUTE, NOW
from tests.fakes.authorization import FakeAuthorization

VM = a_configured_vm()
ASKED = [(VM, "#/virtualMachines/0/id")]
SECONDS = timedelta(seconds=1)
GROUP_DENY = a_deny(principals=[a_principal("7ea30000-0000-4000-8000-0000000000aa", "Group")])


@pytest.fixture
def arm():
    return FakeAuthorization()


@pytest.fixture
def kept(arm):
    return KeptRights(RightsReader(lambda: arm, ReadingPace()))


def judge(kept, now=NOW, *, is_enforced=True):
    return AskedRights(kept, is_enforced=is_enforced).judge_request(PERSON, ASKED, now)


def lose_rights(arm):
    arm.people[PERSON] = []


def break_lists(arm, monkeypatch):
    def fail(path, api_version, chosen=""):
        raise Unavailable("no answer")

    monkeypatch.setattr(arm, "list", fail)


def test_an_owner_has_no_finding_and_a_record(kept):
    found = judge(kept)

    assert found.findings == ()
    assert found.record == {"allowed": True, "readAt": format_instant(NOW), "errors": []}


def test_a_person_without_rights_has_one_finding_for_each_action(arm, kept):
    """The record has the first five of them."""
    lose_rights(arm)

    found = judge(kept)

    assert {each.kind for each in found.findings} == {FindingKind.RIGHTS}
    assert [each.violation.code for each in found.findings] == ["rbac-missing-action"] * 5
    assert INITIATE in found.findings[0].violation.detail
    assert (found.record["allowed"], len(found.record["errors"])) == (False, 5)


def test_rights_of_the_last_five_minutes_allow(arm, kept):
    judge(kept)
    lose_rights(arm)

    assert judge(kept, NOW + 5 * MINUTE - SECONDS).findings == ()
    assert judge(kept, NOW + 5 * MINUTE).findings


def test_a_refusal_is_read_anew_after_half_a_minute(arm, kept):
    """A role that was activated just now counts. Before that, Azure is not asked again."""
    lose_rights(arm)
    judge(kept)
    arm.people.clear()
    before = len(arm.paths)

    assert judge(kept, NOW + 29 * SECONDS).findings
    assert len(arm.paths) == before
    assert judge(kept, NOW + 30 * SECONDS).findings == ()


def test_a_refusal_stands_if_it_cannot_be_read_anew(arm, kept, monkeypatch):
    """It is five minutes old at most."""
    lose_rights(arm)
    judge(kept)
    break_lists(arm, monkeypatch)

    assert judge(kept, NOW + MINUTE).findings


@pytest.mark.parametrize("break_it", [break_lists, lambda arm, _: arm.denials.append(GROUP_DENY)])
def test_an_unknown_right_refuses_nobody_and_allows_nobody(arm, kept, monkeypatch, break_it):
    """Azure does not answer, or a deny assignment names a group whose members are not known."""
    break_it(arm, monkeypatch)

    with pytest.raises(CannotTell):
        judge(kept)


def test_known_groups_tell_if_a_deny_assignment_of_a_group_applies(arm, kept):
    """Only then: else nobody can tell."""
    asked = AskedRights(kept, is_enforced=True)
    arm.denials.append(GROUP_DENY)
    member = frozenset({"7ea30000-0000-4000-8000-0000000000aa"})

    assert asked.judge_request(PERSON, ASKED, NOW, frozenset()).findings == ()
    assert len(asked.judge_request(PERSON, ASKED, NOW, member).findings) == 5
    assert len(asked.find_denials(PERSON, ASKED, NOW, member)) == 5
    assert asked.describe_machines(PERSON, [VM], NOW, frozenset()) == [YES]


def test_a_report_decides_nothing(arm, kept):
    """Its record has the decision that it would have made."""
    lose_rights(arm)

    found = judge(kept, is_enforced=False)

    assert (found.findings, found.record["allowed"]) == ((), False)


def test_a_report_is_not_stopped_by_a_failure(arm, kept, monkeypatch):
    break_lists(arm, monkeypatch)

    found = judge(kept, is_enforced=False)

    assert (found.findings, found.record["allowed"], found.record["readAt"]) == ((), None, None)
    assert [each["code"] for each in found.record["errors"]] == ["cannot-tell"]


def test_access_lasts_longer_by_rights_of_the_last_minute(arm, kept):
    asked = AskedRights(kept, is_enforced=True)
    judge(kept)
    lose_rights(arm)

    assert asked.find_denials(PERSON, ASKED, NOW + MINUTE - SECONDS) == ()
    assert len(asked.find_denials(PERSON, ASKED, NOW + MINUTE)) == 5
    assert AskedRights(kept, is_enforced=False).find_denials(PERSON, ASKED, NOW) == ()


def test_each_machine_of_a_list_has_an_answer(arm, kept):
    """By one reading for all of them."""
    other = a_configured_vm("web02")
    arm.people[PERSON] = [an_assignment(VM.id.partition("/providers/")[0])]
    arm.denials = [a_deny(other.id)]

    found = AskedRights(kept, is_enforced=True).describe_machines(PERSON, [VM, other], NOW)

    assert (found[0], found[1].may) == (YES, False)
    assert "a deny assignment takes the action" in str(found[1].reason)
    assert len(arm.paths) == 3


def test_a_list_says_if_nobody_can_tell(arm, kept, monkeypatch):
    """And it is answered."""
    break_lists(arm, monkeypatch)

    (found,) = AskedRights(kept, is_enforced=True).describe_machines(PERSON, [VM], NOW)

    assert (found.may, found.reason) == (
        None,
        "roles and deny assignments in Azure could not be read",
    )


def test_a_list_without_machines_reads_nothing(arm, kept):
    """A list under a setting that only reports does not either."""
    assert AskedRights(kept, is_enforced=True).describe_machines(PERSON, [], NOW) == []
    assert AskedRights(kept, is_enforced=False).describe_machines(PERSON, [VM], NOW) == [YES]
    assert arm.paths == []
