"""The database tables, and the states of a delivery.

Belongs here: columns, indexes, constraints, names of states.
Does not: queries, which belong to the package that owns the table; migrations.
"""

from ums.core.tables.base import metadata
from ums.core.tables.channel_policy import (
    blocked_words,
    broadcast_usage,
    frequency_cap_log,
    full_mailboxes,
    list_entries,
    lists,
    reply_rules,
    strategies,
    suppressions,
)
from ums.core.tables.channels import channel_senders, channels
from ums.core.tables.holds import pending_halts
from ums.core.tables.identity import (
    access_keys,
    invitations,
    one_time_secrets,
    operators,
    sessions,
    throttle,
    tokens,
)
from ums.core.tables.installation import audit, meta, workers
from ums.core.tables.materials import material_chunks, materials
from ums.core.tables.messages import (
    attempts,
    deliveries,
    drafts,
    feedback_reports,
    files,
    idempotency,
    idempotent_responses,
    messages,
    sandbox_mails,
    worker_crashes,
)
from ums.core.tables.senders import cap_usage, domain_rates, mailboxes, sender_outcomes, senders
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
    "attempts",
    "audit",
    "blocked_words",
    "broadcast_usage",
    "callback_addresses",
    "callback_batches",
    "callback_records",
    "cap_usage",
    "channel_senders",
    "channels",
    "deliveries",
    "domain_rates",
    "drafts",
    "feedback_reports",
    "files",
    "frequency_cap_log",
    "full_mailboxes",
    "idempotency",
    "idempotent_responses",
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
    "one_time_secrets",
    "operators",
    "pending_halts",
    "reply_rules",
    "sandbox_mails",
    "segments",
    "sender_outcomes",
    "senders",
    "sessions",
    "strategies",
    "suppressions",
    "tags",
    "template_versions",
    "templates",
    "throttle",
    "tokens",
    "user_search",
    "users",
    "worker_crashes",
    "workers",
]
