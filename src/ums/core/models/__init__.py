"""The tables. Times are milliseconds since 1970 (UTC); JSON that SQL never looks into is text."""

from ums.core.models.accounts import (
    access_keys,
    audit,
    channel_senders,
    channels,
    meta,
    operators,
    senders,
    workers,
)
from ums.core.models.base import metadata
from ums.core.models.management import answers, import_batches, tokens
from ums.core.models.messages import (
    attempts,
    deliveries,
    files,
    idempotency,
    messages,
    sandbox_mails,
)
from ums.core.models.users import addresses, import_rejects, imports, segments, tags, users

__all__ = [
    "access_keys",
    "addresses",
    "answers",
    "attempts",
    "audit",
    "channel_senders",
    "channels",
    "deliveries",
    "files",
    "idempotency",
    "import_batches",
    "import_rejects",
    "imports",
    "messages",
    "meta",
    "metadata",
    "operators",
    "sandbox_mails",
    "segments",
    "senders",
    "tags",
    "tokens",
    "users",
    "workers",
]
