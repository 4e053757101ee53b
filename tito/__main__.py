"""The command `tito` as `python -m tito`."""

from tito.cli import main

main(prog_name="tito")
