"""The mail of each message, built once and kept while its deliveries go out."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import msgspec
import structlog
from msgspec import Struct
from sqlalchemy import select

from ums import clock
from ums.core import materials
from ums.core.content import Content
from ums.core.directory import Sender
from ums.core.models import files, messages
from ums.core.queue import Claimed
from ums.core.system import System
from ums.core.verdicts import Rules
from ums.db import Tx
from ums.senders import email, mime
from ums.senders.address import needs_utf8
from ums.senders.base import Envelope
from ums.senders.mime import Skeleton

log = structlog.get_logger()
KEPT = 200
KEPT_OCTETS = 64 * 1024 * 1024
BUILD_IN_THREAD = 64 * 1024  # octets of content from which on the event loop must not wait


_Attached = mime.File | None


class Mail(Struct):
    """A message ready to be rendered for each of its recipients."""

    skeleton: Skeleton | None  # None: it cannot be built
    problem: str
    settings: str  # of the sender it was built for
    from_address: str
    date: int
    rules: Rules

    def render(self, claimed: Claimed, signer: "Signer") -> tuple[Envelope, bytes]:
        """Envelope and body for one recipient. Raises ValueError for an unusable address."""
        if self.skeleton is None:
            raise ValueError(self.problem)
        domain = self.from_address.rpartition("@")[2]
        body = self.skeleton.render(
            to=claimed.address,
            message_id=f"{signer.token(claimed.id)}@{domain}",
            date=self.date,
        )
        utf8 = self.skeleton.utf8 or needs_utf8(claimed.address)
        return Envelope(self.from_address, claimed.address, len(body), utf8), body


class Signer:
    """Message-IDs: made of the delivery's id alone, so that every copy has the same (I5)."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def token(self, delivery_id: int) -> str:
        mark = hashlib.blake2b(str(delivery_id).encode(), key=self._key, digest_size=10)
        return f"{delivery_id:x}.{mark.hexdigest()}"


class Mails:
    """The mails of the messages that are being sent, the least used given up first."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._doubt_pause = round(system.settings.doubt_seconds * clock.SECOND)
        self._kept: OrderedDict[int, Mail] = OrderedDict()
        self._octets = 0

    async def of(self, sender: Sender, ids: Iterable[int]) -> dict[int, Mail]:
        """The mails of these messages, those that are not kept read in one go."""
        wanted = set(ids)
        found = {id: self._kept[id] for id in wanted if self._keeps(id, sender)}
        for id in found:
            self._kept.move_to_end(id)
        missing = [id for id in wanted if id not in found]
        if missing:
            async with self._system.database.read() as tx:
                rows, attached = await _load(tx, missing)
            for row in rows:
                found[row.id] = await self._build(sender, row, attached.get(row.id, []))
        return found

    def _keeps(self, id: int, sender: Sender) -> bool:
        mail = self._kept.get(id)
        if mail is None or mail.settings != sender.settings:
            return False
        return mail.rules.expires_at > clock.now()  # else it may have got a new lifetime since

    async def _build(self, sender: Sender, row: Any, attached: list[_Attached]) -> Mail:
        skeleton, problem = None, ""
        try:
            skeleton = await self._skeleton(sender, row, attached)
        except ValueError as error:
            problem = str(error)
        except Exception as error:  # a message that breaks us must fail alone
            log.exception("building a mail broke", message=row.id)
            problem = f"{type(error).__name__}: {error}"
        mail = Mail(
            skeleton=skeleton,
            problem=problem,
            settings=sender.settings,
            from_address=email.read(sender.settings).from_address,
            date=max(row.accepted_at, row.starts_at),
            rules=Rules(row.on_doubt, row.expires_at, self._doubt_pause),
        )
        self._keep(row.id, mail)
        return mail

    async def _skeleton(self, sender: Sender, row: Any, attached: list[_Attached]) -> Skeleton:
        stored = msgspec.json.decode(row.content, type=Content)
        there = [file for file in attached if file is not None]
        if len(there) < len(attached):
            raise ValueError("the material of an attachment is gone")
        content = mime.Content(stored.subject, stored.text, tuple(there))
        build = self._system.types[sender.type].build
        automatic = not row.broadcast
        size = len(stored.text) + sum(len(file.data) for file in there)
        if size > BUILD_IN_THREAD:
            return await asyncio.to_thread(build, sender.settings, content, automatic=automatic)
        return build(sender.settings, content, automatic=automatic)

    def _keep(self, id: int, mail: Mail) -> None:
        old = self._kept.pop(id, None)
        self._octets -= 0 if old is None else _size(old)
        self._kept[id] = mail
        self._octets += _size(mail)
        while len(self._kept) > KEPT or (self._octets > KEPT_OCTETS and len(self._kept) > 1):
            _, old = self._kept.popitem(last=False)
            self._octets -= _size(old)


def _size(mail: Mail) -> int:
    return mail.skeleton.size if mail.skeleton else 0


async def _load(tx: Tx, ids: list[int]) -> tuple[list[Any], dict[int, list[_Attached]]]:
    """The messages `ids`, and their files in order: None where the material is gone."""
    query = select(
        messages.c.id,
        messages.c.content,
        messages.c.on_doubt,
        messages.c.broadcast,
        messages.c.accepted_at,
        messages.c.starts_at,
        messages.c.expires_at,
    ).where(messages.c.id.in_(ids))
    rows = list(await tx.rows(query))
    attached: dict[int, list[_Attached]] = {}
    order = (files.c.message_id, files.c.position)
    found = await tx.rows(select(files).where(files.c.message_id.in_(ids)).order_by(*order))
    referred = {row.material_id for row in found if row.material_id is not None}
    contents = await materials.read(tx, referred) if referred else {}
    for row in found:
        data = contents.get(row.material_id) if row.data is None else bytes(row.data)
        file = None if data is None else mime.File(row.name, row.content_type, data)
        attached.setdefault(row.message_id, []).append(file)
    return rows, attached
