"""A server that a command of tito starts, and a notebook in a real browser."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

TOKEN = "token"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync")
AUTOSAVE = ("@jupyterlab", "docmanager-extension", "plugin.jupyterlab-settings")
SECONDS = 120  # the longest wait, on a busy machine
RUN = 900  # and the cells of a lesson


@contextlib.contextmanager
def served(folder, scratch, *words):
    """The address of the server that `tito WORDS` starts in a folder; it ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    own = {name: str(scratch / name.lower()) for name in places} | {"JUPYTER_TOKEN": TOKEN}
    command = [sys.executable, "-m", "tito", *words, "--no-browser", "--port", f"{port}"]
    settings = Path(own["JUPYTER_CONFIG_DIR"], "lab", "user-settings", *AUTOSAVE)
    settings.parent.mkdir(parents=True)
    settings.write_text('{"autosave": false}')  # or a save by hand may meet an automatic save
    with (scratch / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=os.environ | own, stdout=log, stderr=log
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/api?token={TOKEN}", process)
        yield address
    finally:
        process.terminate()
        process.wait(SECONDS)


def _wait_for(address, process):
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.3)


@contextlib.contextmanager
def browser():
    """A page of a Chromium with nothing remembered."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        try:
            page = chromium.new_page(viewport={"width": 1400, "height": 1000})
            page.set_default_timeout(SECONDS * 1000)
            yield page
        finally:
            chromium.close()


class Notebook:
    """The notebook that JupyterLab opens by itself."""

    def __init__(self, page, address):
        self.page = page
        page.goto(f"{address}/?token={TOKEN}")
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        page.locator(".jp-Notebook .jp-Cell").nth(1).wait_for()  # an empty cell is there first

    def idle(self):
        """Wait until the kernel has run what it was given."""
        done = ".jp-Notebook-ExecutionIndicator[data-status=idle]"
        self.page.wait_for_selector(done, timeout=RUN * 1000)

    def choose(self, menu, item):
        """Choose an item of a menu."""
        self.page.locator(".lm-MenuBar-itemLabel", has_text=menu).first.click()
        self.page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{item}$")).click()

    def run_all(self):
        """Run every cell, or those before the first that fails."""
        self.choose("Run", "Run All Cells")
        self.page.wait_for_selector(".jp-Notebook-ExecutionIndicator:not([data-status=idle])")
        self.idle()

    def cell(self, text):
        """The cell that contains a text, scrolled into view, because JupyterLab renders only visible cells."""
        found = self.page.locator(".jp-Notebook .jp-Cell", has_text=text).first
        self.page.locator(".jp-WindowedPanel-outer").first.hover()
        deadline = time.monotonic() + SECONDS
        while not found.is_visible():
            assert time.monotonic() < deadline, f"no cell shows {text!r}"
            self.page.mouse.wheel(0, 600)
            self.page.wait_for_timeout(150)
        found.scroll_into_view_if_needed()
        return found

    def write(self, cell, text):
        """Replace the text of a cell, and run it."""
        cell.locator(".cm-content").first.click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(text)
        self.run()

    def run(self):
        """Run the cell that the cursor is in, and go to the next."""
        self.page.keyboard.press("Shift+Enter")
        self.idle()

    def is_unsaved(self):
        return self.page.locator(".lm-TabBar-tab.jp-mod-dirty").count() > 0

    def save(self):
        """Save, and wait until it is done."""
        with self.saved():
            self.page.keyboard.press("Control+s")

    def saved(self):
        """A block after which a save is done: the last that JupyterLab asks for is a checkpoint."""
        return self.page.expect_response(
            lambda reply: reply.request.method == "POST" and "/checkpoints" in reply.url
        )

    def validate(self):
        """What nbgrader's Validate says."""
        self.page.get_by_text("Validate", exact=True).first.click()
        said = self.page.locator(".jp-Dialog", has_text=re.compile("Validation Results|Success"))
        said.wait_for()
        text = said.inner_text()
        said.get_by_role("button").last.click()
        return text
