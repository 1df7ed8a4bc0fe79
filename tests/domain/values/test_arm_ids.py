"""Names: what is one, what is none, and that each has one spelling."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.errors import Malformed
from jit.domain.values import arm_ids, request_ids
from tests.builders.bodies import NOW, SUBSCRIPTION, vm_id

RULE = (
    f"/subscriptions/{SUBSCRIPTION.upper()}/resourceGroups/rg-web/providers/Microsoft.Network"
    "/networkSecurityGroups/nsg-web/securityRules/allow"
)
IN_GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-web/providers"
WEB01 = vm_id()
ROW_HASH = "r5hpjotdart6rpjcaq76ejm27q"
GOOD = request_ids.new_request_id(SUBSCRIPTION, NOW, b"0123456789")

ids = st.builds(
    vm_id,
    st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9._-]{0,62}[a-zA-Z0-9_])?", fullmatch=True),
    subscription=st.uuids().map(str),
    group=st.from_regex(r"[a-zA-Z0-9._()-]{0,89}[a-zA-Z0-9_()-]", fullmatch=True),
)
moments = st.timedeltas(timedelta(0), timedelta(days=2_900_000)).map(
    lambda age: datetime(1970, 1, 1, tzinfo=UTC) + age
)
tens = st.binary(min_size=10, max_size=10)


@given(ids)
def test_a_vm_id_is_read_into_its_parts(text):
    """Subscription, group and name, as they were written, add up to the id."""
    vm = arm_ids.parse_vm_id(text)

    assert text == vm.id == vm_id(vm.name, subscription=vm.subscription, group=vm.resource_group)


@given(ids)
def test_case_does_not_matter_in_a_vm_id(text):
    """ARM answers one VM under many spellings."""
    vm = arm_ids.parse_vm_id(text.upper())

    assert (arm_ids.key(vm.id), vm.subscription) == (
        arm_ids.key(text),
        arm_ids.parse_vm_id(text).subscription,
    )


@given(st.text())
def test_noise_is_malformed(text):
    """Nothing but a verdict comes out of the parser of hostile text."""
    with pytest.raises(Malformed):
        arm_ids.parse_vm_id(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "web01",
        WEB01 + "/",
        "/" + WEB01,
        WEB01[1:],
        WEB01 + "\n",
        WEB01 + " ",
        " " + WEB01,
        WEB01 + "?api-version=2024-07-01",
        WEB01 + "#",
        WEB01 + "\x00",
        WEB01 + "%2f..",
        WEB01.replace("/", "\\"),
        WEB01.replace("rg-web", "rg-web/../rg-db"),
        WEB01.replace("rg-web", ".."),
        WEB01.replace("rg-web", "."),
        WEB01.replace("rg-web", "rg-web."),
        WEB01.replace("rg-web", "rg%2dweb"),
        WEB01.replace("rg-web", "rg web"),
        WEB01.replace("rg-web", ""),
        WEB01.replace("rg-web", "r" * 91),
        WEB01.replace("rg-web", "rg-w\u0435b"),  # a Cyrillic e
        WEB01.replace("resourceGroups", "re\u017fourceGroups"),
        WEB01.replace("resourceGroups", "resourcegroup"),
        WEB01.replace(SUBSCRIPTION, SUBSCRIPTION.replace("-", "")),
        WEB01.replace(SUBSCRIPTION, "{" + SUBSCRIPTION + "}"),
        WEB01.replace(SUBSCRIPTION, SUBSCRIPTION[:-1] + "g"),
        WEB01.replace("/providers", ""),
        WEB01.replace("//", "/").replace("/virtualMachines", "//virtualMachines"),
        "https://management.azure.com" + WEB01,
        vm_id(""),
        vm_id("."),
        vm_id(".."),
        vm_id("web01."),
        vm_id("web01-"),
        vm_id("_web01"),
        vm_id("-web01"),
        vm_id("w" * 65),
        vm_id("web*"),
        vm_id("web01/../web02"),
    ],
)
def test_a_trick_is_no_vm_id(text):
    """An id ends up in the path of a call that the broker makes with its own rights."""
    with pytest.raises(Malformed) as caught:
        arm_ids.parse_vm_id(text)

    assert caught.value.code == "vm-id-malformed"


@pytest.mark.parametrize(
    "text",
    [
        f"{IN_GROUP}/Microsoft.Compute/virtualMachineScaleSets/pool/virtualMachines/0",
        f"{IN_GROUP}/Microsoft.Compute/virtualMachineScaleSets/farm",
        f"{IN_GROUP}/Microsoft.Compute/disks/web01",
        f"{IN_GROUP}/Microsoft.Compute/virtualMachines/web01/extensions/agent",
        f"{IN_GROUP}/Microsoft.ClassicCompute/virtualMachines/web01",
        f"{IN_GROUP}/Microsoft.HybridCompute/machines/web01",
        RULE,
    ],
)
def test_another_kind_of_resource_is_named_as_such(text):
    """The caller learns that the id is fine, but not a VM's."""
    with pytest.raises(Malformed) as caught:
        arm_ids.parse_vm_id(text)

    assert caught.value.code == "vm-id-not-a-vm"


@pytest.mark.parametrize(
    ("name", "group"), [("w" * 64, "g" * 90), ("a", "(._-)"), ("a.b_c-d", "_"), ("web_", "1")]
)
def test_names_up_to_the_limits_are_vm_ids(name, group):
    """What Azure lets people name a VM, the broker serves."""
    vm = arm_ids.parse_vm_id(vm_id(name, group=group))

    assert (vm.name, vm.resource_group) == (name, group)


def test_parts_are_the_pairs_of_an_id():
    """Segments are lower-cased, values stay as Azure wrote them."""
    assert arm_ids.parts(RULE) == {
        "subscriptions": SUBSCRIPTION.upper(),
        "resourcegroups": "rg-web",
        "providers": "Microsoft.Network",
        "networksecuritygroups": "nsg-web",
        "securityrules": "allow",
    }


def test_an_id_tells_its_subscription_group_and_name():
    """The three things everyone asks an id for."""
    found = (arm_ids.subscription(RULE), arm_ids.resource_group(RULE), arm_ids.name(RULE))

    assert found == (SUBSCRIPTION, "rg-web", "allow")


@pytest.mark.parametrize("text", ["", "/", "a/b", "/a", "/a/b/c", "/a//b/c", "/a/b/"])
def test_what_is_no_sequence_of_pairs_has_no_parts(text):
    """A half id is a defect of whoever made it."""
    with pytest.raises(ValueError, match="sequence"):
        arm_ids.parts(text)


def test_an_id_outside_any_group_has_no_group():
    """No made-up value stands in for a missing one."""
    with pytest.raises(ValueError, match="no resourcegroups"):
        arm_ids.resource_group(f"/subscriptions/{SUBSCRIPTION}")


@given(st.text(st.characters(codec="utf-8")))
def test_a_row_hash_is_made_of_26_letters_and_digits(text):
    """Whatever an id holds, its hash may stand in a key of Table Storage."""
    assert len(hashed := arm_ids.row_hash(text)) == 26
    assert set(hashed) <= set("abcdefghijklmnopqrstuvwxyz234567")


def test_a_row_hash_never_changes():
    """
    Rows are found by it for as long as they are kept. Computed with coreutils.

    printf %s <lower-case id> | sha256sum | head -c 32 | xxd -r -p | base32
    """
    found = arm_ids.row_hash(WEB01)

    assert (found, arm_ids.row_hash(WEB01.upper())) == (ROW_HASH, ROW_HASH)


@given(st.uuids(), moments, tens)
def test_a_request_id_tells_its_subscription_and_its_time(subscription, at, random80):
    """An id alone is enough to find the row."""
    made = request_ids.new_request_id(str(subscription), at, random80)

    assert request_ids.parse_request_id(made) == (
        str(subscription),
        at - timedelta(microseconds=at.microsecond % 1000),
    )


@given(st.uuids(), st.tuples(moments, tens), st.tuples(moments, tens))
def test_request_ids_of_a_subscription_sort_by_time(subscription, one, other):
    """Lists in order of keys are lists in order of creation: 35 characters hold all 48 bits."""
    ids = [
        request_ids.new_request_id(str(subscription), *made)[:35] for made in sorted((one, other))
    ]

    assert ids == sorted(ids)


def test_a_request_id_has_52_letters_and_digits():
    """It stands in URLs, in row keys, in names of rules."""
    made = request_ids.new_request_id(SUBSCRIPTION.upper(), NOW, b"0123456789")

    assert (len(made), made.isalnum(), made.lower()) == (52, True, made)


@given(st.text() | st.from_regex(r"[a-z2-7]{26}[0-9a-v]{26}", fullmatch=True))
def test_a_text_is_a_request_id_in_one_spelling_or_none(text):
    """Parsing never raises, and what parses is exactly what is made again from its bytes."""
    found = request_ids.parse_request_id(text)

    assert found is None or request_ids.new_request_id(*found, bytes(10))[:35] == text[:35]


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD.upper(),
        GOOD[:-1],
        GOOD + "0",
        GOOD + "\n",
        GOOD[:-1] + "v",  # two bits beyond 128 are set
        GOOD[:25] + "7" + GOOD[26:],
        GOOD[:26] + "v" * 25 + "s",  # the year 10889
        "0" + GOOD[1:],
        "1" * 52,
    ],
)
def test_another_spelling_is_no_request_id(text):
    """One id, one row key: a variant must not find or miss a row."""
    assert request_ids.parse_request_id(text) is None


@pytest.mark.parametrize(
    ("subscription", "at", "random80", "message"),
    [
        ("not-a-uuid", NOW, bytes(10), "UUID"),
        (SUBSCRIPTION, datetime(1969, 1, 1, tzinfo=UTC), bytes(10), "1970"),
        (SUBSCRIPTION, NOW, bytes(9), "random"),
    ],
)
def test_a_request_id_is_not_made_of_anything_else(subscription, at, random80, message):
    """A short random part or a wrong time would be a defect, never an id."""
    with pytest.raises(ValueError, match=message):
        request_ids.new_request_id(subscription, at, random80)
