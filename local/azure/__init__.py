"""
A simulated Azure for the local stack: the parts of it that the broker speaks to.

It is a state machine without sockets, ``simulator.Azure``: a request goes in,
an answer comes out, time moves by command. ``server`` puts it behind HTTP,
``transport`` under an SDK client in the same process.

Reading order: ``wire`` (what crosses the edge), ``timeline`` (time), ``store``
with ``operations`` (what exists, what is changing), ``routing`` with
``simulator`` (how a call is answered), then one module per provider:
``subscriptions``, ``compute``, ``network``, ``security_groups``, ``firewalls``,
``pricings``, ``jit_policies``. ``defender`` is Defender for Cloud at work behind
them; ``packets`` judges what the network would let through; ``control`` is the
control plane under ``/_sim``.
"""
