"""Fake clocks: readings, replaced functions, and their restoration."""

import math
import time
import timeit

import pytest

from tinytorch.lab import clocks, timing


def test_readings_are_the_times_that_were_spent():
    with clocks.by_hand() as hand:
        start = time.perf_counter(), time.process_time(), time.thread_time()
        hand.spend(2.0, 1.0)
        end = time.perf_counter(), time.process_time(), time.thread_time()
    assert [b - a for a, b in zip(start, end, strict=True)] == pytest.approx([2.0, 1.0, 0.5])


def test_every_clock_of_time_is_replaced_and_sleep_takes_no_real_time():
    before = time.perf_counter()
    with clocks.by_hand() as hand:
        time.sleep(500)
        assert hand.wall == 500
        for name in ("perf_counter", "monotonic", "time"):
            assert getattr(time, name)() == pytest.approx(500)
            assert getattr(time, f"{name}_ns")() == pytest.approx(500e9)
        assert timeit.default_timer() == pytest.approx(500)
        assert time.process_time_ns() < 100
    assert time.perf_counter() - before < 100


def test_a_loop_that_waits_for_the_clock_to_change_ends():
    with clocks.by_hand():
        start = time.process_time()
        while time.process_time() == start:
            pass


def test_names_imported_by_a_module_are_replaced_too():
    space = {}
    exec("from time import perf_counter\ndef read(): return perf_counter()", space)
    with clocks.by_hand(space["read"]) as hand:
        hand.spend(7.0)
        assert space["read"]() == pytest.approx(7.0)
    assert space["perf_counter"] is time.perf_counter


def test_the_clocks_are_put_back_after_an_error():
    real = dict(vars(time)), timeit.default_timer
    with pytest.raises(KeyError), clocks.by_hand():
        raise KeyError
    assert (dict(vars(time)), timeit.default_timer) == real


def test_work_takes_its_times_in_turn_and_is_counted():
    with clocks.by_hand() as hand:
        one, two = hand.work([1.0, 3.0], [0.5], result="r"), hand.work([10.0])
        assert [one(), two(), one(), one()] == ["r", None, "r", "r"]
        assert (hand.wall, hand.cpu, hand.thread) == (1 + 10 + 3 + 1, 1.5, 0.75)
    assert hand.calls == 4


def test_a_growing_load_slows_every_operation():
    with clocks.by_hand() as hand:
        one, two = hand.work([1.0], drift=math.log(2)), hand.work([1.0], drift=math.log(2))
        for operation in (one, two, one):
            operation()
        assert hand.wall == pytest.approx(1 + 2 + 16)


def test_samples_of_timing_are_exact():
    with clocks.by_hand() as hand:
        work = hand.work([0.25], [0.125])
        wall, cpu = timing.samples(work, 3, timing.calls_per_sample(work))
    assert list(wall) == pytest.approx([0.25] * 3)
    assert list(cpu) == pytest.approx([0.125] * 3)
