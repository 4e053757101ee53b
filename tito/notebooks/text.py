"""Read facts from the text of a source without parsing the notebook."""

import hashlib
import json
import re
from pathlib import Path

from tito.course import Module, TitoError, not_utf8, one_line

EXPORT = re.compile(r"#\s*\|\s*export\b\s*:?\s*$")
HEADER = re.compile(
    r"\A((?:#[ \t]*\|.*\n)*)# (?:Given|(?:Your turn|Test|Hidden test|Your prediction) · .+)\n"
)
STUB = re.compile(r"# YOUR CODE HERE[ \t]*\n\s*raise NotImplementedError\(\)")


def read_text(path: Path) -> str:
    """Read a source file as UTF-8, whatever its line ends."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise TitoError(
            f"no file {path}", "restore it from git, or start from the release"
        ) from None
    except UnicodeDecodeError as error:
        raise not_utf8(path, error) from None
    except OSError as error:
        raise TitoError(f"cannot read {path}: {error.strerror}", "fix the permissions") from None


def is_exported(cell: str) -> bool:
    """Whether nbdev exports a cell: its first line that is not blank is the directive."""
    return bool(EXPORT.match(cell.lstrip().partition("\n")[0]))


def is_stub(cell: str) -> bool:
    """Whether a cell still contains the lines that a student replaces."""
    return bool(STUB.search(cell))


def without_header(cell: str) -> str:
    """A cell without the header of a release; see `notebooks.headers`."""
    return HEADER.sub(r"\1", cell, count=1)


def parts(path: Path, text: str) -> list[str]:
    """The cells of a source, metadata included, without reading it as a notebook."""
    if path.suffix != ".ipynb":
        return re.split(r"^(?=# ?%%)", text.replace("\r\n", "\n"), flags=re.MULTILINE)[1:]
    try:
        cells = json.loads(text)["cells"]
        return [f"# %% {json.dumps(c['metadata'])}\n{''.join(c['source'])}" for c in cells]
    except (ValueError, KeyError, TypeError) as error:
        raise TitoError(
            f"{path} is not a notebook: {one_line(error)}", "restore it from git"
        ) from None


def exported_digest(module: Module) -> str:
    """A digest of the exported cells. It is also in the package file, to detect an outdated file."""
    digest = hashlib.sha256()
    for part in parts(module.source, read_text(module.source)):
        body = part.partition("\n")[2]
        if is_exported(body):
            digest.update(body.strip().encode() + b"\0")
    return digest.hexdigest()[:16]


def digest_line(module: Module) -> str:
    """The line of the package file that names its source's digest."""
    return f"# Source: {exported_digest(module)}"
