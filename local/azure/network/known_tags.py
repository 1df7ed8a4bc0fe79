"""
The service tags that a security rule may name.

Source:
    https://learn.microsoft.com/azure/virtual-network/service-tags-overview (as of 2026; Azure adds
    some from time to time).
"""

from __future__ import annotations

import re

_NAMES = """
actiongroup apimanagement appconfiguration applicationinsightsavailability appservice
appservicemanagement autonomousdevelopmentplatform azureactivedirectory
azureactivedirectorydomainservices azureadvancedthreatprotection azurearcinfrastructure
azureattestation azurebackup azurebotservice azurecloud azurecognitivesearch azureconnectors
azurecontainerappsservice azurecontainerregistry azurecosmosdb azuredatabricks
azuredataexplorermanagement azuredeviceupdate azuredevops azuredigitaltwins azureeventgrid
azurefrontdoor.backend azurefrontdoor.firstparty azurefrontdoor.frontend
azurefrontdoor.microsoftsecurity azurehealthcareapis azureinformationprotection azureiothub
azurekeyvault azureloadbalancer azuremachinelearning azuremachinelearninginference
azuremanagedgrafana azuremonitor azuremonitorforsap azureopendatasets azureplatformdns
azureplatformimds azureplatformlkm azureresourcemanager azurescheduler azuresentinel
azuresignalr azuresiterecovery azuresphere azurespringcloud azurestack azuretrafficmanager
azureupdatedelivery azurevideoanalyzerformedia azurewebpubsub batchnodemanagement chaosstudio
cognitiveservicesfrontend cognitiveservicesmanagement datafactory datafactorymanagement
dynamics365businesscentral dynamics365formarketinemail eopexternalpublishedips eventhub
gatewaymanager genevaactions guestandhybridmanagement hdinsight internet kustoanalytics
logicapps logicappsmanagement m365managementactivityapi m365managementactivityapiwebhook
marketplace microsoftazurefluidrelay microsoftcloudappsecurity microsoftcontainerregistry
microsoftdefenderforendpoint microsoftpurviewpolicydistribution officemailenabledservices
onedsanalytics powerbi powerplatforminfra powerplatformplex powerqueryonline scuba
securitycopilot servicebus servicefabric sql sqlmanagement storage storagemover
storagesyncservice virtualdesktop virtualnetwork vpngateway windowsadmincenter
windowsvirtualdesktop
"""
_TAGS = frozenset(_NAMES.split())
_REGIONAL = re.compile(r"(?P<tag>[A-Za-z0-9.]+)\.[A-Za-z]+[0-9]?")


def is_service_tag(text: str) -> bool:
    """Return True if *text* is a service tag in any case, with a region or without."""
    found = _REGIONAL.fullmatch(text)
    return text.lower() in _TAGS or (found is not None and found["tag"].lower() in _TAGS)
