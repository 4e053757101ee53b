"""Hostile and damaged archives: refused whole, or one student at a time, and nothing is written outside."""

import bz2
import gzip
import io
import random
import stat
import tarfile
import zipfile

import pytest

from tests.support.submissions import (
    A,
    answered,
    data,
    tarred,
    without_locks,
    zipped,
)
from tito.classroom import archive, collect
from tito.course import TitoError


def special(path, kind, target="/etc/passwd"):
    with tarfile.open(path, "w") as out:
        info = tarfile.TarInfo("ann/tiny_dev.ipynb")
        info.type, info.linkname = kind, target
        out.addfile(info)
    return path


def zip_link(path, content):
    info = zipfile.ZipInfo("ann/tiny_dev.ipynb")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as out:
        out.writestr(info, "/etc/passwd")
    return path


def zip_encrypted(path, content):
    zipped(path, {"ann/tiny_dev.ipynb": content})
    raw = bytearray(path.read_bytes())
    raw[6] |= 1
    at = raw.index(b"PK\x01\x02")
    raw[at + 8] |= 1
    path.write_bytes(raw)
    return path


def zip_twice(path, content):
    with zipfile.ZipFile(path, "w") as out, pytest.warns(UserWarning):
        out.writestr("ann/tiny_dev.ipynb", content)
        out.writestr("ann/tiny_dev.ipynb", b"{}")
    return path


def cut(path, content):
    zipped(path, {"ann/tiny_dev.ipynb": content * 3})
    path.write_bytes(path.read_bytes()[:-40])
    return path


def inner(content):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("tiny_dev.ipynb", content)
    return out.getvalue()


def gzip_bomb(path, content):
    with gzip.open(path, "wb") as out:
        for _ in range(300):
            out.write(bytes(1 << 20))
    return path


def sparse(path, content):
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as out:
        info = tarfile.TarInfo("ann/tiny_dev.ipynb")
        info.type = tarfile.GNUTYPE_SPARSE
        out.addfile(info)
    return path


def long_header(path, content):
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as out:
        info = tarfile.TarInfo("ann/tiny_dev.ipynb")
        info.pax_headers = {"comment": "x" * 100_000}
        out.addfile(info)
    return path


HOSTILE = {
    "zip ..": (lambda p, c: zipped(p, {"ann/../../../x.ipynb": c}), "leads outside"),
    "zip absolute": (lambda p, c: zipped(p, {"/tmp/x.ipynb": c}), "leads outside"),
    "zip drive": (lambda p, c: zipped(p, {"C:/x.ipynb": c}), "leads outside"),
    "zip backslashes": (lambda p, c: zipped(p, {"ann\\..\\..\\x.ipynb": c}), "leads outside"),
    "zip share": (lambda p, c: zipped(p, {"\\\\host\\x.ipynb": c}), "leads outside"),
    "zip link": (zip_link, "is a link or a device"),
    "zip encrypted": (zip_encrypted, "is encrypted"),
    "zip twice": (zip_twice, "is there twice"),
    "zip twice in other letters": (
        lambda p, c: zipped(p, {"Ren\xe9/x.ipynb": c, "Rene\u0301/x.ipynb": c}),
        "is there twice",
    ),
    "zip newline": (lambda p, c: zipped(p, {"a\nnn/x.ipynb": c}), "control characters"),
    "zip escape": (lambda p, c: zipped(p, {"a\x1b[2Jnn/x.ipynb": c}), "control characters"),
    "zip right to left": (lambda p, c: zipped(p, {"a\u202ebnypi.x": c}), "control characters"),
    "zip NUL": (lambda p, c: zip_nul(p, c), "control characters"),
    "zip deep": (lambda p, c: zipped(p, {"a/" * 40 + "x.ipynb": c}), "too deep"),
    "zip long": (lambda p, c: zipped(p, {"a" * 300 + ".ipynb": c}), "too long"),
    "zip bomb": (lambda p, c: zipped(p, {A: bytes(30 << 20)}), "times its size"),
    "zip bomb elsewhere": (lambda p, c: zipped(p, {A: c, "x": bytes(30 << 20)}), "times its size"),
    "zip many": (
        lambda p, c: zipped(p, {str(n): b"" for n in range(archive.FILES + 1)}),
        "more than",
    ),
    "zip cut": (cut, "not a complete zip or tar"),
    "tar ..": (lambda p, c: tarred(p, {"../x.ipynb": c}), "leads outside"),
    "tar absolute": (lambda p, c: tarred(p, {"/x.ipynb": c}), "leads outside"),
    "tar link": (lambda p, c: special(p, tarfile.SYMTYPE), "is a link or a device"),
    "tar hard link": (lambda p, c: special(p, tarfile.LNKTYPE), "is a link or a device"),
    "tar device": (lambda p, c: special(p, tarfile.CHRTYPE), "is a link or a device"),
    "tar disk": (lambda p, c: special(p, tarfile.BLKTYPE), "is a link or a device"),
    "tar pipe": (lambda p, c: special(p, tarfile.FIFOTYPE), "is a link or a device"),
    "tar sparse": (sparse, "is a link or a device"),
    "tar twice": (lambda p, c: tar_twice(p, c), "is there twice"),
    "tar bomb of nothing": (gzip_bomb, "no notebook"),
    "tar bomb inside": (lambda p, c: tarred(p, {"x": bytes(300 << 20)}), "unpacks to more than"),
    "tar bomb by bz2": (
        lambda p, c: tarred(p, {"x": bytes(90 << 20)}, "w:bz2"),
        "unpacks to more than",
    ),
    "tar long header": (long_header, "one of its headers has"),
    "tar newline": (lambda p, c: tarred(p, {"a\nb/x.ipynb": c}), "control characters"),
    "tar cut": (
        lambda p, c: (
            p.write_bytes(tarred(p, {A: random.Random(1).randbytes(9999)}).read_bytes()[:5000])
            and p
        ),
        "not a complete zip or tar",
    ),
    "a text": (lambda p, c: p.write_bytes(b"not an archive") and p, "not a complete zip or tar"),
    "an empty file": (lambda p, c: p.touch() or p, "not a complete zip or tar"),
    "bz2 of noise": (
        lambda p, c: p.write_bytes(bz2.compress(b"noise" * 99)) and p,
        "not a complete zip or tar",
    ),
    "no such file": (lambda p, c: p, "cannot read"),
}


def zip_nul(path, content):
    zipped(path, {"annXx.ipynb": content})
    path.write_bytes(path.read_bytes().replace(b"annXx", b"ann\0x"))
    return path


def tar_twice(path, content):
    with tarfile.open(path, "w") as out:
        for _ in range(2):
            info = tarfile.TarInfo(A)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_is_refused_whole(module, kind):
    make, words = HOSTILE[kind]
    path = make(module.course.root.parent / "all.zip", data(answered(module)))
    before = without_locks(module)
    with pytest.raises(TitoError, match=words) as raised:
        collect.collect(module, path)
    assert (
        raised.value.code == 3 and "\n" not in str(raised.value) and str(raised.value).isprintable()
    )
    assert without_locks(module) == before


@pytest.mark.parametrize("make", [zipped, tarred])
def test_damaged_archives_raise_the_named_error_only(tmp_path, make):
    shuffle = random.Random(3)
    path = make(
        tmp_path / "a", {"ann/tiny_dev.ipynb": b'{"cells": []}' * 50, "ben/x.py": b"# %%\n" * 50}
    )
    whole = path.read_bytes()
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(shuffle.randint(1, 6)):
            damaged[shuffle.randrange(len(damaged))] = shuffle.randrange(256)
        path.write_bytes(damaged[: shuffle.choice([len(damaged), shuffle.randrange(len(damaged))])])
        try:
            with archive.entries(path) as found:
                for entry in found:
                    assert len(entry.read()) <= archive.FILE_BYTES
        except TitoError as error:
            assert "\n" not in str(error)
