"""Typical mistakes: the right text, the student's text, and the words that the message must contain."""

BARRIER = """            for k in range(tile):
                total += left[y, k] * right[k, x]
            cuda.syncthreads()
"""
STEP = "            x = layer(x)\n        return x"
MISTAKES = {
    "kernels": {
        "time_kernel": (
            "time.perf_counter()\n",
            "time.perf_count()\n",
            "time_kernel, line 8: start = time.perf_count()",
        ),
        "profile_operation": (
            "timing.calls_per_sample(call)",
            "timing.calls_per_samples(call)",
            "has no attribute 'calls_per_samples'",
        ),
        "benchmark_operation": (
            "timing.ratio_interval(theirs, ours",
            "timing.ratio_interval(ours, theirs",
            "expected about 20 times faster",
        ),
        "matmul_baseline": (
            "range(n)",
            "range(n - 1)",
            "only the last column is wrong: check the upper bound of the loop",
        ),
        "vectorized_relu": (
            "maximum(load(x, i), zero(x))",
            "np.maximum(load(x, i), zero(x))",
            "np.maximum does not work on SIMD vectors: call one of the functions of simd",
        ),
        "vectorized_operations": (
            "dot += (zero + a) * b",
            "dot += a @ b",
            "`@` does not work on float32 and float32 in compiled code",
        ),
        "pack_panels": (
            "min(width, columns - first)",
            "np.clip(columns - first, 0, width)",
            "np.clip is not available on single elements in compiled code: use min and max",
        ),
        "multiply_tile": ("j += 2 * n", "j += n", "reads too early in the panel"),
        "parallel_relu": (
            "range(num_workers + 1)",
            "range(num_workers)",
            "only the last 5 values are wrong",
        ),
        "parallel_batch_processing": (
            "results.append(future.result())",
            "results.append(future)",
            "got an object of class `Future`",
        ),
        "quantize": (
            "np.rint(x[i] / scale)",
            "np.clip(np.rint(x[i] / scale), -127, 127)",
            "quantize, line 8: value = np.clip",
        ),
        "pack_fours": ("row + 4 * x", "row + x", "steps 0 to 3 of column 3"),
        "quantized_relu": (
            "vectorized_relu(q).data * scale",
            "vectorized_relu(q) / scale",
            "quantized_relu, line 18: return finish(result",
        ),
        "sparse_matmul": ("columns[e] * width", "columns[e]", "an empty row: at [0, 0] expected"),
        "fused_dense_relu": ("block[:] = bias", "block = bias", "fused_dense_relu, line"),
        "accelerate": ("i += followed", "i += 0", "Dense, ReLU, Dense become two layers, got 3"),
        "gpu_relu": (
            "if i < x.size",
            "if i <= x.size",
            "reads x[300] on line 8, outside its shape",
        ),
        "element_kernel": (
            "col, row = cuda.grid(2)",
            "row, col = cuda.grid(2)",
            "cuda.grid(2) returns x first, which is the column",
        ),
        "gpu_matmul": (
            BARRIER,
            BARRIER.replace("            cuda.syncthreads()\n", ""),
            "no barrier is between them",
        ),
    },
    "tensor": {
        "to_array": ("np.array(data)", "np.asarray(data)", "shares memory with its input data"),
        "broadcast_shape": ("return tuple(shape)", "tuple(shape)", "expected (2, 3), got None"),
        "infer_shape": ("return full", "return known", "expected (3, 2), got 2"),
        "mean": ("axis=axis, ", "axis=0, ", "expected shape (), got (3, 4)"),
        "operand": (
            "return NotImplemented",
            "raise NotImplementedError",
            "operand, line 22: raise NotImplementedError",
        ),
    },
    "activations": {
        "ReLU": (
            "np.maximum(x, x.dtype.type(0))",
            "x; x[x < 0] = 0",
            "ReLU changed its input x",
        ),
        "Sigmoid": (
            "np.where(x >= 0, 1 / (1 + e), e / (1 + e))",
            "1 / (1 + np.exp(x))",
            "at [0, 0] expected 0.01798621, got 0.98201376",
        ),
        "Tanh": ("np.copysign(m / (m + 2), x)", "m / (m + 2)", "the sign"),
        "Softmax": ("e.sum(axis=-1, keepdims=True)", "e.sum()", "9 of 9 values differ"),
    },
    "layers": {
        "matmul_naive": ("B[p, j]", "B[j, p]", "at [0, 0] expected 19, got 17"),
        "matmul": ("C[i] += A[i, p]", "C[i] = A[i, p]", "at [0, 0] expected -25.0, got -1.0"),
        "xavier_weights": (
            "2 / (input_size + output_size)",
            "2 / input_size + output_size",
            "standard deviation 17.33594, expected 0.05774",
        ),
        "Dense": ("x @ self.weights", "self.weights @ x", "Dense, line 60: y = self.weights @ x"),
    },
    "networks": {
        "Sequential": (STEP, "            return layer(x)", "at [0] expected 1.0, got 2.0"),
        "trace_shapes": ("[x.shape]", "[]", "got [(8, 3), (8, 3), (8, 1)]"),
    },
    "compression": {
        "calculate_sparsity": ("1 - ", "", "expected 0.25, got 0.75"),
        "prune_weights_by_magnitude": (
            "np.abs(weights)",
            "weights",
            "the weights: at [0, 0] expected -3.0, got 0.0",
        ),
        "quantize_columns": (
            ".max(axis=0, ",
            ".max(axis=1, ",
            "quantize_columns, line 40: values =",
        ),
        "log_softmax": ("axis=-1", "axis=0", "logarithms of probabilities: at [0, 0] expected"),
    },
}
# An index outside an array, once read and once written: what is in the answer, and what is written instead.
OUTSIDE = {
    "read": {
        "matmul_baseline": ("range(k)", "range(k + 1)"),
        "vectorized_relu": ("load(x, last)", "load(x, last + 1)"),
        "vectorized_operations": ("x[i], y[i]", "x[i], y[i + 1]"),
        "pack_panels": (
            "panels[far + x] = 0",
            "panels[far + x] = source[near + 2 * stride + columns]",
        ),
        "multiply_tile": ("wide_broadcast(A, i0 + p)", "wide_broadcast(A, i0 + p + A.size)"),
        "cache_friendly_matmul": ("r * k + p,", "(r + 1) * k + p,"),
        "quantize": ("x[i] / scale", "x[i + 1] / scale"),
        "pack_fours": ("if p < k and", "if p <= k and"),
        "sparse_matmul": ("load(panel, b + 3 * n)", "load(panel, b + 4 * n)"),
        "gpu_relu": ("if i < x.size:", "if i <= x.size:"),
        "element_kernel": ("range(A.shape[1])", "range(A.shape[1] + 1)"),
        "gpu_matmul": ("A[row, start + x] if inside", "A[row, start + x + 1] if inside"),
    },
    "write": {
        "matmul_baseline": (
            "for p in range(k):",
            "for p in range(k):\n                C[m, 0] = 0",
        ),
        "vectorized_relu": ("store(y, last,", "store(y, last + 1,"),
        "vectorized_operations": ("total[i] =", "total[i + 1] ="),
        "pack_panels": ("panels[far + x] = 0", "panels[panels.size] = 0"),
        "multiply_tile": ("j += 2 * n", "j += 2 * n\n        C[C.size] = 0"),
        "cache_friendly_matmul": ("count = min(tile, columns - q)", "count = C[m, 0] = tile"),
        "quantize": ("q[i] =", "q[i + 1] ="),
        "pack_fours": ("packed[row + 4 * x] =", "packed[row + 4 * x + 4] ="),
        "sparse_matmul": ("value, b =", "store(sums, sums.size, c0)\n            value, b ="),
        "gpu_relu": ("y[i] =", "y[i + 1] ="),
        "element_kernel": ("C[row, col] = total", "C[row + 1, col] = total"),
        "gpu_matmul": ("left[y, x] =", "left[y, x + 1] ="),
    },
}
