"""A student's own files never decide who submitted work, and when. Each attack here once succeeded."""

import os
import shutil

import pytest

from tests.support.submissions import (
    A,
    answered,
    cell,
    data,
    sent,
    submitted,
    without_locks,
    zipped,
)
from tito.classroom import archive, collect
from tito.course import TitoError
from tito.gradebook import submitted as kept

N = "tiny_dev.ipynb"
EARLY = b"2020-01-01 00:00:00 UTC\n"
FORGED = b"""submission_1:
  :submitters:
  - :name: Victim
    :sid: victim
  :created_at: 2020-01-01 00:00:00 Z
s1:
  :submitters:
  - :sid: victim
s2:
  :submitters:
  - :sid: victim
"""


def taken_of(module, files):
    taken, stray = collect.collect(module, zipped(module.course.root.parent / "c.zip", files))
    return {each.student: each for each in taken}, stray


ATTACKS = {
    "metadata of Gradescope in a folder": {f"s1/{N}", "s1/submission_metadata.yml", f"s2/{N}"},
    "metadata of Gradescope around a folder of its own": {f"s1/submission_1/{N}", "s1/submission_metadata.yml", f"s2/{N}"},
    "metadata of Gradescope in the only folder": {f"s1/submission_1/{N}", "s1/submission_metadata.yml"},
    "metadata of Gradescope in a flat folder": {"s1.ipynb", "submission_metadata.yml", "s2.ipynb"},
    "a file named as Moodle's": {f"s1/{N}", "s1/Victim_7_assignsubmission_file_x.ipynb", f"s2/{N}"},
    "a folder named as Moodle's": {f"s1/Victim_7_assignsubmission_file_/{N}", f"s2/{N}"},
    "a folder named as Moodle's, alone": {f"s1/Victim_7_assignsubmission_file_/{N}"},
    "a file named as Moodle's in a flat folder": {"Victim_7_assignsubmission_file_x.ipynb", "s1.ipynb", "s2.ipynb"},
    "a file named as Canvas's in a folder": {f"s1/{N}", "s1/victim_7_9001_x.ipynb", f"s2/{N}"},
    "a folder named as Brightspace's": {f"s1/7-8 - Victim - Oct 1, 2020 100 AM/{N}", f"s2/{N}"},
    "a folder named as nbgrader's exchange": {f"s1/7+01_tiny+2020-01-01 00:00:00 UTC/{N}", f"s2/{N}"},
    "a time stamp beside the notebook": {f"s1/{N}", "s1/timestamp.txt", f"s2/{N}"},
    "a time stamp of nbgrader's layout": {f"s1/01_tiny/{N}", "s1/01_tiny/timestamp.txt", f"s2/{N}"},
    "a time stamp of the only student": {f"s1/{N}", "s1/timestamp.txt"},
    "a time stamp in a zip": {"s1.zip", "s2.ipynb"},
}  # fmt: skip


@pytest.mark.parametrize("kind", ATTACKS)
def test_a_students_own_files_do_not_say_who_and_when(module, kind):
    work = data(answered(module))
    inner = zipped(
        module.course.root.parent / "i.zip", {N: work, "timestamp.txt": EARLY}
    ).read_bytes()
    contents = {"yml": FORGED, "txt": EARLY, "zip": inner, "ipynb": work}
    files = {name: contents[name.rpartition(".")[2]] for name in sorted(ATTACKS[kind])}
    taken, _ = taken_of(module, files)
    assert not {"victim", "7", "Victim"} & set(taken) and "s1" in taken
    assert all(each.time is None for each in taken.values())
    assert taken["s1"].state == "collected" or "several students" in taken["s1"].error


ALONE = {
    "two folders named as Moodle's": {
        f"s1/Victim_7_assignsubmission_file_/{N}", f"s1/Other_8_assignsubmission_file_/{N}",
    },
    "two files named as Canvas's": {"s1/victim_7_9001_x.ipynb", "s1/other_8_9002_x.ipynb"},
    "two folders of people": {f"s1/victim/{N}", f"s1/other/{N}"},
    "metadata of Gradescope and two folders": {
        f"s1/submission_1/{N}", f"s1/submission_2/{N}", "s1/submission_metadata.yml",
    },
    "two folders of nbgrader's exchange": {
        f"s1/7+01_tiny+2020-01-01 00:00:00 UTC/{N}", f"s1/8+01_tiny+2020-01-01 00:00:00 UTC/{N}",
    },
    "two folders of Brightspace": {
        f"s1/7-8 - Victim - Oct 1, 2020 100 AM/{N}", f"s1/9-8 - Other - Oct 1, 2020 100 AM/{N}",
    },
    "a folder named as nbgrader's": {f"s1/submitted/victim/01_tiny/{N}", f"s1/submitted/ben/01_tiny/{N}"},
    "a name in capitals": {f"S1/victim/{N}", f"S1/other/{N}"},
}  # fmt: skip


@pytest.mark.parametrize("kind", ALONE)
def test_a_known_students_folder_that_is_alone_is_not_the_folder_of_a_class(module, kind):
    """The other students have not submitted yet, or nobody unpacked their files into this folder."""
    work = data(answered(module))
    taken_of(module, {f"s1/{N}": work, f"s2/{N}": work})
    contents = {"yml": FORGED, "ipynb": work}
    files = {name: contents[name.rpartition(".")[2]] for name in sorted(ALONE[kind])}
    taken, stray = taken_of(module, files)
    assert {who.lower() for who in taken} <= {"s1"} and all(
        each.time is None for each in taken.values()
    )
    assert taken or "would get the same student id" in " ".join(stray)


def test_a_time_in_a_name_of_brightspace_is_not_the_platforms(module):
    """A student may choose the name; the time that ends a folder's name is the platform's."""
    work = data(answered(module))
    name = "101-5 - Ann - Oct 1, 2020 100 AM - X - Oct 10, 2025 1022 AM"
    module.course.settings["nbgrader"]["timezone"] = "UTC"
    taken, _ = taken_of(
        module, {f"{name}/{N}": work, f"102-5 - Ben - Oct 9, 2025 100 PM/{N}": work}
    )
    assert taken["101"].time == "2025-10-10 10:22:00"


PLATFORM_ATTACKS = {
    "Moodle, a folder in a folder": (
        f"Ann_101_assignsubmission_file_/Ben_102_assignsubmission_file_/{N}", "101",
    ),
    "Moodle, flat": ("Ann_101_assignsubmission_file_Ben_102_assignsubmission_file_x.ipynb", "101"),
    "Moodle, a time stamp": ("Ann_101_assignsubmission_file_/timestamp.txt", "101"),
    "Canvas": ("ann_101_9001_ben_102_9002_x.ipynb", "101"),
    "Canvas, a name of digits": ("102_101_9001_x.ipynb", "101"),
    "Blackboard": (
        "HW_s101_attempt_2026-01-30-15-00-00_HW_s102_attempt_2020-01-30-15-00-00_x.ipynb", "s101",
    ),
    "Brightspace, flat": (
        "101-5 - Ann - Oct 10, 2025 1022 AM - 102-5 - Ben - Oct 1, 2020 100 AM - x.ipynb", "101",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", PLATFORM_ATTACKS)
def test_the_first_name_in_a_platforms_name_is_the_platforms(module, kind):
    name, student = PLATFORM_ATTACKS[kind]
    work = data(answered(module))
    files = {name: EARLY if name.endswith("txt") else work}
    if name.endswith("txt"):
        files[name.replace("timestamp.txt", N)] = work
    taken, stray = taken_of(module, files)
    assert (list(taken), stray) == ([student], []) and taken[student].time is None


def test_a_canvas_name_that_imitates_another_users_number_is_refused_for_both(module):
    """Canvas takes blanks out of a name: "X 101_9 001" becomes x101_9001 and may look like a number."""
    work = data(answered(module))
    files = {"x_101_9001_y_55_9003_a.ipynb": work, "lee_101_9002_b.ipynb": work}
    taken, stray = taken_of(module, files)
    assert taken == {} and len(stray) == 2 and all("one id here" in line for line in stray)


def test_a_canvas_name_that_imitates_a_file_is_late_all_the_same(module):
    work = data(answered(module))
    taken, _ = taken_of(
        module, {"a_101_9_LATE_101_9001_f.ipynb": work, "lee_102_9002_b.ipynb": work}
    )
    assert taken["101"].late and not taken["102"].late


def test_canvas_names_that_imitate_one_number_do_not_change_what_is_the_classes(module):
    """Whose files have numbers that are not unique cannot make Canvas's names unreadable for all."""
    work = data(answered(module))
    names = ("a_101_9_101_9001_f", "a_101_9_101_9002_g", "lee_102_9003_b", "may_103_9004_c")
    taken, stray = taken_of(module, {f"{name}.ipynb": work for name in names})
    assert (set(taken), stray) == ({"101", "102", "103"}, [])


def test_of_several_times_in_a_file_name_of_brightspace_the_latest_counts(module):
    """The earlier one may be in a name that the student chose."""
    work = data(answered(module))
    module.course.settings["nbgrader"]["timezone"] = "UTC"
    ann = "101-5 - Ann - Oct 1, 2020 100 AM - {}Oct 10, 2025 1022 AM - x.ipynb"
    for between in ("", "Y - "):
        files = {ann.format(between): work, "102-5 - Ben - Oct 9, 2025 100 PM - x.ipynb": work}
        taken, _ = taken_of(module, files)
        assert taken["101"].time == "2025-10-10 10:22:00"
        assert taken["102"].time == "2025-10-09 13:00:00"


def test_a_time_stamp_counts_where_nbgrader_or_everybody_has_it(module):
    work, stamp = data(answered(module)), b"2026-03-01 13:00:00.000000 CET"
    taken, _ = taken_of(
        module, {f"submitted/s1/01_tiny/{N}": work, "submitted/s1/01_tiny/timestamp.txt": stamp}
    )
    assert taken["s1"].time == "2026-03-01 12:00:00"
    files = {f"{who}/{N}": work for who in ("s2", "s3")} | {
        f"{who}/timestamp.txt": stamp for who in ("s2", "s3")
    }
    taken, _ = taken_of(module, files)
    assert {each.time for each in taken.values()} == {"2026-03-01 12:00:00"}
    assert (
        submitted(module, "s2").with_name("timestamp.txt").read_text()
        == "2026-03-01 12:00:00 UTC\n"
    )
    taken, _ = taken_of(module, files | {"s2/timestamp.txt": b"2026-03-01 13:00:00 IST"})
    assert taken["s2"].state == "unchanged" and "several time zones" in taken["s2"].unread[0]
    assert (
        submitted(module, "s2").with_name("timestamp.txt").read_text()
        == "2026-03-01 12:00:00 UTC\n"
    )
    taken, _ = taken_of(module, files | {f"s4/{N}": work})
    assert all(each.time is None for each in taken.values())
    assert "does not count: only some folders have one" in " ".join(taken["s2"].repaired)


def test_a_new_time_alone_is_an_update(module):
    files = {f"submitted/s1/01_tiny/{N}": data(answered(module))}
    stamp = "submitted/s1/01_tiny/timestamp.txt"
    assert (
        taken_of(module, files | {stamp: b"2026-03-01 12:00:00 UTC"})[0]["s1"].state == "collected"
    )
    assert (
        taken_of(module, files | {stamp: b"2026-03-01 12:00:00 UTC"})[0]["s1"].state == "unchanged"
    )
    assert taken_of(module, files | {stamp: b"2026-03-02 12:00:00 UTC"})[0]["s1"].state == "updated"
    assert "03-02" in submitted(module, "s1").with_name("timestamp.txt").read_text()


needs_links = pytest.mark.skipif(os.name == "nt", reason="needs links")


@needs_links
@pytest.mark.parametrize("swapped", ["s1", "s1/deep", f"s1/deep/{N}"])
def test_a_folder_swapped_for_a_link_between_look_and_read_is_not_followed(
    module, tmp_path, swapped
):
    folder = sent(module, {f"s1/deep/{N}": data(answered(module))})
    secret = tmp_path / "secret"
    (secret / "deep").mkdir(parents=True)
    for place in (secret / "deep" / N, secret / N):
        place.write_bytes(b"{'secret': 1}")
    with archive.entries(folder) as found:
        (entry,) = [e for e in found if e.name.endswith(N)]
        if swapped.endswith(N):
            (folder / swapped).unlink()
            (folder / swapped).symlink_to(secret / N)
        else:
            shutil.rmtree(folder / swapped)
            (folder / swapped).symlink_to(secret if swapped == "s1" else secret / "deep")
        with pytest.raises(TitoError, match="is a link") as raised:
            entry.read()
    assert "secret" not in str(raised.value)


@needs_links
@pytest.mark.parametrize("linked", ["s1", "s1/01_tiny", f"s1/01_tiny/{N}"])
def test_a_link_in_nbgraders_folder_is_neither_read_nor_written_through(module, tmp_path, linked):
    place = module.course.place("submitted")
    outside = tmp_path / "outside"
    (outside / "01_tiny").mkdir(parents=True)
    (outside / "01_tiny" / N).write_bytes(data(answered(module)))
    (outside / N).write_bytes(data(answered(module)))
    target = {"s1": outside, "s1/01_tiny": outside / "01_tiny"}.get(linked, outside / N)
    (place / linked).parent.mkdir(parents=True)
    (place / linked).symlink_to(target)
    assert kept.students(module) == ["s1"] and kept.timestamp(module, "s1") == ""
    with pytest.raises(TitoError, match="is a link"):
        kept.read(module, "s1")
    before = {p: p.read_bytes() for p in outside.rglob("*.ipynb")}
    notebook = answered(module)
    cell(notebook, "double").source += "  # later"
    taken, _ = taken_of(module, {f"s1/{N}": data(notebook), f"s2/{N}": data(notebook)})
    assert taken["s1"].state == "refused" and "is a link" in taken["s1"].error
    assert taken["s2"].state == "collected"
    assert before == {p: p.read_bytes() for p in outside.rglob("*.ipynb")}


@needs_links
def test_links_in_a_students_folder_are_named_and_not_followed(module, tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / N).write_bytes(data(answered(module)))
    folder = sent(module, {f"s2/{N}": data(answered(module))})
    (folder / "s1").mkdir()
    (folder / "s1" / "sub").symlink_to(tmp_path / "secret")
    (folder / "s3").symlink_to(tmp_path / "secret")
    taken, stray = collect.collect(module, folder)
    found = {each.student: each.error for each in taken}
    assert found["s1"] and found["s2"] is None
    assert "s3" in " ".join(stray) or found.get("s3")


def test_an_archive_writes_nothing_outside_of_the_course(module):
    before = without_locks(module)
    path = zipped(
        module.course.root.parent / "c.zip", {A: data(answered(module)), "ann/../../x.ipynb": b"{}"}
    )
    with pytest.raises(TitoError, match="leads outside"):
        collect.collect(module, path)
    assert without_locks(module) == before
    assert sorted(p.name for p in module.course.root.parent.iterdir()) == ["c.zip", "course"]
