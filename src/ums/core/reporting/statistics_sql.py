"""The statements of `statistics`: one set for each combination of conditions, made once."""

from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct

from ums.core.tables.states import LOST
from ums.db import Statement, rows_json

By = Literal["message", "channel", "sender", "type", "domain", "day", "hour"]

_GROUP = {
    "message": "m.id",
    "channel": "m.channel_id",
    "sender": "d.sender_id",
    "domain": "$domain(d.address)",
    "day": "b.start",
    "hour": "b.start",
}
_BUCKETS = (
    " JOIN $rows(b: start bigint, stop bigint)"
    " ON m.accepted_at >= b.start AND m.accepted_at < b.stop"
)


class Asked(Struct, frozen=True, kw_only=True):
    """What the statistics are of. Times are milliseconds; `until` is not in it."""

    by: By
    since: int
    until: int
    channels: frozenset[int] | None = None  # ids; None: all
    sender: int | None = None  # an id
    msgid: str | None = None
    zone: str = "UTC"


Shape = tuple[By, bool, bool, bool]
_GROUPED: tuple[By, ...] = ("message", "channel", "sender", "domain", "day", "hour")


def shape_of(asked: Asked) -> Shape:
    """Which conditions the statement has: by, of channels, of a sender, of a message."""
    given = asked.channels is not None, asked.sender is not None, asked.msgid is not None
    return (asked.by, *given)


def params_of(asked: Asked, only: Sequence[Any] | None) -> dict[str, object]:
    params: dict[str, object] = {"since": asked.since, "until": asked.until}
    if asked.channels is not None:
        params["c"] = rows_json((id,) for id in sorted(asked.channels))
    if asked.sender is not None:
        params["sender"] = asked.sender
    if asked.msgid is not None:
        params["msgid"] = asked.msgid
    if only is not None and asked.by == "message":
        params["o"] = rows_json((id,) for id in only)
    elif only is not None:
        params["b"] = rows_json((start, stop) for start, stop, _ in only)
    return params


def _where(shape: Shape, *, sender: str) -> str:
    by, of_channels, of_sender, of_message = shape
    text = " WHERE m.accepted_at >= :since AND m.accepted_at < :until"
    if of_channels:
        text += " AND m.channel_id IN (SELECT c.id FROM $rows(c: id bigint))"
    if of_sender:
        text += f" AND {sender} = :sender"
    if of_message:
        text += " AND m.msgid = :msgid"
    if by == "message":
        text += " AND m.id IN (SELECT o.id FROM $rows(o: id bigint))"
    return text


def _states(shape: Shape) -> Statement:
    # Without the sender this is answered from the index (message_id, state) alone.
    group = _GROUP[shape[0]]
    return Statement(
        f"SELECT {group}, m.channel_id, d.state, count(*) FROM messages m{_joined(shape)}"
        f"{_where(shape, sender='d.sender_id')} GROUP BY {group}, m.channel_id, d.state"
    )


def _losses(shape: Shape) -> Statement:
    group = _GROUP[shape[0]]
    lost = ", ".join(f"'{state}'" for state in LOST)
    return Statement(
        f"SELECT {group}, d.state, d.reason, count(*) FROM messages m{_joined(shape)}"
        f"{_where(shape, sender='d.sender_id')} AND d.state IN ({lost})"
        f" GROUP BY {group}, d.state, d.reason"
    )


def _joined(shape: Shape) -> str:
    series = _BUCKETS if shape[0] in ("day", "hour") else ""
    return f"{series} JOIN deliveries d ON d.message_id = m.id"


def _counted(shape: Shape) -> Statement:
    """Messages, and their recipients that have no delivery yet."""
    by = shape[0]
    if by == "domain":  # recipients without a delivery have none yet
        return Statement(
            f"SELECT {_GROUP[by]}, count(DISTINCT m.id), 0 FROM messages m{_joined(shape)}"
            f"{_where(shape, sender='d.sender_id')} GROUP BY {_GROUP[by]}"
        )
    group = _GROUP[by].replace("d.", "m.")
    series = _BUCKETS if by in ("day", "hour") else ""
    rest = "m.audience_size - (SELECT count(*) FROM deliveries d WHERE d.message_id = m.id)"
    return Statement(
        f"SELECT {group}, count(*), COALESCE(sum(CASE WHEN m.state = 'expanded' THEN 0"
        f" WHEN {rest} > 0 THEN {rest} ELSE 0 END), 0)"
        f" FROM messages m{series}{_where(shape, sender='m.sender_id')} GROUP BY {group}"
    )


_SHAPES: list[Shape] = [
    (by, a, b, c)
    for by in _GROUPED
    for a in (False, True)
    for b in (False, True)
    for c in (False, True)
]
STATES = {shape: _states(shape) for shape in _SHAPES}
LOSSES = {shape: _losses(shape) for shape in _SHAPES}
MESSAGES = {shape: _counted(shape) for shape in _SHAPES}
PAGES = {
    shape: Statement(
        "SELECT m.id, m.msgid FROM messages m"
        + _where(("channel", *shape[1:]), sender="m.sender_id")
        + " AND m.id < :after ORDER BY m.id DESC LIMIT :limit"
    )
    for shape in _SHAPES
}
