"""A clean worker, in which no cell of the student has run: tests count and measure there.

It has the lesson's given cells. `kernel_text` makes functions of the student from the text of their cells.
"""

import math
from collections.abc import Callable
from typing import Any

from tito.grading.judge.workers import Worker
from tito.notebooks.cells import Cell


class Clean:
    """The clean worker of a judge; the first test that needs it starts it.

    Parameters
    ----------
    start : callable
        Starts a worker.
    given : list of Cell
        The lesson's own cells.
    texts : list of dict
        The student's cells: their ids and sources.
    """

    def __init__(
        self, start: Callable[[], Worker], given: list[Cell], texts: list[dict[str, str]]
    ) -> None:
        self.start, self.given, self.texts = start, given, texts
        self.worker: Worker | None = None
        self.used = False  # whether text of the student has run in it

    def call(
        self,
        helper: object,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        instead: dict[str, Any],
        above: list[str],
    ) -> object:
        """Run a helper of a test.

        Parameters
        ----------
        helper : callable
        args, kwargs
            Its arguments.
        instead : dict
            Functions of the test that replace functions of the student, by name.
        above : list of str
            The ids of the student's cells above the test.
        """
        self.ask({"op": "space", "instead": instead, "cells": above})
        self.used = True
        request = {"op": "call", "target": helper, "args": list(args), "kwargs": kwargs}
        return self.ask(request | {"after": False, "keep": False})["value"]

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Ask the worker, which is started if there is none."""
        try:
            return self._ready().ask(request)
        except Exception:
            raise
        except BaseException:  # the worker has ended
            self.worker = None
            raise

    def cpu(self) -> float:
        """CPU seconds of the worker so far."""
        return self._ready().process.cpu()

    def end(self) -> None:
        """End the worker."""
        if self.worker:
            self.worker.end()
        self.worker, self.used = None, False

    def _ready(self) -> Worker:
        if self.worker is None:
            self.worker = self.start()
            for number, role in enumerate(
                ("given", "locked")
            ):  # the text may use only the first kind
                self._load(self.worker, [cell for cell in self.given if cell.role == role], number)
            self.worker.ask({"op": "texts", "cells": self.texts, "above": 0})
        return self.worker

    def _load(self, worker: Worker, cells: list[Cell], mark: int) -> None:
        usual: dict[str, Any] = {"definitions": False, "only": None, "skipped": []}
        parts = [{"name": cell.id, "source": cell.source} | usual for cell in cells]
        times = {"cpu": math.inf, "wall": math.inf}  # no code of the student runs
        loaded = worker.ask({"op": "load", "cells": parts, "mark": mark} | times)
        if loaded["errors"]:
            raise RuntimeError(f"cells of the lesson do not run alone: {loaded['errors']}")
