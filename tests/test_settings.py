"""Settings: read once from a mapping, every fault in one message."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from jit.domain.limits import LIMITS
from jit.domain.values.proxies import Proxies
from jit.settings import ARM_ENDPOINT, NAMES, BadSettings, Settings

PROJECT = Path(__file__).resolve().parent.parent
SAMPLE = json.loads((PROJECT / "local.settings.sample.json").read_text())["Values"]
SUBSCRIPTION = "5C0FFEE0-0000-4000-8000-000000000001"
OTHER = "5c0ffee0-0000-4000-8000-000000000002"
NEEDED = {
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "JIT_SUBSCRIPTIONS": SUBSCRIPTION,
    "WEBSITE_HOSTNAME": "jit.example",
}


class Watched(dict[str, str]):
    """An environment that records the names that were read."""

    def __init__(self, values):
        super().__init__(values)
        self.asked = set()

    def get(self, key, default=None):
        self.asked.add(key)
        return super().get(key, default)


def read(**values):
    return Settings.from_env(NEEDED | values)


# ---- names ---------------------------------------------------------------------------------------


def test_the_list_of_names_holds_all_names_that_are_read():
    """The list that documents are compared with is the truth."""
    env = Watched(NEEDED)

    Settings.from_env(env)

    assert env.asked == set(NAMES)


def test_every_setting_of_the_sample_is_read_or_is_a_schedule():
    """Nothing in the sample is without effect."""
    timers = (PROJECT / "jit" / "triggers" / "timers.py").read_text()
    schedules = set(re.findall(r'schedule="%(\w+)%"', timers))

    ours = {name for name in SAMPLE if name.startswith("JIT_")}
    assert ours <= set(NAMES) | schedules
    assert schedules <= ours


def test_the_sample_can_be_used_as_it_is():
    """A fresh clone runs with it."""
    env = {**SAMPLE, "WEBSITE_HOSTNAME": "localhost:7071"}  # which a host sets

    assert Settings.from_env(env).arm_endpoint == "http://127.0.0.1:7072"


def test_the_sample_holds_no_secret():
    """It is public."""
    assert "AccountKey" not in json.dumps(SAMPLE)


# ---- values --------------------------------------------------------------------------------------


def test_little_is_needed():
    """Storage, subscriptions and the platform's name of the app; the rest has safe defaults."""
    settings = read()

    assert settings.arm_endpoint == ARM_ENDPOINT
    assert settings.public_base_url == "https://jit.example"
    assert replace(settings.limits, subscriptions=()) == LIMITS


def test_no_caller_is_believed_unless_the_platform_signs_in():
    """Absent means off."""
    assert read().auth_enabled is False


TENANT = "7E4A4700-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("flag", "tenant", "named"),
    [
        ("True", TENANT, ""),
        ("True", f" {TENANT} ", ""),
        ("True", "", "JIT_TENANT_ID"),
        ("True", "contoso.example", "JIT_TENANT_ID"),
        ("", TENANT, "WEBSITE_AUTH_ENABLED"),
    ],
)
def test_a_fault_of_the_authentication_names_its_setting_and_stops_callers_only(
    flag, tenant, named
):
    """The settings can be used: an app that did not start would close no path."""
    settings = read(WEBSITE_AUTH_ENABLED=flag, JIT_TENANT_ID=tenant)

    assert settings.authentication_fault.partition(" ")[0] == named


CLIENT = "C11E0000-0000-4000-8000-000000000001"
CONFIGURATION = json.dumps(
    {
        "globalValidation": {"requireAuthentication": True},
        "identityProviders": {"azureActiveDirectory": {"registration": {"clientId": CLIENT}}},
    }
)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"JIT_APP_CLIENT_ID": f" {CLIENT} "}, ""),
        ({"JIT_APP_CLIENT_ID": "jit"}, "JIT_APP_CLIENT_ID"),
        ({"JIT_APP_AUDIENCES": "https://management.azure.com"}, "JIT_APP_AUDIENCES"),
        ({"JIT_APP_CLIENT_ID": CLIENT, "WEBSITE_AUTH_V2_CONFIG_JSON": CONFIGURATION}, ""),
        ({"WEBSITE_AUTH_V2_CONFIG_JSON": CONFIGURATION}, "JIT_APP_CLIENT_ID"),
        (
            {"JIT_APP_CLIENT_ID": CLIENT, "WEBSITE_AUTH_V2_CONFIG_JSON": ""},
            "WEBSITE_AUTH_V2_CONFIG_JSON",
        ),
    ],
)
def test_a_fault_of_the_application_names_its_setting_and_stops_callers_only(values, named):
    """As above: closing goes on."""
    settings = read(WEBSITE_AUTH_ENABLED="True", JIT_TENANT_ID=TENANT, **values)

    assert settings.authentication_fault.partition(" ")[0] == named
    assert settings.authentication_fault.endswith(": all routes are 401" if named else "")


def test_the_audiences_of_callers_follow_from_the_client_id():
    """An operator names others only if the application has another URI."""
    settings = read(JIT_APP_CLIENT_ID=CLIENT)

    assert settings.app_audiences == {CLIENT.lower(), f"api://{CLIENT.lower()}"}


def test_a_tenant_is_kept_in_lower_case():
    """Claims are compared in lower case."""
    assert read(JIT_TENANT_ID=TENANT).tenant_id == TENANT.lower()


@pytest.mark.parametrize(
    ("text", "weight"),
    [("", "enforce"), ("Enforce", "enforce"), ("report", "report"), ("OFF", "off")],
)
def test_roles_in_azure_decide_unless_an_operator_says_otherwise(text, weight):
    assert read(JIT_REQUESTER_RBAC=text).requester_rbac == weight


def test_another_weight_of_roles_is_a_fault():
    """A slip of the pen must not switch them off."""
    with pytest.raises(BadSettings, match="JIT_REQUESTER_RBAC must be enforce, report or off"):
        read(JIT_REQUESTER_RBAC="of")


def test_orphans_are_kept_unless_an_operator_says_otherwise():
    """Absent means: report, do not remove."""
    assert read().remove_orphans is False


@pytest.mark.parametrize(("text", "value"), [("", True), ("read", True), ("NONE", False)])
def test_security_admin_rules_are_read_unless_an_operator_says_that_there_are_none(text, value):
    """An empty setting is an absent one."""
    assert read(JIT_NETWORK_MANAGER=text).reads_network_manager is value


@pytest.mark.parametrize(("text", "value"), [("True", True), ("1", True), ("false", False)])
def test_a_flag_is_read_as_azure_writes_it(text, value):
    """App Service writes ``True``."""
    assert read(WEBSITE_AUTH_ENABLED=text).auth_enabled is value


def test_storage_may_be_reached_by_identity():
    """No secret at all: the account's name is enough."""
    env = {name: text for name, text in NEEDED.items() if name != "AzureWebJobsStorage"}
    env["AzureWebJobsStorage__accountName"] = "jitstore"

    settings = Settings.from_env(env)

    assert (settings.storage_account, settings.storage_connection) == ("jitstore", None)


@pytest.mark.parametrize("text", ["", " , "])
def test_at_least_one_subscription_is_required(text):
    """The settings say where the broker works; no list of Azure does."""
    with pytest.raises(BadSettings, match="JIT_SUBSCRIPTIONS is required"):
        read(JIT_SUBSCRIPTIONS=text)


def test_the_order_of_the_subscriptions_stays():
    """The chain of the first one records denials about others."""
    text = f"{OTHER},{SUBSCRIPTION}"

    assert read(JIT_SUBSCRIPTIONS=text).subscriptions == (OTHER, SUBSCRIPTION.lower())


def test_subscriptions_are_ids_in_lower_case_each_once():
    """Blanks and a comma too many do no harm."""
    text = f" {SUBSCRIPTION}, ,{SUBSCRIPTION.lower()},"

    assert read(JIT_SUBSCRIPTIONS=text).subscriptions == (SUBSCRIPTION.lower(),)


def test_access_is_decided_by_the_subscriptions_that_are_looked_after():
    """Other subscriptions open nothing."""
    limits = read(JIT_SUBSCRIPTIONS=SUBSCRIPTION).limits

    assert limits.allows_subscription(SUBSCRIPTION.lower())
    assert not limits.allows_subscription(OTHER)


def test_a_base_url_loses_its_last_slash():
    """Paths follow it."""
    assert read(JIT_PUBLIC_BASE_URL="https://jit.example/").public_base_url == "https://jit.example"


def test_a_base_url_goes_before_the_name_that_the_platform_gave():
    """Behind a gateway callers use another name."""
    found = read(WEBSITE_HOSTNAME="jit.azurewebsites.net", JIT_PUBLIC_BASE_URL="http://gw:8080")

    assert found.public_base_url == "http://gw:8080"


@pytest.mark.parametrize(
    ("page", "begins"),
    [
        ("", "https://jit.example/api/problems/"),
        ("https://docs.example/jit.html", "https://docs.example/jit.html#"),
    ],
)
def test_types_of_problems_lead_to_the_broker_or_to_the_operators_page(page, begins):
    """Never to a page of somebody else."""
    assert read(JIT_PROBLEMS_URL=page).problems_url == begins


def test_a_place_to_tell_callers_is_required():
    """The header Host is never it: a caller chooses that one."""
    with pytest.raises(BadSettings, match="JIT_PUBLIC_BASE_URL is required"):
        read(WEBSITE_HOSTNAME="")


@pytest.mark.parametrize(("text", "bits"), [("28", 28), ("/28", 28), ("32", 32), ("1", 1)])
def test_the_widest_source_is_a_prefix_length(text, bits):
    """With or without its slash."""
    assert read(JIT_WIDEST_SOURCE=text).limits.widest_source_v4 == bits


def test_the_horizon_of_starts_is_a_duration():
    """A week unless an operator says otherwise: a decision of today may be wrong in a month."""
    assert read().limits.start_horizon == timedelta(days=7)
    assert read(JIT_START_HORIZON="P30D").limits.start_horizon == timedelta(days=30)


@pytest.mark.parametrize(
    ("name", "field", "default"),
    [
        ("JIT_LIVE_REQUESTS", "live_requests", 20),
        ("JIT_LIVE_ON_ONE_PORT", "live_on_one_port", 2),
        ("JIT_REQUESTS_PER_DAY", "requests_per_day", 50),
    ],
)
def test_a_limit_of_a_person_is_a_number(name, field, default):
    """One at least: with none nobody could ask for anything."""
    assert getattr(read().limits, field) == default
    assert [getattr(read(**{name: text}).limits, field) for text in ("1", "2000")] == [1, 2000]
    for text in ("0", "-1", "1.5", "2001", "many", "\u0661", "9" * 20):
        with pytest.raises(BadSettings, match=name):
            read(**{name: text})


def test_the_longest_access_with_extensions_is_a_duration():
    """Eight hours unless an operator says otherwise."""
    assert read().limits.longest_access == timedelta(hours=8)
    assert read(JIT_LONGEST_ACCESS="PT12H").limits.longest_access == timedelta(hours=12)


# ---- faults --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("JIT_SUBSCRIPTIONS", "Production"),
        ("JIT_SUBSCRIPTIONS", ""),
        ("JIT_SUBSCRIPTIONS", " "),
        ("JIT_SUBSCRIPTIONS", " , ,"),
        ("JIT_ARM_ENDPOINT", "management.azure.com"),
        ("JIT_PUBLIC_BASE_URL", "ftp://x"),
        ("JIT_PUBLIC_BASE_URL", "https://"),
        ("JIT_PUBLIC_BASE_URL", "https://["),
        ("JIT_PROBLEMS_URL", "docs"),
        ("JIT_REMOVE_ORPHANS", "maybe"),
        ("JIT_NETWORK_MANAGER", "off"),
        ("JIT_FORWARDED_HEADER", "X-Forwarded-For, X"),
        ("JIT_TRUSTED_PROXIES", "6"),
        ("JIT_TRUSTED_PROXIES", "-1"),
        ("JIT_TRUSTED_PROXIES", "10.0.0.4/8"),
        ("JIT_TRUSTED_PROXIES", "10.0.0.0/8,"),
        ("JIT_TRUSTED_PROXIES", "gateway"),
        ("WEBSITE_AUTH_ENABLED", "on"),
        ("JIT_WIDEST_SOURCE", "0"),
        ("JIT_WIDEST_SOURCE", "33"),
        ("JIT_WIDEST_SOURCE", "²"),
        ("JIT_WIDEST_SOURCE", "-1"),
        ("JIT_START_HORIZON", "30 days"),
        ("JIT_START_HORIZON", "P1M"),
        ("JIT_START_HORIZON", "P30DT1S"),
        ("JIT_LONGEST_ACCESS", "8 hours"),
        ("JIT_LONGEST_ACCESS", "PT0S"),
        ("JIT_LONGEST_ACCESS", "PT4M59S"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(name, text):
    """The message names it for the operator."""
    with pytest.raises(BadSettings, match=name):
        read(**{name: text})


def test_storage_is_required():
    """There is no broker without a memory."""
    with pytest.raises(BadSettings, match="AzureWebJobsStorage"):
        Settings.from_env({"JIT_SUBSCRIPTIONS": OTHER})


def test_every_fault_is_named_at_once():
    """One start, one list."""
    env = {"JIT_SUBSCRIPTIONS": "x", "JIT_REMOVE_ORPHANS": "x", "JIT_WIDEST_SOURCE": "x"}

    with pytest.raises(BadSettings) as caught:
        Settings.from_env(env)

    assert str(caught.value).count(";") == len(env) + 1  # no storage, no place to tell callers


# ---- proxies -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base_url", "is_unknown"),
    [
        ("https://jit.azurewebsites.net", False),
        ("https://JIT.azurewebsites.net:443/", False),
        ("http://127.0.0.1:7071", False),
        ("http://localhost:7071", False),
        ("http://[::1]:7071", False),
        ("https://jit.example", True),
    ],
)
def test_another_host_name_than_the_apps_own_means_a_gateway(base_url, is_unknown):
    """Nobody has said which hops are trusted."""
    found = read(WEBSITE_HOSTNAME="jit.azurewebsites.net", JIT_PUBLIC_BASE_URL=base_url)

    assert found.proxies == Proxies(unknown=is_unknown)


@pytest.mark.parametrize(
    ("text", "proxies"),
    [
        ("0", Proxies()),
        ("2", Proxies(count=2)),
        (
            "10.0.0.0/8, 2001:db8::/32,192.0.2.1",
            Proxies(prefixes=tuple(map(ip_network, ("10.0.0.0/8", "2001:db8::/32", "192.0.2.1")))),
        ),
    ],
)
def test_trusted_proxies_are_a_number_or_prefixes(text, proxies):
    """Then the gateway is no longer unknown."""
    found = read(JIT_PUBLIC_BASE_URL="https://jit.example", JIT_TRUSTED_PROXIES=text)

    assert found.proxies == proxies


def test_a_gateway_may_name_the_caller_in_a_header_of_its_own():
    found = read(JIT_TRUSTED_PROXIES="1", JIT_FORWARDED_HEADER="X-Azure-ClientIP")

    assert found.proxies == Proxies(count=1, header="X-Azure-ClientIP")


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("JIT_READS_PER_MINUTE", "reads_per_minute"),
        ("JIT_CHANGES_PER_MINUTE", "changes_per_minute"),
        ("JIT_DENIALS_PER_HOUR", "denials_per_hour"),
    ],
)
def test_a_rate_is_a_number_of_calls(name, field):
    """One at least: an app that answers nobody would keep access open for the impatient."""
    assert getattr(read().limits, field) == getattr(LIMITS, field)
    assert [getattr(read(**{name: text}).limits, field) for text in ("1", "100000")] == [1, 100_000]
    for text in ("0", "-1", "1.5", "100001", "many", "\u0661", "9" * 20):
        with pytest.raises(BadSettings, match=name):
            read(**{name: text})
