"""Measuring: figures, processes, recorded calls."""
