"""The `ums` command: `commands` holds its frame; the other modules add to it."""

from ums.cli import commands, governing, running, segments, sending
from ums.cli.commands import main

__all__ = ["commands", "governing", "main", "running", "segments", "sending"]
