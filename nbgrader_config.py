"""Configures nbgrader and formgrader from settings.ini."""

import configparser
from pathlib import Path

from tito.classroom import formgrader
from tito.course import Course
from tito.gradebook import setup

root = Path(__file__).resolve().parent
settings = configparser.ConfigParser(interpolation=None)
settings.read(root / "settings.ini", encoding="utf-8")
nbgrader = settings["nbgrader"]

c = get_config()  # noqa: F821  (nbgrader defines it)
c.CourseDirectory.root = str(root)
c.CourseDirectory.course_id = nbgrader["course_id"]
c.CourseDirectory.source_directory = nbgrader["nbs_path"]
c.CourseDirectory.release_directory = nbgrader["release_directory"]
c.CourseDirectory.submitted_directory = nbgrader["submitted_directory"]
c.CourseDirectory.autograded_directory = nbgrader["autograded_directory"]
c.CourseDirectory.feedback_directory = nbgrader["feedback_directory"]
gradebook = nbgrader["gradebook"]  # a file, or the address of a database server
c.CourseDirectory.db_url = gradebook if "://" in gradebook else f"sqlite:///{root / gradebook}"
# nbgrader copies all files beside a notebook to students, so the source and the authors' data are excluded.
c.CourseDirectory.ignore = [
    ".ipynb_checkpoints",
    "*.pyc",
    "__pycache__",
    "*_dev.py",
    "*.kept-*",
    "jupytext.toml",
    "variants.yaml",
]
# Only the grader's account can read submissions, marks and feedback.
Course(root).keep_private()
setup.prepare(Course(root))
c.Autograde.permissions = 600
c.GenerateFeedback.permissions = 600
if "exchange" in nbgrader:
    c.Exchange.root = str(root / nbgrader["exchange"])
# A release has a percent file without answers; the list above would keep it out of the exchange.
c.ExchangeFactory.release_assignment = "tito.classroom.exchange.ReleaseAssignment"
c.ExchangeFactory.collect = "tito.classroom.exchange.Collect"
c.ExchangeFactory.release_feedback = "tito.classroom.exchange.ReleaseFeedback"
# `nbgrader generate_feedback` and formgrader's button write our page, which never shows a hidden test.
c.GenerateFeedback.exporter_class = "tito.classroom.nbgrader_plugin.Feedback"

# The command `nbgrader autograde` and formgrader's button grade as `tito grade` does, in the same sandbox.
c.Autograde.exporter_class = "tito.classroom.nbgrader_plugin.Exporter"
c.Autograde.sanitize_preprocessors = [
    "tito.classroom.nbgrader_plugin.Repair",
    "nbgrader.preprocessors.OverwriteCells",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.Autograde.autograde_preprocessors = [
    "tito.classroom.nbgrader_plugin.Execute",
    "nbgrader.preprocessors.LimitOutput",
    "nbgrader.preprocessors.SaveAutoGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]

# A page of formgrader shows parts of its own address, which may come from a link in a student's answer.
formgrader.escape_pages()

# nbgrader reads the time of a submission from a file that may be a link or a named pipe.
formgrader.read_short_timestamps()
