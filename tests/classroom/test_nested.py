"""One student's bad file never stops a class: it is read if that is safe, otherwise the report names the student."""

import bz2
import gzip
import io
import lzma
import random
import tarfile
import zipfile

import nbformat
import pytest

from tests.support.commands import tito
from tests.support.submissions import answered, data, sent, submitted, tarred, zipped
from tito.classroom import archive, collect
from tito.course import Exit, TitoError


def in_zip(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return out.getvalue()


def in_tar(files, mode="w:gz", link=None):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as made:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            made.addfile(info)
    return out.getvalue()


N = "tiny_dev.ipynb"
READ = {
    "a zip": ("work.zip", lambda c: in_zip({N: c})),
    "a zip with a folder": ("work.zip", lambda c: in_zip({f"work/{N}": c, "work/a.txt": b"x"})),
    "a zip of a whole copy": (
        "work.zip",
        lambda c: in_zip({f"c/01_tiny/{N}": c, "c/tito/x.py": b"", "c/.git/HEAD": b"x"}),
    ),
    "a zip named as a notebook": (N, lambda c: in_zip({N: c})),
    "a tar": ("work.tar", lambda c: in_tar({N: c}, "w")),
    "a tar.gz": ("work.tar.gz", lambda c: in_tar({N: c})),
    "a tar.xz": ("work.tar.xz", lambda c: in_tar({N: c}, "w:xz")),
    "a gz of the notebook": (f"{N}.gz", gzip.compress),
    "a bz2 of the notebook": (f"{N}.bz2", bz2.compress),
    "an xz of the notebook": (f"{N}.xz", lzma.compress),
    "a zip with data in an archive": ("work.zip", lambda c: in_zip({N: c, "data.gz": b"\x1f\x8b"})),
}
NAMED = {
    "7z": ("work.7z", lambda c: b"7z\xbc\xaf\x27\x1c" + c, "7z"),
    "rar": ("work.rar", lambda c: b"Rar!\x1a\x07\x00" + c, "RAR"),
    "pdf": (
        "work.pdf",
        lambda c: b"%PDF-1.7" + c,
        "no notebook in the submission: lee_101_9001_work.pdf",
    ),
    "word": (
        "work.docx",
        lambda c: in_zip({"word/document.xml": c}),
        "no notebook in the submission",
    ),
    "a broken gz": ("data.csv.gz", lambda c: b"\x1f\x8b\x08", "cannot be unpacked"),
    "text named gz": ("x.tar.gz", lambda c: c, "cannot be unpacked"),
    "a zip in a zip": (
        "a.zip",
        lambda c: in_zip({"b.zip": in_zip({N: c})}),
        "archive in an archive",
    ),
    "a zip that leads outside": ("a.zip", lambda c: in_zip({"../../x.ipynb": c}), "leads outside"),
    "a tar with a link": ("a.tar.gz", lambda c: in_tar({N: c}, link="x.ipynb"), "is a link"),
    "a zip bomb": ("a.zip", lambda c: in_zip({N: bytes(30 << 20)}), "times its size"),
    "a tar bomb": ("a.tar.gz", lambda c: in_tar({"x": bytes(90 << 20)}), "unpacks to more than"),
    "a gz bomb": (f"{N}.gz", lambda c: gzip.compress(bytes(30 << 20)), "20 MB"),
    "a long notebook": (
        N,
        lambda c: c + random.Random(1).randbytes(21 << 20),
        "the limit is 20 MB",
    ),
    "a name with an escape": ("a\x1b[2Jb.ipynb", lambda c: c, "control characters"),
    "an empty file": (N, lambda c: b"", "it is empty"),
}


@pytest.mark.parametrize("kind", READ)
def test_a_packed_notebook_is_read(module, kind):
    name, pack = READ[kind]
    content = data(answered(module))
    files = {f"lee_101_9001_{name}": pack(content), f"bo_102_9002_{N}": content}
    taken, stray = collect.collect(module, zipped(module.course.root.parent / "c.zip", files))
    assert stray == [] and [each.state for each in taken] == ["collected", "collected"]
    assert [each.unread for each in taken] == [[], []] and taken[0].answered == ["double"]
    assert nbformat.read(submitted(module, "101"), 4) == nbformat.read(submitted(module, "102"), 4)


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("kind", NAMED)
def test_what_cannot_be_read_is_named_and_the_others_are_collected(module, kind, pack):
    name, make, words = NAMED[kind]
    content = data(answered(module))
    files = {f"bo_102_9002_{N}": content, f"lee_101_9001_{name}": make(content)}
    path = pack(module.course.root.parent / "class", files)
    taken, stray = collect.collect(module, path)
    assert stray == [] and [each.state for each in taken] == ["refused", "collected"]
    assert words in taken[0].error and taken[0].error.isprintable(), taken[0].error
    with pytest.raises(TitoError, match="1 of 2 students could not be collected") as raised:
        collect.refuse_partial(taken, stray)
    assert raised.value.code == Exit.FAILED and "belong to nobody" not in str(raised.value)


def test_a_notebook_with_megabytes_of_printed_lines_is_collected(module):
    notebook = answered(module)
    lines = "".join(f"step {n}: loss 0.123456\n" for n in range(400_000))
    output = nbformat.v4.new_output("stream", text=lines)
    next(c for c in notebook.cells if c.cell_type == "code").outputs = [output]
    packed = zipped(module.course.root.parent / "c.zip", {f"lee_101_9001_{N}": data(notebook)})
    with zipfile.ZipFile(packed) as made:
        (info,) = made.infolist()
    assert info.file_size > 10 << 20
    taken, stray = collect.collect(module, packed)
    assert (taken[0].state, taken[0].unread, stray) == ("collected", [], [])


def test_an_unreadable_file_beside_a_readable_notebook_is_named(module):
    files = {f"ann/{N}": data(answered(module)), "ann/newer.7z": b"7z\xbc\xaf", f"bo/{N}": b"{"}
    files["cy/tiny_dev.ipynb"] = files["dan/x.ipynb"] = data(answered(module))
    run = tito("collect", "tiny", str(sent(module, files)), course=module.course.root)
    assert run.returncode == 1 and "not read: newer.7z is a 7z file" in run.stdout
    assert "1 student sent files that could not be read" in run.stderr
    assert run.stdout.count("collected: 1 of 2") == 3


def test_a_student_with_many_files_is_read_within_bounds(module):
    files = {f"ann/notes{n}.ipynb": b'{"cells": []}' for n in range(60)}
    files |= {f"ann/{N}": data(answered(module))}
    taken, _ = collect.collect(module, sent(module, files))
    assert taken[0].state == "collected" and taken[0].file == f"ann/{N}"
    named = " ".join([*taken[0].unread, *taken[0].repaired, *taken[0].others])
    assert all(f"notes{n}.ipynb" in named for n in range(60))


def test_an_archive_of_nothing_that_can_be_read_is_refused_whole(module):
    assert archive.FILES > 1000
    path = zipped(
        module.course.root.parent / "c.zip", {"a\nb/x.ipynb": b"{}", "a\x07/y.ipynb": b"{}"}
    )
    run = tito("collect", "tiny", str(path), course=module.course.root)
    assert run.returncode == 3 and "control characters" in run.stderr
