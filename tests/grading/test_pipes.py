"""The pipes between judge and worker: nothing that a worker writes stops the judge; importable functions are sent by name."""

import functools
import marshal
import math
import subprocess
import sys
import time

import numpy as np
import pytest

from tinytorch.lab import checks
from tito.grading.inside import wire, worker
from tito.grading.judge import pipes, proxies

ECHO = """
import marshal, sys
from tito.grading.inside import wire
while (message := wire.read(sys.stdin.buffer, marshal.loads)) is not None:
    print("heard", file=sys.stderr, flush=True)
    wire.write(sys.stdout.buffer, wire.pack(message))
"""


class Late(BaseException):
    pass


@pytest.fixture(params=[pipes.Polled, pipes.Threaded])
def line(request):
    """A function that starts a program and returns its pipes and what it printed."""
    started = []

    def start(code):
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        printed, until = bytearray(), time.monotonic() + 2

        def on_wait():
            if time.monotonic() > until:
                raise Late

        made = request.param(process, printed.extend, on_wait, 0.1)
        started.append(made)
        return made, printed

    yield start
    process, made = started
    process.kill()
    process.wait()
    made.end()


def test_small_and_large_messages_arrive_and_come_back(line):
    found, printed = line(ECHO)
    for size in (0, 10, 10**7):
        array = np.arange(size).astype(np.uint8)
        found.send(wire.pack(wire.Encoder(None).message({"x": array}), marshal.dumps))
        tree, buffers = found.receive()
        np.testing.assert_array_equal(wire.Decoder(buffers, None).value(tree)["x"], array)
    time.sleep(0.1)
    found.read_output()
    assert printed == b"heard\n" * 3


def test_a_process_that_ends_has_no_answer(line):
    found, _ = line("import sys; print('bye', file=sys.stderr)")
    found.send([bytes(10**6)])
    assert found.receive() is None


@pytest.mark.parametrize(
    "code",
    [
        "import time; time.sleep(60)",
        "import sys; sys.stdout.buffer.write(b'\\0\\0'); sys.stdout.flush(); sys.stdin.read()",
        "import os\nwhile True: os.write(2, b'x' * 1000)",
    ],
    ids=["does not read", "stops in the middle of an answer", "prints without end"],
)
def test_a_wait_can_be_ended(line, code):
    found, _ = line(code)
    with pytest.raises(Late):
        found.send([bytes(10**6)])
        found.receive()


def test_what_can_be_imported_is_sent_by_its_place():
    message = wire.Encoder(proxies.encode).message
    for value in (checks.observe, np.sqrt, np.sum, sorted, math.gcd):
        node, _ = message(value)
        assert node["!"] == "imported"
        assert worker.Session.resolve(None, None, node) is value

    def local():
        pass

    for value in (local, checks.Mismatch("text"), functools.partial(np.sum, axis=0)):
        assert message(value)[0]["!"] == "pickle"
