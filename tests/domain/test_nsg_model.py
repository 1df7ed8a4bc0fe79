"""The evaluator against a model that reads ARM's JSON itself and tries every packet."""

from ipaddress import ip_address, ip_network

from hypothesis import assume, given
from hypothesis import strategies as st

from jit.domain.nsg import Allowed, Blocked, CannotTell, evaluate, evaluate_path
from jit.domain.securityrules import parse_rules
from tests.domain.nsgs import DEFAULTS, a_flow, arm_nsg, arm_rule

# The universe: a VNet of 8 addresses, private neighbours, public ones, the health probe.
VNET = "10.0.0.0/29"
VM_ADDRESS = "10.0.0.3"
FLOW_SOURCES = ["10.0.0.0/28", "10.0.0.4/30", "10.0.0.9/32", "203.0.113.0/29", "203.0.113.6/32"]
TEXTS = [
    *("*", "0.0.0.0/0", "10.0.0.0/29", "10.0.0.8/29", "10.0.0.4", "10.0.0.3/32", "203.0.113.0/30"),
    *("203.0.113.6", "203.0.113.4/31", "2001:db8::/32", "168.63.129.16", "168.63.129.16/31"),
    *("VirtualNetwork", "virtualnetwork", "Internet", "INTERNET", "AzureLoadBalancer"),
    *("AzureCloud", "Storage.WestEurope", "10.0.0.300"),
]
PORTS = ["*", "22", "22-23", "20-21", "23-3389", "3389", "0-65535", "443"]
GROUPS = [{"id": "/subscriptions/s/applicationSecurityGroups/web"}]
OPAQUE = {"AzureCloud", "Storage.WestEurope", "10.0.0.300"}


def some(texts):
    """One value for the singular field, or a list for the plural one."""
    return st.sampled_from(texts) | st.lists(st.sampled_from(texts), min_size=1, max_size=3)


CHANGES = st.sampled_from(
    [
        *({} for _ in range(30)),
        {"sourcePortRange": "1024-65535"},
        {"sourcePortRange": "", "sourcePortRanges": ["0-65535", "53"]},
        {"sourceApplicationSecurityGroups": GROUPS},
        {"destinationApplicationSecurityGroups": GROUPS},
        {"provisioningState": "Updating"},
        {"direction": "Outbound"},
        {"direction": "Sideways"},
        {"access": "Perhaps"},
        {"protocol": "Gre"},
        {"priority": "100"},
        {"destinationPortRange": "70000"},
    ]
)


@st.composite
def arm_rules(draw, changes=CHANGES, texts=TEXTS):
    numbers = draw(st.lists(st.integers(100, 130), unique=True, max_size=5))
    return [
        arm_rule(
            number,
            draw(st.sampled_from(["Allow", "Deny", "allow", "DENY"])),
            source=draw(some(texts)),
            port=draw(some(PORTS)),
            to=draw(some(texts)),
            **{"protocol": draw(st.sampled_from(["*", "Tcp", "UDP", "tcp", "Icmp"]))}
            | draw(changes),
        )
        for number in numbers
    ]


flows = st.builds(
    a_flow,
    st.sampled_from(FLOW_SOURCES),
    to=st.just(VM_ADDRESS),
    port=st.sampled_from([22, 3389]),
    protocol=st.sampled_from(["TCP", "UDP", "*"]),
)
defaults = st.sampled_from([DEFAULTS, DEFAULTS, DEFAULTS, DEFAULTS[:2]])

# ---- the model: one packet, one rule, yes, no or maybe ----------------------------------------


def values(fields, one, many):
    return [*fields.get(many, []), *([fields[one]] if fields.get(one) else [])]


def holds(text, address):
    """Whether *text* stands for *address*: yes, no or maybe."""
    inside = address in ip_network(VNET)
    private = address in ip_network("10.0.0.0/8")
    probe = address == ip_address("168.63.129.16")
    known = {
        "*": "yes",
        "virtualnetwork": "yes" if inside else "maybe" if private or probe else "no",
        "internet": "no" if private else "maybe" if probe else "yes",
        "azureloadbalancer": "yes" if probe else "no",
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


def end(fields, which, address):
    texts = values(fields, f"{which}AddressPrefix", f"{which}AddressPrefixes")
    grouped = ["maybe"] if fields.get(f"{which}ApplicationSecurityGroups") else []
    return one_of([holds(text, address) for text in texts] + grouped)


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


def takes(fields, source, flow, protocol):
    """Whether the rule takes the packet: yes, no or maybe."""
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
            "yes" if any(port_is_in(text, flow.port) for text in ports) else "no",
            "yes" if {"*", "0-65535"} & set(from_ports) else "maybe",
            end(fields, "source", source),
            end(fields, "destination", flow.destination),
        ]
    )


def ends(ordered, source, flow, protocol):
    """Every way that one packet may end."""
    if not ordered:
        return {"allow", "deny"}
    fields, rest = ordered[0]["properties"], ordered[1:]
    said = {fields["access"].lower()} if in_force(fields) else set()
    own = said & {"allow", "deny"} or {"allow", "deny"}
    answer = takes(fields, source, flow, protocol)
    later = ends(rest, source, flow, protocol) if answer != "yes" else set()
    return later | (own if answer != "no" else set())


def order(rule):
    priority = rule["properties"]["priority"]
    return priority if isinstance(priority, int) else 0


def expected(nsgs, flow):
    """What the model says: every packet tried, in every reading."""
    protocols = ["TCP", "UDP"] if flow.protocol == "*" else [flow.protocol]
    packets = [
        ends(sorted(rules, key=order), source, flow, protocol)
        for rules in nsgs
        for source in flow.source
        for protocol in protocols
    ]
    if {"deny"} in packets:
        return Blocked
    return CannotTell if {"allow", "deny"} in packets else Allowed


# ---- the laws -------------------------------------------------------------------------------


@given(arm_rules(), defaults, flows)
def test_one_nsg_does_what_trying_every_packet_says(rules, last, flow):
    """The verdict is the model's: never allowed where a packet may be stopped, nor the reverse."""
    verdict = evaluate(parse_rules(arm_nsg(*rules, defaults=last)), flow, [VNET])

    assert type(verdict) is expected([rules + list(last)], flow)


@given(arm_rules(), arm_rules(), flows)
def test_subnet_and_interface_together_do_what_trying_every_packet_says(first, second, flow):
    """Both NSGs must let all of the flow through."""
    nsgs = [parse_rules(arm_nsg(*first)), parse_rules(arm_nsg(*second))]

    verdict = evaluate_path(nsgs, flow, [VNET], public=True)

    assert type(verdict) is expected([first + DEFAULTS, second + DEFAULTS], flow)


@given(
    arm_rules(changes=st.sampled_from([{}, {"sourceApplicationSecurityGroups": GROUPS}])),
    flows,
    st.sampled_from(["*", "203.0.113.4/30", "10.0.0.4/30", "192.0.2.1"]),
)
def test_a_verdict_holds_whatever_the_unknown_turns_out_to_be(rules, flow, meant):
    """Tags and groups replaced by real prefixes: what was certain before stays so."""
    before = type(evaluate(parse_rules(arm_nsg(*rules)), flow, [VNET]))
    known = [revealed(rule, meant) for rule in rules]

    after = expected([known + DEFAULTS], flow)

    assert before in {after, CannotTell}


def revealed(rule, meant):
    """The same rule with *meant* in the place of everything unknown."""
    fields = rule["properties"]
    replaced = {
        key: [meant if text in OPAQUE else text for text in fields[key]]
        for key in ("sourceAddressPrefixes", "destinationAddressPrefixes")
        if key in fields
    } | {
        key: meant
        for key in ("sourceAddressPrefix", "destinationAddressPrefix")
        if fields.get(key) in OPAQUE
    }
    known = {**fields, **replaced}
    if known.pop("sourceApplicationSecurityGroups", None):
        sources = values(known, "sourceAddressPrefix", "sourceAddressPrefixes")
        known = {**known, "sourceAddressPrefix": "", "sourceAddressPrefixes": [*sources, meant]}
    return {**rule, "properties": known}


@given(arm_rules(), flows)
def test_the_order_in_which_azure_lists_rules_does_not_matter(rules, flow):
    """Priority decides, not position."""
    forward = evaluate(parse_rules(arm_nsg(*rules)), flow, [VNET])

    backward = evaluate(parse_rules(arm_nsg(*reversed(rules))), flow, [VNET])

    assert type(backward) is type(forward)


@given(arm_rules(), flows)
def test_a_blocking_rule_stops_the_flow_of_its_own_accord(rules, flow):
    """The rule that a verdict names surely takes some of the flow, and denies it."""
    verdict = evaluate(parse_rules(arm_nsg(*rules)), flow, [VNET])
    assume(isinstance(verdict, Blocked))
    rule = next(
        item
        for item in rules + DEFAULTS
        if isinstance(verdict, Blocked) and item["name"] == verdict.rule.name
    )

    answers = {
        takes(rule["properties"], source, flow, protocol)
        for source in flow.source
        for protocol in ("TCP", "UDP")
    }

    assert "yes" in answers
    assert rule["properties"]["access"].lower() == "deny"
