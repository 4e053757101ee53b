"""The first code that runs in a sandbox: it starts the program that the command line names."""

import contextlib
import json
import sys

from tito.grading.inside.drop_rights import run_and_wait


def main() -> None:
    """Run the role on the command line, with the limits given there."""
    role, settings = sys.argv[1], json.loads(sys.argv[2])
    del sys.argv[1:]
    if role == "zygote":
        from tito.grading.inside.zygote import serve

        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the supervisor is gone
            serve(*settings["fds"])
    else:
        run_and_wait(
            role, settings["fds"], settings["uid"], settings["limits"], settings["lifetime"]
        )
