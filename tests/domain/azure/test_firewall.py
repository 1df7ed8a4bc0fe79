"""A firewall's DNAT rules: read from, and taken out of, the body that ARM returns."""

import json
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.azure.arm_json import read_etag, read_provisioning_state
from jit.domain.azure.firewall import (
    NatRule,
    digest_foreign_parts,
    is_jit_collection,
    list_public_ip_ids,
    list_subnet_ids,
    parse_nat_rules,
    read_firewall_policy_id,
    remove_nat_rules,
)
from tests.builders.firewalls import (
    JIT_COLLECTION,
    arm_collection,
    arm_firewall,
    arm_ip_configuration,
    arm_nat_rule,
)
from tests.builders.values import NETWORK

CUSTOMER = arm_collection(arm_nat_rule("https"), arm_nat_rule("jit-1"), name="customer-dnat")


def names(firewall):
    """Every DNAT rule as collection and name."""
    return [(rule.collection, rule.name) for rule in parse_nat_rules(firewall)]


# ---- reading ---------------------------------------------------------------------------------


def test_a_nat_rule_is_read_field_by_field():
    """Public end, sources and target."""
    (rule,) = parse_nat_rules(arm_firewall(arm_collection(arm_nat_rule())))

    assert rule == NatRule(
        collection=JIT_COLLECTION,
        priority=200,
        name="jit-1",
        protocols=("TCP",),
        sources=("203.0.113.7",),
        ip_groups=(),
        destinations=("52.137.62.53",),
        ports=("13389",),
        translated_address="10.1.1.4",
        translated_fqdn="",
        translated_port="3389",
    )


def test_a_nat_rule_may_name_ip_groups_and_an_fqdn():
    """Both are kept apart from addresses: Defender writes neither."""
    odd = arm_nat_rule(
        sourceAddresses=[], sourceIpGroups=["/g"], translatedAddress=None, translatedFqdn="web"
    )

    (rule,) = parse_nat_rules(arm_firewall(arm_collection(odd)))

    assert (rule.sources, rule.ip_groups) == ((), ("/g",))
    assert (rule.translated_address, rule.translated_fqdn) == ("", "web")


def test_rules_of_all_collections_are_read_in_order():
    """Customers' rules too: they may lead to the same VM."""
    firewall = arm_firewall(CUSTOMER, arm_collection(arm_nat_rule()))

    found = names(firewall)

    assert found == [
        ("customer-dnat", "https"),
        ("customer-dnat", "jit-1"),
        (JIT_COLLECTION, "jit-1"),
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("MDC-JIT-fw-prod", True),
        ("MDC-JIT", True),
        ("ASC-JIT-rules", True),
        ("customer-MDC-JIT", False),
        ("MDC-NAT", False),
        ("", False),
    ],
)
def test_defenders_collections_are_known_by_how_their_names_begin(name, expected):
    """Both generations of the name, and only at its beginning."""
    found = is_jit_collection(name)

    assert found is expected


def test_a_rule_is_defenders_by_its_collection():
    """The collection decides, not the name of the rule."""
    rules = parse_nat_rules(arm_firewall(CUSTOMER, arm_collection(arm_nat_rule())))

    assert [rule.is_jit for rule in rules] == [False, False, True]


@pytest.mark.parametrize(
    "firewall",
    [
        {},
        {"properties": None},
        {"properties": {"natRuleCollections": None}},
        {"properties": {"natRuleCollections": ["x", {}, {"properties": {"rules": "none"}}]}},
    ],
)
def test_a_body_without_rules_has_none(firewall):
    """Missing members are no rules, and no error."""
    found = parse_nat_rules(firewall)

    assert found == ()


def test_an_unreadable_part_of_a_rule_is_empty():
    """Such a rule still counts, and matches nothing."""
    odd = {"name": 7, "sourceAddresses": ["203.0.113.7", 7], "translatedPort": 3389}

    (rule,) = parse_nat_rules(arm_firewall(arm_collection(odd, priority="high")))

    assert (rule.name, rule.priority, rule.translated_port) == ("", 0, "")
    assert rule.sources == ("203.0.113.7",)


def test_only_public_ips_that_receive_traffic_count():
    """Several are possible, each once; a configuration without one is skipped."""
    firewall = arm_firewall(
        ipConfigurations=[
            arm_ip_configuration("pip-fw"),
            arm_ip_configuration("pip-2", subnet=None),
            arm_ip_configuration("pip-fw"),
            arm_ip_configuration(),
        ],
        managementIpConfiguration=arm_ip_configuration("pip-management"),
    )

    found = list_public_ip_ids(firewall)

    assert found == tuple(f"{NETWORK}/publicIPAddresses/{name}" for name in ("pip-fw", "pip-2"))


def test_the_subnet_is_the_one_its_instances_live_in():
    """Only one configuration names it."""
    firewall = arm_firewall(
        ipConfigurations=[arm_ip_configuration("a"), arm_ip_configuration("b", subnet=None)]
    )

    found = list_subnet_ids(firewall)

    assert found == (f"{NETWORK}/virtualNetworks/vnet-prod/subnets/AzureFirewallSubnet",)


def test_a_firewall_in_a_virtual_hub_has_neither():
    """It has no IP configurations at all."""
    hub = arm_firewall(ipConfigurations=None)

    found = (list_public_ip_ids(hub), list_subnet_ids(hub))

    assert found == ((), ())


def test_a_firewall_under_a_policy_names_it():
    """Its own rules do not count then."""
    managed = arm_firewall(firewallPolicy={"id": "/policy"})

    found = read_firewall_policy_id(managed)

    assert found == "/policy"
    assert read_firewall_policy_id(arm_firewall()) is None


def test_state_and_tag_are_read_from_the_body():
    """They tell whether to believe it, and which version was read."""
    firewall = arm_firewall()

    found = (read_provisioning_state(firewall), read_etag(firewall))

    assert found == ("Succeeded", 'W/"7"')


def test_a_body_without_state_and_tag_has_none():
    """An unknown state is not ``Succeeded``."""
    found = (read_provisioning_state({}), read_etag({}))

    assert found == ("", None)


# ---- removing --------------------------------------------------------------------------------


def test_a_doomed_rule_goes_and_its_neighbour_stays():
    """Exactly the named rule is removed."""
    firewall = arm_firewall(arm_collection(arm_nat_rule("jit-1"), arm_nat_rule("jit-2")))

    after = remove_nat_rules(firewall, {(JIT_COLLECTION, "jit-1")})

    assert names(after) == [(JIT_COLLECTION, "jit-2")]


def test_a_rule_of_the_same_name_in_another_collection_stays():
    """A rule is named by its collection and itself."""
    firewall = arm_firewall(CUSTOMER, arm_collection(arm_nat_rule("jit-1")))

    after = remove_nat_rules(firewall, {(JIT_COLLECTION, "jit-1")})

    assert names(after) == [("customer-dnat", "https"), ("customer-dnat", "jit-1")]


def test_a_collection_of_defenders_that_becomes_empty_goes():
    """Azure stores no empty one."""
    firewall = arm_firewall(CUSTOMER, arm_collection(arm_nat_rule("jit-1")))

    after = remove_nat_rules(firewall, {(JIT_COLLECTION, "jit-1")})

    assert after["properties"]["natRuleCollections"] == [CUSTOMER]


def test_a_collection_that_was_empty_before_stays():
    """We did not empty it, so it is not ours to remove."""
    firewall = arm_firewall(arm_collection(), arm_collection(arm_nat_rule(), name="MDC-JIT-2"))

    after = remove_nat_rules(firewall, {("MDC-JIT-2", "jit-1")})

    assert after["properties"]["natRuleCollections"] == [arm_collection()]


def test_a_customers_collection_is_never_removed():
    """Even one that has been emptied."""
    firewall = arm_firewall(arm_collection(arm_nat_rule("only"), name="customer-dnat"))

    after = remove_nat_rules(firewall, {("customer-dnat", "only")})

    assert after["properties"]["natRuleCollections"] == [arm_collection(name="customer-dnat")]


@pytest.mark.parametrize(
    "firewall",
    [
        {},
        {"properties": None},
        {"properties": {"natRuleCollections": None, "sku": {"tier": "Standard"}}},
        {"properties": {"natRuleCollections": [None, 7, {"name": ["MDC-JIT"]}]}},
        {"properties": {"natRuleCollections": [{"name": JIT_COLLECTION, "properties": {}}]}},
        arm_firewall(arm_collection(None, 7, {"name": None})),
    ],
)
def test_unknown_json_comes_back_as_it_was(firewall):
    """Strange bodies are not tidied up."""
    after = remove_nat_rules(firewall, {(JIT_COLLECTION, "jit-1")})

    assert after == firewall


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
rule_names = st.sampled_from(["jit-1", "jit-2", "https", ""])
collection_names = st.sampled_from([JIT_COLLECTION, "ASC-JIT", "customer-dnat", ""])
extras = st.dictionaries(st.sampled_from(["description", "x", "protocols"]), JSON, max_size=2)
arm_rules = st.builds(lambda name, extra: arm_nat_rule(name, **extra), rule_names, extras)
collections = st.builds(
    lambda name, rules, extra: arm_collection(*rules, name=name) | extra,
    collection_names,
    st.lists(arm_rules, max_size=3),
    st.dictionaries(st.sampled_from(["id", "etag", "x"]), JSON, max_size=2),
)
firewalls = st.builds(
    lambda found, extra: arm_firewall(*found, **extra),
    st.lists(collections, max_size=4),
    st.dictionaries(st.sampled_from(["sku", "threatIntelMode", "additionalProperties"]), JSON),
)
dooms = st.sets(st.tuples(collection_names, rule_names), max_size=4)


def written(firewall):
    """The body as it goes over the wire; order counts."""
    return json.dumps(firewall)


@given(firewalls, dooms)
def test_everything_except_the_removed_rules_stays_byte_for_byte(firewall, doomed):
    """A body rebuilt by hand without those rules is written in the same bytes."""
    kept = []
    for collection in firewall["properties"]["natRuleCollections"]:
        before = collection["properties"]["rules"]
        rules = [rule for rule in before if (collection["name"], rule["name"]) not in doomed]
        emptied = bool(before) and not rules
        if not (emptied and collection["name"].startswith(("MDC-JIT", "ASC-JIT"))):
            kept.append(collection | {"properties": collection["properties"] | {"rules": rules}})
    properties = firewall["properties"] | {"natRuleCollections": kept}

    after = remove_nat_rules(firewall, doomed)

    assert written(after) == written(firewall | {"properties": properties})


@given(firewalls, dooms)
def test_the_body_that_was_read_is_left_alone(firewall, doomed):
    """The answer of Azure is compared with it."""
    before = deepcopy(firewall)

    remove_nat_rules(firewall, doomed)

    assert written(firewall) == written(before)


@given(firewalls)
def test_nothing_doomed_changes_nothing(firewall):
    """Reading and writing back is no change."""
    after = remove_nat_rules(firewall, set())

    assert written(after) == written(firewall)


@given(firewalls, dooms)
def test_removing_twice_is_removing_once(firewall, doomed):
    """A repeated PUT does no further harm."""
    once = remove_nat_rules(firewall, doomed)

    twice = remove_nat_rules(once, doomed)

    assert written(twice) == written(once)


# ---- comparing -------------------------------------------------------------------------------


@given(firewalls, dooms)
def test_removing_defenders_rules_leaves_the_digest_of_all_else_as_it_was(firewall, doomed):
    """A harmful write would change the digest."""
    ours = {(collection, rule) for collection, rule in doomed if is_jit_collection(collection)}

    after = remove_nat_rules(firewall, ours)

    assert digest_foreign_parts(after) == digest_foreign_parts(firewall)


@pytest.mark.parametrize(
    "harm",
    [
        {"threatIntelMode": "Off"},
        {"networkRuleCollections": []},
        {"ipConfigurations": []},
        {"natRuleCollections": []},
        {"natRuleCollections": [arm_collection(arm_nat_rule("https"), name="customer-dnat")]},
        {"natRuleCollections": [CUSTOMER, arm_collection(name="customer-2")]},
    ],
)
def test_any_other_change_changes_the_digest(harm):
    """Everything that is not Defender's must stay."""
    firewall = arm_firewall(CUSTOMER, arm_collection(arm_nat_rule()))

    digest = digest_foreign_parts(arm_firewall(**{"natRuleCollections": [CUSTOMER]} | harm))

    assert digest != digest_foreign_parts(firewall)


def test_new_tags_and_states_do_not_change_the_digest():
    """A write gives new tags and new states, everywhere in the body."""
    updating = {"provisioningState": "Updating", "etag": "8"}
    later = arm_firewall(CUSTOMER | {"etag": "8"}, **updating) | {"etag": "8"}

    digest = digest_foreign_parts(later)

    assert digest == digest_foreign_parts(arm_firewall(CUSTOMER))


def test_a_body_without_properties_has_a_digest():
    """A strange body is compared, not refused."""
    digest = digest_foreign_parts({"properties": None})

    assert digest != digest_foreign_parts({})
