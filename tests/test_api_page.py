"""The page of the HTTP API: its calls run, and its tables are those of the code."""

import io
import json
import re
from datetime import timedelta

import pytest

from jit.domain.limits import LIMITS
from jit.domain.model.bastion import BY_BASTION
from jit.domain.model.machine import Support, Via
from jit.domain.model.people import Kind, Role
from jit.domain.policy_setup.changes import PolicyAction
from jit.domain.reconcile.plan_item import PlanAction, PlanClass
from jit.domain.requests import (
    access_body,
    bar_body,
    extension_body,
    policy_bodies,
    revocation_body,
)
from jit.domain.requests.operators import erasure_body
from jit.domain.requests.schema import schema_of
from jit.domain.values.times import parse_instant
from local.host.web import platform_auth
from tests import api_calls, api_page
from tests.api.http_requests import WatchedValues
from tests.api_calls import AUTHENTICATION, Api, list_routes
from tests.api_page import ANSWER, BODY, QUERY
from tests.broker.inprocess import ELSEWHERE, farm, wish
from tests.local.azure.sim import APP01, DB01
from tests.triggers.app_functions import CHANGING, call, make_principal, make_request

ASK = "POST /api/access-requests"
BODIES = {
    ASK: access_body.AccessRequestBody,
    "POST /api/access-requests/{id}/extend": extension_body.ExtendBody,
    "POST /api/access-requests/{id}/revoke": revocation_body.RevokeBody,
    "PUT /api/virtual-machines/jit-policy": policy_bodies.PolicyPutBody,
    "DELETE /api/virtual-machines/jit-policy": policy_bodies.PolicyDeleteBody,
    "PUT /api/barred/{oid}": bar_body.BarBody,
    "POST /api/audit/erasures": erasure_body.ErasureBody,
}
BODILESS = {"POST /api/reconcile", "DELETE /api/barred/{oid}"}
WORDS = [
    ("Grant", "connection.via", (*Via, BY_BASTION)),
    ("Request", "caller.kind", Kind),
    ("GET /api/me", "kind", Kind),
    ("Access entry", "caller.kind", Kind),
    ("Virtual machine", "via", Via),
    ("Virtual machine", "status", Support),
    ("Plan", "plan[].action", PlanAction),
    ("Plan", "plan[].class", PlanClass),
    ("PUT /api/virtual-machines/jit-policy", "policies[].action", PolicyAction),
    ("DELETE /api/virtual-machines/jit-policy", "policies[].action", PolicyAction),
]
EVERYWHERE = "Answers"
SECTIONS, ROUTES = api_page.sections(), api_page.routes()


def spans(text):
    return re.findall(r"`([^`]+)`", text)


# ---- the calls -----------------------------------------------------------------------------------


NOT_MODIFIED = 304  # it has no body


@pytest.fixture(scope="module")
def api():
    """An API on which the calls of the page were made, and calls that bring the other answers."""
    with pytest.MonkeyPatch.context() as patch:
        api = Api(patch)
        api_calls.make_calls_of_the_page(api)
        api_calls.make_other_calls(api)
        yield api


@pytest.fixture(scope="module")
def met(api):
    """Every JSON object of every answer."""
    told = (answer for answer in api.answers if answer.status != NOT_MODIFIED)
    return [each for answer in told for each in api_page.meet(title_of(answer), answer.doc)]


@pytest.fixture(scope="module")
def seen(met):
    """Section and path of every field of every answer."""
    return {(each.title, path) for each in met for path in each.fields()}


def title_of(answer):
    """Return the section with the fields of an answer."""
    own = ROUTES[answer.route]
    told = own if answer.status in own.statuses() else SECTIONS[EVERYWHERE]
    return told.answer_to(answer.status)


# ---- routes, roles, parameters -------------------------------------------------------------------


def test_each_route_has_a_section_and_each_section_a_route():
    """Method and path are the heading."""
    assert sorted(ROUTES) == sorted(list_routes())


def is_refused(name, roles):
    """Return True if the function *name* answers 403 to a caller with *roles*."""
    headers = {"X-MS-CLIENT-PRINCIPAL": make_principal(roles)}
    return (
        call(name, make_request(name, headers=headers, params={"unknown": "1"})).status_code == 403
    )


@pytest.mark.parametrize("title", ROUTES)
def test_a_section_names_the_roles_of_its_route(title, api):
    """Anybody may call ``health``: it has no roles."""
    name, told = list_routes()[title], ROUTES[title].roles()
    allowed = [role for role in Role if not is_refused(name, [role])]

    assert sorted(told) == ([] if not is_refused(name, []) else sorted(allowed))


def names_of_all_parameters():
    return sorted({name for section in ROUTES.values() for name in section.names(QUERY)})


def is_unknown(function, parameter):
    """Return True if *function* refuses *parameter* as unknown."""
    answer = call(function, make_request(function, params={parameter: ""}))
    errors = json.loads(answer.get_body()).get("errors", ())
    found = [(each["pointer"], each["code"]) for each in errors]
    return (f"#/{parameter}", "unknown-field") in found


@pytest.mark.parametrize("title", ROUTES)
def test_a_section_names_the_parameters_that_its_route_reads(title, api):
    """The code asks for each of them, and refuses all others of the page."""
    name, told = list_routes()[title], ROUTES[title].names(QUERY)
    req, asked = make_request(name), WatchedValues()
    setattr(req, "_HttpRequest__params", asked)  # noqa: B010 # it has no setter

    call(name, req)

    assert sorted(asked.asked) == sorted(told)
    assert [each for each in names_of_all_parameters() if not is_unknown(name, each)] == sorted(
        told
    )


# ---- bodies --------------------------------------------------------------------------------------


def test_every_route_with_a_body_has_its_table():
    """Two routes change something and have no body."""
    with_table = {title for title, section in ROUTES.items() if section.rows(BODY)}
    changing = {title for title, name in list_routes().items() if name in CHANGING}

    assert with_table == set(BODIES) == changing - BODILESS


@pytest.mark.parametrize("title", BODIES)
def test_the_table_of_a_body_has_the_fields_of_its_type(title):
    """Each once, with its bounds, and with *yes* if the reader requires it."""
    told = {row[0].strip("`"): row for row in ROUTES[title].rows(BODY)}
    fields = api_page.body_fields(schema_of(BODIES[title], LIMITS))

    assert len(told) == len(ROUTES[title].rows(BODY))
    assert {path: row[2] for path, row in told.items()} == {
        path: "yes" if each.is_required else "no" for path, each in fields.items()
    }
    missing = {
        path: each.bounds - set(re.findall(r"`[^`]+`|\d+", told[path][3]))
        for path, each in fields.items()
    }
    assert {path: words for path, words in missing.items() if words} == {}


@pytest.mark.parametrize("title", BODIES)
def test_a_route_reads_the_type_of_its_table(title, api):
    """It names the fields that it knows, if it meets one that it does not know."""
    name = list_routes()[title]
    answer = json.loads(call(name, make_request(name, body={"colour": 1})).get_body())

    (detail,) = [each["detail"] for each in answer["errors"] if each["code"] == "unknown-field"]
    told = [path for path in ROUTES[title].names(BODY) if "." not in path and "[" not in path]
    assert sorted(detail.removeprefix("unknown; known are ").split(", ")) == sorted(told)


def test_the_body_with_all_fields_has_all_fields_and_is_accepted():
    """At a time when its start lies ahead."""
    (text,) = ROUTES[ASK].blocks("json")
    body = json.loads(text)
    now = parse_instant(body["startTime"]) - timedelta(days=7)

    draft = access_body.read_access_request(body, now=now, limits=LIMITS)

    assert (draft.violations, draft.request is not None) == ((), True)
    assert set(paths_of(body)) == set(ROUTES[ASK].names(BODY))


def paths_of(value, path=""):
    if isinstance(value, list):
        for item in value:
            yield from paths_of(item, f"{path}[]")
    if isinstance(value, dict):
        for name, item in value.items():
            below = f"{path}.{name}" if path else name
            yield from (below, *paths_of(item, below))


# ---- answers -------------------------------------------------------------------------------------


def test_every_status_of_an_answer_is_in_a_table(api):
    """In the table of its route, or in the table of all routes."""
    common = SECTIONS[EVERYWHERE].statuses()
    found = {(each.route, each.status) for each in api.answers}

    assert {
        (route, status)
        for route, status in found
        if status not in [*ROUTES[route].statuses(), *common]
    } == set()


def test_every_good_status_of_a_table_was_answered(api):
    """Each route gives all its answers that are no problem."""
    found = {(each.route, each.status) for each in api.answers}
    told = {
        (route, status)
        for route, section in ROUTES.items()
        for status in section.statuses()
        if status < 300 or section.answer_to(status) != "Problem"
    }

    assert told - found == set()


def test_every_field_of_an_answer_is_in_its_table(seen):
    """With its path in the answer."""
    assert seen - set(types_of_tables()) == set()


def test_every_field_of_a_table_is_in_an_answer(seen):
    """Also in lists that are often empty."""
    assert set(types_of_tables()) - seen == set()


def types_of_tables():
    return {
        (title, path): kind
        for title, section in api_page.sections().items()
        for path, kind in section.types().items()
    }


def test_a_table_names_no_field_twice():
    """Two rows could contradict each other."""
    found = [(title, *row[:1]) for title, each in SECTIONS.items() for row in each.rows(ANSWER)]

    assert len(found) == len(set(found)) == len(types_of_tables())


def test_every_value_has_the_type_of_its_table(met):
    """It is null only if the table says so."""
    types = types_of_tables()

    assert {
        (each.title, path, repr(value))
        for each in met
        for path, value in each.fields().items()
        if not api_page.is_of_type(value, types[each.title, path])
    } == set()


def test_only_optional_fields_are_ever_absent(met):
    """A caller may read the others without a question."""
    optional = {place for place, kind in types_of_tables().items() if kind.endswith(", optional")}

    assert {(each.title, path) for each in met for path in each.absent()} == optional


def test_the_example_of_an_answer_fits_its_table():
    """All of its fields, each of its type."""
    (text,) = SECTIONS["Request"].blocks("json")
    met = list(api_page.meet("Request", json.loads(text)))
    types = types_of_tables()

    assert {(each.title, path) for each in met for path in each.absent()} == {
        ("Request", "ticket"),
        ("Request", "unchanged"),
        ("Grant", "requester"),
    }
    assert [
        (path, value)
        for each in met
        for path, value in each.fields().items()
        if not api_page.is_of_type(value, types[each.title, path])
    ] == []


@pytest.mark.parametrize(("title", "path", "words"), WORDS, ids=str)
def test_the_words_of_a_field_are_those_of_the_code(title, path, words):
    """A caller's program compares them."""
    (meaning,) = [row[2] for row in SECTIONS[title].rows(ANSWER) if spans(row[0]) == [path]]

    assert sorted(spans(meaning)) == sorted(words)


# ---- the script that waits -----------------------------------------------------------------------


class Content(io.BytesIO):
    """An answer as ``urlopen`` returns it."""

    def __init__(self, answer):
        super().__init__(json.dumps(answer.doc).encode())
        self.status, self.headers = answer.status, answer.headers


class Waiting:
    """What the script of the page uses: calls go to an API in this process, and its clock runs."""

    def __init__(self, patch):
        self.api = Api(patch)
        patch.setattr("time.sleep", lambda seconds: self.api.wait(seconds / 60))
        patch.setattr("urllib.request.urlopen", self.open)

    def open(self, request):
        headers = dict(request.header_items())
        answer = self.api.send(api_calls.Call("GET", request.full_url, headers))
        return Content(answer)


@pytest.fixture
def script(monkeypatch, capsys):
    """Return a function that runs the script for a request, and returns the printed lines."""
    (text,) = ROUTES["GET /api/access-requests/{id}/outcome"].blocks("python")
    waiting = Waiting(monkeypatch)

    def run(body, meanwhile=None):
        asked = waiting.api.call("POST", "access-requests", body)
        monkeypatch.setattr("sys.argv", ["wait.py", asked.headers["Location"]])
        (meanwhile or (lambda _: None))(waiting.api.broker)
        exec(compile(text, "wait.py", "exec"), {})  # the page's own text
        return waiting.api.answers[-1].doc, capsys.readouterr().out.splitlines()

    return run


def test_the_script_of_the_page_waits_and_prints_the_line_to_connect_with(script):
    """Two machines, two lines."""
    _, printed = script(wish((farm(1), farm(2))))

    assert printed == ["ssh -p 22 user@20.71.21.11", "ssh -p 22 user@20.71.21.12"]


def test_the_script_of_the_page_waits_and_prints_the_reason(script):
    """A portal user was there first: the answer is 200, and its decision says no."""
    doc, printed = script(wish(farm(1)), lambda broker: broker.occupy(farm(1), 22, ELSEWHERE))

    (error,) = doc["decision"]["errors"]
    assert (doc["status"], doc["decision"]["allowed"], error["code"]) == (
        "closed",
        False,
        "occupied",
    )
    assert printed == [f"closed, denied: {error['detail']}"]


# ---- a runbook ----------------------------------------------------------------------------------


def test_the_runbook_closes_everything_for_one_vm(monkeypatch):
    """The other VM of the request stays open."""
    api = Api(monkeypatch)
    body = wish(
        DB01,
        virtualMachines=[wish(DB01)["virtualMachines"][0], wish(APP01, 3389)["virtualMachines"][0]],
    )
    asked = api.call("POST", "access-requests", body).doc["id"]
    api.wait(2)

    listed, ended = api_calls.run_runbook(api, "Close everything for one VM", ID=asked)
    api.wait(5)

    assert [each["id"] for each in listed.doc["value"]] == [asked]
    assert ended.status == 202
    assert {grant.port: grant.status for grant in api.broker.whole(asked).grants} == {
        22: "closed",
        3389: "open",
    }


# ---- headers and people --------------------------------------------------------------------------


def test_the_headers_of_answers_are_those_of_the_table(api):
    """``Content-Type`` is said in words."""
    told = SECTIONS[EVERYWHERE].names("header")
    found = {name for each in api.answers for name in each.headers}

    assert sorted(found) == sorted(told)


def test_the_people_of_the_page_are_those_of_the_local_stack():
    """With their roles; a caller without a header is one of them."""
    section = SECTIONS["On the local stack"]
    told = {name: sorted(spans(row[1])) for row in section.rows("person") for name in spans(row[0])}

    assert told == {name: sorted(person.roles) for name, person in AUTHENTICATION.people.items()}
    assert f"Without the header the caller is `{platform_auth.DEFAULT_USER}`" in section.text
    assert f"With `{platform_auth.ANONYMOUS}` nobody" in section.text
