"""
A broker for just-in-time VM access through Azure Firewall and NSGs.

Somebody asks; the broker decides by the VM's JIT policy, has Microsoft Defender for Cloud open
exactly that path for exactly that long, tells what to connect to, and proves afterwards that the
path is closed. Tables are the truth, queue messages are hints, a timer alone could finish all.

Reading order: ``domain.model`` (the nouns), ``broker`` (the use cases), ``domain.controller`` (one
step of a JIT policy), ``interfaces`` (the outside), ``wiring`` (who is who), ``function_app``.
"""
