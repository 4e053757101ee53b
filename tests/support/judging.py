"""Judge the tiny module with another answer or another test."""

import json
import textwrap

from tito.grading import job, supervisor
from tito.notebooks import notebook as nb
from tito.notebooks.text import read_text
from tito.student import testing

STUB = "#| export\ndef double(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()\n"


def judge(module, answer=None, source=None, **options):
    """Judge the tiny module with another solution; the verdicts by test id."""
    if source is not None:
        module.source.write_text(source, encoding="utf-8")
    text = read_text(module.source)
    cells = nb.cells(nb.parse(text, module.source), text)
    answers = {} if answer is None else {"double": textwrap.dedent(answer)}
    made = job.make(module, cells, testing.scratch(module), answers, **options)
    return {verdict.id: verdict for verdict in supervisor.run(made)}


def statuses(module, answer=None, **options):
    return [verdict.status for verdict in judge(module, answer, **options).values()]


def with_test(module, body, solution=None):
    """The tiny module with one other test."""
    text = read_text(module.source)
    head, _, _ = text.partition('# %% nbgrader={"grade": true')
    if solution:
        start, end = head.index("#| export\ndef double"), head.index("    ### END SOLUTION\n")
        head = (
            head[:start] + textwrap.dedent(solution) + head[end + len("    ### END SOLUTION\n") :]
        )
    mark = {
        "grade": True,
        "grade_id": "double_own",
        "locked": True,
        "points": 1,
        "schema_version": 3,
        "solution": False,
    }
    return f'{head}\n# %% nbgrader={json.dumps(mark)}\n"""Own."""\n{textwrap.dedent(body)}\n'
