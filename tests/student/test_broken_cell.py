"""A cell that is not Python costs only its own exercise, in a copy and in the course itself."""

from tests.support.commands import tito
from tito import verdict as v
from tito.student import report

BROKEN = '''
# %% nbgrader={"grade": false, "grade_id": "half", "locked": false, "schema_version": 3, "solution": true}
#| export
def half(x):
    """Return half of x."""
    ### BEGIN SOLUTION
    return x / (2
    ### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "half_of_two", "locked": true, "points": 1, "schema_version": 3, "solution": false}
"""Half of two is one."""
assert half(2) == 1
'''


def test_the_other_exercises_are_tested_in_the_course_too(tiny):
    with tiny.source.open("a", encoding="utf-8") as file:
        file.write(BROKEN)
    run = tito("test", "tiny", course=tiny.course.root)
    said = " ".join(run.stdout.split())
    assert run.returncode == 1 and run.stderr == "", run.stderr
    assert "passed 5/5 double" in said and "error 0/1 half" in said
    assert "never closed" in said and "look at: half, line 5: return x / (2" in said
    assert "Half of two is one." not in said  # the test did not run
    assert "next: exercise 2, half: correct line 5 of its cell save it, then: tito test" in said
    assert "tiny.py was not updated" in said and "half is not Python" in said


def test_tests_that_fail_for_one_cause_are_not_counted_as_more():
    def verdict(id, message):
        return v.Verdict(id, "Title.", "half", 0.0, 1.0, False, v.ERROR, 0.0, message)

    first, same, other = (verdict(*each) for each in [("a", "cause"), ("b", "cause"), ("c", "d")])
    assert "half error:" in report.failure_lines([first, same])[1]
    assert "half error (1 more failing;" in report.failure_lines([first, same, other])[1]
