"""`python -m scriberrctl`."""

from scriberrctl.cli import main

main(prog_name="scriberrctl")
