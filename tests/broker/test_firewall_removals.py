"""
A firewall after any sequence of the broker's removals: its foreign parts are unchanged.

The real gateway writes over the real client. Behind it is a shelf that keeps any body, as bytes,
under an ETag. A customer may write at any time, also between the broker's read and its write.
"""

import json
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from azure.core.credentials import AccessToken
from hypothesis import given, settings
from hypothesis import strategies as st

from jit.broker.azure_changes import Actions
from jit.broker.firewall_turns import FirewallTurns
from jit.domain.azure.firewall import parse_nat_rules
from jit.domain.paths.rules import PathRule
from jit.gateways.defender import DefenderPolicies
from jit.gateways.network import AzureNetwork
from jit.storage.control_rows import ControlRows
from local.azure.transport import SimulatorTransport
from local.azure.values.http import answer
from tests.builders.firewalls import arm_collection, arm_firewall, arm_nat_rule
from tests.builders.values import FIREWALL_ID
from tests.fakes.azure import SCOPE
from tests.fakes.tables import FakeTable
from tests.local.azure.sim import HOST
from tests.sizes import examples

# ---- firewalls of any kind -----------------------------------------------------------------------

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
unknown = st.dictionaries(st.sampled_from(["x", "tags", "ipGroups", "größe"]), JSON, max_size=2)
defenders_names = st.sampled_from(["MDC-JIT-fw-prod", "MDC-JIT-2", "ASC-JIT"])
customers_names = st.sampled_from(["customer-dnat", "mdc-jit", "MDC", "customer-MDC-JIT", ""])
rule_names = st.sampled_from(["MDC-JIT-web01-22", "MDC-JIT-web01-3389", "https", ""])
rules = st.lists(
    st.builds(lambda n, more: arm_nat_rule(n, **more), rule_names, unknown), max_size=3
)


def collected(names, inner):
    """Collections under those names, with unknown properties inside and outside."""
    return st.builds(
        lambda name, found, priority, outside, inside: (
            outside
            | (made := arm_collection(*found, name=name, priority=priority))
            | {"properties": made["properties"] | inside}
        ),
        names,
        inner,
        st.integers(100, 65000),
        unknown,
        unknown,
    )


other_rules = st.lists(
    st.builds(lambda n, more: {"name": n} | more, rule_names, unknown), max_size=3
)
others = st.lists(collected(customers_names | defenders_names, other_rules), max_size=2)
nats = st.lists(collected(customers_names | defenders_names, rules), max_size=5)
firewalls = st.builds(
    lambda found, network, application, inside, outside: (
        outside
        | arm_firewall(
            *found,
            networkRuleCollections=network,
            applicationRuleCollections=application,
            **inside,
        )
    ),
    nats,
    others,
    others,
    unknown,
    unknown,
)


# ---- the shelf -----------------------------------------------------------------------------------


@dataclass
class Shelf:
    """
    One firewall, kept as it was sent, without the members that only Azure writes.

    Attributes:
        body: The bytes.
        sent: The body of the broker's last write.
        between: A foreign change between the next read and the broker's write.
    """

    body: bytes
    version: int = 1
    sent: dict[str, Any] = field(default_factory=dict)
    between: list[str] = field(default_factory=list)

    def handle(self, request):
        """Answer a GET, or a PUT whose ``If-Match`` names the present version."""
        if request.method == "GET":
            shown = answer(200, self.shown())
            self.edited(*self.between)
            self.between = []
            return shown
        if request.headers["if-match"] != self.shown()["etag"]:
            return answer(412, {"error": {"code": "PreconditionFailed", "message": "changed"}})
        self.sent = json.loads(request.body)
        self.write(self.sent)
        return answer(200, self.shown())

    def shown(self):
        """The firewall as a GET returns it: Azure adds its own members."""
        document = json.loads(self.body) | {"etag": f'W/"{self.version}"', "name": "fw-prod"}
        document["properties"]["provisioningState"] = "Succeeded"
        return document

    def write(self, document):
        """Keep *document* under a new ETag."""
        self.body, self.version = json.dumps(document).encode(), self.version + 1

    def edited(self, *texts):
        """A customer writes each of *texts* into a property of their own."""
        for text in texts:
            document = self.shown()
            document["properties"]["customers"] = text
            self.write(document)


class Nobody:
    """A credential: the shelf asks for none."""

    def get_token(self, *_scopes, **_options):
        """No simulated identity is behind it."""
        return AccessToken("a-token", 2**31)


def an_actions(shelf):
    """The broker's hands, over *shelf*."""
    table = FakeTable(lambda: datetime(2026, 11, 22, 12, tzinfo=UTC))
    wire = SimulatorTransport(shelf)
    policies = DefenderPolicies(HOST, Nobody(), SCOPE, transport=wire)
    network = AzureNetwork(HOST, Nobody(), SCOPE, transport=wire)
    return Actions(lambda: policies, lambda: network, FirewallTurns(ControlRows(table)))


def removed(shelf, steps):
    """Have the broker remove rules, step by step; a customer may write in the middle of each."""
    actions = an_actions(shelf)
    for doomed, meanwhile in steps:
        shelf.between = list(meanwhile)
        actions.remove_nat_rules([a_path(*pair) for pair in doomed])


def a_path(collection, name):
    """One of Defender's NAT rules, as the broker names it."""
    return PathRule(
        id=f"{FIREWALL_ID}/natRuleCollections/{collection}/rules/{name}",
        holder_id=FIREWALL_ID,
        name=name,
        collection=collection,
        sources=("203.0.113.7",),
        target="10.1.1.4",
        exact=True,
    )


def customers(document):
    """Everything of a firewall that is neither Defender's nor Azure's, as bytes; order counts."""
    kept = deepcopy(document)
    for name in ("etag", "name"):
        kept.pop(name)
    for name in ("provisioningState", "ipGroups"):
        kept["properties"].pop(name, None)
    for kind in ("natRuleCollections", "networkRuleCollections", "applicationRuleCollections"):
        for collection in kept["properties"][kind]:
            collection.get("properties", {}).pop("provisioningState", None)
    found = kept["properties"]["natRuleCollections"]
    found[:] = [each for each in found if not each["name"].startswith(("MDC-JIT", "ASC-JIT"))]
    return json.dumps(kept)


def without_customers(document):
    """A firewall without the text that the customer writes meanwhile."""
    document["properties"].pop("customers", None)
    return document


dooms = st.lists(st.tuples(defenders_names, rule_names), max_size=4)
steps = st.lists(st.tuples(dooms, st.lists(st.text(max_size=3), max_size=1)), max_size=4)

FEWER = settings(max_examples=examples(30, 500))
"""Each example builds the SDK's client of the network."""


@FEWER
@given(firewalls, steps)
def test_foreign_parts_come_back_byte_for_byte_after_any_removals(firewall, steps):
    """NAT, network and application rules, and every property, known to the broker or not."""
    shelf = Shelf(json.dumps(firewall).encode())

    removed(shelf, steps)

    assert customers(without_customers(shelf.shown())) == customers(without_customers(firewall))


def test_a_write_has_no_member_that_only_azure_writes():
    """Azure's own validator of requests refuses them."""
    collection = arm_collection(arm_nat_rule("a"), arm_nat_rule("b"), name="MDC-JIT") | {
        "etag": "1"
    }
    firewall = arm_firewall(collection) | {"type": "Microsoft.Network/azureFirewalls"}
    shelf = Shelf(json.dumps(firewall).encode())

    removed(shelf, [([("MDC-JIT", "a")], [])])

    assert not {"etag", "name", "type"} & set(shelf.sent)
    assert "provisioningState" not in shelf.sent["properties"]
    assert "etag" not in shelf.sent["properties"]["natRuleCollections"][0]
    assert shelf.sent["id"] == FIREWALL_ID


@FEWER
@given(firewalls, dooms)
def test_defenders_rules_that_nobody_named_come_back_too(firewall, doomed):
    """Each in its place; the named ones are gone."""
    before = [
        rule for rule in parse_nat_rules(firewall) if (rule.collection, rule.name) not in doomed
    ]
    shelf = Shelf(json.dumps(firewall).encode())

    an_actions(shelf).remove_nat_rules([a_path(*pair) for pair in doomed])

    assert list(parse_nat_rules(shelf.shown())) == before


@FEWER
@given(firewalls, dooms, st.text(max_size=3))
def test_a_customers_write_between_our_read_and_our_write_is_never_lost(firewall, doomed, text):
    """The broker's write names the version that it read, and is refused."""
    shelf = Shelf(json.dumps(firewall).encode(), between=[text])

    an_actions(shelf).remove_nat_rules([a_path(*pair) for pair in doomed])

    found = shelf.shown()["properties"]
    assert found.get("customers", text) == text
    assert bool(doomed) == ("customers" in found)
