"""Exceptions of the simulator: a fault in a kernel, and Python that the simulator does not support."""

KINDS = {
    "bounds": "compare the index with the size before using it",
    "race": "put cuda.syncthreads() between the two accesses, or use cuda.atomic",
    "barrier": "every thread of a block must reach the same cuda.syncthreads()",
    "unset": "write it before reading it; shared and local memory start with no value",
    "divide": "a division of integers by zero has no defined result on a GPU",
    "endless": "see that the condition of the loop becomes false in every thread",
}


class Fault(Exception):
    """One mistake of a kernel: what happened, where, by which threads.

    Attributes
    ----------
    kind : str
        "bounds", "race", "barrier", "unset", "divide" or "endless".
    message, hint : str
        One line each.
    lines : tuple of int
        Lines of the source, one, or two for a race.
    threads : tuple of str
        The threads, in the order of the lines.
    array : str or None
    index : tuple of int or None
        The element.
    count : int
        How many times it was seen.
    report : Report or None
        Of the launch that raised it.
    """

    def __init__(self, kind, message, lines, threads=(), array=None, index=None, hint=None):
        super().__init__(message)
        self.kind, self.message, self.hint = kind, message, hint or KINDS[kind]
        self.lines, self.threads = tuple(lines), tuple(threads)
        self.array, self.index = array, index
        self.count, self.report = 1, None
        self.source = ()  # pairs of a line's number and text

    def __str__(self):
        source = "".join(f"\n  {line}: {text}" for line, text in self.source)
        return f"{self.kind}: {self.message}{source}\nhint: {self.hint}"

    def __reduce__(self):
        plain = self.kind, self.message, self.lines, self.threads, self.array, self.index, self.hint
        return type(self), plain


class Unsupported(Exception):
    """Python that is outside the CUDA dialect, or that the simulator does not run: line, construct, hint."""

    def __init__(self, what, line=None, hint=None):
        where = f"line {line}: " if line else ""
        super().__init__(f"{where}{what}" + (f"\nhint: {hint}" if hint else ""))
        self.line = line


class Nobody(Exception):
    """The result type of a device function is needed although no thread calls it."""


class Split(Exception):
    """The blocks of a batch disagree in a way that vectors of lanes cannot represent: run them one by one."""


def address(index):
    """An index as in source code: [3, 4]."""
    return f"[{', '.join(map(str, index))}]"
