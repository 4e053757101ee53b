"""Class lists of five platforms and the instructor's own CSV: ids, names, addresses, sections, and refusals."""

import json

import pytest
from nbgrader.api import Gradebook

from tests.support.commands import refused, tito
from tito.classroom import collected, grade, marks, roster
from tito.classroom.roster import NamedColumns
from tito.course import TitoError
from tito.gradebook import reader

FILES = {
    "Canvas": (
        "Student,ID,SIS User ID,SIS Login ID,Section,Tiny (7)\n    Points Possible,,,,,5\n"
        '"Lee, Ann",101,u1,ann@x.org,A,\n"Ort, Ben",102,u2,ben@x.org,"B",\n'
    ),
    "Moodle": (
        "Teilnehmer/in,Vollständiger Name,E-Mail-Adresse,Gruppe,Bewertung,Bestwertung\n"
        "Teilnehmer/in101,Ann Lee,ann@x.org,A,,5\nTeilnehmer/in102,Ben Ort,ben@x.org,B,,5\n"
    ),
    "Gradescope": (
        "First Name,Last Name,SID,Email,Sections\nAnn,Lee,101,ann@x.org,A\nBen,Ort,102,ben@x.org,B\n"
    ),
    "Blackboard": (
        '"Last Name"\t"First Name"\t"Username"\t"Student ID"\t"Email"\t"Group"\n'
        "Lee\tAnn\t101\t7\tann@x.org\tA\nOrt\tBen\t102\t8\tben@x.org\tB\n"
    ),
    "Brightspace": (
        "OrgDefinedId,Last Name,First Name,Email,Section,End-of-Line Indicator\n"
        "#101,Lee,Ann,ann@x.org,A,#\n#102,Ort,Ben,ben@x.org,B,#\n"
    ),
    "a list of one's own": "Matrikelnummer;Vorname;Nachname;E-Mail;Gruppe\n101;Ann;Lee;ann@x.org;A\n102;Ben;Ort;ben@x.org;B\n",
}


def read(module, tmp_path, text, **named):
    path = tmp_path / "list.csv"
    path.write_text(text, encoding="utf-8")
    return roster.read(module.course, path, NamedColumns(**named))


@pytest.mark.parametrize("platform", FILES)
def test_the_class_list_of_a_platform_is_read(tiny, tmp_path, platform):
    found = read(tiny, tmp_path, FILES[platform])
    assert [(s.id, s.first_name, s.last_name) for s in found] == [
        ("101", "Ann", "Lee"), ("102", "Ben", "Ort")
    ]  # fmt: skip
    assert [s.section for s in found] == ["A", "B"]
    if platform != "Canvas":  # whose export has a login there, not an address
        assert [s.email for s in found] == ["ann@x.org", "ben@x.org"]


def test_a_known_student_keeps_the_id_that_files_were_collected_under(tiny, tmp_path, monkeypatch):
    known = {"ann": {"original": "ann", "name": "Ann"}, "102": {"original": "102", "name": "Ben"}}
    monkeypatch.setattr(collected, "students", lambda course: known)
    text = "Name,ID,SIS User ID,SIS Login ID\nAnn Lee,5,102,ann\nBen Ort,102,9,ben\nCy Day,6,1,cy\n"
    assert [s.id for s in read(tiny, tmp_path, text)] == ["ann", "102", "6"]


def test_brightspaces_list_keeps_the_number_of_a_folder_that_has_the_students_name(
    tiny, tmp_path, monkeypatch
):
    known = {"39786": {"original": "39786", "name": "Ann Lee"}}
    monkeypatch.setattr(collected, "students", lambda course: known)
    found = read(tiny, tmp_path, FILES["Brightspace"])
    assert [s.id for s in found] == ["39786", "102"]
    twice = FILES["Brightspace"].replace("Ort,Ben", "Lee,Ann")
    assert [s.id for s in read(tiny, tmp_path, twice)] == ["101", "102"]


HASH = "6f1ed002ab5595859014ebf0951522d9aa1c2b3d"


def test_canvas_test_student_of_any_language_is_left_out_of_the_list_and_of_a_download(
    course, hand_in, tmp_path
):
    folder = tmp_path / "download"
    folder.mkdir()
    path = tmp_path / "list.csv"
    test = f"Teststudierende*r,999,,{HASH},A and B,\n"  # as canvas-lms, config/locales/de.yml
    path.write_text(FILES["Canvas"] + test, encoding="utf-8")
    run = tito("roster", "import", str(path), course=course.course.root)
    assert run.returncode == 0 and run.stdout.startswith("2 students, such as 101 (Ann Lee)")
    assert "left out Canvas's Test Student: 999 (Teststudierende*r)" in run.stderr
    assert {*collected.class_list(course.course)} == {"101", "102"}
    assert "Teststud" not in str(reader.ask(course.course, ["select * from student"], {}))
    names = "leeann_101_9001", "teststudierender_999_9002"
    for name in names:
        hand_in(name, "return 2 * x").rename(folder / f"{name}_{course.notebook.name}")
    run = tito("collect", "tiny", str(folder), course=course.course.root)
    assert run.returncode == 0 and "101 (Ann Lee): collected" in run.stdout, run.stderr
    assert "of Canvas's Test Student 999" in run.stdout + run.stderr
    assert not (course.course.place("submitted") / "999").exists()


def test_a_school_whose_logins_are_hashes_keeps_its_students(tiny, tmp_path):
    with_ids = FILES["Canvas"].replace("ann@x.org", HASH)
    all_hashes = (
        with_ids.replace("ben@x.org", HASH[::-1]).replace(",u1,", ",,").replace(",u2,", ",,")
    )
    for text in (with_ids, all_hashes):
        assert not any(each.is_test for each in read(tiny, tmp_path, text))


def test_columns_can_be_named(tiny, tmp_path):
    text = "nr,who,mail,team\nx1,Ann Lee,ann@x.org,A\n"
    with pytest.raises(TitoError, match="no column of the class list looks like") as raised:
        read(tiny, tmp_path, text)
    assert "nr, who, mail, team" in raised.value.hint
    (found,) = read(tiny, tmp_path, text, id="nr", name="who", section="team")
    assert (found.id, found.last_name, found.email, found.section) == (
        "x1",
        "Lee",
        "ann@x.org",
        "A",
    )
    with pytest.raises(TitoError, match="no column 'wo'"):
        read(tiny, tmp_path, text, id="wo")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ID,Name\n1,A\n1,B\n", "1 is in the file twice"),
        ("ID,Name\n1,<b>A</b>\n", "the row of 1 contains HTML"),
        ('ID,Name\n1,"A B\n2,"C D"\n', "line 2 has a cell of several lines"),
        ('Name,ID\nE,1\n"A B,2\n', "line 3 has 1 cell, the first has 2"),
        ("ID,Name\n1,A,B\n", "line 2 has 3 cells, the first has 2"),
        ("ID,Name\n", "no students in"),
        ("ID,Name\n,A\n", "no students in"),
        ("", "it is empty"),
    ],
)
def test_a_list_that_cannot_be_taken_is_refused(tiny, tmp_path, text, said):
    with pytest.raises(TitoError, match=said):
        read(tiny, tmp_path, text)


def test_names_go_to_the_gradebook_the_scores_and_formgrader(course, tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(FILES["Gradescope"])
    row = path.read_text().splitlines()[1].replace("Ann", "Test").replace("Lee", "Student")
    row = row.replace("101", "999").replace("ann@", "test@")
    path.write_text(FILES["Gradescope"] + row + "\n")
    run = tito("roster", "import", str(path), course=course.course.root)
    assert run.returncode == 0, run.stderr
    assert run.stderr == "left out Canvas's Test Student: 999 (Test Student)\n"
    assert run.stdout.splitlines() == [
        "2 students, such as 101 (Ann Lee); ids from SID, Email",
        "2 sections: A, B",
    ]
    assert "Ann" in str(reader.ask(course.course, ["select * from student"], {}))
    with Gradebook(course.course.gradebook, course.course.course_id) as book:
        book.add_submission(course.name, "101")
    (mark,) = marks.read(course).marks
    assert (mark.first_name, mark.last_name, mark.email) == ("Ann", "Lee", "ann@x.org")
    assert mark.section == "A"
    path.write_text("SID,Last Name\n101,Lee-Day\n")
    assert tito("roster", "import", str(path), course=course.course.root).returncode == 0
    assert marks.read(course).marks[0].last_name == "Lee-Day"
    kept = collected.class_list(course.course)["101"]
    assert (kept["section"], kept["ids"]) == ("A", {"SID": "101", "Email": "ann@x.org"})
    assert collected.names(course.course)["101"] == "Ann Lee-Day"
    run = tito("extend", "tiny", "ANN@x.org", "none", course=course.course.root)
    refused(run, 2, "no student 'ANN@x.org'", "did you mean 101 (Ann Lee-Day)?")
    run = tito("extend", "tiny", "ort", "none", course=course.course.root)
    refused(run, 2, "no student 'ort'", "did you mean 102 (Ben Ort)?")
    refused(tito("roster", "import", "nowhere.csv", course=course.course.root), 3, "cannot read")


def test_students_without_a_class_list_have_the_names_on_their_files(course, hand_in):
    names = {"101": "Ann Lee", "102": "ortben", "s3": "s3", "104": "<b>x"}
    known = {who: {"original": who, "name": name} for who, name in names.items()}
    path = course.course.build / "collected" / "students.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known), encoding="utf-8")
    for who in names:
        hand_in(who, None)
    grade.run(course, unsafe=True)
    found = {who: (e.first_name, e.last_name) for who, e in reader.read(course).items()}
    assert found == {"101": ("Ann", "Lee"), "102": ("", "ortben"), "s3": ("", ""), "104": ("", "")}
    listed = course.course.root / "list.csv"
    listed.write_text("ID,Name\n102,Ben Ort\n")
    roster.enter(course.course, roster.read(course.course, listed))
    grade.run(course, unsafe=True)
    assert reader.read(course)["102"].last_name == "Ort"
