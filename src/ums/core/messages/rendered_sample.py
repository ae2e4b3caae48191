"""A stored message as one of its recipients gets it, or would get it, and to whom it goes.

It is built by what builds the mails that go out, so that whoever approves a message sees the very
mail. Files are named with their size; only images that the text shows are read.
"""

import asyncio
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import func, select

from ums import clock
from ums.core.common.channel_scope import Channels, of_channels
from ums.core.content import materials
from ums.core.content.message_content import Content
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Channel, Sender
from ums.core.messages.audience_preview import Reach, example, reach
from ums.core.messages.requests import Callback, Option, SendRequest
from ums.core.messages.template_content import refusal
from ums.core.tables import files, messages
from ums.core.tables import materials as stored_materials
from ums.core.templates.cache import Person, TemplateCache
from ums.core.templates.recipient_data import address_of, attributes_of
from ums.core.templates.values import RenderError
from ums.core.transports import accounts
from ums.core.users.audience import Audience, read_audience
from ums.core.users.segments import name_of
from ums.db import Tx
from ums.errors import Detail, Invalid, NotFound, UmsError
from ums.mail.addresses import BadAddress
from ums.mail.mime import builder

_Own = dict[str, Any]


class SampleFile(Struct, frozen=True):
    """An attachment; `size` is None where its material is gone."""

    name: str
    content_type: str
    size: int | None
    shown: bool  # in the text


class Sample(Struct, frozen=True):
    """One message, before it goes out or later."""

    source: bytes  # the mail; empty where there is `problem`
    problem: UmsError | Detail | None
    to: str  # the example's userid, or the address
    files: list[SampleFile]
    audience: Audience
    segment: str  # its name
    sender: str  # code
    requested_by: str
    origin: str
    approved_by: str
    reach: Reach | None  # counted now; None once it is expanded


async def sample(
    system: AppContext,
    msgid: str,
    channels: Channels = None,
    *,
    userid: str = "",
    count: bool = True,
) -> Sample:
    """The message for the user `userid`, or for one of its audience. Raises NotFound for a message
    that is not there, Invalid (user_unknown)."""
    row = await _row(system, msgid, channels)
    channel = await system.directory.channel(row.channel_id)
    sender = (await system.directory.now()).senders[row.sender_id]
    asked = _request(row)
    person, own = await _person(system, channel, asked, userid)
    source, problem = await _built(system, row, sender, asked, person, own)
    counts = count and row.state != "expanded"
    async with system.database.read() as tx:
        listed = await _files(tx, row.id)
        segment = await name_of(tx, asked.audience.segment)
    return Sample(
        source=source,
        problem=problem,
        to=person.userid or person.address,
        files=listed,
        audience=asked.audience,
        segment=segment,
        sender=sender.code,
        requested_by=row.requested_by,
        origin=row.origin,
        approved_by=row.approved_by,
        reach=await reach(system, channel, asked) if counts else None,
    )


async def _row(system: AppContext, msgid: str, channels: Channels) -> Any:
    mine = (messages.c.msgid == msgid) & of_channels(channels)
    async with system.database.read() as tx:
        row = None if "\x00" in msgid else await tx.first(select(messages).where(mine))
    if row is None:
        raise NotFound("message_unknown")
    return row


def _request(row: Any) -> SendRequest:
    """What was asked for, as far as it is stored."""
    return SendRequest(
        audience=read_audience(row.audience),
        broadcast=bool(row.broadcast),
        instance="",
        content=msgspec.json.decode(row.content, type=Content),
        files=[],
        priority=row.priority,
        sendno=None,
        option=Option(black_id=row.black_id, white_id=row.white_id),
        callback=Callback(),
        template_id=row.template_id,
        template_version=row.template_version,
    )


async def _person(
    system: AppContext, channel: Channel, asked: SendRequest, userid: str
) -> tuple[Person, _Own | None]:
    """Whom it is shown for, and the variables that are this recipient's own."""
    audience, own = asked.audience, None
    named = [*audience.addresses, *audience.userids]
    if not userid and audience.described:
        userid = await example(system, channel, asked)
    elif not userid and named:
        own = _variables(audience, 0)
        if audience.addresses:
            return Person(named[0]), own
        userid = named[0]
    elif userid in audience.userids:
        own = _variables(audience, len(audience.addresses) + audience.userids.index(userid))
    return await _known(system, channel, userid), own


def _variables(audience: Audience, place: int) -> _Own | None:
    if place >= len(audience.variables):
        return None
    return msgspec.json.decode(audience.variables[place], type=_Own | None)


async def _known(system: AppContext, channel: Channel, userid: str) -> Person:
    if not userid:
        return Person("")
    async with system.database.read() as tx:
        found = await attributes_of(tx, [userid])
        if userid not in found:
            raise Invalid("user_unknown", field="userid")
        address = await address_of(tx, channel, userid)
    return Person(address, userid, found[userid])


async def _built(
    system: AppContext,
    row: Any,
    sender: Sender,
    asked: SendRequest,
    person: Person,
    own: _Own | None,
) -> tuple[bytes, UmsError | Detail | None]:
    """(the mail, None) or (nothing, why it cannot be made)."""
    try:
        stored = await _texts(system, asked, person, own)
        async with system.database.read() as tx:
            images = await _images(tx, row.id)
        content = builder.MimeContent(
            stored.subject, stored.text, images, stored.html, asked.content.extras, stored.plain
        )
        return await asyncio.to_thread(_mail, row, sender, content, person), None
    except RenderError as error:
        return b"", refusal(error)
    except (builder.BadContent, BadAddress) as error:
        return b"", error.detail
    except ValueError as error:
        return b"", Detail("mail_unmade", told=str(error))


def _mail(row: Any, sender: Sender, content: builder.MimeContent, person: Person) -> bytes:
    own = accounts.facts(accounts.read(sender.type, sender.settings))
    skeleton = builder.MimeTemplate.build(
        content,
        from_address=own.from_address or "webhook@example.invalid",
        from_name=own.from_name,
        auto_submitted=not row.broadcast,
    )
    date = max(row.accepted_at, row.starts_at) or clock.now()
    to = person.address or "recipient@example.invalid"
    octets = skeleton.render(to=to, message_id=f"{row.id}@example.invalid", date=date, late=())
    return octets.replace(b"\r\n..", b"\r\n.")  # as SMTP's receiver undoes it


async def _texts(
    system: AppContext, asked: SendRequest, person: Person, own: _Own | None
) -> Content:
    """Subject, text and HTML with all variables filled in."""
    if asked.template_id is None:
        return asked.content
    version = await system.shared(TemplateCache).version(
        asked.template_id, asked.template_version or 0
    )
    if version is None:
        raise builder.BadContent(Detail("mail_template_gone"))
    extras = asked.content.extras
    to = Person(extras.to, asked.content.userid, person.attributes) if extras.to else person
    values = version.values(to, asked.content.para, own, named=True)
    text = version.text.text(values) if version.text else ""
    html = version.html.text(values) if version.html else ""
    return Content(version.subject.text(values), text, html, plain=True)


_SIZE = func.coalesce(func.length(files.c.data), stored_materials.c.size)
_OUTER = files.outerjoin(stored_materials, stored_materials.c.id == files.c.material_id)


async def _files(tx: Tx, message: int) -> list[SampleFile]:
    query = select(files.c.name, files.c.content_type, _SIZE.label("size"), files.c.cid)
    mine = query.select_from(_OUTER).where(files.c.message_id == message)
    rows = await tx.rows(mine.order_by(files.c.position))
    return [SampleFile(row.name, row.content_type, row.size, bool(row.cid)) for row in rows]


async def _images(tx: Tx, message: int) -> tuple[builder.File, ...]:
    mine = (files.c.message_id == message) & (files.c.cid != "")
    rows = await tx.rows(select(files).where(mine).order_by(files.c.position))
    referred = {row.material_id for row in rows if row.data is None and row.material_id}
    there = await materials.read(tx, referred) if referred else {}
    found = [(row, there.get(row.material_id) if row.data is None else row.data) for row in rows]
    return tuple(
        builder.File(row.name, row.content_type, bytes(data), row.cid)
        for row, data in found
        if data is not None
    )
