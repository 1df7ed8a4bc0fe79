"""
Calls of the HTTP API in this process: the functions of the app over a whole broker in memory.

The headers are those of the local stack: its front end and its authentication write them.
"""

from __future__ import annotations

import gzip
import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import azure.functions as func
import pytest

from jit import wiring
from jit.api import compression
from jit.broker.auditing import record_pages
from jit.broker.auditing.chains import Chains
from jit.broker.auditing.erasures import Erasures
from jit.broker.auditing.record_pages import RecordPages
from jit.broker.call_counts import CallCounts
from jit.broker.health import HealthCheck
from jit.broker.reconcile.dry_run import DryRuns
from jit.domain.errors import Unavailable
from jit.settings import Settings
from jit.storage import keys
from jit.storage.documents import FORMAT
from jit.storage.table import Op, Verb
from jit.storage.trail.chain_reads import ChainReads
from local.host.web import front_end, platform_auth
from tests import api_page
from tests.broker.inprocess import ALICE, BOB, ELSEWHERE, InProcess, farm, wish
from tests.broker.reconciling import Reconciling
from tests.local.azure.sim import DB01, DEVELOPMENT, HUB01, PRODUCTION
from tests.triggers.app_functions import FUNCTIONS, ROUTES, call_and_listen

LANDSCAPE = Path(__file__).resolve().parent.parent / "local" / "landscape.json"
OPERATIONS = LANDSCAPE.parent.parent / "docs" / "operations.md"
SERVER = "http://127.0.0.1:7071"
AUTHENTICATION = platform_auth.read(LANDSCAPE, ["/api/health"])
HEALTH = "GET /api/health"
_PEER = ("127.0.0.1", 50_123)
_MINUTES = {
    "GET /api/access-requests/{id}/outcome": 2,
    "POST /api/access-requests/{id}/revoke": 5,
}
"""After these calls of the page, time passes: the path opens, then it closes."""
_SETTINGS = {
    "AzureWebJobsStorage": "x",
    "JIT_APP_CLIENT_ID": AUTHENTICATION.client_id,
    "JIT_CHANGES_PER_MINUTE": "100000",  # the clock stands still between two calls
    "JIT_READS_PER_MINUTE": "100000",
    "JIT_PUBLIC_BASE_URL": SERVER,
    "JIT_SUBSCRIPTIONS": f"{PRODUCTION},{DEVELOPMENT}",
    "JIT_TENANT_ID": AUTHENTICATION.tenant,
    "WEBSITE_AUTH_ENABLED": "True",
    "WEBSITE_AUTH_V2_CONFIG_JSON": AUTHENTICATION.write_configuration(),
}


def run_runbook(api: Api, heading: str, **variables: str) -> list[Answer]:
    """Make the calls of a runbook of ``docs/operations.md``; *variables* are those of the shell."""
    text = OPERATIONS.read_text().partition(f"\n### {heading}\n")[2].partition("\n### ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [api.send(read_curl(block, API=f"{SERVER}/api", **variables)) for block in blocks]


def list_routes() -> dict[str, str]:
    """Return the functions of the app by method and path: ``GET /api/health``."""
    fields = {name: FUNCTIONS[name].trigger.fields for name in ROUTES}
    return {
        f"{method} /{each['route']}": name
        for name, each in fields.items()
        for method in each["methods"]
    }


@dataclass(frozen=True)
class Call:
    """A call: ``curl`` without its options for the terminal."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """An answer, and the title of its route: ``GET /api/health``."""

    route: str
    status: int
    headers: Mapping[str, str]
    doc: Any
    body: bytes = b""


def read_curl(text: str, **variables: str) -> Call:
    """Return the call of a ``curl`` command; *variables* are those of the shell."""
    words = iter(shlex.split(text.replace("\\\n", " "))[1:])
    method, target, body, headers = "", "", b"", dict[str, str]()
    for word in words:
        if word == "-X":
            method = next(words)
        elif word == "-d":
            body = next(words).encode()
        elif word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word != "-i":
            target = re.sub(r"\$(\w+)", lambda found: variables[found[1]], word)
    return Call(method or ("POST" if body else "GET"), target, headers, body)


_LONG = 2048  # bytes
_FEW = 20  # records of a page


class Api:
    """
    The HTTP API of a broker in this process.

    Attributes:
        broker: Everything behind it.
        reconciling: The same broker with its comparisons.
        answers: Every answer so far.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        """Let *patch* put the broker's use cases behind the functions of the app."""
        self.broker = InProcess()
        self.reconciling = Reconciling(self.broker)
        self.answers: list[Answer] = []
        settings, use_cases = Settings.from_env(_SETTINGS), self.broker.use_cases
        counts = CallCounts(settings.limits)
        chains = Chains(
            reads=ChainReads(self.reconciling.audit),
            subscriptions=self.broker.subscription_rows,
            named=settings.subscriptions,
        )
        orders = Erasures(use_cases.stores.erasures, chains)
        parts: dict[str, Any] = {
            "settings": lambda: settings,
            "clock": lambda: self.broker.now,
            "call_counts": lambda: counts,
            "acceptance": lambda: self.broker.acceptance,
            "chains": lambda: chains,
            "erasures": lambda: orders,
            "record_pages": lambda: RecordPages(chains),
            "bar_changes": lambda: self.broker.bar_changes,
            "configurator": use_cases.configurator,
            "due_work": use_cases.due_work,
            "fresh_looks": lambda: self.broker.fresh_looks,
            "health": lambda: self._health(settings),
            "queries": lambda: self.broker.queries,
            "reconciler": lambda: self.reconciling.reconciler,
            "dry_runs": lambda: DryRuns(self.reconciling.reconciler, self.broker.use_cases.pace),
            "request_changes": lambda: self.broker.request_changes,
            "trail": lambda: use_cases.trail,
        }
        for name, part in parts.items():
            patch.setattr(wiring, name, part)
        patch.setattr(compression, "LONGEST_PLAIN", _LONG)  # the landscape is small
        patch.setattr(record_pages, "PAGE", _FEW)

    def _health(self, settings: Settings) -> HealthCheck:
        rows, azure = self.broker.subscription_rows, self.broker.observer.list_readable
        return HealthCheck(lambda: rows, azure, settings.subscriptions)

    def send(self, call: Call) -> Answer:
        """Make a call, keep its answer, and deliver its messages to the workers."""
        url = urlsplit(call.target)
        for route, name in list_routes().items():
            method, _, path = route.partition(" ")
            found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path), url.path)
            if method == call.method and found:
                return self._send(route, name, call, found.groupdict())
        raise LookupError(f"no route has {call.method} {url.path}")

    def _send(self, route: str, name: str, call: Call, ids: Mapping[str, str]) -> Answer:
        url = urlsplit(call.target)
        target = f"{url.path}?{url.query}" if url.query else url.path
        named = AUTHENTICATION.headers(url.path, call.headers.items())
        req = func.HttpRequest(
            method=call.method,
            url=f"{SERVER}{target}",
            headers=dict(front_end.add_headers(named, _PEER, target)),
            params=dict(parse_qsl(url.query, keep_blank_values=True)),
            route_params=dict(ids),
            body=call.body,
        )
        response, sent = call_and_listen(name, req)
        (queue,) = [each.fields["queueName"] for each in FUNCTIONS[name].outputs] or [""]
        for text in sent if isinstance(sent, list) else []:
            self.broker.queues.send(queue, text)
        doc = _read_document(response)
        answer = Answer(
            route, response.status_code, dict(response.headers), doc, response.get_body()
        )
        self.answers.append(answer)
        return answer

    def call(
        self, method: str, path: str, body: Any = None, *, user: str = "alice", **headers: str
    ) -> Answer:
        """Call *path* below ``/api`` as one of the sample people."""
        content = b"" if body is None else json.dumps(body).encode()
        named = {"X-Local-User": user, "Content-Type": "application/json"}
        named |= {key.replace("_", "-"): value for key, value in headers.items()}
        return self.send(Call(method, f"{SERVER}/api/{path}", named, content))

    def wait(self, minutes: float) -> None:
        """Let time pass: messages arrive, the timer ticks."""
        self.broker.live(minutes)

    def tick(self) -> None:
        """Play the timer ``tick``, with its row for the health of the broker."""
        self.broker.use_cases.due_work().tick(now=self.broker.now)

    @property
    def in_an_hour(self) -> str:
        """An instant ahead, as a body has it."""
        return (self.broker.now + timedelta(hours=1)).isoformat()


def _read_document(response: func.HttpResponse) -> Any:
    body = response.get_body()
    if response.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    return json.loads(body) if body and response.mimetype.endswith("json") else {}


# ---- the calls of the page, and some more --------------------------------------------------------


def make_calls_of_the_page(api: Api) -> None:
    """Make the calls in the order of the page; the broker is not well, because no timer ran."""
    variables = {"API": f"{SERVER}/api"}
    for title, section in api_page.routes().items():
        answer = api.send(read_curl(section.call(), **variables))
        is_as_told = answer.status in ((503,) if title == HEALTH else (200, 202))
        if (answer.route, is_as_told) != (title, True):
            raise AssertionError(title, answer)
        variables.setdefault("ID", answer.doc.get("id", ""))
        if title in _MINUTES:
            api.wait(_MINUTES[title])


def make_other_calls(api: Api) -> None:
    """Make calls that bring the answers and the fields that the calls of the page do not bring."""
    _ask_and_change(api)
    _look_at_machines(api)
    _bar_somebody(api)
    _call_in_vain(api)
    _read_trail(api)
    api.tick()
    api.call("GET", "health")
    api.call("GET", "status", user="olga")


def _ask_and_change(api: Api) -> None:
    ticket = {"system": "servicenow", "id": "CHG0030001"}
    body = wish(farm(1), startTime=api.in_an_hour, ticket=ticket)
    later = api.call("POST", "access-requests", body).doc["id"]
    api.call("POST", f"access-requests/{later}/extend", {"duration": "PT1H"})
    api.call("POST", "access-requests", {**wish(DB01, 5985), "via": "bastion"})
    api.call("POST", "access-requests", wish(farm(6), onBehalfOf=BOB.id), user="snow")
    now = api.call("POST", "access-requests", wish(farm(2))).doc["id"]
    api.wait(2)
    api.call("GET", f"access-requests/{now}/outcome")
    for duration in ("PT2H", "PT2H", "PT5M", "PT4H"):  # the second one is a repetition
        api.call("POST", f"access-requests/{now}/extend", {"duration": duration})
    part = {"virtualMachines": [{"id": farm(3)}]}
    api.call("POST", f"access-requests/{now}/revoke", part)
    api.call("POST", f"access-requests/{now}/revoke")
    api.call("POST", f"access-requests/{now}/revoke")
    api.call("GET", "access-requests", user="audra")
    for vm in (farm(1), HUB01):
        api.call("POST", "access-requests", wish(vm, dryRun=True))


def _look_at_machines(api: Api) -> None:
    api.call("POST", "access-requests", wish(farm(3)))
    api.wait(2)
    api.reconciling.wipe()
    api.broker.occupy(farm(4), 22, ELSEWHERE)
    api.reconciling.leave()
    api.wait(1)
    for _ in range(2):  # the second one comes too soon
        api.call("POST", "reconcile?dryRun=true", user="olga")
    for subscription in (PRODUCTION, DEVELOPMENT):
        api.reconciling.run(subscription)
    api.call("GET", "access", user="olga")
    page = api.call("GET", "virtual-machines", user="olga", Accept_Encoding="gzip")
    api.call("GET", "virtual-machines", user="olga", If_None_Match=page.headers["ETag"])
    api.call("GET", "virtual-machines", user="dave")
    unwanted = {"virtualMachines": [{"id": HUB01}]}
    api.call("DELETE", "virtual-machines/jit-policy", unwanted, user="olga")
    api.call("POST", "reconcile", user="olga")


def _bar_somebody(api: Api) -> None:
    body = {"reason": "on leave of absence", "until": api.in_an_hour}
    for user in ("olga", "audra"):
        api.call("PUT", f"barred/{BOB.id}", body, user=user)
    for path in ("barred", f"barred/{BOB.id}", f"barred/{ALICE.id}", "barred/alice"):
        api.call("GET", path, user="audra")
    _spoil_bar(api, BOB.id)
    for path in ("barred", f"barred/{BOB.id}"):
        api.call("GET", path, user="audra")
    api.call("DELETE", f"barred/{BOB.id}", user="olga")


def _read_trail(api: Api) -> None:
    chains = (PRODUCTION, DEVELOPMENT, keys.PEOPLE)
    body = {"person": ALICE.id, "reason": "left the company"}
    api.call("POST", "audit/erasures", body, user="olga")
    for chain in chains:
        api.reconciling.reconciler.drain(chain, now=api.broker.now)
    for query in ("", "?format=jsonl", "?format=csv", "?what=request.accepted"):
        api.call("GET", f"audit{query}", user="audra")
    api.call("GET", "audit/chains", user="audra")
    for path in (f"audit/chains/{DEVELOPMENT}", "audit/chains/x"):
        api.call("GET", path, user="audra")


def _spoil_bar(api: Api, person_id: str) -> None:
    """Make the row of a bar one that only a newer version reads."""
    (row,) = api.broker.state.rows(keys.bar_key(person_id))
    values = {**row.values, FORMAT: 99}
    api.broker.state.write([Op(Verb.REPLACE, replace(row, values=values))])


def _call_in_vain(api: Api) -> None:
    api.call("POST", "access-requests", {})
    api.call("POST", "access-requests", wish(HUB01))
    api.call("POST", "access-requests", wish(farm(1)), user="audra")
    api.call("POST", "access-requests", wish(farm(1)), user="-")
    api.call("POST", "access-requests", wish(farm(1)), Content_Type="text/plain")
    api.call("POST", "access-requests", wish(farm(1), justification="x" * 70_000))
    api.call("GET", "access-requests/unknown")
    usual, api.broker.calls.before = api.broker.calls.before, _refuse
    api.call("GET", "access-requests")
    api.broker.calls.before = usual
    _spoil_requests(api)
    api.call("GET", "access", user="olga")


def _spoil_requests(api: Api) -> None:
    """Make the rows of live requests ones that only a newer version reads."""
    for row in api.broker.state.rows("r|"):
        values = {**row.values, FORMAT: 99}
        api.broker.state.write([Op(Verb.REPLACE, replace(row, values=values))])


def _refuse(_name: str, _number: int) -> None:
    raise Unavailable("no answer")
