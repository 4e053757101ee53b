"""Write nbgrader's rows from records, with few statements for many students.

Manual scores, extra credit, comments and flags stay as they are. A manual grade is marked for another look when
the work has changed, as nbgrader does.
"""

import json
import uuid

import nbformat
from nbgrader import utils
from nbgrader.api import (
    Assignment,
    BaseCell,
    Comment,
    Grade,
    Gradebook,
    GradeCell,
    Notebook,
    SourceCell,
    Student,
    SubmittedAssignment,
    SubmittedNotebook,
)
from sqlalchemy import bindparam, insert, select, update

from tito import files
from tito.course import Module
from tito.gradebook import dates, due, roster, setup
from tito.gradebook.records import Records
from tito.notebooks import notebook as nb
from tito.notebooks import student_version

PART = 400  # values in one query


def enter(module: Module, students: list[str]) -> None:
    """Write the records of some students in one transaction."""
    course, store = module.course, Records(module)
    records = {name: record for name in students if (record := store.read(name))}
    url = dates.address(module)
    _know_cells(module, url)
    with files.lock(course.build / "gradebook.lock"), Gradebook(url, course.course_id) as book:
        with book.engine.begin() as connection:
            late = _Batch(connection, module, records).write()
            now = dates.current(connection, module, list(records))
        store.entered(records)
        dates.penalize(module, url, late)
        store.dated(now)


def _know_cells(module, url):
    """Write the assignment's cells if they differ from the cells that are graded now."""
    cells = []
    student_version.student_version(nb.read(module), cells.append)
    marks = [
        (cell, cell.metadata["nbgrader"]) for cell in cells[0].cells if "nbgrader" in cell.metadata
    ]
    wanted = {mark["grade_id"]: cell.source for cell, mark in marks}
    points = {mark["grade_id"]: mark["points"] for _, mark in marks if mark.get("grade")}
    setup.prepare(module.course)
    with Gradebook(url, module.course.course_id) as book, book.engine.connect() as connection:
        named = Assignment.name == module.name
        joined = select(SourceCell.name, SourceCell.source).join(Notebook).join(Assignment)
        known = dict(connection.execute(joined.where(named)).all())
        graded = select(GradeCell.name, GradeCell.max_score).join(Notebook).join(Assignment)
        known_points = dict(connection.execute(graded.where(named)).all())
    if known != wanted or known_points != points:
        setup.keep(module, cells[0])


class _Batch:
    """The rows of some students, in one transaction."""

    def __init__(self, connection, module, records):
        self.connection, self.module, self.records = connection, module, records
        found = self.ask(
            select(Notebook.id, Notebook.assignment_id, Assignment.duedate)
            .join(Assignment)
            .where(Assignment.name == module.name, Notebook.name == module.notebook.stem)
        )
        self.notebook, self.assignment, self.duedate = found[0]
        cells = select(BaseCell.id, BaseCell.name, BaseCell.type)
        self.cells = self.ask(cells.where(BaseCell.notebook_id == self.notebook))
        self.fresh = Records(module).has_new_work(records)

    def write(self) -> list[str]:
        """Write the rows; return the students who are late now or have a late penalty from before."""
        self._students()
        submissions = self._submissions()
        notebooks = self._notebooks(submissions)
        self._scores(notebooks)
        due.write_extensions(self.connection, self.module, list(self.records))
        return self._late(submissions, notebooks)

    def ask(self, statement, column=None, values=None):
        """Run a query; with a column, only for rows whose column has one of the values."""
        if column is None:
            return self.connection.execute(statement).all()
        values, rows = list(values), []
        for first in range(0, len(values), PART):
            part = statement.where(column.in_(values[first : first + PART]))
            rows += self.connection.execute(part).all()
        return rows

    def add(self, table, rows):
        if rows:
            self.connection.execute(insert(table), rows)

    def change(self, table, rows):
        """Update the row whose id is ``key`` with the other values of each row."""
        if rows:
            columns = {name: bindparam(name) for name in rows[0] if name != "key"}
            statement = update(table).where(table.c.id == bindparam("key")).values(columns)
            self.connection.execute(statement, rows)

    def _students(self):
        """Add new students. A student without a name gets the name from the platform's files."""
        columns = select(Student.id, Student.first_name, Student.last_name)
        known = {row.id: row for row in self.ask(columns, Student.id, self.records)}
        names = roster.collected_names(self.module.course)
        unknown = [each for each in self.records if each not in known]
        self.add(
            Student.__table__,
            [
                {"id": each, "first_name": first, "last_name": last}
                for each in unknown
                for first, last in [names.get(each, (None, None))]
            ],
        )
        nameless = [
            n for n, row in known.items() if row.first_name is None and row.last_name is None
        ]
        self.change(
            Student.__table__,
            [
                {"key": each, "first_name": names[each][0], "last_name": names[each][1]}
                for each in nameless
                if each in names
            ],
        )

    def _submissions(self):
        """Return the ids of all submissions, with new rows and new submission times written."""
        table = SubmittedAssignment
        columns = select(table.id, table.student_id, table.timestamp)
        columns = columns.where(table.assignment_id == self.assignment)
        known = {row.student_id: row for row in self.ask(columns, table.student_id, self.records)}
        added, changed = [], []
        for name in self.records:
            time = dates.sent_at(self.module, name)
            if name not in known:
                row = {"id": _new(), "assignment_id": self.assignment, "student_id": name}
                added.append(row | {"timestamp": time})
            elif time and time != known[name].timestamp:
                changed.append({"key": known[name].id, "timestamp": time})
        self.add(table.__table__, added)
        self.change(table.__table__, changed)
        ids = {row["student_id"]: row["id"] for row in added}
        return ids | {name: row.id for name, row in known.items()}

    def _notebooks(self, submissions):
        """Return the ids of all submitted notebooks, with new rows written."""
        table = SubmittedNotebook
        columns = select(table.id, table.assignment_id).where(table.notebook_id == self.notebook)
        known = self.ask(columns, table.assignment_id, submissions.values())
        ids = {row.assignment_id: row.id for row in known}
        added = [
            {"id": _new(), "assignment_id": each, "notebook_id": self.notebook, "flagged": False}
            for each in submissions.values()
            if each not in ids
        ]
        self.add(table.__table__, added)
        ids |= {row["assignment_id"]: row["id"] for row in added}
        return {name: ids[each] for name, each in submissions.items()}

    def _scores(self, notebooks):
        grades = self._rows(Grade, ("auto_score", "manual_score"), notebooks)
        comments = self._rows(Comment, ("auto_comment",), notebooks)
        added = {Grade: [], Comment: []}
        changed = {Grade: [], Comment: []}
        for name, record in self.records.items():
            scores, remarks = self._found(name, record)
            for cell in self.cells:
                place = (notebooks[name], cell.id)
                row = {"id": _new(), "notebook_id": place[0], "cell_id": place[1]}
                if cell.type in ("GradeCell", "TaskCell"):
                    score = scores.get(cell.name)
                    old = grades.get(place)
                    if old is None:
                        added[Grade].append(
                            row | {"auto_score": score, "needs_manual_grade": score is None}
                        )
                    elif name in self.fresh or score != old.auto_score:
                        look = old.manual_score is not None or score is None
                        changed[Grade].append(
                            {"key": old.id, "auto_score": score, "needs_manual_grade": look}
                        )
                if cell.type in ("SolutionCell", "TaskCell"):
                    remark = remarks.get(cell.name)
                    old = comments.get(place)
                    if old is None:
                        added[Comment].append(row | {"auto_comment": remark})
                    elif remark != old.auto_comment:
                        changed[Comment].append({"key": old.id, "auto_comment": remark})
        for table in (Grade, Comment):
            self.add(table.__table__, added[table])
            self.change(table.__table__, changed[table])

    def _rows(self, table, names, notebooks):
        columns = select(
            table.id, table.notebook_id, table.cell_id, *(getattr(table, name) for name in names)
        )
        rows = self.ask(columns, table.notebook_id, notebooks.values())
        return {(row.notebook_id, row.cell_id): row for row in rows}

    def _found(self, name, record):
        """Return a student's scores by cell, None where a person must grade, and nbgrader's own comments."""
        path = self.module.course.place("autograded") / name / self.module.name
        text = (path / self.module.notebook.name).read_text(encoding="utf-8")
        scores, remarks = {}, {}
        for cell in nbformat.from_dict(json.loads(text)).cells:
            if "nbgrader" not in cell.metadata:
                continue
            mark, cell.source = cell.metadata["nbgrader"], "".join(cell.source)
            if utils.is_grade(cell) and utils.is_solution(cell):
                scores[mark["grade_id"]] = utils.determine_grade(cell)[0]
            if utils.is_solution(cell) and mark.get("checksum") == utils.compute_checksum(cell):
                remarks[mark["grade_id"]] = "No response."
        return scores | {test["id"]: test["points"] for test in record["tests"]}, remarks

    def _late(self, submissions, notebooks):
        table = SubmittedAssignment
        times = self.ask(
            select(table.student_id, table.timestamp, table.extension).where(
                table.assignment_id == self.assignment
            ),
            table.student_id,
            submissions,
        )
        penalty = select(SubmittedNotebook.id, SubmittedNotebook.late_submission_penalty)
        rows = self.ask(penalty, SubmittedNotebook.id, notebooks.values())
        punished = {row.id for row in rows if row.late_submission_penalty is not None}
        late = {name for name, each in notebooks.items() if each in punished}
        for name, time, extension in times:
            due = self.duedate + extension if self.duedate and extension else self.duedate
            if time and due and time > due:
                late.add(name)
        return sorted(late)


def _new():
    return uuid.uuid4().hex
