"""Read folders and archives of submissions as data, within limits and under safe names, without unpacking them.

A file that cannot be read is an entry with a fault, and the others go on. An archive is refused whole only
if it tries to do harm: names that lead outside, links, devices, or far more data than its size allows.
"""

import bz2
import contextlib
import gzip
import lzma
import stat
import tarfile
import tempfile
import time
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from tito import nofollow
from tito.classroom import zip_names
from tito.course import TitoError, one_line
from tito.gradebook.student_ids import BIDI, MARKS

FILES = 50_000
FILE_BYTES = 20 << 20  # of one file that is read
TOTAL_BYTES = 2 << 30  # of all files of an archive, unpacked
RATIO = 500  # the largest allowed compression ratio; a notebook of printed lines reaches 300
DEPTH, NAME, HEADER_BYTES = 24, 255, 1 << 16
NOTEBOOKS = (".ipynb", ".py")
WANTED = (*NOTEBOOKS, ".txt", ".yml")
NESTED = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".7z", ".rar", ".zst")
NESTED_STARTS = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!")
HINT = "unpack it yourself into a folder, look at its contents, and collect the folder"


@dataclass(frozen=True)
class Entry:
    """A file: its name with / between the parts, its size, its time if known, and a reason if it cannot be read.

    An empty folder is an entry whose name ends with /.
    """

    name: str
    size: int
    time: float | None
    load: Callable[[], bytes]
    fault: str = ""
    note: str = ""

    def read(self) -> bytes:
        """The bytes, at most FILE_BYTES of them."""
        short = Path(self.name).name
        if self.fault:
            raise TitoError(f"{short} {self.fault}", "ask the student to send only the notebook")
        if self.size > FILE_BYTES:
            raise TitoError(
                f"{short} has {self.size >> 20} MB; the limit is {FILE_BYTES >> 20} MB",
                "clear the notebook's outputs and submit it again",
            )
        return self.load()


class Hostile(Exception):
    """An archive that tries to do harm; the message says how."""


@contextlib.contextmanager
def entries(path: Path) -> Iterator[list[Entry]]:
    """The files of a folder, a zip or a tar archive, to be read while the context lasts.

    Raises
    ------
    TitoError
        If the path cannot be read, or the archive is hostile.
    """
    if path.is_dir():
        yield _folder(path)
        return
    try:
        file, size = path.open("rb"), path.stat().st_size
    except OSError as error:
        raise TitoError(
            f"cannot read {path}: {error.strerror}", "name a folder, a zip or a tar archive"
        ) from None
    with file, tempfile.TemporaryDirectory(prefix="tito-collect-") as scratch:
        try:
            found = unpack(file, size, lambda data: _keep(scratch, data))
            _refuse_faulty(found)
        except Hostile as error:
            raise TitoError(f"{path.name} is refused: {error}", HINT) from None
        except Exception:  # zipfile and tarfile raise many types for broken archives
            raise TitoError(
                f"{path.name} is not a complete zip or tar archive ({size} bytes)",
                "download it again, as a zip or tar archive",
            ) from None
        yield found


def unpack(
    file: BinaryIO, size: int, keep: Callable[[bytes], Callable[[], bytes]], most: int = TOTAL_BYTES
) -> list[Entry]:
    """The files of an open archive. `keep` stores the contents of a tar and returns a function that reads them."""
    start = file.read(8)
    file.seek(0)
    if start.startswith(b"PK"):
        return _zip(zipfile.ZipFile(file), most)
    return _tar(file, start, size, keep, most)


class _Members:
    """The members of an archive under safe names."""

    def __init__(self) -> None:
        self.found: list[Entry] = []
        self.places: dict[str, int] = {}
        self.folders: list[str] = []

    def add(self, entry: Entry) -> None:
        if len(self.found) >= FILES:
            raise Hostile(f"it contains more than {FILES} files")
        if entry.name in self.places:
            first = self.places[entry.name]
            self.found[first] = replace(self.found[first], fault="is there twice")
            entry = replace(entry, fault="is there twice")
        self.places[entry.name] = len(self.found)
        self.found.append(entry)

    def add_folder(self, name: str) -> None:
        if len(self.folders) >= FILES:
            raise Hostile(f"it contains more than {FILES} folders")
        self.folders.append(_name(name.rstrip("/"))[0])

    def all(self) -> list[Entry]:
        full = {name.rpartition("/")[0] for name in (*self.places, *self.folders)}
        return self.found + [_empty(name) for name in self.folders if name and name not in full]


def _empty(name: str) -> Entry:
    return Entry(f"{name}/", 0, None, bytes, "is an empty folder")


def _zip(archive: zipfile.ZipFile, most: int) -> list[Entry]:
    members, infos = _Members(), archive.infolist()
    if len(infos) > FILES:
        raise Hostile(f"it contains more than {FILES} files")
    names, guessed = zip_names.names(infos)
    total = 0
    for info, written in zip(infos, names, strict=True):
        name, fault = _name(written)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise Hostile(f"{_shown(name)} is a link or a device")
        if info.is_dir():
            members.add_folder(written)
            continue
        total += min(info.file_size, FILE_BYTES)
        if total > most:
            raise Hostile(f"it unpacks to more than {most >> 20} MB")
        _refuse_bomb(name, info.file_size, info.compress_size)
        if info.flag_bits & 0x41:
            fault = "is encrypted"
        note = f"names in the zip do not say their encoding; read as {guessed}"
        members.add(
            Entry(
                name, info.file_size, _zip_time(info),
                lambda info=info: _load_zip(archive, info),  # type: ignore[misc]
                fault, note if guessed not in ("", "utf-8") and not name.isascii() else "",
            )
        )  # fmt: skip
    return members.all()


def _load_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    try:
        with archive.open(info) as file:
            return file.read(FILE_BYTES)
    except Exception as error:  # decompressors raise many types for a broken member
        name = Path(_name(info.filename)[0]).name
        raise TitoError(f"{name} is damaged: {one_line(error)}", "download it again") from None


def _zip_time(info: zipfile.ZipInfo) -> float | None:
    try:
        return time.mktime((*info.date_time, 0, 0, -1))
    except (ValueError, OverflowError):
        return None


def _tar(
    file: BinaryIO, start: bytes, size: int,
    keep: Callable[[bytes], Callable[[], bytes]], most: int,
) -> list[Entry]:  # fmt: skip
    """The members of a tar archive, packed or not."""
    members = _Members()
    packed = opened(file, start)
    if packed is not file:
        most = min(most, max(RATIO * size, 64 << 20))
    stream = _Bounded(packed, most)
    with tarfile.open(fileobj=stream, mode="r|", errorlevel=2, tarinfo=_Member) as archive:  # type: ignore[call-overload]
        for member in archive:
            name, fault = _name(member.name)
            if not (member.isfile() or member.isdir()) or member.issparse():
                raise Hostile(f"{_shown(name)} is a link or a device")
            if member.isdir():
                members.add_folder(member.name)
                continue
            load: Callable[[], bytes] = bytes
            if member.name.lower().endswith((*WANTED, *NESTED)) and member.size <= FILE_BYTES:
                load = keep(archive.extractfile(member).read())
            members.add(Entry(name, member.size, float(member.mtime), load, fault))
    return members.all()


def opened(file: BinaryIO, start: bytes) -> Any:
    """A stream of a file's content, unpacked if it starts like gzip, bzip2 or xz."""
    if start.startswith(b"\x1f\x8b"):
        return gzip.open(file)
    if start.startswith(b"BZh"):
        return bz2.open(file)
    if start.startswith(b"\xfd7zXZ"):
        return lzma.open(file)
    return file


def _keep(scratch: str, data: bytes) -> Callable[[], bytes]:
    """Store the contents of a tar in files with names of our own."""
    handle, name = tempfile.mkstemp(dir=scratch)
    with open(handle, "wb") as file:
        file.write(data)
    return Path(name).read_bytes


class _Member(tarfile.TarInfo):
    """A member with short headers only, because tarfile reads whole headers into memory."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        headers = [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE]
        headers += [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK]
        if self.type in headers and self.size > HEADER_BYTES:
            raise Hostile(f"one of its headers has {self.size} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]


class _Bounded:
    """A stream that ends with a refusal when more comes out of it than its packed size allows."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self.file, self.most, self.count = file, most, 0

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(size)
        self.count += len(data)
        if self.count > self.most:
            raise Hostile(f"it unpacks to more than {self.most >> 20} MB")
        return data


def _name(name: str) -> tuple[str, str]:
    """A name that is safe to print and to find a student by, and the reason if the file is not read.

    Raises
    ------
    Hostile
        If it leads outside.
    """
    plain = name.replace("\\", "/")
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    if plain.startswith("/") or plain[1:2] == ":" or ".." in parts:
        raise Hostile(f"the name {_shown(name)} leads outside")
    safe, fault = _clean("/".join(parts)), ""
    if any(unicodedata.category(c) in ("Cc", "Cs") or c in BIDI for c in name):
        fault = "has control characters in its name"
    parts = safe.split("/")
    if not safe or len(parts) > DEPTH or any(len(part.encode()) > NAME for part in parts):
        fault = "has a name that is empty, too long or too deep"
        safe = "/".join(part[:60] for part in parts[:DEPTH]) or "\ufffd"
    return safe, fault


def _clean(name: str) -> str:
    """A name in Unicode's NFC form. Direction marks are removed, control characters are replaced."""
    name = unicodedata.normalize("NFC", name.translate(MARKS))
    return "".join(c if unicodedata.category(c) not in ("Cc", "Cs") and c not in BIDI else "\ufffd" for c in name)  # fmt: skip


def _shown(name: str) -> str:
    return ascii(name)[1:-1][:80]


def _refuse_bomb(name: str, size: int, packed: int) -> None:
    if size < 0 or (size > FILE_BYTES and size > RATIO * max(packed, 1)):
        raise Hostile(f"{_shown(name)} unpacks to {size // max(packed, 1)} times its size")


def _refuse_faulty(found: list[Entry]) -> None:
    """Refuse an archive without a single readable file."""
    files = [entry for entry in found if not entry.name.endswith("/")]
    if files and all(entry.fault for entry in files):
        raise Hostile(f"{_shown(files[0].name)} {files[0].fault}")


def _folder(root: Path) -> list[Entry]:
    found, folders = _Members(), set()
    parents = set()
    for each in nofollow.walk(root, DEPTH):
        if each.parts:
            parents.add(each.parts[:-1])
        if each.is_folder:
            folders.add(each.parts)
            if not each.parts[-1].endswith(".ipynb"):
                continue
        try:
            found.add(_file(root, each))
        except Hostile as error:
            raise TitoError(f"{root}: {error}", "name a folder in it") from None
    names = [_clean("/".join(parts)) for parts in sorted(folders - parents)]
    return found.all() + [_empty(name) for name in names]


def _file(root: Path, each: nofollow.Found) -> Entry:
    name = _clean("/".join(each.parts).replace("\\", "\ufffd"))
    if each.about is None:
        return Entry(name or ".", 0, None, bytes, f"cannot be read: {each.error}")
    fault, mode = "", each.about.st_mode
    if stat.S_ISLNK(mode):
        fault = "is a link, which is not followed"
    elif stat.S_ISDIR(mode):
        fault = "is a folder"
    elif not stat.S_ISREG(mode):
        fault = "is not a file"
    return Entry(
        name, each.about.st_size, each.about.st_mtime,
        lambda: nofollow.read(root, each.parts, FILE_BYTES), fault,
    )  # fmt: skip
