"""Provider events: reports of a provider's webhooks about single mails.

The operator's own bridge forwards them, in one format for all providers. They have the effect of
a bounce or complaint received by mail (core.deliveries.feedback).
"""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from ums.core.context.app_context import AppContext
from ums.core.deliveries import feedback
from ums.core.deliveries.message_id import signer_of
from ums.core.senders import reputation
from ums.db import Statement, Tx, rows_json
from ums.errors import Invalid
from ums.mail import bounce_parser
from ums.mail.bounce_parser import InboundReport, Kind
from ums.mail.outcomes import Reply

MOST: Final = 1_000  # in one request
_KINDS: Final[dict[str, Kind]] = {
    "delivered": "delivered",
    "delayed": "delayed",
    "failed": "failed",
    "complaint": "complaint",
    "opened": "answered",
}
_MINE = Statement(
    "SELECT d.id, m.channel_id FROM deliveries d JOIN $rows(r: id bigint) ON d.id = r.id"
    " JOIN messages m ON m.id = d.message_id"
)


class ProviderEvent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that a provider tells of one mail."""

    message_id: Annotated[
        str, Meta(max_length=255, description="The `Message-ID` that UMS gave the mail.")
    ]
    event: Annotated[
        Literal["delivered", "delayed", "failed", "complaint", "opened"],
        Meta(description="`failed` is final; `opened` stands for clicked and answered, too."),
    ]
    reply: Annotated[
        str,
        Meta(max_length=1000, description="What the recipient's server said: code and words."),
    ] = ""
    id: Annotated[
        str,
        Meta(max_length=200, description="The provider's own id of the event, if it has one."),
    ] = ""


class EventsTaken(Struct, frozen=True):
    """What became of some events."""

    taken: Annotated[int, Meta(description="Events about deliveries that may be told of.")]
    not_ours: Annotated[
        int, Meta(description="Events with a Message-ID that is none of UMS, or another's.")
    ]
    arrived: Annotated[int, Meta(description="Deliveries in doubt that are `sent` now.")]
    bounced: Annotated[int, Meta(description="Deliveries that are `failed` now.")]
    complained: Annotated[int, Meta(description="Complaints that are new.")]


async def take(
    system: AppContext, events: Sequence[ProviderEvent], channels: frozenset[int] | None
) -> EventsTaken:
    """Apply events about deliveries of these channels (ids; None: all channels).

    A repeated event is applied only once. Raises Invalid if there are no events or more than MOST.
    """
    if not 1 <= len(events) <= MOST:
        raise Invalid("batch_size", limit=MOST)
    signer = signer_of(system.seal)
    read = [(signer.read(event.message_id), event) for event in events]
    known = [(id, _letter(event)) for id, event in read if id is not None]
    async with system.database.write() as tx:
        mine = await _mine(tx, {id for id, _ in known}, channels)
        given = [(id, letter) for id, letter in known if id in mine]
        changes = await feedback.take(tx, given)
    if changes.counts:
        await reputation.note(system, changes.counts)
    return EventsTaken(
        taken=len(given),
        not_ours=len(events) - len(given),
        arrived=changes.arrived,
        bounced=changes.bounced,
        complained=changes.complained,
    )


async def _mine(tx: Tx, ids: set[int], channels: frozenset[int] | None) -> set[int]:
    if not ids:
        return set()
    rows = await tx.rows(_MINE, {"r": rows_json((id,) for id in sorted(ids))})
    return {row.id for row in rows if channels is None or row.channel_id in channels}


def _letter(event: ProviderEvent) -> InboundReport:
    reply = (
        bounce_parser.reply_of(event.reply)
        if event.event == "failed"
        else Reply(0, "", event.reply)
    )
    told = (event.event, event.id) if event.id else (event.event, event.message_id, event.reply)
    digest = hashlib.blake2b(msgspec.json.encode(told), digest_size=16).hexdigest()
    return InboundReport(_KINDS[event.event], (event.message_id,), reply, digest)
