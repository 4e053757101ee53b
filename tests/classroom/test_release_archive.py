"""A release as an archive: the same bytes each time, the folder's files, and what changed."""

import zipfile

from tests.support.commands import tito
from tito.classroom import release, release_archive
from tito.notebooks.text import read_text


def test_the_archive_has_the_release_and_what_changed(module):
    root = module.course.root
    (root / "docs").mkdir()
    (root / "docs" / "student.md").write_text("# Guide\n")
    made = release.make(module)
    path = release_archive.write(module, made)
    first = path.read_bytes()
    assert release_archive.write(module, made).read_bytes() == first
    with zipfile.ZipFile(path) as packed:
        names = set(packed.namelist())
        assert {f"01_tiny/{n}" for n in ("tiny_dev.ipynb", "tiny_dev.py", "GUIDE.md")} <= names
        assert b"first release" in packed.read("01_tiny/CHANGES.md")
    text = read_text(module.source)
    text = text.replace("[0, 2, 4]", "(0, 2, 4)").replace('"points": 3', '"points": 4')
    module.source.write_text(text.replace("half_of_two", "half_of_four"))
    run = tito("release", "tiny", course=root)
    assert run.returncode == 0 and "01_tiny-release-2.zip" in run.stdout, run.stderr
    with zipfile.ZipFile(root / "build" / "archives" / "01_tiny-release-2.zip") as packed:
        said = packed.read("01_tiny/CHANGES.md").decode()
    for line in (
        "Since release 1:",
        "- new test: `half_of_four`",
        "- removed test: `half_of_two`",
        "- changed test: `double_of_an_array`",
        "- `double_of_nothing` gives 4 points, before 3",
    ):
        assert line in said
