"""Scenarios on a clock moved by hand, and statistics against exact or published values."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinytorch.core.benchmarking import (
    BenchmarkResult,
    BenchmarkScenario,
    BenchmarkScenarios,
    PerformanceReporter,
    StatisticalValidator,
    bootstrap_interval,
    highest_rate,
    percentile,
    permutation_test,
    poisson_arrivals,
    power,
    samples_needed,
    server,
    single_stream,
)

NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)
INPUTS = np.eye(4, dtype=np.float32)


class HandClock:
    def __init__(self):
        self.time = 50.0

    def now(self):
        return self.time

    def sleep(self, seconds):
        assert seconds >= 0
        self.time += seconds


def model_on(clock, seconds):
    """The identity function; each call takes some seconds of the simulated clock."""

    def model(x):
        clock.time += seconds
        return x

    return model


def scenarios_on(seconds):
    clock = HandClock()
    return BenchmarkScenarios(clock), model_on(clock, seconds), (INPUTS, np.arange(4))


@given(values=NUMBERS, percent=st.floats(0.01, 100))
def test_a_percentile_is_the_smallest_value_with_the_share_at_or_below_it(values, percent):
    found = percentile(values, percent)
    enough = [v for v in values if 100 * sum(w <= v for w in values) >= percent * len(values)]
    assert found == min(enough)


@pytest.mark.parametrize("percent", [0, -1, 100.1, float("nan")])
def test_a_percent_out_of_range_is_refused(percent):
    with pytest.raises(ValueError, match="percent"):
        percentile([1.0], percent)


def test_no_latencies_are_refused():
    with pytest.raises(ValueError, match="no latencies"):
        percentile([], 50)


@given(gaps=st.lists(st.floats(0, 5), min_size=1, max_size=30), seconds=st.floats(0.01, 3))
def test_a_server_follows_lindleys_equation(gaps, seconds):
    clock, arrivals = HandClock(), np.cumsum(gaps)
    latencies, results = server(model_on(clock, seconds), list(range(len(gaps))), arrivals, clock)
    wait, expected = 0.0, [seconds]
    for gap in gaps[1:]:
        wait = max(0.0, wait + seconds - gap)
        expected.append(wait + seconds)
    assert np.allclose(latencies, expected) and results == list(range(len(gaps)))


def test_the_mean_wait_under_load_agrees_with_queueing_theory():
    clock, count, load = HandClock(), 40_000, 0.8
    arrivals = poisson_arrivals(load, count, seed=3)
    latencies, _ = server(model_on(clock, 1.0), [0] * count, arrivals, clock)
    assert latencies.mean() == pytest.approx(1 + load / (2 * (1 - load)), rel=0.1)


def test_a_single_stream_measures_each_query():
    clock = HandClock()
    latencies, results = single_stream(model_on(clock, 0.25), [1, 2, 3], clock=clock)
    assert np.allclose(latencies, 0.25) and results == [1, 2, 3]
    assert clock.time == pytest.approx(50 + 6 * 0.25)


@given(limit=st.floats(2, 99))
def test_bisection_ends_close_below_the_limit(limit):
    found = highest_rate(lambda rate: rate, limit, 1.0, 100.0, rounds=40)
    assert found <= limit and limit - found < 1e-6


def test_a_bootstrap_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(150):
        low, high = bootstrap_interval(rng.normal(size=40), np.mean, 0.9, 200, rng)
        covered += low <= 0 <= high
    assert 120 <= covered <= 146


@pytest.mark.parametrize("confidence", [0, 1, -0.5, 95])
def test_a_confidence_outside_zero_to_one_is_refused(confidence):
    with pytest.raises(ValueError, match="confidence"):
        bootstrap_interval([1.0, 2.0], confidence=confidence)


@pytest.mark.parametrize(
    ("a", "b"),
    [([1, 2, 3], [4, 5, 6]), ([1, 5, 2], [3, 4]), ([0, 0, 1], [0, 1, 1, 1]), ([10], [1, 2, 3, 4])],
)
def test_a_p_value_is_near_the_share_of_all_divisions(a, b):
    together = np.array(a + b, float)
    measured = abs(np.mean(a) - np.mean(b))
    divisions = list(itertools.combinations(range(together.size), len(a)))
    extreme = sum(
        abs(together[list(each)].mean() - np.delete(together, each).mean()) >= measured - 1e-9
        for each in divisions
    )
    exact = extreme / len(divisions)
    assert permutation_test(a, b, 4000, seed=1) == pytest.approx(exact, abs=0.04)


def test_power_agrees_with_a_simulation():
    rng, count, limit = np.random.default_rng(2), 30, 1.959964
    a, b = rng.normal(0, 1, (20_000, count)), rng.normal(0.6, 1, (20_000, count))
    z = (b.mean(axis=1) - a.mean(axis=1)) / math.sqrt(2 / count)
    assert power(0.6, 1, count) == pytest.approx((np.abs(z) > limit).mean(), abs=0.015)


def test_the_samples_needed_are_the_smallest_number_that_is_enough():
    needed = samples_needed(0.01, 0.05)
    assert needed == 393  # 2 (1.960 + 0.8416)^2 / 0.2^2 = 392.4
    assert power(0.01, 0.05, needed) >= 0.8 > power(0.01, 0.05, needed - 1)
    with pytest.raises(ValueError, match="difference of 0"):
        samples_needed(0, 1)


@pytest.mark.parametrize("args", [(1, 0, 5), (1, 1, 0), (1, 1, 5, 0), (1, 1, 5, 1)])
def test_arguments_of_power_out_of_range_are_refused(args):
    with pytest.raises(ValueError, match="out of range"):
        power(*args)


def test_scenarios_report_throughput_latency_and_accuracy():
    scenarios, model, dataset = scenarios_on(0.5)
    one = scenarios.single_stream(model, dataset, 20)
    assert one.scenario is BenchmarkScenario.SINGLE_STREAM and one.accuracy == 1
    assert one.throughput == pytest.approx(2) and one.percentile(90) == pytest.approx(0.5)
    batch = scenarios.offline(model, dataset, batch_size=2)
    assert batch.throughput == pytest.approx(4 / (2 * 0.5)) and batch.accuracy == 1
    load = scenarios.server(model, dataset, target_qps=1.0, num_queries=200)
    assert load.percentile(99) > 0.5 and 0.7 < load.throughput < 1.3


def test_capacity_is_below_the_rate_at_which_the_model_is_always_busy():
    scenarios, model, dataset = scenarios_on(0.01)
    rate = scenarios.capacity(model, dataset, bound=0.05, low=1, high=1000)
    assert 20 < rate < 100


def test_a_comparison_finds_a_difference_that_is_there_and_none_that_is_not():
    rng, validator = np.random.default_rng(4), StatisticalValidator()
    a = rng.normal(10, 1, 60)
    found = validator.validate_comparison(a, a + 2)
    assert found.is_significant and found.effect_size > 1 and "slower" in found.recommendation
    low, high = found.confidence_interval
    assert low < 2 < high
    same = validator.validate_comparison(a, rng.normal(10, 1, 60))
    assert (
        not same.is_significant and same.p_value > 0.05 and "no difference" in same.recommendation
    )
    assert not validator.validate_comparison([1.0, 1.0], [1.0, 1.0]).is_significant


def test_a_result_needs_a_hundred_latencies():
    result = BenchmarkResult(BenchmarkScenario.SINGLE_STREAM, np.ones(99), 1.0, 1.0)
    report = StatisticalValidator().validate_benchmark_result(result)
    assert report == {"enough": False, "samples": 99, "median_interval": (1.0, 1.0)}


def test_reports_are_a_table_and_json(tmp_path):
    scenarios, model, dataset = scenarios_on(0.5)
    results = {
        "one": scenarios.single_stream(model, dataset, 5),
        "all": scenarios.offline(model, dataset),
    }
    reporter = PerformanceReporter()
    table = reporter.generate_project_report(results, "identity")
    assert "| one | single_stream | 500.000 | 500.000 | 500.000 | 2 | 100.0% |" in table
    assert "| all | offline | - | - | - |" in table
    reporter.save_report(table, tmp_path / "report.md")
    reporter.save_report(results, tmp_path / "report.json")
    assert (tmp_path / "report.md").read_text(encoding="utf-8") == table
    stored = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert stored["one"]["latencies"] == [0.5] * 5 and stored["all"]["scenario"] == "offline"
