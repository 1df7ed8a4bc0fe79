"""
The local stack: everything the broker needs from Azure, on one machine.

Never deployed; nothing in ``jit`` knows that it exists. ``python -m local run``
starts it, ``python -m local demo`` shows the main job on it.
"""
