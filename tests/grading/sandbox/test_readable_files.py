"""No file that a worker can read contains a line of a solution or of a hidden test."""

import dataclasses
import json
import random

import pytest

from tests.conftest import ROOT
from tests.support.sandboxes import does, lesson, task
from tito import verdict as v
from tito.course import Course
from tito.grading import supervisor
from tito.grading.sandbox import selftest
from tito.notebooks import notebook as nb
from tito.notebooks import student_version
from tito.notebooks.text import read_text

LINES = 40
# The lines travel in hexadecimal, or the student's own cell would contain them. `grep` reads all files but /proc.
SEARCH = """
lines = bytes.fromhex({lines!r})
with open("/tmp/planted", "wb") as file:
    file.write(b"before\\n    " + lines.split(b"\\n")[-1] + b"\\nafter")
command = ["grep", "-r", "-l", "-s", "-a", "-F", "-D", "skip", "--exclude-dir=proc", "-f", "-", "/"]
found = subprocess.run(command, input=lines, capture_output=True).stdout.decode().split()
count = sum(len(names) for top, _, names in os.walk("/usr"))
assert found == ["/tmp/planted"] and count > 1000, (found, count)
return 2 * x
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_readable_file_contains_a_line_of_a_solution_or_hidden_test(tmp_path):
    """The search itself is proved by a file with one of the lines, which it must find."""
    sandbox, problem, _ = selftest.examine()
    if sandbox is None:
        pytest.skip(problem)
    course = Course(ROOT)
    kernels = course.module("kernels")
    secret = student_version.secrets(nb.parse(read_text(kernels.source), kernels.source))
    lines = sorted(filter(student_version.is_telling, secret))
    chosen = random.Random(14).sample(lines, LINES)
    answer = does(SEARCH.format(lines="\n".join(chosen).encode().hex()))
    work = task(lesson(tmp_path), answer)
    earlier = [m.import_name for m in course.modules if m.number < kernels.number]
    work = dataclasses.replace(work, course=str(ROOT), earlier=earlier, seconds=600)
    found = list(supervisor.run(work, sandbox))
    assert found[0].status == v.PASSED, json.dumps(found[0].message)
