"""settings.ini, nbdev.yaml, pyproject.toml and nbgrader_config.py say the same."""

import runpy
import tomllib
from types import SimpleNamespace

import pytest
import yaml
from packaging.requirements import Requirement

from tito.course import Course


@pytest.fixture
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def test_nbdev_reads_the_same_settings_as_tito(root, project):
    settings = Course(root).settings.defaults()
    nbdev = project["tool"]["nbdev"]
    assert {key: settings[key] for key in ("lib_path", "nbs_path", "doc_path")} == {
        key: nbdev[key] for key in ("lib_path", "nbs_path", "doc_path")
    }
    assert settings["lib_name"] == settings["lib_path"]


def test_nbdev_keeps_the_grading_metadata(project):
    assert project["tool"]["nbdev"]["allowed_cell_metadata_keys"] == ["nbgrader"]
    assert project["tool"]["nbdev"]["update_pyproject"] is False


def test_the_site_lists_every_guide_once(root):
    guides = yaml.safe_load((root / "nbdev.yaml").read_text(encoding="utf-8"))["guides"]
    written = {path.stem for path in root.glob("docs/*.md")} - {"index", "course", "glossary"}
    assert len(guides) == len(written) and set(guides) == written


def test_nbgrader_is_configured_from_settings_ini(root):
    class Config(dict):
        __getattr__ = Config_get = lambda self, name: self.setdefault(name, SimpleNamespace())

    config = Config()
    runpy.run_path(str(root / "nbgrader_config.py"), {"get_config": lambda: config})
    settings = Course(root).settings["nbgrader"]
    course = config.CourseDirectory
    assert course.source_directory == settings["nbs_path"]
    assert course.release_directory == settings["release_directory"]
    assert course.db_url.endswith(settings["gradebook"])
    assert {"*_dev.py", "variants.yaml"} <= set(course.ignore)


def test_every_dependency_is_pinned_exactly(root, project):
    lines = (root / "constraints.txt").read_text(encoding="utf-8").split()
    pins = {}
    for line in (root / "constraints.txt").read_text(encoding="utf-8").splitlines():
        requirement = Requirement(line)
        assert [s.operator for s in requirement.specifier] == ["=="], line
        pins.setdefault(requirement.name.lower().replace("_", "-"), []).append(requirement)
    extras = project["project"]["optional-dependencies"]
    wanted = project["project"]["dependencies"]
    wanted += [
        each for extra in ("teach", "test", "docs", "browser", "hub") for each in extras[extra]
    ]
    wanted.remove("tinytorch-kernels[teach]")
    for requirement in map(Requirement, wanted):
        name = requirement.name.lower().replace("_", "-")
        versions = [next(iter(pin.specifier)).version for pin in pins[name]]
        assert all(requirement.specifier.contains(version) for version in versions), requirement
    assert not any("://" in line for line in lines)


def test_no_test_file_is_longer_than_500_lines(root):
    files = [path for path in root.glob("tests/**/*.py") if path.parent.name != "corpus"]
    assert len(files) > 100
    assert [path for path in files if path.read_text(encoding="utf-8").count("\n") > 500] == []
