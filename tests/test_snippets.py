"""Commands and snippets of the documents: each is run by a test, or says why no test runs it."""

import json
import re

import pytest

from jit.domain.errors import Malformed
from jit.domain.values import times
from local.azure.values.http import Request
from tests import api_calls, api_page
from tests.api_calls import Api, read_curl, run_runbook
from tests.broker.inprocess import farm, wish
from tests.local.azure.sim import DB01, WEB01
from tests.test_docs import DOCUMENTS, PROJECT, functions_of, name_of, rows, section

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
API_PAGE = "tests/test_api_page.py"
RUN = {  # document, language, how many: the test that runs them, or the reason why none does
    ("README.md", "mermaid"): (1, "a drawing"),
    ("README.md", "text"): (3, "output"),
    ("README.md", "sh"): (2, "tests/test_snippets.py::test_the_call_of_the_readme_opens_a_port"),
    ("CONTRIBUTING.md", "python"): (
        2,
        "tests/test_contributing.py::test_the_example_passes_its_own_test",
    ),
    ("CONTRIBUTING.md", "diff"): (
        1,
        "tests/test_contributing.py::test_the_example_passes_its_own_test",
    ),
    ("docs/api.md", "sh"): (25, f"{API_PAGE}::test_every_good_status_of_a_table_was_answered"),
    ("docs/api.md", "python"): (
        1,
        f"{API_PAGE}::test_the_script_of_the_page_waits_and_prints_the_reason",
    ),
    ("docs/api.md", "json"): (
        2,
        f"{API_PAGE}::test_the_body_with_all_fields_has_all_fields_and_is_accepted",
    ),
    ("docs/architecture.md", "mermaid"): (2, "drawings"),
    ("docs/operations.md", "kusto"): (1, "needs Azure Monitor"),
    ("docs/operations.md", "sh"): (
        7,  # the commands of the audit trail: tests/cli/test_runbook.py
        "tests/test_snippets.py::test_the_runbook_stops_all_openings_and_ends_what_is_open",
    ),
    ("docs/problems.md", "json"): (
        1,
        "tests/test_snippets.py::test_the_example_of_a_problem_is_what_the_broker_answers",
    ),
    ("docs/promises.md", ""): (2, "output"),
    ("local/README.md", ""): (1, "tests/local/azure/test_main.py"),
    ("local/README.md", "python"): (1, "not whole: it leaves out the credential"),
}
NOT_RUN = {  # commands within sentences: the reason
    "az": "needs Azure",
    "func": "needs Azure Functions Core Tools and Azure",
}


def blocks(document):
    """Language and text of each block of a document; the blocks of a list are indented."""
    return BLOCK.findall(re.sub(r"^ {1,3}", "", document.read_text(), flags=re.MULTILINE))


def test_each_block_of_the_documents_is_run_or_says_why_not():
    """A new block needs a test, or a reason here."""
    found: dict[tuple[str, str], int] = {}
    for document in DOCUMENTS:
        for language, _ in blocks(document):
            place = (name_of(document), language)
            found[place] = found.get(place, 0) + 1

    assert found == {place: count for place, (count, _) in RUN.items()}


def test_the_tests_that_run_the_blocks_exist():
    """The others name a file or a reason."""
    named = [how.split("::") for _, how in RUN.values() if "::" in how]

    assert [(path, test) for path, test in named if test not in functions_of(path)] == []


def test_each_command_in_a_sentence_is_known():
    """Commands of ``make`` are targets, ``curl`` is run below, and the others need Azure."""
    texts = [document.read_text() for document in DOCUMENTS]
    spans = [
        span for text in texts for span in re.findall(r"`((?:az|func|curl|make) [^`]+)`", text)
    ]
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    makes = {span.split()[1] for span in spans if span.startswith("make ")}

    assert {span.split()[0] for span in spans} - {"make", "curl"} == set(NOT_RUN)
    assert makes <= targets
    assert {span for span in spans if span.startswith("curl ")} == {CLOCK}


CLOCK = """curl http://127.0.0.1:7072/_sim/clock -d '{"advance": "PT1H"}'"""


@pytest.fixture
def api(monkeypatch):
    """The HTTP API in this process."""
    return Api(monkeypatch)


def test_the_call_of_the_readme_opens_a_port(api):
    """And the time of the stack moves as the README says."""
    (text,) = [each for _, each in blocks(PROJECT / "README.md") if each.startswith("curl")]
    began = api.broker.now

    asked = api.send(read_curl(text))
    api.wait(2)
    outcome = api.call("GET", f"access-requests/{asked.doc['id']}/outcome")
    clock = read_curl(CLOCK)
    moved = api.broker.sim.azure.handle(Request(clock.method, clock.target, {}, clock.body))

    (grant,) = outcome.doc["grants"]
    assert (asked.status, outcome.status) == (202, 200)
    assert grant["connection"]["command"] in (PROJECT / "README.md").read_text()
    assert (moved.status, (api.broker.now - began).seconds >= 3600) == (200, True)


def test_the_runbook_stops_all_openings_and_ends_what_is_open(api):
    """Without the permission nothing opens; what is open is listed and revoked; then rules go."""
    before = api.call("POST", "access-requests", wish(DB01)).doc["id"]
    api.wait(2)
    runbook = section("docs/operations.md", "### Stop all openings now")
    (action,) = re.findall(r"`(Microsoft\.Security/[^`]*)`", runbook)
    api.broker.sim.control("PUT", "state", {"deniedActions": [action]})

    after = api.call("POST", "access-requests", wish(farm(1)))
    api.wait(2)
    listed, ended = run_runbook(api, "Stop all openings now", ID=before)
    api.wait(5)

    (refused,) = api.call("GET", f"access-requests/{after.doc['id']}").doc["grants"]
    assert (after.status, refused["status"], refused["closeReason"]) == (202, "closed", "failed")
    assert refused["note"].startswith("Azure refused to open it")
    assert before in [each["id"] for each in listed.doc["value"]]
    assert (ended.status, api.broker.status(before)) == (202, "closed")
    assert not api.broker.reachable(DB01)


def test_the_runbook_shuts_one_person_out(api):
    """The open path ends, the list tells it, and nothing new is accepted."""
    before = api.call("POST", "access-requests", wish(DB01), user="dave").doc["id"]
    api.wait(2)

    barred, listed = run_runbook(api, "Shut one person out")
    api.wait(5)
    after = api.call("POST", "access-requests", wish(farm(1)), user="dave")

    assert (barred.status, barred.doc["revoked"]) == (200, 1)
    assert [each["id"] for each in listed.doc["value"]] == [before]
    assert (api.broker.status(before), api.broker.reachable(DB01)) == ("closed", False)
    assert (after.status, after.doc["errors"][0]["code"]) == (403, "barred")


def test_the_rules_that_the_runbook_names_are_all_that_let_anybody_in(api):
    """By hand, without the broker. The deny rules stay, and the ports are closed."""
    api.call("POST", "access-requests", wish(WEB01, 3389))
    api.wait(8)
    assert api.broker.reachable(WEB01, 3389)
    runbook = section("docs/operations.md", "### Stop all openings now")
    names = tuple(re.findall(r"`([\w-]+-|MDC-JIT|ASC-JIT)`", runbook))

    removed = remove_by_hand(api.broker.sim, names)

    assert len(removed) == 3
    assert not any("JITRule_" in name for name in removed)
    assert not api.broker.reachable(WEB01, 3389)


def remove_by_hand(sim, names):
    """Remove each rule and NAT rule whose name begins with one of *names*; return their names."""
    removed, changed = [], {}
    for resource_id, body in sim.control("GET", "state")["resources"].items():
        lists = [(body["properties"], "securityRules")]
        lists += [
            (each["properties"], "rules")
            for each in body["properties"].get("natRuleCollections", ())
        ]
        for holder, name in lists:
            doomed = [rule for rule in holder.get(name, ()) if rule["name"].startswith(names)]
            if doomed:
                removed += [rule["name"] for rule in doomed]
                holder[name] = [rule for rule in holder[name] if rule not in doomed]
                changed[resource_id] = body
        collections = body["properties"].get("natRuleCollections", ())
        full = [each for each in collections if each["properties"]["rules"]]
        if len(full) < len(collections):  # Azure takes no collection without a rule
            body["properties"]["natRuleCollections"] = full
    sim.control("PUT", "state", {"resources": changed})
    return removed


def test_the_example_of_a_problem_is_what_the_broker_answers(api):
    """With its fields and codes."""
    (text,) = [
        each for language, each in blocks(PROJECT / "docs/problems.md") if language == "json"
    ]
    told = json.loads(text)

    answer = api.call("POST", "access-requests", wish(DB01, sources=["*"], justification="x")).doc

    assert answer.keys() == told.keys()
    assert answer["errors"] == told["errors"]


def codes_with_examples():
    """Codes about times, each with the examples of its row."""
    for row in rows(section("docs/problems.md", "### Times")):
        examples = re.findall(r"`([^`]*\d:\d[^`]*)`", row[2])
        yield from ((row[0].strip("`"), example) for example in examples)


@pytest.mark.parametrize(("code", "example"), list(codes_with_examples()))
def test_an_example_of_a_time_has_the_code_of_its_row(code, example):
    """A caller finds the own mistake by them."""
    with pytest.raises(Malformed) as caught:
        times.parse_instant(example)

    assert caught.value.code == code


def test_the_calls_of_the_page_have_all_routes():
    """Each route has one example at least."""
    told = {title for title, each in api_page.routes().items() if each.blocks("sh")}

    assert told == set(api_calls.list_routes())
