"""Plain versions of exercises that the tests of other exercises need. They use the names of the lesson."""


def conv_output_size(size, kernel, stride=1, padding=0):
    """Count the positions of the kernel."""
    if kernel < 1 or stride < 1 or padding < 0:
        raise ValueError(f"too small: {kernel}, {stride}, {padding}")
    positions = range(0, size + padding + padding - kernel + 1, stride)
    if not positions:
        raise ValueError(f"{kernel} elements do not fit into {size}")
    return len(positions)


def im2col(x, kernel_size, stride=1, padding=0):
    """Copy one window after the other."""
    x, (high, wide) = np.asarray(x), as_pair(kernel_size)
    if x.ndim != 4:
        raise ValueError(f"not a batch of images: {x.shape}")
    down = conv_output_size(x.shape[2], high, stride, padding)
    across = conv_output_size(x.shape[3], wide, stride, padding)
    found = [
        image[:, top : top + high, left : left + wide].ravel()
        for image in _pad(x, padding)
        for top in range(0, stride * down, stride)
        for left in range(0, stride * across, stride)
    ]
    return np.array(found, x.dtype).reshape(len(found), x.shape[1] * high * wide).T


def conv2d(x, weights, bias=None, stride=1, padding=0, product=matmul):
    """Multiply one image after the other."""
    x, weights = np.asarray(x), np.asarray(weights)
    if x.ndim != 4 or weights.ndim != 4 or x.shape[1] != weights.shape[1]:
        raise ValueError(f"the channels of {x.shape} and {weights.shape} differ")
    down = conv_output_size(x.shape[2], weights.shape[2], stride, padding)
    across = conv_output_size(x.shape[3], weights.shape[3], stride, padding)
    shift = 0 if bias is None else np.asarray(bias).reshape(-1, 1, 1)
    found = np.zeros((len(x), len(weights), down, across), np.result_type(x, weights))
    found = found + shift
    for place in range(len(x)):
        seen = im2col(x[place : place + 1], weights.shape[2:], stride, padding)
        sums = np.asarray(product(weights.reshape(len(weights), seen.shape[0]), seen))
        found[place] = sums.reshape(len(weights), down, across) + shift
    return found


def he_weights(shape, seed=None):
    """Draw weights, one after the other, that a layer can be tested with."""
    if len(shape) != 4 or min(shape) < 1:
        raise ValueError(f"not four sizes: {shape}")
    generator = np.random.default_rng(seed)
    count = shape[0] * shape[1] * shape[2] * shape[3]
    drawn = [generator.uniform(-1, 1) for _ in range(count)]
    return np.array(drawn, np.float32).reshape(shape)
