"""Find the student in the names that people gave to files and folders."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tito.classroom.archive import NESTED, NOTEBOOKS
from tito.classroom.platform_names import Placed
from tito.course import MODULE_NAME, Module, TitoError

MODULE_FOLDER = re.compile(MODULE_NAME)
DOCUMENTS = (".pdf", ".doc", ".docx", ".odt", ".rtf", ".pages")
TEXTS = (".html", ".htm", ".txt", ".md", ".json")
PAGES = (
    "index.html",
    "readme.md",
    "readme.txt",
    "timestamp.txt",
    "license",
    "makefile",
)  # a platform's or an instructor's
# Tables and settings: an instructor keeps them beside the students' work.
INSTRUCTORS = (
    ".csv",
    ".tsv",
    ".xls",
    ".xlsx",
    ".ods",
    ".yml",
    ".yaml",
    ".ini",
    ".toml",
    ".cfg",
    ".log",
    ".sh",
    ".db",
)
TOOLS = ("tito", "tinytorch", "build", "site-packages", "__pycache__")  # in a copy of a release
# Folders around a class: nbgrader's folders, folders that people make, and what Google Drive calls a download.
AROUND = (
    "submitted", "submissions", "submission", "hand-ins", "hand_ins", "handins", "homework",
    "downloaded", "extracted", "archive", "inbound", "student work", "submitted files", "working files",
    "eingereichte dateien", "fichiers envoyés", "提出済みのファイル", *TOOLS[:3],
)  # fmt: skip
DOWNLOAD = re.compile(r".+-\d{8}T\d{6}Z(?:-\d+)*|.+-submissions", re.IGNORECASE)
VERSION = re.compile(
    r"(?: ?\(\d+\)|[ _.-]+(?:v\d{1,3}|copy ?\d*|kopie|final|new|old|backup|fixed|done|draft|submit"
    r"|submitted|submission|solution|solved|latest))+$",
    re.IGNORECASE,
)
NUMBER = re.compile(
    r"[ _.-]*\d{1,3}$"
)  # behind the notebook's own name; elsewhere it may tell students apart
COPY_OF = re.compile(r"^(?:copy of|kopie von|copie de|copia de) ", re.IGNORECASE)
# Teams keeps a folder for each time that a student turned in, below the assignment's, as kubohiroya/summarize-teams-submissions
# (README.md) shows: "Submitted files/Ann Lee/Homework 1/Version 2/x.ipynb", in the language of the team.
TURNED_IN = re.compile(
    r"(?:version|versión|versione|versão|versie|verze|wersja|версия|バージョン|版本|버전) ?(\d{1,6}) ?",
    re.IGNORECASE,
)
UNPACKED = (".tar.gz", ".tar.bz2", ".tar.xz", *NESTED)


def stem(name: str) -> str:
    """A file's name without its suffixes."""
    for suffixes in (UNPACKED, (*NOTEBOOKS, *DOCUMENTS, *TEXTS)):
        found = next((s for s in suffixes if name.lower().endswith(s)), "")
        name = name[: len(name) - len(found)]
    return name


def base(name: str) -> str:
    """The stem of a file's name without what says which version or copy it is."""
    plain = COPY_OF.sub("", stem(name).strip())
    return (VERSION.sub("", plain) or plain).casefold()


def is_hidden(parts: Sequence[str]) -> bool:
    """Whether a file is hidden, or in a hidden folder, such as Jupyter's automatic copies."""
    return any(part.startswith(".") for part in parts)


def is_tool(parts: Sequence[str]) -> bool:
    """Whether a file is in a folder of tools that a copy of a release contains."""
    return any(part in TOOLS for part in parts[:-1])


def is_work(parts: Sequence[str]) -> bool:
    """Whether a file may be a submission in any format."""
    name = parts[-1].lower()
    known = (*NOTEBOOKS, *DOCUMENTS, *TEXTS, *NESTED)
    return not is_hidden(parts) and name not in PAGES and name.endswith(known)


def is_somebodys(parts: Sequence[str]) -> bool:
    """Whether only a student writes such files, so that one without a student must be reported."""
    return is_work(parts) and not parts[-1].lower().endswith(TEXTS)


def must_be_named(parts: Sequence[str]) -> bool:
    """Whether a file without a student must be reported, because a person may have submitted it."""
    name = parts[-1].lower()
    is_own = name in PAGES or name.endswith(INSTRUCTORS) or is_tool(parts)
    return not is_own and not is_hidden(parts)


def turned_in(parts: Sequence[str]) -> int:
    """The number of the Teams folder that a file is in; 0 if it is in none."""
    found = (TURNED_IN.fullmatch(part) for part in parts[:-1])
    return max((int(each[1]) for each in found if each), default=0)


def students_folders(placed: list[Placed]) -> set[str]:
    """The folders that are students', and not hidden or of tools beside a notebook."""
    inside = [p for p in placed if len(p.parts) > 1 and not p.parts[0].startswith(".")]
    with_work = {p.parts[0] for p in inside if p.parts[-1].lower().endswith(".ipynb")}
    return {p.parts[0] for p in inside if p.parts[0] in with_work or p.parts[0] not in TOOLS}


@dataclass(frozen=True)
class Words:
    """The words that name a module, its notebook, its course, and the folder or archive that is collected."""

    module: Module
    named: str

    @cached_property
    def own(self) -> tuple[str, ...]:
        """Names of the module's notebook itself."""
        module = self.module
        return tuple(
            word.casefold() for word in (module.notebook.stem, f"{module.name}_dev", module.name, module.topic)
        )  # fmt: skip

    @cached_property
    def slugs(self) -> tuple[str, ...]:
        """How an assignment of the module may be called on GitHub."""
        topic, number = self.module.topic, self.module.name.partition("_")[0]
        plain = topic.replace("_", "-")
        return (f"{number}-{plain}", f"{int(number)}-{plain}", self.module.name, plain, topic)

    @cached_property
    def around(self) -> frozenset[str]:
        """Names of folders that contain a whole class."""
        course = self.module.course
        names = (*AROUND, *self.slugs, course.course_id, course.library.name)
        return frozenset(name.casefold() for name in names)

    def is_around(self, folder: str) -> bool:
        """Whether a folder contains a whole class, judged by its name."""
        named = folder.casefold() == self.named.casefold()
        return named or folder.casefold() in self.around or bool(DOWNLOAD.fullmatch(folder))

    def is_own(self, name: str) -> bool:
        """Whether a file has the name of the module's notebook, also as a version or a copy."""
        return base(name) in self.own or NUMBER.sub("", base(name)) in self.own

    def student(self, name: str) -> str:
        """The student in a file's name: what remains without the notebook's own name.

        Raises
        ------
        TitoError
            If the name is only the notebook's name.
        """
        plain = COPY_OF.sub("", stem(name).strip())
        notebook = re.escape(self.module.notebook.stem)
        before = re.fullmatch(
            rf"(.*?)(?: - |[ _-]+)(?:copy of )?{notebook}(?: ?\(\d+\))?", plain, re.IGNORECASE
        )
        after = re.fullmatch(rf"{notebook}(?: - |[ _-]+)(.*)", plain, re.IGNORECASE)
        found = before or after
        who = found[1].strip() if found else plain
        if self.is_own(name) or not who or (after and VERSION.fullmatch(f"_{who}")):
            raise TitoError(
                "it belongs to no student", "put it into a folder named like the student"
            )
        return who

    def depth(self, paths: list[Sequence[str]], shared: int) -> int:
        """How many of the shared parent folders contain a class, and not only one student."""
        found = 0
        for place in range(shared):
            inner = [path[place + 1 :] for path in paths]
            is_class = len(self._people(inner)) > 1
            if not is_class and not self._is_wrapper(paths[0][place], inner):
                break
            found = place + 1
        return found

    def _is_wrapper(self, folder: str, inner: list[Sequence[str]]) -> bool:
        if folder == self.named:
            return not any(len(path) == 1 and self._is_notebook(path[0]) for path in inner)
        return self.is_around(folder)

    def _people(self, paths: list[Sequence[str]]) -> set[str]:
        """The entries of a folder that may each be a student; none if the folder contains the notebook."""
        if any(len(path) == 1 and self._is_notebook(path[0]) for path in paths):
            return set()
        notebooks = [path for path in paths if path[-1].lower().endswith(".ipynb")]
        notebooks = notebooks or [path for path in paths if path[-1].lower().endswith(".py")]
        files = {base(path[0]) for path in notebooks if len(path) == 1}
        deeper = [path for path in notebooks if len(path) > 1 and not is_tool(path)]
        return files | {path[0] for path in deeper if not MODULE_FOLDER.fullmatch(path[0])}

    def _is_notebook(self, name: str) -> bool:
        return name.lower().endswith(NOTEBOOKS) and self.is_own(name)
