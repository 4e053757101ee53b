"""`python -m tito`: the same as the command."""

from tito.cli import main

main(prog_name="tito")
