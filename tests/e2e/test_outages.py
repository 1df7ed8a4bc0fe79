"""Storage is away, Azure is away, or an instance dies: the answers to callers, and the recovery."""

from collections.abc import Iterator

import pytest

from local.stack import Options, Stack
from tests.e2e.stack_client import MANY_CALLS, StackClient, farm, wish

pytestmark = pytest.mark.e2e

DOWN = {"status": 503, "code": "ServerUnavailable"}


@pytest.fixture(scope="module")
def without_storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackClient]:
    """A stack whose storage has died after it came up."""
    with Stack(tmp_path_factory.mktemp("outage"), Options(env=MANY_CALLS)) as stack:
        client = StackClient(stack)
        client.reset()
        client.ask(wish(farm(1)))
        _kill_storage(stack)
        yield client


def _kill_storage(stack: Stack) -> None:
    if stack._azurite is None:
        raise RuntimeError("the stack has no storage")
    stack._children.kill(stack._azurite.child)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "access-requests", wish(farm(2))),
        ("GET", "access-requests", None),
        ("GET", "virtual-machines", None),
    ],
)
def test_an_outage_of_storage_is_503_with_when_to_come_back(without_storage, method, path, body):
    """Unknown, repeat with the same key: a problem, and nothing half-believed."""
    answer = without_storage.api(method, path, body)

    assert (answer.status, answer.json["type"].rsplit("/", 1)[1]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0


def test_a_faulty_body_with_a_key_is_503_without_storage(without_storage):
    """Its start may have been good when it was first sent: only storage knows."""
    answer = without_storage.api(
        "POST", "access-requests", wish(farm(2), startTime="2020-01-01T00:00:00Z")
    )

    assert answer.status == 503


def test_a_body_that_is_not_json_is_400_without_storage(without_storage):
    """It repeats nothing, and waiting would not mend it."""
    assert without_storage.api("POST", "access-requests", b"{").status == 400


def test_health_says_that_storage_is_away(without_storage):
    """503 in one word to anybody; the reason to an operator."""
    health = without_storage.api("GET", "health", as_="-")
    status = without_storage.api("GET", "status", as_="olga")

    assert (health.status, health.json) == (503, {"status": "failing"})
    assert (status.status, status.json["azure"]) == (200, "ok")
    assert status.json["storage"] != "ok"
    assert [problem["code"] for problem in status.json["problems"]] == ["storage-failing"]


def test_a_request_made_while_azure_is_away_opens_when_it_is_back(client):
    """Accepted from the inventory; opened later."""
    client.api("GET", "virtual-machines")
    client.faults({"match": {"path": "/", "principal": "broker"}, "times": None, "answer": DOWN})
    request_id = client.ask(wish(farm(3)))
    client.advance("PT1M")
    waiting = client.request(request_id)["status"]
    client.sim("DELETE", "faults")

    client.until_status(request_id, "open", 10)

    assert waiting == "pending"
    assert client.reachable(farm(3))


def test_a_request_is_finished_by_the_instance_that_is_left(client):
    """One host killed between two instructions; the other goes on."""
    request_id = client.ask(wish(farm(4)), host=1)
    client.until_status(request_id, "open")
    client.stack.hosts[1].kill()
    client.post(request_id, "revoke")
    closed = client.until_status(request_id, "closed", 10)

    client.stack.hosts[1].start()

    assert closed["grants"][0]["closeReason"] == "revoked"
    assert client.api("GET", f"access-requests/{request_id}", host=1).json["status"] == "closed"


def test_no_log_has_the_words_of_people(client):
    """Hosts log identifiers; the trail has the words."""
    secret = "a-word-that-only-the-trail-may-hold"
    request_id = client.ask(wish(farm(5), justification=secret))
    client.until_status(request_id, "open")
    client.post(request_id, "revoke", {"reason": secret})
    client.until_status(request_id, "closed")

    log = "".join(host.log for host in client.stack.hosts)

    assert '"event": "grant.opened"' in log
    assert [word for word in (secret, "Bearer ", "eyJ") if word in log] == []
