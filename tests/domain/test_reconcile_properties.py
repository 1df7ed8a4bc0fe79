"""Laws of the plan that hold for every subscription, however its rules and grants lie."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network

from hypothesis import given, settings
from hypothesis import strategies as st

from jit.domain.azure.defender_rules import is_jit_allow_name
from jit.domain.azure.firewall import is_jit_collection
from jit.domain.grants.timing import TIMES
from jit.domain.model.grant import CloseReason, Status
from jit.domain.model.machine import Via
from jit.domain.paths import effective
from jit.domain.paths.port_views import PortViews
from jit.domain.reconcile.plan import make_plan
from jit.domain.reconcile.plan_item import PlanAction, PlanClass
from jit.domain.values import arm_ids
from tests.builders.defender import an_entry
from tests.builders.firewalls import a_firewall, a_nat, arm_collection, nat_id
from tests.builders.grants import an_older, changed
from tests.builders.machines import a_configured_vm, an_observation
from tests.builders.nsgs import an_allow, arm_companion, arm_rule, rule_id
from tests.builders.values import MINUTE, NOW, OTHER_VM_ID, VM, VM_ID
from tests.sizes import examples

ADDRESSES = {VM_ID: VM, OTHER_VM_ID: "10.1.1.5"}
SOURCES = ["203.0.113.7/32", "203.0.113.8/32", "198.51.100.20/32", "203.0.113.0/24"]
WISHES = SOURCES[:3]
PORTS = [22, 3389]
PAST_ALL_GRACE = 11
DONE = {Status.CLOSED, Status.CLOSING}
ASKED = {Status.OPENING, Status.OPEN, Status.CLOSING}

vms = st.sampled_from(sorted(ADDRESSES))
ports = st.sampled_from(PORTS)
wished = st.lists(st.sampled_from(WISHES), min_size=1, max_size=2, unique=True)
minutes = st.integers(-60, 60)


@st.composite
def allows(draw):
    """Some of Defender's allow rules, a few of them made wider by somebody."""
    found = []
    for number in draw(st.sets(st.integers(0, 5))):
        sources = draw(st.lists(st.sampled_from([*SOURCES, "*"]), min_size=1, unique=True))
        to = draw(st.sampled_from([*ADDRESSES.values(), VM, VM, "10.1.1.0/24"]))
        port = draw(st.sampled_from(["22", "3389", "22", "22-3389"]))
        plural = {"sourceAddressPrefix": None, "sourceAddressPrefixes": sources}
        found.append(an_allow(number=number, port=port, to=to, **plural))
    return found


@st.composite
def nats(draw):
    """Some of Defender's DNAT rules."""
    return [
        a_nat(
            draw(st.sampled_from([*SOURCES, "*"])),
            name=f"jit-{number}",
            translatedAddress=draw(st.sampled_from([*ADDRESSES.values()])),
            translatedPort=str(draw(ports)),
        )
        for number in draw(st.sets(st.integers(0, 3)))
    ]


@st.composite
def grants(draw, number):
    """A grant in any state, that ended or ends within an hour of now."""
    status = draw(st.sampled_from([*Status]))
    end = NOW + draw(minutes) * MINUTE
    asked = draw(st.booleans()) if status is Status.CLOSED else status in ASKED
    vm_id = draw(vms)
    port = draw(ports)
    rules = [rule_id(n) for n in draw(st.sets(st.integers(0, 5), max_size=2))]
    rules += [nat_id(f"jit-{n}") for n in draw(st.sets(st.integers(0, 3), max_size=1))]
    return an_older(
        number,
        id=f"request{number}-0-{port}",
        status=status,
        sources=draw(wished),
        vm_id=vm_id,
        port=port,
        via=draw(st.sampled_from([*Via])),
        expires_at=end,
        closing_at=end if status in DONE else None,
        closed_at=end if status is Status.CLOSED else None,
        close_reason=draw(st.sampled_from([*CloseReason])) if status in DONE else None,
        initiates=(f"{'abcd'[number % 4]}" * 26,) if asked else (),
        private_ips=(ADDRESSES[vm_id],),
    ), tuple(rules if asked else ())


@st.composite
def entries(draw):
    """One of Defender's requests: ours or somebody's."""
    return an_entry(
        draw(st.sampled_from([*SOURCES, "*"])),
        initiate_id=draw(st.sampled_from([None, "a" * 26, "b" * 26, "z" * 26])),
        minutes=draw(minutes),
        vm_id=draw(vms),
        port=draw(ports),
        active=draw(st.booleans()),
        reason=draw(st.sampled_from(["UserRequested", "Expired", "NewerRequestInitiated"])),
    )


STRANGE = [
    arm_rule(500, name="customer", source="203.0.113.7", port="22", to=VM),
    arm_rule(600, "Deny", name="MicrosoftDefenderForCloud-JITRule_1_" + "A" * 32, port="22", to=VM),
    arm_companion("nobody-0-22"),
]
CUSTOMERS = [arm_collection(a_nat(name="jit-0"), name="customer")]


@st.composite
def worlds(draw):
    """A subscription, its live grants, its tombstones."""
    held = [draw(grants(number)) for number in range(draw(st.integers(0, 4)))]
    known = [changed(grant, rules=rules) for grant, rules in held]
    named = draw(st.sets(st.sampled_from(["request0-0-22", "request1-0-22", "request2-0-3389"])))
    rules = [*draw(allows()), *STRANGE, *map(arm_companion, sorted(named))]
    machines = tuple(
        a_configured_vm(arm_ids.name(vm_id), address=address, firewall=draw(st.booleans()))
        for vm_id, address in ADDRESSES.items()
        if draw(st.integers(0, 9))
    )
    observed = an_observation(
        *rules,
        vms=machines,
        firewall=a_firewall(*draw(nats()), others=CUSTOMERS, settled=draw(st.integers(0, 4)) > 0),
        entries=sorted(draw(st.lists(entries(), max_size=4)), key=lambda item: item.started_at),
        settled=draw(st.integers(0, 4)) > 0,
    )
    live = [grant for grant in known if grant.live]
    return observed, live, [grant for grant in known if not grant.live]


def removals(items):
    return [item for item in items if item.action is PlanAction.REMOVE_RULE]


def applied(observed, items):
    """The subscription as it is once all removals of a plan are done."""
    gone = {item.path.id for item in removals(items)}
    return replace(
        observed,
        nsgs={key: without(nsg, gone) for key, nsg in observed.nsgs.items()},
        firewalls={key: thinner(front, gone) for key, front in observed.firewalls.items()},
    )


def without(nsg, gone):
    return replace(
        nsg,
        rules=tuple(rule for rule in nsg.rules if rule.id not in gone),
        allows=tuple(rule for rule in nsg.allows if rule.id not in gone),
    )


def thinner(front, gone):
    kept = (r for r in front.nat_rules if nat_id(r.name) not in gone or not r.is_jit)
    return replace(front, nat_rules=tuple(kept))


def networks(texts):
    return [ip_network("0.0.0.0/0" if text == "*" else text) for text in texts]


def meet(texts, others):
    return any(a.overlaps(b) for a in networks(texts) for b in networks(others))


def wanting(grant):
    return grant.status in {Status.OPEN, Status.OPENING} and grant.expires_at > NOW


def on_port(item, grant, observed):
    """True if the raw rule of *item* leads to the VM port of *grant*."""
    address = ADDRESSES[grant.vm_id]
    allow_rules = [r for g in observed.nsgs.values() for r in g.allows]
    nat_rules = [r for f in observed.firewalls.values() for r in f.nat_rules if r.is_jit]
    return any(
        rule.id == item.path.id
        and address in rule.destinations
        and any(grant.port in ports for ports in rule.destination_ports)
        for rule in allow_rules
    ) or any(
        nat_id(rule.name) == item.path.id
        and (rule.translated_address, rule.translated_port) == (address, str(grant.port))
        for rule in nat_rules
    )


def proofs(item, known, observed):
    """The grants that make the rule of *item* ours, by a record or by its sources."""
    asked: dict[tuple[str, int], set[str]] = {}
    for grant in known:
        if grant.initiate.ids:
            asked.setdefault((grant.vm_id, grant.port), set()).update(map(str, grant.sources))
    return [
        grant
        for grant in known
        if grant.initiate.ids
        and (
            item.path.id in grant.footprint.rules
            or (
                on_port(item, grant, observed)
                and set(item.path.sources) <= asked[grant.vm_id, grant.port]
            )
        )
    ]


@given(worlds())
def test_a_rule_named_for_removal_has_a_name_of_defenders_or_of_a_known_grant(world):
    """Customers' rules, deny rules and companions of nobody are never named."""
    observed, live, stones = world
    items = removals(make_plan(observed, live, stones, now=NOW, remove_orphans=True))

    assert [
        item
        for item in items
        if not (
            is_jit_allow_name(item.path.name)
            or is_jit_collection(item.path.collection or "")
            or item.grant in {grant.id for grant in (*live, *stones)}
        )
    ] == []


@settings(max_examples=examples(100, 1000))
@given(worlds())
def test_a_rule_named_for_removal_is_proved_to_be_of_a_grant_that_is_over(world):
    """Without the operator's switch, proof is needed; others' rules are never named."""
    observed, live, stones = world
    items = removals(make_plan(observed, live, stones, now=NOW, remove_orphans=False))
    rules = [item for item in items if item.kind is PlanClass.EXPIRED]

    assert [
        item
        for item in rules
        if not any(not wanting(g) for g in proofs(item, [*live, *stones], observed))
    ] == []
    assert {item.kind for item in items} <= {PlanClass.EXPIRED, PlanClass.COMPANION}


@given(worlds(), st.booleans())
def test_no_removal_touches_a_rule_that_an_open_grant_needs(world, switch):
    """One person's end never moves another's access."""
    observed, live, stones = world
    items = removals(make_plan(observed, live, stones, now=NOW, remove_orphans=switch))

    assert [
        (item, grant)
        for item in items
        if item.kind is not PlanClass.COMPANION
        for grant in live
        if wanting(grant)
        and on_port(item, grant, observed)
        and meet(item.path.sources, map(str, grant.sources))
    ] == []


@given(worlds(), st.booleans())
def test_no_removal_touches_a_rule_that_a_foreign_request_holds(world, switch):
    """Requests in Defender that the broker did not make are not its to end."""
    observed, live, stones = world
    known = [*live, *stones]
    ours = {initiate for grant in known for initiate in grant.initiate.ids}
    strangers = [e for e in observed.entries if e.initiate_id not in ours and e.is_in_force(NOW)]
    items = removals(make_plan(observed, live, stones, now=NOW, remove_orphans=switch))

    assert [
        (item, stranger)
        for item in items
        if item.kind is not PlanClass.COMPANION
        for stranger in strangers
        if arm_ids.key(stranger.vm_id) in observed.machines
        and on_port(item, replace(an_older(), vm_id=stranger.vm_id, port=stranger.port), observed)
        and meet(item.path.sources, stranger.sources)
    ] == []


@given(worlds(), st.booleans())
def test_a_plan_that_was_carried_out_leaves_nothing_to_remove(world, switch):
    """Planning twice removes once."""
    observed, live, stones = world
    items = make_plan(observed, live, stones, now=NOW, remove_orphans=switch)
    after = make_plan(applied(observed, items), live, stones, now=NOW, remove_orphans=switch)

    assert removals(after) == []


@given(worlds())
def test_after_its_end_no_plan_leaves_a_proven_path_open_without_a_reason(world):
    """A settled, proved rule goes, unless an open grant or a stranger needs it."""
    observed, live, stones = world
    known = [*live, *stones]
    items = make_plan(observed, live, stones, now=NOW, remove_orphans=False)
    told = {item.path.id for item in items if item.path is not None}
    everything = make_plan(
        observed, [], [], now=NOW, remove_orphans=True
    )  # each JIT rule, as orphan
    settled = [(item, item.path.id) for item in everything if item.path is not None]

    assert [
        rule
        for item, rule in settled
        if rule not in told
        and (owners := proofs(item, known, observed))
        and all(over(grant) for grant in owners)
        and any(recorded_or_exact(item, grant, observed) for grant in owners)
        and not any(wanting(g) and on_port(item, g, observed) for g in live)
    ] == []


def over(grant):
    """Past its end and any grace, on any path."""
    return grant.initiate.ids and grant.expires_at + PAST_ALL_GRACE * MINUTE <= NOW


def recorded_or_exact(item, grant, observed):
    """True if the proof holds for the present sources, and the rule opens one port of one VM."""
    return (
        item.path.exact
        and on_port(item, grant, observed)
        and meet(item.path.sources, map(str, grant.sources))
    )


@given(worlds())
def test_each_rule_becomes_one_item_at_most(world):
    """No rule is reported twice."""
    observed, live, stones = world
    items = make_plan(observed, live, stones, now=NOW, remove_orphans=False)
    ids = [item.path.id for item in items if item.path is not None]

    assert len(ids) == len(set(ids))


def test_the_graces_are_shorter_than_these_laws_assume():
    """A longer grace would make the laws above say less."""
    assert max(times.grace for times in TIMES.values()) < timedelta(minutes=PAST_ALL_GRACE)


@st.composite
def anyones(draw):
    """NSG rules of anybody's, readable or not."""
    return [
        arm_rule(
            1000 + number,
            draw(st.sampled_from(["Allow", "Deny", "?"])),
            source=draw(st.sampled_from([*SOURCES, "*", "VirtualNetwork", "Storage"])),
            port=draw(st.sampled_from(["22", "3389", "*", "20-25", "443"])),
            to=draw(st.sampled_from([VM, "10.1.1.5", "10.1.1.0/24", "*", "VirtualNetwork"])),
            provisioningState=draw(st.sampled_from(["Succeeded", "Succeeded", "Updating"])),
            direction=draw(st.sampled_from(["Inbound", "Inbound", "Outbound"])),
        )
        for number in range(draw(st.integers(0, 5)))
    ]


@given(st.data(), anyones(), allows())
def test_a_narrowed_view_shows_the_same_path(data, others, own):
    """Rules that certainly do not concern a VM port change nothing about it."""
    grant, rules = data.draw(grants(0))
    observed = an_observation(*others, *own, nats=[a_nat()])
    view = observed.machines[arm_ids.key(VM_ID)]
    grant = changed(grant, vm_id=VM_ID, rules=rules)

    assert effective.observe_path(
        grant, PortViews().narrow_view(view, grant.port)
    ) == effective.observe_path(grant, view)
