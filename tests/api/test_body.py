"""Bodies of requests: their media type, and the wishes that they hold."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from jit.api.body import (
    check_media_type,
    read_extension,
    read_policy_delete,
    read_policy_put,
    read_revocation,
    read_submission,
)
from jit.domain.errors import InvalidRequest, UnsupportedMediaType
from jit.domain.limits import LIMITS
from jit.domain.model.people import Person
from jit.domain.requests.revocation import Revocation
from tests.api.http_requests import make_request
from tests.builders.bodies import a_body
from tests.builders.values import vm_id

VM = vm_id()
NOON = datetime(2026, 11, 22, 18, 0, tzinfo=UTC)
ALICE = Person(id="a", name="Alice", roles=frozenset())


def sent(document, **headers):
    return make_request(body=json.dumps(document).encode(), **headers)


def codes_of(caught):
    return [each.code for each in caught.value.violations]


# ---- media types ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "Application/JSON",
        "application/problem+json",
        "application/vnd.servicenow.change+json; version=1",
        " application/json ",
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_body_may_be_called_json_with_any_parameter(method, media_type):
    """Logic Apps and PowerShell add a charset."""
    check_media_type(make_request(method=method, body=b"{}", Content_Type=media_type))


@pytest.mark.parametrize(
    "media_type",
    [
        "",
        "text/plain",
        "text/plain; application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=application/json",
        "application/jsonp",
        "application/xjson",
        "application/+json",
        "application/json+xml",
        "application/json, text/plain",
        "text/json",
        "application/j\u017fon",
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_body_that_is_not_called_json_is_refused(method, media_type):
    """A form of another site can send three media types, and none is JSON."""
    with pytest.raises(UnsupportedMediaType) as caught:
        check_media_type(make_request(method=method, body=b"{}", Content_Type=media_type))

    assert codes_of(caught) == ["unsupported-media-type"]


def test_a_body_without_a_media_type_is_refused():
    """A script of another site can leave the header out."""
    with pytest.raises(UnsupportedMediaType):
        check_media_type(make_request(body=b"{}"))


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_a_request_without_a_body_needs_no_media_type(media_type):
    """``curl --data ''`` calls nothing a form."""
    check_media_type(make_request(body=b"", Content_Type=media_type))


def test_a_request_that_changes_nothing_needs_no_media_type():
    """Some clients send a body with each request; a GET does not read it."""
    check_media_type(make_request(method="GET", body=b"x"))


# ---- wishes --------------------------------------------------------------------------------------


def test_a_submission_has_body_key_and_caller():
    """The body as JSON tells a repetition from another use of the key."""
    document = a_body()

    found = read_submission(sent(document, Idempotency_Key="CHG-1"), ALICE, now=NOON, limits=LIMITS)

    assert (found.body, found.key, found.caller) == (document, "CHG-1", ALICE)
    assert found.draft.violations == ()


def test_a_submission_keeps_the_faults_of_its_fields():
    """All of them: one answer names each."""
    found = read_submission(sent(a_body(duration="P1M")), ALICE, now=NOON, limits=LIMITS)

    assert [each.code for each in found.draft.violations] == ["duration-ambiguous"]


def test_a_faulty_key_is_refused_before_the_body_is_read():
    """The caller believes to be protected."""
    request = sent(a_body(duration="P1M"), Idempotency_Key="")

    with pytest.raises(InvalidRequest) as caught:
        read_submission(request, ALICE, now=NOON, limits=LIMITS)

    assert codes_of(caught) == ["idempotency-key-malformed"]


@pytest.mark.parametrize(
    "read",
    [
        lambda req: read_submission(req, ALICE, now=NOON, limits=LIMITS),
        lambda req: read_extension(req, LIMITS),
        lambda req: read_policy_put(req, LIMITS),
        lambda req: read_policy_delete(req, LIMITS),
    ],
    ids=["submission", "extension", "policy-put", "policy-delete"],
)
def test_a_body_that_is_needed_may_not_be_empty(read):
    """There is nothing to decide about."""
    with pytest.raises(InvalidRequest) as caught:
        read(make_request())

    assert codes_of(caught) == ["body-empty"]


def test_a_body_that_is_optional_may_be_empty():
    """``POST …/revoke`` needs none."""
    assert read_revocation(make_request(), LIMITS) == Revocation()


def test_a_reason_is_the_text_of_the_body():
    """For the audit trail."""
    found = read_revocation(sent({"reason": "patched early"}), LIMITS)

    assert found == Revocation(reason="patched early")


def test_a_revocation_may_name_machines():
    """The others of the request stay open."""
    found = read_revocation(sent({"virtualMachines": [{"id": VM}]}), LIMITS)

    assert [(machine.id, machine.ports) for machine in found.machines] == [(VM, ())]


def test_an_extension_has_a_span_and_a_reason():
    """The reason is optional."""
    found = read_extension(sent({"duration": "PT1H", "reason": "not done yet"}), LIMITS)

    assert (found.duration, found.reason) == (timedelta(hours=1), "not done yet")


def test_an_extension_has_its_body_and_its_key():
    """They tell a repetition from another use of the key."""
    document = {"duration": "PT1H"}

    found = read_extension(sent(document, Idempotency_Key="CHG-1"), LIMITS)

    assert (found.body, found.key) == (document, "CHG-1")


def test_a_faulty_key_of_an_extension_is_refused():
    """The caller believes to be protected."""
    with pytest.raises(InvalidRequest) as caught:
        read_extension(sent({"duration": "PT1H"}, Idempotency_Key=" "), LIMITS)

    assert codes_of(caught) == ["idempotency-key-malformed"]


def test_a_policy_is_put_for_each_machine():
    """With its ports."""
    port = {"number": 22, "protocol": "TCP", "allowedSources": ["*"], "maxDuration": "PT3H"}

    (machine,) = read_policy_put(sent({"virtualMachines": [{"id": VM, "ports": [port]}]}), LIMITS)

    assert (machine.id, [rule.number for rule in machine.ports]) == (VM, [22])


def test_a_policy_is_deleted_for_each_machine():
    """A machine alone names no port."""
    (machine,) = read_policy_delete(sent({"virtualMachines": [{"id": VM}]}), LIMITS)

    assert (machine.id, machine.ports) == (VM, ())


@pytest.mark.parametrize(
    ("read", "document"),
    [
        (read_revocation, {"reason": 1, "x": 1}),
        (read_extension, {"duration": 1, "x": 1}),
        (read_policy_put, {"virtualMachines": 1, "x": 1}),
        (read_policy_delete, {"virtualMachines": 1, "x": 1}),
    ],
    ids=["revocation", "extension", "policy-put", "policy-delete"],
)
def test_every_fault_of_a_body_is_named_at_once(read, document):
    """One round trip mends all."""
    with pytest.raises(InvalidRequest) as caught:
        read(sent(document), LIMITS)

    assert sorted(codes_of(caught)) == ["unknown-field", "wrong-type"]
