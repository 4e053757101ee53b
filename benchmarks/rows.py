"""The rows of the table: what is measured, at which sizes, beside which library, and the target."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import cases, limits, ours, rivals


@dataclass(frozen=True)
class Row:
    """One entry.

    `needs` and `without` name an instruction set, "amx" or "vnni": what the chip must have, and what is hidden from
    both sides; `cpu` names the processor that both sides take this one for. `goal` is a number or a function of the size; None where there is nothing to reach. `figure` is
    "ratio" (the rival's time divided by ours), "difference" (our time minus the rival's, in µs), "memory" (MB) or
    "seconds" (what our call returns). `limit` makes a call whose time is a lower bound for the inputs.
    """

    name: str
    what: str
    rival: str
    target: str
    sizes: tuple
    quick: tuple
    inputs: Callable
    ours: Callable
    theirs: Callable | None
    check: Callable
    goal: float | Callable | None
    threads: int = 1
    needs: str = ""
    without: str = ""
    cpu: str = ""
    figure: str = "ratio"
    clock: str = "cpu"
    limit: Callable | None = None

    def wanted(self, size):
        return self.goal(size) if callable(self.goal) else self.goal


N, SHAPES = (512, 1024, 2048), ((256, 128), (1024, 1024), (64, 4096))

TARGETS = (
    Row(
        "matmul",
        "`cache_friendly_matmul` float32, 1 thread",
        "NumPy / OpenBLAS",
        "≥ 0.95 at every n ≥ 256, ≥ 0.85 at 128",
        (128, 256, 512, 1024, 2048),
        (128, 256, 512),
        cases.square,
        ours.matmul,
        rivals.numpy_matmul,
        cases.near_product,
        lambda n: 0.95 if n >= 256 else 0.85,
        limit=limits.multiplied,
    ),
    Row(
        "matmul_threads",
        "the same, 2 threads",
        "OpenBLAS, 2 threads",
        "≥ 0.95",
        (256, 512, 1024, 2048),
        (512,),
        cases.square,
        ours.matmul_threads,
        rivals.numpy_matmul,
        cases.near_product,
        0.95,
        threads=2,
        clock="wall",
    ),
    *(
        Row(
            f"matmul_{cpu}",
            f"`cache_friendly_matmul` float32, 1 thread, {instructions} only",
            f"OpenBLAS for {cpu}",
            "≥ 0.7",
            (128, 256, 512, 1024),
            (256,),
            cases.square,
            ours.matmul,
            rivals.numpy_matmul,
            cases.near_product,
            0.7,
            cpu=cpu,
            limit=limits.multiplied,
        )
        for cpu, instructions in [("haswell", "AVX2"), ("nehalem", "SSE")]
    ),
    Row(
        "int8_amx",
        "`quantized_matmul`, weights packed once, AMX",
        "NumPy float32",
        "≥ 9 at every n ≥ 512",
        N,
        (512,),
        cases.square_int8,
        ours.quantized_matmul,
        rivals.numpy_float32_matmul,
        cases.exact_product,
        9,
        needs="amx",
        limit=limits.multiplied_bytes,
    ),
    Row(
        "int8_vnni",
        "`quantized_matmul`, weights packed once, VNNI only",
        "NumPy float32",
        "≥ 3.5",
        N,
        (512,),
        cases.square_int8,
        ours.quantized_matmul,
        rivals.numpy_float32_matmul,
        cases.exact_product,
        3.5,
        needs="vnni",
        without="amx",
        limit=limits.multiplied_bytes,
    ),
    Row(
        "int8_amx_torch",
        "`quantized_matmul`, weights packed once, AMX",
        "`torch._int_mm`",
        "≥ 1.2",
        N,
        (512,),
        cases.square_int8,
        ours.quantized_matmul,
        rivals.torch_int_mm,
        cases.exact_product,
        1.2,
        needs="amx",
        limit=limits.multiplied_bytes,
    ),
    Row(
        "int8_vnni_torch",
        "`quantized_matmul`, weights packed once, VNNI only",
        "`torch._int_mm`, VNNI only",
        "≥ 1.0",
        N,
        (512,),
        cases.square_int8,
        ours.quantized_matmul,
        rivals.torch_int_mm,
        cases.exact_product,
        1.0,
        needs="vnni",
        without="amx",
        limit=limits.multiplied_bytes,
    ),
    Row(
        "int8_onnxruntime",
        "`quantized_matmul`, weights packed once",
        "onnxruntime",
        "on the way to it",
        N,
        (512,),
        cases.square_int8,
        ours.quantized_matmul,
        rivals.onnxruntime_matmul,
        cases.exact_product,
        None,
        limit=limits.multiplied_bytes,
    ),
    Row(
        "int8_plain",
        "`quantized_matmul`, neither AMX nor VNNI",
        "NumPy int32 `@`",
        "≥ 40",
        (256, 512),
        (256,),
        cases.square_int8,
        ours.quantized_matmul,
        rivals.numpy_int32_matmul,
        cases.exact_product,
        40,
        without="vnni",
        limit=limits.multiplied_bytes,
    ),
    Row(
        "relu",
        "`vectorized_relu` into a given output",
        "`np.maximum(out=)`",
        "≥ 2 up to 10⁵, ≥ 1.4 from 10⁷",
        (10_000, 100_000, 10_000_000),
        (100_000, 10_000_000),
        cases.numbers,
        ours.relu,
        rivals.numpy_relu,
        cases.equal,
        lambda n: 2 if n <= 100_000 else 1.4,
        limit=limits.copied,
    ),
    Row(
        "parallel_relu",
        "`parallel_relu`, 2 threads",
        "own single thread",
        "≥ 1.6 from 3·10⁵ to 3·10⁶",
        (300_000, 1_000_000, 3_000_000),
        (1_000_000,),
        cases.numbers,
        ours.parallel_relu,
        ours.serial_relu,
        cases.equal,
        1.6,
        threads=2,
        clock="wall",
    ),
    Row(
        "parallel_relu_never_slower",
        "`parallel_relu`, 2 threads, other sizes",
        "own single thread",
        "never slower by more than 5 %",
        (1, 1000, 100_000, 10_000_000),
        (1000,),
        cases.numbers,
        ours.parallel_relu,
        ours.serial_relu,
        cases.equal,
        1 / 1.05,
        threads=2,
        clock="wall",
    ),
    Row(
        "bias_relu",
        "fused bias + ReLU",
        "NumPy expression",
        "≥ 4 at every shape",
        SHAPES,
        SHAPES[1:2],
        cases.biased,
        ours.bias_relu,
        rivals.numpy_bias_relu,
        cases.near,
        4,
        limit=limits.copied_anew,
    ),
    Row(
        "dequantize_bias_relu",
        "fused dequantize + bias + ReLU",
        "NumPy expression",
        "≥ 4 at every shape",
        SHAPES,
        SHAPES[1:2],
        cases.quantized,
        ours.dequantize_bias_relu,
        rivals.numpy_dequantize_bias_relu,
        cases.near,
        4,
        limit=limits.copied_anew,
    ),
    Row(
        "batch_python",
        "`parallel_batch_processing`, 64 MB in, Python-bound operation, 2 workers",
        "list comprehension",
        "≥ 1.7",
        (64,),
        (64,),
        cases.python_bound_batch,
        ours.batch,
        rivals.loop,
        cases.same_list,
        1.7,
        threads=2,
        clock="wall",
    ),
    Row(
        "batch_numpy",
        "`parallel_batch_processing`, 64 MB in, NumPy-bound operation, 2 workers",
        "list comprehension",
        "never more than 1.1 times the serial time",
        (64,),
        (64,),
        cases.numpy_bound_batch,
        ours.batch,
        rivals.loop,
        cases.same_list,
        1 / 1.1,
        threads=2,
        clock="wall",
        limit=limits.copied_batch,
    ),
    Row(
        "int8_relu",
        "`quantized_relu` int8",
        "`np.maximum(int8)`",
        "≥ 15",
        (100_000, 1_000_000),
        (1_000_000,),
        cases.numbers_int8,
        ours.quantized_relu,
        rivals.numpy_relu_new,
        cases.equal,
        15,
        limit=limits.copied_anew,
    ),
    Row(
        "int8_mlp",
        "an MLP 784-512-256-10, batch 256, int8 end to end",
        "the same model in NumPy float32",
        "≥ 2.5, accuracy within 0.5 points",
        (256,),
        (256,),
        cases.digits,
        ours.int8_mlp,
        rivals.numpy_mlp,
        cases.accuracy,
        2.5,
    ),
    Row(
        "matmul_memory",
        "memory of `cache_friendly_matmul` beyond its result",
        "-",
        "≤ 2 MB a thread",
        (512, 2048),
        (512,),
        cases.square,
        ours.matmul,
        None,
        cases.near_product,
        2,
        figure="memory",
    ),
    *(
        Row(
            f"first_calls_{name}",
            f"every kernel called once, {name} process",
            "-",
            f"≤ {goal} s of CPU",
            (1,),
            (1,),
            cases.nothing,
            functools.partial(ours.first_calls, processes),
            None,
            cases.checked_there,
            goal,
            figure="seconds",
        )
        for name, processes, goal in [("first", 1, 6), ("second", 2, 1)]
    ),
    Row(
        "tensor_relu",
        "Tensor wrapper overhead, `vectorized_relu`",
        "raw arrays",
        "≤ 1 µs",
        (16,),
        (16,),
        cases.numbers,
        ours.tensor_relu,
        ours.array_relu,
        cases.equal,
        1,
        figure="difference",
    ),
    Row(
        "tensor_add",
        "Tensor wrapper overhead, addition",
        "raw arrays",
        "≤ 1 µs",
        (16,),
        (16,),
        cases.sums,
        ours.tensor_add,
        rivals.numpy_add,
        cases.equal,
        1,
        figure="difference",
    ),
)

CURVES = (
    Row(
        "matmul_curve",
        "`cache_friendly_matmul` float32, 1 thread",
        "NumPy / OpenBLAS",
        "never slower by more than 5 %",
        (64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096),
        (64, 128, 256, 512),
        cases.square,
        ours.matmul,
        rivals.numpy_matmul,
        cases.near_product,
        1 / 1.05,
        limit=limits.multiplied,
    ),
    Row(
        "relu_curve",
        "`vectorized_relu`, new result",
        "`np.maximum`",
        "never slower by more than 5 %",
        tuple(10**power for power in range(8)),
        (1, 1000, 1_000_000),
        cases.numbers,
        ours.relu_new,
        rivals.numpy_relu_new,
        cases.equal,
        1 / 1.05,
    ),
)

ROWS = {row.name: row for row in TARGETS + CURVES}
