"""Every promised speed beside its rival, in one run: ``python -m benchmarks``."""
