"""Grants built and changed by flat names: the names under which their values are stored."""

from dataclasses import replace

from jit.domain.model.grant import Footprint, Grant, Initiate

_INITIATE = {
    "initiates": "ids",
    "initiated_at": "at",
    "asked": "sources",
    "asked_until": "until",
    "attempts": "attempts",
    "reopens": "reopens",
    "answered": "answered",
    "before": "before",
    "written": "written",
    "seen": "seen",
}
_FOOTPRINT = ("rules", "companions", "private_ips")


def built(**fields):
    """A grant of those fields."""
    return Grant(**_nested(fields, Initiate(), Footprint()))


def changed(grant, **fields):
    """The same grant with other values in those fields."""
    return replace(grant, **_nested(fields, grant.initiate, grant.footprint))


def _nested(fields, initiate, footprint):
    """The fields of a grant as its class has them."""
    asked = {_INITIATE[name]: value for name, value in fields.items() if name in _INITIATE}
    left = {name: value for name, value in fields.items() if name in _FOOTPRINT}
    own = {name: fields[name] for name in fields.keys() - _INITIATE.keys() - {*_FOOTPRINT}}
    return {
        **own,
        "initiate": replace(initiate, **asked),
        "footprint": replace(footprint, **left),
    }
