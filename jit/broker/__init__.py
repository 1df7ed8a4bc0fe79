"""
The use cases of the broker.

* ``requests``        people ask for access, change and read their requests
* ``policy_worker``   a JIT policy has work: open, observe, mend, close
* ``reconcile``       the timers, and all rules of a subscription against all its grants
* ``configure``       JIT policies are changed for some VMs
* ``locks``           one worker acts for a policy, one holder changes a firewall
* ``azure_changes``   the calls that change Azure
* ``health``          storage and Azure answer, the timers run

No package here imports another one, except ``locks`` and ``azure_changes``.
"""
