"""The main job over HTTP: a request opens a path, and it closes again."""

from tests.e2e.broker import ALICE, DAVE, STRANGER


def test_a_path_through_an_nsg_opens_for_its_source_alone_and_expires(broker):
    """Open means reachable for the source, closed means unreachable for everybody."""
    request = broker.ask("farm01")
    opened = broker.until(request, "open")
    seen = [broker.reaches("farm01", 22, source) for source in (ALICE, STRANGER)]
    broker.advance("PT1H")
    closed = broker.until(request, "closed")

    assert seen == [True, False]
    assert opened["grants"][0]["connection"]["command"].startswith("ssh -p 22 user@")
    assert closed["grants"][0]["closeReason"] == "expired"
    assert not broker.reaches("farm01", 22, ALICE)


def test_a_path_through_the_firewall_opens_with_its_companion_and_leaves_nothing(broker):
    """The connection line names the firewall; the companion rule comes and goes."""
    request = broker.ask("web01", 3389)
    opened = broker.until(request, "open")
    companions = broker.rules(f"jit-broker-{request}")
    seen = [broker.reaches("web01", 3389, source) for source in (ALICE, STRANGER)]
    broker.call("POST", f"/access-requests/{request}/revoke", {"reason": "done"})
    closed = broker.until(request, "closed")

    assert opened["grants"][0]["connection"] == {
        "via": "firewall",
        "address": "52.137.62.53",
        "port": 13389,
        "command": "mstsc /v:52.137.62.53:13389",
    }
    assert len(companions) == 1
    assert seen == [True, False]
    assert closed["grants"][0]["closeReason"] == "revoked"
    assert broker.rules("jit-broker-") == []
    assert not broker.reaches("web01", 3389, ALICE)


def test_a_second_person_joins_and_leaves_without_hurting_the_first(broker):
    """Whoever came first keeps the path all the way."""
    first = broker.ask("farm02")
    broker.until(first, "open")
    second = broker.ask("farm02", 22, DAVE, user="dave", duration="PT30M")
    broker.until(second, "open")
    both = [broker.reaches("farm02", 22, source) for source in (ALICE, DAVE)]
    broker.call("POST", f"/access-requests/{second}/revoke", user="dave")
    broker.until(second, "closed")
    after = [broker.reaches("farm02", 22, source) for source in (ALICE, DAVE)]

    assert both == [True, True]
    assert after == [True, False]
    assert broker.shown(first)["status"] == "open"


def test_rules_that_azure_forgets_are_found_and_removed(broker):
    """After its end a path is observed gone, whoever removes the rules."""
    fault = {"match": {"method": "POST", "path": "initiate"}, "times": 1, "leaveRules": True}
    broker.sim("POST", "/faults", {"faults": [fault]})
    request = broker.ask("farm03", duration="PT10M")
    broker.until(request, "open")
    broker.advance("PT11M")
    closed = broker.until(request, "closed")

    assert closed["grants"][0]["closeReason"] == "expired"
    assert not broker.reaches("farm03", 22, ALICE)


def test_an_extension_keeps_the_path_open_beyond_its_first_end(broker):
    """The end moves; the path does not close in between."""
    request = broker.ask("farm04", duration="PT30M")
    first_end = broker.until(request, "open")["grants"][0]["expiresAt"]
    answer = broker.call("POST", f"/access-requests/{request}/extend", {"duration": "PT2H"})
    broker.eventually(lambda: broker.initiates("farm04") == 2)
    broker.advance("PT40M")
    later = broker.until(request, "open")

    assert answer.status == 202
    assert later["grants"][0]["expiresAt"] > first_end
    assert broker.reaches("farm04", 22, ALICE)


def test_a_request_for_later_waits_for_its_start(broker):
    """Nothing opens before the start; then it opens by itself."""
    now = broker.sim("GET", "/clock")["now"]
    start = f"{now[:11]}23:59:00Z"
    request = broker.ask("farm05", startTime=start)
    early = broker.shown(request)

    assert early["status"] == "scheduled"
    assert not broker.reaches("farm05", 22, ALICE)


def test_the_outcome_is_202_with_a_place_to_ask_until_it_is_200(broker):
    """Logic Apps' async pattern: absolute Location and Retry-After on each 202."""
    answer = broker.call("POST", "/access-requests", broker.body("farm06"))
    request = answer.json["id"]
    path = f"/access-requests/{request}/outcome"
    before = broker.call("GET", path)
    broker.until(request, "open")
    after = broker.call("GET", path)

    assert answer.headers["location"].endswith(f"/api{path}")
    assert (before.status, after.status) == (202, 200)
    assert before.headers["location"].startswith("http://")
    assert before.headers["retry-after"].isdigit()
    assert after.json["grants"][0]["connection"]["address"]


def test_the_same_key_on_two_instances_is_one_request(broker):
    """A repetition is answered with the request it repeats; another body is a conflict."""
    body = broker.body("farm07")
    answers = [
        broker.call("POST", "/access-requests", body, Idempotency_Key="CHG-7") for _ in range(4)
    ]
    other = body | {"duration": "PT2H"}
    conflict = broker.call("POST", "/access-requests", other, Idempotency_Key="CHG-7")

    assert {answer.status for answer in answers} == {202}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert conflict.status == 409
    assert conflict.json["errors"][0]["code"] == "idempotency-key-reused"


def test_a_faulty_request_stores_nothing(broker):
    """Every fault is named, and the list stays as it was."""
    body = broker.body("farm08", sources=["0.0.0.0/0"], duration="P1M", extra=1)
    answer = broker.call("POST", "/access-requests", body, user="bob")
    listed = broker.call("GET", "/access-requests?vm=farm08", user="olga")

    pointers = {error["pointer"] for error in answer.json["errors"]}
    assert answer.status == 400
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert pointers == {"#/sources/0", "#/duration", "#/extra"}
    assert listed.json["value"] == []


def test_what_the_policy_forbids_is_denied_with_the_audited_request(broker):
    """A denial is 403, names the place, and carries the id of its audit record."""
    answer = broker.call("POST", "/access-requests", broker.body("hub01"))

    assert answer.status == 403
    assert answer.json["errors"][0]["code"] == "vm-unsupported"
    assert answer.json["requestId"]


def test_a_dry_run_decides_and_stores_nothing(broker):
    """200 with the decision; no request."""
    answer = broker.call("POST", "/access-requests", broker.body("farm09", dryRun=True))
    listed = broker.call("GET", "/access-requests?vm=farm09", user="olga")

    assert answer.status == 200
    assert answer.json["decision"]["allowed"] is True
    assert listed.json["value"] == []


def test_an_operator_puts_a_machine_under_jit_and_a_requester_may_ask_at_once(broker):
    """PUT jit-policy: from NotConfigured to a request that is accepted."""
    port = {"number": 22, "protocol": "TCP", "allowedSources": ["*"], "maxDuration": "PT3H"}
    wish = {"virtualMachines": [{"id": broker.machine("new01")["id"], "ports": [port]}]}
    refused = broker.call("PUT", "/virtual-machines/jit-policy", wish, user="alice")
    answer = broker.patient("PUT", "/virtual-machines/jit-policy", wish, "olga")
    asked = broker.call("POST", "/access-requests", broker.body("new01"))
    broker.call("POST", f"/access-requests/{asked.json['id']}/revoke")
    broker.until(asked.json["id"], "closed")
    removal = {"virtualMachines": [{"id": broker.machine("new01")["id"]}]}
    removed = broker.patient("DELETE", "/virtual-machines/jit-policy", removal, "olga")

    assert refused.status == 403
    assert answer.status == 200, answer.json
    assert asked.status == 202
    assert removed.status == 200, removed.json


def test_nobody_sees_or_ends_somebody_elses_request(broker):
    """To a requester, another's request looks like none; an operator sees and ends it."""
    request = broker.ask("farm10")
    path = f"/access-requests/{request}"
    looks = [broker.call("GET", path, user=user).status for user in ("dave", "olga", "audra")]
    refused = broker.call("POST", f"{path}/revoke", user="dave")
    revoked = broker.call("POST", f"{path}/revoke", {"reason": "ticket closed"}, user="olga")

    assert looks == [404, 200, 200]
    assert refused.status == 404
    assert revoked.status == 202


def test_reconcile_is_the_operators_and_its_plan_names_no_rule_when_all_is_well(broker):
    """A dry run returns the plan; a requester may not even ask."""
    refused = broker.call("POST", "/reconcile?dryRun=true", user="alice")
    planned = broker.call("POST", "/reconcile?dryRun=true", user="olga")
    started = broker.call("POST", "/reconcile", user="olga")

    removals = [item for item in planned.json["plan"] if item["action"] == "remove-rule"]
    assert refused.status == 403
    assert (planned.status, planned.json["dryRun"], removals) == (200, True, [])
    assert started.status == 202


def test_the_broker_never_needs_more_than_its_role(broker):
    """Under exactly the permissions of infra/role.json nothing is refused."""
    request = broker.ask("farm11")
    broker.until(request, "open")
    broker.call("POST", f"/access-requests/{request}/revoke")
    broker.until(request, "closed")

    assert [item for item in broker.sim("GET", "/log") if item["status"] == 403] == []


def test_health_answers_anybody(broker):
    """No sign-in, no detail."""
    answer = broker.call("GET", "/health", user="-")

    assert answer.status == 200
    assert answer.json["status"] == "ok"


def test_a_caller_without_a_sign_in_is_told_so(broker):
    """401, as a problem."""
    answer = broker.call("GET", "/virtual-machines", user="-")

    assert answer.status == 401
    assert answer.headers["content-type"].startswith("application/problem+json")
