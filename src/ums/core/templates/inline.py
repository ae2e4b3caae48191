"""Content that is written for one message and needs a template's engine: variables, or MJML.

It is kept as a template that no list shows, so that such a message is like any other of a template.
"""

import re
import secrets
from typing import Final

from sqlalchemy import select

from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel
from ums.core.tables import templates
from ums.core.templates import store
from ums.core.templates.compiler import Sources
from ums.core.templates.store import Change

_MARKS: Final = re.compile(r"\{\{|\{%")


def is_needed(sources: Sources) -> bool:
    """Whether the content is more than a mail can say by itself."""
    parts = (sources.subject, sources.html, sources.text)
    return sources.mjml is not None or any(part and _MARKS.search(part) for part in parts)


async def keep(system: AppContext, channel: Channel, sources: Sources, old: int | None) -> int:
    """Keep it as a template, in place of the one of `old` where that was written too; its id.

    Raises Invalid, with the line where a source is wrong.
    """
    if old is not None and await find(system, channel, old) is not None:
        html, text, mjml = sources.html, sources.text, sources.mjml
        change = Change(subject=sources.subject, html=html, text=text, mjml=mjml)
        return (await store.change(system, channel, old, change, listed=False)).id
    name = f"written {secrets.token_hex(8)}"
    return (await store.create(system, channel, name, sources, listed=False)).id


async def find(system: AppContext, channel: Channel, id: int) -> Sources | None:
    """What was written, or None where the template is one that is listed, or is none."""
    mine = (templates.c.id == id) & (templates.c.channel_id == channel.id)
    async with system.database.read() as tx:
        listed = await tx.value(select(templates.c.listed).where(mine))
    if listed is None or listed:
        return None
    return store.sources_of(await store.show(system, channel, id))
