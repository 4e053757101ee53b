"""What the lab reads of a machine, against the system's own files and against records of other systems."""

import json
import os
import platform
import struct
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from tinytorch.lab import hardware
from tinytorch.lab.hardware import CacheLevel
from tinytorch.lab.machine import detect, rates, stored

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
needs_sys = pytest.mark.skipif(not (CACHES / "index0").exists(), reason="no caches in /sys")


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The file of measured figures, in a folder that does not exist yet."""
    path = tmp_path / "cache" / "machine.json"
    monkeypatch.setattr(stored, "_file", lambda: path)
    return path


@needs_sys
def test_caches_match_the_list_of_the_system():
    seen = {}
    for folder in CACHES.glob("index*"):
        if (folder / "type").read_text().strip() != "Instruction":
            size = (folder / "size").read_text().strip()
            assert size.endswith("K")
            seen[int((folder / "level").read_text())] = int(size[:-1]) * 1024
    assert {entry.level: entry.size for entry in hardware.caches()} == seen
    for level, size in seen.items():
        assert hardware.cache_size(level) == size
    for entry in hardware.caches():
        assert not entry.ways or entry.size % (entry.ways * entry.line) == 0
        assert entry.shared_by >= 1


def test_a_cache_folder_with_gaps_is_read_as_far_as_it_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {2, 3}, raising=False)
    for index, facts in enumerate(
        [
            {"level": "1", "type": "Data", "size": "48K", "coherency_line_size": "64"},
            {"level": "1", "type": "Instruction", "size": "32K"},
            {"level": "2", "type": "Unified", "size": "2M", "shared_cpu_list": "0-3,8"},
        ]
    ):
        folder = tmp_path / "cpu2" / "cache" / f"index{index}"
        folder.mkdir(parents=True)
        for name, text in facts.items():
            (folder / name).write_text(text + "\n")
    assert detect._linux(tmp_path) == (
        CacheLevel(1, 48 * 1024, 64, 0, 0),
        CacheLevel(2, 2 * 1024**2, 0, 0, 5),
    )


def test_caches_of_a_mac_are_the_caches_of_its_fast_cores():
    text = (
        "hw.ncpu: 8\nhw.cachelinesize: 128\nhw.l1dcachesize: 65536\nhw.l2cachesize: 4194304\n"
        "hw.perflevel0.l1dcachesize: 131072\nhw.perflevel0.l2cachesize: 12582912\n"
        "hw.perflevel0.cpusperl2: 4\n"
    )
    assert detect._macos(text) == (
        CacheLevel(1, 131072, 128, 0, 1),
        CacheLevel(2, 12582912, 128, 0, 4),
    )
    older = "hw.cachelinesize: 64\nhw.l1dcachesize: 32768\nhw.l2cachesize: 262144\nhw.l3cachesize: 8388608\n"
    assert [entry.size for entry in detect._macos(older)] == [32768, 262144, 8388608]


@pytest.mark.parametrize("wide", [True, False])
def test_caches_of_windows_are_read_from_its_records(wide):
    def record(mask, kind, level=0, ways=0, line=0, size=0, use=0):
        rest = struct.pack("<BBHII4x", level, ways, line, size, use)
        return (struct.pack("<QI4x", mask, kind) if wide else struct.pack("<II", mask, kind)) + rest

    data = b"".join(
        [
            record(0b11, 0),
            record(0b11, 2, 1, 12, 64, 49152, 2),
            record(0b11, 2, 1, 8, 64, 32768, 1),
            record(0b1100, 2, 1, 8, 64, 32768, 2),
            record(0b1111, 2, 3, 0xFF, 64, 8 << 20, 0),
        ]
    )
    assert detect._windows(data, wide) == (
        CacheLevel(1, 49152, 64, 12, 2),
        CacheLevel(3, 8 << 20, 64, 0, 4),
    )


def test_what_cannot_be_read_is_assumed_and_named(monkeypatch):
    monkeypatch.setattr(detect, "caches", lambda: (CacheLevel(1, 49152, 64, 0, 1),))
    assert hardware.cache_size(1) == 49152
    assert hardware.cache_size(2) == 512 * 1024
    assert hardware.cache_size(3) == 8 * 1024**2
    missing = hardware.unread()
    assert "ways of the level 1 cache" in missing
    assert "size of the level 2 cache, 512 KiB assumed" in missing
    assert "not read: size of the level 3 cache" in hardware.describe()


def test_an_unknown_system_has_no_caches(monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Plan 9")
    assert hardware.caches.__wrapped__() == ()


def test_a_level_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="got 4"):
        hardware.cache_size(4)
    with pytest.raises(ValueError, match="got 'disk'"):
        hardware.bandwidth("disk")


def test_cores_are_no_more_than_the_process_may_use():
    assert 1 <= hardware.cores() <= os.cpu_count()
    if hasattr(os, "sched_getaffinity"):
        assert hardware.cores() <= len(os.sched_getaffinity(0))


def test_a_quota_of_one_and_a_half_cores_leaves_one(monkeypatch):
    monkeypatch.setattr(
        detect.psutil.Process, "cpu_affinity", lambda self: [0, 1, 2], raising=False
    )
    for quota, expected in [(1.5, 1), (0.5, 1), (2.0, 2), (8.0, 3), (None, 3)]:
        monkeypatch.setattr(detect, "_quota", lambda *paths, quota=quota: quota)
        assert hardware.cores() == expected


@pytest.mark.parametrize("mount", ["", "unified"])
def test_the_tightest_quota_above_the_process_counts(tmp_path, mount):
    inner = tmp_path / mount / "outer" / "inner"
    inner.mkdir(parents=True)
    (inner / "cpu.max").write_text("max 100000\n")
    (inner.parent / "cpu.max").write_text("150000 100000\n")
    membership = tmp_path / "cgroup"
    membership.write_text("0::/outer/inner\n")
    assert detect._quota(membership, tmp_path) == 1.5
    (inner / "cpu.max").write_text("50000 100000\n")
    assert detect._quota(membership, tmp_path) == 0.5


def test_quotas_of_the_first_kind_of_cgroups_are_read_too(tmp_path):
    folder = tmp_path / "cpu,cpuacct" / "job"
    folder.mkdir(parents=True)
    (folder / "cpu.cfs_quota_us").write_text("200000\n")
    (folder / "cpu.cfs_period_us").write_text("100000\n")
    (folder.parent / "cpu.cfs_quota_us").write_text("-1\n")
    (folder.parent / "cpu.cfs_period_us").write_text("100000\n")
    membership = tmp_path / "cgroup"
    membership.write_text("4:memory:/job\n3:cpu,cpuacct:/job\n")
    assert detect._quota(membership, tmp_path) == 2.0
    membership.write_text("4:memory:/job\n")
    assert detect._quota(membership, tmp_path) is None
    assert detect._quota(tmp_path / "missing", tmp_path) is None


@pytest.mark.parametrize(
    "features, machine, name, width",
    [
        ("+avx,+avx2,+avx512f,+fma", "x86_64", "AVX-512", 64),
        ("+avx,+avx2,-avx512f,+fma", "x86_64", "AVX2", 32),
        ("+avx,-avx2", "AMD64", "AVX", 32),
        ("", "x86_64", "SSE2", 16),
        ("+neon", "aarch64", "NEON", 16),
        ("", "arm64", "NEON", 16),
        ("", "riscv64", "none", 8),
    ],
)
def test_the_vector_unit_follows_the_setting_of_numba(monkeypatch, features, machine, name, width):
    monkeypatch.setattr(numba.config, "CPU_FEATURES", features)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    unit = hardware.simd()
    assert (unit.name, unit.width) == (name, width)
    assert all(feature in features for feature in unit.features)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names an x86 unit")
def test_a_generic_processor_has_the_smallest_vectors():
    code = "from tinytorch.lab import hardware; print(hardware.simd().name)"
    env = {**os.environ, "NUMBA_CPU_NAME": "generic"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.stdout.strip() == "SSE2", done.stderr


def test_describe_names_the_vector_unit_and_each_cache():
    text = hardware.describe()
    assert hardware.simd().name in text
    for entry in hardware.caches():
        assert f"L{entry.level}: " in text


def test_a_measured_figure_is_kept_and_not_measured_again(kept):
    measured = []

    def measure():
        measured.append(1)
        return 7.5 + len(measured)

    assert stored.stored("figure", measure, fresh=False) == 8.5
    assert stored.stored("figure", measure, fresh=False) == 8.5
    assert stored.stored("figure", measure, fresh=True) == 9.5
    assert stored.stored("another", measure, fresh=False) == 10.5
    assert sorted(json.loads(kept.read_text()).values()) == [9.5, 10.5]
    assert list(kept.parent.iterdir()) == [kept]


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b"\xff\xfe\x00", b'"text"'])
def test_a_broken_file_is_ignored_and_written_again(kept, content):
    kept.parent.mkdir()
    kept.write_bytes(content)
    assert stored.stored("figure", lambda: 2.5, fresh=False) == 2.5
    assert list(json.loads(kept.read_text()).values()) == [2.5]


@pytest.mark.parametrize("value", ['"fast"', "null", "-1.0", "NaN", "Infinity", "0.0", "[1.0]"])
def test_a_figure_that_cannot_be_true_is_measured_again(kept, value):
    stored.stored("figure", lambda: 2.5, fresh=False)
    kept.write_text(kept.read_text().replace("2.5", value))
    assert stored.stored("figure", lambda: 3.5, fresh=False) == 3.5


def test_a_folder_that_cannot_be_written_costs_only_the_memory(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(stored, "_file", lambda: tmp_path / "file" / "machine.json")
    assert stored.stored("figure", lambda: 2.5, fresh=False) == 2.5


def test_a_file_that_cannot_be_replaced_leaves_no_draft(kept, monkeypatch):
    def locked(source, target):
        raise PermissionError

    monkeypatch.setattr(stored.os, "replace", locked)
    assert stored.stored("figure", lambda: 2.5, fresh=False) == 2.5
    assert list(kept.parent.iterdir()) == []


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_peak_is_measured_for_both_precisions(kept, dtype):
    rate = hardware.peak_gflops(dtype)
    assert 0 < rate < 10_000
    assert hardware.peak_gflops(dtype) == rate


def test_the_peak_is_refused_for_other_types():
    with pytest.raises(TypeError, match="int8"):
        hardware.peak_gflops(np.int8)


@pytest.mark.parametrize("level", [1, 2, 3, "memory"])
def test_bandwidth_is_measured_for_each_level(kept, level):
    rate = hardware.bandwidth(level)
    assert 1e6 < rate < 1e14
    assert hardware.bandwidth(level) == rate


def test_the_copy_touches_all_it_counts_and_nothing_else():
    lanes = hardware.simd().width // 4
    block = np.ones(16 * lanes + 16, np.float32)
    skip = -block.ctypes.data % 64 // 4
    block = block[skip : skip + 16 * lanes]
    start = block.ctypes.data
    rates._copies(lanes)(start, start + 4 * 8 * lanes, 6, 2, np.float32(0.5))
    expected = [1.0] * (8 * lanes) + [0.5] * (6 * lanes) + [1.0] * (2 * lanes)
    assert block.tolist() == expected


def test_the_chains_compute_what_they_claim():
    chains = rates._chains(4, np.dtype(np.float64))
    value = 0.25
    for _ in range(3):
        value = value * 0.5 + 0.25
    assert chains(3, 0.5, 0.25) == pytest.approx(12 * value)


def test_importing_the_instruments_compiles_and_prints_nothing():
    code = """
import sys
from numba.core import event
with event.install_recorder("numba:compile") as record:
    from tinytorch.lab import hardware, memory, timing
assert not record.buffer, record.buffer
assert "matplotlib" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
