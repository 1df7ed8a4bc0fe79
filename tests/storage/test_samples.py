"""Stored samples: rows of each format, as files, are read for ever."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from jit.domain.audit.chain import Head, Record, append
from jit.domain.audit.erasure import ErasureOrder
from jit.domain.audit.event import Event
from jit.domain.audit.refusal import Repeated
from jit.domain.audit.texts import split_texts
from jit.domain.errors import Violation
from jit.domain.model.absence import Absence
from jit.domain.model.admin_reading import AdminReading
from jit.domain.model.bar import Bar, WantedBar
from jit.domain.model.bastion import Bastion
from jit.domain.model.grant import CloseReason, Footprint, Grant, Initiate, Status
from jit.domain.model.machine import (
    Connection,
    Interface,
    MachineWarning,
    Obstacle,
    Occupation,
    Origin,
    OtherAccess,
    PolicyFault,
    PortRule,
    Support,
    Via,
    VirtualMachine,
)
from jit.domain.model.people import Kind, Person
from jit.domain.model.request import Decision, Request, Ticket
from jit.domain.model.sums.accepted_requests import AcceptedRequests
from jit.domain.model.trouble import Trouble
from jit.domain.model.waiting_line import Wait
from jit.domain.values import arm_ids
from jit.domain.values.rate_window import RateWindow
from jit.domain.values.request_ids import make_request_id
from jit.storage import (
    control_rows,
    history,
    machine_rows,
    outbox,
    request_rows,
    subscription_rows,
)
from jit.storage.callers import denial_counts, key_rows, person_rows
from jit.storage.callers.key_rows import KeyEnding, StoredKey
from jit.storage.control_rows import ComparisonRow, FirewallRow, LooksRow, PolicyRow
from jit.storage.documents import FORMAT, ColumnMap, read_document
from jit.storage.lists.machine_names import name_machines
from jit.storage.networks import admin_rule_rows
from jit.storage.people import bar_rows
from jit.storage.stored import StoredRequest
from jit.storage.subscription_rows import SubscriptionRow, TickRow
from jit.storage.table import Row
from jit.storage.trail import erasure_rows, record_rows
from jit.storage.trail.event_rows import read_events

FOLDER = Path(__file__).parent / "samples"
SAMPLES = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}

SUBSCRIPTION = "5c0ffee0-0000-4000-8000-000000000001"
PROVIDERS = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-prod/providers"
NETWORK = f"{PROVIDERS}/Microsoft.Network"
VM = f"{PROVIDERS}/Microsoft.Compute/virtualMachines/web01"
FIREWALL = f"{NETWORK}/azureFirewalls/fw-prod"
NSG = f"{NETWORK}/networkSecurityGroups/nsg-web"
POLICY = f"{PROVIDERS}/Microsoft.Security/locations/westeurope/jitNetworkAccessPolicies/default"
ALICE = "a11ce000-0000-4000-8000-000000000001"
NOON = datetime(2026, 11, 22, 18, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
REQUEST_ID = make_request_id(SUBSCRIPTION, NOON, bytes(10))
HERE, NET = ip_network("203.0.113.7/32"), ip_network("2001:db8::/64")

REQUEST = Request(
    id=REQUEST_ID,
    requester=Person(id=ALICE, name="Alice"),
    justification="CHG0030001 monthly patch",
    created_at=NOON,
    starts_at=NOON + 5 * MINUTE,
    duration=120 * MINUTE,
    sources=(HERE, NET),
    policies=(POLICY,),
    decision=Decision(allowed=True, rule="jit-policy"),
    ticket=Ticket(system="servicenow", id="CHG0030001"),
)
NAMED = replace(REQUEST, requester=replace(REQUEST.requester, display_name="Alice Ashdown"))
SNOW = Person(
    id="50000000-0000-4000-8000-000000000007", name="Ticketing system", kind=Kind.APPLICATION
)
ON_BEHALF = replace(REQUEST, caller=SNOW)
SCHEDULED = Grant(
    id=f"{REQUEST_ID}-0-3389",
    request_id=REQUEST_ID,
    vm_id=VM,
    policy_id=POLICY,
    port=3389,
    protocol="TCP",
    sources=(HERE, NET),
    via=Via.FIREWALL,
    firewall_id=FIREWALL,
    starts_at=NOON + 5 * MINUTE,
    duration=120 * MINUTE,
    latest_end=NOON + 185 * MINUTE,
    next_check_at=NOON + 5 * MINUTE,
    status=Status.SCHEDULED,
)
PENDING = replace(
    SCHEDULED,
    id=f"{REQUEST_ID}-0-22",
    port=22,
    protocol="*",
    sources=(HERE,),
    via=Via.PUBLIC_IP,
    firewall_id=None,
    status=Status.PENDING,
)
INITIATE = Initiate(
    ids=("a" * 26, "b" * 26),
    at=NOON + 6 * MINUTE,
    sources=(HERE,),
    until=NOON + 125 * MINUTE,
    attempts=2,
    reopens=1,
    answered=True,
    before=("m1", "m2"),
    written=True,
    seen=True,
)
FOOTPRINT = Footprint(
    rules=(f"{FIREWALL}/natRuleCollections/JIT/rules/r1",),
    companions=(f"{NSG}/securityRules/jit-broker-1",),
    private_ips=("10.1.0.4",),
)
OPEN = replace(
    SCHEDULED,
    status=Status.OPEN,
    expires_at=NOON + 125 * MINUTE,
    admitted_at=NOON + 5 * MINUTE,
    handover_at=NOON + 60 * MINUTE,
    opened_at=NOON + 9 * MINUTE,
    initiate=INITIATE,
    footprint=FOOTPRINT,
    connection=Connection(
        via=Via.FIREWALL,
        address="52.137.62.53",
        port=13389,
        command="mstsc /v:52.137.62.53:13389",
    ),
    next_check_at=NOON + 125 * MINUTE,
)
OBSERVED = replace(OPEN, observed_at=NOON + 20 * MINUTE)
SHARED = replace(OPEN, initiate=replace(INITIATE, sources=(), sources_mark="0f" * 16))
FIRST_VERSION = replace(
    OPEN,
    handover_at=None,
    initiate=Initiate(ids=INITIATE.ids, at=INITIATE.at, attempts=2, answered=True, before=None),
    footprint=replace(FOOTPRINT, private_ips=()),
)
CLOSING = replace(
    OPEN,
    status=Status.CLOSING,
    close_reason=CloseReason.REVOKED,
    lost_at=NOON + 20 * MINUTE,
    closing_at=NOON + 21 * MINUTE,
    unclear_at=NOON + 22 * MINUTE,
    note="its NSG cannot be read",
    next_check_at=NOON + 23 * MINUTE,
    initiate=replace(INITIATE, before=None),
)
CLOSED = replace(
    CLOSING, status=Status.CLOSED, closed_at=NOON + 30 * MINUTE, unclear_at=None, note=None
)
CLOSED_BY_OLGA = replace(
    CLOSED,
    closed_by=Person(id="016a0000-0000-4000-8000-000000000005", name="olga@example.com"),
    close_reason_text="shift over",
)
EXTENDED = replace(OPEN, extensions=("0123456789abcdef",))
EXTENDED_WHEN = replace(EXTENDED, extended_at=NOON + 45 * MINUTE)
EXTENDED_LATE = replace(EXTENDED, gap_at=NOON + 65 * MINUTE)
WAITING = replace(
    OPEN,
    initiate=replace(
        OPEN.initiate, answered=False, taken=True, refused_at=NOON + 5 * MINUTE, refusal="NotFound"
    ),
    hindrance="nsg-web: rule deny-all blocks it",
)
DENIED = replace(
    CLOSED,
    close_reason=CloseReason.DENIED,
    denials=(
        Violation(
            "#/virtualMachines/0",
            "port-not-in-policy",
            "port 3389 of web01 is not in its JIT policy",
        ),
    ),
)
BASTION = Bastion(
    id=f"{NETWORK}/bastionHosts/bas-prod",
    prefixes=("10.9.0.0/26",),
    native=True,
)
BY_BASTION = replace(
    OPEN,
    sources=BASTION.sources,
    bastion=BASTION,
    connection=Connection(
        via=Via.FIREWALL, address="10.1.0.4", port=3389, command="az network bastion …"
    ),
)
BESIDE = replace(BY_BASTION, id=f"{REQUEST_ID}-0-22", port=22)
MACHINE = VirtualMachine(
    id=VM,
    name="web01",
    location="westeurope",
    support=Support.CONFIGURED,
    reasons=("a reason",),
    via=Via.FIREWALL,
    policy_id=POLICY,
    ports=(
        PortRule(number=3389, protocol="TCP", allowed_sources=("*",), max_duration=180 * MINUTE),
    ),
    interfaces=(
        Interface(
            id=f"{NETWORK}/networkInterfaces/web01-nic",
            private_ip="10.1.0.4",
            subnet_id=f"{NETWORK}/virtualNetworks/vnet-prod/subnets/snet-web",
            nsg_ids=(NSG,),
            public_ip="20.71.10.11",
            public_ip_id=f"{NETWORK}/publicIPAddresses/web01-ip",
            primary=True,
            group_ids=(f"{NETWORK}/applicationSecurityGroups/web",),
        ),
    ),
    firewall_id=FIREWALL,
    firewall_sources=("10.1.0.0/26",),
    vnet_prefixes=("10.1.0.0/16",),
    occupations=(Occupation(port=22, sources=("198.51.100.1",), ends_at=NOON + 60 * MINUTE),),
    warnings=(MachineWarning(code="jit-bypassed", detail="An allow rule stands above the deny."),),
    policy_faults=(
        PolicyFault(
            port=22,
            field="maxRequestAccessDuration",
            detail="'3 hours' is no duration such as PT3H",
        ),
    ),
    obstacles=(
        Obstacle(port=3389, code="nat-rule-blocks", detail="A NAT rule leads others there."),
    ),
)
TROUBLE = Trouble(
    code="update-failed",
    detail="the last update of firewall fw-prod failed; repeat it in Azure",
    resource=FIREWALL,
    since=NOON + 5 * MINUTE,
)
IN_DOUBT = replace(MACHINE, absences=(Absence(key=arm_ids.key(FIREWALL), since=NOON),))
OCCUPIED_MACHINE = replace(
    MACHINE,
    occupations=tuple(replace(each, requestor="petra@example.com") for each in MACHINE.occupations),
    others=(
        OtherAccess(
            port=3389,
            sources=("198.51.100.2",),
            until=NOON + 30 * MINUTE,
            requestor="other-broker",
            origin=Origin.PORTAL,
        ),
        OtherAccess(
            port=22, sources=("198.51.100.3",), until=None, requestor=None, origin=Origin.ORPHAN
        ),
    ),
)
OBSTRUCTED = replace(
    MACHINE,
    obstacles=(
        *MACHINE.obstacles,
        Obstacle(
            port=3389,
            code="admin-rule-blocks",
            detail="A security admin rule denies it.",
            sources=(ip_network("198.51.100.0/24"),),
            until=NOON + 30 * MINUTE,
        ),
        Obstacle(port=3389, code="nsg-rule-blocks", detail="An NSG does.", sources=(NET,)),
    ),
)
FIRST_MACHINE = replace(
    MACHINE,
    policy_faults=(),
    obstacles=(),
    interfaces=tuple(replace(nic, group_ids=None) for nic in MACHINE.interfaces),
)
EVENT = Event(
    at=NOON,
    what="grant.opened",
    actor="broker",
    request_id=REQUEST_ID,
    grant_id=OPEN.id,
    facts={"status": "open"},
)
COUNTED = Repeated(
    digest="d" * 64,
    what="request.denied",
    actor=ALICE,
    actor_name="Alice",
    request_id=REQUEST_ID,
    first_at=NOON,
    last_at=NOON + 5 * MINUTE,
    count=7,
    call="c0ffee00c0ffee00",
)
HASH = SAMPLES["audit-record"]["values"]["Hash"]
TOLD = {
    "at": "2026-11-22T18:00:00Z",
    "what": "request.accepted",
    "actor": ALICE,
    "requestId": REQUEST_ID,
    "grantId": None,
    "facts": {"rule": "jit-policy"},
    "texts": {
        "actorName": {"salt": "00112233445566778899aabbccddeeff", "text": "alice@example.com"},
        "justification": {"salt": "ffeeddccbbaa99887766554433221100", "text": "monthly patch"},
    },
}
_RECORDED = append(
    Head(chain=SUBSCRIPTION), split_texts(TOLD)[0], recorded_at="2026-11-22T18:01:00.000000Z"
)


def _read_with_texts(row):
    """Return a record, its texts, and True if they were erased."""
    record = record_rows.read_record(row)
    return record, record.texts, record.erased


def row_of(name):
    """The row of a sample."""
    sample = SAMPLES[name]
    return Row(partition=sample["partition"], key=sample["key"], values=sample["values"])


def control(kind, name, **fields):
    """A control row with these fields; the row of the sample is its version."""
    return kind(version=row_of(name), **fields)


BAR = Bar(
    person_id=ALICE,
    wanted=WantedBar(reason="the laptop was stolen", until=NOON + timedelta(days=7), revoke=True),
    by=Person(id="01ca0000-0000-4000-8000-000000000005", name="Olga"),
    at=NOON,
    revoking=True,
    revoked=2,
)
MANAGER = f"{NETWORK}/networkManagers/nm"
READING = AdminReading(
    network_id=f"{NETWORK}/virtualNetworks/vnet-prod",
    read_at=NOON,
    items=(
        {
            "id": f"{MANAGER}/securityAdminConfigurations/c/ruleCollections/r/rules/x",
            "kind": "Custom",
            "properties": {"access": "Deny", "direction": "Inbound", "priority": 10},
        },
    ),
)
UNREAD = replace(READING, items=(), unread="the broker may not read them", forbidden=True)
WORKED = {
    "policy_id": POLICY,
    "not_before": NOON + MINUTE,
    "attempts": 3,
    "asks_from": NOON + 2 * MINUTE,
    "initiated_at": NOON,
    "burst": 2,
    "wake_at": NOON + timedelta(seconds=5),
}
ANSWERED = frozenset({"k2jxw4t5q6r7s2u3v4w5x6y7za", "k2jxw4t5q6r7s2u3v4w5x6y7zb"})
MISSING = {"6iheuuryiz6el3djmzf74l7rzi": NOON - timedelta(minutes=1)}
TURN = {"holder": row_of("policy").key.removeprefix("p|"), "since": NOON, "foreign": "0" * 64}
CLOSER = Wait(holder="a" * 26, closing=True, since=NOON - timedelta(minutes=2), renewed_at=NOON)
OPENER = Wait(holder="b" * 26, closing=False, since=NOON - timedelta(minutes=1), renewed_at=NOON)
CASES = {
    "request": (request_rows.read_request, REQUEST),
    "request-with-machines": (request_rows.read_request, REQUEST),
    "request-without-ticket": (request_rows.read_request, replace(REQUEST, ticket=None)),
    "request-with-display-name": (request_rows.read_request, NAMED),
    "request-on-behalf": (request_rows.read_request, ON_BEHALF),
    "grants-scheduled": (request_rows.read_grants, (SCHEDULED, PENDING)),
    "grants-open": (request_rows.read_grants, (OPEN,)),
    "grants-observed": (request_rows.read_grants, (OBSERVED,)),
    "grants-shared": (request_rows.read_grants, (SHARED,)),
    "grants-closing": (request_rows.read_grants, (CLOSING,)),
    "grants-closed": (request_rows.read_grants, (CLOSED,)),
    "grants-closed-by-a-person": (request_rows.read_grants, (CLOSED_BY_OLGA,)),
    "grants-denied": (request_rows.read_grants, (DENIED,)),
    "grants-extended": (request_rows.read_grants, (EXTENDED,)),
    "grants-extended-when": (request_rows.read_grants, (EXTENDED_WHEN,)),
    "grants-extended-late": (request_rows.read_grants, (EXTENDED_LATE,)),
    "grants-waiting": (request_rows.read_grants, (WAITING,)),
    "grants-by-bastion": (request_rows.read_grants, (BY_BASTION, BESIDE)),
    "grants-first-version": (request_rows.read_grants, (FIRST_VERSION,)),
    "tombstone": (lambda row: request_rows.read_tombstone_row(row).grants, (CLOSED,)),
    "history-request": (request_rows.read_request, REQUEST),
    "history-grants": (request_rows.read_grants, (CLOSED,)),
    "history-request-with-machines": (request_rows.read_request, REQUEST),
    "history-grants-with-person": (request_rows.read_grants, (CLOSED,)),
    "machine": (machine_rows.read_machine, MACHINE),
    "machine-in-doubt": (machine_rows.read_machine, IN_DOUBT),
    "machine-others": (machine_rows.read_machine, OCCUPIED_MACHINE),
    "machine-obstructed": (machine_rows.read_machine, OBSTRUCTED),
    "machine-with-bastion": (machine_rows.read_machine, replace(MACHINE, bastions=(BASTION,))),
    "machine-first-version": (machine_rows.read_machine, FIRST_MACHINE),
    "admin-rules": (admin_rule_rows.parse_admin_reading, READING),
    "admin-rules-unread": (admin_rule_rows.parse_admin_reading, UNREAD),
    "policy": (
        lambda row: control_rows.read_control_row(PolicyRow, row),
        control(PolicyRow, "policy", **WORKED),
    ),
    "policy-changed": (
        lambda row: control_rows.read_control_row(PolicyRow, row),
        control(PolicyRow, "policy-changed", **WORKED, changed_at=NOON),
    ),
    "policy-answered": (
        lambda row: control_rows.read_control_row(PolicyRow, row),
        control(PolicyRow, "policy-answered", **WORKED, answered=ANSWERED),
    ),
    "policy-claimed": (
        lambda row: control_rows.read_control_row(PolicyRow, row),
        control(PolicyRow, "policy-claimed", **WORKED, owner="0123456789abcdef", missing=MISSING),
    ),
    "policy-first-claim": (
        lambda row: control_rows.read_control_row(PolicyRow, row),
        control(PolicyRow, "policy-first-claim", policy_id=POLICY, owner="0123456789abcdef"),
    ),
    "firewall": (
        lambda row: control_rows.read_control_row(FirewallRow, row),
        control(FirewallRow, "firewall", firewall_id=FIREWALL, **TURN),
    ),
    "firewall-waited-for": (
        lambda row: control_rows.read_control_row(FirewallRow, row),
        control(
            FirewallRow,
            "firewall-waited-for",
            firewall_id=FIREWALL,
            **TURN,
            waiting=(CLOSER, OPENER),
        ),
    ),
    "looks": (
        lambda row: control_rows.read_control_row(LooksRow, row),
        control(LooksRow, "looks", policy_id=POLICY, asked={"a" * 26: NOON}),
    ),
    "looks-planned": (
        lambda row: control_rows.read_control_row(LooksRow, row),
        control(
            LooksRow,
            "looks-planned",
            policy_id=POLICY,
            asked={"a" * 26: NOON, "*": NOON},
            message_at=NOON,
        ),
    ),
    "firewall-returned": (
        lambda row: control_rows.read_control_row(FirewallRow, row),
        control(FirewallRow, "firewall-returned", firewall_id=FIREWALL),
    ),
    "comparison": (
        lambda row: control_rows.read_control_row(ComparisonRow, row),
        control(ComparisonRow, "comparison", reported=frozenset({"a" * 10, "b" * 10})),
    ),
    "comparison-running": (
        lambda row: control_rows.read_control_row(ComparisonRow, row),
        control(ComparisonRow, "comparison-running", owner="0123456789abcdef"),
    ),
    "subscription": (
        subscription_rows.read_subscription,
        control(
            SubscriptionRow,
            "subscription",
            subscription=SUBSCRIPTION,
        ),
    ),
    "subscription-compared": (
        subscription_rows.read_subscription,
        control(
            SubscriptionRow,
            "subscription-compared",
            subscription=SUBSCRIPTION,
            since=NOON,
            compared_at=NOON + 5 * MINUTE,
        ),
    ),
    "subscription-dropped": (
        subscription_rows.read_subscription,
        control(
            SubscriptionRow,
            "subscription-dropped",
            subscription=SUBSCRIPTION,
            since=NOON,
            compared_at=NOON + 5 * MINUTE,
            dropped_at=NOON + 60 * MINUTE,
        ),
    ),
    "subscription-troubled": (
        subscription_rows.read_subscription,
        control(
            SubscriptionRow,
            "subscription-troubled",
            subscription=SUBSCRIPTION,
            since=NOON,
            compared_at=NOON + 5 * MINUTE,
            dropped_at=NOON + 60 * MINUTE,
            troubles=(TROUBLE,),
        ),
    ),
    "subscription-unseen": (
        subscription_rows.read_subscription,
        control(
            SubscriptionRow,
            "subscription-unseen",
            subscription=SUBSCRIPTION,
            since=NOON,
            compared_at=NOON + 5 * MINUTE,
            unseen=frozenset({"a" * 10, "b" * 10}),
            dropped_at=NOON + 60 * MINUTE,
            troubles=(TROUBLE,),
        ),
    ),
    "tick": (
        subscription_rows.read_tick,
        control(TickRow, "tick", first_at=NOON, last_at=NOON + MINUTE),
    ),
    "bar": (bar_rows.read_bar, BAR),
    "bar-for-ever": (
        bar_rows.read_bar,
        replace(BAR, wanted=WantedBar(reason="left the company"), revoking=False, revoked=0),
    ),
    "bar-again": (
        bar_rows.read_bar,
        replace(BAR, wanted=WantedBar(reason="on leave"), revoke_until=BAR.at - MINUTE),
    ),
    "idempotency-key": (
        key_rows.read_key,
        StoredKey(
            body_hash=SAMPLES["idempotency-key"]["values"]["BodyHash"],
            request_id=REQUEST_ID,
            until=NOON + timedelta(days=7),
        ),
    ),
    "idempotency-key-with-beginning": (
        key_rows.read_key,
        StoredKey(
            body_hash=SAMPLES["idempotency-key"]["values"]["BodyHash"],
            request_id=REQUEST_ID,
            until=NOON + timedelta(days=7),
            begun_at=NOON,
        ),
    ),
    "idempotency-key-in-state": (
        key_rows.read_key,
        StoredKey(
            body_hash=SAMPLES["idempotency-key"]["values"]["BodyHash"],
            request_id=REQUEST_ID,
            until=NOON + timedelta(days=7),
            begun_at=NOON,
        ),
    ),
    "idempotency-key-ending": (
        key_rows.parse_ending,
        KeyEnding(row_key=SAMPLES["idempotency-key-in-state"]["key"]),
    ),
    "accepted-requests": (
        person_rows.read_accepted,
        AcceptedRequests(person=ALICE, times=(NOON, NOON + MINUTE)),
    ),
    "audit-outbox": (read_events, (EVENT.doc(),)),
    "audit-outbox-of-several": (read_events, (EVENT.doc(), EVENT.doc())),
    "audit-outbox-with-texts": (read_events, (TOLD,)),
    "erasure-order": (
        erasure_rows.parse_order,
        ErasureOrder(person_id=ALICE, at=NOON, reached=1000, months=3),
    ),
    "refusal-counted": (outbox.read_repeated, COUNTED),
    "denials-of-a-caller": (denial_counts.read_denials, RateWindow(begin=NOON, count=7)),
    "audit-head": (
        lambda row: record_rows.read_head(SUBSCRIPTION, row),
        Head(chain=SUBSCRIPTION, sequence=1, hash=HASH),
    ),
    "audit-record": (
        record_rows.read_record,
        Record(
            chain=SUBSCRIPTION,
            sequence=1,
            previous="0" * 64,
            recorded_at="2026-11-22T18:01:00.000000Z",
            event=EVENT.doc(),
            hash=HASH,
        ),
    ),
    "audit-record-with-texts": (_read_with_texts, (_RECORDED, TOLD["texts"], False)),
    "audit-record-erased": (_read_with_texts, (_RECORDED, {}, True)),
}
NO_READER = {"audit-key", "own-request"}  # only its presence is read


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_stored_sample_is_read(name):
    """A row of an older version has the same meaning in each later version."""
    if name in NO_READER:
        assert SAMPLES[name]["values"]
        return
    read, expected = CASES[name]

    assert read(row_of(name)) == expected


def test_each_case_has_a_sample():
    """A sample is never deleted."""
    assert set(CASES) | NO_READER == set(SAMPLES)


# ---- rows of this version -----------------------------------------------------------------------


def row_with(name, kind, columns):
    """The row of a sample, written anew from the value of its case."""
    return replace(row_of(name), values=kind.add_format(columns.write(CASES[name][1])))


GRANTS = request_rows.write_grants_row
LATER = NOON + timedelta(days=7)
WRITTEN = {
    "request": request_rows.write_request_row(REQUEST),
    "request-without-ticket": request_rows.write_request_row(replace(REQUEST, ticket=None)),
    "request-with-display-name": request_rows.write_request_row(NAMED),
    "request-on-behalf": request_rows.write_request_row(ON_BEHALF),
    "grants-scheduled": GRANTS([SCHEDULED, PENDING]),
    "grants-open": GRANTS([OPEN]),
    "grants-observed": GRANTS([OBSERVED]),
    "grants-shared": GRANTS([SHARED]),
    "grants-closing": GRANTS([CLOSING]),
    "grants-closed": GRANTS([CLOSED]),
    "grants-closed-by-a-person": GRANTS([CLOSED_BY_OLGA]),
    "grants-denied": GRANTS([DENIED]),
    "grants-extended": GRANTS([EXTENDED]),
    "grants-extended-when": GRANTS([EXTENDED_WHEN]),
    "grants-extended-late": GRANTS([EXTENDED_LATE]),
    "grants-waiting": GRANTS([WAITING]),
    "grants-by-bastion": GRANTS([BY_BASTION, BESIDE]),
    "tombstone": request_rows.write_tombstone_row(GRANTS([CLOSED]), [CLOSED], until=LATER),
    "request-with-machines": name_machines(request_rows.write_request_row(REQUEST), [VM]),
    "history-request-with-machines": history.write_history_rows(StoredRequest(REQUEST, (CLOSED,)))[
        0
    ],
    "history-grants-with-person": history.write_history_rows(StoredRequest(REQUEST, (CLOSED,)))[1],
    "machine": machine_rows.write_machine_row(MACHINE, SUBSCRIPTION),
    "machine-in-doubt": machine_rows.write_machine_row(IN_DOUBT, SUBSCRIPTION),
    "machine-others": machine_rows.write_machine_row(OCCUPIED_MACHINE, SUBSCRIPTION),
    "machine-obstructed": machine_rows.write_machine_row(OBSTRUCTED, SUBSCRIPTION),
    "machine-with-bastion": machine_rows.write_machine_row(
        replace(MACHINE, bastions=(BASTION,)), SUBSCRIPTION
    ),
    "admin-rules": admin_rule_rows.write_admin_row(READING, SUBSCRIPTION),
    "admin-rules-unread": admin_rule_rows.write_admin_row(UNREAD, SUBSCRIPTION),
    "policy": control_rows.write_control_row(CASES["policy"][1]),
    "policy-changed": control_rows.write_control_row(CASES["policy-changed"][1]),
    "policy-answered": control_rows.write_control_row(CASES["policy-answered"][1]),
    "policy-claimed": control_rows.write_control_row(CASES["policy-claimed"][1]),
    "looks": control_rows.write_control_row(CASES["looks"][1]),
    "looks-planned": control_rows.write_control_row(CASES["looks-planned"][1]),
    "firewall": control_rows.write_control_row(CASES["firewall"][1]),
    "firewall-waited-for": control_rows.write_control_row(CASES["firewall-waited-for"][1]),
    "firewall-returned": control_rows.write_control_row(CASES["firewall-returned"][1]),
    "comparison": control_rows.write_control_row(CASES["comparison"][1]),
    "idempotency-key-with-beginning": key_rows.write_key(
        row_of("idempotency-key"), CASES["idempotency-key-with-beginning"][1]
    ),
    "idempotency-key-in-state": key_rows.write_key(
        row_of("idempotency-key-in-state"), CASES["idempotency-key-in-state"][1]
    ),
    "idempotency-key-ending": row_with(
        "idempotency-key-ending", key_rows.ENDING_KIND, key_rows.ENDING
    ),
    "accepted-requests": row_with(
        "accepted-requests", person_rows.PERSON_KIND, person_rows.ACCEPTED
    ),
    "subscription-unseen": row_with(
        "subscription-unseen", subscription_rows.SUBSCRIPTION_KIND, subscription_rows.SUBSCRIPTION
    ),
    "denials-of-a-caller": denial_counts.write_denials(
        row_of("denials-of-a-caller"), CASES["denials-of-a-caller"][1]
    ),
    "tick": row_with("tick", subscription_rows.TICK_KIND, subscription_rows.TICK),
    "bar": row_with("bar", bar_rows.PLAIN_KIND, bar_rows.BAR),
    "bar-for-ever": row_with("bar-for-ever", bar_rows.PLAIN_KIND, bar_rows.BAR),
    "erasure-order": erasure_rows.write_order(SUBSCRIPTION, CASES["erasure-order"][1]),
    "audit-record": record_rows.write_record_row(CASES["audit-record"][1]),
}
LEFT_OUT = {"firewall": {"Operation"}, "firewall-returned": {"Operation"}}
"""Columns that this version does not write any more."""


def contents(row):
    """The properties of a row without its format, its document as JSON."""
    plain = {name: value for name, value in row.values.items() if not name.startswith("Doc")}
    plain.pop(FORMAT, None)
    return plain | ({"Doc": read_document(row)} if "Doc" in row.values else {})


def without_newer(written, sample):
    """A document without the columns that are newer than its sample; they must be empty."""
    if isinstance(written, list):
        return list(map(without_newer, written, sample))
    if not isinstance(written, dict):
        return written
    return {
        name: without_newer(value, sample.get(name))
        for name, value in written.items()
        if name in sample or value not in (None, [], "", False)
    }


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_a_row_is_written_as_the_sample_shows(name):
    """The process of the version before reads it during an update."""
    written, sample = WRITTEN[name], row_of(name)
    expected, found = contents(sample), contents(written)
    if "Doc" in found:
        found["Doc"] = without_newer(found["Doc"], expected["Doc"])
    for column in LEFT_OUT.get(name, ()):
        del expected[column]

    assert (written.partition, written.key) == (sample.partition, sample.key)
    assert found == expected
    assert written.values[FORMAT] == 1


# ---- every column has a sample -------------------------------------------------------------------

MAPS: dict[str, tuple[ColumnMap[Any], list[str]]] = {
    "request": (request_rows.REQUEST, ["request", "request-on-behalf", "history-request"]),
    "grant": (request_rows.GRANT, [name for name in SAMPLES if name.startswith("grants-")]),
    "columns of grants": (request_rows.SUMMARY, ["grants-open"]),
    "machine": (
        machine_rows.MACHINE,
        ["machine", "machine-in-doubt", "machine-others", "machine-with-bastion"],
    ),
    "admin rules": (admin_rule_rows.ADMIN, ["admin-rules", "admin-rules-unread"]),
    "policy": (
        control_rows.POLICY,
        ["policy", "policy-changed", "policy-answered", "policy-claimed"],
    ),
    "looks": (control_rows.LOOKS, ["looks-planned"]),
    "firewall": (control_rows.FIREWALL, ["firewall", "firewall-waited-for"]),
    "comparison": (control_rows.COMPARISON, ["comparison", "comparison-running"]),
    "subscription": (subscription_rows.SUBSCRIPTION, ["subscription-unseen"]),
    "tick": (subscription_rows.TICK, ["tick"]),
    "idempotency key": (key_rows.KEY, ["idempotency-key-in-state"]),
    "accepted requests": (person_rows.ACCEPTED, ["accepted-requests"]),
    "end of an idempotency key": (key_rows.ENDING, ["idempotency-key-ending"]),
    "bar": (bar_rows.BAR, ["bar", "bar-again"]),
    "denials": (denial_counts.DENIALS, ["denials-of-a-caller"]),
    "erasure order": (erasure_rows.ORDER, ["erasure-order"]),
    "audit head": (record_rows.HEAD, ["audit-head"]),
    "audit record": (record_rows.RECORD, ["audit-record-erased"]),
}


def columns_with_values(names):
    """The stored names that have a value in one of the samples, of rows and of documents."""
    found = set()
    for name in names:
        row = row_of(name)
        documents = read_document(row) if "Doc" in row.values else []
        for values in (row.values, *(documents if isinstance(documents, list) else [documents])):
            found |= {column for column, value in values.items() if value not in (None, "", [])}
    return found


@pytest.mark.parametrize("name", sorted(MAPS))
def test_every_column_of_a_map_has_a_value_in_a_sample(name):
    """A new column comes with a new sample."""
    columns, samples = MAPS[name]

    assert {column.name for column in columns.columns} - columns_with_values(samples) == set()
