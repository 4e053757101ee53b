"""Folders and archives of files from strangers, read as data: bounded, by safe names, or refused whole."""

import bz2
import contextlib
import gzip
import lzma
import os
import stat
import tarfile
import tempfile
import time
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tito.course import TitoError, one_line

FILES = 50_000
FILE_BYTES = 20 << 20  # of one file that is read
TOTAL_BYTES = 2 << 30  # of all files of an archive, unpacked
RATIO, RATIO_FROM = 200, 1 << 20  # how many times smaller a file of some size may be packed
DEPTH, NAME, HEADER_BYTES = 24, 255, 1 << 16
WANTED = (".ipynb", ".py", ".txt", ".yml")
NESTED = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".7z", ".rar", ".zst")
NESTED_STARTS = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!")
HINT = "unpack it yourself into a folder, look at what it holds, and collect the folder"


@dataclass(frozen=True)
class Entry:
    """A file: its name with / between the parts, its size, its time if known, why it cannot be read if it cannot."""

    name: str
    size: int
    time: float | None
    load: Callable[[], bytes]
    fault: str = ""

    def read(self) -> bytes:
        """The bytes, at most FILE_BYTES of them."""
        if self.fault:
            raise TitoError(f"{Path(self.name).name} {self.fault}", "ask for the notebook alone")
        if self.size > FILE_BYTES:
            raise TitoError(
                f"{Path(self.name).name} is {self.size >> 20} MB, at most {FILE_BYTES >> 20} are read",
                "clear the notebook's outputs and hand it in again",
            )
        return self.load()


@contextlib.contextmanager
def entries(path: Path) -> Iterator[list[Entry]]:
    """The files of a folder, a zip or a tar archive; an archive with anything hostile in it is refused whole."""
    if path.is_dir():
        yield list(_folder(path))
        return
    try:
        start = path.open("rb").read(8)
        size = path.stat().st_size
    except OSError as error:
        raise TitoError(
            f"cannot read {path}: {error.strerror}", "name a folder, a zip or a tar archive"
        ) from None
    with contextlib.ExitStack() as stack:
        try:
            if start.startswith(b"PK"):
                found = list(_zip(stack.enter_context(zipfile.ZipFile(path))))
            else:
                scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="tito-collect-"))
                found = list(_tar(path, start, size, Path(scratch)))
        except _Hostile as error:
            raise TitoError(f"{path.name} is refused: {error}", HINT) from None
        except Exception as error:  # whatever the readers of broken archives raise
            raise TitoError(
                f"cannot read {path.name} as an archive: {one_line(error)}",
                "download it again; zip and tar are read",
            ) from None
        yield found


class _Hostile(Exception):
    pass


def _zip(archive):
    seen, total = set(), 0
    for info in archive.infolist():
        written = info.orig_filename if "\0" in info.orig_filename else info.filename
        name = _name(written, seen, info.is_dir())
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _Hostile(f"{name} is a link or a device")
        if info.is_dir():
            continue
        if info.flag_bits & 0x41:
            raise _Hostile(f"{name} is encrypted")
        total += info.file_size
        _refuse_bomb(name, info.file_size, info.compress_size, total)
        _refuse_nested(name, b"")
        when = _zip_time(info)
        if name.lower().endswith(WANTED) and info.file_size <= FILE_BYTES:
            with archive.open(info) as file:
                _refuse_nested(name, file.read(8))
        yield Entry(name, info.file_size, when, lambda info=info: _load_zip(archive, info))


def _load_zip(archive, info):
    try:
        with archive.open(info) as file:
            return file.read(FILE_BYTES + 1)[:FILE_BYTES]
    except Exception as error:  # a broken member may raise what the decompressor does
        raise TitoError(
            f"{Path(info.filename).name} is damaged: {one_line(error)}", "download it again"
        ) from None


def _zip_time(info):
    try:
        return time.mktime((*info.date_time, 0, 0, -1))
    except (ValueError, OverflowError):
        return None


def _tar(path, start, size, scratch):
    """The members of a tar archive; those that are wanted are kept in files with names of our own."""
    seen, total = set(), 0
    openers = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
    opener = next((o for begin, o in openers.items() if start.startswith(begin)), open)
    most = TOTAL_BYTES if opener is open else min(TOTAL_BYTES, max(RATIO * size, 64 << 20))
    with opener(path, "rb") as file:
        stream = _Bounded(file, most)
        with tarfile.open(fileobj=stream, mode="r|", errorlevel=2, tarinfo=_Member) as archive:
            for member in archive:
                name = _name(member.name, seen, member.isdir())
                if not (member.isfile() or member.isdir()) or member.issparse():
                    raise _Hostile(f"{name} is a link or a device")
                if member.isdir():
                    continue
                total += member.size
                _refuse_bomb(name, member.size, member.size, total)
                _refuse_nested(name, b"")
                kept = scratch / str(len(seen))
                if name.lower().endswith(WANTED) and member.size <= FILE_BYTES:
                    data = archive.extractfile(member).read()
                    _refuse_nested(name, data[:8])
                    kept.write_bytes(data)
                yield Entry(name, member.size, float(member.mtime), kept.read_bytes)


class _Member(tarfile.TarInfo):
    """A member whose headers are short; tarfile reads them into memory whole."""

    def _proc_member(self, archive):
        headers = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
        headers += (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
        if self.type in headers and self.size > HEADER_BYTES:
            raise _Hostile(f"a header of it is {self.size} bytes long")
        return super()._proc_member(archive)


class _Bounded:
    """A stream that ends with a refusal when more comes out of it than its packed size allows."""

    def __init__(self, file, most):
        self.file, self.most, self.count = file, most, 0

    def read(self, size=-1):
        data = self.file.read(size)
        self.count += len(data)
        if self.count > self.most:
            raise _Hostile(f"it unpacks to more than {self.most >> 20} MB")
        return data


def _name(name, seen, folder):
    """A name that is safe to show and to tell students by, or a refusal."""
    shown = ascii(name)[1:-1][:80]
    if any(unicodedata.category(c) in ("Cc", "Cs") or c in BIDI for c in name):
        raise _Hostile(f"the name {shown} has control characters")
    plain = name.replace("\\", "/")
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    if plain.startswith("/") or plain[1:2] == ":" or ".." in parts:
        raise _Hostile(f"the name {shown} leads outside")
    if (
        (not parts and not folder)
        or len(parts) > DEPTH
        or any(len(part.encode()) > NAME for part in parts)
    ):
        raise _Hostile(f"the name {shown} is empty, too long or too deep")
    safe = unicodedata.normalize("NFC", "/".join(parts))
    if safe in seen and not folder:
        raise _Hostile(f"{shown} is there twice")
    seen.add(safe)
    if len(seen) > FILES:
        raise _Hostile(f"it holds more than {FILES} files")
    return safe


BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")


def _refuse_bomb(name, size, packed, total):
    if size < 0 or total > TOTAL_BYTES:
        raise _Hostile(f"it unpacks to more than {TOTAL_BYTES >> 20} MB")
    if size > RATIO_FROM and size > RATIO * max(packed, 1):
        raise _Hostile(f"{name} is packed {size // max(packed, 1)} times smaller")


def _refuse_nested(name, start):
    if name.lower().endswith(NESTED) or start.startswith(NESTED_STARTS):
        raise _Hostile(f"{name} is an archive in the archive")


def _folder(root):
    count, waiting = 0, [root]
    while waiting:
        place = waiting.pop()
        try:
            found = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError as error:
            name = place.relative_to(root).as_posix()
            yield Entry(name, 0, None, bytes, f"cannot be read: {error.strerror}")
            continue
        for entry in found:
            count += 1
            if count > FILES:
                raise TitoError(f"{root} holds more than {FILES} files", "name a folder in it")
            if entry.is_dir(follow_symlinks=False):
                path = Path(entry.path)
                if len(path.relative_to(root).parts) < DEPTH:
                    waiting.append(path)
                if path.suffix == ".ipynb":
                    yield Entry(_relative(path, root), 0, None, bytes, "is a folder")
                continue
            yield _file(Path(entry.path), root)


def _file(path, root):
    name = _relative(path, root)
    try:
        about = path.lstat()
    except OSError as error:
        return Entry(name, 0, None, bytes, f"cannot be read: {error.strerror}")
    if stat.S_ISLNK(about.st_mode):
        return Entry(name, 0, None, bytes, "is a link, which is not followed")
    if not stat.S_ISREG(about.st_mode):
        return Entry(name, 0, None, bytes, "is not a file")
    fault = "is an archive" if name.lower().endswith(NESTED) else ""
    return Entry(name, about.st_size, about.st_mtime, lambda: _load(path), fault)


def _relative(path, root):
    name = unicodedata.normalize("NFC", path.relative_to(root).as_posix())
    return "".join(c if c.isprintable() else "\ufffd" for c in name)


def _load(path):
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        handle = os.open(path, flags | getattr(os, "O_BINARY", 0))
        with open(handle, "rb") as file:
            return file.read(FILE_BYTES)
    except OSError as error:
        raise TitoError(
            f"cannot read {path.name}: {error.strerror}", "fix the permissions"
        ) from None
