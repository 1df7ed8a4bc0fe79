"""Initiates: one for all that a pass asks, and the meaning of each answer."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from jit import messages
from jit.broker.policy_worker.send_initiate import _apply_refusal
from jit.domain.grants.timing import REFUSAL_PAUSE
from jit.domain.values import arm_ids
from jit.storage.table import Op, Verb
from tests.broker.inprocess import (
    ALICE,
    BOB,
    DAVE,
    HERE,
    THERE,
    farm,
    policy_of,
    wish,
)
from tests.builders.grants import an_opening
from tests.builders.values import MINUTE, NOW

OPENED = 1.0  # minutes in which an NSG opens
FEW = 15


INITIATE = {"method": "POST", "path": "/initiate"}
ACCEPTED = 202
PACED = 9  # times in 20 minutes: after 10, 20, 40, 80, 160, 300 seconds


def test_one_vm_that_azure_refuses_fails_alone(broker):
    """A refused batch is halved down to the VM port at fault; the others open."""
    refusal = {"status": 400, "code": "InvalidJitRequest"}
    broker.sim.faults(
        {"match": {**INITIATE, "bodyContains": "farm03"}, "times": None, "answer": refusal}
    )
    request_id = broker.ask(wish(tuple(farm(n) for n in range(1, 6))))

    broker.live(3)

    found = [(grant.status, grant.close_reason) for grant in broker.whole(request_id).grants]
    assert found == [("open", None)] * 2 + [("closed", "failed")] + [("open", None)] * 2


def refuse_text(broker, text):
    """Azure refuses each initiate whose justification has that text, for ever."""
    refusal = {"status": 400, "code": "InvalidInitiateInput"}
    broker.sim.faults(
        {"match": {**INITIATE, "bodyContains": text}, "times": None, "answer": refusal}
    )


def texts(broker):
    """The reasons in each justification that Azure took, by the names of their VMs."""
    bodies = zip(broker.initiates(), broker.answers(), strict=True)
    return {
        machine["id"].rpartition("/")[2]: set(
            body["justification"].partition("]")[2].strip().split("; ")
        )
        for body, status in bodies
        if status == ACCEPTED
        for machine in body["virtualMachines"]
    }


def test_a_text_that_azure_refuses_keeps_nobody_out(broker):
    """Its own grant opens with the mark alone; each other justification has its own reasons."""
    refuse_text(broker, "<script>")
    asked = [
        broker.ask(wish(farm(1), justification="patch one"), BOB),
        broker.ask(wish(farm(2), justification="<script> patch two"), ALICE),
        broker.ask(wish(farm(3), justification="patch three"), DAVE),
        broker.ask(wish(farm(4), justification="patch four"), DAVE),
    ]

    broker.live(2)

    assert [broker.status(request_id) for request_id in asked] == ["open"] * 4
    found = texts(broker)
    assert found.pop("farm02") == {""}
    own = {
        "farm01": f"{BOB.name}: patch one",
        "farm03": f"{DAVE.name}: patch three",
        "farm04": f"{DAVE.name}: patch four",
    }
    assert found.keys() == own.keys()
    assert all(own[name] in found[name] <= set(own.values()) for name in own)
    assert all(body["justification"].startswith("[jit-broker ") for body in broker.initiates())


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (
            "bob@example.com: CHG0009999 approved\nalice",
            "bob@example.com: CHG0009999 approved alice",
        ),
        ("\u200b\n", ALICE.id),
    ],
)
def test_a_name_is_one_line_in_the_justification_of_defender(broker, name, shown):
    """Also one that an older version stored as it came."""
    broker.ask(wish(farm(1)), replace(ALICE, name=name))
    broker.live(1)

    (body,) = broker.initiates()
    assert f" {shown}: CHG0030001" in body["justification"]
    assert "\n" not in body["justification"]


def test_a_text_that_azure_refuses_costs_two_calls_however_many_vms_it_names(broker):
    """The same text in each half would be refused in each half."""
    refuse_text(broker, "<script>")
    wanted = wish(tuple(farm(n) for n in range(1, 6)), justification="<script> patch")
    request_id = broker.ask(wanted)

    broker.live(2)

    assert broker.status(request_id) == "open"
    assert broker.answers() == [400, 202]


def test_a_refused_text_whose_mark_azure_puts_off_is_asked_for_at_a_bounded_pace(broker):
    """Two calls at each time of the pace that any initiate has, until the deadline."""
    refuse_text(broker, "<script>")
    slow = {"status": 429, "code": "TooManyRequests", "headers": {"Retry-After": "0"}}
    broker.sim.faults({"match": INITIATE, "times": None, "answer": slow})
    request_id = broker.ask(wish(farm(1), justification="<script> patch"))

    broker.live(25)

    assert broker.grant(request_id).close_reason == "failed"
    assert len(broker.initiates()) <= 2 * PACED


def test_two_people_on_one_port_open_though_azure_refuses_the_text_of_one(broker):
    """They share one request in Defender: it has the mark alone."""
    refuse_text(broker, "<script>")
    first = broker.ask(wish(farm(1), justification="<script> patch"))
    second = broker.ask(wish(farm(1), source=THERE, justification="patch two"), DAVE)

    broker.live(2)

    assert [broker.status(each) for each in (first, second)] == ["open"] * 2
    assert texts(broker) == {"farm01": {""}}


def test_a_port_that_is_refused_with_its_text_fails_with_the_second_reason(broker):
    """Azure refused the mark alone too: the text was not the only fault."""
    refuse_text(broker, "farm01")
    request_id = broker.ask(wish(farm(1)))

    broker.live(2)

    assert broker.grant(request_id).note == "Azure refused to open it (InvalidInitiateInput)"
    assert len(broker.initiates()) == len(["with its text", "with the mark alone"])


@pytest.mark.parametrize(("times", "status"), [(1, "open"), (None, "closed")])
def test_a_404_on_an_initiate_is_asked_once_more(broker, times, status):
    """The resource group is there; Azure found it on the second call, or not at all."""
    gone = {"status": 404, "code": "ResourceGroupNotFound"}
    broker.sim.faults({"match": INITIATE, "times": times, "answer": gone})
    request_id = broker.ask(wish(farm(1)))

    broker.live(5)

    assert broker.status(request_id) == status
    assert len(broker.initiates()) == 2


GONE = {"status": 404, "code": "ResourceGroupNotFound"}
AGAIN = "Azure refused to open it (ResourceGroupNotFound); it is asked once more"


def initiated(broker):
    """The times of the broker's initiates, in seconds since the first."""
    log = broker.sim.control("GET", "log")
    times = [
        datetime.fromisoformat(each["at"]) for each in log if each["path"].endswith("/initiate")
    ]
    return [(time - times[0]).total_seconds() for time in times]


@pytest.mark.parametrize(
    "others",
    [(), (wish(farm(1), 3389),), (wish(farm(1), source=THERE),)],
    ids=["alone", "beside another port", "beside another source"],
)
@pytest.mark.parametrize(("times", "status"), [(1, "open"), (2, "closed")])
def test_after_a_404_there_is_a_pause_whoever_else_is_on_the_vm(broker, others, times, status):
    """The pass that another grant needs is no reason to ask at once; the note says the reason."""
    for other in others:
        broker.ask(other, DAVE)
    broker.live(OPENED if others else 0)
    before = len(broker.initiates())
    broker.sim.faults({"match": INITIATE, "times": times, "answer": GONE})
    request_id = broker.ask(wish(farm(1)))
    looks = broker.calls.count("policies.get")
    broker.live(1)

    assert broker.grant(request_id).note == AGAIN
    assert broker.calls.count("policies.get") - looks < FEW

    broker.live(2)
    first, second = initiated(broker)[before:]

    assert 60 <= second - first <= 120

    broker.live(2)

    assert broker.status(request_id) == status


@pytest.mark.parametrize("lost", [{"answer": {"status": 503}}, {"drop": "before"}])
@pytest.mark.parametrize(("times", "status"), [(1, "open"), (None, "closing")])
def test_a_404_after_a_lost_answer_is_asked_once_more(broker, lost, times, status):
    """The first call may have reached Azure: a path is watched until it cannot come."""
    broker.sim.faults({"match": INITIATE, **lost})
    broker.sim.faults({"match": INITIATE, "times": times, "answer": GONE})
    request_id = broker.ask(wish(farm(1)))
    broker.live(1.5)

    assert broker.grant(request_id).note == AGAIN

    broker.live(4)

    assert broker.status(request_id) == status
    assert len(broker.initiates()) == 3

    broker.live(16)

    assert broker.status(request_id) == {"open": "open", "closing": "closed"}[status]


def test_a_newcomer_that_fails_after_two_404s_leaves_the_others_their_path(broker):
    """Its code is the reason; the first person keeps the path."""
    first = broker.ask(wish(farm(1)))
    broker.live(OPENED)
    broker.sim.faults({"match": INITIATE, "times": 2, "answer": GONE})
    second = broker.ask(wish(farm(1), source=THERE), DAVE)
    broker.live(4)

    found = broker.grant(second)
    assert (found.close_reason, found.note) == (
        "failed",
        "Azure refused to open it (ResourceGroupNotFound)",
    )
    assert broker.status(first) == "open"
    assert broker.reachable(farm(1), 22, HERE)
    assert not broker.reachable(farm(1), 22, THERE)


def test_a_refused_newcomer_fails_though_a_rule_for_its_source_is_there(broker):
    """Somebody left it, or another person has it: it says nothing about the newcomer's initiate."""
    broker.ask(wish(farm(1), duration="PT15M"))
    broker.live(OPENED)
    broker.sim.options(acceptPrefixLists=False)
    second = broker.ask(wish(farm(1), sources=[HERE, THERE], duration="PT2H"), DAVE)
    asked = len(broker.initiates())
    broker.live(5)

    assert broker.grant(second).close_reason == "failed"
    assert len(broker.initiates()) <= asked + 2  # its sources, and again without its text


def test_a_refused_newcomer_keeps_nobodys_extension_from_azure(broker):
    """The first person keeps the path until the new end, without a gap."""
    first = broker.ask(wish(farm(1), duration="PT15M"))
    broker.live(OPENED)
    broker.sim.options(acceptPrefixLists=False)
    broker.ask(wish(farm(1), sources=[HERE, THERE], duration="PT2H"), DAVE)
    broker.live(5)
    broker.extend(first, timedelta(hours=1))

    gaps = []
    for _ in range(30):
        broker.live(1)
        gaps += [broker.now] if not broker.reachable(farm(1)) else []

    assert (broker.status(first), gaps) == ("open", [])


@pytest.mark.parametrize("answer", ["list", "InvalidJitRequest", "ResourceGroupNotFound"])
def test_a_grant_whose_answer_was_lost_keeps_its_path_if_a_newcomer_is_refused(broker, answer):
    """Its rule is there. It stays the broker's own rule, and goes with its grant."""
    broker.sim.faults(
        {
            "match": {"path": "listNetworkManager"},
            "times": None,
            "answer": {"status": 500, "code": "Oops"},
        }
    )
    broker.sim.faults({"match": INITIATE, "drop": "after"})
    request_id = broker.ask(wish(farm(1)))
    broker.live(2)
    assert broker.reachable(farm(1))
    if answer == "list":
        broker.sim.options(acceptPrefixLists=False)
    else:
        status, times = (404, 1) if answer == GONE["code"] else (400, 2)  # then without its text
        refusal = {"status": status, "code": answer}
        broker.sim.faults({"match": INITIATE, "times": times, "answer": refusal})
    broker.ask(wish(farm(1), source=THERE), DAVE)
    broker.live(2)

    grant = broker.grant(request_id)
    assert grant.status in {"opening", "open"}
    assert len(grant.initiate.ids) == (2 if answer == GONE["code"] else 1)  # asked once more
    broker.revoke(request_id)
    broker.live(2)
    assert not broker.reachable(farm(1))
    broker.live(20)
    assert broker.status(request_id) == "closed"


def test_a_newcomer_whose_initiates_azure_put_off_has_nothing_to_wait_for():
    """P2: Azure said that it took nothing, so the refused grant is closed at once."""
    put_off = an_opening(initiates=("a", "b"), answered=False, attempts=2, before=())

    assert _apply_refusal(put_off, "InvalidJitRequest", NOW).status == "closed"


def test_a_newcomer_whose_earlier_answer_was_lost_closes_by_observation():
    """P2: the lost call may have opened a path."""
    lost = an_opening(initiates=("a", "b"), answered=False, attempts=2, before=None)

    refused = _apply_refusal(lost, "InvalidJitRequest", NOW)

    assert (refused.status, refused.close_reason) == ("closing", "failed")


@pytest.mark.parametrize("changes", [{"taken": True}, {"attempts": 1}])
def test_a_grant_that_azure_took_before_keeps_its_older_initiate(changes):
    """Rows of an older version show it by the number of attempts."""
    taken = an_opening(initiates=("a", "b"), answered=False, **{"attempts": 2, **changes})

    after = _apply_refusal(taken, "NotFound", NOW)

    assert (after.status, after.initiate.ids, after.initiate.answered) == ("opening", ("a",), True)
    assert after.next_check_at == NOW + REFUSAL_PAUSE


def test_the_second_404_counts_although_an_answer_was_lost_between():
    """There is one repetition, not one for each series."""
    asked = an_opening(
        initiates=("b",),
        answered=False,
        attempts=3,
        refused_at=NOW - 2 * MINUTE,
        refusal="NotFound",
    )

    assert _apply_refusal(asked, "NotFound", NOW).close_reason == "failed"


def test_a_refused_prefix_list_fails_only_the_new_grant(broker):
    """The first user keeps the path; nothing wider is tried."""
    broker.sim.options(acceptPrefixLists=False)
    first = broker.ask(wish(farm(1)))
    broker.live(OPENED)
    second = broker.ask(wish(farm(1), source=THERE), DAVE)

    broker.live(2)

    assert broker.grant(second).close_reason == "failed"
    assert broker.status(first) == "open"
    assert broker.reachable(farm(1), 22, HERE)
    assert not broker.reachable(farm(1), 22, THERE)


def test_the_first_of_two_newcomers_comes_in_if_azure_does_not_take_both(broker):
    """They were gathered into one initiate; it may be their list that was refused."""
    broker.sim.options(acceptPrefixLists=False)
    first = broker.ask(wish(farm(1)))
    broker.advance(timedelta(seconds=1))
    second = broker.ask(wish(farm(1), source=THERE), DAVE)

    broker.live(OPENED)

    assert (broker.status(first), broker.reachable(farm(1), 22, HERE)) == ("open", True)
    assert broker.grant(second).close_reason == "failed"
    assert not broker.reachable(farm(1), 22, THERE)


def test_a_refused_newcomer_gets_the_reason(broker):
    """Its note carries Azure's code, not Azure's text."""
    refusal = {"status": 400, "code": "InvalidJitRequest", "message": "internal words"}
    broker.sim.faults({"match": INITIATE, "times": None, "answer": refusal})
    request_id = broker.ask(wish(farm(1)))

    broker.live(OPENED)

    assert broker.grant(request_id).note == "Azure refused to open it (InvalidJitRequest)"


def test_azures_retry_after_is_respected(broker):
    """If Azure says 90 seconds, it gets no call for 90 seconds."""
    slow = {"status": 429, "code": "TooManyRequests", "headers": {"Retry-After": "90"}}
    broker.sim.faults({"match": INITIATE, "answer": slow})
    broker.ask(wish(farm(1)))

    broker.live(89 / 60)

    assert broker.answers() == [429]


def test_a_postponed_initiate_is_sent_again_afterwards(broker):
    """A 429 is a delay, not an end."""
    slow = {"status": 429, "code": "TooManyRequests", "headers": {"Retry-After": "90"}}
    broker.sim.faults({"match": INITIATE, "answer": slow})
    request_id = broker.ask(wish(farm(1)))

    broker.live(3)

    assert broker.answers() == [429, 202]
    assert broker.status(request_id) == "open"


def test_other_requests_of_a_policy_wait_for_its_retry_after_too(broker):
    """Quotas are the subscription's: a newcomer does not jump the queue."""
    slow = {"status": 429, "code": "TooManyRequests", "headers": {"Retry-After": "90"}}
    broker.sim.faults({"match": INITIATE, "answer": slow})
    broker.ask(wish(farm(1)))
    broker.deliver()
    broker.ask(wish(farm(2)), DAVE)

    broker.live(89 / 60)

    assert broker.answers() == [429]


@pytest.mark.parametrize("lost", ["before", "after"])
def test_a_lost_answer_of_an_initiate_opens_the_path_once_or_again(broker, lost):
    """The outcome is read from Azure, not guessed."""
    broker.sim.faults({"match": INITIATE, "drop": lost})
    request_id = broker.ask(wish(farm(1)))

    broker.live(3)

    assert broker.status(request_id) == "open"


def test_a_refused_grant_that_wrote_down_a_companion_closes_by_observation():
    """The companion may have been created in the same pass: it has to be seen gone."""
    refused = _apply_refusal(an_opening(companions=("companion",)), "InvalidJitRequest", NOW)

    assert (refused.status, refused.close_reason) == ("closing", "failed")


def test_a_request_that_is_in_force_is_never_forgotten_however_often_azure_puts_off(broker):
    """Azure throttles an extension for hours. The path is the broker's own, and it closes."""
    request_id = broker.ask(wish(farm(1), duration="PT2H"))
    broker.live(OPENED)
    (in_force,) = broker.grant(request_id).initiate.ids
    slow = {"status": 429, "code": "TooManyRequests", "headers": {"Retry-After": "10"}}
    broker.sim.faults({"match": INITIATE, "times": None, "answer": slow})
    broker.extend(request_id, timedelta(hours=3))
    broker.live(90)
    assert in_force in broker.grant(request_id).initiate.ids

    broker.revoke(request_id)
    broker.live(3)

    assert not broker.reachable(farm(1))


# ---- an initiate that Azure took -----------------------------------------------------------------


def answered(broker):
    """Return if the row of the policy, and if the row of the grant, says that Azure took it."""
    (row,) = broker.requests.list_policy_grants(policy_of(farm(1))).rows
    policy = broker.locks.read_policy(policy_of(farm(1)))
    (grant,) = row.grants
    return policy.answered == {grant.initiate.newest}, grant.initiate.answered


def count_writes_of_grants(broker, before):
    """Return how many transactions since *before* wrote a row of grants."""
    since = broker.state.transactions[before:]
    return sum(any(key.startswith("g|") for key in keys) for keys in since)


def test_that_azure_took_an_initiate_stands_once_with_the_policy(broker):
    """A crowd would be written once more. The rows say it with their next change."""
    broker.ask(wish(farm(1)))
    before = len(broker.state.transactions)
    broker.work(farm(1))
    written, first = count_writes_of_grants(broker, before), answered(broker)

    broker.live(1)

    assert (written, first) == (1, (True, False))
    assert answered(broker) == (False, True)
    assert broker.locks.read_policy(policy_of(farm(1))).answered == frozenset()


def test_an_answer_to_a_part_of_an_initiate_stands_with_its_grants(broker):
    """All parts have the id of the initiate: it does not tell which of them Azure took."""
    refuse_text(broker, "/farm02")
    broker.ask(wish((farm(1), farm(2))))

    broker.work(farm(1))

    grants = [
        g for row in broker.requests.list_policy_grants(policy_of(farm(1))).rows for g in row.grants
    ]
    assert {g.vm_id[-6:]: (g.initiate.answered, g.status) for g in grants} == {
        "farm01": (True, "opening"),
        "farm02": (False, "closed"),
    }
    assert broker.locks.read_policy(policy_of(farm(1))).answered == frozenset()


def test_an_answer_that_stands_with_the_policy_counts_in_the_next_pass(broker):
    """Azure is not asked again, although the row of the grant does not know of the answer."""
    broker.sim.options(initiateSeconds=60)
    request_id = broker.ask(wish(farm(1)))
    broker.live(1.5)

    assert broker.answers() == [ACCEPTED]
    broker.live(1)
    assert broker.status(request_id) == "open"


def test_an_answer_that_is_lost_with_the_row_of_the_policy_is_an_answer_that_was_lost(broker):
    """An older version drops the column: the broker looks, and finds the path open."""
    request_id = broker.ask(wish(farm(1)))
    broker.work(farm(1))
    (row,) = broker.state.rows("p|")
    old = {name: value for name, value in row.values.items() if name != "Answered"}
    broker.state.write([Op(Verb.REPLACE, replace(row, values=old))])

    broker.live(1)

    assert broker.status(request_id) == "open"
    assert broker.answers() == [ACCEPTED]


def revoke_at_initiate(broker, request_id):
    """Let somebody end the request as soon as Azure is asked for it."""

    def strike(name: str, _: int) -> None:
        if name.endswith("initiate"):
            broker.calls.after = lambda *_: None
            broker.revoke(request_id)

    broker.calls.after = strike


def test_a_grant_that_somebody_ends_while_azure_answers_is_closed(broker):
    """Nothing is written over the revocation."""
    request_id = broker.ask(wish(farm(1)))
    revoke_at_initiate(broker, request_id)

    broker.live(20)

    assert broker.status(request_id) == "closed"
    assert not broker.reachable(farm(1))


def test_an_initiate_that_outlasts_its_lease_leaves_nobody_without_a_path(broker):
    """Another pass took over. The late initiate revokes its path: a look follows at once."""
    broker.ask(wish(farm(1), duration="PT2H"))

    def hang(name, _):
        if name == "policies.initiate":
            broker.calls.before = lambda *_: None
            broker.advance(timedelta(seconds=61))
            broker.ask(wish(farm(1), source=THERE, duration="PT2H"), DAVE)
            broker.live(4)
            assert broker.reachable(farm(1), 22, THERE)

    broker.calls.before = hang
    broker.queues.send(messages.POLICY, messages.policy(policy_of(farm(1))))
    broker.deliver()
    broker.live(3)

    assert broker.reachable(farm(1), 22, THERE)


def test_an_initiate_that_outlasts_its_lease_opens_nothing_for_a_closed_grant(broker):
    """Another pass closed it. The late initiate lets its person in: a look follows at once."""
    revoked = broker.ask(wish(farm(1), duration="PT2H"))

    def hang(name, _):
        if name == "policies.initiate":
            broker.calls.before = lambda *_: None
            broker.advance(timedelta(seconds=61))
            broker.ask(wish(farm(1), source=THERE, duration="PT2H"), DAVE)
            broker.live(2)
            broker.revoke(revoked)
            broker.live(2)

    broker.calls.before = hang
    broker.queues.send(messages.POLICY, messages.policy(policy_of(farm(1))))
    broker.deliver()
    broker.live(4)

    assert broker.status(revoked) == "closed"
    assert not broker.reachable(farm(1))


def test_an_answer_outlasts_a_pass_that_cannot_read_its_vm(broker):
    """The rows that cannot be read may be those that do not say so yet."""
    broker.sim.options(entryDelaySeconds=90, initiateSeconds=100)
    broker.ask(wish((farm(1), farm(2)), duration="PT2H"))
    broker.work(farm(1))
    row = next(r for r in broker.state.rows("g|") if arm_ids.row_hash(farm(2)) in r.key)
    key = row.key.rpartition("|")[0] + "|newer"
    values = {**row.values, "Format": 99}
    broker.state.write([Op(Verb.INSERT, replace(row, key=key, values=values, etag=""))])
    broker.live(0.3)
    newer = broker.state.get(row.partition, key)
    broker.state.write([Op(Verb.DELETE, newer)])

    broker.live(5)

    assert broker.answers() == [202]
