"""Builders of security admin rules, as ARM returns them and as the broker reads them."""

from jit.domain.network_manager.security_admin_rules import AdminRules, parse_admin_rules

MANAGER = (
    "/subscriptions/5c0ffee0-0000-4000-8000-000000000001/resourceGroups/rg-hub"
    "/providers/Microsoft.Network/networkManagers/nm-hub"
)
OTHER_MANAGER = MANAGER.replace("nm-hub", "nm-root")
GROUP = f"{MANAGER}/networkGroups/all"
DENY, ALWAYS, ALLOW = "Deny", "AlwaysAllow", "Allow"


def an_address(text):
    """An address of a rule: a prefix or ``*``, a network group's id, else a service tag."""
    if text.startswith("/subscriptions/"):
        return {"addressPrefix": text, "addressPrefixType": "NetworkGroup"}
    is_prefix = text == "*" or text[0].isdigit() or ":" in text
    return {"addressPrefix": text, "addressPrefixType": "IPPrefix" if is_prefix else "ServiceTag"}


def arm_admin(access=DENY, *sources, port="22", number=10, manager=MANAGER, name=None, **changes):
    """One rule; without sources it is about every source; a change to None removes the field."""
    named = name or f"{access.lower()}-{number}"
    fields = {
        "access": access,
        "direction": "Inbound",
        "priority": number,
        "protocol": "Any",
        "provisioningState": "Succeeded",
        "sources": [an_address(text) for text in sources or ("*",)],
        "sourcePortRanges": ["0-65535"],
        "destinations": [an_address("*")],
        "destinationPortRanges": [port],
        **changes,
    }
    where = f"{manager}/securityAdminConfigurations/config/ruleCollections/rules/rules"
    return {
        "id": f"{where}/{named}",
        "kind": "Custom",
        "configurationDescription": "kept out of the way",
        "properties": {key: value for key, value in fields.items() if value is not None},
    }


def admin_rules(*items, **changes):
    """The rules of a network, read now."""
    return AdminRules(rules=parse_admin_rules(items), **changes)
