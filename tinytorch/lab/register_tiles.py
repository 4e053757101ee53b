"""Register tiles of any shape: a kernel for each, its rate, and whether a shape fits a machine."""

import functools
import linecache
from dataclasses import dataclass

import numpy as np

from tinytorch.lab import compiling, simd, timing

STEPS, TIMES = 256, 40  # steps of k in a tile, and tiles in a call


@dataclass(frozen=True)
class Machine:
    """The properties of a machine that decide the shape of a register tile.

    Parameters
    ----------
    registers : int
        Vector registers.
    latency : int
        Cycles from the start of an FMA to its result.
    ports : int
        FMA instructions that start in one cycle.
    """

    registers: int
    latency: int
    ports: int

    def allows(self, rows, vectors) -> bool:
        """Tell whether the sums, a row of B, and one element of A fit into the registers."""
        return rows * vectors + vectors + 1 <= self.registers

    def busy(self, rows, vectors) -> float:
        """Return the share of FMA slots that the independent sums of a tile can fill."""
        return min(1.0, rows * vectors / (self.latency * self.ports))


def loads(rows, vectors) -> float:
    """Return the loads for each FMA: a tile loads `rows` elements of A and `vectors` vectors of B a step."""
    return (rows + vectors) / (rows * vectors)


def best(machine, most=16) -> tuple[int, int]:
    """Return the shape with the fewest loads per FMA that fits and keeps all ports busy."""
    shapes = [(r, v) for r in range(1, most + 1) for v in range(1, most + 1)]
    fitting = [shape for shape in shapes if machine.allows(*shape)]
    return min(fitting, key=lambda shape: (-machine.busy(*shape), loads(*shape)))


def judge(machine, rows, vectors) -> str:
    """Describe a shape beside the best one: registers, busy ports and loads."""
    if not machine.allows(rows, vectors):
        used = rows * vectors + vectors + 1
        return (
            f"{rows} by {vectors}: needs {used} of {machine.registers} registers: sums go to memory"
        )
    other = best(machine)
    words = f"{rows} by {vectors}: ports {100 * machine.busy(rows, vectors):.0f} % busy"
    words += f", {loads(rows, vectors):.2f} loads for each FMA"
    if (machine.busy(rows, vectors), loads(rows, vectors)) == (machine.busy(*other), loads(*other)):
        return f"{words}; no shape does better"
    return f"{words}; {other[0]} by {other[1]} has {loads(*other):.2f}"


def source(rows, vectors) -> str:
    """Return the text of a kernel that multiplies a tile of `rows` rows and `vectors` vectors many times."""
    sums = [[f"c{r}{v}" for v in range(vectors)] for r in range(rows)]
    names = [name for row in sums for name in row]
    lines = ["def tiles(times, A, panel, out):", "    n = lanes(out)", "    for _ in range(times):"]
    lines += [f"        {' = '.join(names)} = zero(out)", f"        for p in range({STEPS}):"]
    lines += [
        f"            b{v} = load(panel, {vectors} * n * p + {v} * n)" for v in range(vectors)
    ]
    for r, row in enumerate(sums):
        lines.append(f"            a = broadcast(A, {r * STEPS} + p)")
        lines += [f"            {name} = fma(a, b{v}, {name})" for v, name in enumerate(row)]
    lines += [f"        store(out, {place} * n, {name})" for place, name in enumerate(names)]
    return "\n".join([*lines, "    return out", ""])


@functools.cache
def kernel(rows, vectors):
    """Return the compiled kernel of a shape."""
    path, text = f"<a tile of {rows} by {vectors}>", source(rows, vectors)
    linecache.cache[path] = len(text), None, text.splitlines(True), path
    words = ("lanes", "zero", "load", "broadcast", "fma", "store")
    names = {word: getattr(simd, word) for word in words}
    exec(compile(text, path, "exec"), names)
    return compiling.kernel(names["tiles"])


def operands(rows, vectors) -> tuple:
    """Return float32 arguments of a kernel after the count: rows of A, a panel of B, and room for the sums."""
    n = simd.width() // 4
    A = np.linspace(-1, 1, rows * STEPS, dtype=np.float32)
    panel = np.linspace(1, 2, vectors * n * STEPS, dtype=np.float32)
    return A, panel, np.zeros(rows * vectors * n, np.float32)


def rate(rows, vectors) -> float:
    """Return GFLOP/s of a tile of float32 that is multiplied again and again from the first-level cache."""
    args = operands(rows, vectors)
    call = functools.partial(kernel(rows, vectors), TIMES, *args)
    spent = timing.samples(call, 7, timing.calls_per_sample(call))[1].min()
    return 2e-9 * TIMES * STEPS * args[2].size / float(spent)
