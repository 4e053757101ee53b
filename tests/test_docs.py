"""The documentation site: built without a warning, complete in itself, and without an answer in it."""

import importlib
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest

from tests.conftest import ROOT, SOURCE
from tinytorch.lab import roofline
from tito.authoring import check, variants
from tito.cli import main
from tito.course import Course, read_yaml
from tito.export import package
from tito.notebooks import notebook as nb
from tito.notebooks import student_version
from tito.notebooks.text import read_text
from tito.student import bench

GUIDES = [ROOT / "docs" / f"{name}.md" for name in read_yaml(ROOT / "nbdev.yaml")["guides"]]
BLOCK = re.compile(r"^(`{3,4})(\w+)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
OTHERS = ("given.py", "given_calls.py", "jupyterhub_config.py")  # of a module, of a hub
LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src"}


def blocks(path, language):
    return [text for _, name, text in BLOCK.findall(path.read_text("utf-8")) if name == language]


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.stem)
def test_every_command_of_another_program_exists(path):
    """Those of tito and make are tested with the README's."""
    from nbgrader.apps.nbgraderapp import NbGraderApp

    text = path.read_text("utf-8")
    lines = [line for block in blocks(path, "bash") for line in block.splitlines()]
    lines += [span for span in check.CODE_SPAN.findall(text) if span.startswith("nbgrader ")]
    for line in filter(str.strip, lines):
        program, *words = shlex.split(line.removeprefix(".venv/bin/"), comments=True)
        if program == "nbgrader":
            assert words[0] in NbGraderApp.subcommands, line
        elif program == "source":
            assert words == [".venv/bin/activate"]
        elif program == "pip":
            assert words[0] == "install" and (ROOT / words[-1]).exists(), line
            extras = [
                name for found in re.findall(r"\[([\w,]+)\]", line) for name in found.split(",")
            ]
            assert all(f"\n{name} = [" in read_text(ROOT / "pyproject.toml") for name in extras)
        elif program == "dask":
            assert importlib.util.find_spec(f"distributed.cli.dask_{words[0]}"), line
        elif program == "python":
            assert words[0] == "-m" and importlib.util.find_spec(words[1]), line
        else:
            assert program in ("tito", "make", "python3", "cd"), line
            if line.startswith(".venv/bin/tito"):
                check.runs(line.removeprefix(".venv/bin/"), main)


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.stem)
def test_every_file_that_a_guide_names_exists(path):
    spans = check.CODE_SPAN.findall(path.read_text("utf-8"))
    named = [s for s in spans if re.fullmatch(r"(benchmarks|tests|tito|modules)/[\w/.]+", s)]
    named += [
        s
        for s in spans
        if re.fullmatch(r"[\w.]+\.(ini|toml|py)", s) and "_dev" not in s and s not in OTHERS
    ]
    named = [name for name in named if "topic" not in name]
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_module_on_the_authors_page_is_sound_and_can_be_measured(tmp_path, monkeypatch):
    page = ROOT / "docs" / "author.md"
    for name in ("settings.ini", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    folder = tmp_path / "modules" / "source" / "05_doubles"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "modules" / "source" / "jupytext.toml", folder.parent)
    header = SOURCE.partition("# %%")[0]
    [source] = [text for text in blocks(page, "python") if "default_exp" in text]
    (folder / "doubles_dev.py").write_text(header + source, encoding="utf-8")
    hints, wrong = blocks(page, "yaml")
    (folder / "hints.yaml").write_text(hints, encoding="utf-8")
    (folder / "variants.yaml").write_text(wrong, encoding="utf-8")
    (folder / "module.yaml").write_text("title: Doubles\nsummary: One function.\nhours: 1\n")
    (folder / "README.md").write_text("# Doubles\n\n    tito test doubles\n")
    shutil.copytree(ROOT / "tinytorch", tmp_path / "tinytorch")
    module = Course(tmp_path).module("doubles")
    package.export(module)
    assert [line for line, good in check.run(module, main) if not good] == []

    [steps] = [text for text in blocks(page, "python") if "LADDER" in text]
    module.bench.write_text(steps, encoding="utf-8")
    roof = roofline.Roof(200e9, {1: 400e9, 2: 80e9, 3: 20e9, "memory": 15e9})
    monkeypatch.setattr(roofline, "roof", lambda fresh=False: roof)
    [step] = bench.run(module, budget=0.05)["steps"]
    assert (step["kernel"], step["status"]) == ("double", "measured")


class Page(HTMLParser):
    """The links, loaded files and ids of a page, and its pictures without alternative text."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.ids, self.silent, self.language = [], [], set(), [], None
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "html":
            self.language = found.get("lang")
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag == "link" and found.get("rel") not in ("author", "canonical", "next", "prev"):
            self.loads.append(found["href"])
        if found.get(LOADS.get(tag)):
            self.loads.append(found[LOADS[tag]])
        if tag == "img" and not found.get("alt"):
            self.silent.append(found.get("src"))


def build(folder):
    """Build the site as `make docs` does, into another folder; returns the output."""
    pytest.importorskip("sphinx", reason="the site's tools are not installed: make docs")
    words = ["-q", "-W", "--keep-going", "-d", str(folder / "trees"), str(ROOT / "docs")]
    run = subprocess.run(
        [sys.executable, "-m", "sphinx", *words, str(folder / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, (run.stdout + run.stderr)[-3000:]
    return folder / "site"


def every_link(pages, paths):
    return [link for path in paths for link in pages[path.resolve()].links]


def broken(site, pages):
    """Links within the site that lead nowhere."""
    for path, page in pages.items():
        for link in page.links + page.loads:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file() or (
                parts.fragment and target in pages and parts.fragment not in pages[target].ids
            ):
                yield f"{path.relative_to(site)}: {link}"


def fetched(site, pages):
    """What a browser would fetch from elsewhere when a page is opened."""
    for path, page in pages.items():
        for link in page.loads:
            if urlsplit(link).netloc or urlsplit(link).scheme not in ("", "data"):
                yield f"{path.relative_to(site)}: {link}"
    for path in site.rglob("*.css"):
        for link in re.findall(r"(?:url\(|@import)\s*[\"']?([^\"')]+)", read_text(path)):
            if re.match(r"(https?:)?//", link):
                yield f"{path.relative_to(site)}: {link}"


def test_every_term_of_the_glossary_is_in_a_lesson():
    text = " ".join(" ".join(read_text(m.source).split()) for m in Course(ROOT).modules).lower()
    page = read_text(ROOT / "docs" / "glossary.md")
    terms = [
        line
        for block in re.findall(r"^```\{glossary\}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
        if line and not line.startswith(" ")
    ]
    assert len(terms) == len(set(terms)) > 50
    assert [term for term in terms if term.lower() not in text] == []


def planted(module):
    """The longest line of a solution, of a hidden test and of a known wrong solution."""
    text = read_text(module.source)
    notebook = nb.parse(text, module.source)
    sources = [each.source for each in notebook.cells]
    found = [next(s for s in sources if kind in s) for kind in student_version.MARKERS[:4:2]]
    for source in found:
        _, _, rest = source.partition("### BEGIN")
        yield max(rest.partition("### END")[0].split("\n")[1:], key=len).strip()
    known = variants.load(module, nb.cells(notebook, text))
    yield max(
        "\n".join(v.source for v in known if v.kind == variants.WRONG).split("\n"), key=len
    ).strip()


@pytest.mark.slow
@pytest.mark.gate
@pytest.mark.timeout(1200)
def test_the_site(tmp_path, subtests, monkeypatch):
    site = build(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "extensions"))
    import sealed

    course = Course(ROOT)
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    text = {path: path.read_text("utf-8") for path in pages}
    lessons = {m.name: site / "lessons" / f"{m.name}.html" for m in course.modules}
    parts = {name: sorted((site / "lessons" / name).glob("*.html")) for name in lessons}
    with subtests.test("every guide is there, and a page for each module and each section"):
        wanted = [*lessons.values(), *(site / f"{path.stem}.html" for path in GUIDES)]
        assert [path for path in wanted if path.resolve() not in pages] == []
        for module in course.modules:
            titles = re.findall(r"^## (\d+)\. ", read_text(module.source), re.MULTILINE)
            assert [path.name[:2] for path in parts[module.name]] == [
                f"{int(n):02}" for n in titles
            ]
    with subtests.test("the page of the course has every module"):
        links = pages[(site / "course.html").resolve()].links
        assert {f"lessons/{m.name}.html" for m in course.modules} <= set(links)
    with subtests.test("a lesson links the terms of the glossary"):
        assert any("glossary.html#term-" in link for link in every_link(pages, parts["11_kernels"]))
    with subtests.test("search takes excerpts from every page"):
        excerpts = (site / "_static" / "excerpts.js").read_text("utf-8")
        names = [p.relative_to(site).as_posix() for each in parts.values() for p in each]
        assert [name for name in names if f'"{name}"' not in excerpts] == []
    with subtests.test("every link leads somewhere"):
        assert list(broken(site, pages)) == []
    with subtests.test("nothing is fetched from elsewhere"):
        assert list(fetched(site, pages)) == []
    with subtests.test("pages say their language, pictures have words"):
        assert {page.language for page in pages.values()} == {"en"}
        assert [each for page in pages.values() for each in page.silent] == []
    with subtests.test("no folder of the machine is named"):
        assert [path for path in text if str(ROOT) in text[path]] == []
    with subtests.test("lessons were run, their answers left out"):
        for name, paths in parts.items():
            shown = "".join(text[path.resolve()] for path in [lessons[name], *paths])
            assert "YOUR CODE HERE" in shown and 'class="output' in shown, name
            assert "Traceback" not in shown, name
    with subtests.test("every public function has its docstring, and no source"):
        for module in course.modules:
            names = pages[(site / "reference" / f"{module.import_name}.html").resolve()].ids
            exercises = {c.id for c in nb.cells(nb.read(module)) if c.role == "solution"}
            exercises &= set(dir(importlib.import_module(module.import_name)))
            assert {f"{module.import_name}.{name}" for name in exercises} <= names
        assert not (site / "_modules").exists() and not list(site.glob("_sources/*"))
    with subtests.test("no answer and no hidden test is shown"):
        assert sealed.leaks(site, course) == []
    with subtests.test("one that is shown is found"):
        page = site / "student.html"
        whole = page.read_text("utf-8")
        for line in planted(course.module("kernels")):
            for form in (f"<p>So write {line} there.</p>", f"<pre><span>{line}</span>\n</pre>"):
                page.write_text(whole.replace("</article>", f"{form}</article>"), "utf-8")
                assert sealed.leaks(site, course), form
        page.write_text(whole, "utf-8")
    with subtests.test("a second build runs no lesson again"):
        kept = {path: path.stat().st_mtime_ns for path in (ROOT / "build/lessons").iterdir()}
        build(tmp_path)
        assert kept == {p: p.stat().st_mtime_ns for p in (ROOT / "build/lessons").iterdir()}
