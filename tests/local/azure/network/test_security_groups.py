"""Network security groups and their single-rule endpoint."""

import pytest

from tests.local.azure.sim import DB, NSG_DB, NSG_WEB, WEB, Sim, error, network, rule

RULE = f"{NSG_WEB}/securityRules/one"
FRESH = network("networkSecurityGroups", "nsg-fresh", WEB)


def code(sim: Sim, **changes: object) -> tuple[int, str]:
    return error(sim.call("PUT", RULE, rule(**changes)))


def test_new_rule_is_created_updating(sim: Sim):
    """201 with the rule, its etag, and a place to poll; effective later."""
    response = sim.call("PUT", RULE, rule())

    assert response.status == 201
    assert response.json()["properties"]["provisioningState"] == "Updating"
    assert response.json()["id"] == RULE
    assert response.headers["ETag"] == response.json()["etag"]


def test_operation_is_polled_where_the_header_says(sim: Sim):
    """In progress at first, succeeded some seconds later."""
    link = sim.call("PUT", RULE, rule()).headers["Azure-AsyncOperation"]
    path = link.removeprefix("http://127.0.0.1:7072").partition("?")[0]
    before = sim.get(path)
    sim.advance("PT3S")

    assert (before, sim.get(path)) == ({"status": "InProgress"}, {"status": "Succeeded"})


def test_rule_is_succeeded_when_the_operation_has_ended(sim: Sim):
    """Rule and group show the same state."""
    sim.call("PUT", RULE, rule())
    updating = sim.get(NSG_WEB)["properties"]["provisioningState"]
    sim.advance("PT3S")

    assert (updating, sim.get(RULE)["properties"]["provisioningState"]) == ("Updating", "Succeeded")


def test_existing_rule_is_replaced(sim: Sim):
    """The second PUT answers 200 and leaves nothing of the first."""
    sim.call("PUT", RULE, rule(description="first"))
    sim.advance("PT3S")
    response = sim.call("PUT", RULE, rule(priority=201))

    assert response.status == 200
    assert response.json()["properties"]["priority"] == 201
    assert "description" not in response.json()["properties"]


def test_answer_has_both_forms_of_each_list(sim: Sim):
    """One value comes with an empty plural, several without a singular."""
    properties = sim.call(
        "PUT",
        RULE,
        rule(sourceAddressPrefix=None, sourceAddressPrefixes=["203.0.113.7", "203.0.113.8"]),
    ).json()["properties"]

    assert properties["sourceAddressPrefixes"] == ["203.0.113.7", "203.0.113.8"]
    assert "sourceAddressPrefix" not in properties
    assert (properties["destinationPortRange"], properties["destinationPortRanges"]) == ("3389", [])


@pytest.mark.parametrize("tag", ["Internet", "virtualnetwork", "AzureCloud", "Sql.WestEurope"])
def test_rule_may_name_a_service_tag_that_exists(sim: Sim, tag):
    """In any case; some have a region."""
    assert sim.call("PUT", RULE, rule(sourceAddressPrefix=tag)).status == 201


def test_rule_may_have_four_thousand_prefixes(sim: Sim):
    """And no more, see below."""
    prefixes = [f"10.{n // 256}.{n % 256}.0/24" for n in range(4000)]
    body = rule(sourceAddressPrefix=None, sourceAddressPrefixes=prefixes)

    assert sim.call("PUT", RULE, body).status == 201


def test_rule_may_name_application_security_groups(sim: Sim):
    """In the place of prefixes, of which the answer has none then."""
    groups = [{"id": network("applicationSecurityGroups", "web", WEB)}]
    properties = sim.call(
        "PUT",
        RULE,
        rule(destinationAddressPrefix=None, destinationApplicationSecurityGroups=groups),
    ).json()["properties"]

    assert properties["destinationApplicationSecurityGroups"] == groups
    assert "destinationAddressPrefix" not in properties


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"priority": 99}, "SecurityRuleInvalidPriority"),
        ({"priority": 4097}, "SecurityRuleInvalidPriority"),
        ({"priority": "200"}, "SecurityRuleInvalidPriority"),
        ({"priority": True}, "SecurityRuleInvalidPriority"),
        ({"direction": "Sideways"}, "SecurityRuleParameterContainsUnsupportedValue"),
        ({"access": None}, "SecurityRuleParameterContainsUnsupportedValue"),
        ({"protocol": "Http"}, "SecurityRuleParameterContainsUnsupportedValue"),
        ({"sourceAddressPrefix": None}, "SecurityRuleParameterContainsUnsupportedValue"),
        ({"sourceAddressPrefixes": ["*"]}, "SecurityRuleParameterContainsUnsupportedValue"),
        ({"sourceAddressPrefix": "10.0.0.0/99"}, "SecurityRuleInvalidAddressPrefix"),
        ({"sourceAddressPrefix": 5}, "SecurityRuleInvalidAddressPrefix"),
        (
            {
                "sourceAddressPrefix": None,
                "sourceAddressPrefixes": ["203.0.113.0/28", "203.0.113.7"],
            },
            "OverlappingSubnetsNotPermittedInSecurityRule",
        ),
        (
            {
                "sourceAddressPrefix": None,
                "sourceAddressPrefixes": ["203.0.113.7", "2001:db8::/64"],
            },
            "ResourceCannotContainAddressPrefixesFromDifferentAddressFamilies",
        ),
        (
            {"sourceAddressPrefix": None, "sourceAddressPrefixes": ["203.0.113.7", "Internet"]},
            "SecurityRuleParameterContainsUnsupportedValue",
        ),
        (
            {"destinationApplicationSecurityGroups": [{"id": "/g"}]},
            "SecurityRuleParameterContainsUnsupportedValue",
        ),
        (
            {"sourceAddressPrefix": None, "sourceApplicationSecurityGroups": [{"name": "g"}]},
            "InvalidRequestFormat",
        ),
        (
            {"sourceAddressPrefix": None, "sourceApplicationSecurityGroups": "g"},
            "InvalidRequestFormat",
        ),
        ({"sourceAddressPrefix": "Intranet"}, "SecurityRuleInvalidAddressPrefix"),
        ({"sourceAddressPrefix": "Internet.WestEurope.x"}, "SecurityRuleInvalidAddressPrefix"),
        ({"destinationAddressPrefix": "Any"}, "SecurityRuleInvalidAddressPrefix"),
        (
            {
                "sourceAddressPrefix": None,
                "sourceAddressPrefixes": [f"10.{n // 256}.{n % 256}.0/24" for n in range(4001)],
            },
            "SecurityRuleParameterContainsUnsupportedValue",
        ),
        (
            {
                "sourceAddressPrefix": None,
                "sourceAddressPrefixes": ["10.0.0.0/8", "192.0.2.0/24", "10.9.0.0/16"],
            },
            "OverlappingSubnetsNotPermittedInSecurityRule",
        ),
        ({"destinationPortRange": "70000"}, "SecurityRuleInvalidPortRange"),
        ({"destinationPortRange": "20-10"}, "SecurityRuleInvalidPortRange"),
        ({"destinationPortRange": 22}, "SecurityRuleInvalidPortRange"),
    ],
)
def test_rule_that_is_none_is_refused(sim: Sim, changes, expected):
    """Each fault has the provider's code, and nothing is written."""
    assert code(sim, **changes) == (400, expected)
    assert "one" not in sim.rules(NSG_WEB)


@pytest.mark.parametrize("prefix", ["Internet", "AzureCloud.WestEurope", "*", "10.1.1.4", "::/0"])
def test_prefixes_may_be_tags_or_addresses(sim: Sim, prefix):
    """Service tags are words; addresses may be single."""
    response = sim.call("PUT", RULE, rule(sourceAddressPrefix=prefix))

    assert response.status == 201


def test_name_that_azure_would_refuse_is_refused(sim: Sim):
    """A rule's name ends with a word character."""
    assert error(sim.call("PUT", f"{NSG_WEB}/securityRules/x-", rule())) == (
        400,
        "InvalidResourceName",
    )


def test_rule_without_properties_is_refused(sim: Sim):
    """A body needs its envelope."""
    assert error(sim.call("PUT", RULE, {"priority": 200})) == (400, "InvalidRequestFormat")


def test_priority_is_taken_once_in_a_direction(sim: Sim):
    """The customer's rule at 300 is in the way inbound, not outbound."""
    assert code(sim, priority=300) == (400, "SecurityRuleConflict")
    assert sim.call("PUT", RULE, rule(priority=300, direction="Outbound")).status == 201


def test_group_holds_a_thousand_rules(sim: Sim):
    """The documented limit."""
    rules = [{"name": f"r{number}", **rule(priority=100 + number)} for number in range(1001)]
    body = {"location": "westeurope", "properties": {"securityRules": rules}}
    response = sim.call("PUT", FRESH, body, as_="petra")

    assert error(response) == (400, "NetworkSecurityGroupRuleCountExceeded")


def test_second_write_is_asked_to_come_back(sim: Sim):
    """While a group is updating, others are refused with a time to wait."""
    sim.call("PUT", RULE, rule())
    response = sim.call("PUT", f"{NSG_WEB}/securityRules/two", rule(priority=201))
    details = response.json()["error"]["details"]

    assert error(response) == (429, "RetryableError")
    assert [each["code"] for each in details] == ["RetryableErrorDueToAnotherOperation"]
    assert response.headers["Retry-After"] == "10"


def test_groups_do_not_wait_for_each_other(sim: Sim):
    """The lock is a group's own."""
    sim.call("PUT", RULE, rule())

    assert sim.call("PUT", f"{NSG_DB}/securityRules/two", rule(priority=201)).status == 201


def test_refused_write_leaves_no_trace(sim: Sim):
    """A 429 has done nothing."""
    sim.call("PUT", RULE, rule())
    sim.call("PUT", f"{NSG_WEB}/securityRules/two", rule(priority=201))

    assert "two" not in sim.rules(NSG_WEB)


def test_newer_write_may_cancel_the_older(sim: Sim):
    """The other behaviour that users report: the older operation ends as canceled."""
    sim.options(newerCancelsOlder=True)
    link = sim.call("PUT", RULE, rule()).headers["Azure-AsyncOperation"]
    second = sim.call("PUT", f"{NSG_WEB}/securityRules/two", rule(priority=201))
    sim.advance("PT3S")
    polled = sim.get(link.removeprefix("http://127.0.0.1:7072").partition("?")[0])

    assert second.status == 201
    assert polled["status"] == "Canceled"
    assert polled["error"]["code"] == "CanceledAndSupersededDueToAnotherOperation"


def test_canceled_deletion_leaves_the_rule(sim: Sim):
    """A rule that was being deleted stays when a newer write takes over."""
    sim.options(newerCancelsOlder=True)
    sim.call("DELETE", f"{NSG_WEB}/securityRules/deny-smb")
    sim.call("PUT", RULE, rule())
    sim.advance("PT3S")

    assert sim.rules(NSG_WEB)["deny-smb"]["provisioningState"] == "Succeeded"


def test_deleted_rule_shows_deleting_then_goes(sim: Sim):
    """202 with a Location; the rule is listed until the operation has ended."""
    path = f"{NSG_WEB}/securityRules/deny-smb"
    response = sim.call("DELETE", path)
    shown = sim.get(path)["properties"]["provisioningState"]
    sim.advance("PT3S")

    assert (response.status, shown) == (202, "Deleting")
    assert "/operationResults/" in response.headers["Location"]
    assert error(sim.call("GET", path)) == (404, "NotFound")


def test_location_answers_202_then_204(sim: Sim):
    """A delete's result has no body."""
    response = sim.call("DELETE", f"{NSG_WEB}/securityRules/deny-smb")
    path = response.headers["Location"].removeprefix("http://127.0.0.1:7072").partition("?")[0]
    during = sim.call("GET", path, as_="petra").status
    sim.advance("PT3S")

    assert (during, sim.call("GET", path, as_="petra").status) == (202, 204)


def test_deleting_nothing_is_204(sim: Sim):
    """Deletion is idempotent."""
    assert sim.call("DELETE", RULE).status == 204


def test_unknown_operation_is_404(sim: Sim):
    """An operation that never was is not in progress."""
    where = "/subscriptions/5c0ffee0-0000-4000-8000-000000000001/providers/Microsoft.Network"
    response = sim.call("GET", f"{where}/locations/westeurope/operations/none")

    assert error(response) == (404, "OperationNotFound")


def test_each_change_brings_a_new_etag(sim: Sim):
    """Begin and end of an update both change it, for the group with all its rules."""
    seen = [sim.get(NSG_WEB)["etag"]]
    seen.append(sim.call("PUT", RULE, rule()).json()["etag"])
    sim.advance("PT3S")
    group = sim.get(NSG_WEB)
    seen.append(group["etag"])

    assert len(set(seen)) == 3
    assert {each["etag"] for each in group["properties"]["securityRules"]} == {group["etag"]}


def test_matching_etag_is_let_through(sim: Sim):
    """If-Match with the present tag writes."""
    tag = sim.get(f"{NSG_WEB}/securityRules/deny-smb")["etag"]
    response = sim.call(
        "PUT", f"{NSG_WEB}/securityRules/deny-smb", rule(), headers={"if-match": tag}
    )

    assert response.status == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_stale_etag_is_refused_in_the_providers_words(sim: Sim, method):
    """412, with both tags in the details."""
    response = sim.call(
        method, f"{NSG_WEB}/securityRules/deny-smb", rule(), headers={"if-match": 'W/"invalid"'}
    )
    details = response.json()["error"]["details"][0]

    assert error(response) == (412, "PreconditionFailed")
    assert details["code"] == "PreconditionFailedEtagMismatch"
    assert 'Etag provided in if-match header W/"invalid" does not match' in details["message"]


def test_etag_of_a_rule_that_is_gone_is_refused(sim: Sim):
    """If-Match never creates."""
    response = sim.call("PUT", RULE, rule(), headers={"if-match": "*"})

    assert error(response) == (412, "PreconditionFailed")


def test_existing_rule_is_not_created_again(sim: Sim):
    """If-None-Match: * only creates."""
    path = f"{NSG_WEB}/securityRules/deny-smb"
    response = sim.call("PUT", path, rule(), headers={"if-none-match": "*"})

    assert error(response) == (412, "PreconditionFailed")


def test_failed_operation_shows_failed_and_changes_nothing_effective(sim: Sim):
    """A fault lets an accepted write fail."""
    outcome = {"status": "Failed", "code": "InternalServerError", "message": "no luck"}
    sim.faults({"match": {"path": "securityRules"}, "operation": outcome})
    link = sim.call("PUT", RULE, rule()).headers["Azure-AsyncOperation"]
    sim.advance("PT3S")
    polled = sim.get(link.removeprefix("http://127.0.0.1:7072").partition("?")[0])

    assert polled == {
        "status": "Failed",
        "error": {"code": "InternalServerError", "message": "no luck"},
    }
    assert sim.get(RULE)["properties"]["provisioningState"] == "Failed"
    assert "one" not in [
        each["name"] for each in sim.azure.world.store.effective(NSG_WEB)["securityRules"]
    ]


def test_rules_are_listed_without_the_default_ones(sim: Sim):
    """Azure's own six rules are in the group, not in its list."""
    names = [each["name"] for each in sim.get(f"{NSG_WEB}/securityRules")["value"]]
    defaults = sim.get(NSG_WEB)["properties"]["defaultSecurityRules"]

    assert "allow-https" in names
    assert len(defaults) == 6
    assert not {each["name"] for each in defaults} & set(names)


def test_default_rules_have_the_fields_of_recorded_ones(sim: Sim):
    """As kubernetes-sigs/cloud-provider-azure recorded them for its securitygroupclient."""
    first = sim.get(NSG_WEB)["properties"]["defaultSecurityRules"][0]

    assert first.keys() == {"name", "id", "etag", "type", "properties"}
    assert first["type"] == "Microsoft.Network/networkSecurityGroups/defaultSecurityRules"
    assert first["properties"] == {
        "provisioningState": "Succeeded",
        "description": "Allow inbound traffic from all VMs in VNET",
        "protocol": "*",
        "sourcePortRange": "*",
        "destinationPortRange": "*",
        "sourceAddressPrefix": "VirtualNetwork",
        "destinationAddressPrefix": "VirtualNetwork",
        "access": "Allow",
        "priority": 65000,
        "direction": "Inbound",
        "sourcePortRanges": [],
        "destinationPortRanges": [],
        "sourceAddressPrefixes": [],
        "destinationAddressPrefixes": [],
    }


def test_whole_group_is_replaced(sim: Sim):
    """Rules that the body does not name are gone: how Terraform wipes them."""
    group = sim.get(NSG_WEB)
    group["properties"]["securityRules"] = [{"name": "only", **rule()}]
    response = sim.call("PUT", NSG_WEB, group, as_="petra")
    sim.advance("PT3S")

    assert response.status == 200
    assert list(sim.rules(NSG_WEB)) == ["only"]


def test_new_group_can_be_made_and_deleted(sim: Sim):
    """A group that nothing uses comes and goes."""
    made = sim.call("PUT", FRESH, {"location": "westeurope", "tags": {"a": "b"}}, as_="petra")
    sim.advance("PT3S")
    deleted = sim.call("DELETE", FRESH, as_="petra")
    sim.advance("PT3S")

    assert (made.status, made.json()["tags"], deleted.status) == (201, {"a": "b"}, 202)
    assert error(sim.call("GET", FRESH)) == (404, "ResourceNotFound")
    assert sim.call("DELETE", FRESH, as_="petra").status == 204


def test_group_in_use_is_not_deleted(sim: Sim):
    """Its interfaces hold it."""
    response = sim.call("DELETE", NSG_WEB, as_="petra")

    assert error(response) == (400, "InUseNetworkSecurityGroupCannotBeDeleted")
    assert "web01-nic" in response.json()["error"]["message"]


def test_group_needs_a_location(sim: Sim):
    """ARM's own complaint."""
    assert error(sim.call("PUT", FRESH, {}, as_="petra")) == (400, "LocationRequired")


def test_groups_are_listed_by_subscription_and_group(sim: Sim):
    """Two lists, one content."""
    everywhere = sim.get(
        "/subscriptions/5c0ffee0-0000-4000-8000-000000000001/providers/Microsoft.Network/"
        "networkSecurityGroups"
    )["value"]
    here = sim.get(f"{DB}/providers/Microsoft.Network/networkSecurityGroups")["value"]

    assert {each["name"] for each in here} < {each["name"] for each in everywhere}
    assert len(everywhere) == 5
