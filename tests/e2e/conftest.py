"""A browser for the tests of this folder."""

import tempfile
from pathlib import Path

import pytest

from tests.support import lab_server
from tito import files


@pytest.fixture
def page():
    """A page of a browser, one at a time on this machine."""
    with (
        files.lock(Path(tempfile.gettempdir()) / "tinytorch-browser.lock"),
        lab_server.browser() as page,
    ):
        yield page
