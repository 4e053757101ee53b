"""The project's text is plain English, without the worst words and phrases."""

import pytest

from tests.conftest import ROOT
from tests.support import language

# What the text was before it was rewritten; every one of these must be found.
REWRITTEN = [
    "A student's hour",
    "judge it behind walls",
    "each exercise is judged test by test, in a process of its own",
    "What the walls hold, and what not, is said in the file",
    "`tito test`, for one's own code on one's own machine, does without the walls",
    "Judge what each save touches, while you write",
    "skipped",
    "it is a percent file, made into a notebook",
    "error: 0 names given",
    "no worker is no number",
    "The interval holds the median, the ratio lies in its own",
    "Numbers are read once, no result is read",
    "Here kernels become fast and compute what they did before",
    "Two medians differ always; the question is whether the operations do",
    "foreign load meets both alike",
    "`of NumPy` is the part of NumPy's rate",
    "what comes before the first product weighs",
    "when a single thread takes it up, the second waits",
    "When an item's work is long beside its journey",
    "A wide vector is two of 32 registers, or one of 16, so that sixteen always fit",
    "yields each verdict as it falls",
    "the judge fell over",
    "A process that is forked for each of them",
    "without that leave the kernel ends the process",
    "A mistake the reader can mend",
    "one line holds sixteen floats",
    "arithmetic is that of numpy at any offset",
    "a layer that stands in the model twice",
    "The rows that lie in C",
    "each process is held to the limit",
    "the loss falls",
    "at the sizes it can bear",
    "moves three numbers of an array",
    "float32 whatever comes",
]
PLAIN = [
    "`tito grade` runs each submission in a sandbox.",
    "The median and the ratio each lie inside their confidence interval.",
    "`num_workers=0` raises ValueError.",
    "The wall clock and wall time are standard terms.",
    "With 32 registers a wide vector uses a pair, with 16 a single register.",
    "A zygote: a pre-imported process that is forked for each run",
    "Without a cache `tito` falls back to the source.",
    "Accept a new model only when it is better on held-out examples.",
    "The parts are aligned, and line numbers are kept.",
    "One thread already saturates memory bandwidth, so a second gains nothing.",
]
# (file, words): text that must keep a word, because it quotes data or another program.
EXCEPTIONS: set[tuple[str, str]] = {
    ("tito/grading/grade_one.py", "Grade one submission."),  # names a parameter and a function
    ("benchmarks/grading.py", "control group"),
    ("benchmarks/grading.py", "on the wall"),
}


def texts():
    for path in sorted([ROOT / "README.md", *ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]):
        yield from language.of_page(path)
    for path in sorted(ROOT.glob("modules/source/*/README.md")):
        yield from language.of_page(path)
    for path in sorted(ROOT.glob("modules/source/*/hints.yaml")):
        yield from language.of_yaml(path)
    for path in sorted(ROOT.glob("modules/source/*/variants.yaml")):
        yield from language.of_variant_names(path)
    for path in sorted(ROOT.glob("modules/source/*/*_dev.py")):
        yield from language.of_test_titles(path)
    for pattern in ("modules/source/*/given*.py", "modules/source/*/*_bench.py"):
        for path in sorted(ROOT.glob(pattern)):
            yield from language.of_python(path)
    for pattern in ("tito/**/*.py", "tinytorch/lab/**/*.py", "benchmarks/*.py", "docs/**/*.py"):
        for path in sorted(ROOT.glob(pattern)):
            yield from language.of_python(path)
    for path in sorted(ROOT.glob("tests/**/test_*.py")):
        yield from language.of_test_names(path)


@pytest.mark.parametrize("sentence", REWRITTEN)
def test_each_sentence_that_was_rewritten_is_found(sentence):
    assert language.faults(sentence)


@pytest.mark.parametrize("sentence", PLAIN)
def test_plain_sentences_have_no_fault(sentence):
    assert language.faults(sentence) == []


def test_a_sentence_of_more_than_forty_words_is_found_on_a_page_only():
    long = "One " + "word " * 40 + "more."
    assert language.faults(long, page=True) and not language.faults(long)


def test_all_text_of_the_project_is_plain():
    found = []
    for each in texts():
        place = each.path.relative_to(ROOT).as_posix()
        for fault in language.faults(each.text, each.page):
            if not any(place == file and words in each.text for file, words in EXCEPTIONS):
                found.append(f"{place}:{each.line}: {fault}")
    assert not found, "\n".join(found)
