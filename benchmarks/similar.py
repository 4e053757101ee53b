"""Similar answers, our fingerprints beside copydetect's: ``python -m benchmarks.similar``.

The class of an exercise is the reference solution and the known right solutions written as whole cells. No two of them
were copied, so each similar pair is a false alarm. Then one answer after the other is copied, with
other names and without comments. Both tools get the released text, which does not count.
Needs copydetect: ``pip install -e '.[bench]' -c constraints.txt``.
"""

import argparse
import builtins
import importlib.metadata
import io
import keyword
import re
import sys
import time
import tokenize
from itertools import combinations, pairwise
from pathlib import Path

from copydetect import CodeFingerprint, compare_files

from tito.authoring import variants
from tito.classroom import fingerprints, similar
from tito.course import Course, read_yaml
from tito.notebooks import notebook as nb
from tito.notebooks.student_version import student_version, without_markers
from tito.notebooks.text import read_text

ROOT = Path(__file__).resolve().parent.parent
NOISE, GUARANTEED, SHOWN = 25, 25, 0.33  # copydetect's own defaults
LEVELS = (0.33, 0.5, 0.7, 0.9)
KEPT = {*keyword.kwlist, *keyword.softkwlist, *dir(builtins), "np", "self"}


def main(words=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks.similar", description=__doc__)
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "measured" / "similar.md")
    options = parser.parse_args(words)
    sides = {f"copydetect {importlib.metadata.version('copydetect')}": Theirs, "tito similar": Ours}
    alarms = {name: [] for name in sides}  # the similarity of each pair that nobody copied
    found = {name: [] for name in sides}  # and of each answer with its copy
    seconds = dict.fromkeys(sides, 0.0)
    exercises = 0
    for module in Course(ROOT).modules:
        text = read_text(module.source)
        notebook = nb.parse(text, module.source)
        released = [c.source for c in student_version(notebook).cells if c.cell_type == "code"]
        for texts in answers(module, nb.cells(notebook, text)):
            exercises += 1
            for name, side in sides.items():
                began = time.process_time()
                compared = side(released)
                alarms[name] += compared.pairs(texts)
                found[name] += [compared.copied(texts, each) for each in range(len(texts))]
                seconds[name] += time.process_time() - began
    options.page.write_text(page(exercises, alarms, found, seconds), encoding="utf-8")
    print(options.page.read_text(encoding="utf-8"))
    return 0


class Ours:
    """The shares that `tito similar` finds: pairs that are too short have none."""

    def __init__(self, released):
        self.given = {each for text in released for each in fingerprints.of_text(text)}

    def pairs(self, texts):
        """The similarity of each pair of a class."""
        named = {f"{number:03}": {"exercise": text} for number, text in enumerate(texts)}
        shares = {
            (pair.first.student, pair.second.student): pair.share
            for pair in similar.compare(named, self.given, 0)
        }
        return [shares.get(pair, 0.0) for pair in combinations(sorted(named), 2)]

    def copied(self, texts, number):
        """The similarity of one answer of the class and its copy, which is a part of the class too."""
        shares = self.pairs([disguised(texts[number]), *texts])
        return shares[number]


class Theirs:
    """The similarities that copydetect finds: the larger share of the two files."""

    def __init__(self, released):
        found = {each for text in released for each in self._read(text, [], 1).hashes}
        self.given = sorted(found)

    def pairs(self, texts):
        """The similarity of each pair of a class."""
        read = [self._read(text, self.given) for text in texts]
        return [float(max(compare_files(*pair)[1])) for pair in combinations(read, 2)]

    def copied(self, texts, number):
        """The similarity of one answer of the class and its copy."""
        return self.pairs([texts[number], disguised(texts[number])])[0]

    @staticmethod
    def _read(text, given, window=GUARANTEED - NOISE + 1):
        file = io.StringIO(text)
        return CodeFingerprint("x.py", NOISE, window, given, language="python", fp=file)


def answers(module, cells):
    """For each exercise the answers that were written whole, if there are two at least."""
    if not module.variants.exists():
        return
    changed = {
        (exercise, entry["name"])
        for exercise, kinds in read_yaml(module.variants).items()
        for entry in (kinds or {}).get(variants.RIGHT) or []
        if "change" in entry
    }
    known = [each for each in variants.load(module, cells) if each.kind == variants.RIGHT]
    for cell in cells:
        texts = [without_markers(cell.source)] if cell.role == "solution" else []
        texts += [
            without_markers(each.source)
            for each in known
            if texts and each.exercise == cell.id and (each.exercise, each.name) not in changed
        ]
        if len(texts) > 1:
            yield texts


def disguised(text):
    """The text with other names, and with no comment."""
    names = {}
    lines = text.splitlines()
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    for before, each in reversed(list(pairwise(tokens))):
        (row, start), (_, end) = each.start, each.end
        if each.type == tokenize.COMMENT:
            lines[row - 1] = lines[row - 1][:start]
        elif each.type == tokenize.NAME and each.string not in KEPT and before.string != ".":
            other = names.setdefault(each.string, f"my_{len(names)}")
            lines[row - 1] = lines[row - 1][:start] + other + lines[row - 1][end:]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines))


def page(exercises, alarms, found, seconds):
    """What was found as a page of Markdown."""
    pairs, copies = (len(next(iter(each.values()))) for each in (alarms, found))
    lines = [
        "# False alarms, and copies found",
        "",
        f"- {exercises} exercises of the course with two or more answers written independently: the reference and "
        "known right solutions",
        f"- {pairs} pairs of them, none copied, and {copies} copies with other names and no comments",
        "- released text is given to both sides; copydetect runs with its own defaults, and shows pairs from "
        f"{SHOWN}; `tito similar` shows pairs from {similar.LEAST}",
        "",
        "| | similar from | false alarms | copies found | s of CPU |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, shares in alarms.items():
        for level in LEVELS:
            wrong, right = (sum(s >= level for s in each) for each in (shares, found[name]))
            lines.append(
                f"| {name} | {level:g} | {wrong} ({wrong / pairs:.1%}) | {right} ({right / copies:.0%}) "
                f"| {seconds[name]:.1f} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
