"""Obstacles: standing reasons why no grant can open a port of a VM, to any source or to some."""
