"""Marks in the files that platforms exported: columns in any language, ids column by column, refusals."""

import csv
import io

import pytest

from tests.support import marking
from tito.classroom import collected, lms, marks, scores
from tito.course import TitoError


@pytest.fixture
def graded(tiny):
    """101 has all points, 102 the first test's 2, 103 none."""
    marking.record(tiny, "101")
    marking.record(tiny, "102", marking.tests("passed", "failed"))
    marking.record(tiny, "103", marking.tests("failed", "not_started"))
    return tiny


@pytest.fixture
def fill(graded, tmp_path):
    def fill(form, content, column=None):
        path = tmp_path / "exported.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        text, without = scores.made(form, [marks.read(graded)], False, path, column)
        return list(csv.reader(io.StringIO(text))), without

    return fill


CANVAS = """Student,ID,SIS User ID,SIS Login ID,Section,Homework 1: Tiny (7702),Tiny quiz (8)
Points Possible,,,,,5.00,9
"Lee, Ann",101,103,ann,A,,1
"Ort, Ben",102,s2,ben,A,EX,2
"Cy, D",103,s3,cyd,A,,3
"""


def test_a_column_can_be_named_without_what_the_platform_adds(fill):
    found, _ = fill("canvas", CANVAS, "homework 1: tiny")
    assert found[0][-1] == "Homework 1: Tiny (7702)"
    twice = CANVAS.replace("Tiny quiz (8)", "Homework 1: Tiny (8)")
    with pytest.raises(TitoError, match="more than one column fits"):
        fill("canvas", twice, "Homework 1: Tiny")
    found, _ = fill("canvas", twice, "Homework 1: Tiny (7702)")
    assert found[0][-1] == "Homework 1: Tiny (7702)"
    column = (
        "Homework 1: A Long Title Points Grade <Numeric MaxPoints:5 Weight:10 Category:Homework>"
    )
    brightspace = f"Username,{column},End-of-Line Indicator\n#101,,#\n#102,,#\n#103,,#\n"
    assert fill("brightspace", brightspace, "Homework 1: A Long Title")[0][0][1] == column
    with pytest.raises(TitoError, match="has no column Tiny") as raised:
        fill("brightspace", brightspace)
    assert column in raised.value.hint


def test_an_id_of_another_column_is_not_another_students(fill):
    found, without = fill("canvas", CANVAS, "Homework 1: Tiny (7702)")
    assert found[0][-1] == "Homework 1: Tiny (7702)" and without == []
    assert [row[-1] for row in found[2:]] == ["5", "EX", "0"]  # an excused student stays excused


def test_the_column_with_most_of_the_courses_ids_comes_first(fill):
    moved = CANVAS.replace("101,103,ann", "9,101,ann").replace("102,s2", "101,102")
    found, _ = fill("canvas", moved.replace("103,s3", "102,103"), "Homework 1: Tiny (7702)")
    assert [row[-1] for row in found[2:]] == ["5", "EX", "0"]


def test_a_column_that_is_not_in_the_file_is_refused(fill):
    with pytest.raises(TitoError, match="has no column Homework 9") as raised:
        fill("canvas", CANVAS, "Homework 9")
    assert "Homework 1: Tiny (7702), Tiny quiz (8)" in raised.value.hint


MOODLE = {
    "German": (
        "Teilnehmer/in,Vollständiger Name,E-Mail-Adresse,Status,Bewertung,Bestwertung,Zuletzt geändert (Bewertung)",
        "Teilnehmer/in",
    ),
    "French": (
        "Identifiant,Nom complet,Adresse de courriel,Statut,Note,Note maximale,Dernière modification (note)",
        "Participant",
    ),
    "Spanish": (
        "Identificador,Nombre completo,Dirección de correo,Estado,Calificación,Calificación máxima,Última modificación",
        "Participante ",
    ),
    "a language that is not known": ("X1,X2,X3,X4,X5,X6,X7", "Osallistuja "),
}


@pytest.mark.parametrize("language", MOODLE)
def test_a_worksheet_of_any_language_is_filled(fill, language):
    header, word = MOODLE[language]
    rows = [f'"{word}{n}",s{n},s{n}@x.org,ok,,"5,00",-' for n in (101, 102, 104)]
    found, without = fill("moodle", "\ufeff" + "\r\n".join([header, *rows]) + "\r\n")
    assert without == ["103"]
    assert [row[4] for row in found[1:]] == ["5", "2", ""]
    assert found[0] == header.split(",") and [row[6] for row in found[1:]] == ["-"] * 3


def test_a_worksheet_whose_grades_cannot_be_told_asks_for_the_column(fill):
    sheet = "X1,X2,X3\nParticipant 101,,7\nParticipant 102,,8\n"
    with pytest.raises(TitoError, match="no column Grade") as raised:
        fill("moodle", sheet)
    assert "--column" in raised.value.hint
    found, _ = fill("moodle", sheet, "X2")
    assert [row[1] for row in found[1:]] == ["5", "2"]


BLACKBOARD = """"Last Name"\t"First Name"\t"Username"\t"Student ID"\t"Quiz [Total Pts: 9] |664617"\t"Tiny [Total Pts: 5 Score] |664618"
"Lee"\t"Ann"\t"101"\t"9"\t"1"\t""
"Ort"\t"Ben"\t"102"\t"101"\t"2"\t""
"Ode"\t"Eve"\t"105"\t"104"\t"2"\t"4"
"""


@pytest.mark.parametrize("coding", ["utf-16", "utf-8"])
def test_blackboards_file_gets_one_column(fill, coding):
    found, without = fill("blackboard", BLACKBOARD.encode(coding))
    assert without == ["103"] and found[0][-1] == "Tiny [Total Pts: 5 Score] |664618"
    assert [row[2:] for row in found[1:]] == [
        ["101", "9", "5"], ["102", "101", "2"], ["105", "104", "4"]
    ]  # fmt: skip


def test_blackboard_needs_its_own_file(graded, fill):
    with pytest.raises(TitoError, match="becomes text"):
        lms.table("blackboard", [marks.read(graded)], None)
    with pytest.raises(TitoError, match="no column Tiny"):
        fill("blackboard", BLACKBOARD.replace(" |664618", ""))


BRIGHTSPACE = """OrgDefinedId,Username,Tiny Points Grade <Numeric MaxPoints:5 Weight:10>,End-of-Line Indicator
#101,ann,,#
#102,ben,,#
#103,cyd,,#
"""


def test_brightspaces_rows_are_found_by_names_that_only_one_student_has(fill, graded):
    people = {"101": ("Ann", "Lee"), "102": ("Ben", "Ort"), "103": ("Ben", "Ort")}
    known = {
        who: dict(zip(("first_name", "last_name"), each, strict=True))
        for who, each in people.items()
    }
    collected.keep_class_list(graded.course, known)
    header = (
        "OrgDefinedId,Username,Last Name,First Name,Email,Tiny Points Grade,End-of-Line Indicator\n"
    )
    found, without = fill("brightspace", f"{header}#7,ann,LEE,Ann,,,#\n#8,ben,Ort,Ben,,,#\n")
    assert [row[-2] for row in found[1:]] == ["5", ""] and without == ["102", "103"]


def test_brightspaces_file_gets_points_and_the_end_of_line(fill, graded):
    found, without = fill("brightspace", BRIGHTSPACE)
    assert without == [] and found[0][-2].startswith("Tiny Points Grade")
    assert [row[-2:] for row in found] == [found[0][-2:], ["5", "#"], ["2", "#"], ["0", "#"]]
    rows = lms.table("brightspace", [marks.read(graded)], None)[0]
    assert rows[0] == ["Username", "Tiny Points Grade", "End-of-Line Indicator"]
    with pytest.raises(TitoError, match="50 points for Tiny"):
        fill("brightspace", BRIGHTSPACE.replace("MaxPoints:5 ", "MaxPoints:50 "))
