"""The course on disk: its folder, its settings, its modules, and the error for mistakes that a user can fix."""

import contextlib
import enum
import hashlib
import json
import os
import re
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

# Imports that few commands need are inside functions: `tito --version` must stay quick.
MODULE_NAME = r"\d\d_[a-z][a-z0-9_]*"
RELEASE = "release.json"  # in a module's folder of a student's copy: module, number, files
# The fields of module.yaml that code reads: their types, and what an author must write.
FIELDS: dict[str, tuple[Any, str]] = {
    "title": (str, "a text"),
    "requires": (list, "a list of modules, as in [01_tensor]"),
    "seconds": ((int, float), "the CPU seconds of a test, such as 20"),
    "hints": (int, "a number of hints, such as 3"),
    "variants": (dict, "numbers of known solutions, as in {wrong: 3, right: 1}"),
    "prints": (dict, "names of functions and what they print, as in {report: seconds}"),
}
WORKSPACE = "workspace.json"  # in the root of a workspace: a student's copy of all modules


class Exit(enum.IntEnum):
    """Exit codes of the commands."""

    PASSED = 0
    FAILED = 1
    USAGE = 2
    BROKEN = 3
    UNDECIDED = 4
    BUG = 70


class TitoError(Exception):
    """A mistake that a user can fix, and a hint about what to do."""

    def __init__(self, message: str, hint: str, code: int = Exit.BROKEN):
        super().__init__(message)
        self.hint = hint
        self.code = code


class Beside:
    """The path of a file in a module's folder. In its name, {topic} is the module's topic."""

    def __init__(self, name: str, about: str):
        self.name, self.__doc__ = name, about

    def __get__(self, module: "Module", _: type) -> Path:
        return module.folder / self.name.format(topic=module.topic)


@dataclass(frozen=True)
class Module:
    """One module. Every path follows from the course's root and the module's name."""

    course: "Course"
    name: str

    notebook = Beside("{topic}_dev.ipynb", "The notebook that belongs to the source.")
    challenge = Beside("{topic}_challenge.py", "The open tasks that `tito leaderboard` measures.")
    bench = Beside("{topic}_bench.py", "The steps that `tito bench` measures.")
    packed_given = Beside(
        "given.txt", "The given versions in a student's copy, packed into one file."
    )
    given_calls = Beside(
        "given_calls.py", "Calls of given kernels, which the grader compiles once for all students."
    )
    given = Beside("given.py", "Plain versions of exercises that other exercises are tested with.")
    hints = Beside("hints.yaml", "The hints of each exercise.")
    variants = Beside("variants.yaml", "Known wrong and right solutions.")
    readme = Beside("README.md", "The module's README.")

    @property
    def topic(self) -> str:
        """The name without its number."""
        return self.name.partition("_")[2]

    @property
    def number(self) -> int:
        """The number that the name begins with."""
        return int(self.name.partition("_")[0])

    @property
    def folder(self) -> Path:
        """The folder of its files."""
        return self.course.root if self.course.release else self.course.source / self.name

    @property
    def source(self) -> Path:
        """The file to read: the percent source, or the notebook if a student works there."""
        source = self.folder / f"{self.topic}_dev.py"
        if self.course.use:
            return source.with_suffix(f".{self.course.use}")
        if self.notebook.exists() and (not source.exists() or self.is_as_released(source)):
            return self.notebook
        return source

    @cached_property
    def release(self) -> dict | None:
        """The content of release.json; None in the course itself, which has no student's copy of the module."""
        if not self.course.is_copy:
            return None
        return read_release(self.folder / RELEASE)

    def is_as_released(self, path: Path) -> bool:
        """Whether a file of the module is unchanged since the release."""
        if not self.release:
            return False
        given = self.release["files"].get(path.relative_to(self.folder).as_posix())
        return given is not None and path.is_file() and given == digest(path.read_bytes())

    @property
    def package(self) -> Path:
        """The file of the package that is made from the source."""
        return self.course.library / "core" / f"{self.topic}.py"

    @property
    def import_name(self) -> str:
        """The name by which Python imports the package file."""
        return f"{self.course.library.name}.core.{self.topic}"

    @property
    def tests(self) -> list[Path]:
        """The files of package tests: `test_topic.py`, and `test_topic_part.py` for each part."""
        folder = self.course.root / "tests" / "core"
        return sorted(
            [*folder.glob(f"test_{self.topic}.py"), *folder.glob(f"test_{self.topic}_*.py")]
        )

    @property
    def record(self) -> Path:
        """The cache of the source: test results, and the digest of the last export."""
        return self.course.build / "records" / f"{self.name}.json"

    @property
    def seen(self) -> Path:
        """The verdicts and hints that a student has seen."""
        return self.record.with_suffix(".seen.json")

    @cached_property
    def about(self) -> dict:
        """The content of module.yaml: title, summary, requires, hours, and the CPU seconds of a test."""
        path = self.folder / "module.yaml"
        defaults: dict[str, Any] = {
            "title": self.topic.capitalize(),
            "summary": "",
            "requires": [],
            "prints": {},
        }
        defaults["seconds"] = 20
        found = defaults | read_yaml(path) if path.exists() else defaults
        for key, (kinds, wanted) in FIELDS.items():
            if key in found and not isinstance(found[key], kinds):
                raise TitoError(f"{path}: {key} is {found[key]!r}", f"write {wanted}")
        return found


@dataclass(frozen=True)
class Course:
    """A folder with settings.ini, and the settings in it.

    `use` is py or ipynb where a person chose between a module's two files, else empty.
    """

    root: Path
    use: str = ""

    @cached_property
    def settings(self):
        """The content of settings.ini."""
        import configparser

        parser = configparser.ConfigParser(interpolation=None)
        path = self.root / "settings.ini"
        try:
            parser.read_string(path.read_text(encoding="utf-8"), str(path))
            for key in ("lib_path", "nbs_path"):
                parser.defaults()[key]
        except UnicodeDecodeError as error:
            raise not_utf8(path, error) from None
        except configparser.Error as error:
            line = getattr(error, "lineno", None) or getattr(error, "errors", [(1, "")])[0][0]
            raise TitoError(
                f"{path}, line {line}: this is neither [section] nor name = value",
                "fix the line, or restore the file from git",
            ) from None
        except KeyError as key:
            raise TitoError(f"{path} does not set {key.args[0]}", "restore it from git") from None
        return parser

    @property
    def source(self) -> Path:
        """The folder of all modules."""
        return self.root / self.settings.defaults()["nbs_path"]

    @property
    def library(self) -> Path:
        """The folder of the package."""
        return self.root / self.settings.defaults()["lib_path"]

    @property
    def build(self) -> Path:
        """The folder for files that tito can make again."""
        return self.root / "build"

    def place(self, step: str) -> Path:
        """Return nbgrader's folder of a step: release, submitted, autograded or feedback."""
        return self.root / self._nbgrader(f"{step}_directory")

    @property
    def gradebook(self) -> str:
        """The address of nbgrader's database."""
        named = self._nbgrader("gradebook")
        return named if "://" in named else f"sqlite:///{self.root / named}"

    @property
    def course_id(self) -> str:
        """The name of the course in nbgrader."""
        return self._nbgrader("course_id")

    def keep_private(self) -> None:
        """Make the folders that contain submissions, marks and feedback, closed to all but their owner."""
        steps = [self.place(step) for step in ("submitted", "autograded", "feedback")]
        try:
            make_folder(self.build)
            for folder in (self.build / "collected", self.build / "grades", *steps):
                make_folder(folder.parent)
                make_folder(folder, private=True)
                restrict(folder)
        except OSError as error:
            raise cannot_write(self.build, error) from None
        if self.gradebook.startswith("sqlite:///"):
            restrict(Path(self.gradebook.removeprefix("sqlite:///")))

    def _nbgrader(self, key: str) -> str:
        try:
            return self.settings["nbgrader"][key]
        except KeyError:
            raise TitoError(
                f"{self.root / 'settings.ini'} does not set {key} under [nbgrader]",
                "restore it from git",
            ) from None

    @cached_property
    def release(self) -> dict | None:
        """The content of release.json; None unless the course is a student's copy of one module."""
        path = self.root / RELEASE
        return read_release(path) if path.exists() else None

    @property
    def is_workspace(self) -> bool:
        """Whether this is a student's copy of all modules, as `tito start` makes it."""
        return (self.root / WORKSPACE).exists()

    @cached_property
    def begins(self) -> int:
        """The number of the module that a workspace begins with: the modules before it are given, solved."""
        if not self.is_workspace:
            return 0
        path = self.root / WORKSPACE
        try:
            return int(json.loads(path.read_text(encoding="utf-8"))["from"].partition("_")[0])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise TitoError(
                f"cannot read {path}: {one_line(error)}", "make a new workspace: tito start"
            ) from None

    @property
    def is_copy(self) -> bool:
        """Whether this is a student's copy: of one module, or of all."""
        return (self.root / RELEASE).exists() or self.is_workspace

    def refuse_copy(self) -> None:
        """Refuse a command that needs the whole course."""
        if self.is_copy:
            raise TitoError(
                "this is a student's copy, not the course",
                "run this command in the course's repository",
                Exit.USAGE,
            )

    @cached_property
    def modules(self) -> list[Module]:
        """The modules in the order of their numbers."""
        if self.release:
            return [Module(self, self.release["module"])]
        if not self.source.is_dir():
            raise TitoError(
                f"no folder {self.source}",
                "nbs_path in settings.ini names the folder of the modules",
            )
        return [
            Module(self, folder.name)
            for folder in sorted(self.source.iterdir())
            if folder.is_dir() and re.fullmatch(MODULE_NAME, folder.name)
        ]

    def module(self, wanted: str) -> Module:
        """Find a module by its topic, number or full name: kernels, 11 or 11_kernels."""
        names: dict[str, Module] = {}
        for module in self.modules:
            spellings = {module.name, module.topic, f"{module.number}", f"{module.number:02}"}
            names |= dict.fromkeys(spellings, module)
        key = wanted.strip().rstrip("/").rpartition("/")[2].lower().replace("-", "_")
        if key in names:
            return names[key]
        import difflib

        near = difflib.get_close_matches(key, [] if key.isdecimal() else names, n=1)
        listing = ", ".join(module.name for module in self.modules) or "none"
        hint = f"did you mean {names[near[0]].topic}?" if near else f"the modules are: {listing}"
        raise TitoError(f"no module named {wanted!r}", hint, Exit.USAGE)

    def requires(self, module: Module) -> list[Module]:
        """List all modules that `module` requires, directly or indirectly, in the order of the course."""
        order: list[Module] = []

        def visit(each: Module, path: tuple[str, ...]) -> None:
            for name in each.about["requires"]:
                if name in path:
                    raise TitoError(
                        f"{name} requires itself through {' and '.join(path)}", "fix module.yaml"
                    )
                needed = self.module(name)
                if needed not in order:
                    visit(needed, (*path, name))
                    order.append(needed)

        visit(module, (module.name,))
        return order


def find(start: str | Path | None = None, use: str = "") -> Course:
    """Find the course of a folder: the nearest folder above it with a settings.ini."""
    named = start or os.environ.get("TITO_COURSE")
    here = Path(named or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "settings.ini").is_file() and (
            (folder / "modules").is_dir() or (folder / RELEASE).is_file()
        ):
            return Course(folder, use)
        if named:
            break
    raise TitoError(
        f"no course in {here}" + ("" if named else " or above it"),
        "go into the course's folder, or name it with --course DIR",
    )


def read_release(path: Path) -> dict:
    """Read a release.json."""
    try:
        release = json.loads(path.read_text(encoding="utf-8"))
        if not re.fullmatch(MODULE_NAME, release["module"]):
            raise ValueError(f"no module {release['module']!r}")
        dict(release["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TitoError(
            f"cannot read {path}: {one_line(error)}", "take it from the release again"
        ) from None
    return release


def read_yaml(path: Path) -> dict:
    """Read a YAML mapping."""
    import yaml

    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        text = path.read_text(encoding="utf-8")
        content = yaml.load(text, loader)
    except UnicodeDecodeError as error:
        raise not_utf8(path, error) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {min(mark.line + 1, len(text.splitlines()))}" if mark else ""
        raise TitoError(f"{path}{where}: this is not YAML", "fix the line") from None
    if content is not None and not isinstance(content, dict):
        raise TitoError(
            f"{path} is a {type(content).__name__}, but must be names with values",
            "begin each entry with its name and a colon",
        )
    return content or {}


def not_utf8(path: Path, error: UnicodeDecodeError) -> TitoError:
    """The error about a text file in another encoding."""
    return TitoError(f"{path} is not UTF-8 text: see byte {error.start}", "save it as UTF-8")


def digest(data: bytes) -> str:
    """The SHA-256 of some bytes, in hexadecimal, with CRLF counted as LF."""
    return hashlib.sha256(data.replace(b"\r\n", b"\n")).hexdigest()


def write(path: Path, text: str, private: bool = False) -> None:
    """Write a text file in UTF-8, completely or not at all; see `write_bytes`."""
    write_bytes(path, text.encode("utf-8"), private)


def write_bytes(path: Path, data: bytes, private: bool = False) -> None:
    """Write a file completely or not at all: to a temporary file beside it, which is then renamed.

    A private file, and the folders made for it, are closed to others whatever the umask is; see `restrict`.
    """
    import tempfile

    try:
        make_folder(path.parent, private)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~umask()
            os.chmod(name, _private(path.parent) & 0o666 if private else mode)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise cannot_write(path, error) from None


def cannot_write(path: Path, error: OSError) -> TitoError:
    """The error about a file or folder that cannot be written."""
    return TitoError(
        f"cannot write {path}: {error.strerror or error}", "free space or fix the permissions"
    )


def read_bytes(path: Path, most: int) -> bytes:
    """At most so many bytes of a file."""
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise TitoError(f"cannot read {path}: {error.strerror}", "fix the permissions") from None


def make_folder(path: Path, private: bool = False) -> None:
    """Make a folder and the folders above it, where they are missing."""
    if private and not path.exists():
        make_folder(path.parent, private)
        with contextlib.suppress(FileExistsError):
            path.mkdir(0o700)
            path.chmod(path.stat().st_mode & ~0o777 | _private(path.parent))
    path.mkdir(parents=True, exist_ok=True)


def restrict(path: Path) -> None:
    """Close a file or folder to all but its owner, or its group in a shared folder.

    A folder is shared if its group may write there and files made there get that group, as nbgrader's
    option groupshared sets it.
    """
    with contextlib.suppress(
        FileNotFoundError, PermissionError
    ):  # another user's file stays as it is
        mode = path.stat().st_mode
        allowed = _private(path) | _private(path.parent)
        if mode & 0o777 & ~allowed:
            path.chmod(stat.S_IMODE(mode) & ~0o777 | mode & allowed)


def _private(folder: Path) -> int:
    shared = stat.S_ISGID | 0o020
    return 0o770 if folder.stat().st_mode & shared == shared else 0o700


def umask() -> int:
    """The process's umask: the permissions that new files do not get."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def one_line(error: BaseException) -> str:
    """The text of an exception on one line."""
    return " ".join(str(error).split()) or type(error).__name__
