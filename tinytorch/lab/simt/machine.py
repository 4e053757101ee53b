"""Run a kernel for a batch of blocks with all threads in step: a thread is a lane, a branch a set of lanes.

A statement is executed once for the set of lanes that reach it. ``if`` splits the set and joins it again,
a loop continues while any lane is in it, ``break``, ``continue`` and ``return`` remove lanes. A value that all
lanes share stays a scalar, and a condition on it is an ordinary branch.
"""

import ast

import numpy as np

from tinytorch.lab.simt import numbers
from tinytorch.lab.simt.access import Access
from tinytorch.lab.simt.arrays import View
from tinytorch.lab.simt.expressions import Expressions
from tinytorch.lab.simt.faults import Fault, Nobody, Split, Unsupported
from tinytorch.lab.simt.lanes import Lanes

DEPTH = 30  # calls of device functions inside each other


class Frame:
    """The variables of one call of a function.

    `partial` maps a variable that only some lanes have assigned to these lanes.
    """

    def __init__(self, source, lanes):
        self.source, self.live = source, lanes
        self.names, self.partial = {}, {}
        self.result = None
        self.loops = []


class Loop:
    """The threads that have left a loop, and that go on with its next turn."""

    def __init__(self, nobody):
        self.broken = self.continued = nobody


class Machine(Expressions):
    """One batch.

    Parameters
    ----------
    launch : Launch
    threads : Threads
    """

    def __init__(self, launch, threads):
        self.launch, self.threads = launch, threads
        self.memory = Access(launch, threads)
        self.nobody = Lanes(np.zeros(threads.size, bool))
        self.steps, self.line = 0, 0
        self.looked_up = {}
        self.splits = []  # the enclosing branches and loops: line, word, lanes before and inside
        self.exits = np.zeros(threads.size, np.int32)  # the line on which a thread returned
        self.jumps = np.zeros(threads.size, np.int32)  # of its last break or continue
        self.frames = []

    def run(self, source, arguments):
        """Run the kernel to its end."""
        frame = Frame(source, self.threads.all)
        frame.names = dict(zip(source.parameters, arguments, strict=True))
        self.frames.append(frame)
        self.block(source.body, self.threads.all, frame)
        self.memory.finish()

    def call(self, source, arguments, lanes, line):
        """Call a device function."""
        if len(arguments) != len(source.parameters):
            want, got = len(source.parameters), len(arguments)
            raise Unsupported(f"{source.name} takes {want} arguments, {got} are given", line)
        if not lanes.count:
            raise Nobody
        if len(self.frames) > DEPTH:
            raise Unsupported(f"{source.name} calls itself too often", line)
        self.launch.entered(source)
        frame = Frame(source, lanes)
        frame.names = dict(zip(source.parameters, arguments, strict=True))
        self.frames.append(frame)
        self.block(source.body, lanes, frame)
        self.frames.pop()
        if frame.result is not None and frame.live.count:
            raise Unsupported(f"some threads leave {source.name} without a result", line)
        return frame.result

    def block(self, statements, lanes, frame):
        """Execute statements; return the lanes that reach their end."""
        for statement in statements:
            if not lanes.count:
                break
            self.step(statement)
            lanes = getattr(self, f"do_{type(statement).__name__}")(statement, lanes, frame)
        return lanes

    def step(self, node):
        self.steps += 1
        self.line = node.lineno
        if self.steps > self.launch.budget:
            message = f"the kernel did not end within {self.launch.budget:,} steps; it is on line {node.lineno}"
            raise Fault("endless", message, (node.lineno,))

    def do_Pass(self, node, lanes, frame):
        return lanes

    def do_Expr(self, node, lanes, frame):
        if isinstance(node.value, ast.Call):
            self.eval_Call(node.value, lanes, frame, wanted=False)
        elif not isinstance(node.value, ast.Constant):
            self.evaluate(node.value, lanes, frame)
        return lanes

    def do_Assign(self, node, lanes, frame):
        value = self.evaluate(node.value, lanes, frame)
        for target in node.targets:
            self.store(target, value, lanes, frame)
        return lanes

    def do_AnnAssign(self, node, lanes, frame):
        if node.value is not None:
            self.store(node.target, self.evaluate(node.value, lanes, frame), lanes, frame)
        return lanes

    def do_AugAssign(self, node, lanes, frame):
        target, line = node.target, node.lineno
        if isinstance(target, ast.Name):
            old = self.read(target, lanes, frame)
            new = self.binary(node, old, node.value, lanes, frame)
            self.assign(target.id, new, lanes, frame, line)
        elif isinstance(target, ast.Subscript):
            view, items = self.place(target, lanes, frame)
            old = self.memory.get(view, items, lanes, line)
            new = self.binary(node, old, node.value, lanes, frame)
            self.memory.put(view, items, new, lanes, line)
        else:
            raise Unsupported("an assignment to an attribute", line)
        return lanes

    def store(self, target, value, lanes, frame):
        if isinstance(target, ast.Name):
            self.assign(target.id, value, lanes, frame, target.lineno)
        elif isinstance(target, ast.Tuple):
            if not isinstance(value, tuple) or len(value) != len(target.elts):
                got = f"{len(value)}" if isinstance(value, tuple) else "no tuple"
                what = f"{len(target.elts)} names are assigned, the value has {got}"
                raise Unsupported(what, target.lineno)
            for each, item in zip(target.elts, value, strict=True):
                self.store(each, item, lanes, frame)
        elif isinstance(target, ast.Subscript):
            view, items = self.place(target, lanes, frame)
            self.memory.put(view, items, value, lanes, target.lineno)
        else:
            raise Unsupported("an assignment to an attribute", target.lineno)

    def assign(self, name, value, lanes, frame, line):
        """Give a variable a value in some lanes and leave it as it is in the others."""
        names, partial = frame.names, frame.partial
        known = partial.get(name)
        if lanes.count == frame.live.count:
            partial.pop(name, None)
        elif name not in names or (known is not None and known.within(lanes)):
            partial[name] = lanes
        else:
            value = self.merge(names[name], value, lanes, line)
            if known is not None:
                partial[name] = known.union(lanes)
        names[name] = value

    def merge(self, old, new, lanes, line):
        """`new` in the lanes of a set and `old` in the others."""
        if old is new:
            return old
        if numbers.is_number(old) and numbers.is_number(new):
            dtype = np.result_type(old, new)
            if old.ndim == new.ndim == 0 and old == new:
                return numbers.cast(new, dtype)
            wide = np.where(lanes.bits, new, old)
            return numbers.cast(wide, dtype)
        if isinstance(old, tuple) and isinstance(new, tuple) and len(old) == len(new):
            return tuple(self.merge(a, b, lanes, line) for a, b in zip(old, new, strict=True))
        if isinstance(old, View) and old.alike(new):
            offset = np.where(lanes.bits, new.offset, old.offset)
            return View(old.buffer, old.shape, old.strides, offset)
        if isinstance(old, View) and isinstance(new, View):
            if self.threads.blocks > 1:
                raise Split
            raise Unsupported("a name for different arrays in different threads", line)
        raise Unsupported("a variable is a number in some threads and none in others", line)

    def do_If(self, node, lanes, frame):
        test = self.condition(node.test, lanes, frame)
        inside = lanes.where(test)
        if inside is lanes:
            return self.block(node.body, lanes, frame)
        outside = lanes.without(inside)
        if inside.count:
            inside = self.inside(node.lineno, "branch", lanes, inside, node.body, frame)
        if node.orelse and outside.count:
            outside = self.inside(node.lineno, "branch", lanes, outside, node.orelse, frame)
        return self.joined(lanes, inside, outside)

    def inside(self, line, word, before, lanes, body, frame):
        self.splits.append((line, word, before, lanes))
        left = self.block(body, lanes, frame)
        self.splits.pop()
        return left

    def joined(self, before, *parts):
        """The union of parts of a set; the set object itself if the union is complete."""
        if sum(part.count for part in parts) == before.count:
            return before
        first, *rest = parts
        for part in rest:
            first = first.union(part)
        return first

    def do_While(self, node, lanes, frame):
        def test(active):
            return active.where(self.condition(node.test, active, frame))

        return self.loop(node, lanes, frame, test)

    def do_For(self, node, lanes, frame):
        start, stop, step = self.range(node.iter, lanes, frame)
        if all(bound.ndim == 0 for bound in (start, stop, step)):
            values = iter(range(int(start), int(stop), int(step)))

            def test(active):
                value = next(values, None)
                if value is None:
                    return self.nobody
                self.store(node.target, np.int64(value), active, frame)
                return active

            return self.loop(node, lanes, frame, test)
        counter = np.broadcast_to(start, self.threads.size)

        def test(active):
            nonlocal counter
            more = np.where(step > 0, counter < stop, counter > stop)
            active = active.where(more)
            if active.count:
                self.store(node.target, counter, active, frame)
                counter = counter + step
            return active

        return self.loop(node, lanes, frame, test)

    def range(self, node, lanes, frame):
        """The bounds of a for loop, as integers."""
        called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if not called or self.evaluate(node.func, lanes, frame) is not range or node.keywords:
            hint = "for i in range(...): and an index"
            raise Unsupported("a for loop over anything but range", node.lineno, hint)
        bounds = [self.evaluate(arg, lanes, frame) for arg in node.args]
        if not 1 <= len(bounds) <= 3 or not all(numbers.is_whole(b) for b in bounds):
            raise Unsupported("range() of anything but one to three integers", node.lineno)
        bounds = [numbers.whole(bound) for bound in bounds]
        if len(bounds) == 1:
            bounds.insert(0, np.int64(0))
        if len(bounds) == 2:
            bounds.append(np.int64(1))
        if np.any(lanes.take(bounds[2]) == 0):
            raise Unsupported("range() with a step of 0", node.lineno)
        return bounds

    def loop(self, node, lanes, frame, test):
        """Repeat the body for the lanes that pass the test, until there are none."""
        active, ended, broken = lanes, self.nobody, self.nobody
        while True:
            self.step(node)
            going = test(active)
            if going is not active:
                ended = active.without(going).union(ended)
                active = going
            if not active.count:
                break
            frame.loops.append(Loop(self.nobody))
            left = self.inside(node.lineno, "loop", lanes, active, node.body, frame)
            loop = frame.loops.pop()
            broken = broken.union(loop.broken)
            active = self.joined(active, left, loop.continued)
            if not active.count:
                break
        if node.orelse and ended.count:
            ended = self.block(node.orelse, ended, frame)
        return self.joined(lanes, ended, broken)

    def do_Break(self, node, lanes, frame):
        self.jumps[lanes.index] = node.lineno
        frame.loops[-1].broken = frame.loops[-1].broken.union(lanes)
        return self.nobody

    def do_Continue(self, node, lanes, frame):
        self.jumps[lanes.index] = node.lineno
        frame.loops[-1].continued = frame.loops[-1].continued.union(lanes)
        return self.nobody

    def do_Return(self, node, lanes, frame):
        kernel = len(self.frames) == 1
        empty = node.value is None or (
            isinstance(node.value, ast.Constant) and node.value.value is None
        )
        if kernel and not empty:
            raise Unsupported("a kernel returns no value", node.lineno, "write it into an array")
        if kernel:
            self.exits[lanes.index] = node.lineno
        elif not empty:
            value = self.evaluate(node.value, lanes, frame)
            if frame.result is not None:
                value = self.merge(frame.result, value, lanes, node.lineno)
            frame.result = value
        frame.live = frame.live.without(lanes)
        return self.nobody

    def barrier(self, lanes, line):
        """cuda.syncthreads(): all threads of a block, or a fault."""
        self.launch.barriers += lanes.count / self.threads.in_block
        if lanes.full:
            self.memory.barrier()
            return
        blocks, in_block = self.threads.blocks, self.threads.in_block
        here = np.bincount(self.threads.block_of[lanes.index], minlength=blocks)
        for block in np.flatnonzero((here > 0) & (here < in_block)):
            self._divergent(int(block), int(here[block]), lanes, line)
        alive = np.bincount(self.threads.block_of[self.exits == 0], minlength=blocks) > 0
        passing = here > 0
        if passing[alive].all():
            self.memory.barrier()
        else:
            self.memory.barrier(self.threads.first + np.flatnonzero(passing))

    def _divergent(self, block, count, lanes, line):
        lanes_here = slice(block * self.threads.in_block, (block + 1) * self.threads.in_block)
        bits = lanes.bits[lanes_here]
        start = block * self.threads.in_block
        waits, absent = start + int(bits.argmax()), start + int(bits.argmin())
        if self.exits[absent]:
            why, other = f"returned on line {self.exits[absent]}", int(self.exits[absent])
        else:
            why, other = self._elsewhere(absent)
        names, number = self.launch.names, self.threads.number
        waiting, missing = int(number[waits]), int(number[absent])
        message = (
            f"{names(waiting)} waits at the barrier on line {line} with {count} of "
            f"{self.threads.in_block} threads; {names.thread(missing)} {why}"
        )
        self.launch.fault("barrier", message, (line, other), (waiting, missing))

    def _elsewhere(self, lane):
        """Why a running thread is not at the same statement as others, and the line where they diverged."""
        for number, word, before, inside in self.splits:
            if before.bits[lane] and not inside.bits[lane]:
                phrase = "is not in that branch of" if word == "branch" else "has left the loop of"
                return f"{phrase} line {number}", number
        jump = int(self.jumps[lane])
        return f"went elsewhere on line {jump}", jump
