"""A small class with records, as tito grade writes them, and a gradebook, as nbgrader makes it."""

import json
from datetime import datetime

TITLES = {
    "double_of_an_array": "Every value is doubled.",
    "double_of_nothing": "Nothing doubled is nothing.",
}


def case(name, status="passed", message="", hidden=False, most=2.0, **more):
    """One test of a record."""
    return {
        "id": name,
        "title": TITLES.get(name, name),
        "exercise": "double",
        "points": most if status == "passed" else 0.0,
        "max_points": most,
        "hidden": hidden,
        "status": status,
        "seconds": 0.1,
        "message": message,
    } | more


def tests(first="passed", second="passed", message="", secret=""):
    return [
        case("double_of_an_array", first, message),
        case("double_of_nothing", second, secret, True, 3.0),
    ]


def record(course_module, name, cases=None, **more):
    """Write a student's record."""
    cases = tests() if cases is None else cases
    document = {
        "schema": 1,
        "module": course_module.name,
        "student": name,
        "ok": True,
        "score": sum(each["points"] for each in cases),
        "max_score": sum(each["max_points"] for each in cases),
        "tests": cases,
        "submission": "0" * 64,
        "assignment": "1",
        "grader": "1",
        "walls": "sandboxed",
        "repairs": [],
        "timestamp": None,
    } | more
    path = course_module.course.build / "grades" / course_module.name / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def gradebook(module, students):
    """Make nbgrader's gradebook: for each student names, a late penalty, grades and comments.

    `students` maps an id to {"grades": {grade_id: (auto, manual, needs_manual_grade)}, "comments": {…},
    "penalty": …, "email": …, "first_name": …, "last_name": …}.
    """
    import os
    import sys
    from pathlib import Path

    from nbgrader.api import Comment, Gradebook

    address = module.course.gradebook
    Path(address.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    bin_folder = str(Path(sys.executable).parent)
    os.environ["PATH"] = os.pathsep.join([bin_folder, os.environ.get("PATH", "")])
    most = {"double_of_an_array": 2, "double_of_nothing": 3}
    with Gradebook(address, module.course.course_id) as book:
        book.add_assignment(module.name)
        book.add_notebook(module.notebook.stem, module.name)
        for name, points in most.items():
            book.add_grade_cell(
                name, module.notebook.stem, module.name, cell_type="code", max_score=points
            )
        book.add_solution_cell("double", module.notebook.stem, module.name)
        for student, about in students.items():
            names = {
                key: about[key] for key in ("first_name", "last_name", "email") if key in about
            }
            book.add_student(student, **names)
            handed_in = book.add_submission(
                module.name, student, timestamp=datetime(2026, 11, 20, 12)
            )
            notebook = handed_in.notebooks[0]
            notebook.late_submission_penalty = about.get("penalty")
            for grade in notebook.grades:
                auto, manual, waits = about["grades"][grade.name]
                grade.auto_score, grade.manual_score = auto, manual
                grade.needs_manual_grade = waits
            wanted = dict(about.get("comments", {}))
            for comment in notebook.comments:
                comment.manual_comment = wanted.pop(comment.name, None)
            for name, words in wanted.items():  # as on a task, which is marked and commented
                cell = next(each for each in notebook.notebook._base_cells if each.name == name)
                book.db.add(Comment(cell=cell, notebook=notebook, manual_comment=words))
        book.db.commit()
