"""The database tables, and the states of a delivery.

Belongs here: columns, indexes, constraints, names of states.
Does not: queries, which belong to the package that owns the table; migrations.
"""

from ums.core.tables.accounts import (
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
from ums.core.tables.base import metadata
from ums.core.tables.channel_policy import (
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
from ums.core.tables.console import drafts, invitations, sessions, shown_once, throttle
from ums.core.tables.holds import halts
from ums.core.tables.management import answers, import_batches, tokens
from ums.core.tables.materials import material_chunks, materials
from ums.core.tables.messages import (
    attempts,
    deaths,
    deliveries,
    files,
    idempotency,
    messages,
    reports,
    sandbox_mails,
)
from ums.core.tables.templates import template_versions, templates
from ums.core.tables.users import (
    addresses,
    import_rejects,
    imports,
    segments,
    tags,
    user_search,
    users,
)
from ums.core.tables.webhooks import callback_addresses, callback_batches, callback_records

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
    "throttle",
    "tokens",
    "usage",
    "user_search",
    "users",
    "words",
    "workers",
]
