"""The local stack for benchmarks: landscapes, past requests, the simulator."""
