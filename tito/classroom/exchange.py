"""Releases in nbgrader's exchange are whole.

nbgrader_config.py keeps lesson sources, `*_dev.py`, out of what nbgrader's generate_assignment copies. nbgrader
applies the same list when it copies a release to the exchange (nbgrader/exchange/default/exchange.py, do_copy).
A release contains such a file too: the lesson without its answers.
"""

from nbgrader.exchange.default import ExchangeReleaseAssignment

SOURCES = "*_dev.py"


class ReleaseAssignment(ExchangeReleaseAssignment):
    """Copies a release with its percent file."""

    def do_copy(self, src: str, dest: str, log: object = None) -> None:
        kept = self.coursedir.ignore
        self.coursedir.ignore = [each for each in kept if each != SOURCES]
        try:
            super().do_copy(src, dest, log)
        finally:
            self.coursedir.ignore = kept
