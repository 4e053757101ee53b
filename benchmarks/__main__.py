"""Measure every row of the target table: ``python -m benchmarks [--quick] [--only NAME] [--json FILE]``."""

import argparse
import json
import os
import shutil
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from numba.core.codegen import get_host_cpu_features

from benchmarks import check, report
from benchmarks.rows import CURVES, ROWS, TARGETS
from tinytorch.lab import hardware, timing
from tinytorch.lab.child import in_child

ROOT = Path(__file__).resolve().parent.parent
BUDGETS = {"default": 2.0, "quick": 0.3}  # seconds for the pairs of one size
SECONDS = 180  # that one size may take
THREADS = ("OPENBLAS", "OMP", "MKL", "VECLIB_MAXIMUM", "NUMBA")
HIDDEN = {"amx": ("amx",), "vnni": ("amx", "avx512vnni", "avxvnni")}
ONEDNN = {"amx": "AVX512_CORE_VNNI", "vnni": "AVX512_CORE"}
PACKAGES = ("numpy", "numba", "mkl", "torch", "onnxruntime")


def main(words=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few sizes and few pairs: a minute")
    parser.add_argument("--only", action="append", metavar="NAME", help="rows whose name begins so")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="where the JSON goes, with the table and the picture beside it",
    )
    parser.add_argument(
        "--page",
        type=Path,
        metavar="FILE",
        help="write the table there too, and the picture beside it",
    )
    parser.add_argument(
        "--check", action="store_true", help="compare a quick run with docs/measured/kernels.md"
    )
    options = parser.parse_args(words)
    names = [n for n in ROWS if not options.only or any(map(n.startswith, options.only))]
    if not names:
        print(f"error: no row named {', '.join(options.only)}", file=sys.stderr)
        print(f"hint: the rows are: {', '.join(ROWS)}", file=sys.stderr)
        return 2
    if options.check:
        return compare(names)
    document = run(names, options.quick)
    path = options.json or ROOT / "build" / "bench" / "bench.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    page = path.with_suffix(".md")
    page.write_text(report.markdown(document), encoding="utf-8")
    pictures = report.plot(document["curves"], path.with_name(f"{path.stem}_cost"))
    if options.page:
        options.page.write_text(page.read_text(encoding="utf-8"), encoding="utf-8")
        for picture in (each for each in pictures if each.suffix == ".svg"):
            shutil.copy(picture, options.page.with_name(f"{options.page.stem}_cost.svg"))
    head, rest = report.summary(document["rows"] + document["curves"])
    print("\n" + head, *(f"  {each}" for each in rest), sep="\n")
    print(
        *document["machine"], *(os.path.relpath(each) for each in (path, page, *pictures)), sep="\n"
    )
    states = {
        found["status"] for row in document["rows"] + document["curves"] for found in row["results"]
    }
    return 1 if states & {"wrong", "error", "crashed", "timeout"} else 0


def run(names, quick=False, say=print, budget=None):
    """Measure rows and return the document: machine, versions, rows, curves. `budget`: seconds for one size's pairs."""
    start = timing.machine_quality()
    features, results = features_here(), {name: [] for name in names}
    tasks = [(name, size) for name in names for size in _sizes(ROWS[name], quick)]
    budget = budget or BUDGETS["quick" if quick else "default"]
    done, begun = 0, time.perf_counter()
    say(report.header())
    for setting in dict.fromkeys(_setting(ROWS[name]) for name, _ in tasks):
        group = [task for task in tasks if _setting(ROWS[task[0]]) == setting]
        wanted = [task for task in group if lacks(ROWS[task[0]], features) is None]
        answers = in_child(
            [sys.executable, "-m", "benchmarks.measure"],
            [(*task, budget) for task in wanted],
            SECONDS,
            ROOT,
            _environment(setting, features),
        )
        for name, size in group:
            lack = lacks(ROWS[name], features)
            if lack:
                found = {"status": "not applicable", "message": lack}
            else:
                _progress(f"{name} {size}", done, len(tasks), time.perf_counter() - begun)
                found = next(answers)[1]
            found = {"size": size, "goal": ROWS[name].wanted(size)} | found
            results[name].append(found)
            done += 1
            _progress("")
            say(report.line(ROWS[name], found))
        answers.close()
    machine = [*hardware.describe().splitlines(), f"before: {start}"]
    machine.append(f"after: {timing.machine_quality()}")
    rows, curves = (
        [_entry(row, results[row.name]) for row in kind if row.name in results]
        for kind in (TARGETS, CURVES)
    )
    versions = {name: _version(name) for name in PACKAGES}
    return {
        "schema": 1,
        "quick": quick,
        "machine": machine,
        "versions": versions,
        "rows": rows,
        "curves": curves,
    }


def compare(names):
    """Measure rows quickly, then rows below the table again with all pairs. Return 1 if a row stays below."""
    machine, known = check.read()
    before, here = check.processor(machine), check.processor(hardware.describe().splitlines())
    if before != here:
        print(f"not compared: the table is of {before}, this machine is {here}")
        return 0
    found = list(check.pairs(run(names, quick=True), known))
    doubtful = {name for name, result, old in found if check.lost(result, old)}
    again = {}
    if doubtful:
        print("\nbelow the table, measured again:")
        document = run(sorted(doubtful), quick=True, budget=BUDGETS["default"])
        again = {(name, str(r["size"])): r for name, r, _ in check.pairs(document, known)}
    lost = 0
    for name, result, old in found:
        result = again.get((name, str(result["size"])), result)
        if check.lost(result, old):
            lost += 1
            value = f"{result['value']:.2f} ({result['low']:.2f} to {result['high']:.2f})"
            print(f"slower: {name} {report.size(result['size'])}: {value}, was {old[0]:.2f}")
    print(f"{len(found)} figures compared with docs/measured/kernels.md, {lost} lower")
    return 1 if lost else 0


def _entry(row, results):
    entry = {"name": row.name, "what": row.what, "rival": row.rival, "target": row.target}
    entry |= {"unit": row.figure, "results": results}
    return entry | {"reached": report.reached(entry)}


def _sizes(row, quick):
    return row.quick if quick else row.sizes


def _setting(row):
    return row.threads, row.without, row.cpu


def features_here():
    return frozenset(
        word[1:] for word in get_host_cpu_features().split(",") if word.startswith("+")
    )


def lacks(row, features):
    """Why a row does not apply to this machine, or None."""
    names = {"amx": "amx-int8", "vnni": "avx512vnni"}
    if row.needs and names[row.needs] not in features:
        return f"this processor has no {row.needs.upper()}"
    if row.cpu and "avx2" not in features:
        return f"this processor cannot imitate {row.cpu}"
    if row.threads > hardware.cores():
        return f"this process may use {hardware.cores()} core"
    return None


def _environment(setting, features):
    """Threads for both sides, and instruction sets hidden from both."""
    threads, without, cpu = setting
    settings = {
        f"{name}_{'THREADS' if name == 'VECLIB_MAXIMUM' else 'NUM_THREADS'}": str(threads)
        for name in THREADS
    }
    # Idle threads of OpenBLAS spin for 2**26 ticks and would slow down the next measurement.
    settings |= {"OMP_WAIT_POLICY": "passive", "OPENBLAS_THREAD_TIMEOUT": "20"}
    settings["PYTHONPATH"] = _path()
    if without and any(name.startswith(HIDDEN[without]) for name in features):
        kept = [
            n for n in get_host_cpu_features().split(",") if not n[1:].startswith(HIDDEN[without])
        ]
        off = [f"-{name}" for name in sorted(features) if name.startswith(HIDDEN[without])]
        wide = ["-prefer-256-bit"] if "avx512f" in features else []
        settings["NUMBA_CPU_FEATURES"] = ",".join(kept + off + wide)
        settings["ONEDNN_MAX_CPU_ISA"] = ONEDNN[without]
    if cpu:
        settings |= {"NUMBA_CPU_NAME": cpu, "OPENBLAS_CORETYPE": cpu.capitalize()}
    return os.environ | settings


def _path():
    known = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(ROOT), *([known] if known else [])])


def _progress(text, done=0, total=0, seconds=0.0):
    if sys.stderr.isatty():
        left = f", about {seconds / done * (total - done):.0f} s left" if done else ""
        word = f"{text}: {done + 1} of {total}{left}" if text else ""
        print(f"\r{word:78}\r", end="", file=sys.stderr, flush=True)


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    sys.exit(main())
