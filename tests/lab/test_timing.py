"""Timing: statistics of made-up samples, calls with a simulated clock, peak memory and the state of the machine."""

import gc
import time
import tracemalloc

import numpy as np
import pytest

from tinytorch.lab import timing
from tinytorch.lab.timing import Benchmark, Profile


def profile(wall, cpu=None, **options):
    return Profile.from_samples(wall, wall if cpu is None else cpu, None, 0, **options)


def test_a_profile_sums_up_its_samples():
    p = Profile.from_samples([1.0, 2.0, 6.0], [1.0, 1.0, 1.0], "r", 64, flops=4e9, bytes=8e9)
    assert (p.min_time, p.median_time, p.mean_time, p.max_time) == (1.0, 2.0, 3.0, 6.0)
    assert p.std_time == pytest.approx(np.std([1, 2, 6], ddof=1))
    assert p.cpu_time == 1.0
    assert p.cpu_efficiency == pytest.approx(3 / 9)
    assert (p.peak_memory, p.result) == (64, "r")
    assert (p.gflops, p.bandwidth, p.intensity) == (2.0, 4e9, 0.5)


def test_a_profile_of_one_sample_without_counts_has_no_rates():
    p = profile([2.0])
    assert (p.std_time, p.gflops, p.bandwidth, p.intensity) == (0.0, None, None, None)


def test_a_profile_is_a_number_a_ratio_and_a_dict():
    p, q = profile([2.0, 4.0, 6.0]), profile([1.0, 2.0, 3.0])
    assert float(p) == 4.0
    assert p / q == 2.0
    assert p / 2 == 2.0
    assert 8 / p == 2.0
    assert p["mean_time"] == 4.0
    assert dict(p)["median_time"] == 4.0
    with pytest.raises(KeyError, match="speed"):
        p["speed"]


def test_profiles_compare_by_their_figures_whatever_was_returned():
    one, two = (Profile.from_samples([1.0], [1.0], np.arange(i), 0) for i in (2, 3))
    assert one == two != profile([2.0])


def test_profile_and_benchmark_show_units_and_escape_html():
    p = profile([2e-6, 2e-6], flops=4e3)
    assert "median 2 µs" in repr(p) and "2 GFLOP/s" in repr(p)
    assert p._repr_html_().startswith("<table>")
    b = Benchmark(2e-3, 1e-3, 3e-3, 0.95, 30, 2.0, 1.5, 2.5, "faster", "1 < 2 cores")
    assert float(b) == 2e-3 and "; speedup over the baseline 2 (1.5 to 2.5); " in repr(b)
    assert "95% interval 1 ms to 3 ms" in repr(b) and "verdict faster" in repr(b)
    assert "1 &lt; 2 cores" in b._repr_html_()
    assert "verdict" not in repr(Benchmark(1.0, 1.0, 1.0, 0.95, 3))


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_interval_covers_the_median_as_often_as_it_says(confidence):
    rng = np.random.default_rng(1)
    hits = 0
    for seed in range(150):
        low, high = timing.bootstrap_interval(rng.lognormal(0, 0.5, 30), confidence, seed)
        hits += low <= 1.0 <= high
    assert abs(hits / 150 - confidence) < 0.08


def test_the_interval_narrows_with_more_samples_and_repeats_with_the_seed():
    rng = np.random.default_rng(2)
    few, many = rng.normal(10, 1, 20), rng.normal(10, 1, 2000)
    width = [high - low for low, high in map(timing.bootstrap_interval, (few, many))]
    assert width[1] < width[0] / 4
    assert timing.bootstrap_interval(few, seed=3) == timing.bootstrap_interval(few, seed=3)


def test_another_statistic_can_be_asked_for():
    values = np.array([0.0, 0.0, 0.0, 100.0])
    assert timing.bootstrap_interval(values, statistic=np.max) == (0.0, 100.0)


def test_one_value_is_its_own_interval():
    assert timing.bootstrap_interval([3.0]) == (3.0, 3.0)


def test_an_interval_refuses_no_values_and_odd_confidences():
    with pytest.raises(ValueError, match="got 0"):
        timing.bootstrap_interval([])
    for confidence in (0, 1, 95):
        with pytest.raises(ValueError, match=f"got {confidence}"):
            timing.bootstrap_interval([1.0, 2.0], confidence)


def test_a_slowdown_of_both_functions_cancels_in_the_ratio():
    rng = np.random.default_rng(3)
    load = rng.uniform(1, 10, 30)
    ratio, low, high = timing.ratio_interval(2e-3 * load, 1e-3 * load)
    assert (ratio, low, high) == pytest.approx((2.0, 2.0, 2.0))


def test_the_ratio_and_its_inverse_agree():
    rng = np.random.default_rng(4)
    first, second = rng.lognormal(0, 0.1, 30), rng.lognormal(0.2, 0.1, 30)
    ratio, low, high = timing.ratio_interval(first, second)
    back, back_low, back_high = timing.ratio_interval(second, first)
    assert ratio == pytest.approx(1 / back)
    assert (low, high) == pytest.approx((1 / back_high, 1 / back_low), rel=0.02)


def test_a_sample_that_reads_zero_leaves_the_ratio_finite():
    assert np.isfinite(timing.ratio_interval([0.0, 1.0, 1.0], [1.0, 1.0, 1.0])).all()


@pytest.mark.parametrize(
    "low, high, expected",
    [
        (1.01, 2.0, "faster"),
        (0.5, 0.99, "slower"),
        (0.9, 1.1, "undecided"),
        (1.0, 1.2, "undecided"),
        (0.8, 1.0, "undecided"),
        (float("nan"), float("nan"), "undecided"),
    ],
)
def test_the_verdict_is_sure_only_when_the_interval_leaves_out_1(low, high, expected):
    assert timing.verdict(low, high) == expected


def test_equal_functions_rarely_get_a_verdict():
    rng = np.random.default_rng(5)
    wrong = 0
    for seed in range(100):
        first, second = rng.lognormal(0, 0.2, (2, 30))
        wrong += timing.verdict(*timing.ratio_interval(first, second, seed=seed)[1:]) != "undecided"
    assert wrong <= 13


class Clock:
    """A clock that only the timed functions move."""

    def __init__(self, monkeypatch, cpu=1.0):
        self.now, self.cpu = 0.0, cpu
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(timing.time, "process_time", lambda: self.now * self.cpu)
        monkeypatch.setattr(timing.time, "thread_time", lambda: self.now * self.cpu / 2)
        monkeypatch.setattr(timing, "_step", lambda clock: 0.0)

    def takes(self, seconds):
        def function():
            self.now += seconds

        return function


@pytest.mark.parametrize("seconds", [3e-8, 1e-6, 9.9e-4, 1e-3, 2.0])
def test_a_sample_gets_enough_calls_and_not_many_more(monkeypatch, seconds):
    number = timing.calls_per_sample(Clock(monkeypatch).takes(seconds))
    assert number * seconds >= 1e-3 * (1 - 1e-9)
    assert number == 1 or number * seconds <= 2.5e-3


def test_samples_are_seconds_a_call_by_both_clocks(monkeypatch):
    clock = Clock(monkeypatch, cpu=4.0)
    wall, cpu = timing.samples(clock.takes(0.5), repeats=3, number=4)
    np.testing.assert_allclose(wall, [0.5] * 3)
    np.testing.assert_allclose(cpu, [2.0] * 3)
    np.testing.assert_allclose(timing.samples(clock.takes(0.5), 3, 4, threads=False)[1], [1.0] * 3)


def test_the_garbage_collector_is_off_while_samples_are_taken_and_on_again_after():
    seen = []
    timing.samples(lambda: seen.append(gc.isenabled()), 2, 1)
    assert seen == [False, False]
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        timing.samples(lambda: 1 / 0, 2, 1)
    assert gc.isenabled()
    gc.disable()
    try:
        timing.samples(lambda: None, 1, 1)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_samples_refuse_a_count_below_1():
    with pytest.raises(ValueError, match="got 0 and 1"):
        timing.samples(lambda: None, 0, 1)
    with pytest.raises(ValueError, match="got 0"):
        timing.paired(lambda: None, lambda: None, repeats=0)


def test_pairs_alternate_in_an_order_that_the_seed_decides(monkeypatch):
    clock = Clock(monkeypatch)
    calls = []

    def named(name, seconds):
        run = clock.takes(seconds)
        return lambda: (calls.append(name), run())

    def order(seed):
        calls.clear()
        timing.paired(named("a", 1.0), named("b", 0.5), repeats=20, seed=seed)
        return "".join(calls)[4:]  # past the warm-up and the search for the number of calls

    one = order(0)
    assert len(one) == 40
    pairs = {one[i : i + 2] for i in range(0, 40, 2)}
    assert pairs == {"ab", "ba"}
    assert order(0) == one != order(1)


def test_compare_says_how_many_times_faster_the_second_is(monkeypatch):
    clock = Clock(monkeypatch)
    ratio = timing.compare(clock.takes(3e-4), clock.takes(1e-4), repeats=5)
    assert ratio == pytest.approx((3.0, 3.0, 3.0))


def test_peak_memory_sees_arrays_that_come_and_go():
    def work(scale, power=1):
        np.ones(2_000_000)  # 16 MB, let go at once
        return np.ones(1000) * scale**power

    result, peak = timing.peak_memory(work, 3, power=2)
    assert result[0] == 9
    assert 16_000_000 <= peak < 16_100_000
    assert not tracemalloc.is_tracing()


def test_peak_memory_stops_tracing_after_an_error():
    with pytest.raises(ZeroDivisionError):
        timing.peak_memory(lambda: 1 / 0)
    assert not tracemalloc.is_tracing()


def test_peak_memory_leaves_a_running_tracemalloc_as_it_was():
    tracemalloc.start()
    try:
        np.ones(4_000_000)
        before = tracemalloc.get_traced_memory()
        peak = timing.peak_memory(lambda: np.ones(1_000_000))[1]
        after = tracemalloc.get_traced_memory()
        assert 8_000_000 <= peak < 8_100_000
        assert tracemalloc.is_tracing()
        assert abs(after[1] - before[1]) < 10_000
        assert abs(after[0] - before[0]) < 10_000
    finally:
        tracemalloc.stop()


def test_machine_quality_is_one_line_that_names_the_limits_in_force(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    line = timing.machine_quality()
    assert "\n" not in line
    assert "cores" in line and "busy" in line and "OMP_NUM_THREADS=3" in line


def test_machine_quality_looks_at_others_once_a_second(monkeypatch):
    looks = []
    monkeypatch.setattr(timing, "_others", lambda interval: looks.append(interval) or 0.25)
    monkeypatch.setattr(timing, "_found", None)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    lines = {timing.machine_quality() for _ in range(3)}
    assert len(looks) == 1 and all("others keep 0.2 busy" in line for line in lines)
    now += 2
    timing.machine_quality()
    assert len(looks) == 2


def test_machine_quality_says_what_it_could_not_read(monkeypatch, tmp_path):
    monkeypatch.setattr(timing, "_others", lambda interval: 0.0)
    monkeypatch.setattr(timing, "PRESSURE", tmp_path / "missing")
    assert "CPU pressure not read" in timing.machine_quality()


def test_a_result_in_the_place_of_the_peak_is_named():
    with pytest.raises(TypeError, match="got 'awake': is it swapped with result"):
        Profile.from_samples([1.0], [1.0], 64, "awake")
