"""Run the statements of a cell in order; a statement that raises or takes too long costs only itself.

The time limit here only avoids the start of a new worker. The judge enforces the real limit.
"""

import __future__

import ast
import contextlib
import functools
import math
import operator
import signal
import time
import types
from collections.abc import Callable, Iterator
from types import CodeType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

FUTURE = functools.reduce(
    operator.or_, (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
)
STATEMENT_SHARE = 0.6  # of the remaining time, for one statement
CELLS_SHARE = 0.9  # of the judge's limit, for all statements
MIN_SECONDS = 0.05  # for any statement
LATE_SHARE = 0.15  # a statement that takes more of the time for all statements is late
FAULTS = (SyntaxError, ValueError, RecursionError, MemoryError)  # the compiler raises these


class TooLong(BaseException):
    """A statement took too long. `late` if it alone took long, not only together with the statements above it."""

    def __init__(self, message: str, late: bool) -> None:
        super().__init__(message)
        self.late = late


class Runner:
    """Runs statements in one namespace, as the kernel of a notebook does."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.names = names
        self.flags = 0  # of `from __future__` imports, which apply to all later cells
        self.clock = _Clock()
        self.loop: asyncio.AbstractEventLoop | None = None

    def limited(self, cpu: float, wall: float) -> "_Clock":
        """A context that limits the CPU and wall seconds of all statements in it."""
        self.clock.cpu, self.clock.wall = CELLS_SHARE * cpu, CELLS_SHARE * wall
        self.clock.late = LATE_SHARE * cpu, LATE_SHARE * wall
        return self.clock

    def run(
        self, body: list[ast.stmt], compiled: Callable[..., CodeType]
    ) -> Iterator[tuple[list[ast.stmt], BaseException | None]]:
        """Run statements. Yields them in parts, each with the exception that ended it, or None.

        Parameters
        ----------
        body : list of ast.stmt
        compiled : callable
            Returns the code of statements, given compiler flags.
        """
        while body:
            count, error = self._run(body, compiled)
            yield body[:count], error
            body = body[count:]

    def _run(
        self, body: list[ast.stmt], compiled: Callable[..., CodeType]
    ) -> tuple[int, BaseException | None]:
        try:
            code = self._compiled(body, compiled)
        except FAULTS as fault:
            return (
                (1, fault)
                if len(body) == 1
                else self._run(_first_good(self, body, compiled), compiled)
            )
        self.flags |= code.co_flags & FUTURE
        try:
            self.clock.start()
            self._execute(code)
            self.clock.stop()
        except (Exception, SystemExit, KeyboardInterrupt, TooLong) as error:
            self.clock.stop()
            place = _place(error, code)
            if place is None and isinstance(error, TooLong):  # all statements had already run
                return len(body), None
            return _index(body, place) + 1, error
        return len(body), None

    def _compiled(self, body: list[ast.stmt], compiled: Callable[..., CodeType]) -> CodeType:
        try:
            return compiled(body, self.flags)
        except SyntaxError:
            return compiled(body, self.flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)

    def _execute(self, code: CodeType) -> None:
        result = eval(code, self.names)
        if isinstance(result, types.CoroutineType):  # a top-level await
            import asyncio

            self.loop = self.loop or asyncio.new_event_loop()
            self.loop.run_until_complete(result)


def first_line(node: ast.stmt) -> int:
    """The line on which a statement begins, with its decorators."""
    lines = [int(each.lineno) for each in getattr(node, "decorator_list", ())]
    return min([node.lineno, *lines])


def defines(node: ast.stmt) -> bool:
    """Whether a statement defines something or assigns a literal; of demonstration cells, only those run."""
    if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
        try:
            ast.literal_eval(node.value)
            return True
        except ValueError:
            return False
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)
    return isinstance(node, kinds)


def _first_good(
    runner: "Runner", body: list[ast.stmt], compiled: Callable[..., CodeType]
) -> list[ast.stmt]:
    """The statements above the first that does not compile; if there are none, this first statement."""
    for number, node in enumerate(body):
        try:
            runner._compiled([node], compiled)
        except FAULTS:
            return body[: number or 1]
    return body[:1]


def _place(error: BaseException, code: CodeType) -> tuple[int, int] | None:
    """The line and column of `code` at which an error was raised; None if `code` was not running."""
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code is code:
            line, _, column, _ = list(code.co_positions())[step.tb_lasti // 2]
            return line or step.tb_lineno, column or 0
        step = step.tb_next
    return None


def _index(body: list[ast.stmt], place: tuple[int, int] | None) -> int:
    """The index of the statement at a line and column."""
    starts = [(first_line(node), node.col_offset) for node in body]
    return max((n for n, start in enumerate(starts) if place and start <= place), default=0)


class _Clock(contextlib.AbstractContextManager["_Clock"]):
    """Raises `TooLong` in a statement that takes more than its share of the remaining time."""

    def __init__(self) -> None:
        self.cpu = self.wall = 0.0  # remaining seconds
        self.late = 0.0, 0.0
        self.running = False
        self.before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "_Clock":
        if hasattr(signal, "setitimer"):
            for kind in (signal.SIGPROF, signal.SIGALRM):
                self.before[kind] = signal.signal(kind, self._over)
        return self

    def __exit__(self, *_: object) -> None:
        for kind, handler in self.before.items():
            signal.signal(kind, handler)
        self.before.clear()

    def start(self) -> None:
        """Start the timers: statements begin to run."""
        self.begun = time.process_time(), time.monotonic()
        self.running = True
        for timer, left in self._timers():
            share = max(STATEMENT_SHARE * left, MIN_SECONDS)
            signal.setitimer(timer, share, share)

    def stop(self) -> None:
        """Stop the timers: statements have ended."""
        self.running = False
        for timer, _ in self._timers():
            signal.setitimer(timer, 0)
        cpu, wall = self.begun
        self.cpu -= time.process_time() - cpu
        self.wall -= time.monotonic() - wall

    def _timers(self) -> tuple[tuple[int, float], ...]:
        if not self.before or self.cpu == math.inf:
            return ()
        return (signal.ITIMER_PROF, self.cpu), (signal.ITIMER_REAL, self.wall)

    def _over(self, kind: int, _: object) -> None:
        if self.running:
            cpu, wall = self.begun
            took = time.process_time() - cpu, time.monotonic() - wall
            n, what = (0, "s of CPU time") if kind == signal.SIGPROF else (1, "s")
            message = f"it was ended after {took[n]:.2g} {what}; the statements below it ran"
            raise TooLong(message, took[n] > self.late[n])
