"""Messages about a gradebook that cannot be read; none contains its password."""

import sqlite3

import pytest

from tests.support.commands import tito
from tito.course import Course, TitoError
from tito.gradebook import reader, setup

SECRET = "s3cret"
ADDRESSES = [
    f"postgresql+psycopg://me:{SECRET}@127.0.0.1:1/marks",
    f"postgresql+psycopg://me:{SECRET}%2Fmore@127.0.0.1:1/marks",
    f"postgresql+psycopg://me:{SECRET}/more@127.0.0.1:1/marks",
    f"postgresql+psycopg://me:{SECRET}@more@127.0.0.1:1/marks",
    f"postgresql+psycopg://me@127.0.0.1:1/marks?password={SECRET}",
    f"mysql+nothere://me:{SECRET}@127.0.0.1/marks",
    f"://me:{SECRET}@x",
]


def with_address(module, address):
    path = module.course.root / "settings.ini"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines = [f"gradebook = {address}" if line.startswith("gradebook") else line for line in lines]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Course(module.course.root).module(module.name)


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_message_has_the_password(tiny, address):
    module = with_address(tiny, address)
    with pytest.raises(TitoError, match="cannot read the gradebook") as raised:
        reader.read(module)
    assert SECRET not in str(raised.value) and "***" in str(raised.value)
    assert SECRET not in str(setup.cannot_write(module.course, OSError(f"no {address}")))


def test_an_address_without_a_password_is_shown_whole(tiny):
    address = "postgresql+psycopg://me@127.0.0.1:1/marks"
    assert setup.address(with_address(tiny, address).course) == address


def test_the_doctor_names_a_gradebook_that_cannot_be_read(tiny):
    path = tiny.course.build / "gradebook.db"
    assert "no gradebook yet" in reader.examine(tiny.course)
    path.parent.mkdir(parents=True)
    path.write_text("this is no database, and long enough to have a header of a hundred bytes" * 3)
    run = tito("doctor", course=tiny.course.root)
    assert run.returncode == 3 and "broken  cannot read the gradebook" in run.stdout
    path.unlink()
    sqlite3.connect(path).close()
    with pytest.raises(TitoError, match="no such table: student"):
        reader.examine(tiny.course)


def test_a_damaged_page_of_the_gradebook_is_found(course):
    path = course.course.build / "gradebook.db"
    assert reader.examine(course.course) == "the gradebook can be read: 0 students"
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 9000] = b"\xaa" * 9000
    path.write_bytes(data)
    with pytest.raises(TitoError, match="cannot read the gradebook"):
        reader.examine(course.course)
