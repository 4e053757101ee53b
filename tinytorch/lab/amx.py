"""AMX tile registers in compiled kernels: products of int8 matrices, 16 x 64 at a time.

Eight tiles of 16 rows of 64 bytes belong to every thread, numbered 0 to 7. A number is part of an instruction: it
must be a literal or a constant of the module. Ask `available()` before the first call of a kernel with tiles: it
asks the operating system for permission, and without this permission the kernel kills the process.
"""

import ctypes
import platform
from functools import cache

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

I8, I64 = ir.IntType(8), ir.IntType(64)
ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA, ARCH_PRCTL = 0x1023, 18, 158

# Palette 1, then bytes in a row (from byte 16) and rows (from byte 48) of the eight tiles.
LAYOUT = np.zeros(64, np.uint8)
LAYOUT[0] = 1
LAYOUT[16:32:2] = 64
LAYOUT[48:56] = 16


@cache
def available():
    """Return whether kernels may use tiles: the processor has them and the system permits them."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return False
    compiled_for = numba.config.CPU_FEATURES
    compiled_for = get_host_cpu_features() if compiled_for is None else compiled_for
    if "+amx-int8" not in compiled_for.split(",") or not llvm.get_host_cpu_features().get(
        "amx-int8"
    ):
        return False
    asked = ctypes.CDLL(None).syscall(ARCH_PRCTL, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)
    return asked == 0


@intrinsic
def configure(typing, layout):
    """Prepare this thread's tiles as `LAYOUT` says: 16 rows of 64 bytes each, all zero."""

    def emit(context, builder, sig, args):
        start = _address(context, builder, sig.args[0], args[0], I64(0))
        return _call(context, builder, "ldtilecfg", start)

    return types.void(layout), emit


@intrinsic
def release(typing):
    """Release this thread's tiles, so that the system need not save them when it switches threads."""
    return types.void(), lambda context, builder, sig, args: _call(context, builder, "tilerelease")


@intrinsic(prefer_literal=True)
def zero(typing, tile):
    """Set a tile to zero."""
    number = _number(tile)

    def emit(context, builder, sig, args):
        return _call(context, builder, "tilezero", number)

    return types.void(tile), emit


@intrinsic(prefer_literal=True)
def load(typing, tile, array, i, stride):
    """Load 16 rows of 64 bytes, `stride` bytes apart, the first at element i of the array."""
    return _move(tile, array, "tileloadd64")


@intrinsic(prefer_literal=True)
def store(typing, tile, array, i, stride):
    """Write 16 rows of 64 bytes, `stride` bytes apart, the first at element i of the array."""
    return _move(tile, array, "tilestored64")


@intrinsic(prefer_literal=True)
def dot(typing, sums, x, y):
    """Add a product to the 16 x 16 int32 of tile `sums`.

    Tile x contains 16 rows of 64 int8; row r of tile y contains, for 16 columns, the four int8 of steps 4r to 4r + 3.
    """
    numbers = [_number(tile) for tile in (sums, x, y)]

    def emit(context, builder, sig, args):
        return _call(context, builder, "tdpbssd", *numbers)

    return types.void(sums, x, y), emit


def _number(tile):
    if not isinstance(tile, types.IntegerLiteral) or not 0 <= tile.literal_value < 8:
        raise TypeError(f"a tile is a constant from 0 to 7, got {tile}")
    return I8(tile.literal_value)


def _move(tile, array, name):
    number = _number(tile)

    def emit(context, builder, sig, args):
        start = _address(context, builder, sig.args[1], args[1], args[2])
        return _call(context, builder, name, number, start, args[3])

    return types.void(tile, array, types.intp, types.intp), emit


def _address(context, builder, kind, array, i):
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [i]), I8.as_pointer())


def _call(context, builder, name, *args):
    kind = ir.FunctionType(ir.VoidType(), [value.type for value in args])
    builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.{name}"), args)
    return context.get_dummy_value()
