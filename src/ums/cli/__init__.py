"""The `ums` command: `commands` holds its frame; the others add to it."""

from ums.cli import (
    callbacks,
    capping,
    commands,
    governing,
    halting,
    mailboxes,
    management,
    materials,
    operators,
    rules,
    running,
    sealing_key,
    segments,
    sending,
    simulating,
    suppressing,
    templates,
)
from ums.cli.commands import main

__all__ = [
    "callbacks",
    "capping",
    "commands",
    "governing",
    "halting",
    "mailboxes",
    "main",
    "management",
    "materials",
    "operators",
    "rules",
    "running",
    "sealing_key",
    "segments",
    "sending",
    "simulating",
    "suppressing",
    "templates",
]
