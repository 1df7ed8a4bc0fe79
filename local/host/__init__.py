"""
The development host: what the Functions host does for the broker, on one machine.

Reading order: ``functions`` (what there is to run), ``checks`` (what would go
wrong), ``invocation`` (how one function runs), then the three sources of
work, ``server``, ``queues`` and ``timers``, and ``process``, which owns them.

It stands in for https://github.com/Azure/azure-functions-host and its Python
worker, https://github.com/Azure/azure-functions-python-worker. Where they
surprise, it surprises in the same way; ``local/README.md`` lists what it leaves out.
"""
