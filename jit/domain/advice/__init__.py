"""Warnings for the owners of virtual machines."""
