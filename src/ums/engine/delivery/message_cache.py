"""The mail of each message, built once and kept while its deliveries go out."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import msgspec
import structlog
from msgspec import Struct
from sqlalchemy import select

from ums import clock
from ums.core.content import materials
from ums.core.content.message_content import Content
from ums.core.context.app_context import AppContext
from ums.core.context.directory import Sender
from ums.core.deliveries.message_id import Signer
from ums.core.deliveries.queue import Claimed
from ums.core.deliveries.retry_policy import Rules
from ums.core.tables import files, messages
from ums.core.templates.cache import Person, TemplateCache
from ums.core.templates.recipient_data import attributes_of
from ums.core.transports.protocol import MessageFacts, MessageTemplate, Recipient, Transport
from ums.db import Tx
from ums.engine.delivery.template_parts import PrecompiledTemplate, PrecompiledTemplates
from ums.mail.mime import builder

log = structlog.get_logger()
KEPT = 200
KEPT_OCTETS = 64 * 1024 * 1024
NOBODY = Person("")
_object = msgspec.json.Decoder(dict[str, Any])
NOTHING = Content("")
BUILD_IN_THREAD = 64 * 1024  # octets of content from which on the event loop must not wait


_Attached = builder.File | None


class PreparedMessage(Struct):
    """A message ready to be rendered for each of its recipients."""

    template: MessageTemplate[Any] | None  # None: it cannot be built
    problem: str
    settings: str  # of the sender it was built for
    facts: MessageFacts
    rules: Rules
    letter: PrecompiledTemplate | None = None  # where its content comes from a template
    para: dict[str, Any] = {}
    shared: bool = True  # every recipient without variables of its own gets the same texts
    addressee: Person | None = None  # who all its recipients see it written to
    late: tuple[bytes, ...] = ()  # those, once they are rendered

    def render(self, claimed: Claimed, signer: Signer) -> Any:
        """The mail for one recipient, in its sender type's own form. Raises ValueError for an
        unusable address, and RenderError where the template cannot be rendered for it."""
        if self.template is None:
            raise ValueError(self.problem)
        to = Recipient(claimed.address, signer.token(claimed.id), claimed.userid)
        return self.template.render(to, self.facts, self._texts(claimed))

    def reads(self, claimed: Claimed) -> str:
        """Whose attributes its texts for this recipient need; "" for nobody's."""
        if self.shared:
            return ""
        return self.addressee.userid if self.addressee else claimed.userid

    def _texts(self, claimed: Claimed) -> tuple[bytes, ...]:
        if self.letter is None:
            return ()
        if self.shared and claimed.variables is None:
            self.late = self.late or self.letter.fill(NOBODY, self.para, None)
            return self.late
        to = self.addressee or Person(claimed.address, claimed.userid)
        person = Person(to.address, to.userid, claimed.attributes)
        own = None if claimed.variables is None else _object.decode(claimed.variables)
        return self.letter.fill(person, self.para, own)


class MessageCache:
    """The mails of the messages that are being sent, the least used given up first."""

    def __init__(self, system: AppContext) -> None:
        self._system = system
        self._doubt_pause = round(system.settings.unknown_retry_seconds * clock.SECOND)
        self._letters = PrecompiledTemplates(system.shared(TemplateCache))
        # By message and sender: several senders may carry one message.
        self._kept: OrderedDict[tuple[int, int], PreparedMessage] = OrderedDict()
        self._octets = 0

    async def of(self, sender: Sender, ids: Iterable[int]) -> dict[int, PreparedMessage]:
        """The mails of these messages, those that are not kept read in one go."""
        wanted = set(ids)
        found = {id: self._kept[id, sender.id] for id in wanted if self._keeps(id, sender)}
        for id in found:
            self._kept.move_to_end((id, sender.id))
        missing = [id for id in wanted if id not in found]
        if missing:
            async with self._system.database.read() as tx:
                rows, attached = await _load(tx, missing)
            for row in rows:
                found[row.id] = await self._build(sender, row, attached.get(row.id, []))
        return found

    async def acquaint(self, claimed: Iterable[Claimed], mails: dict[int, PreparedMessage]) -> None:
        """Give those their users' attributes whose mails need them, read in one go."""
        wanted = [(row, mails[row.message_id].reads(row)) for row in claimed]
        known = [(row, userid) for row, userid in wanted if userid]
        if known:
            async with self._system.database.read() as tx:
                found = await attributes_of(tx, {userid for _, userid in known})
            for row, userid in known:
                row.attributes = found.get(userid, {})

    def _keeps(self, id: int, sender: Sender) -> bool:
        mail = self._kept.get((id, sender.id))
        if mail is None or mail.settings != sender.settings:
            return False
        return mail.rules.expires_at > clock.now()  # else it may have got a new lifetime since

    async def _build(self, sender: Sender, row: Any, attached: list[_Attached]) -> PreparedMessage:
        template, problem, letter, stored = None, "", None, NOTHING
        transport = self._system.types[sender.type]
        channel = await self._system.directory.channel(row.channel_id)
        try:
            stored = msgspec.json.decode(row.content, type=Content)
            if row.template_id is not None:
                letter = await self._letters.of(row.template_id, row.template_version, transport)
            template = await self._template(transport, sender, row, stored, letter, attached)
        except ValueError as error:
            problem = str(error)
        except Exception as error:  # a message that breaks us must fail alone
            log.exception("building a mail broke", message=row.id)
            problem = f"{type(error).__name__}: {error}"
        mail = PreparedMessage(
            template=template,
            problem=problem,
            settings=sender.settings,
            facts=MessageFacts(max(row.accepted_at, row.starts_at), row.msgid, channel.key),
            rules=Rules(row.on_unknown, row.expires_at, self._doubt_pause, row.event_mask),
            letter=letter,
            para=stored.para,
            shared=letter is None or letter.version.shared(stored.para),
            addressee=Person(stored.extras.to, stored.userid) if stored.extras.to else None,
        )
        self._keep((row.id, sender.id), mail)
        return mail

    async def _template(
        self,
        transport: Transport[Any],
        sender: Sender,
        row: Any,
        stored: Content,
        letter: PrecompiledTemplate | None,
        attached: list[_Attached],
    ) -> MessageTemplate[Any]:
        there = [file for file in attached if file is not None]
        if len(there) < len(attached):
            raise ValueError("the material of an attachment is gone")
        build = transport.build
        automatic = not row.broadcast
        if letter is not None and not there:
            key = (sender.type, sender.settings, automatic, stored.extras)
            return letter.skeleton(
                key,
                stored.extras,
                lambda content: build(sender.settings, content, automatic=automatic),
            )
        files, extras = tuple(there), stored.extras
        content = builder.MimeContent(
            stored.subject, stored.text, files, stored.html, extras, stored.plain
        )
        if letter is not None:
            content = letter.content(files, extras)
        size = len(stored.text) + len(stored.html) + sum(len(file.data) for file in there)
        if size > BUILD_IN_THREAD:
            return await asyncio.to_thread(build, sender.settings, content, automatic=automatic)
        return build(sender.settings, content, automatic=automatic)

    def _keep(self, key: tuple[int, int], mail: PreparedMessage) -> None:
        old = self._kept.pop(key, None)
        self._octets -= 0 if old is None else _size(old)
        self._kept[key] = mail
        self._octets += _size(mail)
        while len(self._kept) > KEPT or (self._octets > KEPT_OCTETS and len(self._kept) > 1):
            _, old = self._kept.popitem(last=False)
            self._octets -= _size(old)


def _size(mail: PreparedMessage) -> int:
    return (mail.template.size if mail.template else 0) + sum(map(len, mail.late))


async def _load(tx: Tx, ids: list[int]) -> tuple[list[Any], dict[int, list[_Attached]]]:
    """The messages `ids`, and their files in order: None where the material is gone."""
    query = select(
        messages.c.id,
        messages.c.msgid,
        messages.c.channel_id,
        messages.c.content,
        messages.c.template_id,
        messages.c.template_version,
        messages.c.on_unknown,
        messages.c.broadcast,
        messages.c.accepted_at,
        messages.c.starts_at,
        messages.c.expires_at,
        messages.c.event_mask,
    ).where(messages.c.id.in_(ids))
    rows = list(await tx.rows(query))
    attached: dict[int, list[_Attached]] = {}
    order = (files.c.message_id, files.c.position)
    found = await tx.rows(select(files).where(files.c.message_id.in_(ids)).order_by(*order))
    referred = {row.material_id for row in found if row.material_id is not None}
    contents = await materials.read(tx, referred) if referred else {}
    for row in found:
        data = contents.get(row.material_id) if row.data is None else bytes(row.data)
        file = None if data is None else builder.File(row.name, row.content_type, data, row.cid)
        attached.setdefault(row.message_id, []).append(file)
    return rows, attached
