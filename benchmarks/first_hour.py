"""The first hour of a student, recorded: every typed command, its seconds and what it printed.

    python -m benchmarks.first_hour > docs/measured/first_hour.md

It clones the repository into an empty folder and installs into a new .venv, then does the same in the folder of a
release. Each command must be named by the folder's README or by the output of an earlier command. The commands are
typed into one shell. `tito test` in the clone is typed into a terminal of the JupyterLab that `make start` opened.
"""

import asyncio
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

ROOT = Path(__file__).resolve().parents[1]
ADDRESS = re.compile(r"(http://127\.0\.0\.1:\d+)/lab/\S*\?token=(\w+)")
COLOURS = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
TOKEN = re.compile(r"(?<=token=)\w+")
END = "end-of-command"
PLACES = re.compile(r"file:/|^Looking in|\s/\w+/")  # of this machine, in the output of pip
LINES, WIDTH = (
    28,
    110,
)  # of a command's output in the page, which leaves out the middle of a longer one
SECONDS = 900  # the longest wait for the terminal
EXERCISE = "time_kernel"
STUB = "    # YOUR CODE HERE\n    raise NotImplementedError()"


@dataclass(frozen=True)
class Step:
    """One typed command; `named` is the text that told the reader to type it."""

    command: str
    seconds: float
    output: str
    named: str


class Recorder:
    """One shell in which commands are typed, and what was seen so far."""

    def __init__(self, folder: Path, guide: Path, about: str):
        self.steps: list[Step] = []
        self.texts = {about: guide.read_text("utf-8")}  # where commands may be named
        self.secrets = str(folder)
        env = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "TITO_COURSE")}
        env |= {"BROWSER": "true", "NO_COLOR": "1", "SHELL": "/bin/bash"}
        program = [shutil.which("bash"), "--norc"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self.shell = subprocess.Popen(
            program, cwd=folder, env=env, text=True, start_new_session=True, **pipes
        )

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        os.killpg(self.shell.pid, signal.SIGTERM)
        self.shell.wait()
        self.shell.stdin.close()
        self.shell.stdout.close()

    def run(self, command: str) -> str:
        """Type a command and wait for its end.

        Raises
        ------
        RuntimeError
            If it fails.
        """
        begin = time.perf_counter()
        self._type(f"{command}\necho {END} $?")
        said = ""
        while not (line := self._line()).startswith(END):
            said += line
        self._keep(command, time.perf_counter() - begin, said)
        if line.split()[1] != "0":
            raise RuntimeError(f"{command}: exit {line.split()[1]}\n{said}")
        return said

    def serve(self, command: str) -> tuple[str, str]:
        """Type a command that ends with a running JupyterLab; returns its address and its token."""
        begin = time.perf_counter()
        self._type(command)
        said = ""
        while not (found := ADDRESS.search(said)):
            said += self._line()
        self._keep(command, time.perf_counter() - begin, said)
        return found[1], found[2]

    def in_terminal(self, server: tuple[str, str], command: str) -> str:
        """Type a command into a new terminal of JupyterLab."""
        begin = time.perf_counter()
        said = asyncio.run(asyncio.wait_for(_typed(*server, command), SECONDS))
        self._keep(command, time.perf_counter() - begin, said)
        return said

    def _type(self, text):
        self.shell.stdin.write(text + "\n")
        self.shell.stdin.flush()

    def _line(self):
        line = self.shell.stdout.readline()
        if not line:
            raise RuntimeError("the shell has ended")
        return line

    def _keep(self, command, seconds, said):
        command = command.replace(str(ROOT), "ADDRESS")
        named = next((name for name, text in self.texts.items() if command in text), "")
        said = TOKEN.sub("…", said.replace(self.secrets, "~"))
        self.steps.append(Step(command, seconds, said, named))
        self.texts[f"the output of `{command}`"] = said


async def _typed(address, token, command) -> str:
    """The output of a command in a new terminal of JupyterLab, without colours and lines that were replaced."""
    headers = {"Authorization": f"token {token}"}
    ask = urllib.request.Request(f"{address}/api/terminals", b"{}", headers)
    with urllib.request.urlopen(ask, timeout=60) as reply:
        name = json.load(reply)["name"]
    place = f"{address.replace('http', 'ws')}/terminals/websocket/{name}"
    socket = await websocket_connect(HTTPRequest(place, headers=headers))
    await socket.write_message(json.dumps(["set_size", 50, 110]))
    # One line: `tito test` reads what is typed while it runs. The quotes keep the end apart from its echo.
    line = f"{command}; echo {END[:4]}''{END[4:]}"
    await socket.write_message(json.dumps(["stdin", f"{line}\r"]))
    said = ""
    while f"\n{END}" not in said:
        kind, *more = json.loads(await socket.read_message())
        if kind == "stdout":
            said += COLOURS.sub("", more[0]).replace("\r\n", "\n")
    socket.close()
    lines = said.partition(f"\n{END}")[0].split("\n")
    typed = max(n for n, each in enumerate(lines) if "''" in each)
    return "\n".join(each.rpartition("\r")[2] for each in lines[typed + 1 :]).strip("\n") + "\n"


def answer(notebook: Path) -> None:
    """Write the answer of the first exercise into a notebook, as a student does in JupyterLab."""
    source = (ROOT / "modules" / "source" / "11_kernels" / "kernels_dev.py").read_text("utf-8")
    body = source.partition(f"def {EXERCISE}(")[2].partition("### BEGIN SOLUTION\n")[2]
    body = body.partition("    ### END SOLUTION")[0].rstrip("\n")
    document = json.loads(notebook.read_text("utf-8"))
    [cell] = [
        cell
        for cell in document["cells"]
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == EXERCISE
    ]
    text = "".join(cell["source"])
    if STUB not in text:
        raise RuntimeError(f"{EXERCISE} is not a stub")
    cell["source"] = text.replace(STUB, body)
    notebook.write_text(json.dumps(document), encoding="utf-8")


def in_clone(folder: Path, installed: Path | None = None) -> list[Step]:
    """From `git clone` to the first passing exercise of module 11, in an empty folder.

    Parameters
    ----------
    folder : Path
    installed : Path, optional
        A .venv to copy, so that `make start` installs nothing.
    """
    with Recorder(folder, ROOT / "README.md", "README.md") as record:
        record.run(f"git clone {ROOT} tinytorch")
        if installed:
            shutil.copytree(installed, folder / "tinytorch" / ".venv", symlinks=True)
        record.run("cd tinytorch")
        server = record.serve("make start FROM=kernels")
        answer(folder / "tinytorch" / "work" / "modules" / "11_kernels" / "kernels_dev.ipynb")
        record.in_terminal(server, f"tito test kernels {EXERCISE}")
        return record.steps


def in_release(folder: Path) -> list[Step]:
    """From a release's folder to the first passing exercise, and to the file to submit."""
    with Recorder(folder, folder / "README.md", "the release's README.md") as record:
        record.run("python3 -m venv .venv")
        record.run("source .venv/bin/activate")
        record.run("pip install . -c constraints.txt")
        server = record.serve("tito notebook kernels")
        answer(folder / "kernels_dev.ipynb")
        record.in_terminal(server, f"tito test kernels {EXERCISE}")
        record.in_terminal(server, "tito submit kernels")
        return record.steps


def page(title: str, steps: list[Step]) -> list[str]:
    """A table of the commands, and what each printed."""
    total = sum(each.seconds for each in steps)
    lines = [f"## {title}", "", "| | command | seconds | named in |", "| --- | --- | --- | --- |"]
    for number, each in enumerate(steps, 1):
        named = each.named or "nowhere"
        lines.append(f"| {number} | `{each.command}` | {each.seconds:.1f} | {named} |")
    lines += ["", f"{len(steps)} commands, {total / 60:.1f} minutes without the time to write.", ""]
    for each in steps:
        said = each.output.rstrip("\n").split("\n") if each.output.strip() else []
        said = [line[:WIDTH] for line in said if not PLACES.search(line)]
        if len(said) > LINES:
            said[LINES // 2 : -LINES // 2] = [f"… {len(said) - LINES} more lines"]
        lines += ["```text", f"$ {each.command}", *said, "```", ""]
    return lines


def main() -> int:
    """Record both, print the page; 1 if no text names one of the commands."""
    with tempfile.TemporaryDirectory(prefix="first-hour-") as scratch:
        clone, own = Path(scratch, "clone"), Path(scratch, "release")
        clone.mkdir()
        cloned = in_clone(clone)
        tito = clone / "tinytorch" / ".venv" / "bin" / "tito"
        made = [str(tito), "release", "kernels", "--output", str(own)]
        subprocess.run(made, cwd=clone / "tinytorch", check=True, stdout=sys.stderr)
        released = in_release(own)
    steps = [*cloned, *released]
    unnamed = [each.command for each in steps if not each.named]
    cores, load = os.cpu_count(), os.getloadavg()[1]
    lines = [
        "# The first hour",
        "",
        "`python -m benchmarks.first_hour` wrote this page. It types each command in an empty folder and writes the answer of",
        "exercise 1 into the notebook before `tito test`. The column *named in* says which text told the reader the command.",
        f"Commands that no text names: {', '.join(unnamed) or 'none'}.",
        "",
        f"Machine: {platform.machine()}, {cores} cores, load {load:.1f}. Packages came from an index on the local disk, so an",
        "installation over a network takes longer.",
        "",
        *page("In a fresh clone", cloned),
        *page("In the folder of a release", released),
    ]
    print("\n".join(lines).rstrip("\n"))
    return bool(unnamed)


if __name__ == "__main__":
    sys.exit(main())
