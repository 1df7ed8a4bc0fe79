"""The effect of security admin rules on the paths of grants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from jit.domain.azure.nsg_effect import Flow
from jit.domain.model.grant import Grant, Status
from jit.domain.model.machine import Interface, Via
from jit.domain.network_manager.admin_stage import Outcome, Share, split_at_admin_rules
from jit.domain.paths.machine_view import MachineView
from jit.domain.paths.rules import find_packet_protocol
from jit.domain.values.prefixes import Prefix, is_public

STAGE = "before every NSG"
"""The end of a reason that is a security admin rule."""


def split_flow_for(grant: Grant, view: MachineView, flow: Flow) -> Iterator[Share]:
    """
    Yield *flow* in shares that fare alike before the NSGs.

    A share that an admin rule lets pass at any time is left out: no NSG sees it.

    Rules of an earlier look hold back a grant that is opening only if they are recent. The look
    that would call its path open reads them anew.
    """
    rules = () if _is_outdated(grant, view) else view.admin.rules
    shares = split_at_admin_rules(rules, flow, view.vm.vnet_prefixes)
    return (share for share in shares if not _is_passed(share))


def _is_outdated(grant: Grant, view: MachineView) -> bool:
    is_timely = view.admin.fresh or view.admin.recent
    return grant.status is Status.OPENING and not is_timely


def explain_obstacle(share: Share) -> str:
    """Return the reason why *share* may not reach any NSG; empty if it does, or need not."""
    if Outcome.DENIED not in share.outcomes:
        return ""
    names = share.name_rules(Outcome.DENIED)
    if share.outcomes == {Outcome.DENIED}:
        return f"{names} blocks it {STAGE}"
    return f"cannot tell whether {names} blocks it {STAGE}"


def _is_passed(share: Share) -> bool:
    return share.outcomes == {Outcome.PASSED}


def explain_unread(grant: Grant, view: MachineView) -> str:
    """Return the reason if *grant* must not become open because the rules are not known."""
    return view.admin.unread if view.admin.fresh and grant.status is Status.OPENING else ""


# ---- after the end -------------------------------------------------------------------------------


def explain_bypass(grant: Grant, view: MachineView) -> str:
    """Return the same as `find_bypass`; if the rules are not known, the answer says so."""
    if view.admin.unread and view.vm.network_id:
        return f"cannot tell whether a security admin rule lets it in: {view.admin.unread}"
    return find_bypass(grant, view)


def find_bypass(grant: Grant, view: MachineView) -> str:
    """
    Return what security admin rules leave open of the path of *grant*, whatever the broker removes.

    A public source reaches a VM only by a public address or by the firewall. The firewall's rule
    goes with the grant, so behind it only private sources, and VMs with an address of their own,
    can be left open. Empty means: nothing that is known.
    """
    shares = [share for nic in view.vm.interfaces for share in _split_direct(grant, view, nic)]
    sure = [share for share in shares if _is_passed(share)]
    found = sure or [share for share in shares if Outcome.PASSED in share.outcomes]
    if not found:
        return ""
    names = ", ".join(dict.fromkeys(share.name_rules(Outcome.PASSED) for share in found))
    sources = ", ".join(dict.fromkeys(str(share.flow.source) for share in found))
    lets = "lets" if sure else "may let"
    return f"{names} {lets} {sources} in at any time, before every NSG"


def _split_direct(grant: Grant, view: MachineView, nic: Interface) -> Iterator[Share]:
    if not nic.private_ip:
        return
    target = ip_address(nic.private_ip)
    for source in _keep_direct(grant, nic):
        if source.version == target.version:
            flow = Flow(source, target, grant.port, find_packet_protocol(grant))
            yield from split_at_admin_rules(view.admin.rules, flow, view.vm.vnet_prefixes)


def _keep_direct(grant: Grant, nic: Interface) -> Iterable[Prefix]:
    """Return the sources whose packets may come without the firewall."""
    if grant.via is not Via.FIREWALL or nic.public_ip or nic.public_ip_id:
        return grant.sources
    own = grant.own_sources
    return tuple(each for each in grant.sources if each not in own or not is_public(each))
