"""Alerts about API versions that Azure refuses."""

import logging

from jit.domain.errors import VersionRefused
from jit.observer.refused_versions import alert_refused_version
from tests.broker.reconciling import told


def test_an_alert_has_type_version_and_place(caplog):
    """It is an ERROR: nothing of that type can be read or written."""
    error = VersionRefused("Microsoft.Network/bastionHosts", "2024-05-01", ("2023-11-01",))

    alert_refused_version(error, resource_id="/subscriptions/s")

    assert told(caplog, "api_version.refused") == [
        {
            "event": "api_version.refused",
            "type": "Microsoft.Network/bastionHosts",
            "version": "2024-05-01",
            "supported": ["2023-11-01"],
            "resource_id": "/subscriptions/s",
        }
    ]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
