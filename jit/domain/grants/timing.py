"""How long each phase of a grant may take, and what follows from that."""

from __future__ import annotations

from datetime import timedelta

from jit.domain.model.machine import Via

TURN = timedelta(minutes=1)
"""How long until a firewall's turn is looked for again."""

GRACE = {
    Via.FIREWALL: timedelta(minutes=10),
    Via.PUBLIC_IP: timedelta(minutes=2),
    Via.PRIVATE: timedelta(minutes=2),
}
"""How long Azure's own expiry is given before the broker removes what is left."""

SHRINKS_WITHIN = {
    Via.FIREWALL: timedelta(minutes=20),  # Defender's update behind two others of 3 to 5 minutes
    Via.PUBLIC_IP: timedelta(minutes=4),
    Via.PRIVATE: timedelta(minutes=4),
}
"""
How long a rule that others live by may outlast one of its grants.

It goes by an initiate for the others alone. Where Azure does not take that, the rule itself goes:
an end that was promised comes before the others' access, which is then asked for again.
"""

OVERDUE = timedelta(minutes=30)
"""A path still there this long after its end is an alert."""

APPEARS_WITHIN = timedelta(minutes=15)
"""How long after an initiate its rules may still appear."""

SHORTEST = timedelta(minutes=5)
"""Defender's shortest access (Microsoft.Security 2020-01-01, ``maxRequestAccessDuration``)."""

OPENS_WITHIN = {
    Via.FIREWALL: timedelta(minutes=40),  # Defender's update behind two others of 3 to 5 minutes
    Via.PUBLIC_IP: timedelta(minutes=20),
    Via.PRIVATE: timedelta(minutes=20),
}
"""The deadline of an initiate: what is not open by then is closed as failed."""
