"""
The main job, step by step, on the local stack: ``make demo``.

Every step says what it shows and checks it; a failure says what was expected. Azure is the
simulator, so its minutes pass by command.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from azure.data.tables import TableClient

from jit.domain.audit import chain
from jit.gateways.table_storage import StorageTable
from jit.storage.audit_chain import Drainer
from jit.storage.control_rows import SubscriptionList
from jit.storage.outbox import Outbox
from jit.wiring import AUDIT, STATE
from local.stack import Options, Stack

ALICE, DAVE, STRANGER = "203.0.113.7", "198.51.100.9", "192.0.2.66"
RDP = 3389
ACCEPTED, OK = 202, 200
_LOOK_SECONDS = 1.0  # of real time after each minute, for the queues to bring the news
_PAUSE_SECONDS = 0.1
_MINUTES = 45
_FAULTY = 400


class Unexpected(Exception):
    """A step did not show what it should; the message says what was expected."""


def main() -> int:
    """Run every step; return the exit code."""
    run = Path(tempfile.mkdtemp(prefix="jit-demo-"))
    title("The local stack: Azurite, the Azure simulator, the broker")
    try:
        with Stack(run, Options(say=lambda line: print(line, flush=True))) as stack:
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


def expect(what: str, truth: object) -> None:
    """Print that *what* holds, or stop."""
    if not truth:
        raise Unexpected(f"expected: {what}")
    say(f"ok  {what}")


class Demo:
    """The steps, in order."""

    def __init__(self, stack: Stack) -> None:
        self._api = f"{stack.url}/api"
        self._sim = f"{stack.simulator_url}/_sim"
        self._connection = stack.connection_string
        self._vm: dict[str, Any] = {}

    def play(self) -> None:
        """Run the steps."""
        self._clock({"freeze": True})
        self._machines()
        alice = self._ask_for_rdp()
        self._opens(alice)
        self._rules()
        self._dave_joins_and_leaves(alice)
        self._expires(alice)
        self._leftover()
        self._history(alice)

    # ---- the steps -----------------------------------------------------------------------------

    def _machines(self) -> None:
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
        body = self._body(ALICE, "PT1H", "CHG0030001 monthly patch")
        status, request = self._call("POST", "/access-requests", "alice", body)
        say(f"{status} {request.get('id', request)}")
        expect("the request is accepted before anything opens", status == ACCEPTED)
        expect("it is pending, and shows no connection", request["status"] == "pending")
        return str(request["id"])

    def _opens(self, alice: str) -> None:
        title("Defender is asked once; the firewall takes its four minutes")
        request = self._until(alice, "open")
        grant = request["grants"][0]
        say(f"connect with:  {grant['connection']['command']}")
        expect(
            "the firewall's public address and mapped port",
            grant["connection"]["command"].startswith("mstsc /v:52.137.62.53:"),
        )
        say(f"ends by itself at {grant['expiresAt']}")
        expect("packets from Alice reach web01", self._reaches(ALICE))
        expect("packets from anybody else do not", not self._reaches(STRANGER))

    def _rules(self) -> None:
        title("The rules as they stand in Azure")
        resources = self._state()
        nats = [rule for fw in _of(resources, "azureFirewalls") for rule in _jit_nats(fw)]
        for rule in nats:
            say(f"NAT  {rule['name']}: {_nat_text(rule)}")
        rules = self._nsg_rules(resources)
        for rule in sorted(rules, key=lambda item: int(item["properties"]["priority"])):
            say(f"NSG  {_rule_text(rule)}")
        companions = [rule for rule in rules if rule["name"].startswith("jit-broker-")]
        expect("one NAT rule, for Alice's address alone", _sources(nats) == [[ALICE]])
        expect("one companion rule lets the firewall's subnet through", len(companions) == 1)

    def _dave_joins_and_leaves(self, alice: str) -> None:
        title("Dave joins the same port from elsewhere, and leaves early")
        body = self._body(DAVE, "PT40M", "second pair of eyes")
        status, request = self._call("POST", "/access-requests", "dave", body)
        expect("Dave's request is accepted", status == ACCEPTED)
        self._until(request["id"], "open")
        self._until(alice, "open")
        expect("both reach web01", self._reaches(ALICE) and self._reaches(DAVE))
        status, _ = self._call("POST", f"/access-requests/{request['id']}/revoke", "dave", {})
        expect("Dave gives his access back", status == ACCEPTED)
        closed = self._until(request["id"], "closed", watch=lambda: self._reaches(ALICE))
        expect("his grant ends as revoked", closed["grants"][0]["closeReason"] == "revoked")
        expect("Dave is out", not self._reaches(DAVE))
        expect("Alice was never cut", self._reaches(ALICE))
        self._until(alice, "open")

    def _expires(self, alice: str) -> None:
        title("Alice's hour is over")
        self._skip_to(self._get(f"/access-requests/{alice}", "alice")["expiresAt"])
        request = self._until(alice, "closed")
        grant = request["grants"][0]
        expect("her grant expired", grant["closeReason"] == "expired")
        expect("nobody reaches web01 any more", not self._reaches(ALICE))
        expect("no JIT rule and no companion is left", not self._left())

    def _leftover(self) -> None:
        title("Azure forgets to remove its rules; the broker finds them")
        self._sim_call("POST", "/faults", {"faults": [_FORGET]})
        body = self._body(ALICE, "PT20M", "short visit")
        _, request = self._call("POST", "/access-requests", "alice", body)
        opened = self._until(request["id"], "open")
        self._skip_to(opened["expiresAt"])
        closed = self._until(request["id"], "closed")
        expect("the grant is closed", closed["status"] == "closed")
        expect("the forgotten rules are gone", not self._left() and not self._reaches(ALICE))
        self._sim_call("DELETE", "/faults")

    def _history(self, alice: str) -> None:
        title("What the record says about Alice's request")
        request = self._get(f"/access-requests/{alice}", "audra")
        say(f"{request['requester']['name']}: {request['justification']}")
        trail = self._trail(alice)
        for record in trail:
            say(f"{record['at'][11:19]}  {record['what']:24} by {record['actor'][:8]}")
        told = [record["what"] for record in trail]
        expect("from acceptance to closing", told[:1] + told[-1:] == _ENDS)

    # ---- the pieces ------------------------------------------------------------------------------

    def _body(self, source: str, duration: str, why: str) -> Mapping[str, object]:
        return {
            "virtualMachines": [{"id": self._vm["id"], "ports": [{"number": RDP}]}],
            "sources": [source],
            "duration": duration,
            "justification": why,
        }

    def _until(
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
            self._clock({"advance": "PT1M"})
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
        self._clock({"advance": f"PT{seconds}S"})

    def _left(self) -> list[str]:
        resources = self._state()
        nats = [rule["name"] for fw in _of(resources, "azureFirewalls") for rule in _jit_nats(fw)]
        rules = self._nsg_rules(resources)
        names = [rule["name"] for rule in rules if rule["properties"]["access"] == "Allow"]
        return nats + [name for name in names if "JITRule-" in name or "jit-broker" in name]

    def _nsg_rules(self, resources: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the rules of web01's NSG that speak of RDP."""
        nsgs = _of(resources, "networkSecurityGroups")
        return [rule for nsg in nsgs if nsg["name"] == "nsg-web" for rule in _rules_for(nsg, RDP)]

    def _reaches(self, source: str) -> bool:
        query = urllib.parse.urlencode({"source": source, "vm": self._vm["id"], "port": RDP})
        return bool(self._sim_call("GET", f"/reachable?{query}")["reachable"])

    def _state(self) -> dict[str, Any]:
        return dict(self._sim_call("GET", "/state")["resources"])

    def _clock(self, body: Mapping[str, object]) -> None:
        self._sim_call("POST", "/clock", body)

    def _trail(self, request_id: str) -> list[dict[str, Any]]:
        """Read the audit chain as an auditor would: straight from the table, and verify it."""
        subscription = self._vm["subscription"]
        deadline = time.monotonic() + 10 * _LOOK_SECONDS
        pause = threading.Event()
        self._clock({"advance": "PT5M"})  # reconcile drains the outbox into the chain
        while True:
            records = list(_drainer(self._connection).records(subscription))
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
        return _http(method, self._api + path, body, {"X-Local-User": user})

    def _sim_call(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        status, doc = _http(method, self._sim + path, body, {})
        if status >= _FAULTY:
            raise Unexpected(f"the simulator answers {method} {path}; it said {status}: {doc}")
        return doc


_FORGET = {"match": {"method": "POST", "path": "initiate"}, "times": 1, "leaveRules": True}
_ENDS = ["request.accepted", "grant.closed"]


def _http(
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


def _drainer(connection: str) -> Drainer:
    def table(name: str) -> StorageTable:
        return StorageTable(TableClient.from_connection_string(connection, name))

    state = table(STATE)
    return Drainer(Outbox(state, SubscriptionList(state)), table(AUDIT))


def _of(resources: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    """Return the resources of one kind; children have ids that go on behind it."""
    mark = f"/{kind}/".lower()
    return [item for key, item in resources.items() if _is_of(key.lower(), mark)]


def _is_of(key: str, mark: str) -> bool:
    return mark in key and "/" not in key.split(mark, 1)[1]


def _jit_nats(firewall: Mapping[str, Any]) -> list[dict[str, Any]]:
    collections = firewall["properties"].get("natRuleCollections") or []
    return [
        rule
        for collection in collections
        if collection["name"].startswith("MDC-JIT")
        for rule in collection["properties"]["rules"]
    ]


def _rules_for(nsg: Mapping[str, Any], port: int) -> list[dict[str, Any]]:
    rules = nsg["properties"].get("securityRules") or []
    return [rule for rule in rules if str(port) in _ports(rule["properties"])]


def _ports(properties: Mapping[str, Any]) -> list[str]:
    many = properties.get("destinationPortRanges") or []
    return [*many, str(properties.get("destinationPortRange") or "")]


def _sources(rules: list[dict[str, Any]]) -> list[list[str]]:
    return [[source.removesuffix("/32") for source in rule["sourceAddresses"]] for rule in rules]


def _nat_text(rule: Mapping[str, Any]) -> str:
    front = f"{rule['destinationAddresses'][0]}:{rule['destinationPorts'][0]}"
    back = f"{rule['translatedAddress']}:{rule['translatedPort']}"
    return f"{', '.join(rule['sourceAddresses'])} -> {front} -> {back}"


def _rule_text(rule: Mapping[str, Any]) -> str:
    body = rule["properties"]
    sources = body.get("sourceAddressPrefixes") or [body.get("sourceAddressPrefix")]
    where = body.get("destinationAddressPrefix") or "*"
    return (
        f"{body['priority']:4} {body['access']:5} {', '.join(sources)} -> {where}"
        f":{'/'.join(filter(None, _ports(body)))}  {rule['name'][:44]}"
    )
