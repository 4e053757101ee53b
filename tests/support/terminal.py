"""A command in a new terminal, or in a pipe, read line by line."""

import os
import re
import signal
import subprocess
import sys
import threading
import time

import psutil

TITO = [sys.executable, "-m", "tito"]
PATIENCE = 60  # seconds; only a broken watch takes so long
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Session:
    """A running command. What it says is collected as it comes."""

    def __init__(self, *words, terminal=False, columns=80, **environment):
        self.said, self.new = "", threading.Condition()
        environment = os.environ | {"COLUMNS": str(columns), "PYTHONUNBUFFERED": "1"} | environment
        if terminal:
            import pty

            self.line, theirs = pty.openpty()
            _size(theirs, columns)
            environment = environment | {"TERM": environment.get("TERM_WANTED", "xterm")}
            self.process = subprocess.Popen(
                [*TITO, *words],
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                env=environment,
                start_new_session=True,
                preexec_fn=_own_terminal,
            )
            os.close(theirs)
        else:
            self.process = subprocess.Popen(
                [*TITO, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
            )
            self.line = self.process.stdout.fileno()
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        family = self.family()
        self.process.kill()
        self.process.wait()
        for each in family:
            if each.is_running():
                each.kill()

    def _listen(self):
        while True:
            try:
                part = os.read(self.line, 65536)
            except OSError:  # the terminal's other end is closed
                part = b""
            if not part:
                return
            with self.new:
                self.said += part.decode(errors="replace")
                self.new.notify_all()

    @property
    def text(self) -> str:
        """What it said, without escape codes."""
        return ESCAPES.sub("", self.said)

    def mark(self) -> int:
        """The place from which `wait` is to look."""
        return len(self.text)

    def wait(self, pattern: str, since: int = 0) -> str:
        """Wait until the output matches; returns the output up to the match."""
        until = time.monotonic() + PATIENCE
        with self.new:
            while not (found := re.search(pattern, self.text[since:])):
                left = until - time.monotonic()
                assert left > 0, f"never said {pattern!r}:\n{self.text}"
                self.new.wait(min(left, 0.5))
        return self.text[since : since + found.end()]

    def press(self, key: str) -> None:
        os.write(self.line, key.encode())

    def family(self) -> list[psutil.Process]:
        """Everything that it started and that runs."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.Error:
            return []

    def interrupt(self) -> int:
        """Interrupt it as Ctrl-C does; returns its exit code, when nothing of it is left."""
        family = self.family()
        os.kill(self.process.pid, signal.SIGINT)
        code = self.process.wait(PATIENCE)
        assert_gone(family)
        return code


def assert_gone(family: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(family, timeout=10)
    left = [each for each in alive if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    assert not left, f"still running: {[each.cmdline() for each in left]}"


def _size(line, columns):
    import fcntl
    import struct
    import termios

    fcntl.ioctl(line, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


def _own_terminal():
    """Make the terminal on standard input the terminal that sends this session its interrupts."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
