"""The benchmarks: each module measures one question and yields figures."""
