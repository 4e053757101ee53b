"""The libraries that the kernels are compared with: NumPy with OpenBLAS, torch, and onnxruntime."""

import ctypes
import importlib
import os
import sys
from pathlib import Path

import numpy as np

from benchmarks.ours import NotInstalled, Side


def numpy_matmul(a, b):
    return Side(lambda: a @ b, "a @ b")


def mkl_matmul(a, b):
    """Call Intel's library, which the wheel `mkl` puts beside the interpreter's other libraries."""
    found = sorted(Path(sys.prefix, "lib").glob("libmkl_rt.so*"))
    if not found:
        raise NotInstalled("mkl (make bench installs it)")
    os.environ["MKL_THREADING_LAYER"] = "SEQUENTIAL"
    multiply = ctypes.CDLL(str(found[-1])).cblas_sgemm
    (m, k), n = a.shape, b.shape[1]
    sizes = [ctypes.c_int(each) for each in (101, 111, 111, m, n, k)]  # rows, not transposed
    one, zero = ctypes.c_float(1), ctypes.c_float(0)
    a_data, b_data = a.ctypes.data_as(ctypes.c_void_p), b.ctypes.data_as(ctypes.c_void_p)
    last = ctypes.c_int(n)

    def call():
        c = np.empty((m, n), np.float32)
        data = ctypes.c_void_p(c.ctypes.data)
        multiply(*sizes, one, a_data, ctypes.c_int(k), b_data, last, zero, data, last)
        return c

    return Side(call, "cblas_sgemm of MKL, called through ctypes")


def numpy_float32_matmul(a, b):
    a, b = a.astype(np.float32), b.astype(np.float32)
    return Side(lambda: a @ b, "float32 a @ b")


def numpy_int32_matmul(a, b):
    a, b = a.astype(np.int32), b.astype(np.int32)
    return Side(lambda: a @ b, "int32 a @ b")


def numpy_relu(x):
    out, zero = np.empty_like(x), x.dtype.type(0)
    return Side(lambda: np.maximum(x, zero, out=out), "np.maximum(out=)")


def numpy_relu_new(x):
    zero = x.dtype.type(0)
    return Side(lambda: np.maximum(x, zero), "np.maximum")


def numpy_bias_relu(x, bias):
    return Side(lambda: np.maximum(x + bias, np.float32(0)), "np.maximum(x + bias, 0)")


def numpy_dequantize_bias_relu(x, scale, bias):
    scale = np.float32(scale)
    return Side(
        lambda: np.maximum(x.astype(np.float32) * scale + bias, np.float32(0)),
        "np.maximum(x.astype(float32) * scale + bias, 0)",
    )


def numpy_mlp(layers, x, *_):
    def forward(x):
        for number, (weights, bias) in enumerate(layers):
            x = x @ weights + bias
            if number + 1 < len(layers):
                x = np.maximum(x, np.float32(0))
        return x

    return Side(lambda: forward(x), "the same model in float32", forward)


def numpy_add(x, y):
    return Side(lambda: x + y, "ndarray + ndarray")


def loop(items, operation):
    return Side(lambda: [operation(item) for item in items], "list comprehension")


def torch_int_mm(a, b):
    torch = _import("torch")
    torch.set_num_threads(1)
    a, b = torch.from_numpy(a.copy()), torch.from_numpy(b.copy())
    return Side(lambda: torch._int_mm(a, b), f"torch {torch.__version__} _int_mm")


def torch_convolution(layer, x):
    torch = _import("torch")
    torch.set_num_threads(1)
    x, weights, bias = (torch.from_numpy(np.array(each)) for each in (x, layer.weights, layer.bias))
    convolve = torch.nn.functional.conv2d

    def forward():
        with torch.inference_mode():
            return convolve(x, weights, bias, padding=layer.padding).numpy()

    return Side(forward, f"torch {torch.__version__} conv2d")


def torch_attention(q, k, v):
    torch = _import("torch")
    torch.set_num_threads(1)
    q, k, v = (torch.from_numpy(each.copy())[None, None] for each in (q, k, v))
    attend = torch.nn.functional.scaled_dot_product_attention

    def forward():
        with torch.inference_mode():
            return attend(q, k, v)[0, 0].numpy()

    return Side(forward, f"torch {torch.__version__} scaled_dot_product_attention")


def onnxruntime_matmul(a, b):
    """The same product from A + 128 with zero point 128, because onnxruntime is slow for int8 on both sides."""
    onnxruntime, onnx = _import("onnxruntime"), _import("onnx")
    helper, kind = onnx.helper, onnx.TensorProto
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["a", "b", "zero"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", kind.UINT8, a.shape)],
        [helper.make_tensor_value_info("c", kind.INT32, (a.shape[0], b.shape[1]))],
        [
            onnx.numpy_helper.from_array(b, "b"),
            onnx.numpy_helper.from_array(np.array(128, np.uint8), "zero"),
        ],
    )
    opset = [helper.make_opsetid("", 13)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    a = (a.astype(np.int16) + 128).astype(np.uint8)
    how = f"onnxruntime {onnxruntime.__version__} MatMulInteger, uint8 in, weights packed once"
    return Side(lambda: session.run(None, {"a": a})[0], how)


def _import(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        raise NotInstalled(f"{name} (make bench installs it)") from None
