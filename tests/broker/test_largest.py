"""The largest body within the contract's limits: everything that is stored about it fits."""

from dataclasses import replace
from datetime import timedelta

import pytest

from jit.domain.audit import chain
from jit.domain.audit.event import list_transitions
from jit.domain.authorization.token_claims import LONGEST_NAME
from jit.domain.errors import AccessDenied, TooLarge
from jit.domain.limits import LIMITS
from jit.domain.model.bastion import Bastion
from jit.domain.model.grant import CloseReason, Status
from jit.domain.model.machine import PortRule, Via
from jit.domain.model.people import Kind
from jit.storage import request_store
from jit.storage.audit_chain import Drainer
from jit.storage.table import Op, Verb
from tests.broker.inprocess import ALICE, OLGA, farm, wish
from tests.builders.grants import changed
from tests.fakes.tables import FakeTable
from tests.local.azure.sim import DEVELOPMENT

PORTS = range(65_000, 65_000 + LIMITS.ports)
FACE = "\N{GRINNING FACE}"  # twelve characters of JSON
CALLER = replace(ALICE, name=FACE * LONGEST_NAME, kind=Kind.APPLICATION)
"""The longest name that is read from a principal; that of an application is stored twice."""
ROOM = 4  # operations that later parts of a request may take: a callback, notices
RULE = f"/rules/{'x' * 300}"


def in_group(number, rest, letter="g"):
    """An id in a resource group with the longest name."""
    group = f"{number:02d}".rjust(90, letter)
    return f"/subscriptions/{DEVELOPMENT}/resourceGroups/{group}/providers/{rest}"


def vm_id(number):
    return in_group(number, f"Microsoft.Compute/virtualMachines/{f'vm{number:02d}'.ljust(55, 'x')}")


VMS = [vm_id(number) for number in range(LIMITS.machines)]


def a_machine(base, number):
    """
    A VM behind a firewall, with a JIT policy of its own; every name as long as may be.

    Defender takes 56 characters for the names of the VM and of the policy together.
    """
    policies = "Microsoft.Security/locations/germanywestcentral/jitNetworkAccessPolicies"
    longest = LIMITS.longest
    rules = [
        PortRule(number=port, protocol="*", allowed_sources=("*",), max_duration=longest)
        for port in PORTS
    ]
    return replace(
        base,
        id=vm_id(number),
        ports=tuple(rules),
        via=Via.FIREWALL,
        policy_id=in_group(number, f"{policies}/p"),
        firewall_id=in_group(number, f"Microsoft.Network/azureFirewalls/{'f' * 80}"),
    )


def body(broker, **changes):
    """90 VMs with ten ports each, for ten sources, with the longest texts."""
    ports = [{"number": port, "protocol": "TCP"} for port in PORTS]
    start = broker.now + timedelta(days=6)
    return {
        "virtualMachines": [{"id": name, "ports": ports} for name in VMS],
        "sources": [f"203.0.{number}.0/28" for number in range(100, 100 + LIMITS.sources)],
        "duration": "PT24H",
        "startTime": start.isoformat(),
        "justification": FACE * LIMITS.justification[1],
        "ticket": {"system": FACE * LIMITS.ticket_system[1], "id": FACE * LIMITS.ticket_id[1]},
        **changes,
    }


def as_it_ends(grant, now):
    """A grant as it is after a long life: rules of several hand-overs, in several NSGs."""
    return changed(
        grant,
        status=Status.CLOSED,
        close_reason=CloseReason.EXPIRED,
        expires_at=now,
        closed_at=now,
        initiates=tuple(str(number) * 32 for number in range(5)),
        asked=grant.sources,
        rules=tuple(f"{RULE}{number}" for number in range(5)),
    )


@pytest.fixture
def large(broker):
    """The broker, knowing ninety VMs that Azure does not."""
    found = broker.observer.read_machines(DEVELOPMENT, now=broker.now)
    base = next(vm for vm in found if vm.id.lower() == farm(1).lower())
    machines = [a_machine(base, number) for number in range(LIMITS.machines)]
    broker.inventory.write_machines(DEVELOPMENT, machines, complete=True)
    return broker


def trail(broker):
    """The records of the chain once the outbox is drained."""
    drainer = Drainer(broker.outbox, FakeTable(lambda: broker.now))
    drained = [drainer.drain(DEVELOPMENT, now=broker.now) for _ in range(3)]
    found = list(drainer.list_records(DEVELOPMENT))
    start = chain.Head(chain=DEVELOPMENT)
    assert drained[-1] == 0
    assert chain.verify(found, start=start, end=drainer.find_head(DEVELOPMENT)) is None
    return [{**record.event, "texts": record.texts} for record in found]


def test_the_largest_body_is_accepted_and_stored_whole(large):
    """The tables hold the largest request that the limits allow."""
    whole = large.accept(body(large), CALLER, key="k" * 255)

    assert len(large.state.transactions[-1]) <= 100 - ROOM
    stored = large.whole(whole.request.id)
    assert (stored.request, stored.grants) == (whole.request, whole.grants)
    assert len(stored.grants) == LIMITS.machines * LIMITS.ports


def test_the_largest_body_with_a_bastion_is_accepted(large):
    """Each grant keeps the Bastion of its VM, with the longest names."""
    machines = [
        replace(vm, bastions=(a_bastion(number),))
        for number, vm in enumerate(map(large.inventory.find_machine, VMS))
    ]
    large.inventory.write_machines(DEVELOPMENT, machines, complete=True)

    whole = large.accept(body(large, via="bastion"), CALLER)

    assert large.whole(whole.request.id).grants == whole.grants
    assert {grant.bastion.name for grant in whole.grants} == {"b" * 80}


def a_bastion(number):
    """A Bastion in a peered network, every name as long as may be."""
    return Bastion(
        id=in_group(number, f"Microsoft.Network/bastionHosts/{'b' * 80}"),
        prefixes=("10.100.100.0/24", "10.100.101.0/24"),
    )


def test_the_trail_names_every_vm_and_port_of_the_largest_body(large):
    """Nothing is left out because there is much of it."""
    large.accept(body(large), CALLER)

    (event,) = trail(large)
    ports = list(PORTS)
    assert event["facts"]["grants"] == [{"virtualMachineId": vm, "ports": ports} for vm in VMS]
    assert event["texts"]["justification"]["text"] == FACE * LIMITS.justification[1]


def test_the_largest_denial_names_ten_vms_and_the_number_of_all(large):
    """Ninety VMs, ninety reasons: a body of 64 KiB must not make a record of that size."""
    large.accept(body(large), CALLER)
    with pytest.raises(AccessDenied):
        large.accept(body(large, duration="PT23H", virtualMachines=strangers()), CALLER)

    *_, event = trail(large)
    facts = event["facts"]
    assert event["what"] == "request.denied"
    assert facts["virtualMachines"] == [entry["id"] for entry in strangers()][:10]
    assert (facts["virtualMachineCount"], facts["errorCount"]) == (LIMITS.machines, LIMITS.machines)
    assert len(facts["errors"]) == 20


def strangers():
    """Ninety VMs that nobody knows."""
    ids = [vm_id(number).replace("/vm", "/no") for number in range(LIMITS.machines)]
    return [{"id": name, "ports": [{"number": port} for port in PORTS]} for name in ids]


def test_the_largest_request_is_revoked_with_the_longest_reason(large):
    """One decision about nine hundred grants, each with its audit row."""
    whole = large.accept(body(large), CALLER)

    large.revoke(whole.request.id, OLGA, FACE * LIMITS.reason[1])

    events = [event for event in trail(large) if event["what"] == "grant.closed"]
    assert large.status(whole.request.id) == "closed"
    assert {event["grantId"] for event in events} == {grant.id for grant in whole.grants}


def test_the_largest_request_with_the_longest_life_goes_to_history(large):
    """More than one transaction holds: it is there once all of it is."""
    whole = large.whole(large.accept(body(large), CALLER).request.id)
    rows = [(held, [as_it_ends(each, large.now) for each in held.grants]) for held in whole.rows]
    after = [grant for _, grants in rows for grant in grants]
    large.requests.save(rows, list_transitions(whole.grants, after, now=large.now))

    large.requests.archive(large.whole(whole.request.id), now=large.now)

    kept = large.whole(whole.request.id)
    assert large.calls.count("history.write") > 1
    assert (kept.row, kept.request, kept.grants) == (None, whole.request, tuple(after))
    assert len(large.state.rows("t|")) == LIMITS.machines
    assert large.state.rows("r|") == large.state.rows("g|") == ()


def test_a_large_move_to_history_that_broke_off_is_finished(large):
    """Half of a move is not there, and nothing of it is in the way of the next try."""
    whole = large.whole(large.accept(body(large), CALLER).request.id)
    rows = [(held, [as_it_ends(each, large.now) for each in held.grants]) for held in whole.rows]
    large.requests.save(rows, ())
    large.requests.archive(large.whole(whole.request.id), now=large.now)
    kept = large.whole(whole.request.id)
    first, *others = large.history.rows()
    large.history.write([Op(Verb.DELETE, row) for row in (first, *others[::2])])

    assert large.requests.load(whole.request.id) is None
    large.requests.history.write(kept)
    assert large.whole(whole.request.id).grants == kept.grants


def test_a_request_that_one_transaction_cannot_hold_is_too_large(broker):
    """JSON writes each letter beyond ASCII as six characters. Nothing of the request is stored."""
    found = broker.observer.read_machines(DEVELOPMENT, now=broker.now)
    base = next(vm for vm in found if vm.id.lower() == farm(1).lower())
    machines = [
        replace(
            a_machine(base, number),
            id=in_group(number, f"Microsoft.Compute/virtualMachines/vm{number:02d}", "日"),
            policy_id=in_group(number, "p", "日"),
            firewall_id=in_group(number, "f" * 80, "日"),
        )
        for number in range(70)
    ]
    broker.inventory.write_machines(DEVELOPMENT, machines, complete=True)
    ports = [{"number": port} for port in PORTS]
    wanted = body(broker, virtualMachines=[{"id": vm.id, "ports": ports} for vm in machines])

    with pytest.raises(TooLarge, match="another request"):
        broker.accept(wanted, CALLER, key="k")
    fewer = {**wanted, "virtualMachines": wanted["virtualMachines"][:1]}
    stored = broker.state.rows("g|")

    assert stored == ()
    assert broker.accept(fewer, CALLER, key="k").grants  # the key is free


def test_a_request_that_is_too_large_leaves_its_key_free_after_a_look_at_azure_too(
    broker, monkeypatch
):
    """Nothing of it was stored."""
    monkeypatch.setattr(request_store, "is_one_transaction", lambda ops: len(ops) <= 7)

    with pytest.raises(TooLarge):
        broker.accept(wish((farm(1), farm(2))), key="k")

    assert broker.accept(wish(farm(1)), key="k").grants
