"""Accepting: decided by the inventory, denials checked against Azure, stored whole or not."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from jit.domain.errors import AccessDenied, Conflict, InvalidRequest, Rejected, Unavailable
from jit.domain.values import arm_ids
from jit.storage.inventory_store import InventoryStore
from tests.broker.inprocess import ALICE, DAVE, ELSEWHERE, HERE, NEXT_LOOK, farm, policy_of, wish
from tests.local.azure.sim import DB01, DEVELOPMENT, HUB01, NEW01, PRODUCTION, WEB01, group, machine

DOWN = {"status": 503, "code": "ServerUnavailable"}
NOBODYS = group("rg-web", "5c0ffee0-0000-4000-8000-00000000dead")


def _codes(error: Rejected) -> list[str]:
    return [violation.code for violation in error.violations]


def _azure_down(broker):
    broker.sim.faults({"match": {"path": "/"}, "times": None, "answer": DOWN})


def _known(broker):
    """Have the inventory read, as on each day after the first."""
    broker.preview(wish(farm(9)))
    broker.preview(wish(DB01, 22))


# ---- accepted ------------------------------------------------------------------------------------


def test_an_accepted_request_is_pending_with_a_grant_a_port(broker):
    """Accepted means stored and not yet asked for."""
    body = wish(DB01)
    body["virtualMachines"][0]["ports"] = [{"number": 22}, {"number": 3389, "protocol": "TCP"}]

    whole = broker.accept(body | {"duration": "PT2H"})

    assert [(grant.port, grant.status) for grant in whole.grants] == [
        (22, "pending"),
        (3389, "pending"),
    ]
    assert broker.whole(whole.request.id).grants == whole.grants


def test_the_first_answer_has_the_grants_in_the_order_of_every_later_one(broker):
    """The VMs as the body has them, and the ports of each by number."""
    body = wish((farm(2), farm(1)), 3389)
    body["virtualMachines"][1]["ports"].append({"number": 22})

    whole = broker.accept(body)

    assert [(arm_ids.name(grant.vm_id), grant.port) for grant in whole.grants] == [
        ("farm02", 3389),
        ("farm01", 22),
        ("farm01", 3389),
    ]
    assert broker.whole(whole.request.id).grants == whole.grants


def test_a_request_its_grants_and_its_trail_are_stored_in_one_transaction(broker):
    """All of it or nothing."""
    _known(broker)
    broker.subscription_rows.ensure(DEVELOPMENT, broker.now)
    before = broker.calls.count("state.write")

    broker.accept(wish((farm(1), farm(2))))

    assert broker.calls.count("state.write") - before == 1
    assert [len(broker.state.rows(kind)) for kind in ("r|", "g|", "a|")] == [1, 2, 1]


def test_accepting_a_known_vm_takes_at_most_three_storage_calls(broker):
    """The person's rows, the neighbours of the VM port, the transaction; the VM is in memory."""
    for key in ("first", "second"):
        broker.accept(wish(farm(1)), key=key)
    broker.preview(wish(farm(1)), DAVE)
    before = broker.calls.count()

    broker.accept(wish(farm(1)), DAVE, key="third")

    assert broker.calls.names[before:] == ["state.query", "state.query", "state.write"]


def test_a_kept_vm_never_denies_what_the_inventory_allows(broker):
    """Another process has learned of the port; Azure is not asked."""
    broker.accept(wish(farm(1)))
    _known(broker)
    known = broker.inventory.find_machine(farm(1))
    ports = (*known.ports, replace(known.ports[0], number=5986))
    store = InventoryStore(broker.state)
    others = [vm for vm in store.list_machines(DEVELOPMENT) if vm.id != known.id]
    store.write_machines(DEVELOPMENT, [*others, replace(known, ports=ports)], complete=True)
    before = broker.calls.count("arm")

    assert broker.accept(wish(farm(1), 5986)).status == "pending"
    assert broker.calls.count("arm") == before


def test_what_only_a_kept_vm_allows_is_denied_at_opening(broker):
    """The VM in memory is a minute old at most; nothing opens by it."""
    broker.accept(wish(farm(1)))
    broker.live(3)
    broker.accept(wish(farm(2)))
    broker.sim.call("DELETE", policy_of(farm(2)), as_="petra")
    store = InventoryStore(broker.state)
    found = broker.azure.observer().read_machines(DEVELOPMENT, now=broker.now)
    store.write_machines(DEVELOPMENT, found, complete=True)
    before = len(broker.initiates())

    request_id = broker.ask(wish(farm(2)), DAVE)
    broker.live(1)

    assert broker.grant(request_id).close_reason == "denied"
    assert len(broker.initiates()) == before


def test_accepting_a_known_vm_calls_nothing_of_azure(broker):
    """The inventory decides; opening decides again."""
    _known(broker)
    before = broker.calls.count("arm")

    broker.accept(wish(farm(1)))

    assert broker.calls.count("arm") == before


def test_a_request_is_accepted_while_azure_is_down(broker):
    """It is opened later."""
    _known(broker)
    _azure_down(broker)

    assert broker.accept(wish(farm(1))).status == "pending"


def test_a_vm_id_is_the_same_in_any_case(broker):
    """Azure writes ids in several ways; they are one VM."""
    whole = broker.accept(wish(farm(1).upper().replace("/SUBSCRIPTIONS", "/subscriptions")))

    assert whole.grants[0].policy_id.lower() == policy_of(farm(1)).lower()


def test_a_single_address_inside_an_allowed_prefix_is_enough(broker):
    """The policy's prefix bounds a source; it need not equal it."""
    assert broker.accept(wish(DB01, 3389, HERE)).status == "pending"


# ---- refused -------------------------------------------------------------------------------------


def _port(number, protocol=None):
    return {"number": number} | ({"protocol": protocol} if protocol else {})


@pytest.mark.parametrize(
    ("body", "refusal", "codes"),
    [
        (wish(DB01, 443), AccessDenied, ["port-not-in-policy"]),
        (wish(machine("none", NOBODYS)), AccessDenied, ["vm-not-found"]),
        (wish(farm(1).replace("farm01", "farm99")), AccessDenied, ["vm-not-found"]),
        (wish(NEW01), AccessDenied, ["no-jit-policy"]),
        (wish(HUB01), AccessDenied, ["vm-unsupported"]),
        (wish(DB01, 3389, ELSEWHERE), AccessDenied, ["source-not-allowed"]),
        (wish(DB01, 3389, duration="PT3H"), AccessDenied, ["duration-too-long"]),
        (wish(DB01, 22, "10.2.0.4"), InvalidRequest, ["source-not-public"]),
        (wish(DB01, 22, "2a01:111:f100::1"), AccessDenied, ["ipv6-not-allowed"]),
        (wish(WEB01, 22, "2a01:111:f100::1"), AccessDenied, ["ipv6-not-allowed"]),
        (wish(WEB01, 22, duration="PT10M"), InvalidRequest, ["duration-too-short"]),
        (
            wish(DB01, 22) | {"virtualMachines": [{"id": DB01, "ports": [_port(22, "UDP")]}]},
            AccessDenied,
            ["protocol-not-in-policy"],
        ),
        (
            wish((NEW01, HUB01, DB01), 443),
            AccessDenied,
            ["no-jit-policy", "vm-unsupported", "port-not-in-policy"],
        ),
    ],
)
def test_a_wish_outside_the_policy_is_refused_with_every_reason(broker, body, refusal, codes):
    """Each reason has its code; all of them come at once; no request is stored."""
    with pytest.raises(refusal) as caught:
        broker.accept(body)

    assert _codes(caught.value) == codes
    assert broker.state.rows("r|") == broker.state.rows("g|") == ()


def test_an_unsupported_vm_is_refused_with_the_reason(broker):
    """A person reads why the broker cannot serve it."""
    with pytest.raises(AccessDenied) as caught:
        broker.accept(wish(HUB01))

    assert "firewall policy" in caught.value.violations[0].detail


def test_a_port_that_a_stranger_holds_is_a_conflict_that_says_until_when(broker):
    """Somebody's portal request is never cut short."""
    broker.occupy(farm(1), 22, ELSEWHERE, minutes=90)

    with pytest.raises(Conflict) as caught:
        broker.accept(wish(farm(1)))

    until = (broker.now + timedelta(minutes=90)).strftime("%Y-%m-%dT%H:%M")
    assert _codes(caught.value) == ["occupied"]
    assert f"occupied until {until}" in caught.value.violations[0].detail


def test_a_port_that_a_stranger_holds_for_the_same_source_is_joined(broker):
    """Equal sources are no conflict."""
    broker.occupy(farm(1), 22, HERE)

    assert broker.accept(wish(farm(1))).status == "pending"


def test_a_faulty_body_is_told_its_faults_and_nothing_of_the_policy(broker):
    """Otherwise a person could ask policies without a record."""
    with pytest.raises(InvalidRequest) as caught:
        broker.accept(wish(DB01, 443, justification="x"))

    assert _codes(caught.value) == ["text-too-short"]


def test_a_faulty_body_costs_no_call_of_azure(broker):
    """VMs of several subscriptions are a fault; looking at them would not mend it."""
    with pytest.raises(InvalidRequest) as caught:
        broker.accept(wish((DB01, farm(1), farm(99)), 443))

    assert broker.sim.control("GET", "log") == []
    assert _codes(caught.value) == ["subscriptions-differ", "subscriptions-differ"]


def test_a_faulty_body_is_refused_as_faulty_while_azure_is_down(broker):
    """Waiting would not mend it."""
    _azure_down(broker)

    with pytest.raises(InvalidRequest) as caught:
        broker.accept(wish(farm(1), justification="x"))

    assert _codes(caught.value) == ["text-too-short"]


def test_a_denial_is_written_to_the_trail_with_its_reasons(broker):
    """The trail has the caller, the wish and the reasons; the answer names the id."""
    with pytest.raises(AccessDenied) as caught:
        broker.accept(wish(DB01, 443), DAVE)

    (row,) = broker.state.rows("a|")
    event = json.loads(str(row.values["Doc"]))
    assert (event["what"], event["actor"]) == ("request.denied", DAVE.id)
    assert event["requestId"] == caught.value.request_id


def test_a_denial_is_in_the_trail_whatever_its_status(broker):
    """This 400 depends on the VM: a body that is faulty by itself leaves no record."""
    with pytest.raises(InvalidRequest) as caught:
        broker.accept(wish(DB01, 22, "10.2.0.4"), DAVE)
    with pytest.raises(InvalidRequest) as faulty:
        broker.accept(wish(DB01, 22, "*"), DAVE)

    (row,) = broker.state.rows("a|")
    event = json.loads(str(row.values["Doc"]))
    assert (event["what"], event["requestId"]) == ("request.denied", caught.value.request_id)
    assert faulty.value.request_id is None


def test_the_same_denial_is_one_record_that_each_answer_names(broker):
    """A flood of one denied body is one record; another body is another record."""
    ids = []
    for port in (443, 443, 444):
        with pytest.raises(AccessDenied) as caught:
            broker.accept(wish(DB01, port), DAVE)
        ids.append(caught.value.request_id)

    recorded = [json.loads(str(row.values["Doc"]))["requestId"] for row in broker.state.rows("a|")]
    assert ids == [recorded[0], recorded[0], recorded[1]]


def test_a_denied_key_is_free_for_the_mended_body(broker):
    """The caller repairs the body and sends it again under the same key."""
    with pytest.raises(AccessDenied):
        broker.accept(wish(DB01, 443), key="k")

    assert broker.accept(wish(DB01, 22), key="k").status == "pending"


# ---- the inventory and the truth -----------------------------------------------------------------


def _policy_with(broker, vm, port):
    """The VM's JIT policy with one more port."""
    policy = broker.sim.get(policy_of(vm))
    rule = {
        "number": port,
        "protocol": "TCP",
        "allowedSourceAddressPrefix": "*",
        "maxRequestAccessDuration": "PT3H",
    }
    name = vm.rsplit("/", 1)[-1].lower()
    entries = policy["properties"]["virtualMachines"]
    next(each for each in entries if each["id"].lower().endswith(name))["ports"].append(rule)
    return {policy_of(vm): policy}


def test_a_denial_of_the_inventory_is_decided_again_by_azure_itself(broker):
    """A port that was added to the policy a minute ago is not refused."""
    broker.accept(wish(farm(1)))
    broker.sim.control("PUT", "state", {"resources": _policy_with(broker, farm(1), 5986)})
    broker.advance(NEXT_LOOK)

    assert broker.accept(wish(farm(1), 5986)).status == "pending"


def test_a_second_look_that_allows_updates_the_inventory(broker):
    """The next caller needs no call to Azure."""
    broker.accept(wish(farm(1)))
    broker.sim.control("PUT", "state", {"resources": _policy_with(broker, farm(1), 5986)})
    broker.advance(NEXT_LOOK)
    broker.accept(wish(farm(1), 5986))
    before = broker.calls.count("arm")

    broker.accept(wish(farm(1), 5986), DAVE)

    assert broker.calls.count("arm") == before


def test_a_request_that_only_the_inventory_allows_is_denied_at_opening(broker):
    """Nothing opens without a decision taken again at that moment."""
    _known(broker)
    broker.sim.call("DELETE", policy_of(farm(1)), as_="petra")
    request_id = broker.ask(wish(farm(1)))

    broker.live(1)

    assert broker.grant(request_id).close_reason == "denied"
    assert broker.initiates() == []


def test_repeating_a_denied_request_does_not_use_up_azures_quota(broker):
    """A caller who is refused a hundred times costs one look at Azure."""
    with pytest.raises(AccessDenied):
        broker.accept(wish(DB01, 443))
    before = broker.calls.count("arm")

    with pytest.raises(AccessDenied):
        broker.accept(wish(DB01, 444))

    assert broker.calls.count("arm") == before


def test_an_older_look_does_not_replace_newer_knowledge(broker):
    """A comparison that ran in between knows better: its inventory stays."""
    with pytest.raises(AccessDenied):
        broker.accept(wish(DB01, 443))
    broker.occupy(DB01, 22, ELSEWHERE)
    found = broker.azure.observer().read_machines(PRODUCTION, now=broker.now)
    broker.inventory.write_machines(PRODUCTION, found, complete=True)

    with pytest.raises(AccessDenied):
        broker.accept(wish(DB01, 443), DAVE)

    assert broker.inventory.find_machine(DB01).occupations != ()


def test_an_unknown_vm_is_not_denied_while_azure_cannot_be_asked(broker):
    """Not knowing is 503, not 403: repeat with the same key."""
    _azure_down(broker)

    with pytest.raises(Unavailable):
        broker.accept(wish(farm(1)))

    assert broker.state.rows("r|") == broker.state.rows("g|") == ()


# ---- storage down --------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["keys.query", "state.query", "state.write"])
def test_while_storage_is_down_a_request_is_503_and_no_part_is_stored(broker, call):
    """The same call again, once storage is back, is one whole request."""
    _known(broker)

    def fail(name: str, _: int) -> None:
        if name == call:
            raise Unavailable("table storage did not answer")

    broker.calls.before = fail
    with pytest.raises(Unavailable):
        broker.accept(wish(farm(1)), key="k")
    rows = broker.state.rows("r|") + broker.state.rows("g|")
    broker.calls.before = lambda *_: None

    assert rows == ()
    assert broker.accept(wish(farm(1)), key="k").status == "pending"
    assert len(broker.state.rows("g|")) == 1


# ---- a preview -----------------------------------------------------------------------------------


def test_a_preview_says_yes_and_stores_nothing(broker):
    """A dry run is a question."""
    _known(broker)
    before = len(broker.state.rows())

    decision = broker.preview(wish(farm(1)))

    assert decision.allowed
    assert len(broker.state.rows()) == before


def test_a_preview_says_no_with_every_reason(broker):
    """A refusal in a dry run is an answer, not an error."""
    decision = broker.preview(wish((NEW01, DB01), 443))

    assert not decision.allowed
    assert [error.code for error in decision.errors] == ["no-jit-policy", "port-not-in-policy"]


def test_a_preview_of_a_faulty_body_is_refused_as_post_would(broker):
    """There is nothing to decide about."""
    with pytest.raises(InvalidRequest) as caught:
        broker.preview(wish(farm(1), justification="x"), ALICE)

    assert _codes(caught.value) == ["text-too-short"]


def test_dry_runs_about_the_same_vm_ports_are_one_record_whatever_else_they_say(broker):
    """They have no limit of their own, and nobody may delete a record."""
    both, shouted = (
        [{"id": vm, "ports": [{"number": 22}]} for vm in names]
        for names in ((farm(1), farm(2)), (farm(1).upper(), farm(2).upper()))
    )
    bodies = [
        wish(farm(1), virtualMachines=both, justification="CHG0030001 patch"),
        wish(farm(1), virtualMachines=both, justification="another text", duration="PT2H"),
        wish(farm(1), virtualMachines=both[::-1], source="203.0.113.9"),
        wish(farm(1), virtualMachines=shouted),
    ]
    broker.occupy(farm(1), 22, ELSEWHERE)
    before = len(broker.state.rows("a|"))

    decisions = [broker.preview(each, DAVE) for each in bodies]

    assert [decision.allowed for decision in decisions] == [False] * len(bodies)
    assert len(broker.state.rows("a|")) == before + 1
    broker.preview(wish(farm(1)), DAVE)
    assert len(broker.state.rows("a|")) == before + 2


@pytest.mark.parametrize(
    "chosen",
    [
        {"source": "198.51.100.{}"},
        {"duration": "PT3H{}M"},
        {"duration": "PT2H{}M"},
        {"justification": "CHG {} patching of it"},
    ],
)
def test_no_text_that_a_caller_chooses_makes_another_record_of_a_dry_run(broker, chosen):
    """A reason repeats the source and the duration of its body."""
    ((field, text),) = chosen.items()
    broker.occupy(DB01, 3389, "203.0.113.99")
    broker.preview(wish(DB01, 3389), DAVE)
    before = len(broker.state.rows("a|"))

    decisions = [
        broker.preview(wish(DB01, 3389, **{field: text.format(number)}), DAVE)
        for number in range(1, 6)
    ]

    assert all("occupied" in [error.code for error in each.errors] for each in decisions)
    assert len(broker.state.rows("a|")) == before


def test_a_dry_run_that_other_access_stops_at_one_more_vm_port_is_another_record(broker):
    """Its answer tells of more."""
    both = (farm(1), farm(2))
    broker.occupy(farm(1), 22, ELSEWHERE)
    broker.preview(wish(both), DAVE)
    before = len(broker.state.rows("a|"))

    broker.occupy(farm(2), 22, ELSEWHERE)
    broker.advance(timedelta(minutes=1))
    decision = broker.preview(wish(both), DAVE)

    assert [error.code for error in decision.errors] == ["occupied"] * 2
    assert len(broker.state.rows("a|")) == before + 1


def test_a_preview_that_other_peoples_access_stops_is_recorded(broker):
    """Its answer tells of their access. A preview that the policy denies tells nothing of it."""
    broker.occupy(DB01, 22, ELSEWHERE)
    before = len(broker.state.rows("a|"))

    broker.preview(wish(DB01, 443), DAVE)
    decision = broker.preview(wish(DB01), DAVE)

    (row,) = broker.state.rows("a|")[before:]
    event = json.loads(str(row.values["Doc"]))
    assert [error.code for error in decision.errors] == ["occupied"]
    assert (event["what"], event["actor"]) == ("request.previewed", DAVE.id)
    assert event["facts"]["virtualMachines"] == [DB01]
