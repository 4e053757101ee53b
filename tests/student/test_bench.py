"""The benchmarks check each result and report every row, and tito bench works in an unfinished course."""

import dataclasses
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as program
from benchmarks import check, measure, ours, report
from benchmarks.ours import Missing, NotInstalled, Side
from benchmarks.rows import CURVES, ROWS, TARGETS
from tests.conftest import ROOT
from tinytorch.lab import ladder, roofline
from tinytorch.lab.child import in_child
from tito.course import Course, Exit, TitoError
from tito.student import bench

# The target table of the design, row by row, and the entries that represent each.
PROMISED = {
    "cache_friendly_matmul float32, 1 thread": ["matmul", "matmul_mkl"],
    "the same, 2 threads": ["matmul_threads"],
    "the same on a machine without AVX-512": ["matmul_haswell", "matmul_nehalem"],
    "quantized_matmul, weights packed once, against NumPy float32": ["int8_amx", "int8_vnni"],
    "the same against torch, on the way to onnxruntime": [
        "int8_amx_torch",
        "int8_vnni_torch",
        "int8_onnxruntime",
    ],
    "quantized_matmul where there is neither": ["int8_plain", "int8_pairs"],
    "vectorized_relu into a given output": ["relu"],
    "parallel_relu": ["parallel_relu", "parallel_relu_never_slower"],
    "fused bias + ReLU; dequantize + bias + ReLU": ["bias_relu", "dequantize_bias_relu"],
    "parallel_batch_processing": ["batch_python", "batch_numpy"],
    "quantized_relu int8": ["int8_relu"],
    "an MLP in int8": ["int8_mlp"],
    "convolution and attention": ["convolution", "attention"],
    "memory of cache_friendly_matmul": ["matmul_memory"],
    "cold compile of the whole module, and a second process": [
        "first_calls_first",
        "first_calls_second",
    ],
    "Tensor wrapper overhead": ["tensor_relu", "tensor_add"],
}


def small(row):
    """A small size, for speed."""
    first = row.sizes[0]
    return tuple(min(5, n) for n in first) if isinstance(first, tuple) else min(48, *row.sizes)


def test_every_promised_row_has_its_entries_and_no_entry_is_unpromised():
    names = [name for entries in PROMISED.values() for name in entries]
    assert sorted(names) == sorted(row.name for row in TARGETS)
    assert len(ROWS) == len(TARGETS) + len(CURVES)


def test_the_readme_lists_the_rows_as_they_are():
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    for row in TARGETS + CURVES:
        assert f"| {row.name} | {row.what} | {row.rival} | {row.target} |\n" in text
    table = text.partition("## Rows")[2].split("\n| ")[3:]
    assert [line.split(" | ")[0] for line in table] == list(ROWS)
    for path in (ROOT / "benchmarks").glob("*.py"):
        assert path.name in text or path.name.startswith("__")


@pytest.mark.parametrize("row", TARGETS + CURVES, ids=lambda row: row.name)
def test_a_row_is_well_formed(row):
    assert set(row.quick) <= set(row.sizes) and row.quick
    assert row.clock == ("wall" if row.threads > 1 else "cpu")
    assert (row.theirs is None) == (row.figure in ("memory", "seconds"))
    assert row.goal is None or all(row.wanted(size) > 0 for size in row.sizes)


@pytest.mark.parametrize(
    "row", [r for r in TARGETS + CURVES if r.name != "batch_python"], ids=lambda row: row.name
)
def test_both_sides_of_a_row_pass_its_check(row):
    if lack := program.lacks(dataclasses.replace(row, threads=1), program.features_here()):
        pytest.skip(lack)
    case = row.inputs(small(row))
    for make in (row.ours, row.theirs):
        try:
            side = make(*case.args) if make else None
        except (Missing, NotInstalled) as error:
            assert str(error)
            continue
        if side:
            row.check(side, case)
            assert side.how


def scaled(factor):
    """A run in which each figure of the table, with its interval, is so many times as large."""
    known = check.read()[1]
    rows = {(row.what, row.rival, row.target): row for row in TARGETS + CURVES}
    found = {}
    for (what, size, *rest), figures in known.items():
        number = [int(each.replace(",", "")) for each in size.split(" x ")]
        result = {"size": number if len(number) > 1 else number[0], "status": "measured"}
        result |= dict(zip(("value", "low", "high"), factor * np.array(figures), strict=True))
        found.setdefault((what, *rest), []).append(result | {"message": ""})
    kept = [
        {"name": rows[key].name, "what": key[0], "rival": key[1], "target": key[2]}
        | {"unit": "ratio", "results": results}
        for key, results in found.items()
    ]
    return {"rows": kept, "curves": [], "machine": []}


@pytest.mark.parametrize(("factor", "lower"), [(1, False), (0.97, False), (0.1, True)])
def test_a_run_is_compared_with_every_ratio_of_the_table(factor, lower):
    known = check.read()[1]
    found = list(check.pairs(scaled(factor), known))
    assert len(found) == len(known) > 50
    assert {check.lost(result, before) for _, result, before in found} == {lower}


def test_a_figure_that_stays_below_the_table_fails_the_comparison(monkeypatch, capsys):
    monkeypatch.setattr(check, "processor", lambda machine: "this one")
    runs = [scaled(0.1), scaled(1)]
    monkeypatch.setattr(program, "run", lambda *args, **options: runs.pop(0))
    assert program.compare(["relu"]) == 0, "the second run counts"
    runs += [scaled(0.1), scaled(0.1)]
    assert program.compare(["relu"]) == 1
    assert "slower: matmul 1,024: 0.1" in capsys.readouterr().out


def test_a_table_of_another_processor_is_not_compared(monkeypatch, capsys):
    monkeypatch.setattr(check, "processor", lambda machine: str(len(machine)))
    assert program.main(["--check"]) == 0
    assert capsys.readouterr().out.startswith("not compared: the table is of ")


def wrong(x):
    return Side(lambda: np.maximum(x, 0) + np.float32(1e-6), "wrong")


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_a_wrong_output_is_never_timed(side, monkeypatch):
    monkeypatch.setattr(ladder, "pairs", lambda *args: pytest.fail("timed"))
    row = dataclasses.replace(ROWS["relu"], **{side: wrong})
    found = measure.measure(row, 1000, 0.01)
    assert found["status"] == "wrong" and "expected" in found["message"]
    assert not {"value", "ours_seconds", "rival_seconds"} & set(found)
    line = report.line(row, found)
    assert "wrong: " in line and len(line) <= 80


def test_a_wrong_model_is_refused_by_its_accuracy():
    row = ROWS["int8_mlp"]
    case = row.inputs(8)
    broken = Side(lambda: None, "", lambda tests: np.eye(10)[np.zeros(len(tests), int)])
    with pytest.raises(AssertionError, match="right in"):
        row.check(broken, case)


def test_a_missing_kernel_or_rival_is_reported_in_its_row():
    def no_kernel(x):
        return ours._kernel("relu_of_tomorrow", "or_another")

    def no_rival(x):
        raise NotInstalled("torch (make bench installs it)")

    def breaks(x):
        raise KeyError("x")

    for change, status, word in [
        ({"ours": no_kernel}, "missing", "no kernel named relu_of_tomorrow or or_another"),
        ({"theirs": no_rival}, "not installed", "torch"),
        ({"theirs": breaks}, "error", "the rival: KeyError"),
        ({"ours": lambda x: Side(lambda: breaks(x), "")}, "error", "ours: KeyError"),
    ]:
        row = dataclasses.replace(ROWS["relu"], **change)
        found = measure.measure(row, 1000, 0.01)
        assert found["status"] == status and word in found["message"]
        assert "value" not in found
        entry = program._entry(row, [found])
        assert entry["reached"] == status
        assert status in report.summary([entry])[1][0]


def test_a_figure_is_reached_or_not(monkeypatch):
    monkeypatch.setattr(ladder, "pairs", lambda *args: ([1.0] * 9, [2.0] * 9))
    for goal, reached in [(1.9, True), (2.1, False), (None, None)]:
        found = measure.measure(dataclasses.replace(ROWS["relu"], goal=goal), 100, 0.01)
        assert (found["value"], found["reached"]) == (pytest.approx(2), reached)
    overhead = measure.measure(ROWS["tensor_add"], 16, 0.01)
    assert overhead["value"] == pytest.approx(-1e6) and overhead["reached"]


def test_threads_are_compared_by_their_shortest_times():
    row = ROWS["parallel_relu"]
    value, low, high = measure._figure(row, [1.0, 9.0, 9.0], [2.0, 2.0, 50.0])
    assert value == 2.0 and low <= 2.0 <= high


@pytest.mark.parametrize("free, reached", [(2.0, True), (1.5, None)])
def test_threads_on_a_busy_machine_are_undecided(free, reached, monkeypatch):
    monkeypatch.setattr(ladder, "free_cores", lambda function: free)
    monkeypatch.setattr(ladder, "pairs", lambda *args: ([1.0] * 9, [7.0] * 9))
    row = ROWS["matmul_threads"]
    found = measure.measure(row, 16, 0.01)
    assert (found["value"], found["reached"]) == (7, reached)
    word = "reached" if reached else "undecided"
    assert report.line(row, found).endswith(f"  {word}")
    assert report.reached(program._entry(row, [found])) == word


def test_hidden_instructions_are_hidden_from_both_sides(monkeypatch):
    known = "+avx512f,+avx512vnni,+avxvnni,+amx-int8,+amx-tile,-sse4a"
    monkeypatch.setattr(program, "get_host_cpu_features", lambda: known)
    features = program.features_here()
    seen = program._environment((1, "amx", ""), features)
    words = seen["NUMBA_CPU_FEATURES"].split(",")
    assert {"+avx512vnni", "-amx-int8", "-amx-tile", "-prefer-256-bit"} <= set(words)
    assert "+amx-int8" not in words and seen["ONEDNN_MAX_CPU_ISA"] == "AVX512_CORE_VNNI"
    assert "-avxvnni" in program._environment((1, "vnni", ""), features)["NUMBA_CPU_FEATURES"]
    assert program._environment((2, "", ""), features)["OPENBLAS_NUM_THREADS"] == "2"
    assert "NUMBA_CPU_FEATURES" not in program._environment((2, "", ""), frozenset({"neon"}))
    narrow = program._environment((1, "", "haswell"), features)
    assert (narrow["NUMBA_CPU_NAME"], narrow["OPENBLAS_CORETYPE"]) == ("haswell", "Haswell")
    assert program.lacks(ROWS["matmul_haswell"], frozenset({"neon"}))
    assert program.lacks(ROWS["int8_amx"], frozenset({"avx2"})) == "this processor has no AMX"
    assert program.lacks(ROWS["int8_amx"], features) is None


def test_a_run_writes_json_a_table_and_a_picture(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(program.BUDGETS, "quick", 0.02)
    path = tmp_path / "new" / "bench.json"
    words = ["--quick", "--only", "tensor_add", "--only", "relu", "--json", str(path)]
    assert program.main(words) == 0
    document = json.loads(path.read_text(encoding="utf-8"))
    assert (document["schema"], document["quick"]) == (1, True)
    assert set(document["versions"]) >= {"numpy", "torch", "onnxruntime"}
    assert document["machine"][0].startswith("cores: ")
    assert [row["name"] for row in document["rows"]] == ["relu", "tensor_add"]
    for row in document["rows"] + document["curves"]:
        assert {"name", "what", "rival", "target", "unit", "reached", "results"} == set(row)
        assert [each["size"] for each in row["results"]] == list(ROWS[row["name"]].quick)
        for found in row["results"]:
            assert found["status"] == "measured", found
            assert found["low"] <= found["value"] <= found["high"]
            assert found["ours_seconds"] > 0 and found["pairs"] >= 3 and found["ours"]
    page = path.with_suffix(".md").read_text(encoding="utf-8")
    assert page.count("| `np.maximum(out=)` |") == 2
    assert path.with_name("bench_cost.svg").exists() and path.with_name("bench_cost.png").exists()
    out = capsys.readouterr().out
    assert "reached: " in out
    table = [line for line in out.splitlines() if line.startswith(tuple(ROWS))]
    assert len(table) == 6 and all(len(line) <= 80 for line in table)


def test_a_row_that_does_not_exist_is_refused(capsys):
    assert program.main(["--only", "softmax"]) == 2
    error = capsys.readouterr().err.splitlines()
    assert error[0] == "error: no row named softmax" and error[1].startswith("hint: the rows are:")


CHILD = """
import json, os, sys, time
for task in json.load(sys.stdin):
    if task == "crash": os._exit(3)
    if task == "hang": time.sleep(60)
    print(json.dumps({"status": "measured", "value": task}), flush=True)
"""


def test_a_task_that_crashes_or_hangs_costs_only_itself():
    tasks = [1, "crash", 2, "hang", 3]
    found = list(in_child([sys.executable, "-c", CHILD], tasks, 3))
    assert [task for task, _ in found] == tasks
    states = [answer["status"] for _, answer in found]
    assert states == ["measured", "crashed", "measured", "timeout", "measured"]
    assert found[1][1]["message"] == "the process ended with exit code 3"


def test_pairs_are_at_least_and_at_most_so_many():
    for budget, count in [(0, 3), (60, 4)]:
        first, second = ladder.pairs(lambda: None, lambda: None, budget, "wall", 3, 4)
        assert len(first) == len(second) == count and min(first) > 0


REGION = re.compile(r"^( *)### BEGIN SOLUTION\n.*?### END SOLUTION", re.MULTILINE | re.DOTALL)


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A copy of the course whose kernels are all stubs; the roof is not measured again."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "tinytorch", tmp_path / "tinytorch", ignore=ignore)
    shutil.copy(ROOT / "settings.ini", tmp_path)
    folder = tmp_path / "modules" / "source" / "11_kernels"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "modules/source/11_kernels/kernels_bench.py", folder)
    (folder.parent / "01_tensor").mkdir()
    roof = roofline.Roof(200e9, {1: 400e9, 2: 80e9, 3: 20e9, "memory": 15e9})
    monkeypatch.setattr(roofline, "roof", lambda fresh=False: roof)
    module = Course(tmp_path).module("kernels")
    solved = module.package.read_text(encoding="utf-8")
    stub = REGION.sub(r"\1raise NotImplementedError()", solved)
    return module, solved, 'print("words of the student")\n' + stub


def solve(stub, solved, name, change=("", "")):
    """The stubs with one solution cell put back, changed as a student might."""
    region = re.compile(rf"^# %% [^\n]*#{name}$.*?(?=^# %% )", re.MULTILINE | re.DOTALL)
    cell = region.search(solved).group()
    assert change[0] in cell
    return region.sub(lambda _: cell.replace(*change), stub, count=1)


def test_bench_measures_what_exists_and_names_the_rest(course):
    module, solved, text = course
    text = solve(text, solved, "vectorized_relu")
    text = solve(text, solved, "quantized_relu", ("return vectorized_relu(x)", "return x"))
    module.package.write_text(text, encoding="utf-8")
    said = []
    document = bench.run(module, said.append, 60, 0.05)
    states = {step["kernel"]: step["status"] for step in document["steps"]}
    assert list(states) == [step.kernel for step in bench.ladder(module)]
    assert states.pop("vectorized_relu") == "measured"
    assert states.pop("quantized_relu") == "wrong"
    assert states.pop("parallel_relu") in ("measured", "not_started")
    assert set(states.values()) == {"not_started"}
    step = next(step for step in document["steps"] if step["kernel"] == "vectorized_relu")
    (against,) = step["comparisons"]
    assert against["against"] == "np.maximum" and against["low"] <= against["ratio"]
    assert against["verdict"] in ("faster", "slower", "undecided") and step["seconds"] > 0
    wrong = next(step for step in document["steps"] if step["status"] == "wrong")
    assert "seconds" not in wrong and not wrong["comparisons"]
    assert json.loads(json.dumps(document)) == document
    assert bench.code(document) == Exit.FAILED
    assert document["next"] == "make quantized_relu right; a time counts after that"
    for path in document["figures"]:
        assert Path(path).stat().st_size and Path(path).is_relative_to(module.course.build)
    shown = bench.text(document)
    assert "not started" in shown and "wrong result, not timed" in shown
    assert "words of the student" not in shown and "roofline: " in shown
    lines = [line for line in shown.splitlines() if not line.startswith("roofline: ")]
    assert all(len(line) <= 80 for line in lines)
    assert len(said) == len(document["steps"]) and "about" in said[0]


def test_bench_of_an_untouched_release_says_where_to_begin(course):
    module, _, text = course
    module.bench.write_text(module.bench.read_text() + "\nLADDER = LADDER[:2]\n")
    module.package.write_text(text, encoding="utf-8")
    document = bench.run(module, budget=0.05)
    assert {step["status"] for step in document["steps"]} == {"not_started"}
    assert bench.code(document) == Exit.PASSED
    assert document["next"].startswith("matmul_baseline is not started: ")


def test_bench_refuses_other_modules_and_packages_that_do_not_import(course):
    module, _, _ = course
    with pytest.raises(TitoError, match="01_tensor has no steps to measure") as error:
        bench.run(module.course.module("tensor"))
    assert error.value.code == Exit.USAGE and "kernels" in error.value.hint
    module.package.write_text("import nonsense_that_is_not_there\n", encoding="utf-8")
    with pytest.raises(TitoError, match=r"kernels.py cannot be imported: ModuleNotFoundError"):
        bench.run(module)
    module.package.unlink()
    with pytest.raises(TitoError, match="no file"):
        bench.run(module)


def document(*verdicts, status="measured"):
    comparisons = [
        {"against": "NumPy @", "ratio": 1.234567, "low": 0.9, "high": 1234.5, "verdict": verdict}
        for verdict in verdicts
    ]
    step = {
        "kernel": "parallel_batch_processing",
        "size": "8",
        "status": status,
        "message": "m " * 90,
    }
    step |= {"seconds": 1.234567, "comparisons": comparisons}
    facts = {
        "steps": [step],
        "machine": ["cores"],
        "quality": "q",
        "figures": [],
        "next": "n " * 90,
    }
    return facts


@pytest.mark.parametrize(
    "facts, code",
    [
        (document("faster", "undecided"), Exit.PASSED),
        (document("slower"), Exit.PASSED),
        (document("undecided", "undecided"), Exit.UNDECIDED),
        (document(), Exit.PASSED),
        (document(status="not_started"), Exit.PASSED),
        (document("faster", status="wrong"), Exit.FAILED),
        (document(status="timeout"), Exit.FAILED),
        (document(status="crashed"), Exit.FAILED),
    ],
)
def test_exit_codes_and_80_columns(facts, code):
    assert bench.code(facts) == code
    assert all(len(line) <= 80 for line in bench.text(facts).splitlines())


def test_the_next_step_comes_from_the_roof(course):
    roof = roofline.roof()
    steps = bench.ladder(course[0])[1:3]
    found = [
        {
            "kernel": "cache_friendly_matmul",
            "status": "measured",
            "flops": 2 * 256**3,
            "bytes": 12 * 256**2,
        },
        {"kernel": "vectorized_relu", "status": "not_started"},
    ]
    for share, words in [
        (0.12, "12% of the compute roof, up to 8.3 times"),
        (0.9, "vectorized_relu is"),
    ]:
        found[0]["seconds"] = 2 * 256**3 / (share * roof.peak)
        assert words in bench._next(steps, found, roof)
