"""
The main job, step by step, on the local stack: ``make demo``.

Every step prints its result and checks it; a failure prints the expected result. Azure is the
simulator, so its minutes pass by command.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from azure.data.tables import TableClient

from jit.domain.audit import chain
from jit.gateways.table_storage import StorageTable
from jit.storage.audit_chain import Drainer
from jit.storage.outbox import Outbox
from jit.wiring import AUDIT, STATE
from local import azure_rules
from local.stack import Options, Stack, make_run_folder

ALICE, DAVE, STRANGER = "203.0.113.7", "198.51.100.9", "192.0.2.66"
RDP = 3389
ACCEPTED, OK = 202, 200
_LOOK_SECONDS = 1.0  # seconds of real time after each minute, for the queues to bring the news
_PAUSE_SECONDS = 0.1
_MINUTES = 45
_FAULTY = 400


class Unexpected(Exception):
    """A step did not show the expected result; the message names it."""


def main() -> int:
    """Run every step; return the exit code."""
    title("The local stack: Azurite, the Azure simulator, the broker")
    options = Options(say=lambda line: print(line, flush=True))
    try:
        with make_run_folder("jit-demo-") as run, Stack(run, options) as stack:
            Demo(stack).play()
    except Unexpected as error:
        print(f"\nFAILED: {error}\nlogs: {run}", file=sys.stderr)
        return 1
    print("\nEvery step was verified.")
    return 0


def title(text: str) -> None:
    """Print the head of a step."""
    print(f"\n== {text}", flush=True)


def say(text: str) -> None:
    """Print one line of a step."""
    print(f"   {text}", flush=True)


def expect(text: str, truth: object) -> None:
    """Print that *text* holds, or stop."""
    if not truth:
        raise Unexpected(f"expected: {text}")
    say(f"ok  {text}")


class Demo:
    """The steps, in order."""

    def __init__(self, stack: Stack) -> None:
        self._api = f"{stack.url}/api"
        self._sim = f"{stack.simulator_url}/_sim"
        self._connection = stack.connection_string
        self._vm: dict[str, Any] = {}

    def play(self) -> None:
        """Run the steps."""
        self._move_clock({"freeze": True})
        self._show_machines()
        alice = self._ask_for_rdp()
        self._open_path(alice)
        self._show_rules()
        self._let_dave_join_and_leave(alice)
        self._expire(alice)
        self._remove_leftovers()
        self._show_history(alice)

    # ---- the steps -----------------------------------------------------------------------------

    def _show_machines(self) -> None:
        title("Virtual machines, and what just-in-time access can do for them")
        found = self._get("/virtual-machines", "alice")["value"]
        for vm in found[:6]:
            ports = ", ".join(f"{p['number']}/{p['protocol']}" for p in vm["ports"]) or "-"
            say(f"{vm['name']:8} {vm['status']:14} via {vm['via']:10} ports {ports}")
            for reason in vm["reasons"]:
                say(f"{'':8} {reason}")
        say(f"... and {len(found) - 6} more")
        self._vm = next(vm for vm in found if vm["name"] == "web01")
        expect("web01 is configured, behind the firewall", self._vm["via"] == "firewall")
        expect("nobody reaches web01 yet", not self._reaches(ALICE))

    def _ask_for_rdp(self) -> str:
        title("Alice asks for RDP to web01, from her address, for one hour")
        body = self._build_body(ALICE, "PT1H", "CHG0030001 monthly patch")
        status, request = self._call("POST", "/access-requests", "alice", body)
        say(f"{status} {request.get('id', request)}")
        expect("the request is accepted before anything opens", status == ACCEPTED)
        expect("it is pending, and shows no connection", request["status"] == "pending")
        return str(request["id"])

    def _open_path(self, alice: str) -> None:
        title("Defender is asked once; the firewall takes its four minutes")
        request = self._wait_until(alice, "open")
        grant = request["grants"][0]
        say(f"connect with:  {grant['connection']['command']}")
        expect(
            "the firewall's public address and mapped port",
            grant["connection"]["command"].startswith("mstsc /v:52.137.62.53:"),
        )
        say(f"ends by itself at {grant['expiresAt']}")
        expect("packets from Alice reach web01", self._reaches(ALICE))
        expect("packets from anybody else do not", not self._reaches(STRANGER))

    def _show_rules(self) -> None:
        title("The rules as they stand in Azure")
        resources = self._read_state()
        nats = [
            rule
            for fw in azure_rules.resources_of_type(resources, "azureFirewalls")
            for rule in azure_rules.jit_nat_rules(fw)
        ]
        for rule in nats:
            say(f"NAT  {rule['name']}: {azure_rules.describe_nat_rule(rule)}")
        rules = self._read_nsg_rules(resources)
        for rule in sorted(rules, key=lambda item: int(item["properties"]["priority"])):
            say(f"NSG  {azure_rules.describe_nsg_rule(rule)}")
        companions = [rule for rule in rules if rule["name"].startswith("jit-broker-")]
        expect(
            "one NAT rule, for Alice's address alone", azure_rules.list_sources(nats) == [[ALICE]]
        )
        expect("one companion rule lets the firewall's subnet through", len(companions) == 1)

    def _let_dave_join_and_leave(self, alice: str) -> None:
        title("Dave joins the same port from elsewhere, and leaves early")
        body = self._build_body(DAVE, "PT40M", "second pair of eyes")
        status, request = self._call("POST", "/access-requests", "dave", body)
        expect("Dave's request is accepted", status == ACCEPTED)
        self._wait_until(request["id"], "open")
        self._wait_until(alice, "open")
        expect("both reach web01", self._reaches(ALICE) and self._reaches(DAVE))
        status, _ = self._call("POST", f"/access-requests/{request['id']}/revoke", "dave", {})
        expect("Dave gives his access back", status == ACCEPTED)
        closed = self._wait_until(request["id"], "closed", watch=lambda: self._reaches(ALICE))
        expect("his grant ends as revoked", closed["grants"][0]["closeReason"] == "revoked")
        expect("Dave is out", not self._reaches(DAVE))
        expect("Alice was never cut", self._reaches(ALICE))
        self._wait_until(alice, "open")

    def _expire(self, alice: str) -> None:
        title("Alice's hour is over")
        self._skip_to(self._get(f"/access-requests/{alice}", "alice")["expiresAt"])
        request = self._wait_until(alice, "closed")
        grant = request["grants"][0]
        expect("her grant expired", grant["closeReason"] == "expired")
        expect("nobody reaches web01 any more", not self._reaches(ALICE))
        expect("no JIT rule and no companion is left", not self._list_left_rules())

    def _remove_leftovers(self) -> None:
        title("Azure forgets to remove its rules; the broker finds them")
        self._sim_call("POST", "/faults", {"faults": [_FORGET]})
        body = self._build_body(ALICE, "PT20M", "short visit")
        _, request = self._call("POST", "/access-requests", "alice", body)
        opened = self._wait_until(request["id"], "open")
        self._skip_to(opened["expiresAt"])
        closed = self._wait_until(request["id"], "closed")
        expect("the grant is closed", closed["status"] == "closed")
        expect(
            "the forgotten rules are gone", not self._list_left_rules() and not self._reaches(ALICE)
        )
        self._sim_call("DELETE", "/faults")

    def _show_history(self, alice: str) -> None:
        title("What the record says about Alice's request")
        request = self._get(f"/access-requests/{alice}", "audra")
        say(f"{request['requester']['name']}: {request['justification']}")
        trail = self._read_trail(alice)
        for record in trail:
            say(f"{record['at'][11:19]}  {record['what']:24} by {record['actor'][:8]}")
        told = [record["what"] for record in trail]
        expect("from acceptance to closing", told[:1] + told[-1:] == _ENDS)

    # ---- the pieces ------------------------------------------------------------------------------

    def _build_body(self, source: str, duration: str, why: str) -> Mapping[str, object]:
        return {
            "virtualMachines": [{"id": self._vm["id"], "ports": [{"number": RDP}]}],
            "sources": [source],
            "duration": duration,
            "justification": why,
        }

    def _wait_until(
        self,
        request_id: str,
        wanted: str,
        *,
        minutes: int = _MINUTES,
        watch: Callable[[], bool] | None = None,
    ) -> dict[str, Any]:
        """Let minutes pass until the request is *wanted*; *watch* must hold all the way."""
        shown = ""
        for minute in range(minutes + 1):
            request = self._settle(request_id, wanted)
            if watch is not None and not watch():
                raise Unexpected("Alice's path stays open while Dave leaves")
            news = f"{request['status']}: {request['grants'][0]['note'] or '-'}"[:100]
            if news != shown:
                shown = news
                say(f"after {minute:2} min  {news}")
            if request["status"] == wanted:
                return request
            self._move_clock({"advance": "PT1M"})
        raise Unexpected(f"the request is {wanted} within {minutes} minutes; it is {shown}")

    def _settle(self, request_id: str, wanted: str) -> dict[str, Any]:
        """Give the queues a moment of real time."""
        deadline = time.monotonic() + _LOOK_SECONDS
        pause = threading.Event()
        while True:
            request = self._get(f"/access-requests/{request_id}", "olga")
            if request["status"] == wanted or time.monotonic() > deadline:
                return request
            pause.wait(_PAUSE_SECONDS)

    def _skip_to(self, moment: str) -> None:
        """Let the time until *moment* pass at once."""
        now = datetime.fromisoformat(self._sim_call("GET", "/clock")["now"])
        seconds = max(0, int((datetime.fromisoformat(moment) - now).total_seconds()))
        say(f"{seconds // 60} minutes pass")
        self._move_clock({"advance": f"PT{seconds}S"})

    def _list_left_rules(self) -> list[str]:
        resources = self._read_state()
        nats = [
            rule["name"]
            for fw in azure_rules.resources_of_type(resources, "azureFirewalls")
            for rule in azure_rules.jit_nat_rules(fw)
        ]
        rules = self._read_nsg_rules(resources)
        names = [rule["name"] for rule in rules if rule["properties"]["access"] == "Allow"]
        return nats + [name for name in names if "JITRule-" in name or "jit-broker" in name]

    def _read_nsg_rules(self, resources: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the rules of web01's NSG that name the port of RDP."""
        nsgs = azure_rules.resources_of_type(resources, "networkSecurityGroups")
        return [
            rule
            for nsg in nsgs
            if nsg["name"] == "nsg-web"
            for rule in azure_rules.rules_for_port(nsg, RDP)
        ]

    def _reaches(self, source: str) -> bool:
        query = urllib.parse.urlencode({"source": source, "vm": self._vm["id"], "port": RDP})
        return bool(self._sim_call("GET", f"/reachable?{query}")["reachable"])

    def _read_state(self) -> dict[str, Any]:
        return dict(self._sim_call("GET", "/state")["resources"])

    def _move_clock(self, body: Mapping[str, object]) -> None:
        self._sim_call("POST", "/clock", body)

    def _read_trail(self, request_id: str) -> list[dict[str, Any]]:
        """Read the audit chain as an auditor would: straight from the table, and verify it."""
        subscription = self._vm["subscription"]
        deadline = time.monotonic() + 10 * _LOOK_SECONDS
        pause = threading.Event()
        self._move_clock({"advance": "PT5M"})  # reconcile drains the outbox into the chain
        while True:
            records = list(_make_drainer(self._connection).list_records(subscription))
            events = [dict(record.event) for record in records]
            mine = [event for event in events if event["requestId"] == request_id]
            if [event["what"] for event in mine][-1:] == _ENDS[1:]:
                expect(
                    "the audit chain is unbroken",
                    chain.verify(records, start=chain.Head(chain=subscription)) is None,
                )
                return mine
            if time.monotonic() > deadline:
                raise Unexpected(f"the chain holds the end of the request; it holds {mine}")
            pause.wait(_PAUSE_SECONDS)

    def _get(self, path: str, user: str) -> dict[str, Any]:
        status, doc = self._call("GET", path, user)
        if status != OK:
            raise Unexpected(f"200 from GET {path}; it was {status}: {doc}")
        return doc

    def _call(
        self, method: str, path: str, user: str, body: Mapping[str, object] | None = None
    ) -> tuple[int, dict[str, Any]]:
        return _send_http(method, self._api + path, body, {"X-Local-User": user})

    def _sim_call(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        status, doc = _send_http(method, self._sim + path, body, {})
        if status >= _FAULTY:
            raise Unexpected(f"the simulator answers {method} {path}; it said {status}: {doc}")
        return doc


_FORGET = {"match": {"method": "POST", "path": "initiate"}, "times": 1, "leaveRules": True}
_ENDS = ["request.accepted", "grant.closed"]


def _send_http(
    method: str, url: str, body: Mapping[str, object] | None, headers: Mapping[str, str]
) -> tuple[int, dict[str, Any]]:
    data = json.dumps(body).encode() if body is not None else None
    sent = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(url, method=method, data=data, headers=sent)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.loads(response.read() or b"{}")
    except urllib.error.HTTPError as error:
        raw = error.read()
        return error.code, json.loads(raw) if raw.startswith(b"{") else {"text": raw.decode()}


def _make_drainer(connection: str) -> Drainer:
    def table(name: str) -> StorageTable:
        return StorageTable(TableClient.from_connection_string(connection, name))

    state = table(STATE)
    return Drainer(Outbox(state), table(AUDIT))
