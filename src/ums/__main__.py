"""`python -m ums` is the `ums` command."""

from ums.cli import main

main()
