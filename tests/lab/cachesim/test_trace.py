"""Traces: fields, totals, table and picture."""

from dataclasses import fields

import numpy as np

from tests.support.traces import ijk, ikj, matmul_log, packed, watched
from tinytorch.lab.memory import SMALL, Cache, Trace


def test_a_trace_is_plain_data_and_survives_field_by_field():
    trace = matmul_log(ijk, 8).simulate()
    values = {field.name: getattr(trace, field.name) for field in fields(trace)}
    for value in values.values():
        if isinstance(value, dict):
            assert {type(item) for pair in value.items() for item in pair} == {str, int}
        else:
            assert isinstance(value, (int, str)) or (type(value), value.dtype) == (
                np.ndarray,
                np.uint32,
            )
    assert Trace(**values) == trace


def test_the_picture_keeps_at_most_twenty_thousand_accesses_and_misses_first():
    log = matmul_log(ikj, 24)
    trace = log.simulate(Cache(64, 1))
    assert trace.accesses > 20_000
    assert trace.log.shape == (20_000, 4)
    assert (np.diff(trace.log[:, 0].astype(int)) > 0).all()
    assert trace.log[:, 3].sum() == min(10_000, trace.total_misses)
    few = log.simulate()
    assert few.log[:, 3].sum() == few.total_misses


def test_totals_are_sums_and_are_in_the_table():
    trace = matmul_log(ijk, 8).simulate(SMALL)
    assert trace.accesses == trace.total_loads + trace.total_stores == 2 * 8**3 + 8**2
    assert trace.total_hits + trace.total_misses == trace.accesses
    assert trace.miss_ratio == trace.total_misses / trace.accesses
    lines = trace.table().splitlines()
    assert lines[0].split() == ["array", "loads", "stores", "hits", "misses", "miss", "%"]
    assert [line.split()[0] for line in lines[1:5]] == ["a", "b", "c", "all"]
    assert lines[4].split()[1:3] == ["1,024", "64"]
    assert "L1 12" in lines[5] and "4 KiB 8-way" in lines[5]
    assert "<td>c</td>" in trace._repr_html_()
    assert repr(trace) == "Trace(1,088 accesses, misses {'L1': 12})"


def test_an_empty_log_gives_an_empty_trace():
    log, _ = watched(np.zeros(3))
    trace = log.simulate()
    assert (trace.accesses, trace.miss_ratio, trace.bytes) == (0, 0.0, 0)
    assert trace.log.shape == (0, 4)
    trace.plot()


def test_the_picture_has_a_panel_for_each_array(tmp_path):
    figure = matmul_log(packed, 8).simulate(SMALL).plot()
    assert [axis.get_ylabel().split()[0] for axis in figure.axes] == [
        "a",
        "b",
        "c",
        "scratch0",
        "scratch1",
    ]
    figure.savefig(tmp_path / "trace.png")
    assert (tmp_path / "trace.png").stat().st_size > 5000
