"""A notebook that calls NumPy wherever a loop is asked for earns the points for right answers, and no others."""

import ast
import textwrap

import pytest

from tests.conftest import ROOT
from tito.course import Course
from tito.grading import job, supervisor
from tito.notebooks import cells as lesson
from tito.notebooks import notebook as nb
from tito.notebooks.text import read_text
from tito.student import testing

KERNELS = Course(ROOT).module("kernels")

# What represents the whole body of the function that is asked for, which is plain Python then.
CALLS = {
    "matmul_baseline": """
        C += A @ B
        return C
        """,
    "vectorized_relu": "y[:] = np.maximum(x, 0)",
    "vectorized_operations": """
        product[:], total[:], squared[:] = x * y, x + y, (x - y) ** 2
        dot = np.sum((x + zero) * y)
        return dot, np.sum((x.astype(float) - y.astype(float)) ** 2)
        """,
    "pack_panels": """
        where = start + stride * np.arange(depth)[:, None] + np.arange(columns)
        whole = np.zeros((depth, -(-columns // width) * width), panels.dtype)
        whole[:, :columns] = source[where]
        panels[: whole.size] = whole.reshape(depth, -1, width).transpose(1, 0, 2).reshape(-1)
        return panels
        """,
    "multiply_tile": """
        width = len(spare) // TILE_ROWS
        left = A[i + lda * np.arange(rows)[:, None] + np.arange(depth)]
        right = panels[j : j + depth * width].reshape(depth, width)[:, :columns]
        C[c + ldc * np.arange(rows)[:, None] + np.arange(columns)] += left @ right
        return C
        """,
    "cache_friendly_matmul": """
        C[:, first:last] += A @ B[:, first:last]
        return C
        """,
    "quantize": """
        q[:] = np.clip(np.rint(x / scale), -127, 127)
        return q
        """,
    "pack_fours": """
        whole = np.zeros((depth, len(starts)), np.int8)
        whole[: B.shape[0], : B.shape[1]] = B
        fours = whole.reshape(depth // 4, 4, -1, width).transpose(2, 0, 3, 1)
        packed[: fours.size] = fours.reshape(-1)
        starts[:] = -128 * whole.sum(axis=0, dtype=np.int64)
        """,
    "quantized_relu": """
        x = unwrap(x)
        if scale is not None:
            scale = checked_scale(scale)
        if x.dtype == np.int8:
            return Tensor(np.maximum(x, np.int8(0)))
        q, scale = quantize(x, scale)
        result = np.maximum(q.data, 0) * scale
        return finish(result, np.result_type(x.dtype, np.float32 if x.dtype.kind != "f" else x.dtype))
        """,
    "sparse_matmul": """
        for i in range(len(starts) - 1):
            kept = slice(starts[i], starts[i + 1])
            sums[i] += values[kept] @ panel[columns[kept]]
        """,
    "fused_dense_relu": """
        x, weights = matrices(x, weights)
        bias = unwrap(bias)
        if bias.shape != weights.shape[1:]:
            raise ValueError(f"a bias of {bias.shape}")
        return Tensor(np.maximum(x @ weights + bias, 0))
        """,
    "gpu_relu": "y[:] = np.maximum(x, 0)",
    "element_kernel": "C[:] = A @ B",
    "gpu_matmul": "C[:] = A @ B",
}

# Tests that run the Python code of a kernel, to follow its elements: the only tests that these calls fail.
FOLLOWED = {
    "matmul_baseline_edges",
    "matmul_baseline_loads",
    "vectorized_relu_one_pass",
    "vectorized_relu_special_values",
    "vectorized_relu_vectors",
    "vectorized_operations_one_pass",
    "pack_panels_inside",
    "multiply_tile_float64",
    "multiply_tile_loads",
    "cache_friendly_matmul_misses",
    "cache_friendly_matmul_neighbors",
    "sparse_matmul_loads",
    "fused_dense_relu_memory",
}
ON_THE_GRID = ("gpu_relu", "element_kernel", "gpu_matmul")  # there NumPy has nothing to call


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_calls_of_numpy_earn_the_points_for_right_answers_only():
    cells = nb.cells(nb.read(KERNELS), read_text(KERNELS.source))
    answers = {cell.id: answer(cell) for cell in cells if cell.id in CALLS}
    made = job.make(KERNELS, cells, testing.scratch(KERNELS), answers, None)
    lost = {each.id: each.message for each in supervisor.run(made) if each.status != "passed"}
    grid = {name for name in lost if name.startswith(ON_THE_GRID)}
    assert lost.keys() - grid == FOLLOWED, lost
    assert {cell.id for cell in cells if cell.id.startswith(ON_THE_GRID) and cell.points} == grid
    points = {cell.id: cell.points for cell in cells}
    assert sum(points[name] for name in FOLLOWED) == 14


def answer(cell):
    """The cell with NumPy's calls for the body of the function that is asked for."""
    lines, marker = cell.source.split("\n"), lesson.BEGIN_SOLUTION
    place = next(number for number, line in enumerate(lines, 1) if line.strip() == marker)
    functions = [
        node
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.FunctionDef) and node.lineno < place <= node.end_lineno
    ]
    inner = max(functions, key=lambda node: node.lineno)
    first = inner.body[0].lineno - 1
    body = textwrap.indent(textwrap.dedent(CALLS[cell.id]).strip(), " " * inner.body[0].col_offset)
    text = "\n".join([*lines[:first], body, *lines[inner.end_lineno :]])
    return text.replace("@compiling.kernel\n", "")
