"""The `ums` command: `commands` holds its frame; the others add to it."""

from ums.cli import commands, halting, materials, rules, running, sending, templates
from ums.cli.commands import main

__all__ = ["commands", "halting", "main", "materials", "rules", "running", "sending", "templates"]
