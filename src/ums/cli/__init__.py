"""The `ums` command: `commands` holds its frame; `running` and `sending` add to it."""

from ums.cli import commands, rules, running, sending
from ums.cli.commands import main

__all__ = ["commands", "main", "rules", "running", "sending"]
