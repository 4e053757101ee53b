"""Measured figures of this machine, stored on disk."""

import contextlib
import json
import math
import os
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

from tinytorch.lab.machine.detect import settings, simd


def stored(name: str, measure: Callable[[], float], fresh: bool) -> float:
    """Return this machine's figure from disk, or measure and store it. Works without a writable disk too."""
    path = _file()
    cpu = settings.CPU_NAME or llvm.get_host_cpu_name()
    key = f"{platform.node()} {cpu} {simd().name} {name}"
    known = _load(path).get(key)
    if not fresh and isinstance(known, float) and 0 < known < math.inf:
        return known
    value = float(measure())
    with contextlib.suppress(OSError):
        _keep(path, key, value)
    return value


def _keep(path: Path, key: str, value: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as draft:
        json.dump({**_load(path), key: value}, draft, indent=1)
    try:
        os.replace(draft.name, path)
    except OSError:
        Path(draft.name).unlink(missing_ok=True)


def _file() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("tinytorch")) / "machine.json"


def _load(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
