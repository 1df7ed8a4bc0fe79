"""The evaluator against a model that reads ARM's JSON itself and tries every packet."""

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jit.domain.azure.nsg_effect import Allowed, Blocked, CannotTell, Flow, evaluate, evaluate_path
from jit.domain.azure.nsg_rules import parse_rules
from jit.domain.values import arm_ids
from tests.builders.nsgs import DEFAULTS, a_flow, arm_nsg, arm_rule, asg_id
from tests.sizes import examples

# ---- two universes, so small that every packet can be tried ----------------------------------

TAGS = ["VirtualNetwork", "virtualnetwork", "Internet", "INTERNET", "AzureLoadBalancer"]
GROUP_FIELD = {which: f"{which}ApplicationSecurityGroups" for which in ("source", "destination")}
OPAQUE = ["AzureCloud", "Storage.WestEurope", "10.0.0.300"]
ANYBODY = ["*", "Any", "0.0.0.0/0", "::/0"]


@dataclass(frozen=True)
class Universe:
    """
    Some addresses of one family.

    Attributes:
        vnets: Address spaces that the VNet may have, some of them with public addresses.
        vm: The VM's address.
        sources: Prefixes that flows come from: the VNet, private neighbours, public ones, special
            ones.
        prefixes: Texts that rules name, some of the other family.
        private: Addresses that packets of the internet never have.
        public: Addresses that packets of the internet have.
        host: The host's own address, the source of health probes.
    """

    vnets: tuple[tuple[str, ...], ...]
    vm: str
    sources: tuple[str, ...]
    prefixes: tuple[str, ...]
    private: str
    public: str
    host: str


V4 = Universe(
    vnets=(("10.0.0.0/29",), ("10.0.0.0/29", "203.0.113.4/30"), ()),
    vm="10.0.0.3",
    sources=(
        *("10.0.0.0/28", "10.0.0.4/30", "10.0.0.9/32", "203.0.113.0/29", "203.0.113.6/32"),
        *("168.63.129.16/32", "169.254.1.0/31"),
    ),
    prefixes=(
        *("10.0.0.0/29", "10.0.0.8/29", "10.0.0.4", "10.0.0.3/32", "203.0.113.0/30"),
        *("203.0.113.6", "203.0.113.4/31", "2001:db8::/32", "168.63.129.16", "168.63.129.16/31"),
    ),
    private="10.0.0.0/8",
    public="203.0.113.0/24",
    host="168.63.129.16/32",
)
V6 = Universe(
    vnets=(("fd00::/125",), ("fd00::/125", "2001:db8::4/126"), ("10.0.0.0/29",)),
    vm="fd00::3",
    sources=(
        *("fd00::/124", "fd00::4/126", "fd00::9/128", "2001:db8::/125", "2001:db8::6/128"),
        "fe80::/127",
    ),
    prefixes=(
        *("fd00::/125", "fd00::8/125", "fd00::4", "fd00::3/128", "2001:db8::/126"),
        *("2001:db8::6", "2001:db8::4/127", "10.0.0.0/8", "fe80::1", "fe80::/64"),
    ),
    private="fc00::/7",
    public="2000::/3",
    host="fe80::/10",
)


@dataclass(frozen=True)
class Case:
    """Rules as ARM writes them, of one or two NSGs, and a flow for them."""

    universe: Universe
    vnet: tuple[str, ...]
    nsgs: tuple[list[Any], ...]
    flow: Flow

    def verdict(self):
        """Return the verdict of the evaluator."""
        parsed = [
            parse_rules(arm_nsg(*own(rules), defaults=standard(rules))) for rules in self.nsgs
        ]
        return evaluate_path(parsed, self.flow, self.vnet, public=True)


def own(rules):
    return [rule for rule in rules if rule not in DEFAULTS]


def standard(rules):
    return [rule for rule in rules if rule in DEFAULTS]


# ---- rules and cases ---------------------------------------------------------------------------

PORTS = ["*", "22", "22-23", "20-21", "23-3389", "3389", "0-65535", "443"]
GROUPS = [{"id": asg_id("web")}]
OTHERS = [{"id": asg_id("db").upper()}]
CHANGES = st.sampled_from(
    [
        *({} for _ in range(20)),
        {"sourcePortRange": "1024-65535"},
        {"sourcePortRange": "", "sourcePortRanges": ["0-65535", "53"]},
        {"sourceApplicationSecurityGroups": GROUPS},
        {"destinationApplicationSecurityGroups": GROUPS},
        {"sourceAddressPrefix": "", "sourceApplicationSecurityGroups": GROUPS},
        *(
            {"destinationAddressPrefix": "", "destinationApplicationSecurityGroups": named}
            for named in (GROUPS, OTHERS, GROUPS + OTHERS)
        ),
        {"provisioningState": "Updating"},
        {"provisioningState": "Failed"},
        {"direction": "Outbound"},
        {"direction": "Sideways"},
        {"access": "Perhaps"},
        {"protocol": "Gre"},
        {"priority": "100"},
        {"destinationPortRange": "70000"},
    ]
)
MEMBERSHIPS = st.none() | st.lists(st.sampled_from(["web", "db"]).map(asg_id))
PLAIN: st.SearchStrategy[dict[str, Any]] = st.just({})


def some(texts):
    """One value for the singular field, or a list for the plural one."""
    return st.sampled_from(texts) | st.lists(st.sampled_from(texts), min_size=1, max_size=3)


@st.composite
def arm_rules(draw, universe, changes=CHANGES, texts=(*ANYBODY, *TAGS, *OPAQUE)):
    """The customer's rules of one NSG."""
    ends = [*texts, *universe.prefixes]
    numbers = draw(st.lists(st.integers(100, 130), unique=True, max_size=5))
    return [
        arm_rule(
            number,
            draw(st.sampled_from(["Allow", "Deny", "allow", "DENY"])),
            source=draw(some(ends)),
            port=draw(some(PORTS)),
            to=draw(some(ends)),
            **{"protocol": draw(st.sampled_from(["*", "Tcp", "UDP", "tcp", "Icmp"]))}
            | draw(changes),
        )
        for number in numbers
    ]


@st.composite
def cases(draw, most=2, groups=MEMBERSHIPS):
    """A case with up to *most* NSGs; now and then Azure's last rule is missing."""
    universe = draw(st.sampled_from([V4, V6]))
    lasts = st.sampled_from([DEFAULTS, DEFAULTS, DEFAULTS, DEFAULTS[:2]])
    nsg = st.builds(lambda rules, last: [*rules, *last], arm_rules(universe), lasts)
    flow = a_flow(
        draw(st.sampled_from(universe.sources)),
        to=universe.vm,
        port=draw(st.sampled_from([22, 3389])),
        protocol=draw(st.sampled_from(["TCP", "UDP", "*"])),
        groups=draw(groups),
    )
    nsgs = draw(st.lists(nsg, min_size=min(1, most), max_size=most))
    return Case(universe, draw(st.sampled_from(universe.vnets)), tuple(nsgs), flow)


# ---- the model: one packet, one rule, yes, no or maybe ---------------------------------------


def values(fields, one, many):
    return [*fields.get(many, []), *([fields[one]] if fields.get(one) else [])]


def holds(text, address, case):
    """Return yes, no or maybe: does *text* mean *address*?"""
    inside = any(address in ip_network(prefix) for prefix in case.vnet)
    private = address in ip_network(case.universe.private)
    public = address in ip_network(case.universe.public)
    probe = address in ip_network(case.universe.host)
    known = {
        "*": "yes",
        "any": "yes",
        "virtualnetwork": "yes" if inside else "no" if public else "maybe",
        "internet": "no" if private else "yes" if public and not inside else "maybe",
        "azureloadbalancer": "no" if not probe else "yes" if address.version == 4 else "maybe",
    }
    if text in OPAQUE:
        return "maybe"
    if text.lower() in known:
        return known[text.lower()]
    return "yes" if address in ip_network(text) else "no"


def one_of(answers):
    return next((answer for answer in ("yes", "maybe") if answer in answers), "no")


def all_of(answers):
    return next((answer for answer in ("no", "maybe") if answer in answers), "yes")


def end(fields, which, address, case):
    texts = values(fields, f"{which}AddressPrefix", f"{which}AddressPrefixes")
    return one_of([holds(text, address, case) for text in texts] + [grouped(fields, which, case)])


def grouped(fields, which, case):
    """Return yes, no or maybe: is the end of the packet in the groups of a rule?"""
    named = [arm_ids.key(group["id"]) for group in fields.get(GROUP_FIELD[which], [])]
    if not named or (which == "source") or case.flow.groups is None:
        return "maybe" if named else "no"
    member = [group in case.flow.groups for group in named]
    return "yes" if all(member) else "maybe" if any(member) else "no"


def port_is_in(text, port):
    first, _, last = text.replace("*", "0-65535").partition("-")
    return int(first) <= port <= int(last or first)


def readable(fields):
    return (
        fields["direction"] == "Inbound"
        and fields["access"].lower() in {"allow", "deny"}
        and fields["protocol"] != "Gre"
        and fields["priority"] != "100"
        and fields.get("destinationPortRange") != "70000"
    )


def in_force(fields):
    return fields["provisioningState"] == "Succeeded"


def takes(fields, source, protocol, case):
    """Return yes, no or maybe: does the rule take the packet?"""
    if fields["direction"] == "Outbound":
        return "no"
    if not in_force(fields):
        return "maybe"
    if not readable(fields):
        return "maybe" if fields["protocol"].lower() in {"*", "gre", protocol.lower()} else "no"
    ports = values(fields, "destinationPortRange", "destinationPortRanges")
    from_ports = values(fields, "sourcePortRange", "sourcePortRanges")
    return all_of(
        [
            "yes" if fields["protocol"].lower() in {"*", protocol.lower()} else "no",
            "yes" if any(port_is_in(text, case.flow.port) for text in ports) else "no",
            "yes" if {"*", "0-65535"} & set(from_ports) else "maybe",
            end(fields, "source", source, case),
            end(fields, "destination", case.flow.destination, case),
        ]
    )


def ends(ordered, source, protocol, case):
    """Every way that one packet may end."""
    if not ordered:
        return {"allow", "deny"}
    fields, rest = ordered[0]["properties"], ordered[1:]
    said = {fields["access"].lower()} if in_force(fields) else set()
    written = said & {"allow", "deny"} or {"allow", "deny"}
    answer = takes(fields, source, protocol, case)
    later = ends(rest, source, protocol, case) if answer != "yes" else set()
    return later | (written if answer != "no" else set())


def order(rule):
    priority = rule["properties"]["priority"]
    return priority if isinstance(priority, int) else 0


def protocols(flow):
    return ["TCP", "UDP"] if flow.protocol == "*" else [flow.protocol]


def expected(case):
    """Return the verdict of the model: every packet tried, in every reading."""
    packets = [
        ends(sorted(rules, key=order), source, protocol, case)
        for rules in case.nsgs
        for source in case.flow.source
        for protocol in protocols(case.flow)
    ]
    if {"deny"} in packets:
        return Blocked
    return CannotTell if {"allow", "deny"} in packets else Allowed


# ---- the unknown, made known -----------------------------------------------------------------


@dataclass(frozen=True)
class Truth:
    """
    A value for everything unknown.

    Attributes:
        meant: The prefix that each opaque text means.
        members: The members of application security groups that are not known.
        empty: True if a group of a rule that the VM is no member of has no member at all.
        routed: The addresses of the tag VirtualNetwork beyond the VNet; none if None.
        old: The content of rules that are not in force, or whose content cannot be read.
        number: The priority of rules with an unreadable one.
        from_any_port: True if the packets come from the source ports that some rules name.
    """

    meant: dict[str, str]
    members: str
    empty: bool
    routed: str | None
    old: dict[str, Any]
    number: int
    from_any_port: bool


@st.composite
def truths(draw, universe):
    anywhere = st.sampled_from(["*", *universe.sources, "192.0.2.1", universe.vm])
    (old,) = draw(arm_rules(universe, PLAIN, texts=("*",)).filter(bool).map(lambda all_: all_[:1]))
    return Truth(
        meant={text: draw(anywhere) for text in OPAQUE},
        members=draw(anywhere),
        empty=draw(st.booleans()),
        routed=draw(st.none() | st.just(universe.private)),
        old=old["properties"],
        number=draw(st.integers(50, 99) | st.integers(132, 140)),
        from_any_port=draw(st.booleans()),
    )


def revealed(case, truth):
    """The same case with nothing unknown in the rules, as far as ARM's JSON can say it."""
    nsgs = tuple([settled(rule, truth, case) for rule in rules] for rules in case.nsgs)
    return Case(case.universe, case.vnet, nsgs, case.flow)


def settled(rule, truth, case):
    fields = rule["properties"]
    fields = with_content(fields, truth)
    for which in ("source", "destination"):
        fields = with_end(fields, which, truth, case)
    return {**rule, "properties": with_source_ports(fields, truth)}


def with_content(fields, truth):
    """Return the content of a rule; parts in doubt get the content of *truth*."""
    number = truth.number if fields["priority"] == "100" else fields["priority"]
    if not in_force(fields):
        return {**truth.old, "priority": number, "direction": fields["direction"]}
    if readable(fields) or fields["direction"] == "Outbound":
        return {**fields, "priority": number}
    access = fields["access"] if fields["access"] != "Perhaps" else truth.old["access"]
    protocol = fields["protocol"] if fields["protocol"] != "Gre" else truth.old["protocol"]
    kept = {"access": access, "protocol": protocol, "priority": number}
    return {**truth.old, **kept, "direction": "Inbound"}


def with_end(fields, which, truth, case):
    one, many = f"{which}AddressPrefix", f"{which}AddressPrefixes"
    texts = [item for text in values(fields, one, many) for item in meanings(text, truth, case)]
    dropped = {one, many, GROUP_FIELD[which]}
    kept = {key: value for key, value in fields.items() if key not in dropped}
    return {**kept, many: [*texts, *members(fields, which, truth, case)]}


def members(fields, which, truth, case):
    """Return the addresses that the groups of a rule mean."""
    answer = grouped(fields, which, case)
    if answer == "maybe" and (which == "source" or case.flow.groups is None):
        return [truth.members]
    counts = answer == "yes" or (answer == "maybe" and not truth.empty)
    return [str(case.flow.destination)] if counts else []


def meanings(text, truth, case):
    if text.lower() == "virtualnetwork" and truth.routed is not None:
        return [text, truth.routed]
    return [truth.meant.get(text, text)]


def with_source_ports(fields, truth):
    """A rule for some source ports takes all packets of a flow from there, and no others."""
    texts = values(fields, "sourcePortRange", "sourcePortRanges")
    if {"*", "0-65535"} & set(texts) or truth.from_any_port:
        return {**fields, "sourcePortRange": "*", "sourcePortRanges": []}
    return {**fields, "direction": "Outbound"}


# ---- the laws --------------------------------------------------------------------------------


@given(cases(most=1))
def test_one_nsg_agrees_with_trying_every_packet(case):
    """Never allowed if a packet may be stopped, and never blocked if all packets pass."""
    (rules,) = case.nsgs
    parsed = parse_rules(arm_nsg(*own(rules), defaults=standard(rules)))

    verdict = evaluate(parsed, case.flow, case.vnet)

    assert type(verdict) is expected(case)


@given(cases())
def test_subnet_and_interface_together_agree_with_trying_every_packet(case):
    """Both NSGs must let all of the flow through."""
    assert type(case.verdict()) is expected(case)


@given(st.data())
def test_a_verdict_holds_for_every_value_of_the_unknown(data):
    """Tags, groups, unreadable and changing rules get a value: a certain verdict stays."""
    case = data.draw(cases())
    truth = data.draw(truths(case.universe))
    before = type(case.verdict())

    after = expected(revealed(case, truth))

    assert before in {after, CannotTell}


@given(st.data())
def test_an_allowed_flow_lets_every_packet_of_every_truth_pass(data):
    """Allowed means that no completion of the unknown stops anything."""
    case = ending(data.draw(cases()), "Allow")
    every = data.draw(st.lists(truths(case.universe), min_size=3, max_size=3))

    completions = {expected(revealed(case, truth)) for truth in every}

    assert isinstance(case.verdict(), Allowed) <= (completions == {Allowed})


def ending(case, access):
    """The same case with one end for all that its first rules leave: verdicts become certain."""
    wide = arm_rule(131, access, name="wide")
    nsgs = tuple([*own(rules)[:2], wide, *standard(rules)] for rules in case.nsgs)
    return Case(case.universe, case.vnet, nsgs, case.flow)


@given(cases(most=1))
def test_the_order_in_which_azure_lists_rules_does_not_matter(case):
    """Priority decides, not position."""
    (rules,) = case.nsgs
    backward = Case(case.universe, case.vnet, (list(reversed(rules)),), case.flow)

    assert type(backward.verdict()) is type(case.verdict())


@given(cases())
def test_the_order_of_the_nsgs_does_not_matter(case):
    """Packets must pass both."""
    backward = Case(case.universe, case.vnet, tuple(reversed(case.nsgs)), case.flow)

    assert type(backward.verdict()) is type(case.verdict())


@given(cases(most=1).map(lambda case: ending(case, "Deny")))
def test_a_blocking_rule_stops_the_flow_of_its_own_accord(case):
    """The rule that a verdict names surely takes some of the flow, and denies it."""
    verdict = case.verdict()
    (rules,) = case.nsgs
    name = verdict.rule.name if isinstance(verdict, Blocked) else None

    stops = [surely_stops(rule["properties"], case) for rule in rules if rule["name"] == name]

    assert stops == ([True] if name else [])


def surely_stops(fields, case):
    """Return True if the rule denies, and certainly takes a packet of the flow."""
    packets = [(source, protocol) for source in case.flow.source for protocol in ("TCP", "UDP")]
    taken = [takes(fields, source, protocol, case) for source, protocol in packets]
    return "yes" in taken and fields["access"].lower() == "deny"


DOUBTS = [
    {"sourceAddressPrefix": "", "sourceApplicationSecurityGroups": GROUPS},
    {"destinationAddressPrefix": "", "destinationApplicationSecurityGroups": GROUPS},
    *({"sourceAddressPrefix": text} for text in OPAQUE),
    *({"destinationAddressPrefix": text} for text in OPAQUE),
    {"sourcePortRange": "1024-65535"},
    {"protocol": "Gre"},
    {"priority": "100"},
    {"direction": "Sideways"},
    {"destinationPortRange": "70000"},
]
"""Contents of a rule that leave its packets in doubt."""

FEW = settings(max_examples=examples(15, 150))
"""Each doubt is tried by itself; only the flow is drawn."""

UNCERTAIN = [{"access": "Perhaps"}, {"provisioningState": "Updating"}]
"""Contents of a rule that leave its effect in doubt."""


@pytest.mark.parametrize("doubt", [*DOUBTS, *UNCERTAIN], ids=str)
@pytest.mark.parametrize(("access", "then"), [("Allow", "Deny"), ("Deny", "Allow")])
@FEW
@given(st.data())
def test_a_rule_in_doubt_neither_opens_nor_closes_a_port(doubt, access, then, data):
    """The verdict is a doubt for every flow."""
    case = data.draw(cases(most=0, groups=st.none()))
    first = arm_rule(100, name="first", **{"access": access} | doubt)
    rules = [first, arm_rule(101, then, name="rest"), *DEFAULTS]

    verdict = Case(case.universe, case.vnet, (rules,), case.flow).verdict()

    assert isinstance(verdict, CannotTell)


@pytest.mark.parametrize("doubt", DOUBTS, ids=str)
@pytest.mark.parametrize(("access", "surely"), [("Allow", Allowed), ("Deny", Blocked)])
@FEW
@given(st.data())
def test_a_doubt_that_makes_no_difference_is_none(doubt, access, surely, data):
    """The next rule treats the packets that the rule in doubt may leave in the same way."""
    case = data.draw(cases(most=0, groups=st.none()))
    first = arm_rule(100, access, name="first", **doubt)
    rules = [first, arm_rule(101, access, name="rest"), *DEFAULTS]

    verdict = Case(case.universe, case.vnet, (rules,), case.flow).verdict()

    assert isinstance(verdict, surely)


@pytest.mark.parametrize("doubt", UNCERTAIN, ids=str)
@pytest.mark.parametrize("access", ["Allow", "Deny"])
@FEW
@given(st.data())
def test_a_rule_that_may_do_otherwise_than_the_next_is_a_doubt(doubt, access, data):
    """While it is being changed, its old self may act."""
    case = data.draw(cases(most=0, groups=st.none()))
    first = arm_rule(100, name="first", **{"access": access} | doubt)
    rules = [first, arm_rule(101, access, name="rest"), *DEFAULTS]

    verdict = Case(case.universe, case.vnet, (rules,), case.flow).verdict()

    assert isinstance(verdict, CannotTell)


def test_both_universes_hold_their_vm():
    """The model's private network is the VM's own."""
    found = [ip_address(each.vm) in ip_network(each.private) for each in (V4, V6)]

    assert found == [True, True]
