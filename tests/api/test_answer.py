"""HTTP: who calls, from where, and how answers and problems are written."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import azure.functions as func
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.api import caller, query
from jit.api.answer import accepted, answered, decided, outcome, previewed, problem
from jit.api.body import read_object, read_optional_object
from jit.broker.requests.change import Decided
from jit.domain.errors import (
    AccessDenied,
    Conflict,
    Defect,
    Forbidden,
    Gone,
    InvalidRequest,
    NotFound,
    PermissionLost,
    Refused,
    Throttled,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Violation,
)
from jit.domain.model.people import Role
from jit.domain.model.request import Decision
from jit.settings import Settings
from jit.storage.stored import StoredRequest
from tests.broker.inprocess import InProcess, farm, wish
from tests.local.azure.sim import PRODUCTION

NEEDED = {"AzureWebJobsStorage": "x", "JIT_SUBSCRIPTIONS": PRODUCTION}
SETTINGS = Settings.from_env({**NEEDED, "WEBSITE_AUTH_ENABLED": "True"})
OFF = Settings.from_env(NEEDED)
BASED = Settings.from_env({**NEEDED, "JIT_PUBLIC_BASE_URL": "https://jit.example/"})
LONG = "http://schemas.microsoft.com/identity/claims/objectidentifier"
LONG_ROLE = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
OID = "A11CE000-0000-4000-8000-000000000001"
REQUESTER = ("roles", "Jit.Requester")
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
URL = "https://broker.azurewebsites.net/api/access-requests?x=1"


def _encoded(document):
    return base64.b64encode(json.dumps(document).encode()).decode()


def _principal(*claims):
    return _encoded({"auth_typ": "aad", "claims": [{"typ": k, "val": v} for k, v in claims]})


def request(principal=None, *, url=URL, body=b"", params=None, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named |= {} if principal is None else {"X-MS-CLIENT-PRINCIPAL": principal}
    return func.HttpRequest(method="POST", url=url, headers=named, params=params, body=body)


# ---- the caller ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["oid", LONG])
@pytest.mark.parametrize("role", ["roles", LONG_ROLE])
def test_a_principal_is_read_with_short_and_with_long_claim_types(kind, role):
    """The platform sends both, as the application's configuration has it."""
    person = caller.read_caller(request(_principal((kind, OID), (role, "Jit.Requester"))), SETTINGS)

    assert (person.id, set(person.roles)) == (OID.lower(), {"Jit.Requester"})


def test_a_principal_has_all_of_its_roles():
    """One claim a role."""
    roles = [("roles", "Jit.Requester"), ("roles", "Jit.Approver")]

    person = caller.read_caller(request(_principal(("oid", OID), *roles)), SETTINGS)

    assert person.roles == {"Jit.Requester", "Jit.Approver"}


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ([("name", "Alice"), ("preferred_username", "alice@example.com")], "alice@example.com"),
        ([("name", "Alice")], "Alice"),
        ([("azp", "app-id")], "app-id"),
        ([], OID),
    ],
)
def test_a_person_is_shown_by_the_best_name_there_is(claims, name):
    """Names are for people to read; the object id decides."""
    assert caller.read_caller(request(_principal(("oid", OID), *claims)), SETTINGS).name == name


@pytest.mark.parametrize(
    "principal",
    [
        None,
        "",
        "%%%",
        "e30=",
        _encoded([]),
        _encoded("text"),
        _encoded(None),
        _encoded({"claims": None}),
        _encoded({"claims": "text"}),
        _encoded({"claims": [None]}),
        _encoded({"claims": [{"typ": "oid"}]}),
        _encoded({"claims": [{"typ": "oid", "val": None}]}),
        _encoded({"claims": [{"typ": "oid", "val": ""}]}),
        _encoded({"claims": [{"typ": "oid", "val": {"a": 1}}]}),
        _principal(REQUESTER),
        _principal(("name", "Alice"), REQUESTER),
        base64.b64encode(b"\xff\xfe").decode(),
        base64.b64encode(b"[" * 20_000).decode(),
        _principal(("oid", OID), ("x", "x" * 40_000)),
    ],
)
def test_a_principal_that_names_nobody_is_unauthenticated(principal):
    """Missing, garbage, without an object id, too long: 401, never a failure of ours."""
    with pytest.raises(Unauthenticated):
        caller.read_caller(request(principal), SETTINGS)


@given(st.text(max_size=200))
def test_no_header_makes_reading_a_principal_fail(text):
    """Whatever stands there, the caller is somebody or nobody."""
    with pytest.raises(Unauthenticated):
        caller.read_caller(request(text), SETTINGS)


def test_a_principal_is_not_believed_where_the_platform_does_not_sign_in():
    """Without App Service authentication anybody could write that header."""
    with pytest.raises(Unauthenticated):
        caller.read_caller(request(_principal(("oid", OID), REQUESTER)), OFF)


def test_a_caller_without_any_of_the_roles_is_forbidden():
    """Signed in is not allowed."""
    with pytest.raises(Forbidden):
        caller.read_caller(request(_principal(("oid", OID), REQUESTER)), SETTINGS, Role.OPERATOR)


def test_one_of_the_roles_is_enough():
    """A route lists who may come."""
    person = caller.read_caller(
        request(_principal(("oid", OID), REQUESTER)), SETTINGS, Role.OPERATOR, Role.REQUESTER
    )

    assert person.id == OID.lower()


@pytest.mark.parametrize("role", ["jit.requester", "Jit.Requester ", "Requester", "*"])
def test_a_role_is_its_exact_name(role):
    """Something like a role is none."""
    with pytest.raises(Forbidden):
        caller.read_caller(
            request(_principal(("oid", OID), ("roles", role))), SETTINGS, Role.REQUESTER
        )


# ---- from where ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:50123", "203.0.113.7"),
        ("10.9.9.9, 203.0.113.7:50123", "203.0.113.7"),
        ("evil, 1.2.3.4,203.0.113.7", "203.0.113.7"),
        ("[2001:db8::1]:50123", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("10.9.9.9, [2001:db8::1]:50123", "2001:db8::1"),
    ],
)
def test_an_address_is_the_last_hop_that_the_platform_appended(header, address):
    """What a client claims stands further to the left."""
    assert caller.address(request(X_Forwarded_For=header)) == address


@pytest.mark.parametrize("header", ["", "unknown", "203.0.113.7:1:2", "[", "[x]:1", "<b>"])
def test_an_address_that_cannot_be_read_is_none(header):
    """Nothing is answered rather than something that is no address."""
    assert caller.address(request(X_Forwarded_For=header)) is None


# ---- queries and bodies --------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "value"), [("true", True), ("True", True), ("false", False)])
def test_a_flag_of_the_query_is_true_or_false(text, value):
    """In any case."""
    assert query.flag(request(params={"dryRun": text}), "dryRun") is value


def test_a_flag_that_is_missing_is_false():
    """Absent means no."""
    assert query.flag(request(params={}), "dryRun") is False


@pytest.mark.parametrize("text", ["", "1", "yes", "yes e"])
def test_a_flag_that_is_neither_is_refused(text):
    """A dry run that was meant must never act."""
    with pytest.raises(InvalidRequest) as caught:
        query.flag(request(params={"dryRun": text}), "dryRun")

    assert [each.pointer for each in caught.value.violations] == ["#/dryRun"]


def test_a_parameter_that_the_contract_does_not_have_is_refused():
    """What asks for a dry run, misspelt, must not act."""
    with pytest.raises(InvalidRequest) as caught:
        query.only(request(params={"dryrun": "true", "dryRun": "true", "x/y": ""}), "dryRun")

    found = [(each.pointer, each.code) for each in caught.value.violations]
    assert found == [("#/dryrun", "unknown-field"), ("#/x~1y", "unknown-field")]


def test_the_hosts_own_parameters_pass():
    """A function key and its name are not the broker's to judge."""
    params = {"code": "s3cret", "clientId": "default", "dryRun": "true"}

    query.only(request(params=params), "dryRun")

    assert query.flag(request(params=params), "dryRun")


def test_a_body_that_is_optional_may_be_empty():
    """``POST …/revoke`` needs none."""
    assert read_optional_object(request()) is None


def test_a_body_that_is_needed_may_not_be_empty():
    """There is nothing to decide about."""
    with pytest.raises(InvalidRequest):
        read_object(request())


# ---- answers -------------------------------------------------------------------------------------


@pytest.fixture
def broker() -> InProcess:
    """A broker in this process."""
    return InProcess()


@pytest.fixture
def pending(broker: InProcess) -> StoredRequest:
    """A request just accepted."""
    return broker.accept(wish(farm(1)))


@pytest.fixture
def scheduled(broker: InProcess) -> Callable[[timedelta], StoredRequest]:
    """Accept a request whose start lies ahead."""
    return lambda ahead: broker.accept(wish(farm(1), startTime=(broker.now + ahead).isoformat()))


def test_an_accepted_request_says_absolutely_where_to_watch_it(pending):
    """Logic Apps follows absolute places only."""
    answer = accepted(pending, request(), SETTINGS, NOON)

    place = f"https://broker.azurewebsites.net/api/access-requests/{pending.request.id}/outcome"
    assert (answer.status_code, answer.headers["Location"]) == (202, place)


def test_a_public_base_url_goes_before_the_requests_own(pending):
    """Behind a gateway callers know another name."""
    answer = accepted(pending, request(), BASED, NOON)

    place = f"https://jit.example/api/access-requests/{pending.request.id}/outcome"
    assert answer.headers["Location"] == place


def test_an_accepted_request_is_answered_as_json(pending):
    """With the request itself."""
    answer = accepted(pending, request(), SETTINGS, NOON)

    assert answer.mimetype == "application/json"
    assert json.loads(answer.get_body())["id"] == pending.request.id


def test_a_request_on_its_way_is_looked_at_again_in_seconds(broker, pending):
    """It opens soon."""
    answer = accepted(pending, request(), SETTINGS, broker.now)

    assert answer.headers["Retry-After"] == "5"


@pytest.mark.parametrize(
    ("ahead", "seconds"),
    [
        (timedelta(seconds=2), "5"),
        (timedelta(seconds=30), "30"),
        (timedelta(minutes=4), "240"),
        (timedelta(minutes=10), "600"),
        (timedelta(days=20), "600"),
    ],
)
def test_a_request_that_starts_later_is_looked_at_later_ten_minutes_at_most(
    broker, scheduled, ahead, seconds
):
    """Nobody polls every few seconds for three weeks."""
    answer = accepted(scheduled(ahead), request(), SETTINGS, broker.now)

    assert answer.headers["Retry-After"] == seconds


def test_an_outcome_is_202_until_the_request_is_settled(broker, pending):
    """Each 202 repeats where to look and when."""
    answer = outcome(pending, request(), SETTINGS, broker.now)

    assert answer.status_code == 202
    assert answer.headers["Location"].endswith(f"{pending.request.id}/outcome")
    assert answer.headers["Retry-After"] == "5"


@pytest.mark.parametrize("minutes", [1, 70])
def test_the_outcome_of_an_open_or_a_closed_request_is_200(broker, minutes):
    """Settled: nothing of it is on its way to open."""
    request_id = broker.ask(wish(farm(1)))
    broker.live(minutes)

    answer = outcome(broker.whole(request_id), request(), SETTINGS, broker.now)

    assert (answer.status_code, answer.headers.get("Location")) == (200, None)


@pytest.mark.parametrize(("changed", "status"), [(True, 202), (False, 200)])
def test_a_decision_is_202_where_it_changed_something(pending, changed, status):
    """200 where it was already so."""
    answer = decided(Decided(pending, changed), request(), SETTINGS, NOON)

    assert answer.status_code == status


def test_a_preview_shows_the_decision():
    """200 with yes or no, and why."""
    violation = Violation("#/sources/0", "source-not-allowed", "not from there")

    answer = previewed(Decision(allowed=False, rule="jit-policy", errors=(violation,)))

    assert answer.status_code == 200
    assert json.loads(answer.get_body())["decision"] == {
        "allowed": False,
        "rule": "jit-policy",
        "errors": [
            {"pointer": "#/sources/0", "code": "source-not-allowed", "detail": "not from there"}
        ],
    }


# ---- problems ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "slug"),
    [
        (InvalidRequest("no"), 400, "invalid-request"),
        (Unauthenticated("no"), 401, "unauthenticated"),
        (Forbidden("no"), 403, "forbidden"),
        (AccessDenied("no"), 403, "access-denied"),
        (NotFound("no"), 404, "not-found"),
        (Conflict("no"), 409, "conflict"),
        (TooLarge("no"), 413, "too-large"),
        (Unavailable("no"), 503, "unavailable"),
    ],
)
def test_a_problem_has_the_members_of_rfc_9457(error, status, slug):
    """Type, title, status, detail, instance: a page explains each type."""
    answer = problem(error, request(), SETTINGS)

    document = json.loads(answer.get_body())
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert document["type"] == f"{SETTINGS.problems_url}#{slug}"
    assert (document["status"], document["detail"]) == (status, "no")
    assert document["instance"] == "/api/access-requests"
    assert document["title"]
    assert not document["title"].endswith(".")


def test_a_problem_names_every_fault():
    """Pointer, code, sentence."""
    faults = (Violation("#/sources", "too-few", "one at least"), Violation("#/x", "unknown", "?"))

    document = json.loads(problem(InvalidRequest("no", faults), request(), SETTINGS).get_body())

    assert document["errors"] == [
        {"pointer": "#/sources", "code": "too-few", "detail": "one at least"},
        {"pointer": "#/x", "code": "unknown", "detail": "?"},
    ]


def test_a_denial_names_the_audited_request():
    """Whoever asks why has an id to ask about."""
    error = AccessDenied("no", (), request_id="r1")

    document = json.loads(problem(error, request(), SETTINGS).get_body())

    assert document["requestId"] == "r1"


def test_a_problem_without_faults_has_no_request_id():
    """Members that say nothing are left out."""
    document = json.loads(problem(Conflict("no"), request(), SETTINGS).get_body())

    assert "requestId" not in document


def test_an_outage_says_when_to_come_back():
    """In seconds, as the failing service asked."""
    answer = problem(Throttled("slow", retry_after_seconds=37), request(), SETTINGS)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "37")


@pytest.mark.parametrize("error", [NotFound("no"), Unavailable("no")])
def test_what_is_raised_on_purpose_becomes_a_problem(error):
    """The caller reads it."""

    def act() -> func.HttpResponse:
        raise error

    assert answered(request(), SETTINGS, act).status_code == error.status


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (PermissionLost("no", code="AuthorizationFailed", resource_id="/x"), "permission.lost"),
        (Gone("no", code="SubscriptionNotFound", resource_id="/x"), "look.refused"),
        (Refused("no", azure_status=400, resource_id="/x"), "look.refused"),
    ],
)
def test_what_azure_refuses_to_show_is_an_outage_and_an_alert(caplog, error, name):
    """Doubt denies nobody: the caller repeats, a person mends it."""

    def act() -> func.HttpResponse:
        raise error

    answer = answered(request(), SETTINGS, act)

    alert = json.loads(caplog.records[0].getMessage())
    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
    assert answer.headers["Retry-After"] == "60"
    assert json.loads(answer.get_body())["type"].endswith("#unavailable")
    assert (caplog.records[0].levelname, alert["event"], alert["resource_id"]) == (
        "ERROR",
        name,
        "/x",
    )
    assert alert["code"] == (error.code or str(error.azure_status))


@pytest.mark.parametrize("error", [Defect("ours"), KeyError("x"), ZeroDivisionError()])
def test_a_defect_is_not_dressed_up_as_an_answer(error):
    """It stays the host's 500: not the caller's to read, and no message is sent."""

    def act() -> func.HttpResponse:
        raise error

    with pytest.raises(type(error)):
        answered(request(), SETTINGS, act)
