"""The contents manager of JupyterLab: before a save overwrites a file that changed on disk, it keeps a copy."""

import hashlib
from pathlib import Path

from ipykernel.ipkernel import IPythonKernel
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from jupytext.async_contentsmanager import build_async_jupytext_contents_manager_class

from tito import files


class Files(AsyncLargeFileManager):
    """Single files; remembers the contents of each when it was last read or written here."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._known = {}  # digests by path

    async def get(self, path, content=True, type=None, format=None, require_hash=False):
        """Read a file as JupyterLab asks."""
        found = (
            self._digest(path) if content else None
        )  # before reading, to detect a change meanwhile
        model = await super().get(path, content, type, format, require_hash)
        if found:
            self._known[path.strip("/")] = found
        return model

    async def save(self, model, path=""):
        """Write a file unless its notebook on disk has changed since it was opened."""
        if "chunk" in model:  # an upload in parts
            return await super().save(model, path)
        if self._digest(path) not in (None, self._known.get(path.strip("/"))):
            kept = files.copy_aside(Path(self._get_os_path(path)))
            self.log.warning("%s was changed elsewhere; that version is kept: %s", path, kept.name)
        saved = await super().save(model, path)
        self._known[path.strip("/")] = self._digest(path)
        return saved

    def _digest(self, path):
        file = Path(self._get_os_path(path.strip("/")))
        return hashlib.sha256(file.read_bytes()).digest() if file.is_file() else None


class Contents(build_async_jupytext_contents_manager_class(Files)):  # type: ignore[misc]
    """Notebooks, paired with percent files where jupytext.toml says so."""

    async def get(self, path, content=True, type=None, format=None, require_hash=False):
        """Read a file as JupyterLab asks."""
        model = await super().get(path, content, type, format, require_hash)
        if content and model["type"] == "notebook":
            # Otherwise JupyterLab adds it when the kernel starts, and marks the notebook as edited.
            model["content"].metadata.setdefault("language_info", IPythonKernel.language_info)
        return model
