"""The database tables, and the states of a delivery.

Belongs here: columns, indexes, constraints, names of states.
Does not: queries, which belong to the package that owns the table; migrations.
"""

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
from ums.core.tables.channels import channel_senders, channels
from ums.core.tables.holds import halts
from ums.core.tables.identity import (
    access_keys,
    invitations,
    operators,
    sessions,
    shown_once,
    throttle,
    tokens,
)
from ums.core.tables.installation import audit, meta, workers
from ums.core.tables.materials import material_chunks, materials
from ums.core.tables.messages import (
    answers,
    attempts,
    deaths,
    deliveries,
    drafts,
    files,
    idempotency,
    messages,
    reports,
    sandbox_mails,
)
from ums.core.tables.senders import mailboxes, outcomes, paces, senders, spending
from ums.core.tables.templates import template_versions, templates
from ums.core.tables.users import (
    addresses,
    import_batches,
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
