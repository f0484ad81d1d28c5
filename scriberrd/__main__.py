"""`python -m scriberrd` is the command `scriberrd`."""

from scriberrd.cli import main

main()
