"""
Built-in roles of Azure with their actions, as a subscription shows them.

Source:
    https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/privileged (Owner,
    Contributor), .../general (Reader), .../security (Security Admin, Security Reader)
"""

from __future__ import annotations

from local.azure.values import ids
from local.azure.values.http import Json


def make_definition(guid: str, kind: str, short: Json) -> Json:
    """
    Return a role definition in its ARM form.

    Args:
        guid: Its name.
        kind: ``BuiltInRole`` or ``CustomRole``.
        short: ``Name, Description, Actions, NotActions, DataActions, NotDataActions,
            AssignableScopes``, as Azure PowerShell and Azure CLI write a role to a file. Only the
            name is required.

    Source:
        https://learn.microsoft.com/azure/role-based-access-control/role-definitions
    """
    names = ("Actions", "NotActions", "DataActions", "NotDataActions")
    permission = {name[0].lower() + name[1:]: list(short.get(name, ())) for name in names}
    return {
        "id": f"/providers/{ids.ROLE_DEFINITIONS}/{guid}",
        "name": guid,
        "type": ids.ROLE_DEFINITIONS,
        "properties": {
            "roleName": short["Name"],
            "type": kind,
            "description": short.get("Description", ""),
            "assignableScopes": list(short.get("AssignableScopes", ("/",))),
            "permissions": [permission],
        },
    }


_OWNER = {
    "Name": "Owner",
    "Description": "Grants full access to manage all resources, including the ability to assign "
    "roles in Azure RBAC.",
    "Actions": ["*"],
}
_CONTRIBUTOR = {
    "Name": "Contributor",
    "Description": "Grants full access to manage all resources, but does not allow you to assign "
    "roles in Azure RBAC, manage assignments in Azure Blueprints, or share image galleries.",
    "Actions": ["*"],
    "NotActions": [
        "Microsoft.Authorization/*/Delete",
        "Microsoft.Authorization/*/Write",
        "Microsoft.Authorization/elevateAccess/Action",
        "Microsoft.Blueprint/blueprintAssignments/write",
        "Microsoft.Blueprint/blueprintAssignments/delete",
        "Microsoft.Compute/galleries/share/action",
        "Microsoft.Purview/consents/write",
        "Microsoft.Purview/consents/delete",
        "Microsoft.Resources/deploymentStacks/manageDenySetting/action",
        "Microsoft.Subscription/cancel/action",
        "Microsoft.Subscription/enable/action",
    ],
}
_READER = {
    "Name": "Reader",
    "Description": "View all resources, but does not allow you to make any changes.",
    "Actions": ["*/read"],
}
_SECURITY_ADMIN = {
    "Name": "Security Admin",
    "Description": "Security Admin Role",
    "Actions": [
        "Microsoft.Authorization/*/read",
        "Microsoft.Authorization/policyAssignments/*",
        "Microsoft.Authorization/policyDefinitions/*",
        "Microsoft.Authorization/policyExemptions/*",
        "Microsoft.Authorization/policySetDefinitions/*",
        "Microsoft.Insights/alertRules/*",
        "Microsoft.Management/managementGroups/read",
        "Microsoft.operationalInsights/workspaces/*/read",
        "Microsoft.Resources/deployments/*",
        "Microsoft.Resources/subscriptions/resourceGroups/read",
        "Microsoft.Security/*",
        "Microsoft.IoTSecurity/*",
        "Microsoft.IoTFirmwareDefense/*",
        "Microsoft.Support/*",
    ],
}
_SECURITY_READER = {
    "Name": "Security Reader",
    "Description": "Security Reader Role",
    "Actions": [
        "Microsoft.Authorization/*/read",
        "Microsoft.Insights/alertRules/read",
        "Microsoft.operationalInsights/workspaces/*/read",
        "Microsoft.Resources/deployments/*/read",
        "Microsoft.Resources/subscriptions/resourceGroups/read",
        "Microsoft.Security/*/read",
        "Microsoft.IoTSecurity/*/read",
        "Microsoft.Support/*/read",
        "Microsoft.Security/iotDefenderSettings/packageDownloads/action",
        "Microsoft.Security/iotDefenderSettings/downloadManagerActivation/action",
        "Microsoft.Security/iotSensors/downloadResetPassword/action",
        "Microsoft.IoTSecurity/defenderSettings/packageDownloads/action",
        "Microsoft.IoTSecurity/defenderSettings/downloadManagerActivation/action",
        "Microsoft.Management/managementGroups/read",
    ],
}

BUILT_IN: tuple[Json, ...] = (
    make_definition("8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "BuiltInRole", _OWNER),
    make_definition("b24988ac-6180-42a0-ab88-20f7382dd24c", "BuiltInRole", _CONTRIBUTOR),
    make_definition("acdd72a7-3385-48ef-bd42-f606fba81ae7", "BuiltInRole", _READER),
    make_definition("fb1c8493-542b-48eb-b624-b4c8fea62acd", "BuiltInRole", _SECURITY_ADMIN),
    make_definition("39bc4728-0917-49c7-9d2c-d95423bc2eb4", "BuiltInRole", _SECURITY_READER),
)
"""The role definitions that every subscription has, in their ARM form."""
