"""Vector registers and instructions for compiled kernels, like the intrinsics of C.

    @compiling.kernel
    def double(x, y):
        for i in range(0, len(x), simd.lanes(x)):
            v = simd.load(x, i)
            simd.store(y, i, simd.add(v, v))

A vector has the element type of the array it was loaded from and fills one register of the machine that
Numba compiles for: 64 bytes with AVX-512, 32 with AVX2, else 16. An index counts elements of memory from
the first element of the array, whatever its number of dimensions. Nothing is checked: a load outside the array reads
other memory, and a store overwrites it.

With 32 registers a wide vector uses a pair, with 16 a single one. Either way 16 wide vectors fit in the registers
of a machine.
"""

import re
from functools import cache

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic, models, register_model

from tinytorch.lab import compiling  # noqa: F401  (settles what Numba compiles for)

I8, I16, I32 = ir.IntType(8), ir.IntType(16), ir.IntType(32)
ELEMENTS = {
    types.float32: ir.FloatType(),
    types.float64: ir.DoubleType(),
    types.int32: I32,
    types.int64: ir.IntType(64),
    types.int16: I16,
    types.int8: I8,
    types.uint8: I8,
}


PAIRS = {
    64: "llvm.x86.avx512.pmaddw.d.512",
    32: "llvm.x86.avx2.pmadd.wd",
    16: "llvm.x86.sse2.pmadd.wd",
}


class Vector(types.Type):
    """One register of elements of a NumPy dtype, or several registers used as one."""

    def __init__(self, element, count=1):
        self.element, self.count = element, count
        self.lanes = count * width() * 8 // element.bitwidth
        self.llvm = ir.VectorType(ELEMENTS[element], self.lanes)
        super().__init__(f"vector of {self.lanes} {element}")


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    """Numba's data model of a vector: an LLVM vector."""

    def __init__(self, manager, vector):
        super().__init__(manager, vector, vector.llvm)


@cache
def width():
    """Return the bytes of a vector register: 64, 32 or 16."""
    for size, name in [(64, "zmm"), (32, "ymm")]:
        if f"%{name}0" in _assembly():
            return size
    return 16


@cache
def registers():
    """Return how many vector registers there are, 32 or 16."""
    return 16 if llvm.get_process_triple().startswith("x86") and width() < 64 else 32


@cache
def has_dot():
    """Return whether `dot4` of bytes is one instruction of this machine (VNNI)."""
    return "vpdpwssd" in _assembly()


@cache
def has_pairs():
    """Return whether `dot4` of int16 is two instructions of this machine, for a whole register."""
    kind = {64: "z", 32: "y", 16: "x"}[width()]
    return re.search(rf"paddw\s.*%{kind}mm", _assembly()) is not None


@intrinsic
def lanes(typing, array):
    """Return how many elements of this array's dtype a vector contains."""
    vector = _vector(array)
    return types.intp(array), lambda context, builder, sig, args: ir.IntType(64)(vector.lanes)


@intrinsic
def zero(typing, array):
    """Return a vector of zeros."""
    vector = _vector(array)
    return vector(array), lambda context, builder, sig, args: vector.llvm(None)


@intrinsic
def splat(typing, array, value):
    """Return a vector with `value`, as a number of the array's type, in every lane."""
    vector = _vector(array)

    def emit(context, builder, sig, args):
        number = context.cast(builder, args[1], sig.args[1], vector.element)
        return _everywhere(builder, number, vector.llvm)

    return vector(array, value), emit


@intrinsic
def broadcast(typing, array, i):
    """Return a vector with the number at i in every lane."""
    return _broadcast(_vector(array), array)


@intrinsic
def broadcast4(typing, array, i):
    """Return a vector that repeats the four bytes from i on: an operand of `dot4`."""
    return _broadcast4(_vector(array), array)


@intrinsic
def load(typing, array, i):
    """Return the vector that starts at i, anywhere in memory."""
    return _load(_vector(array), array, aligned=False)


@intrinsic
def load_aligned(typing, array, i):
    """Return the vector that starts at i, which must be a multiple of its size in memory."""
    return _load(_vector(array), array, aligned=True)


@intrinsic
def store(typing, array, i, vector):
    """Write a vector, wide or not, from i on, anywhere in memory."""
    wide = isinstance(array, types.Array) and vector == _wide(array)
    return _store(vector if wide else _same(array, vector), array)


@intrinsic
def stream(typing, array, i, vector):
    """Write a vector with a non-temporal store; its address must be a multiple of its size.

    Other threads see it after `fence`.
    """
    return _store(_same(array, vector), array, past_caches=True)


@intrinsic
def fence(typing):
    """Wait until everything written so far, `stream` included, can be seen by other threads."""

    def emit(context, builder, sig, args):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), emit


@intrinsic
def prefetch(typing, array, i):
    """Prefetch the cache line of element i, which need not exist."""
    _vector(array)

    def emit(context, builder, sig, args):
        address = _address(context, builder, sig, args, I8)
        kind = ir.FunctionType(ir.VoidType(), [address.type, I32, I32, I32])
        call = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(call, [address, I32(0), I32(3), I32(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), emit


@intrinsic
def wide_lanes(typing, array):
    """Return how many elements of this array's dtype a wide vector contains."""
    vector = _wide(array)
    return types.intp(array), lambda context, builder, sig, args: ir.IntType(64)(vector.lanes)


@intrinsic
def wide_zero(typing, array):
    """Return a wide vector of zeros."""
    vector = _wide(array)
    return vector(array), lambda context, builder, sig, args: vector.llvm(None)


@intrinsic
def wide_broadcast(typing, array, i):
    """Return a wide vector with the number at i in every lane."""
    return _broadcast(_wide(array), array)


@intrinsic
def wide_load(typing, array, i):
    """Return the wide vector that starts at i, anywhere in memory."""
    return _load(_wide(array), array, aligned=False)


@intrinsic
def wide_broadcast4(typing, array, i):
    """Return a wide vector that repeats the four bytes from i on: an operand of `dot4`."""
    return _broadcast4(_wide(array), array)


@intrinsic
def add(typing, x, y):
    """Return x + y; integers wrap around."""
    return _arithmetic(_same(x, y), "fadd", "add")


@intrinsic
def multiply(typing, x, y):
    """Return x * y; integers wrap around."""
    return _arithmetic(_same(x, y), "fmul", "mul")


@intrinsic
def fma(typing, x, y, z):
    """Return x * y + z, rounded once where the machine has the instruction."""
    vector = _same(x, y, z)

    def emit(context, builder, sig, args):
        if _is_float(vector):
            return _call(builder, "llvm.fmuladd", vector, args)
        return builder.add(builder.mul(*args[:2]), args[2])

    return vector(x, y, z), emit


@intrinsic
def maximum(typing, x, y):
    """Return the larger of each pair as np.maximum does: NaN if either is, and 0.0 before -0.0."""
    vector = _same(x, y)
    name = "maximum" if _is_float(vector) else "smax" if vector.element.signed else "umax"

    def emit(context, builder, sig, args):
        return _call(builder, f"llvm.{name}", vector, args)

    return vector(x, y), emit


@intrinsic
def to_float(typing, vector):
    """Return the int32 of a vector as float32, rounded."""
    if not isinstance(vector, Vector) or vector.element != types.int32:
        raise TypeError(f"to_float takes a vector of int32, got {vector}")
    floats = Vector(types.float32)

    def emit(context, builder, sig, args):
        return builder.sitofp(args[0], floats.llvm)

    return floats(vector), emit


@intrinsic
def dot4(typing, sums, x, y):
    """Add to each int32 lane of `sums`, wide or not, the products of its four bytes of x and y; never saturates.

    They are four uint8 of x and four int8 of y, or two int16 of both, whose products must not exceed 2**30.
    """
    elements = [getattr(value, "element", None) for value in (sums, x, y)]
    pairs = elements == [types.int32, types.int16, types.int16]
    if not pairs and elements != [types.int32, types.uint8, types.int8]:
        raise TypeError(
            f"dot4 takes vectors of int32, uint8 and int8, or of int32 and int16 twice,"
            f" got {sums}, {x}, {y}"
        )

    def emit(context, builder, sig, args):
        if not (has_pairs() if pairs else has_dot()):
            return _dot4(builder, sums.llvm, *args, 16 if pairs else 8)
        name = PAIRS[width()] if pairs else f"llvm.x86.avx512.vpdpbusd.{width() * 8}"
        parts = [_split(builder, value, sums.count) for value in args]
        parts = parts[1:] if pairs else parts
        kind = ir.FunctionType(_split_type(sums), [part[0].type for part in parts])
        dot = cgutils.get_or_insert_function(builder.module, kind, name)
        found = _join(builder, [builder.call(dot, each) for each in zip(*parts, strict=True)])
        return builder.add(args[0], found) if pairs else found

    return sums(sums, x, y), emit


def _vector(array, *elements):
    if not isinstance(array, types.Array):
        raise TypeError(f"a vector comes from an array, got {array}")
    if array.dtype not in (elements or ELEMENTS):
        names = ", ".join(str(element) for element in elements or ELEMENTS)
        raise TypeError(f"no vectors of {array.dtype}: it must be one of {names}")
    if array.layout not in "CF":
        raise TypeError(f"vectors need elements that are contiguous in memory, got {array}")
    return Vector(array.dtype)


def _wide(array):
    return Vector(_vector(array).element, registers() // 16)


def _same(*values):
    """The common vector type of all values; for an array, the type of its vectors."""
    found = [_vector(value) if isinstance(value, types.Array) else value for value in values]
    if not isinstance(found[0], Vector) or any(value != found[0] for value in found):
        raise TypeError(f"vectors of one type are needed, got {', '.join(map(str, values))}")
    return found[0]


def _is_float(vector):
    return isinstance(vector.element, types.Float)


def _address(context, builder, sig, args, kind=None):
    """A pointer to element args[1] of the array args[0], as one to `kind`."""
    data = context.make_array(sig.args[0])(context, builder, args[0]).data
    address = builder.gep(data, [args[1]])
    return builder.bitcast(address, kind.as_pointer()) if kind else address


def _everywhere(builder, number, kind):
    one = builder.insert_element(kind(ir.Undefined), number, I32(0))
    first = ir.VectorType(I32, kind.count)([0] * kind.count)
    return builder.shuffle_vector(one, kind(ir.Undefined), first)


def _broadcast(vector, array):
    def emit(context, builder, sig, args):
        number = builder.load(_address(context, builder, sig, args))
        return _everywhere(builder, number, vector.llvm)

    return vector(array, types.intp), emit


def _broadcast4(vector, array):
    _vector(array, types.int8, types.uint8, types.int16)
    words = ir.VectorType(I32, vector.lanes * vector.element.bitwidth // 32)

    def emit(context, builder, sig, args):
        address = _address(context, builder, sig, args, I32)
        word = builder.load(address, align=1)
        return builder.bitcast(_everywhere(builder, word, words), vector.llvm)

    return vector(array, types.intp), emit


def _load(vector, array, aligned):
    align = width() if aligned else vector.element.bitwidth // 8

    def emit(context, builder, sig, args):
        return builder.load(_address(context, builder, sig, args, vector.llvm), align=align)

    return vector(array, types.intp), emit


def _store(vector, array, past_caches=False):
    align = width() if past_caches else vector.element.bitwidth // 8

    def emit(context, builder, sig, args):
        address = _address(context, builder, sig, args, vector.llvm)
        written = builder.store(args[2], address, align=align)
        if past_caches:
            written.set_metadata("nontemporal", builder.module.add_metadata([I32(1)]))
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), emit


def _arithmetic(vector, floats, integers):
    def emit(context, builder, sig, args):
        return getattr(builder, floats if _is_float(vector) else integers)(*args)

    return vector(vector, vector), emit


def _call(builder, name, vector, args):
    """Call LLVM's function of this name for vectors of this type."""
    letter = "f" if _is_float(vector) else "i"
    name = f"{name}.v{vector.lanes}{letter}{vector.element.bitwidth}"
    kind = ir.FunctionType(vector.llvm, [vector.llvm] * len(args))
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


def _split(builder, value, count):
    """The registers that a vector fills."""
    if count == 1:
        return [value]
    size = value.type.count // count
    lanes = [list(range(first, first + size)) for first in range(0, count * size, size)]
    kind, nothing = ir.VectorType(I32, size), value.type(ir.Undefined)
    return [builder.shuffle_vector(value, nothing, kind(part)) for part in lanes]


def _join(builder, parts):
    """One vector of two registers, or of one."""
    if len(parts) == 1:
        return parts[0]
    size = 2 * parts[0].type.count
    return builder.shuffle_vector(*parts, ir.VectorType(I32, size)(list(range(size))))


def _split_type(vector):
    """The LLVM type of one register of a vector."""
    return ir.VectorType(ELEMENTS[vector.element], vector.lanes // vector.count)


def _dot4(builder, kind, sums, x, y, bits):
    """`dot4` without the instruction: each element is sign-extended by two shifts of a 32-bit word."""
    x, y = builder.bitcast(x, kind), builder.bitcast(y, kind)
    for first in range(0, 32, bits):
        up, down = (kind([I32(by)] * kind.count) for by in (32 - bits - first, 32 - bits))
        a = (builder.lshr if bits == 8 else builder.ashr)(builder.shl(x, up), down)
        b = builder.ashr(builder.shl(y, up), down)
        sums = builder.add(sums, builder.mul(a, b))
    return sums


@cache
def _assembly():
    """The machine code of wide sums and of 16-bit products, for the machine that Numba compiles for.

    The names of processors imply features too, so the code is more reliable than a list of features.
    """
    wide, wide_pairs = ir.VectorType(ir.FloatType(), 16), ir.VectorType(I16, 32)
    pairs, words = ir.VectorType(I16, 8), ir.VectorType(I32, 4)
    module = ir.Module()
    module.triple = llvm.get_process_triple()
    for kind, operation in ((wide, "fadd"), (wide_pairs, "add")):
        name = f"double_{operation}"
        double = ir.Function(module, ir.FunctionType(ir.VoidType(), [kind.as_pointer()] * 2), name)
        builder = ir.IRBuilder(double.append_basic_block())
        values = [builder.load(place) for place in double.args]
        builder.store(getattr(builder, operation)(*values), double.args[0])
        builder.ret_void()
    if module.triple.startswith("x86"):
        kind = ir.FunctionType(words, [words, pairs, pairs])
        dot = ir.Function(module, kind, "dot")
        builder = ir.IRBuilder(dot.append_basic_block())
        products = ir.Function(
            module, ir.FunctionType(words, [pairs, pairs]), "llvm.x86.sse2.pmadd.wd"
        )
        builder.ret(builder.add(dot.args[0], builder.call(products, dot.args[1:])))
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = numba.config.CPU_FEATURES
    machine = llvm.Target.from_triple(module.triple).create_target_machine(
        cpu=numba.config.CPU_NAME or llvm.get_host_cpu_name(),
        features=get_host_cpu_features() if features is None else features,
    )
    return machine.emit_assembly(llvm.parse_assembly(str(module)))
