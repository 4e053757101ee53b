"""Unpack an archive or compressed file inside a submission, in memory and within limits."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePosixPath

from tito.classroom import archive
from tito.classroom.archive import FILE_BYTES, NESTED, NESTED_STARTS, Entry
from tito.course import TitoError, one_line

UNPACKED = 64 << 20  # bytes of one student's archive
HINT = "ask the student to send only the notebook"
NOT_READ = {
    b"7z\xbc\xaf": "7z", b"Rar!": "RAR", b"\x28\xb5\x2f\xfd": "Zstandard", b"%PDF": "PDF",
}  # fmt: skip
CENTRAL = b"PK\x01\x02"  # begins each entry of a zip's list, which zipfile reads whole


def is_archive(name: str) -> bool:
    """Whether a file is an archive or a packed file, by its name."""
    return name.lower().endswith(NESTED)


def looks_packed(data: bytes) -> bool:
    """Whether a file is an archive or a packed file, by its first bytes."""
    return data.startswith(NESTED_STARTS)


def unpack(entry: Entry, data: bytes) -> list[Entry]:
    """The files of a student's archive; each name begins with the archive's name.

    Raises
    ------
    TitoError
        If it is of a kind that is not read, damaged, hostile, or too large.
    """
    short = PurePosixPath(entry.name).name
    kind = next((kind for start, kind in NOT_READ.items() if data.startswith(start)), "")
    if kind:
        raise TitoError(f"{short} is a {kind} file, which is not read", HINT)
    try:
        found = _members(entry, data)
    except archive.Hostile as error:
        raise TitoError(f"{short} is refused: {error}", HINT) from None
    except Exception as error:  # zipfile and tarfile raise many types for broken archives
        raise TitoError(f"{short} cannot be unpacked: {one_line(error)[:100]}", HINT) from None
    return [_below(entry, each) for each in found]


def _members(entry: Entry, data: bytes) -> list[Entry]:
    if data.count(CENTRAL) > archive.FILES:
        raise archive.Hostile(f"it contains more than {archive.FILES} files")
    file, start = io.BytesIO(data), data[:8]
    packed = archive.opened(file, start)
    if packed is not file:
        with packed:
            inner = packed.read(FILE_BYTES + 1)
        if inner[257:262] != b"ustar":  # where a tar says that it is one
            name = PurePosixPath(entry.name).stem
            return [Entry(name, len(inner), entry.time, lambda: inner)]
        file.seek(0)
    return archive.unpack(file, len(data), _hold, UNPACKED)


def _hold(data: bytes) -> Callable[[], bytes]:
    return lambda: data


def _below(outer: Entry, each: Entry) -> Entry:
    fault = "is an archive in an archive" if is_archive(each.name) else each.fault
    return replace(each, name=f"{outer.name}/{each.name}", fault=fault)
