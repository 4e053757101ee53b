"""Register tiles of any shape: their products, and which shapes fit a machine."""

import numpy as np
import pytest

from tinytorch.lab import register_tiles as tiles
from tinytorch.lab import simd


@pytest.mark.parametrize(("rows", "vectors"), [(1, 1), (3, 2)])
def test_a_tile_is_the_product_of_its_rows_and_its_panel(rows, vectors):
    A, panel, out = tiles.operands(rows, vectors)
    found = tiles.kernel(rows, vectors)(2, A, panel, out).reshape(rows, -1)
    right = A.reshape(rows, -1).astype(float) @ panel.reshape(tiles.STEPS, -1)
    np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-3)
    assert found.shape == (rows, vectors * simd.width() // 4)


@pytest.mark.parametrize(
    ("machine", "shape"),
    [
        (tiles.Machine(registers=16, latency=5, ports=2), (4, 3)),
        (tiles.Machine(registers=32, latency=4, ports=2), (5, 5)),
    ],
)
def test_the_best_shape_fits_and_keeps_the_ports_busy(machine, shape):
    rows, vectors = tiles.best(machine)
    assert machine.allows(rows, vectors) and machine.busy(rows, vectors) == 1
    assert tiles.loads(rows, vectors) == tiles.loads(*shape)


def test_a_judgment_names_registers_ports_and_loads():
    machine = tiles.Machine(registers=16, latency=4, ports=2)
    assert "needs 17 of 16 registers" in tiles.judge(machine, 7, 2)
    assert tiles.judge(machine, 1, 1).startswith("1 by 1: ports 12 % busy, 2.00 loads")
    assert tiles.judge(machine, *tiles.best(machine)).endswith("no shape does better")
