"""The `ums` command: `commands` holds its frame; the others add to it."""

from ums.cli import (
    app,
    audit,
    channel_policy,
    keys,
    mailboxes,
    management,
    materials,
    message_control,
    messages,
    operators,
    overview,
    policies,
    segments,
    send_limits,
    simulate,
    suppressions,
    templates,
    webhooks,
)
from ums.cli.app import main
from ums.cli.processes import commands as running

__all__ = [
    "audit",
    "webhooks",
    "send_limits",
    "app",
    "policies",
    "message_control",
    "overview",
    "mailboxes",
    "main",
    "management",
    "materials",
    "operators",
    "channel_policy",
    "running",
    "keys",
    "segments",
    "messages",
    "simulate",
    "suppressions",
    "templates",
]
