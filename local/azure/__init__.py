"""
A simulated Azure for the local stack: the parts of it that the broker calls.

It is a state machine without sockets, ``simulator.Azure``: a request goes in,
an answer comes out, time moves by command. ``server`` puts it behind HTTP,
``transport`` under an SDK client in the same process.

Reading order: ``values.http`` (requests and answers), ``timeline`` (time),
``arm.store`` with ``arm.operations`` (resources and their updates),
``arm.routing`` with ``simulator`` (the way of a call to its answer). Then one
module for each provider: ``arm.subscriptions``, ``arm.compute``,
``network.reads``, ``network.security_groups``, ``network.firewalls``,
``defender.pricings``, ``defender.jit_policies``. ``defender.service`` is
Defender for Cloud, which works behind them. ``network.reachability`` tells if a
packet would reach a VM. ``control`` is the control plane under ``/_sim``.
"""
