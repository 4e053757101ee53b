"""Races, sectors and bank conflicts that the simulator reports, against counts of another kind."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import float32

from tests.corpus import simt_clean
from tests.support.gpu_kernels import by_rows, column_of_a_tile
from tinytorch.lab import simt
from tinytorch.lab.simt import cuda
from tinytorch.lab.simt import races as race_module
from tinytorch.lab.simt.traffic import conflicts, sectors


@cuda.jit
def walk_global(kinds, places, barriers, memory):
    i = cuda.grid(1)
    for step in range(kinds.shape[0]):
        kind, place = kinds[step, i], places[step, i]
        if kind == 1:
            memory[place]
        elif kind == 2:
            memory[place] = step
        elif kind == 3:
            cuda.atomic.add(memory, place, 1)
        if barriers[step]:
            cuda.syncthreads()


@cuda.jit
def walk_shared(kinds, places, barriers, sink):
    memory = cuda.shared.array(8, float32)
    i, t = cuda.grid(1), cuda.threadIdx.x
    if t < 8:
        memory[t] = 0
    cuda.syncthreads()
    for step in range(kinds.shape[0]):
        kind, place = kinds[step, i], places[step, i]
        if kind == 1:
            sink[i] = memory[place]
        elif kind == 2:
            memory[place] = step
        elif kind == 3:
            cuda.atomic.add(memory, place, 1)
        if barriers[step]:
            cuda.syncthreads()


def races(kinds, places, barriers, in_block, shared):
    """Places on which two accesses clash, by comparing each with each."""
    accesses = defaultdict(list)
    interval = 0
    for step, barrier in enumerate(barriers):
        for thread in range(kinds.shape[1]):
            if kinds[step, thread]:
                accesses[places[step, thread]].append((thread, interval, kinds[step, thread]))
        interval += bool(barrier)
    found = set()
    for place, touched in accesses.items():
        for one, when_one, kind_one in touched:
            for two, when_two, kind_two in touched:
                same_block = one // in_block == two // in_block
                ordered = one == two or (same_block and when_one != when_two)
                harmless = kind_one == kind_two and kind_one in (1, 3)
                if not (ordered or harmless or (shared and not same_block)):
                    found.add(int(place))
    return found


@pytest.mark.parametrize("pending", [2_000_000, 3])
@pytest.mark.parametrize(("kernel", "shared"), [(walk_global, False), (walk_shared, True)])
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), dense=st.sampled_from([0.02, 0.1, 0.4]))
def test_races_are_those_found_by_comparing_all_pairs(kernel, shared, pending, seed, dense):
    rng = np.random.default_rng(seed)
    steps, blocks, in_block = 4, 3, 10
    kinds = rng.integers(1, 4, (steps, blocks * in_block))
    kinds *= rng.random(kinds.shape) < dense
    places = rng.integers(0, 8, kinds.shape)
    barriers = rng.integers(0, 2, steps)
    memory = np.zeros(30 if shared else 8, np.float32)
    before = race_module.PENDING
    race_module.PENDING = pending
    try:
        report = simt.check(kernel, blocks, in_block, kinds, places, barriers, memory)
    finally:
        race_module.PENDING = before
    expected = races(kinds, places, barriers, in_block, shared)
    assert {fault.kind for fault in report.faults} <= {"race"}
    assert bool(report.faults) == bool(expected)
    assert {fault.index[0] for fault in report.faults} <= expected


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 10**6), itemsize=st.sampled_from([1, 2, 4, 8]), spread=st.integers(1, 400)
)
def test_sectors_and_replays_are_those_counted_one_by_one(seed, itemsize, spread):
    rng = np.random.default_rng(seed)
    rows = rng.integers(-1, spread, (3, 32))
    counted, ideal = sectors(rows, itemsize)
    degree, replays = conflicts(rows, itemsize)
    for number, row in enumerate(rows):
        wanted = {int(e) for e in row if e >= 0}
        assert counted[number] == len({e * itemsize // 32 for e in wanted})
        assert ideal[number] == -(-len(wanted) * itemsize // 32)
        unit = max(4, itemsize)
        passes = []
        for start in range(0, 32, 128 // unit):
            banks = defaultdict(set)
            for element in row[start : start + 128 // unit]:
                if element >= 0:
                    word = int(element) * itemsize // unit
                    banks[word % (128 // unit)].add(word)
            passes.append(max([1, *map(len, banks.values())]))
        assert degree[number] == max(passes)
        assert replays[number] == sum(passes) - len(passes)


@cuda.jit
def by_columns(x, out):
    i = cuda.grid(1)
    total = float32(0)
    for k in range(x.shape[0]):
        total += x[k, i]
    out[i] = total


def test_a_warp_that_strides_moves_eight_times_the_sectors():
    x = np.ones((32, 32), np.float32)
    strided, side_by_side = (
        simt.run(k, 1, 32, x, np.zeros(32, np.float32)) for k in (by_rows, by_columns)
    )
    assert strided.total("sectors", array="x") == 32 * 32
    assert (
        side_by_side.total("sectors", array="x") == side_by_side.total("ideal", array="x") == 32 * 4
    )
    (entry,) = (e for e in strided.traffic if e.array == "x")
    assert (entry.warps, entry.threads, entry.ideal) == (32, 1024, 128)


@cuda.jit
def odd_blocks(x, out):
    part = cuda.shared.array((9, 21), float32)
    i, j = cuda.threadIdx.x, cuda.threadIdx.y
    block = cuda.blockIdx.x
    part[j, 3 * i] = x[block, 2 * i, j]
    if (i + j) % 2:
        out[block, j, i] = part[j, 3 * i]


def test_blocks_with_a_partial_warp_are_counted_warp_by_warp():
    x, out = np.ones((3, 14, 9), np.float32), np.zeros((3, 9, 7), np.float32)
    report = simt.run(odd_blocks, 3, (7, 9), x, out)
    loads = stores = replays = 0
    for block in range(3):
        for warp in (range(32), range(32, 63)):
            places = [(t % 7, t // 7) for t in warp]
            loads += len({(block * 126 + 18 * i + j) // 8 for i, j in places})
            stores += len({(block * 63 + 7 * j + i) // 8 for i, j in places if (i + j) % 2})
            for chosen in (places, [(i, j) for i, j in places if (i + j) % 2]):
                banks = [(21 * j + 3 * i) % 32 for i, j in chosen]
                replays += max(map(banks.count, banks)) - 1
    counts = report.counts()
    assert (counts["load_sectors"], counts["store_sectors"]) == (loads, stores)
    assert counts["replays"] == replays
    assert (counts["global_loads"], counts["global_stores"]) == (3 * 63, 3 * 31)


def test_a_column_of_a_tile_of_32_is_in_one_bank():
    report = simt.run(column_of_a_tile, 1, 32, np.zeros(32, np.float32))
    (load,) = (e for e in report.traffic if e.space == "shared" and e.access == "load")
    assert (load.degree, load.replays, load.warps) == (32, 31, 1)
    assert report.counts()["replays"] == 31


def test_blocks_of_a_launch_are_cut_into_batches_without_a_trace():
    x = np.random.default_rng(0).standard_normal((200, 200), np.float32)
    out = np.zeros((200, 200), np.float32)
    report = simt.run(simt_clean.tiled_kernel, (13, 13), (16, 16), x, x.copy(), out)
    np.testing.assert_allclose(out, x @ x, rtol=1e-4, atol=1e-3)
    assert report.barriers == 13 * 13 * 13 * 2
    assert report.total("threads", array="A") == 13 * 200 * 200


def test_fortran_order_keeps_its_addresses():
    x = np.asfortranarray(np.random.default_rng(0).standard_normal((32, 32), np.float32))
    out = np.zeros(32, np.float32)
    assert simt.run(by_rows, 1, 32, x, out).total("sectors", array="x") == 32 * 4
    np.testing.assert_allclose(out, x.sum(1), rtol=1e-4, atol=1e-5)
