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
    "app",
    "audit",
    "channel_policy",
    "keys",
    "mailboxes",
    "main",
    "management",
    "materials",
    "message_control",
    "messages",
    "operators",
    "overview",
    "policies",
    "running",
    "segments",
    "send_limits",
    "simulate",
    "suppressions",
    "templates",
    "webhooks",
]
