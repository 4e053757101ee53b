"""The first code to run in a sandbox: it gives up rights, then becomes the judge, a worker or the probe."""

import json
import sys
from pathlib import Path

from tito.grading import limits

WARM = Path("/warm")  # compiled code of the course's own files, made before any student's code ran
CACHE = Path("/tmp/numba")


def main() -> None:
    """Become what the command line says, with the limits it says."""
    role, settings = sys.argv[1], json.loads(sys.argv[2])
    del sys.argv[1:]
    if role == "template":
        from tito.grading.template import serve

        serve(*settings["fds"])
        return
    if settings["uid"] is not None:
        limits.become(settings["uid"])
    if settings["limits"] is not None:
        limits.apply(settings["limits"])
    link_compiled(CACHE)
    begin(role, settings["fds"])


def begin(role: str, fds: list[int]) -> None:
    """Play the part of a judge, a worker or the probe until it is over."""
    if role == "worker":
        from tito.grading.worker import main
    elif role == "judge":
        from tito.grading.judge import main
    else:
        from tito.grading.probe import main
    main(*fds)


def link_compiled(cache: Path) -> None:
    """Let Numba find the course's compiled code; what a student compiles stays in the sandbox."""
    if WARM.is_dir():
        for folder in WARM.iterdir():
            here = cache / folder.name
            here.mkdir(parents=True, exist_ok=True)
            for file in folder.iterdir():
                (here / file.name).symlink_to(file)
