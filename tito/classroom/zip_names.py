"""Decode the names of a zip's members when the zip does not name their encoding.

A zip marks UTF-8 names by a flag or by Info-ZIP's Unicode Path field (APPNOTE.TXT 4.4.4 and 4.6.9). macOS
writes UTF-8 without the flag. Windows writes its OEM code page: one for all names of an archive.
"""

import struct
import unicodedata
import zipfile
import zlib

UTF8_FLAG = 0x800
UNICODE_PATH = 0x7075
CODE_PAGES = ("cp850", "cp852", "cp866", "cp932", "cp949", "gbk", "cp862", "cp737", "cp857")


def names(members: list[zipfile.ZipInfo]) -> tuple[list[str], str]:
    """The members' names, and the encoding that was guessed for some of them, empty if none was."""
    raw = [_unmarked(info) for info in members]
    unmarked = [each for each in raw if each is not None and not each.isascii()]
    coding = _guess(unmarked) if unmarked else "ascii"
    found = [
        _marked(info) if each is None else each.decode(coding if not each.isascii() else "ascii")
        for info, each in zip(members, raw, strict=True)
    ]
    return found, coding if unmarked else ""


def _unmarked(info: zipfile.ZipInfo) -> bytes | None:
    """A name's bytes, unless the zip says that they are UTF-8."""
    if info.flag_bits & UTF8_FLAG or _unicode_path(info):
        return None
    return info.orig_filename.encode("cp437")  # zipfile decoded them as cp437


def _marked(info: zipfile.ZipInfo) -> str:
    return _unicode_path(info) or info.orig_filename


def _unicode_path(info: zipfile.ZipInfo) -> str:
    extra = info.extra
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        body, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == UNICODE_PATH and len(body) > 5 and not info.flag_bits & UTF8_FLAG:
            (checked,) = struct.unpack_from("<I", body, 1)
            if checked == zlib.crc32(info.orig_filename.encode("cp437")):
                return body[5:].decode("utf-8", "replace")
    return ""


def _guess(raw: list[bytes]) -> str:
    """UTF-8 if all names are, else the code page in which they look most like words."""
    try:
        for each in raw:
            each.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        return max(CODE_PAGES, key=lambda coding: _looks_like_words(raw, coding))


def _looks_like_words(raw: list[bytes], coding: str) -> float:
    """How many pairs of adjacent characters look like part of a word; lowest if the bytes cannot be decoded."""
    score, pairs = 0.0, 0
    for each in raw:
        try:
            text = each.decode(coding)
        except UnicodeDecodeError:
            return -1e9
        for before, char in zip(" " + text, text, strict=False):
            if char.isascii() and before.isascii():
                continue
            pairs += 1
            score += _fits(before, char)
    return score / max(pairs, 1)


def _fits(before: str, char: str) -> float:
    if not (char.isalpha() or unicodedata.category(char)[0] == "M" or char.isascii()):
        return -2  # a line, a block or a sign in a name
    if _script(char) == "HALFWIDTH":
        return -1
    if before.isalpha() and char.isalpha():
        if _script(before) != _script(char):
            return -1
        if char.isupper():
            return -1 if before.islower() else 0.5  # names are rarely all capitals
    return 1


def _script(char: str) -> str:
    """The first word of a letter's name: LATIN, CYRILLIC, CJK, HALFWIDTH."""
    return unicodedata.name(char, "?").partition(" ")[0]
