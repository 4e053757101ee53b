"""Plain versions of exercises that the tests of other exercises need. They use the names of the lesson."""


def unbroadcast(gradient, shape):
    """Add every element to the place that it was repeated from."""
    gradient = np.asarray(gradient)
    total = np.zeros(shape, gradient.dtype)
    padded = total.reshape((1,) * (gradient.ndim - total.ndim) + total.shape)
    for place in np.ndindex(gradient.shape):
        padded[tuple(0 if n == 1 else k for k, n in zip(place, padded.shape, strict=True))] += (
            gradient[place]
        )
    return padded.reshape(shape)


def topological_order(variable):
    """Repeatedly take a variable without remaining users, and reverse the list at the end."""
    users, below, waiting = {id(variable): 0}, {id(variable): variable}, [variable]
    while waiting:
        for source in waiting.pop().inputs:
            if not source.requires_grad:
                continue
            users[id(source)] = users.get(id(source), 0) + 1
            if id(source) not in below:
                below[id(source)] = source
                waiting.append(source)
    free, found = [variable], []
    while free:
        found.append(free.pop())
        for source in found[-1].inputs:
            users[id(source)] = users.get(id(source), 0) - 1
            if users[id(source)] == 0:
                free.append(source)
    return found[::-1]


class Variable:
    def backward(self, gradient=None):
        """Let each Variable collect incoming gradients in a list, and add them up later."""
        if not self.requires_grad:
            raise ValueError("this Variable does not require a gradient")
        start = np.zeros(self.shape, self.dtype) + (1 if gradient is None else np.asarray(gradient))
        arrived = {id(self): [np.asarray(start, self.dtype)]}
        ordered = topological_order(self)
        while ordered:
            last = ordered.pop()
            complete = np.sum(arrived[id(last)], axis=0)
            if last.grad_fn is None:
                last.accumulate(complete)
            else:
                sent = list(last.grad_fn(complete))
                for number, source in enumerate(last.inputs):
                    if not source.requires_grad:
                        continue
                    fitting = unbroadcast(sent[number], source.shape)
                    arrived.setdefault(id(source), []).append(fitting)


def multiply(a, b):
    """Record a product."""
    left, right = as_variables(a, b)
    values = np.asarray(left), np.asarray(right)
    return record(
        np.multiply(*values),
        [left, right],
        lambda sent: [np.multiply(sent, each) for each in values[::-1]],
    )


def col2im(columns, shape, kernel_size, stride=1, padding=0):
    """Add one window after the other."""
    (high, wide), columns = as_pair(kernel_size), np.asarray(columns)
    down = conv_output_size(shape[2], high, stride, padding)
    across = conv_output_size(shape[3], wide, stride, padding)
    room = 2 * padding
    found = np.zeros((shape[0], shape[1], shape[2] + room, shape[3] + room), columns.dtype)
    place = 0
    for image in found:
        for top in range(0, stride * down, stride):
            for left in range(0, stride * across, stride):
                window = columns[:, place].reshape(shape[1], high, wide)
                image[:, top : top + high, left : left + wide] += window
                place += 1
    return found[:, :, padding : shape[2] + padding, padding : shape[3] + padding]
