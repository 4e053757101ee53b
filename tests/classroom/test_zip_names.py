"""Names in zips that do not say their encoding: UTF-8 of macOS, code pages of Windows."""

import io
import struct
import zipfile
import zlib

import pytest

from tests.support.submissions import answered, data
from tito.classroom import collect, zip_names


def unmarked(names, coding, content=b"{}"):
    """A zip whose names are bytes of an encoding, without the flag for UTF-8."""
    out, renamed = io.BytesIO(), []
    with zipfile.ZipFile(out, "w") as archive:
        for number, name in enumerate(names):
            raw = name.encode(coding)
            stand_in = f"{number:03}".ljust(len(raw), "x")[: len(raw)]
            archive.writestr(stand_in, content)
            renamed.append((stand_in.encode(), raw))
    made = out.getvalue()
    for stand_in, raw in renamed:
        made = made.replace(stand_in, raw)
    return made


def read(made):
    return zip_names.names(zipfile.ZipFile(io.BytesIO(made)).infolist())


CODED = {
    "utf-8": ["Ren\xe9/t.ipynb", "\u674e\u96f7/t.ipynb", "Ann/t.ipynb"],
    "cp850": ["Ren\xe9 M\xfcller/t.ipynb", "\xc1ngel P\xe9rez/t.ipynb", "\xd3scar N\xfa\xf1ez/t.ipynb"],
    "cp852": ["\u0141ukasz \u017bak/t.ipynb", "Dvo\u0159\xe1k \u0160imon/t.ipynb"],
    "cp866": ["\u0418\u0432\u0430\u043d \u041f\u0435\u0442\u0440\u043e\u0432/t.ipynb"],
    "cp932": ["\u5c71\u7530\u592a\u90ce/t.ipynb", "\u4f50\u85e4\u82b1\u5b50/t.ipynb"],
    "gbk": ["\u674e\u96f7/t.ipynb", "\u97e9\u6885\u6885/t.ipynb", "\u738b\u5c0f\u660e/t.ipynb"],
    "cp949": ["\uae40\ucca0\uc218/t.ipynb", "\uc774\uc601\ud76c/t.ipynb"],
    "cp737": ["\u0393\u03b9\u03ce\u03c1\u03b3\u03bf\u03c2/t.ipynb"],
}  # fmt: skip


@pytest.mark.parametrize("coding", CODED)
def test_names_of_a_class_are_read_in_the_encoding_that_makes_words_of_them(coding):
    assert read(unmarked(CODED[coding], coding)) == (CODED[coding], coding)


def test_names_with_the_flag_or_the_unicode_field_are_not_guessed():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("Ren\xe9/t.ipynb", "{}")  # Python sets the flag
        info = zipfile.ZipInfo("Rene/u.ipynb")
        path = "\u674e\u96f7/u.ipynb".encode()
        field = struct.pack("<BI", 1, zlib.crc32(b"Rene/u.ipynb")) + path
        info.extra = struct.pack("<HH", zip_names.UNICODE_PATH, len(field)) + field
        archive.writestr(info, "{}")
    assert read(out.getvalue()) == (["Ren\xe9/t.ipynb", "\u674e\u96f7/u.ipynb"], "")


def test_the_report_says_that_the_encoding_of_a_name_was_guessed(module):
    path = module.course.root.parent / "class.zip"
    names = ["\xc1ngel/tiny_dev.ipynb", "Ren\xe9/tiny_dev.ipynb", "bo/tiny_dev.ipynb"]
    path.write_bytes(unmarked(names, "cp850", data(answered(module))))
    taken, stray = collect.collect(module, path)
    assert stray == [] and [each.student for each in taken] == ["Ren\xe9", "bo", "\xc1ngel"]
    said = [" ".join(each.repaired) for each in taken]
    assert "read as cp850" in said[0] and "read as" not in said[1] and "cp850" in said[2]
