"""
A broker for just-in-time VM access through Azure Firewall and NSGs.

A caller asks. The broker decides by the VM's JIT policy. Microsoft Defender for Cloud opens exactly
that path for exactly that long. The broker names the address to connect to, and proves afterwards
that the path is closed. Tables are the truth, queue messages are hints. A timer alone could finish
every grant.

Reading order: ``domain.model`` (the nouns), ``broker`` (the use cases), ``domain.grants.step`` (one
step of a JIT policy), ``interfaces`` (the outside), ``wiring`` (all objects), ``function_app``.
"""
