"""The channels whose messages a caller may see, as a condition of a query."""

from sqlalchemy import ColumnElement, true

from ums.core.tables import messages

Channels = frozenset[int] | int | None
"""Ids of channels; one id; None: all channels."""


def of_channels(channels: Channels) -> ColumnElement[bool]:
    """Messages of these."""
    if channels is None:
        return true()
    ids = (channels,) if isinstance(channels, int) else sorted(channels)
    return messages.c.channel_id.in_(ids)
