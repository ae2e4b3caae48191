"""The `ums` command: `commands` holds its frame; the others add to it."""

from ums.cli import (
    callbacks,
    commands,
    governing,
    halting,
    management,
    materials,
    rules,
    running,
    segments,
    sending,
    simulating,
    suppressing,
    templates,
)
from ums.cli.commands import main

__all__ = [
    "callbacks",
    "commands",
    "governing",
    "halting",
    "main",
    "management",
    "materials",
    "rules",
    "running",
    "segments",
    "sending",
    "simulating",
    "suppressing",
    "templates",
]
