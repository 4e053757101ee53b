"""What strangers send, guided by coverage: ``python -m tests.fuzz reader|wire [-runs=N]``; needs atheris.

Only the named error may come out of the notebook reader and its repair, and of the wire between judge and worker.
"""

import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tito.notebooks", "tito.grading.inside.wire"]):
    from tito.grading.inside import wire
    from tito.notebooks import repair, untrusted

import nbformat
import numpy as np

from tests.conftest import SOURCE
from tito.notebooks import notebook as nb
from tito.notebooks import student_version

RELEASED = student_version.student_version(nb.parse(SOURCE, Path("tiny_dev.py")))
KNOWN = repair.Released([RELEASED])


def reader(data):
    """A hand-in is a notebook, into which it is put as a whole, or unreadable."""
    try:
        found = untrusted.read(data)
    except untrusted.Unreadable as error:
        assert "\n" not in str(error)
        return
    made, findings = repair.repair(KNOWN, found)
    nbformat.validate(made)
    nbformat.writes(made).encode()
    assert [*findings.answered, *findings.not_started, *findings.missing] == ["double"]


def border(data):
    """Bytes from a worker, or the tree of a message, are a plain value or a `WireError`."""
    message = None
    if data[:1] in (b"{", b"["):
        with contextlib.suppress(ValueError, RecursionError):
            message = json.loads(data), [memoryview(bytearray(64)), memoryview(bytearray(2**17))]
    with contextlib.suppress(wire.WireError):
        message = message or wire.read(io.BytesIO(data))
        if message:
            wire.Decoder(message[1], refuse).value(message[0])


def refuse(_, value):
    raise wire.WireError(f"cannot send {type(value).__name__}")


def notebooks():
    """Hand-ins to begin with."""
    yield nbformat.writes(RELEASED)
    yield nb.percent(RELEASED)
    yield json.dumps(
        {"nbformat": 3, "worksheets": [{"cells": [{"cell_type": "code", "input": 1}]}]}
    )


def messages():
    """Messages to begin with: one of each kind of value."""
    for value in (
        {"a": [1, 2.5, None, True, "x"], "b": (2**70, 1j, slice(1, None), range(3))},
        [np.arange(6.0).reshape(2, 3)[::-1], np.float32(1), np.dtype("i4"), b"x", {3}],
        [np.ones(20_000, np.int8), ValueError, np.float64, ...],
    ):
        message = wire.Encoder(refuse, keep_strides=True).message(value)
        yield b"".join(bytes(part) for part in wire.pack(message))
        yield json.dumps(message[0])


TARGETS = {"reader": (reader, notebooks), "wire": (border, messages)}


def main():
    name, *options = sys.argv[1:]
    target, seeds = TARGETS[name]
    with tempfile.TemporaryDirectory(prefix="tito-fuzz-") as folder:
        for number, seed in enumerate(seeds()):
            data = seed if isinstance(seed, bytes) else seed.encode()
            target(data)
            (Path(folder) / str(number)).write_bytes(data)
        atheris.Setup([sys.argv[0], folder, "-seed=1", "-max_len=30000", *options], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
