"""Typical mistakes in the answers: what is written instead of what, and a part of the message that names it."""

MISTAKES = {
    "kernels": {
        "time_kernel": [
            ("time.perf_counter()\n", "time.perf_count()\n", "line"),
            ("    return result, (time", "    result, (time", "?"),
            ("result = func(*args, **kwargs)", "result = fun(*args, **kwargs)", "fun"),
        ],
        "profile_operation": [
            ("timing.calls_per_sample(call)", "timing.calls_per_samples(call)", "?"),
            (
                "return timing.Profile.from_samples(wall, cpu, peak",
                "return timing.Profile.from_samples(cpu, wall, peak",
                "?",
            ),
            ("    return timing", "    timing", "?"),
        ],
        "benchmark_operation": [
            (
                "ratio, low, high = timing.ratio_interval(theirs, ours",
                "ratio, low, high = timing.ratio_interval(ours, theirs",
                "?",
            ),
            ("wall, _ = timing.samples", "wall = timing.samples", "?"),
        ],
        "matmul_baseline": [
            ("range(n)", "range(n - 1)", "column"),
            ("B[p, j]", "B[j, p]", "?"),
            (
                "            for p in range(k):\n                C[i, j] += A[i, p] * B[p, j]",
                "            C[i, j] = A[i] @ B[:, j]",
                "@",
            ),
            ("range(k)", "range(k + 1)", "?"),
        ],
        "memory_trace": [
            ("memory.python_code(kernel, log)(", "kernel(", "?"),
            ("log.watch(name, array)", "log.watched(name, array)", "?"),
        ],
        "vectorized_relu": [
            ("maximum(load(x, i), zero(x))", "np.maximum(load(x, i), zero(x))", "?"),
            ("load(x, i), zero", "load(x), zero", "load() missing"),
            ("maximum(load(x, i), zero(x))", "maximum(load(x, i), 0)", "?"),
        ],
        "vectorized_operations": [
            ("dot += (zero + a) * b", "dot += a @ b", "@"),
            ("total[i] = a + b", "total = a + b", "total"),
            ("range(x.size)", "range(x.size - 1)", "?"),
        ],
        "pack_panels": [
            (
                "count = min(width, columns - first)",
                "count = np.clip(columns - first, 0, width)",
                "np.clip",
            ),
            ("            for x in range(count, width):\n                panel[x] = 0\n", "", "?"),
            ("first * depth + p * width", "first * depth + p * widht", "widht"),
            ("range(depth)", "range(depth + 1)", "?"),
        ],
        "multiply_tile": [
            ("j += 2 * n", "j += n", "?"),
            ("fma(x0, b0, c00), fma(x0, b1, c01)", "c00 + x0 * b0, c01 + x0 * b1", "fma"),
            ("range(depth)", "range(depth - 1)", "?"),
        ],
        "cache_friendly_matmul": [
            ("min(i + rows, m)", "i + rows", "?"),
            ("high = min(TILE_ROWS, m - r)", "high = TILE_ROWS", "?"),
            ("count, spare", "count", "?"),
        ],
        "parallel_relu": [
            ("range(num_workers + 1)", "range(num_workers)", "?"),
            ("    pool.gather([", "    ([", "?"),
        ],
        "parallel_batch_processing": [
            ("results.append(future.result())", "results.append(future)", "?"),
            ("error.add_note", "error.add_notes", "?"),
        ],
        "quantize": [
            ("np.rint(x[i] / scale)", "np.clip(np.rint(x[i] / scale), -127, 127)", "np.clip"),
            ("np.rint(", "int(", "?"),
        ],
        "dot_tile": [
            ("range(0, stride, 4)", "range(stride)", "?"),
            ("b += 2 * w", "", "?"),
        ],
        "quantized_relu": [
            ("vectorized_relu(q).data * scale", "vectorized_relu(q) / scale", "?"),
            ("    q, scale = quantize(x, scale)", "    q = quantize(x, scale)", "?"),
        ],
        "sparse_matmul": [
            ("columns[e] * width", "columns[e]", "?"),
            ("range(starts[i], starts[i + 1])", "range(starts[i], starts[i + 1] - 1)", "?"),
        ],
        "fused_dense_relu": [
            ("block[:] = bias", "block = bias", "?"),
            (
                "        relu_loop(block.reshape(-1), block.reshape(-1))",
                "        relu_loop(block, block)",
                "?",
            ),
        ],
        "accelerate": [
            ("i += followed", "", "?"),
            ("    i = 0\n", "    i = 0; new = old\n", "?"),
        ],
        "gpu_relu": [
            ("if i < x.size", "if i <= x.size", "?"),
            ("y[i] = 0 if value <= 0 else value", "y[i] = np.maximum(x, 0)", "?"),
        ],
        "element_kernel": [
            ("col, row = cuda.grid(2)", "row, col = cuda.grid(2)", "?"),
            (" and col < C.shape[1]", "", "?"),
        ],
        "gpu_matmul": [
            (
                "            for k in range(tile):\n                total += left[y, k] * right[k, x]\n            cuda.syncthreads()\n",
                "            for k in range(tile):\n                total += left[y, k] * right[k, x]\n",
                "?",
            ),
            ("left[y, k] * right[k, x]", "left[k, y] * right[k, x]", "?"),
        ],
    },
    "tensor": {
        "to_array": [
            ("np.array(data)", "np.array(data, np.float32)", "?"),
            ("np.array(data)", "np.asarray(data)", "?"),
        ],
        "broadcast_shape": [
            ("    return tuple(shape)", "    tuple(shape)", "?"),
            ("1 not in (m, n)", "1 in (m, n)", "?"),
        ],
        "infer_shape": [("    return full", "    return known", "?")],
        "mean": [("axis=axis, ", "axis=0, ", "?"), ("keepdims=keepdims, ", "", "?")],
        "operand": [("    return NotImplemented", "    raise NotImplementedError", "?")],
    },
    "activations": {
        "ReLU": [("np.maximum(x, x.dtype.type(0))", "x; x[x < 0] = 0", "?")],
        "Sigmoid": [("np.where(x >= 0, 1 / (1 + e), e / (1 + e))", "1 / (1 + np.exp(x))", "?")],
        "Tanh": [("np.copysign(m / (m + 2), x)", "m / (m + 2)", "?")],
        "Softmax": [
            ("e.sum(axis=-1, keepdims=True)", "e.sum()", "?"),
            ("axis=-1, keepdims=True)", "axis=0, keepdims=True)", "?"),
        ],
    },
    "layers": {
        "matmul_naive": [("B[p, j]", "B[j, p]", "?")],
        "matmul": [("C[i] += A[i, p]", "C[i] = A[i, p]", "?")],
        "xavier_weights": [("2 / (input_size + output_size)", "2 / input_size + output_size", "?")],
        "Dense": [("x @ self.weights", "self.weights @ x", "?")],
    },
    "networks": {
        "Sequential": [
            ("            x = layer(x)\n        return x", "            return layer(x)", "?")
        ],
        "trace_shapes": [("[x.shape]", "[]", "?")],
    },
    "compression": {
        "calculate_sparsity": [("1 - ", "", "?")],
        "prune_weights_by_magnitude": [("np.abs(weights)", "weights", "?")],
        "quantize_columns": [
            (".max(axis=0, ", ".max(axis=1, ", "?"),
            (".astype(np.int8)", "", "?"),
        ],
        "log_softmax": [("axis=-1", "axis=0", "?")],
    },
}
