"""Builders of Bastions, and of grants of people who come by one."""

from dataclasses import replace

from jit.domain.model.bastion import Bastion
from tests.builders.values import BASTION_ID, BASTION_NET


def a_bastion(*prefixes, **changes):
    """A Bastion that takes native clients."""
    return Bastion(
        **{"id": BASTION_ID, "prefixes": prefixes or (BASTION_NET,), "native": True, **changes}
    )


def by_bastion(grant, *own):
    """The grant of a person who comes by the Bastion, and from the sources *own*."""
    bastion = a_bastion()
    return replace(grant, bastion=bastion, sources=(*own, *bastion.sources))
