"""Timings, side by side in one run: ``python -m benchmarks`` and ``python -m benchmarks.loading``."""
