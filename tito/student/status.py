"""`tito status`: the state of the course, read from files without running anything."""

from tito import verdict as v
from tito.course import Course, Module, TitoError
from tito.export import cache
from tito.notebooks.text import digest_line
from tito.student import progress
from tito.student.progress import State

UNREADY = (State.PROBLEM, State.NOT_STARTED, State.IN_PROGRESS)
DONE = (State.PASSING, State.GIVEN)


def of(course: Course, modules: list[Module]) -> list[dict]:
    """The state of `modules`, each a mapping of plain values."""
    states = {module.name: _state(module) for module in course.modules}
    return [states[module.name] | _needs(course, module, states) for module in modules]


def next_step(rows: list[dict]) -> dict | None:
    """Where to go on: the first module in order that is not passing, and its first open exercise."""
    row = next((row for row in rows if row["state"] not in DONE), None)
    if row is None:
        return None
    topic = row["module"].partition("_")[2]
    exercise = next((e for e in row["exercises"] if e["state"] != State.PASSING), None)
    if row["state"] == State.PROBLEM or exercise is None or exercise["state"] == State.NOT_TESTED:
        command = f"tito test {topic}"
    elif row["state"] == State.NOT_STARTED:
        command = f"tito notebook {topic}"
    else:
        command = f"tito watch {topic}"
    return {"module": row["module"], "exercise": exercise and exercise["exercise"]} | {
        "state": exercise["state"] if exercise else row["state"],
        "command": command,
    }


def _needs(course, module, states) -> dict:
    requires = list(module.about["requires"])
    needed = [each.name for each in course.requires(module) if each.name in requires]
    return {
        "requires": requires,
        "unmet": [name for name in needed if states[name]["state"] in UNREADY],
    }


def _state(module: Module) -> dict:
    row = {
        "module": module.name,
        "title": module.about["title"],
        "state": State.PROBLEM,
        "score": None,
    }
    row |= {
        "max_score": 0.0,
        "hidden": 0.0,
        "export": "missing",
        "hours": module.about.get("hours"),
    }
    row["exercises"] = []
    try:
        exercises = progress.of(module)
    except TitoError as error:
        return row | {"problem": f"{error}; {error.hint}"}
    row["exercises"] = [
        {"exercise": e.name, "state": e.state, "score": e.score, "max_score": e.max_score}
        | {"hidden": e.hidden}
        for e in exercises
    ]
    row["max_score"] = sum(each.max_score for each in exercises)
    row["hidden"] = sum(each.hidden for each in exercises)
    row["export"] = _export(module)
    states = [each.state for each in exercises]
    tested = [s for s in states if s in (State.PASSING, State.FAILING)]
    result = cache.result(module)
    if states and set(states) == {State.NOT_STARTED}:
        is_given = module.number < module.course.begins
        row["state"] = State.GIVEN if is_given else State.NOT_STARTED
        row["export"] = "given" if is_given else row["export"]
    elif result is not None:
        row["score"] = result["score"]
        untouched = all(test["status"] == v.NOT_STARTED for test in result["tests"])
        row["state"] = (
            State.PASSING if result["ok"] else State.NOT_STARTED if untouched else State.IN_PROGRESS
        )
    elif tested:
        row["score"] = sum(each.score for each in exercises)
        row["state"] = State.PASSING if set(states) == {State.PASSING} else State.IN_PROGRESS
    else:
        row["state"] = State.IN_PROGRESS if State.NOT_STARTED in states else State.NOT_TESTED
    return row


def _export(module: Module) -> str:
    try:
        with open(module.package, encoding="utf-8") as file:
            head = [next(file, "").rstrip("\n") for _ in range(40)]
    except (OSError, UnicodeDecodeError):
        return "missing"
    return "current" if digest_line(module) in head else "stale"
