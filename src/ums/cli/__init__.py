"""The `ums` command: `commands` holds its frame; `running` and `sending` add to it."""

from ums.cli import commands, management, running, sending
from ums.cli.commands import main

__all__ = ["commands", "main", "management", "running", "sending"]
