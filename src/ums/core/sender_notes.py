"""What the audit log says of a sender that was made or changed."""

from typing import Any, Protocol

import msgspec

from ums.core import audit
from ums.core.directory import touch
from ums.db import Tx
from ums.senders.caps import Cap


class _Told(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def caps(self) -> "tuple[Cap, ...] | list[Cap] | None": ...
    @property
    def urgent_share(self) -> int | None: ...


def told(settings: object, sender: _Told, password: str = "") -> dict[str, Any]:
    """The fields of a sender, its settings among them."""
    held = {"name": sender.name, "caps": sender.caps, "urgent_share": sender.urgent_share}
    return {**msgspec.to_builtins(settings), **msgspec.to_builtins(held), "password": password}


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
    await audit.note(tx, action, code, detail, before=before, after=after)
    await touch(tx)
