"""Measure each promised speed and its rival in the same run: ``python -m benchmarks``."""
