"""Read Gradescope's export of submissions: folders submission_N, and a file with the owner and time of each.

submission_metadata.yml maps each folder to :submitters (:name, :sid, :email) and :created_at, as the parser
of otter-grader reads it (otter/metadata.py, GradescopeParser). A file of that name anywhere else is a student's.
"""

import re
from collections.abc import Iterator

from tito.classroom.archive import Entry
from tito.classroom.platform_names import Owner
from tito.course import TitoError, one_line

METADATA = "submission_metadata.yml"
AROUND = re.compile(r"assignment_\d+_export")
FOLDER = re.compile(r"submission_\d+")
NODES, NESTING = 2_000_000, 60  # of the YAML file; the target of an alias counts each time


def find(notebooks: list[Entry], files: list[Entry], stem: str) -> Entry | None:
    """The metadata file, if these are the files of an export: it is beside all the students' folders."""
    for each in files:
        around, _, name = each.name.rpartition("/")
        begin = f"{around}/" if around else ""
        if name != METADATA or not all(n.name.startswith(begin) for n in notebooks):
            continue
        tops = {n.name.removeprefix(begin).split("/")[0] for n in notebooks}
        is_known = around in ("", stem) or AROUND.fullmatch(around) or len(tops) > 1
        if is_known and "/" not in around and tops and all(FOLDER.fullmatch(t) for t in tops):
            return each
    return None


def owners(described: Entry) -> dict[str, list[Owner | TitoError]]:
    """The owner of each folder, or an error if a submitter has neither an id nor an address.

    Raises
    ------
    TitoError
        If the file cannot be read, or is not a mapping.
    """
    found = {}
    for folder, record in _load(described).items():
        people = record.get(":submitters") if isinstance(record, dict) else None
        if isinstance(people, list):
            time = record.get(":created_at")
            found[folder] = [_owner(p, time if isinstance(time, str) else "") for p in people]
    return found


def _owner(person: object, time: str) -> Owner | TitoError:
    """A submitter. The name is not an id: students can change theirs."""
    if not isinstance(person, dict):
        return TitoError("a submitter is not a mapping", "download it again")
    said = {key: value.strip() for key, value in person.items() if isinstance(value, str)}
    name = said.get(":name", "")
    wanted = said.get(":sid") or said.get(":email")
    if not wanted:
        return TitoError(
            f"{METADATA} gives {name or 'a submitter'} neither :sid nor :email",
            "add the student's id to the course's roster in Gradescope, and export again",
        )
    return Owner(wanted, name or wanted, time)


def _load(entry: Entry) -> dict:
    """The file's mapping. All values stay text: no numbers, times or objects are made."""
    import yaml

    text = entry.read().decode("utf-8", "replace")
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        _refuse_large(yaml.parse(text, loader))
        found = yaml.load(text, loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise TitoError(
            f"cannot read {METADATA}: {one_line(error)[:100]}", "download it again"
        ) from None
    if not isinstance(found, dict):
        raise TitoError(f"{METADATA} is not a mapping", "download it again")
    return {key: value for key, value in found.items() if isinstance(key, str)}


def _refuse_large(events: Iterator) -> None:
    """Refuse YAML that is nested too deeply or becomes too large when aliases are expanded."""
    import yaml

    count = 0
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []
    for event in events:
        if isinstance(event, yaml.events.AliasEvent):
            if event.anchor not in sizes:
                raise ValueError("an alias is inside its own value")
            count += sizes[event.anchor]
        elif isinstance(event, yaml.events.ScalarEvent):
            count += 1
            if event.anchor:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.events.CollectionStartEvent):
            open_nodes.append((event.anchor, count))
            count += 1
        elif isinstance(event, yaml.events.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor:
                sizes[anchor] = count - before
        if len(open_nodes) > NESTING:
            raise ValueError("it is nested too deep")
        if count > NODES:
            raise ValueError(f"it has more than {NODES} entries")
