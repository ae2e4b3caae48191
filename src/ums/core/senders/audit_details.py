"""What the audit log says of a sender that was made or changed."""

from typing import Any

import msgspec
from sqlalchemy import select

from ums.core.audit import audit_log
from ums.core.tables import channel_senders, channels, senders
from ums.core.transports import accounts
from ums.core.transports.webhook_settings import WebhookSettings
from ums.db import Tx
from ums.mail import send_limits


async def told(tx: Tx, id: int, password: str = "") -> dict[str, Any]:
    """The fields of the sender as they are stored, its settings among them."""
    row = await tx.first(select(senders).where(senders.c.id == id))
    held = {
        "name": row.name,
        "open": bool(row.open),
        "urgent_reserve_percent": row.urgent_reserve_percent,
    }
    held |= {"caps": send_limits.read(row.caps), "password": password}
    account = accounts.read(row.type, row.settings)
    own = msgspec.structs.asdict(account)
    if isinstance(account, WebhookSettings):  # of a URL the path may be a secret
        facts = accounts.facts(account)
        own |= {"url_secret": own.pop("url"), "host": facts.host, "port": facts.port}
        own["encryption"] = facts.encryption
    return msgspec.to_builtins({**own, **held})


async def note(
    tx: Tx,
    action: str,
    code: str,
    *,
    approved: bool,
    before: dict[str, Any] | None = None,
    after: dict[str, Any],
) -> None:
    """`approved`: somebody allowed a port that is not free to all."""
    detail = f"{after['host']}:{after['port']} {after['encryption']}"
    detail += " port approved" if approved else ""
    await audit_log.note(tx, action, code, detail, before=before, after=after)


async def use(tx: Tx, sender_id: int, key: str) -> dict[str, object]:
    """Whether the channel may use the sender, for the audit log."""
    links = channel_senders
    mine = (channels.c.key == key) & (links.c.sender_id == sender_id)
    query = select(links.c.is_default).join(channels, channels.c.id == links.c.channel_id)
    row = await tx.first(query.where(mine))
    return {"authorised": row is not None, "default": row is not None and bool(row.is_default)}
