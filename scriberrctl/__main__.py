"""`python -m scriberrctl`."""

from scriberrctl.cli import main

main()
