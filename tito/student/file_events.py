"""Watch for saves of a file, whether an editor writes in place, in two steps, or renames another file."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

STEP, GROUP = (
    30,
    120,
)  # milliseconds without an event that end a save, and the longest wait for them
LOOK = 1000  # milliseconds between two checks without an event
SETTLE = 0.3  # seconds to wait for an empty or missing file to be written


@contextlib.contextmanager
def watch_saves(folder: Path, names: set[str], tell: Callable[[], None]) -> Iterator[None]:
    """Call `tell` from a thread after each save of one of these files, until the context ends."""
    over = threading.Event()
    known = _stamps(folder, names)
    thread = threading.Thread(target=_watch, args=(folder, names, known, tell, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(2)


def _watch(folder, names, last, tell, over):
    import watchfiles

    while not over.is_set():
        here = _inode(folder)
        if here is None:  # missing, as during a change of branches; it may come back
            over.wait(LOOK / 1000)
            continue
        with contextlib.suppress(OSError):
            for _ in watchfiles.watch(
                folder,
                watch_filter=lambda _, path: Path(path).name in names,
                debounce=GROUP,
                step=STEP,
                rust_timeout=LOOK,
                yield_on_timeout=True,
                recursive=False,
                stop_event=over,
                raise_interrupt=False,
                ignore_permission_denied=True,
            ):
                now = _settled(folder, names, over)
                if now != last:
                    last = now
                    tell()
                if _inode(folder) != here:
                    break
        over.wait(0.05)


def _settled(folder, names, over):
    """The files' stamps, after waiting a moment for empty or missing files."""
    now, until = _stamps(folder, names), time.monotonic() + SETTLE
    usual = {name for name, stamp in now.items() if stamp}
    while (not usual or any(stamp and not stamp[1] for stamp in now.values())) and (
        time.monotonic() < until and not over.wait(STEP / 1000)
    ):
        now = _stamps(folder, names)
        usual = {name for name, stamp in now.items() if stamp}
    return now


def _stamps(folder, names):
    found = {}
    for name in sorted(names):
        found[name] = None
        with contextlib.suppress(OSError):
            stat = (folder / name).stat()
            found[name] = stat.st_mtime_ns, stat.st_size, stat.st_ino
    return found


def _inode(folder):
    with contextlib.suppress(OSError):
        return folder.stat().st_ino
    return None
