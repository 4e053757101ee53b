"""A percent source and the notebook beside it: refuse to go on when both hold different work."""

from tito.course import Module, TitoError
from tito.notebooks import notebook as nb
from tito.notebooks.text import read_text

SAME_SAVE = 2  # seconds within which one save writes both files


def refuse_conflict(module: Module) -> None:
    """Refuse a percent source when the notebook beside it is newer and differs.

    An editor that does not know the pairing saves the notebook alone.

    Raises
    ------
    TitoError
        If the notebook is newer than the source and their cells differ.
    """
    notebook, source = module.notebook, module.source
    if source == notebook or not notebook.exists() or not source.exists():
        return
    if notebook.stat().st_mtime <= source.stat().st_mtime + SAME_SAVE:
        return
    ours, theirs = (nb.inputs(nb.parse(read_text(path), path)) for path in (source, notebook))
    if ours != theirs:
        raise TitoError(
            f"{notebook.name} is newer than {source.name} and differs from it",
            f"remove the one you do not want, or: jupytext --to py:percent {notebook.name}",
        )
