"""Small values: instants, spans, ids, options."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.azure.options import Options
from local.azure.values import ids, times

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
INSTANTS = st.integers(-(10**15), 10**15).map(lambda us: NOON + timedelta(microseconds=us))
NAMES = st.text("abcXYZ019-_.", min_size=1, max_size=12)


@given(INSTANTS)
def test_seven_digits_are_read_back_as_the_same_instant(instant):
    """The made-up seventh digit is below the precision of a reader."""
    assert times.parse_instant(times.format_dotnet(instant)) == instant


def test_instants_have_seven_digits_as_dotnet_prints_them():
    """Readers that expect six digits are to be found out."""
    instant = datetime(2018, 5, 17, 9, 6, 45, 569161, tzinfo=UTC)

    assert times.format_dotnet(instant) == "2018-05-17T09:06:45.5691611Z"


def test_instants_are_printed_in_utc():
    """Another zone is converted, not cut off."""
    instant = datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))

    assert times.format_rfc3339(instant) == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00", "noon", "", 5, None])
def test_a_text_that_is_no_instant_is_refused(text):
    """An instant needs a zone; nothing is guessed."""
    with pytest.raises(ValueError, match=r"instant|zone|isoformat"):
        times.parse_instant(text)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("PT1H", timedelta(hours=1)),
        ("P1DT2H3M4.5S", timedelta(days=1, hours=2, minutes=3, seconds=4.5)),
        ("P2W", timedelta(weeks=2)),
        ("PT0S", timedelta(0)),
    ],
)
def test_durations_are_read(text, span):
    """Weeks to seconds have a fixed length."""
    assert times.parse_duration(text) == span


@pytest.mark.parametrize("text", ["P", "PT", "P1DT", "P1M", "P1Y", "-PT1H", "1H", "", 60, None])
def test_a_text_that_is_no_duration_is_refused(text):
    """Months have no fixed length; an empty duration is none."""
    with pytest.raises(ValueError, match="duration"):
        times.parse_duration(text)


@given(NAMES, NAMES, NAMES, NAMES)
def test_built_ids_are_parsed_back(subscription, group, network, subnet):
    """Building and parsing are inverse, children included."""
    built = ids.build(subscription, group, f"{ids.NETWORKS}/subnets", network, subnet)

    assert ids.parse(built) == ids.ResourceId(
        subscription, group, "Microsoft.Network/virtualNetworks/subnets", (network, subnet)
    )


@pytest.mark.parametrize(
    "spell", [str.upper, str.lower, ids.upper_case_group, ids.write_like_portal]
)
def test_all_spellings_of_an_id_have_one_key(spell):
    """Azure prints one id in several cases."""
    one = ids.build("sub", "Rg-One", ids.MACHINES, "vm")

    assert ids.key(spell(one)) == ids.key(one)


@pytest.mark.parametrize(
    "text",
    [
        None,
        5,
        "",
        "web01",
        "/subscriptions/s/resourceGroups/g",
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines",
        "/subscriptions/s/resourceGroups//providers/Microsoft.Compute/virtualMachines/x",
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/x//y",
    ],
)
def test_a_text_that_is_no_resource_id_is_not_parsed(text):
    """Half an id names nothing."""
    assert ids.parse(text) is None


def test_options_are_changed_together_or_not_at_all():
    """One wrong option leaves all as they were."""
    options = Options()
    with pytest.raises(ValueError, match="no option"):
        options.change({"nsgSeconds": 9, "nsgSecond": 9})

    assert options == Options()


@pytest.mark.parametrize(
    "changes",
    [
        {"nsgSeconds": "9"},
        {"nsgSeconds": -1},
        {"nsgSeconds": True},
        {"throttling": 1},
        {"pageSize": 0},
        {"denyPlacement": "somewhere"},
        {"callerAddress": None},
    ],
)
def test_option_of_the_wrong_kind_is_refused(changes):
    """A switch that means nothing must not pass for one that was set."""
    with pytest.raises(ValueError, match=r"option|denyPlacement"):
        Options().change(changes)


def test_options_read_back_as_they_were_set():
    """The document uses the names that a change uses."""
    options = Options()
    options.change({"firewallSeconds": 10, "acceptPrefixLists": False})

    assert options.document() == Options().document() | {
        "firewallSeconds": 10,
        "acceptPrefixLists": False,
    }
