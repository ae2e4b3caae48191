"""The tables. Times are milliseconds since 1970 (UTC); JSON that SQL never looks into is text."""

from ums.core.models.accounts import (
    access_keys,
    audit,
    channel_senders,
    channels,
    mailboxes,
    meta,
    operators,
    outcomes,
    paces,
    senders,
    spending,
    workers,
)
from ums.core.models.base import metadata
from ums.core.models.callbacks import callback_addresses, callback_batches, callback_records
from ums.core.models.console import drafts, invitations, sessions, shown_once
from ums.core.models.governance import (
    contacts,
    full_mailboxes,
    list_entries,
    lists,
    reply_rules,
    strategies,
    suppressions,
    usage,
    words,
)
from ums.core.models.halting import halts
from ums.core.models.management import answers, import_batches, tokens
from ums.core.models.materials import material_chunks, materials
from ums.core.models.messages import (
    attempts,
    deaths,
    deliveries,
    files,
    idempotency,
    messages,
    reports,
    sandbox_mails,
)
from ums.core.models.templates import template_versions, templates
from ums.core.models.users import addresses, import_rejects, imports, segments, tags, users

__all__ = [
    "access_keys",
    "addresses",
    "answers",
    "attempts",
    "audit",
    "callback_addresses",
    "callback_batches",
    "callback_records",
    "channel_senders",
    "channels",
    "contacts",
    "deaths",
    "deliveries",
    "drafts",
    "files",
    "full_mailboxes",
    "halts",
    "idempotency",
    "import_batches",
    "import_rejects",
    "imports",
    "invitations",
    "list_entries",
    "lists",
    "mailboxes",
    "material_chunks",
    "materials",
    "messages",
    "meta",
    "metadata",
    "operators",
    "outcomes",
    "paces",
    "reply_rules",
    "reports",
    "sandbox_mails",
    "segments",
    "senders",
    "sessions",
    "shown_once",
    "spending",
    "strategies",
    "suppressions",
    "tags",
    "template_versions",
    "templates",
    "tokens",
    "usage",
    "users",
    "words",
    "workers",
]
