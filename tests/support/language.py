"""The words and turns of phrase that the project's text avoids, and where its text is found."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

NAMES = re.compile(r"\b\w+(?:, \w+){9,}")  # a list of names is no sentence
LONGEST = 40  # words in one sentence of a page; about 20 is the aim

# A pattern, and what to write instead.
PATTERNS = [
    (r"\b(?:walls\b|(?:the|a|each|every|which|no) wall\b)(?! (?:clock|time|seconds?))", "sandbox, protection"),
    (r"\bhand-?ins?\b(?! folder)", "submission"),
    (r"\b(?:un)?mend(?:s|ed|ing)?\b", "fix"),
    (r"\bwhoever\b", "name the subject: the student, the second process"),
    (r"\bwhole numbers?\b", "integer"),
    (r"\bforeign load\b", "background load"),
    (r"\bin vain\b", "without success"),
    (r"\bby turns\b", "alternately"),
    (r"\balike\b", "equally, both"),
    (r"\bupon\b", "on"),
    (r"\banew\b", "again"),
    (r"\b(?:is|are) said (?:in|to|of|so|here)\b", "name who says it, or what it is"),
    (r"\b(?:is|are) told\b", "name who sends what"),
    (r"\bthose (?:of|that|who)\b", "repeat the noun"),
    (r"\bthat of\b", "repeat the noun"),
    (r"\bone that\b", "repeat the noun"),
    (r"\bone's own\b", "your own"),
    (r"\bstands?\b", "is in, is at, remains"),
    (r"\b(?:lies|lying)\b|\blie (?:in|at|on|around|beside|between|under|above|below|there|within|side)\b", "is in, is at, is between"),
    (r"\b(?:holds?|held)\b(?![- ]out)", "contains, keeps, is true"),
    (r"\bfalls?\b(?! back)", "decreases, is in"),
    (r"\b(?:bears?|borne)\b", "name what is possible"),
    (r"\bkeeps? to\b", "follows, obeys"),
    (r"\b(?:\d|many|all|twelve|sixteen) numbers\b", "elements, values"),
    (r"\bnumbers (?:side by side|of (?:an?|the|each|this|one) (?:large )?(?:array|vector|matrix|row|column|tensor))\b", "elements"),
    (r"\bwhatever comes\b", "always, for every input"),
    (r"\b(?:student|author|instructor)'s hour\b", "For students"),
    (r"\bin a process of its own\b", "in a separate process"),
    (r"\b(?:judge|grade|rerun|test) what\b", "name what is judged"),
    (r"\bmade into\b", "converted to"),
    (r"\b\d+ names? given\b", "say which argument is missing, and an example"),
    (r"(?<!there )\bis no (?!longer\b|more\b|one\b)\w+", "is not a"),
    (r", no \w+ is\b", "say it in a sentence of its own"),
    (r"\bwhat (?:they|it) did before\b", "the same results"),
    (r"\bdiffers? always\b", "always differ"),
    (r"\bis the part of\b", "is divided by, is a share of"),
    (r"\bweighs\b", "dominates"),
    (r"\btakes (?:it|them) up\b", "uses"),
    (r"\bjourney\b", "transfer"),
    (r"\bor one of \d", "say the condition first"),
    (r"\bas (?:it|they) falls?\b", "as soon as it is known"),
    (r"\b(?:fell|falls|fallen) over\b", "crashed"),
    (r"\bfor each of them\b", "for each run, for each student"),
    (r"\bthat leave\b", "this permission"),
    (r"\bwho (?:comes|asks|asked|reads|calls)\b", "name the subject"),
    (r"\b(?:graded|held|named|kept|counted|shown|compared) (?:are|is)\b(?= [a-z])", "subject first"),
    (r"\bis to (?:be|do|have|answer|come)\b", "must, will"),
    (r"\bfolders? of (?:its|their|his|her) own\b", "a separate folder"),
    (r"^skipped$", "hidden (runs when graded)"),
]  # fmt: skip
COMPILED = [(re.compile(pattern, re.IGNORECASE), instead) for pattern, instead in PATTERNS]
CODE = re.compile(r"``.*?``|`[^`\n]*`|\$[^$\n]*\$|https?://\S+")
FENCE = re.compile(
    r"^(`{3,}|~{3,}).*?^\1|^(?: {4,}|\t)\S.*?$|^\|[-| :]+\|$", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Text:
    """A piece of text that a person reads, and where it is."""

    path: Path
    line: int
    text: str
    page: bool = False  # prose of a page, whose sentences must be short


def faults(text: str, page: bool = False) -> list[str]:
    """What is wrong with a text: each pattern that it has, and each sentence that is too long."""
    words = CODE.sub("code", text)
    found = [
        f"{match[0]!r}: write {instead}"
        for pattern, instead in COMPILED
        for match in [pattern.search(words)]
        if match
    ]
    if page:
        for sentence in re.split(r"(?<=[.!?:])\s+(?=[A-Z`*(\[])", words):
            count = len(re.findall(r"\b[\w'-]+\b", NAMES.sub("names", sentence)))
            if count > LONGEST:
                found.append(f"a sentence of {count} words: {sentence[:60]}")
    return found


def of_page(path: Path) -> Iterator[Text]:
    """The paragraphs, list items and table rows of a Markdown page."""
    text = path.read_text(encoding="utf-8")
    text = FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)
    line = 1
    for part in re.split(r"(\n\s*\n|\n(?=\s*(?:[-*]|\d+\.|\|)\s))", text):
        if part.strip():
            yield Text(path, line, " ".join(part.split()), page=True)
        line += part.count("\n")


def of_python(path: Path) -> Iterator[Text]:
    """The docstrings, comments and messages of a Python file."""
    source = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and " " in node.value.strip():
            yield Text(path, node.lineno, node.value)
    comments: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT or re.match(r"#\s*(%%|\||noqa|fmt:|type:)", token.string):
            continue
        said = token.string.lstrip("# ")
        if comments and comments[-1][0] + comments[-1][1].count("\n") + 1 == token.start[0]:
            comments[-1] = (comments[-1][0], comments[-1][1] + "\n" + said)
        else:
            comments.append((token.start[0], said))
    for line, said in comments:
        yield Text(path, line, " ".join(said.split()))


def of_test_names(path: Path) -> Iterator[Text]:
    """The names of a file's tests, read as sentences."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield Text(path, node.lineno, node.name.removeprefix("test_").replace("_", " "))


def of_test_titles(path: Path) -> Iterator[Text]:
    """The titles of a lesson's tests: the first statement of each graded cell."""
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines, 1):
        if line.startswith("# %%") and '"grade": true' in line and lines[number].startswith('"""'):
            yield Text(path, number + 1, lines[number].strip('"'))


def of_variant_names(path: Path) -> Iterator[Text]:
    """The names of a module's known answers."""
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if match := re.match(r"\s+- name: (.+)", line):
            yield Text(path, number, match[1])


def of_yaml(path: Path) -> Iterator[Text]:
    """The strings of a YAML file."""
    for node in _scalars(yaml.compose(path.read_text(encoding="utf-8"))):
        if " " in node.value.strip():
            yield Text(path, node.start_mark.line + 1, node.value)


def _scalars(node):
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.SequenceNode):
        for each in node.value:
            yield from _scalars(each)
    elif isinstance(node, yaml.MappingNode):
        for pair in node.value:
            for each in pair:
                yield from _scalars(each)
