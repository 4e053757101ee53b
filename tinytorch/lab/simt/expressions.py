"""Evaluate an expression in a set of lanes; the values of other lanes are undefined."""

import ast

import numpy as np

from tinytorch.lab.simt import calls, dialect, numbers
from tinytorch.lab.simt.arrays import View
from tinytorch.lab.simt.faults import Nobody, Unsupported


class Expressions:
    """The part of the machine that evaluates."""

    def evaluate(self, node, lanes, frame):
        return getattr(self, f"eval_{type(node).__name__}")(node, lanes, frame)

    def number(self, node, lanes, frame):
        """The value of an expression that must be a number."""
        return self.check_number(self.evaluate(node, lanes, frame), node)

    def check_number(self, value, node):
        if not numbers.is_number(value):
            text = ast.unparse(node)
            what = f"{text} is {_kind(value)} where a number is needed"
            hint = "give an index for every dimension" if isinstance(value, View) else None
            raise Unsupported(what, node.lineno, hint)
        return value

    def condition(self, node, lanes, frame):
        return numbers.truth(self.number(node, lanes, frame))

    def eval_Constant(self, node, lanes, frame):
        return numbers.constant(node.value)

    def eval_Name(self, node, lanes, frame):
        return self.read(node, lanes, frame)

    def read(self, node, lanes, frame):
        """The value of a name; a fault where a thread has not assigned it."""
        name = node.id
        if name in frame.names:
            known = frame.partial.get(name)
            if known is not None and not lanes.within(known):
                self._unassigned(name, lanes.without(known), node.lineno)
            return frame.names[name]
        if name in frame.source.locals:
            self._unassigned(name, lanes, node.lineno)
            return np.int64(0)
        key = id(frame.source), name
        if key not in self.looked_up:
            value = frame.source.lookup(name, node.lineno)
            if isinstance(value, np.ndarray):
                hint = "pass it as an argument"
                raise Unsupported(f"the global array {name}", node.lineno, hint)
            self.looked_up[key] = numbers.constant(value)
        return self.looked_up[key]

    def _unassigned(self, name, lanes, line):
        number = int(self.threads.number[lanes.index[0]])
        message = f"{self.launch.names(number)} uses the variable {name} on line {line}, which it never assigned"
        hint = "assign it before the branch or the loop"
        self.launch.fault("unset", message, (line,), (number,), name, None, lanes.count, hint)

    def eval_Tuple(self, node, lanes, frame):
        return tuple(self.evaluate(item, lanes, frame) for item in node.elts)

    def eval_NamedExpr(self, node, lanes, frame):
        value = self.evaluate(node.value, lanes, frame)
        self.assign(node.target.id, value, lanes, frame, node.lineno)
        return value

    def eval_BinOp(self, node, lanes, frame):
        left = self.evaluate(node.left, lanes, frame)
        return self.binary(node, left, node.right, lanes, frame)

    def binary(self, node, left, right_node, lanes, frame):
        """An operator of `node` on a value and an expression."""
        kind = type(node.op)
        if isinstance(left, tuple) and kind is ast.Add:
            return left + self.evaluate(right_node, lanes, frame)
        left = self.check_number(left, getattr(node, "left", getattr(node, "target", node)))
        exponent = numbers.literal(right_node) if kind is ast.Pow else None
        if exponent is not None:
            return numbers.power(left, exponent)
        right = self.number(right_node, lanes, frame)
        if kind in (ast.FloorDiv, ast.Mod) and numbers.is_whole(left) and numbers.is_whole(right):
            right = self._divisor(right, lanes, node)
        if kind in (*numbers.BITS, ast.LShift, ast.RShift) and "f" in (
            left.dtype.kind,
            right.dtype.kind,
        ):
            raise Unsupported("an operation on the bits of a number with a point", node.lineno)
        return numbers.binary(kind, left, right)

    def _divisor(self, right, lanes, node):
        zero = np.broadcast_to(lanes.take(right) == 0, lanes.count)
        if zero.any():
            number = int(self.threads.number[lanes.index[zero.argmax()]])
            message = f"{self.launch.names(number)} divides by zero on line {node.lineno}"
            self.launch.fault("divide", message, (node.lineno,), (number,), count=int(zero.sum()))
        return np.where(right == 0, right.dtype.type(1), right)[()]

    def eval_UnaryOp(self, node, lanes, frame):
        value = self.number(node.operand, lanes, frame)
        if isinstance(node.op, ast.Not):
            return np.logical_not(numbers.truth(value))
        if isinstance(node.op, ast.USub):
            return numbers.negative(value)
        return value if isinstance(node.op, ast.UAdd) else numbers.inverted(value)

    def eval_Compare(self, node, lanes, frame):
        left, result, active = self.number(node.left, lanes, frame), None, lanes
        for operator, right_node in zip(node.ops, node.comparators, strict=True):
            right = self.number(right_node, active, frame)
            answer = numbers.compare(type(operator), left, right)
            result = answer if result is None else result & answer
            left, active = right, lanes.where(result)
            if not active.count:
                break
        return result

    def eval_BoolOp(self, node, lanes, frame):
        """``and`` and ``or``: a thread evaluates the right side only if the left side does not decide."""
        result = self.number(node.values[0], lanes, frame)
        for right_node in node.values[1:]:
            true = numbers.truth(result)
            undecided = true if isinstance(node.op, ast.And) else np.logical_not(true)
            active = lanes.where(undecided)
            if not active.count:
                break
            right = self.number(right_node, active, frame)
            result = right if active is lanes else self.merge(result, right, active, node.lineno)
        return result

    def eval_IfExp(self, node, lanes, frame):
        """Both sides decide the type, as in a compiler, even if no thread takes one of them."""
        inside = lanes.where(self.condition(node.test, lanes, frame))
        outside = lanes.without(inside)
        body, other = self._side(node.body, inside, frame), self._side(node.orelse, outside, frame)
        if numbers.is_number(body) and numbers.is_number(other):
            dtype = np.result_type(body, other)
            body, other = numbers.cast(body, dtype), numbers.cast(other, dtype)
        if not outside.count:
            return body
        return self.merge(other, body, inside, node.lineno) if inside.count else other

    def _side(self, node, lanes, frame):
        try:
            return self.evaluate(node, lanes, frame)
        except Nobody:
            return None

    def eval_Attribute(self, node, lanes, frame):
        value, name = self.evaluate(node.value, lanes, frame), node.attr
        if isinstance(value, View):
            return calls.array_attribute(value, name, node.lineno)
        found = dialect.attribute(value, name, node.lineno)
        if isinstance(found, dialect.Word) and found.path in calls.INDICES:
            return calls.INDICES[found.path](self)
        return numbers.constant(found)

    def place(self, node, lanes, frame, view=None):
        """The array and the indices of a subscript."""
        view = self.evaluate(node.value, lanes, frame) if view is None else view
        if not isinstance(view, View):
            raise Unsupported(f"{ast.unparse(node.value)} is {_kind(view)}, no array", node.lineno)
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        items = []
        for each in parts:
            if isinstance(each, ast.Slice):
                ends = (each.lower, each.upper, each.step)
                items.append(slice(*(e and self.evaluate(e, lanes, frame) for e in ends)))
                continue
            value = self.evaluate(each, lanes, frame)
            items += value if isinstance(value, tuple) else [value]
        return view, items

    def eval_Subscript(self, node, lanes, frame):
        value = self.evaluate(node.value, lanes, frame)
        if isinstance(value, tuple):
            index = self.evaluate(node.slice, lanes, frame)
            if not numbers.is_whole(index) or index.ndim or not -len(value) <= index < len(value):
                raise Unsupported("a tuple's index must be one number in its range", node.lineno)
            return value[int(index)]
        view, items = self.place(node, lanes, frame, value)
        return self.memory.get(view, items, lanes, node.lineno)

    def eval_Call(self, node, lanes, frame, wanted=True):
        return calls.call(self, node, lanes, frame, wanted)


def _kind(value):
    if isinstance(value, View):
        return f"an array of shape {value.shape}"
    return "nothing" if value is None else f"a {type(value).__name__}"
