"""Read single keys from a terminal without Enter, and restore the terminal at the end."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

LOOK = 0.05  # seconds between two checks for a key on Windows


def has_terminal() -> bool:
    """Whether keys can be read and output goes to a terminal."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    if os.name != "posix":
        return True
    with contextlib.suppress(OSError):
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()  # not in the background
    return False


@contextlib.contextmanager
def listen_for_keys(tell: Callable[[str], None]) -> Iterator[None]:
    """Call `tell` from a thread with each key, until the context ends."""
    over = threading.Event()
    if os.name != "posix":
        thread = threading.Thread(target=_poll, args=(tell, over), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
        return
    import termios
    import tty

    line = sys.stdin.fileno()
    before = termios.tcgetattr(line)
    reading, writing = os.pipe()

    def listen(*_):
        tty.setcbreak(line, termios.TCSANOW)  # Ctrl-C still interrupts

    waking = signal.signal(signal.SIGCONT, listen)  # back from Ctrl-Z
    thread = threading.Thread(target=_read, args=(line, reading, tell), daemon=True)
    try:
        listen()
        thread.start()
        yield
    finally:
        os.write(writing, b"x")
        thread.join(1)
        signal.signal(signal.SIGCONT, waking)
        with contextlib.suppress(termios.error):  # the terminal was closed
            termios.tcsetattr(line, termios.TCSANOW, before)
        os.close(reading)
        os.close(writing)


def _read(line, waking, tell):
    import select

    while True:
        ready, _, _ = select.select([line, waking], [], [])
        if waking in ready:
            return
        try:
            data = os.read(line, 64)
        except OSError:
            data = b""
        if not data:
            tell("q")
            return
        if data.startswith(b"\x1b"):  # an arrow or function key sends several bytes
            continue
        for key in data.decode("utf-8", "replace"):
            tell(key)


def _poll(tell, over):
    import msvcrt

    while not over.wait(LOOK):
        while msvcrt.kbhit():
            key = msvcrt.getwch()
            if key in "\x00\xe0":
                msvcrt.getwch()
            else:
                tell(key)
