"""Resource ids: which texts are ids of VMs, and the parts of an id."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jit.domain.errors import Malformed
from jit.domain.values import arm_ids
from tests.builders.values import SUBSCRIPTION, vm_id

RULE = (
    f"/subscriptions/{SUBSCRIPTION.upper()}/resourceGroups/rg-web/providers/Microsoft.Network"
    "/networkSecurityGroups/nsg-web/securityRules/allow"
)
IN_GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-web/providers"
WEB01 = vm_id()
ROW_HASH = "r5hpjotdart6rpjcaq76ejm27q"

LETTERS = st.characters(categories=["Lu", "Ll", "Lt", "Lm", "Lo", "Nd"], max_codepoint=0xFFFF)


def words(more, *, longest):
    """Letters and digits of any script, and *more* signs between them."""
    middle = st.text(LETTERS | st.sampled_from(more), max_size=longest - 2)
    return st.builds(lambda first, rest, last: first + rest + last, LETTERS, middle, LETTERS)


ids = st.builds(
    vm_id,
    words("._-", longest=64),
    subscription=st.uuids().map(str),
    group=words("._()-", longest=90),
)


@given(ids)
def test_a_vm_id_is_read_into_its_parts(text):
    """Subscription, group and name, as they were written, add up to the id."""
    vm = arm_ids.parse_vm_id(text)

    assert text == vm.id == vm_id(vm.name, subscription=vm.subscription, group=vm.resource_group)


def upper_ascii(text):
    """A to Z in upper case, and nothing else."""
    return "".join(char.upper() if char.isascii() else char for char in text)


@given(ids)
def test_case_does_not_matter_in_a_vm_id(text):
    """ARM answers one VM under many spellings."""
    vm = arm_ids.parse_vm_id(upper_ascii(text))

    assert (arm_ids.key(vm.id), vm.subscription) == (
        arm_ids.key(text),
        arm_ids.parse_vm_id(text).subscription,
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("rg-web", "rg-w\u0435b"),  # a Cyrillic e
        ("rg-k8s", "rg-\u212a8s"),  # the Kelvin sign, which `str.lower` makes a k
        ("rg-\u00e4", "rg-\u00c4"),
        ("rg-i", "rg-\u0130"),
        ("rg-s", "rg-\u017f"),
        ("rg-\u03c3", "rg-\u03c2"),
        ("rg-1", "rg-\u0661"),
    ],
)
def test_letters_that_look_alike_are_different_groups(one, other):
    """Otherwise the owner of one group could be given a path to a VM of another one."""
    first, second = vm_id(group=one), vm_id(group=other)

    assert arm_ids.parse_vm_id(first).resource_group == one
    assert arm_ids.parse_vm_id(second).resource_group == other
    assert arm_ids.key(first) != arm_ids.key(second)
    assert arm_ids.row_hash(first) != arm_ids.row_hash(second)


@given(st.text())
def test_only_a_to_z_change_their_case(text):
    """So a text keeps its length, and the places of its parts."""
    lower = arm_ids.lower_ascii(text)

    assert len(lower) == len(text)
    assert all(
        after == (before.lower() if before.isascii() else before)
        for before, after in zip(text, lower, strict=True)
    )


@given(st.text())
def test_noise_is_malformed(text):
    """The parser of hostile text returns a verdict and never fails."""
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
        WEB01.replace("rg-web", "rg-wa\u0308b"),  # a combining mark
        WEB01.replace("rg-web", "rg-web\u00b2"),  # a number, but no digit
        WEB01.replace("rg-web", "rg\u200bweb"),
        WEB01.replace("rg-web", "rg\u202eweb"),
        WEB01.replace("rg-web", "rg\u3000web"),
        WEB01.replace("rg-web", "rg\uff0fweb"),  # a wide slash
        WEB01.replace("rg-web", "rg\U00020bb7"),  # a letter of two halves
        WEB01.replace("rg-web", "r\u00e4" * 46),
        WEB01.replace("providers", "pr\u043eviders"),
        WEB01.replace("5c0ffee0", "5c0ffee\u0660"),
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
    """The broker serves every name that Azure accepts for a VM."""
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
def test_a_text_that_is_no_sequence_of_pairs_has_no_parts(text):
    """A half id is a defect of its author."""
    with pytest.raises(ValueError, match="sequence"):
        arm_ids.parts(text)


def test_an_id_outside_any_group_has_no_group():
    """No made-up value stands in for a missing one."""
    with pytest.raises(ValueError, match="no resourcegroups"):
        arm_ids.resource_group(f"/subscriptions/{SUBSCRIPTION}")


@given(st.text(st.characters(codec="utf-8")))
def test_a_row_hash_is_made_of_26_letters_and_digits(text):
    """Keys of Table Storage accept only some characters, but ids may have any."""
    assert len(hashed := arm_ids.row_hash(text)) == 26
    assert set(hashed) <= set("abcdefghijklmnopqrstuvwxyz234567")


def test_a_row_hash_never_changes():
    """
    Rows are found by it for as long as they are kept. Computed with coreutils.

    printf %s <lower-case id> | sha256sum | head -c 32 | xxd -r -p | base32
    """
    found = arm_ids.row_hash(WEB01)

    assert (found, arm_ids.row_hash(WEB01.upper())) == (ROW_HASH, ROW_HASH)


@pytest.mark.parametrize("text", ["web01", f"{IN_GROUP}/Microsoft.Compute/disks/d"])
def test_a_refused_id_says_where_ids_are_listed(text):
    """Nobody types an ARM id."""
    with pytest.raises(Malformed, match="GET virtual-machines lists the ids"):
        arm_ids.parse_vm_id(text)
