"""A cell that is not Python costs only its own exercise, in a copy and in the course itself."""

from tests.support.commands import tito

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
    assert "tiny.py was not updated" in said and "half is not Python" in said
