"""Plain versions of exercises that the tests of other exercises reach. They use the names of the lesson."""


def percentile(latencies, percent):
    """Count how many latencies are at or below each."""
    latencies = np.asarray(latencies, np.float64)
    if not latencies.size or not 0 < percent <= 100:
        raise ValueError(f"no latencies, or percent {percent} out of range")
    return float(
        min(x for x in latencies if 100 * (latencies <= x).sum() >= percent * len(latencies))
    )


def poisson_arrivals(rate, count, seed=0):
    """Add one gap after the other."""
    if not rate > 0:
        raise ValueError(f"rate must be positive, got {rate}")
    generator, moment, found = np.random.default_rng(seed), 0.0, []
    for _ in range(count):
        moment += generator.exponential() / rate
        found.append(moment)
    return np.array(found, np.float64)
